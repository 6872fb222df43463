//! Where an axis has its marks, and what they say.

/// A range of an axis in its own units (decades where it is logarithmic), and its marks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ticks {
    pub from: f64,
    pub to: f64,
    pub marks: Vec<f64>,
    log: bool,
}

impl Ticks {
    /// For values between these two, already in decades where `log`.
    pub fn new(low: f64, high: f64, log: bool) -> Self {
        let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
        let least = if log { 0.3 } else { 1e-9 * low.abs().max(1e-3) };
        let middle = 0.5 * (low + high);
        let half = (0.5 * (high - low)).max(0.5 * least);
        let (low, high) = (middle - half * 1.04, middle + half * 1.04);
        let marks = if log { decades(low, high) } else { even(low, high) };
        Self { from: low, to: high, marks, log }
    }

    /// What a mark says.
    pub fn say(&self, mark: f64) -> String {
        let value = if self.log { 10f64.powf(mark) } else { mark };
        let size = value.abs();
        if !self.log && (value == 0.0 || size < 1e-12 * (self.to - self.from).abs()) {
            return "0".into();
        }
        if self.log && (mark - mark.round()).abs() < 1e-9 && !(-3.0..5.0).contains(&mark) {
            return format!("1e{}", mark.round());
        }
        if (1e-3..1e5).contains(&size) {
            let step = self.marks.get(1).map_or(size, |m| if self.log { value } else { (m - self.marks[0]).abs() });
            let digits = (-(step.log10() + 1e-9).floor()).clamp(0.0, 6.0) as usize;
            return format!("{value:.digits$}");
        }
        format!("{value:.0e}")
    }
}

/// Four to eight round numbers.
fn even(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 6.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough).unwrap_or(rough);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last.min(first + 20)).map(|i| i as f64 * step).collect()
}

/// Powers of ten, thinned where there are many; within two decades also 2 and 5 times them.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.floor() as i64, high.ceil() as i64);
    let every = ((last - first) / 8 + 1).max(1);
    let parts: &[f64] = if high - low <= 2.2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let powers = (first..=last).filter(|p| p.rem_euclid(every) == 0);
    let marks = powers.flat_map(|p| parts.iter().map(move |m| p as f64 + m.log10()));
    let marks: Vec<f64> = marks.filter(|m| (low..=high).contains(m)).collect();
    if marks.len() > 1 || high - low > 2.2 {
        return marks;
    }
    // Too short for two of these: round numbers, as on any axis.
    even(10f64.powf(low), 10f64.powf(high)).into_iter().map(f64::log10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(low: f64, high: f64, log: bool) -> Vec<String> {
        let ticks = Ticks::new(low, high, log);
        ticks.marks.iter().map(|m| ticks.say(*m)).collect()
    }

    #[test]
    fn round_numbers() {
        assert_eq!(said(0.0, 1.0, false), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"].map(|s| s.replace("0.0", "0")));
        assert_eq!(said(0.0, 20000.0, false), ["0", "5000", "10000", "15000", "20000"]);
        assert_eq!(said(-3.0, 1.0, true), ["0.001", "0.01", "0.1", "1", "10"]);
        assert_eq!(said(0.0, 1.0, true), ["1", "2", "5", "10"]);
        assert_eq!(said(-12.0, 0.0, true), ["1e-12", "1e-10", "1e-8", "1e-6", "1e-4", "0.01", "1"]);
    }

    #[test]
    fn nothing_breaks_them() {
        for (low, high) in [(f64::INFINITY, f64::NEG_INFINITY), (0.0, 0.0), (5.0, 5.0), (-1e9, 1e9), (1e-9, 2e-9)] {
            for log in [false, true] {
                let ticks = Ticks::new(low.clamp(-1e9, 1e300), high, log);
                assert!(ticks.from < ticks.to, "{ticks:?}");
                assert!(ticks.marks.len() < 40);
            }
        }
    }
}
