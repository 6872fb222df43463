//! Rows as text.

use crate::compress::Row;

/// A header, and a line a row.
pub fn render(rows: &[Row]) -> String {
    let width = rows.iter().map(|r| r.compressor.len()).max().unwrap_or(0).max("compressor".len());
    let mut text = format!(
        "{:width$}  {:7} {:>9} {:>10} {:>8} {:>8} {:>9} {:>9} {:>6} {:>9}\n",
        "compressor", "layout", "step ms", "mean8 ms", "enc ms", "floor", "bits/co", "entropy", "ratio", "KiB"
    );
    for r in rows {
        text += &format!(
            "{:width$}  {:7} {:>9.2} {:>10.2} {:>8.2} {:>7.2}x {:>9.4} {:>9.4} {:>6.3} {:>9.0}\n",
            r.compressor,
            r.layout,
            1e3 * r.seconds,
            1e3 * r.decode_mean_seconds,
            1e3 * r.encode_seconds,
            r.floor_ratio,
            r.bits_per_coordinate,
            r.entropy_bits_per_coordinate,
            r.bits_per_coordinate / r.entropy_bits_per_coordinate,
            r.bytes as f64 / 1024.0,
        );
    }
    text
}
