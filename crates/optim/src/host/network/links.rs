//! The links of all workers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::link::{Link, LinkError};

/// More workers than anybody will simulate, and fewer than memory holds.
const MOST: usize = 1_000_000;

/// One link for every worker, or one each, in the order of the workers: `100Mbit,20ms`, or
/// `3*1Gbit,1ms;10Mbit,50ms`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Links(Vec<Link>);

impl Links {
    /// One each; one alone is everybody's.
    ///
    /// # Errors
    /// Where there is none.
    pub fn each(links: Vec<Link>) -> Result<Self, LinkError> {
        if links.is_empty() { Err(LinkError::Repeat("0".into())) } else { Ok(Self(links)) }
    }

    /// Whether they are those of so many workers.
    ///
    /// # Errors
    /// Where there is neither one for all nor one each.
    pub fn check(&self, workers: usize) -> Result<(), LinkError> {
        match self.0.len() {
            1 => Ok(()),
            links if links == workers => Ok(()),
            links => Err(LinkError::Count { links, workers }),
        }
    }

    /// A worker's.
    pub fn of(&self, worker: usize) -> &Link {
        self.0.get(worker).unwrap_or(&self.0[self.0.len() - 1])
    }

    /// Those of the first worker of every machine of so many.
    pub fn of_machines(&self, workers: usize) -> Self {
        let first: Vec<Link> = self.0.iter().step_by(workers.max(1)).copied().collect();
        Self(first)
    }

    /// Seconds of a phase, which waits for the slowest worker: what each sends and receives, and the hops.
    pub(super) fn slowest(&self, loads: impl Iterator<Item = (f64, f64)>, hops: f64) -> f64 {
        loads.enumerate().map(|(w, (out, into))| self.of(w).seconds(out, into, hops)).fold(0.0, f64::max)
    }
}

impl From<Link> for Links {
    fn from(link: Link) -> Self {
        Self(vec![link])
    }
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, run) in self.0.chunk_by(|a, b| a == b).enumerate() {
            if i > 0 {
                f.write_str(";")?;
            }
            match run.len() {
                1 => write!(f, "{}", run[0])?,
                n => write!(f, "{n}*{}", run[0])?,
            }
        }
        Ok(())
    }
}

impl FromStr for Links {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let mut links = Vec::new();
        for part in text.split(';') {
            let (count, link) = match part.split_once('*') {
                None => (1, part),
                Some((count, link)) => {
                    let repeat = || LinkError::Repeat(count.trim().into());
                    let number: usize = count.trim().parse().map_err(|_| repeat())?;
                    (Some(number).filter(|n| (1..=MOST - links.len()).contains(n)).ok_or_else(repeat)?, link)
                }
            };
            let link: Link = link.parse()?;
            links.extend(std::iter::repeat_n(link, count));
        }
        Ok(Self(links))
    }
}

impl TryFrom<String> for Links {
    type Error = LinkError;

    fn try_from(text: String) -> Result<Self, LinkError> {
        text.parse()
    }
}

impl From<Links> for String {
    fn from(links: Links) -> Self {
        links.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_back_and_counts() {
        for (text, n) in [("100Mbit,20ms", 1), ("3*1Gbit,1ms;10Mbit,50ms", 4), ("1Gbit;2*2Gbit,down=1Gbit", 3)] {
            let links: Links = text.parse().unwrap();
            assert_eq!((links.0.len(), links.to_string().as_str()), (n, text));
        }
        let links: Links = "3*1Gbit,1ms;10Mbit,50ms".parse().unwrap();
        assert_eq!(links.of(3).up(), 10e6);
        links.check(4).unwrap();
        assert!(links.check(5).unwrap_err().to_string().starts_with("4 links for 5 workers"));
        for text in ["0*1Gbit", "x*1Gbit", "2000000*1Gbit", "1Gbit;", "-1*1Gbit"] {
            assert!(text.parse::<Links>().is_err(), "{text}");
        }
    }
}
