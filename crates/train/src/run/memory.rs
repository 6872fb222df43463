//! How much memory a run needs, before it is taken.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use backburn_compress::AnyCompressor;
use backburn_optim::{AnyAlgorithm, SetupError};
use burn::tensor::Device;

use super::config::RunConfig;
use crate::data::{Examples, Split};
use crate::models::ModelError;

/// More memory than there is.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the run needs {needed}, and {limit} are there: fewer workers, a smaller model or a smaller batch need less", limit = Bytes(*.there))]
pub struct MemoryError {
    /// What it needs.
    pub needed: Estimate,
    /// How much there is.
    pub there: u64,
}

/// Why it is not known how much a run needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EstimateError {
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Method and compressor.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// How much memory a run may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryLimit {
    /// What the system has available, and the process's control groups and limits allow.
    #[default]
    Available,
    /// So many bytes.
    Bytes(u64),
    /// Whatever it needs.
    None,
}

impl MemoryLimit {
    /// In bytes, where it is known.
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Available => available(),
            Self::Bytes(bytes) => Some(bytes),
            Self::None => None,
        }
    }
}

/// Why a text is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no amount of memory; there are `available`, `none` and numbers such as `500MB` and `1.5GB`")]
pub struct MemoryLimitError(String);

const UNITS: [(&str, f64); 5] = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)];

impl FromStr for MemoryLimit {
    type Err = MemoryLimitError;

    fn from_str(text: &str) -> Result<Self, MemoryLimitError> {
        match text {
            "available" => return Ok(Self::Available),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let refused = || MemoryLimitError(text.into());
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number: f64 = text[..text.len() - unit.len()].parse().map_err(|_| refused())?;
        let of = |(name, _): &&(&str, f64)| name.eq_ignore_ascii_case(unit.trim());
        let (_, factor) = UNITS.iter().find(of).ok_or_else(refused)?;
        Ok(Self::Bytes((number * factor) as u64))
    }
}

/// What a run needs, about, part by part.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    parts: Vec<(&'static str, f64)>,
}

impl Estimate {
    /// Of a run on these data; `keeps` where it writes checkpoints.
    ///
    /// # Errors
    /// Where model, method and data do not go together.
    pub fn new(config: &RunConfig, split: &Split<Examples>, keeps: bool) -> Result<Self, EstimateError> {
        let (shape, classes) = (split.train.shape(), split.train.classes());
        let size = config.model.size(shape, classes, &Device::default())?;
        let rounds = Self::of_rounds(&config.algorithm, &config.compressor, config.workers, size.parameters)?;
        let (n, d) = (config.workers as f64, 4.0 * size.parameters as f64);
        // Replicas with their moments, and how far each came.
        let replicas = config.inner_optimizer().map_or(0.0, |inner| n * d * (1.0 + inner.moments()));
        let activations = 4.0 * config.model.activations(shape, classes) as f64;
        // Without a backward pass a layer's go when the next has them.
        let pass = (1.5 * activations * config.batch as f64).max(0.25 * activations * split.test.a_pass() as f64);
        // Shares and orders of them, each twice; and what every worker keeps of every parameter.
        let places = 40.0 * split.train.len() as f64 + n * (1000.0 + 300.0 * size.tensors as f64);
        let data = (split.train.bytes() + split.test.bytes()) as f64;
        let states = rounds.parts[0].1;
        let kept = if keeps { 2.0 * (d + states + replicas) } else { 0.0 };
        let mut parts = rounds.parts;
        parts.extend([
            ("replicas and their moments", replicas),
            ("the model and a pass through it", 3.0 * d + pass),
            ("data", data + places),
            ("a checkpoint", kept),
        ]);
        Ok(Self { parts })
    }

    /// Of rounds alone, of so many workers in one process on so many coordinates.
    ///
    /// # Errors
    /// Where method and compressor do not go together.
    pub fn of_rounds(
        algorithm: &AnyAlgorithm,
        compressor: &AnyCompressor,
        workers: usize,
        coordinates: usize,
    ) -> Result<Self, SetupError> {
        let footprint = algorithm.footprint(compressor)?;
        let (n, d) = (workers as f64, 4.0 * coordinates as f64);
        let nodes = if algorithm.is_gossip() { n } else { 1.0 };
        let states = d * (n * footprint.worker + nodes * footprint.shared);
        // A gradient of each worker waits until all have one; a message is held with its places and values unpacked.
        let exchange = n * d * (1.0 + 2.0 * footprint.said) + 2.0 * d;
        Ok(Self { parts: vec![("what methods keep", states), ("gradients and messages", exchange)] })
    }

    /// In all.
    pub fn bytes(&self) -> f64 {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }

    /// What each part needs, in bytes.
    pub fn parts(&self) -> &[(&'static str, f64)] {
        &self.parts
    }

    /// Refuses what is over the limit.
    ///
    /// # Errors
    /// Says how much is needed for what, and how much is there.
    pub fn check(&self, limit: MemoryLimit) -> Result<(), MemoryError> {
        match limit.bytes().filter(|there| self.bytes() > *there as f64) {
            Some(there) => Err(MemoryError { needed: self.clone(), there }),
            None => Ok(()),
        }
    }
}

/// `about 1.3 GB of memory (what methods keep 0.8 GB, …)`: the parts that count.
impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.bytes();
        write!(f, "about {} of memory", Bytes(all as u64))?;
        let mut parts: Vec<_> = self.parts.iter().filter(|(_, bytes)| *bytes >= 0.05 * all).collect();
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let parts: Vec<String> = parts.into_iter().map(|(what, b)| format!("{what} {}", Bytes(*b as u64))).collect();
        write!(f, " ({})", parts.join(", "))
    }
}

struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        let (unit, factor) = UNITS.into_iter().find(|(_, factor)| bytes >= *factor).unwrap_or(UNITS[4]);
        let value = bytes / factor;
        let digits = if value < 10.0 && factor > 1.0 { 1 } else { 0 };
        write!(f, "{value:.digits$} {unit}")
    }
}

/// Bytes that this process may still take: the least of what the system has available, what its control groups leave
/// and its limit of address space.
pub fn available() -> Option<u64> {
    available_by(Path::new("/proc"), Path::new("/sys/fs/cgroup"))
}

fn available_by(proc: &Path, cgroup: &Path) -> Option<u64> {
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    let number = |path: PathBuf| read(path).trim().parse::<u64>().ok();
    let (meminfo, groups, limits) =
        (read(proc.join("meminfo")), read(proc.join("self/cgroup")), read(proc.join("self/limits")));
    let mut least: Vec<u64> = Vec::new();
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    least.extend(kilobytes.map(|kilobytes| kilobytes * 1024));
    for group in groups.lines() {
        let mut fields = group.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        // The second version has one hierarchy, without a name; of the first the one of memory counts.
        let (root, limit, used) = match controllers {
            "" => (cgroup.to_path_buf(), "memory.max", "memory.current"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (cgroup.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes")
            }
            _ => continue,
        };
        // A limit of a group holds for all groups in it.
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let at = root.join(group);
            let left = |limit: u64| limit.saturating_sub(number(at.join(used)).unwrap_or(0));
            least.extend(number(at.join(limit)).map(left));
        }
    }
    let space = limits.lines().find_map(|line| line.strip_prefix("Max address space"));
    least.extend(space.and_then(|space| space.split_whitespace().next()?.parse::<u64>().ok()));
    least.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_all_limits_is_what_is_there() {
        let place = tempfile::tempdir().unwrap();
        let (proc, cgroup) = (place.path().join("proc"), place.path().join("cgroup"));
        let write = |path: PathBuf, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(available_by(&proc, &cgroup), None);
        write(proc.join("meminfo"), "MemTotal: 9 kB\nMemAvailable:    1000 kB\n");
        assert_eq!(available_by(&proc, &cgroup), Some(1_024_000));
        write(proc.join("self/limits"), "Limit Soft Hard\nMax address space         900000     unlimited bytes\n");
        assert_eq!(available_by(&proc, &cgroup), Some(900_000));
        write(proc.join("self/cgroup"), "0::/outer/inner\n");
        write(cgroup.join("outer/inner/memory.max"), "max\n");
        write(cgroup.join("outer/memory.max"), "700000\n");
        write(cgroup.join("outer/memory.current"), "200000\n");
        assert_eq!(available_by(&proc, &cgroup), Some(500_000));
        write(proc.join("self/cgroup"), "5:cpu:/x\n4:memory,swap:/job\n");
        write(cgroup.join("memory/job/memory.limit_in_bytes"), "300000\n");
        assert_eq!(available_by(&proc, &cgroup), Some(300_000));
    }

    #[test]
    fn what_workers_keep_between_rounds_counts() {
        let split = crate::data::load("fashion-embedded", &Default::default()).unwrap().into();
        let of = |algorithm: &str, inner| {
            let config = RunConfig { algorithm: algorithm.parse().unwrap(), inner, ..RunConfig::default() };
            Estimate::new(&config, &split, false).unwrap()
        };
        let part = |estimate: &Estimate| estimate.parts().iter().find(|(name, _)| name.contains("replicas")).unwrap().1;
        let adamw = part(&of("sparse-loco", None));
        assert_eq!(
            [part(&of("ef-sgd", None)), part(&of("sparse-loco", Some(super::super::Inner::Sgd)))],
            [0.0, adamw / 3.0]
        );
        assert!(adamw > 0.0 && of("sparse-loco", None).bytes() > of("ef-sgd", None).bytes() + 0.9 * adamw);
    }

    #[test]
    fn limits_are_read_and_what_is_none_is_refused() {
        let read = |text: &str| text.parse::<MemoryLimit>();
        assert_eq!(read("available"), Ok(MemoryLimit::Available));
        assert_eq!(read("none"), Ok(MemoryLimit::None));
        assert_eq!([read("500MB"), read("1.5 gb")], [500_000_000, 1_500_000_000].map(|b| Ok(MemoryLimit::Bytes(b))));
        for text in ["", "much", "-1GB", "5", "1.2.3GB", "GB"] {
            assert!(read(text).is_err_and(|e| e.to_string().contains("1.5GB")), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_figures() {
        let needed = Estimate { parts: vec![("data", 3e8), ("a checkpoint", 1.2e9), ("crumbs", 1.0)] };
        needed.check(MemoryLimit::Bytes(1_500_000_001)).unwrap();
        needed.check(MemoryLimit::None).unwrap();
        let said = needed.check(MemoryLimit::Bytes(200_000_000)).unwrap_err().to_string();
        let wanted = "the run needs about 1.5 GB of memory (a checkpoint 1.2 GB, data 300 MB), and 200 MB are there";
        assert!(said.starts_with(wanted), "{said}");
    }
}
