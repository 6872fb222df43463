//! Who gets which example.

use std::fmt;
use std::str::FromStr;

use backburn_compress::Philox;
use backburn_compress::text::nearest;
use serde::{Deserialize, Serialize};

use super::draws::{Purpose, gamma, shuffle};

/// How often a Dirichlet partition that leaves a worker with nothing is drawn anew.
const ATTEMPTS: u64 = 100;

/// How examples are dealt to workers.
///
/// Its text is `iid`, `by-class` or `dirichlet:ALPHA`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Partition {
    /// Shuffled, then dealt in turn: sizes differ by one at most.
    #[default]
    Iid,
    /// Each worker has its own classes. With more classes than workers each gets a run of
    /// neighbouring ones; with more workers than classes, workers share a class.
    ByClass,
    /// Each class is divided by proportions drawn from a symmetric Dirichlet distribution (Hsu, Qi,
    /// Brown: *Measuring the effects of non-identical data distribution*, 2019). A small
    /// concentration gives most of a class to few workers; a large one approaches [`Iid`](Self::Iid).
    Dirichlet(f64),
}

/// Why examples cannot be dealt.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionError {
    /// The text names no partition.
    #[error(
        "`{0}` is no partition; {meant}there are iid, by-class and dirichlet:ALPHA with ALPHA > 0, for example dirichlet:0.3",
        meant = nearest(.0, ["iid", "by-class", "dirichlet"]).map(|word| format!("did you mean `{word}`? ")).unwrap_or_default()
    )]
    Unknown(String),
    /// There must be a worker.
    #[error("there must be at least one worker")]
    NoWorkers,
    /// Some worker would get nothing.
    #[error("{examples} examples are not enough for {workers} workers")]
    TooFew {
        /// Examples there are.
        examples: usize,
        /// Workers there are.
        workers: usize,
    },
    /// A class has fewer examples than workers that share it.
    #[error("class {class} has {examples} examples for {workers} workers")]
    TooFewOfClass {
        /// The class.
        class: u8,
        /// Its examples.
        examples: usize,
        /// The workers that share it.
        workers: usize,
    },
    /// Every draw left a worker with nothing.
    #[error(
        "dirichlet:{alpha} left one of {workers} workers without examples in each of {ATTEMPTS} draws: use a larger concentration or fewer workers"
    )]
    Starved {
        /// The concentration.
        alpha: f64,
        /// Workers there are.
        workers: usize,
    },
    /// The concentration is not a positive number.
    #[error("a Dirichlet concentration must be positive and finite, not {0}")]
    Concentration(f64),
}

impl Partition {
    /// The indices of each worker's examples, ascending: disjoint, together all of them, none empty,
    /// and the same for the same seed.
    ///
    /// # Errors
    /// Where some worker would get nothing.
    pub fn split(self, labels: &[u8], workers: usize, seed: u64) -> Result<Vec<Vec<usize>>, PartitionError> {
        let examples = labels.len();
        if workers == 0 {
            return Err(PartitionError::NoWorkers);
        }
        if examples < workers {
            return Err(PartitionError::TooFew { examples, workers });
        }
        let mut shards = match self {
            Self::Iid => deal(all(examples, seed), workers),
            Self::ByClass => by_class(labels, workers, seed)?,
            Self::Dirichlet(alpha) => dirichlet(alpha, labels, workers, seed)?,
        };
        shards.iter_mut().for_each(|shard| shard.sort_unstable());
        Ok(shards)
    }
}

fn all(examples: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..examples).collect();
    shuffle(&mut order, &mut Philox::new(Purpose::Partition.key(seed, None, 0)));
    order
}

fn deal(items: Vec<usize>, workers: usize) -> Vec<Vec<usize>> {
    let mut shards = vec![Vec::new(); workers];
    items.into_iter().enumerate().for_each(|(i, item)| shards[i % workers].push(item));
    shards
}

/// The shuffled examples of each class that occurs, classes ascending.
fn classes(labels: &[u8], seed: u64) -> Vec<(u8, Vec<usize>)> {
    let mut classes = vec![Vec::new(); 256];
    all(labels.len(), seed).into_iter().for_each(|i| classes[usize::from(labels[i])].push(i));
    (0..=255).zip(classes).filter(|(_, examples)| !examples.is_empty()).collect()
}

fn by_class(labels: &[u8], workers: usize, seed: u64) -> Result<Vec<Vec<usize>>, PartitionError> {
    let classes = classes(labels, seed);
    let count = classes.len();
    let mut shards = vec![Vec::new(); workers];
    for (c, (class, examples)) in classes.into_iter().enumerate() {
        // Classes and workers lie on one axis, cut evenly; the finer one is dealt to the coarser.
        let first = c * workers / count;
        let owners = first..((c + 1) * workers / count).max(first + 1);
        if examples.len() < owners.len() {
            return Err(PartitionError::TooFewOfClass { class, examples: examples.len(), workers: owners.len() });
        }
        for (i, shard) in deal(examples, owners.len()).into_iter().enumerate() {
            shards[owners.start + i].extend(shard);
        }
    }
    Ok(shards)
}

fn dirichlet(alpha: f64, labels: &[u8], workers: usize, seed: u64) -> Result<Vec<Vec<usize>>, PartitionError> {
    if !(alpha.is_finite() && alpha > 0.0) {
        return Err(PartitionError::Concentration(alpha));
    }
    let classes = classes(labels, seed);
    for attempt in 1..=ATTEMPTS {
        let mut random = Philox::new(Purpose::Partition.key(seed, None, attempt));
        let mut shards = vec![Vec::new(); workers];
        for (_, examples) in &classes {
            let cuts = cuts(alpha, examples.len(), workers, &mut random);
            for (shard, cut) in shards.iter_mut().zip(cuts.windows(2)) {
                shard.extend_from_slice(&examples[cut[0]..cut[1]]);
            }
        }
        if shards.iter().all(|shard| !shard.is_empty()) {
            return Ok(shards);
        }
    }
    Err(PartitionError::Starved { alpha, workers })
}

/// `workers` + 1 places that cut `n` examples by drawn proportions.
fn cuts(alpha: f64, n: usize, workers: usize, random: &mut Philox) -> Vec<usize> {
    let mut shares: Vec<f64> = (0..workers).map(|_| gamma(alpha, random)).collect();
    let total: f64 = shares.iter().sum();
    if total <= 0.0 {
        // All underflowed, which a tiny concentration does: its limit gives all to one worker.
        shares[random.below(workers as u32) as usize] = 1.0;
    }
    let total: f64 = shares.iter().sum();
    let mut sum = 0.0;
    let inner = shares.iter().map(|share| {
        sum += share;
        ((sum / total * n as f64).round() as usize).min(n)
    });
    let mut cuts: Vec<usize> = std::iter::once(0).chain(inner).collect();
    cuts[workers] = n;
    cuts
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iid => f.write_str("iid"),
            Self::ByClass => f.write_str("by-class"),
            Self::Dirichlet(alpha) => write!(f, "dirichlet:{alpha}"),
        }
    }
}

impl FromStr for Partition {
    type Err = PartitionError;

    fn from_str(text: &str) -> Result<Self, PartitionError> {
        let unknown = || PartitionError::Unknown(text.into());
        match text {
            "iid" => Ok(Self::Iid),
            "by-class" => Ok(Self::ByClass),
            _ => {
                let alpha: f64 = text.strip_prefix("dirichlet:").and_then(|a| a.parse().ok()).ok_or_else(unknown)?;
                match alpha.is_finite() && alpha > 0.0 {
                    true => Ok(Self::Dirichlet(alpha)),
                    false => Err(PartitionError::Concentration(alpha)),
                }
            }
        }
    }
}

impl TryFrom<String> for Partition {
    type Error = PartitionError;

    fn try_from(text: String) -> Result<Self, PartitionError> {
        text.parse()
    }
}

impl From<Partition> for String {
    fn from(partition: Partition) -> Self {
        partition.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [Partition; 4] =
        [Partition::Iid, Partition::ByClass, Partition::Dirichlet(0.3), Partition::Dirichlet(100.0)];

    fn labels() -> Vec<u8> {
        (0..1_000).map(|i| (i * 7 % 10) as u8).collect()
    }

    fn seen(labels: &[u8], shard: &[usize]) -> BTreeSet<u8> {
        shard.iter().map(|i| labels[*i]).collect()
    }

    #[test]
    fn every_example_has_one_owner() {
        let labels = labels();
        for partition in ALL {
            for workers in [1, 2, 3, 7, 10, 13, 25] {
                let shards = partition.split(&labels, workers, 5).unwrap();
                assert_eq!(shards.len(), workers);
                assert!(shards.iter().all(|shard| !shard.is_empty() && shard.is_sorted()), "{partition} {workers}");
                let mut dealt = shards.concat();
                dealt.sort_unstable();
                assert!(dealt.into_iter().eq(0..labels.len()), "{partition} {workers}");
                assert_eq!(partition.split(&labels, workers, 5).unwrap(), shards);
            }
            let differs = partition.split(&labels, 4, 5) != partition.split(&labels, 4, 6);
            // Whole classes do not depend on the seed.
            assert_eq!(differs, partition != Partition::ByClass, "{partition}");
        }
    }

    #[test]
    fn classes_stay_together() {
        let labels = labels();
        let ten = Partition::ByClass.split(&labels, 10, 1).unwrap();
        ten.iter().zip(0..).for_each(|(shard, class)| assert_eq!(seen(&labels, shard), BTreeSet::from([class])));
        let three = Partition::ByClass.split(&labels, 3, 1).unwrap();
        assert_eq!(seen(&labels, &three[0]), BTreeSet::from([0, 1, 2, 3]));
        for workers in [11, 20, 29] {
            let many = Partition::ByClass.split(&labels, workers, 1).unwrap();
            assert!(many.iter().all(|shard| seen(&labels, shard).len() == 1), "{workers}");
        }
    }

    #[test]
    fn concentration_skews() {
        let labels = labels();
        let largest = |alpha| {
            let shards = Partition::Dirichlet(alpha).split(&labels, 5, 3).unwrap();
            let zeros = |shard: &Vec<usize>| shard.iter().filter(|i| labels[**i] == 0).count();
            shards.iter().map(zeros).max().unwrap()
        };
        assert!(largest(1000.0) < 30, "{}", largest(1000.0));
        assert!(largest(0.1) > 40, "{}", largest(0.1));
    }

    #[test]
    fn too_little_is_an_error() {
        let iid = Partition::Iid;
        assert_eq!(iid.split(&[0, 1], 0, 1), Err(PartitionError::NoWorkers));
        assert_eq!(iid.split(&[0, 1], 3, 1), Err(PartitionError::TooFew { examples: 2, workers: 3 }));
        let lonely = [0, 1, 1, 1];
        assert!(matches!(
            Partition::ByClass.split(&lonely, 4, 1),
            Err(PartitionError::TooFewOfClass { class: 0, examples: 1, workers: 2 })
        ));
        assert!(matches!(Partition::Dirichlet(1e-6).split(&labels(), 50, 1), Err(PartitionError::Starved { .. })));
        assert!(matches!(Partition::Dirichlet(0.0).split(&labels(), 2, 1), Err(PartitionError::Concentration(_))));
    }

    #[test]
    fn text_and_serde_agree() {
        for partition in ALL {
            assert_eq!(partition.to_string().parse(), Ok(partition));
            let json = serde_json::to_string(&partition).unwrap();
            assert_eq!(json, format!("\"{partition}\""));
            assert_eq!(serde_json::from_str::<Partition>(&json).unwrap(), partition);
        }
        let unknown = "random".parse::<Partition>().unwrap_err().to_string();
        assert!(unknown.contains("by-class") && unknown.contains("dirichlet:0.3"), "{unknown}");
        assert!("dirichlet:-1".parse::<Partition>().is_err());
        assert!("dirichlet:".parse::<Partition>().is_err());
    }
}
