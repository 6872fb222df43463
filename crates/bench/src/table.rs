//! The rows of `backburn bench compress`, and their text.

use serde::Serialize;

/// One compressor on one layout. Times are medians.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its textual form.
    pub compressor: String,
    /// `flat`, `layers`, or the scope.
    pub layout: String,
    /// Coordinates.
    pub d: usize,
    /// Of one step of error feedback: p ← (p − decode(last)) + g, C(p).
    pub seconds: f64,
    /// Of a message.
    pub bytes: u64,
    /// The message's bits a coordinate.
    pub bits_per_coordinate: f64,
    /// The same at the entropy of its parts: log₂ C(d,k) for places, empirical for signs and levels.
    pub entropy_bits_per_coordinate: f64,
    /// Of `e += g` over as many floats on as many threads, in the same run.
    pub add_seconds: f64,
    /// `seconds` over `add_seconds`.
    pub floor_ratio: f64,
    /// Of writing a message as bytes, in the room of the last one.
    pub encode_seconds: f64,
    /// Of reading a message from its bytes.
    pub decode_seconds: f64,
    /// Of averaging eight workers' messages and adding the mean to a vector.
    pub decode_mean_seconds: f64,
    /// The whole way of a message: the step, writing, reading and the mean.
    pub way_seconds: f64,
    /// Threads.
    pub threads: usize,
}

/// A header, and a line a row.
pub fn render(rows: &[Row]) -> String {
    let width = rows.iter().map(|r| r.compressor.len()).max().unwrap_or(0).max("compressor".len());
    let mut text = format!(
        "{:width$}  {:7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>6} {:>9}\n",
        "compressor",
        "layout",
        "step ms",
        "floor",
        "enc ms",
        "dec ms",
        "mean8 ms",
        "way ms",
        "bits/co",
        "entropy",
        "ratio",
        "KiB"
    );
    for r in rows {
        text += &format!(
            "{:width$}  {:7} {:>8.2} {:>7.2}x {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>9.4} {:>9.4} {:>6.3} {:>9.0}\n",
            r.compressor,
            r.layout,
            1e3 * r.seconds,
            r.floor_ratio,
            1e3 * r.encode_seconds,
            1e3 * r.decode_seconds,
            1e3 * r.decode_mean_seconds,
            1e3 * r.way_seconds,
            r.bits_per_coordinate,
            r.entropy_bits_per_coordinate,
            r.bits_per_coordinate / r.entropy_bits_per_coordinate,
            r.bytes as f64 / 1024.0,
        );
    }
    text
}
