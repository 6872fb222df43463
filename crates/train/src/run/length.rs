//! How long something lasts.

use std::fmt;
use std::str::FromStr;

use backburn_compress::text::serde_as_text;

/// `100steps` or `2.5epochs`; a number alone counts steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// Steps.
    Steps(u64),
    /// Passes over the data, of all workers together.
    Epochs(f64),
}

/// Why a text is no length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no length; there are `100steps` and `2.5epochs`")]
pub struct LengthError(String);

impl Length {
    /// In steps of so many examples, all workers' together, of a training set of `all`.
    pub fn steps(self, step: f64, all: usize) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            Self::Epochs(epochs) => ((epochs * all as f64 / step).round() as u64).max(1),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(steps) => write!(f, "{steps}steps"),
            Self::Epochs(epochs) => write!(f, "{epochs}epochs"),
        }
    }
}

impl FromStr for Length {
    type Err = LengthError;

    fn from_str(text: &str) -> Result<Self, LengthError> {
        let refused = || LengthError(text.into());
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &text[..text.len() - unit.len()];
        let length = match unit.trim() {
            "" | "step" | "steps" => Self::Steps(number.parse().map_err(|_| refused())?),
            "epoch" | "epochs" => Self::Epochs(number.parse().map_err(|_| refused())?),
            _ => return Err(refused()),
        };
        match length {
            Self::Steps(0) => Err(refused()),
            Self::Epochs(epochs) if !(epochs > 0.0 && epochs.is_finite()) => Err(refused()),
            length => Ok(length),
        }
    }
}

serde_as_text!(Length);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_back_and_what_is_none_is_refused() {
        for (text, length) in
            [("100", Length::Steps(100)), ("7steps", Length::Steps(7)), ("2.5epochs", Length::Epochs(2.5))]
        {
            assert_eq!(text.parse(), Ok(length));
            assert_eq!(length.to_string().parse(), Ok(length));
        }
        for text in ["", "0", "0epochs", "-1", "1.5steps", "1.2.3epochs", "3 days", "nan"] {
            let refused = text.parse::<Length>().unwrap_err().to_string();
            assert!(refused.contains("2.5epochs"), "{text}: {refused}");
        }
        assert_eq!((Length::Epochs(2.0).steps(8.0, 40), Length::Epochs(0.001).steps(8.0, 40)), (10, 1));
    }
}
