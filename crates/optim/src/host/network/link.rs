//! One host's link to the others.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::units::{self, UnitError, duration, rate, show_duration, show_rate};

/// Why a link was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A rate or a duration.
    #[error("link: {0}")]
    Unit(#[from] UnitError),
    /// Something else than rate, latency and options.
    #[error(
        "link: unknown option `{0}`; a link is `RATE[,LATENCY][,down=RATE]`, as `100Mbit,20ms` or `1Gbit,1ms,down=50Mbit`"
    )]
    Option(String),
    /// A part that is said more than once.
    #[error("link: its {0} is given twice")]
    Twice(&'static str),
    /// A number of links that is not that of the workers.
    #[error(
        "{links} links for {workers} workers: give one for all of them, or one each (`8*100Mbit,1ms;10Mbit,50ms` are nine)"
    )]
    Count {
        /// Links given.
        links: usize,
        /// n.
        workers: usize,
    },
    /// How often a link is repeated.
    #[error("links: `{0}` is no number of workers between 1 and 1000000")]
    Repeat(String),
}

/// A host's link: what it can send and receive at the same time, and how long a byte travels.
///
/// ```
/// use backburn_optim::Link;
///
/// let link: Link = "100Mbit,20ms,down=1Gbit".parse()?;
/// assert_eq!(link, Link::new(100e6)?.with_latency(0.02)?.with_down(1e9)?);
/// assert_eq!(link.to_string(), "100Mbit,20ms,down=1Gbit");
/// # Ok::<(), backburn_optim::LinkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Link {
    up: f64,
    down: f64,
    latency: f64,
}

impl Link {
    /// So many bits a second each way, at once.
    ///
    /// # Errors
    /// Where that is no positive number.
    pub fn new(bits: f64) -> Result<Self, LinkError> {
        let bits = rate(&show_rate(bits))?;
        Ok(Self { up: bits, down: bits, latency: 0.0 })
    }

    /// So many bits a second towards this host.
    ///
    /// # Errors
    /// Where that is no positive number.
    pub fn with_down(self, bits: f64) -> Result<Self, LinkError> {
        Ok(Self { down: rate(&show_rate(bits))?, ..self })
    }

    /// Seconds from this host to another: half of what `ping` says.
    ///
    /// # Errors
    /// Where that is negative or not finite.
    pub fn with_latency(self, seconds: f64) -> Result<Self, LinkError> {
        Ok(Self { latency: duration(&show_duration(seconds))?, ..self })
    }

    /// Bits a second away from this host.
    pub fn up(&self) -> f64 {
        self.up
    }

    /// Bits a second towards this host.
    pub fn down(&self) -> f64 {
        self.down
    }

    /// Seconds from this host to another.
    pub fn latency(&self) -> f64 {
        self.latency
    }

    /// Seconds of one phase in which this host sends and receives so many bytes, both at once, over so many hops one
    /// after the other.
    pub fn seconds(&self, out: f64, into: f64, hops: f64) -> f64 {
        hops * self.latency + f64::max(8.0 * out / self.up, 8.0 * into / self.down)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show_rate(self.up))?;
        if self.latency > 0.0 {
            write!(f, ",{}", show_duration(self.latency))?;
        }
        if self.down != self.up {
            write!(f, ",down={}", show_rate(self.down))?;
        }
        Ok(())
    }
}

impl FromStr for Link {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let mut parts = text.split(',').map(str::trim);
        let up = rate(parts.next().unwrap_or(""))?;
        let (mut down, mut latency) = (None, None);
        for part in parts {
            let (place, value, name) = match part.split_once('=') {
                Some((key, value)) if key.trim() == "down" => (&mut down, units::rate(value)?, "rate down"),
                Some((key, value)) if key.trim() == "latency" => (&mut latency, duration(value)?, "latency"),
                Some(_) => return Err(LinkError::Option(part.into())),
                None => (&mut latency, duration(part)?, "latency"),
            };
            if place.replace(value).is_some() {
                return Err(LinkError::Twice(name));
            }
        }
        Ok(Self { up, down: down.unwrap_or(up), latency: latency.unwrap_or(0.0) })
    }
}

impl TryFrom<String> for Link {
    type Error = LinkError;

    fn try_from(text: String) -> Result<Self, LinkError> {
        text.parse()
    }
}

impl From<Link> for String {
    fn from(link: Link) -> Self {
        link.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_serde_agree() {
        for text in ["100Mbit,20ms", "1Gbit,1ms,down=50Mbit", "64kbit", "10Mbit,down=1Mbit"] {
            let link: Link = text.parse().unwrap();
            assert_eq!(link.to_string(), text);
            assert_eq!(serde_json::to_string(&link).unwrap(), format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Link>(&format!("\"{text}\"")).unwrap(), link);
        }
        assert_eq!("1Gbit, latency=2ms".parse::<Link>().unwrap().to_string(), "1Gbit,2ms");
    }

    #[test]
    fn refusals_say_what_is_understood() {
        for (text, needle) in [
            ("", "as `100Mbit`"),
            ("20ms", "units bit"),
            ("1Gbit,1ms,up=3Mbit", "unknown option `up=3Mbit`"),
            ("1Gbit,1ms,2ms", "latency is given twice"),
            ("1Gbit,50Mbit", "a duration has one of the units"),
        ] {
            let said = text.parse::<Link>().unwrap_err().to_string();
            assert!(said.contains(needle), "{text}: {said}");
        }
        assert!(Link::new(f64::NAN).is_err() && Link::new(0.0).is_err());
        assert!(Link::new(1e6).unwrap().with_latency(-1.0).is_err());
    }

    /// 12.5 MB are 100 Mbit.
    #[test]
    fn bytes_are_eight_bits() {
        let link: Link = "100Mbit,20ms,down=50Mbit".parse().unwrap();
        assert_eq!(link.seconds(12.5e6, 0.0, 0.0), 1.0);
        assert_eq!(link.seconds(12.5e6, 12.5e6, 1.0), 2.02, "both at once, the slower decides");
    }
}
