//! How often a run keeps what it has reached.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The distance between checkpoints: `5min`, `30s`, `2h`, `100steps` or `never`. A number alone counts steps.
///
/// A run that is stopped by a signal, that fails, or that ends keeps its last step whatever stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointEvery {
    /// Only the first and the last.
    Never,
    /// So many steps.
    Steps(u64),
    /// So much time on the clock.
    Time(Duration),
}

/// Why a text is no distance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no distance between checkpoints; there are `5min`, `30s`, `2h`, `100steps` and `never`")]
pub struct CheckpointEveryError(String);

/// Units of time, the longest first.
const UNITS: [(&str, u64); 3] = [("h", 3600), ("min", 60), ("s", 1)];

impl Default for CheckpointEvery {
    fn default() -> Self {
        Self::Time(Duration::from_secs(300))
    }
}

impl CheckpointEvery {
    /// Whether one is due by the clock alone.
    pub fn is_overdue(self, since: Duration) -> bool {
        matches!(self, Self::Time(every) if since >= every)
    }

    /// Whether one is due after so many steps, so long after the last.
    pub fn is_due(self, steps: u64, since: Duration) -> bool {
        match self {
            Self::Never => false,
            Self::Steps(every) => steps.is_multiple_of(every),
            Self::Time(every) => since >= every,
        }
    }
}

impl fmt::Display for CheckpointEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Steps(steps) => write!(f, "{steps}steps"),
            Self::Time(time) => {
                let seconds = time.as_secs();
                let (unit, long) =
                    UNITS.into_iter().find(|(_, long)| seconds.is_multiple_of(*long)).unwrap_or(UNITS[2]);
                write!(f, "{}{unit}", seconds / long)
            }
        }
    }
}

impl FromStr for CheckpointEvery {
    type Err = CheckpointEveryError;

    fn from_str(text: &str) -> Result<Self, CheckpointEveryError> {
        let refused = || CheckpointEveryError(text.into());
        if text == "never" {
            return Ok(Self::Never);
        }
        let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let number: u64 = text[..text.len() - digits.len()].parse().map_err(|_| refused())?;
        match digits.trim_start() {
            "" if number == 0 => Ok(Self::Never),
            _ if number == 0 => Err(refused()),
            "" | "step" | "steps" => Ok(Self::Steps(number)),
            unit => {
                let long = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?.1;
                Ok(Self::Time(Duration::from_secs(number.checked_mul(long).ok_or_else(refused)?)))
            }
        }
    }
}

impl Serialize for CheckpointEvery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From its text, or from a number of steps.
impl<'de> Deserialize<'de> for CheckpointEvery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(steps) => steps.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_back_and_what_is_none_is_refused() {
        for (text, shown) in [
            ("5min", "5min"),
            ("300s", "5min"),
            ("90 s", "90s"),
            ("7200s", "2h"),
            ("100", "100steps"),
            ("1step", "1steps"),
            ("0", "never"),
            ("never", "never"),
        ] {
            let read: CheckpointEvery = text.parse().unwrap();
            assert_eq!(read.to_string(), shown);
            assert_eq!(shown.parse(), Ok(read));
            assert_eq!(serde_json::from_str::<CheckpointEvery>(&format!("\"{text}\"")).unwrap(), read);
        }
        for text in
            ["", "min", "-1s", "5 minutes", "0s", "0steps", "1.5h", "99999999999999999999", "18446744073709551615h"]
        {
            let refused = text.parse::<CheckpointEvery>().unwrap_err().to_string();
            assert!(refused.contains("5min") && refused.contains("never"), "{text}: {refused}");
        }
    }

    #[test]
    fn what_is_due() {
        let second = Duration::from_secs(1);
        assert!(!CheckpointEvery::Never.is_due(100, 1000 * second));
        assert!(CheckpointEvery::Steps(3).is_due(6, second) && !CheckpointEvery::Steps(3).is_due(7, second));
        assert!(
            CheckpointEvery::Time(second).is_due(1, second) && !CheckpointEvery::Time(second).is_due(1, second / 2)
        );
    }
}
