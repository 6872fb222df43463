//! Rows as text.

use crate::compress::Row;

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
