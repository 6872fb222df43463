//! The other processes of a run, each with workers of its own.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use backburn_optim::{Observation, PlanChoice, Traffic, Transport, TransportError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::config::RunConfig;
use super::error::RunError;

/// This process among those of a run; clones are the same process. Beside the messages of workers, which go over the
/// same transport, processes tell each other what a run reports and keeps.
#[derive(Clone)]
pub struct Ranks {
    rank: usize,
    size: usize,
    /// Whether the network may add up what adds up.
    fast_reduce: bool,
    transport: Arc<Mutex<dyn Transport + Send>>,
    /// Bytes sent to each other process, summed.
    sent: Arc<AtomicU64>,
}

impl std::fmt::Debug for Ranks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ranks({} of {})", self.rank, self.size)
    }
}

impl Ranks {
    /// The processes that this transport joins.
    pub fn new(transport: impl Transport + Send + 'static) -> Self {
        let (rank, size) = (transport.rank(), transport.size());
        Self { rank, size, fast_reduce: false, transport: Arc::new(Mutex::new(transport)), sent: Arc::default() }
    }

    /// Has the network add up messages that add up: see [`Encoded::with_fast_reduce`](backburn_optim::Encoded).
    pub fn with_fast_reduce(self, fast_reduce: bool) -> Self {
        Self { fast_reduce, ..self }
    }

    /// Whether the network may add up messages that add up.
    pub(super) fn is_fast(&self) -> bool {
        self.fast_reduce
    }

    /// Whether this process writes what a run writes once: metrics, weights, the summary.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// The plan, where it is by machines by those that the processes run on.
    pub fn on_machines(&self, plan: PlanChoice, workers: usize) -> PlanChoice {
        let each = NonZeroUsize::new(workers / self.size).unwrap_or(NonZeroUsize::MIN);
        self.machine().map_or(plan, |ranks| plan.on_machines(ranks.saturating_mul(each)))
    }

    /// The workers of this process among n.
    ///
    /// # Errors
    /// Where n is no multiple of the number of processes.
    pub(super) fn seats(&self, workers: usize) -> Result<Range<usize>, RunError> {
        let own = workers / self.size;
        if own * self.size != workers || own == 0 {
            return Err(RunError::Seats { workers, ranks: self.size });
        }
        Ok(own * self.rank..own * (self.rank + 1))
    }

    fn lock(&self) -> MutexGuard<'_, dyn Transport + Send + 'static> {
        self.transport.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What every process says, in their order.
    fn say(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, TransportError> {
        let all: Vec<usize> = (0..self.size).collect();
        self.clone().exchange(own, &all)
    }

    /// Bytes that all processes have sent to each other so far, whatever they were about: what a network between them has
    /// carried, but for its own headers.
    pub(super) fn sent(&self) -> Result<u64, TransportError> {
        Ok(self.share(&self.sent.load(Ordering::Relaxed))?.into_iter().sum())
    }

    fn count(&self, bytes: usize, listeners: usize) {
        self.sent.fetch_add((bytes * listeners) as u64, Ordering::Relaxed);
    }

    /// What every process says, as JSON.
    pub(super) fn share<T: Serialize + DeserializeOwned>(&self, own: &T) -> Result<Vec<T>, TransportError> {
        let bytes = serde_json::to_vec(own).map_err(TransportError::new)?;
        self.say(&bytes)?.iter().enumerate().map(|(rank, bytes)| from_json(rank, bytes)).collect()
    }

    /// Goes on only if all processes can.
    ///
    /// # Errors
    /// This process's own, or that of the first that cannot.
    pub(super) fn agree<T>(&self, own: Result<T, RunError>) -> Result<T, RunError> {
        let why = own.as_ref().err().map(ToString::to_string);
        let heard = self.share(&why);
        let own = own?;
        match heard?.into_iter().enumerate().find_map(|(rank, why)| Some((rank, why?))) {
            Some((rank, why)) => Err(RunError::Elsewhere { rank, why }),
            None => Ok(own),
        }
    }

    /// Compares what must be the same everywhere: the program, the configuration, the data.
    ///
    /// # Errors
    /// Names the first process that differs from the first of all, and in what.
    pub(super) fn compare(&self, config: &RunConfig, data: &str) -> Result<(), RunError> {
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        let table: toml::Table = toml::from_str(&config.to_toml()).unwrap_or_default();
        own.extend(table.iter().map(|(key, value)| (key.clone(), value.to_string())));
        // Where it computes, where its data lies, and when the first process keeps what is reached.
        ["device", "data_dir", "checkpoint_every"].iter().for_each(|key| drop(own.remove(*key)));
        own.insert("contents of the data".into(), data.into());
        own.insert("version of Backburn".into(), env!("CARGO_PKG_VERSION").into());
        let all = self.share(&own)?;
        let Some(first) = all.first() else { return Ok(()) };
        for (rank, theirs) in all.iter().enumerate() {
            for what in first.keys().chain(theirs.keys()) {
                let say = |of: &BTreeMap<String, String>| of.get(what).cloned().unwrap_or("none".into());
                if first.get(what) != theirs.get(what) {
                    return Err(RunError::Differs { rank, what: what.clone(), there: say(theirs), here: say(first) });
                }
            }
        }
        Ok(())
    }

    /// What the workers of all processes owe.
    pub(super) fn observe(&self, own: &Observation) -> Result<Observation, TransportError> {
        // As bits: JSON has no NaN.
        let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect();
        let own: [Vec<u64>; 3] = [bits(&own.residual_norms), bits(&own.contractions), bits(&own.densities)];
        let part = |bits: [Vec<u64>; 3]| {
            let [residual_norms, contractions, densities] =
                bits.map(|bits| bits.into_iter().map(f64::from_bits).collect());
            Observation { residual_norms, contractions, densities }
        };
        let own = serde_json::to_vec(&own).map_err(TransportError::new)?;
        let read = |(rank, bytes): (usize, &Vec<u8>)| match bytes.as_slice() {
            [] => Ok(Default::default()),
            bytes => from_json(rank, bytes),
        };
        let all: Vec<[Vec<u64>; 3]> = self.say(&own)?.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Observation::join(all.into_iter().map(part)))
    }

    /// Every node's x, in the order of the workers.
    pub(super) fn nodes(&self, own: &[&[f32]]) -> Result<Vec<Vec<f32>>, TransportError> {
        let bytes: Vec<u8> = own.iter().flat_map(|x| x.iter().flat_map(|x| x.to_le_bytes())).collect();
        let len = own.first().map_or(0, |x| 4 * x.len()).max(1);
        let heard = self.say(&bytes)?;
        let floats = |x: &[u8]| x.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
        Ok(heard.iter().flat_map(|bytes| bytes.chunks(len).map(floats)).collect())
    }

    /// From here on those that a step has not waited for take part again.
    pub(super) fn rejoin(&self) {
        self.lock().rejoin();
    }

    /// What came of a step in all processes; nothing in those that it has not waited for.
    pub(super) fn report(&self, own: &Report) -> Result<Vec<Report>, TransportError> {
        let heard = self.say(&own.to_bytes())?;
        let read = |(rank, bytes): (usize, &Vec<u8>)| match bytes.as_slice() {
            [] => Ok(Report::default()),
            bytes => Report::from_bytes(bytes).map_err(|why| malformed(rank, &why)),
        };
        heard.iter().enumerate().map(read).collect()
    }
}

fn from_json<T: DeserializeOwned>(rank: usize, bytes: &[u8]) -> Result<T, TransportError> {
    serde_json::from_slice(bytes).map_err(|error| malformed(rank, &error.to_string()))
}

fn malformed(rank: usize, why: &str) -> TransportError {
    TransportError::new(format!("what rank {rank} reports is not understood: {why}"))
}

impl Transport for Ranks {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
        self.count(message.len(), from.iter().filter(|rank| **rank != self.rank).count());
        self.lock().exchange(message, from)
    }

    fn all_to_all(&mut self, messages: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, TransportError> {
        let own = messages.get(self.rank).map_or(0, Vec::len);
        self.count(messages.iter().map(Vec::len).sum::<usize>() - own, 1);
        self.lock().all_to_all(messages)
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        self.count(1, self.size - 1);
        self.lock().all(yes)
    }

    fn sum(&mut self, numbers: Vec<f32>) -> Result<Option<Vec<f32>>, TransportError> {
        // As around a ring.
        self.count(8 * numbers.len() / self.size, self.size - 1);
        self.lock().sum(numbers)
    }

    fn machine(&self) -> Option<NonZeroUsize> {
        self.lock().machine()
    }

    fn muster(&mut self, yes: bool) -> Result<(bool, Vec<usize>), TransportError> {
        self.count(1, self.size - 1);
        self.lock().muster(yes)
    }

    fn is_late(&mut self) -> bool {
        self.lock().is_late()
    }

    fn rejoin(&mut self) {
        self.lock().rejoin();
    }
}

/// What a process wishes, which all do once one wishes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wish {
    /// To stop after this step.
    pub stop: bool,
    /// To keep what this step reaches.
    pub keep: bool,
}

/// What came of a step in one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// Each worker's mean loss of its first gradient.
    pub losses: Vec<Option<f64>>,
    /// Each worker's batch statistics after it.
    pub statistics: Vec<Option<Vec<f32>>>,
    /// Why the step has diverged, where it has.
    pub diverged: Option<String>,
    /// Why this process cannot go on, where that is no divergence and the others have not seen it.
    pub failed: Option<String>,
    /// What was sent, where a process knows only of its own.
    pub traffic: Option<Traffic>,
    pub wish: Wish,
}

/// A report but for its statistics, which follow as they are.
#[derive(Serialize, Deserialize)]
struct Head {
    /// As bits: JSON has no NaN.
    losses: Vec<Option<u64>>,
    /// Numbers of each worker's statistics.
    statistics: Vec<Option<usize>>,
    diverged: Option<String>,
    failed: Option<String>,
    traffic: Option<Traffic>,
    wish: Wish,
}

impl Report {
    fn to_bytes(&self) -> Vec<u8> {
        let head = Head {
            losses: self.losses.iter().map(|loss| loss.map(f64::to_bits)).collect(),
            statistics: self.statistics.iter().map(|own| own.as_ref().map(Vec::len)).collect(),
            diverged: self.diverged.clone(),
            failed: self.failed.clone(),
            traffic: self.traffic.clone(),
            wish: self.wish,
        };
        let mut bytes = serde_json::to_vec(&head).expect("texts and numbers");
        // No text of JSON has this byte.
        bytes.push(b'\n');
        bytes.extend(self.statistics.iter().flatten().flatten().flat_map(|x| x.to_le_bytes()));
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no end")?;
        let head: Head = serde_json::from_slice(&bytes[..end]).map_err(|error| error.to_string())?;
        let mut rest = &bytes[end + 1..];
        let mut take = |len: usize| {
            let (own, after) = len.checked_mul(4).and_then(|len| rest.split_at_checked(len)).ok_or("it is cut off")?;
            rest = after;
            Ok::<_, String>(own.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect())
        };
        let statistics = head.statistics.iter().map(|len| len.map(&mut take).transpose()).collect::<Result<_, _>>()?;
        if !rest.is_empty() {
            return Err("bytes follow it".into());
        }
        let losses = head.losses.iter().map(|bits| bits.map(f64::from_bits)).collect();
        let Head { diverged, failed, traffic, wish, .. } = head;
        Ok(Self { losses, statistics, diverged, failed, traffic, wish })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_keep_every_bit() {
        let report = Report {
            losses: vec![Some(f64::NAN), None, Some(0.1)],
            statistics: vec![Some(vec![1.5, -0.0, f32::MIN_POSITIVE]), None, Some(vec![])],
            diverged: Some("a line\nand another".into()),
            failed: None,
            traffic: None,
            wish: Wish { stop: true, keep: false },
        };
        let bytes = report.to_bytes();
        let read = Report::from_bytes(&bytes).unwrap();
        assert_eq!(format!("{read:?}"), format!("{report:?}"));
        assert_eq!(read.to_bytes(), bytes);
        for broken in [&bytes[..bytes.len() - 1], &[bytes.as_slice(), b"x"].concat(), b"", b"\n"] {
            assert!(Report::from_bytes(broken).is_err());
        }
    }
}
