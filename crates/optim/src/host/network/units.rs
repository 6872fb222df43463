//! Rates and durations as people write them: `100Mbit`, `20ms`.

/// Why a rate or a duration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// No number before the unit.
    #[error("`{text}` is no {what}: write a number and a unit, as `{example}`")]
    Number {
        /// Rate or duration.
        what: &'static str,
        /// What was written.
        text: String,
        /// One that is understood.
        example: &'static str,
    },
    /// A unit that is none.
    #[error("`{text}`: a {what} has one of the units {known}, as in `{example}`{hint}")]
    Unit {
        /// Rate or duration.
        what: &'static str,
        /// What was written.
        text: String,
        /// The known units.
        known: String,
        /// One that is understood.
        example: &'static str,
        /// A word about a usual mistake.
        hint: &'static str,
    },
    /// A number out of its range.
    #[error("`{text}`: a {what} must be a finite number that is {least}")]
    Range {
        /// Rate or duration.
        what: &'static str,
        /// What was written.
        text: String,
        /// Positive, or not negative.
        least: &'static str,
    },
}

/// A quantity and its units, each a name and how many base units it is: `Over` of smaller ones, so that `20ms` is the
/// number nearest to 0.02.
struct Quantity {
    what: &'static str,
    example: &'static str,
    units: &'static [(&'static str, Scale)],
    may_be_zero: bool,
}

#[derive(Clone, Copy)]
enum Scale {
    Times(f64),
    Over(f64),
}

impl Scale {
    fn into_base(self, x: f64) -> f64 {
        match self {
            Self::Times(by) => x * by,
            Self::Over(by) => x / by,
        }
    }

    fn of_base(self, x: f64) -> f64 {
        match self {
            Self::Times(by) => x / by,
            Self::Over(by) => x * by,
        }
    }
}

use Scale::{Over, Times};

/// Decimal, as networks and `tc` count: 1 kbit is 1000 bits.
const RATE: Quantity = Quantity {
    what: "rate",
    example: "100Mbit",
    units: &[
        ("Tbit", Times(1e12)),
        ("Gbit", Times(1e9)),
        ("Mbit", Times(1e6)),
        ("kbit", Times(1e3)),
        ("bit", Times(1.0)),
    ],
    may_be_zero: false,
};

const DURATION: Quantity = Quantity {
    what: "duration",
    example: "20ms",
    units: &[("s", Times(1.0)), ("ms", Over(1e3)), ("us", Over(1e6)), ("ns", Over(1e9))],
    may_be_zero: true,
};

impl Quantity {
    fn parse(&self, text: &str) -> Result<f64, UnitError> {
        let text = text.trim();
        let (what, example) = (self.what, self.example);
        let end = text.find(|c: char| c.is_alphabetic() && !matches!(c, 'e' | 'E')).unwrap_or(text.len());
        let number: f64 = match text[..end].trim().parse() {
            Ok(number) => number,
            Err(_) => return Err(UnitError::Number { what, text: text.into(), example }),
        };
        let unit = text[end..].replace('µ', "u");
        // `100Mbit/s` and `100Mbps` say the same.
        let unit =
            unit.strip_suffix("/s").or_else(|| unit.strip_suffix("ps").filter(|u| !u.is_empty())).unwrap_or(&unit);
        let unit = if self.what == RATE.what && unit.ends_with('b') { format!("{unit}it") } else { unit.to_string() };
        let known = self.units.iter().find(|(name, _)| name.eq_ignore_ascii_case(&unit));
        let Some((_, scale)) = known else {
            let known = self.units.iter().rev().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            let hint =
                if unit.ends_with('B') || unit.to_lowercase().ends_with("byte") { "; a byte is 8 bits" } else { "" };
            return Err(UnitError::Unit { what, text: text.into(), known, example, hint });
        };
        let value = scale.into_base(number);
        if value > 0.0 && value.is_finite() || self.may_be_zero && value == 0.0 {
            return Ok(value);
        }
        let least = if self.may_be_zero { "not negative" } else { "positive" };
        Err(UnitError::Range { what, text: text.into(), least })
    }

    /// In the largest unit that says it exactly with a number of at least 1; reads back as the same.
    fn show(&self, value: f64) -> String {
        let exact = |(_, scale): &&(&str, Scale)| {
            let shown = scale.of_base(value);
            shown >= 1.0 && scale.into_base(shown) == value
        };
        let base = || self.units.iter().find(|(_, scale)| matches!(scale, Times(1.0)));
        let (name, scale) = self.units.iter().find(exact).or_else(base).expect("every quantity has a base unit");
        format!("{}{name}", scale.of_base(value))
    }
}

/// Bits a second: `100Mbit`, `1Gbit`, `64kbit`; units are decimal, upper and lower case are one.
///
/// # Errors
/// Where it is no number, has no unit, or is not positive.
pub fn rate(text: &str) -> Result<f64, UnitError> {
    RATE.parse(text)
}

/// Seconds: `20ms`, `1.5s`, `80us`.
///
/// # Errors
/// Where it is no number, has no unit, or is negative.
pub fn duration(text: &str) -> Result<f64, UnitError> {
    DURATION.parse(text)
}

/// As [`rate`] reads it.
pub(super) fn show_rate(bits: f64) -> String {
    RATE.show(bits)
}

/// As [`duration`] reads it.
pub(super) fn show_duration(seconds: f64) -> String {
    DURATION.show(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decimal and never binary; bits and never bytes.
    #[test]
    fn units_are_what_networks_mean_by_them() {
        for (text, bits) in [
            ("1bit", 1.0),
            ("64kbit", 64e3),
            ("100Mbit", 1e8),
            ("100mbit", 1e8),
            ("100 Mbit/s", 1e8),
            ("100Mbps", 1e8),
            ("100Mb", 1e8),
            ("2.5Gbit", 2.5e9),
            ("1e3kbit", 1e6),
            ("1Tbit", 1e12),
        ] {
            assert_eq!(rate(text), Ok(bits), "{text}");
        }
        let seconds = [("20ms", 0.02), ("1.5s", 1.5), ("80us", 80e-6), ("80µs", 80e-6), ("0ms", 0.0), ("7ns", 7e-9)];
        seconds.into_iter().for_each(|(text, seconds)| assert_eq!(duration(text), Ok(seconds), "{text}"));
    }

    #[test]
    fn refusals_say_what_is_understood() {
        for (text, needle) in [
            ("Mbit", "`Mbit` is no rate: write a number and a unit, as `100Mbit`"),
            ("100", "units bit, kbit, Mbit, Gbit, Tbit"),
            ("100MB", "a byte is 8 bits"),
            ("100MiB/s", "a byte is 8 bits"),
            ("0Mbit", "must be a finite number that is positive"),
            ("-1Mbit", "positive"),
            ("infbit", "is no rate"),
            ("1e400bit", "finite"),
            ("", "is no rate"),
        ] {
            let said = rate(text).unwrap_err().to_string();
            assert!(said.contains(needle), "{text}: {said}");
        }
        for (text, needle) in [("20", "units ns, us, ms, s"), ("-1ms", "not negative"), ("20min", "units")] {
            let said = duration(text).unwrap_err().to_string();
            assert!(said.contains(needle), "{text}: {said}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for bits in [1.0, 0.3, 64e3, 1e8, 2.5e9, 1e12, 123_456_789.0, 1e8 / 3.0] {
            assert_eq!(rate(&show_rate(bits)), Ok(bits), "{}", show_rate(bits));
        }
        for seconds in [0.0, 0.02, 1.5, 80e-6, 1e-3 / 3.0, 7e-9, 1e-12] {
            assert_eq!(duration(&show_duration(seconds)), Ok(seconds), "{}", show_duration(seconds));
        }
        assert_eq!((show_rate(1e8).as_str(), show_duration(0.02).as_str()), ("100Mbit", "20ms"));
    }
}
