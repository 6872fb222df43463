//! Numbers and times as people read them.

use std::time::Duration;

/// A number with four significant figures.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    if !(1e-3..1e5).contains(&size) {
        return format!("{value:.2e}");
    }
    let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// `2 h 5 min`, `3 min 20 s` or `12 s`.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers() {
        let numbers = [0.0, 1.0, 0.123456, 12345.6, -0.5, 1.0e-7, 123456.0, f64::INFINITY];
        let texts = ["0", "1", "0.1235", "12346", "-0.5", "1.00e-7", "1.23e5", "inf"];
        numbers.iter().zip(texts).for_each(|(n, t)| assert_eq!(short(*n), t));
    }
}
