//! What was sent, and how much of what was to be said was said, as metrics of burn-train.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ::burn::tensor::TensorReadError;
use ::burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry, SerializedEntry,
};

use crate::burn::probe::Probe;
use crate::host::Bytes;

/// Sums since a training began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Steps taken.
    pub steps: u64,
    /// What a worker has sent and received, the mean over workers.
    pub bytes: Bytes<f64>,
    /// Measurements of the contraction, and their sum.
    pub contractions: (u64, f64),
}

/// What metrics read: the [`Meter`] of a [`GroupStrategy`](super::GroupStrategy), the [`Probe`] of an optimizer.
pub trait Metered: Send + Sync {
    /// The sums so far.
    fn reading(&self) -> Reading;
}

impl Metered for Probe {
    fn reading(&self) -> Reading {
        let bytes = Bytes { up: self.bytes_up() as f64, down: 0.0 };
        Reading { steps: self.rounds(), bytes, ..Reading::default() }
    }
}

/// The sums of a training on a group of workers, kept up to date by its strategy.
#[derive(Debug, Default)]
pub struct Meter {
    steps: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    measured: AtomicU64,
    contraction: AtomicU64,
}

impl Meter {
    pub(super) fn step(&self, bytes: Bytes<f64>, contraction: Option<f64>) {
        // One thread writes.
        let add = |sum: &AtomicU64, x: f64| sum.store((f64::from_bits(sum.load(Relaxed)) + x).to_bits(), Relaxed);
        add(&self.up, bytes.up);
        add(&self.down, bytes.down);
        if let Some(contraction) = contraction {
            add(&self.contraction, contraction);
            self.measured.fetch_add(1, Relaxed);
        }
        self.steps.fetch_add(1, Relaxed);
    }
}

impl Metered for Meter {
    fn reading(&self) -> Reading {
        let real = |sum: &AtomicU64| f64::from_bits(sum.load(Relaxed));
        Reading {
            steps: self.steps.load(Relaxed),
            bytes: Bytes { up: real(&self.up), down: real(&self.down) },
            contractions: (self.measured.load(Relaxed), real(&self.contraction)),
        }
    }
}

/// A sum and how many things it is of: the metrics are their quotients.
type Ratio = fn(&Reading) -> (f64, f64);

/// The quotient of two sums, since the last update and since the split began.
#[derive(Clone)]
struct Rate {
    name: MetricName,
    source: Arc<dyn Metered>,
    of: Ratio,
    first: Reading,
    last: Reading,
    now: f64,
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.now)
    }
}

impl Rate {
    fn new(name: &str, source: Arc<dyn Metered>, of: Ratio) -> Self {
        let first = source.reading();
        Self { name: Arc::new(name.into()), source, of, first, last: first, now: 0.0 }
    }

    fn between(&self, from: &Reading, to: &Reading) -> Option<f64> {
        let ((a, n), (b, m)) = ((self.of)(from), (self.of)(to));
        (m > n).then(|| (b - a) / (m - n))
    }

    fn update(&mut self) -> SerializedEntry {
        let reading = self.source.reading();
        if let Some(now) = self.between(&self.last, &reading) {
            (self.now, self.last) = (now, reading);
        }
        self.entry(self.now)
    }

    fn mean(&self) -> f64 {
        self.between(&self.first, &self.last).unwrap_or(self.now)
    }

    fn entry(&self, now: f64) -> SerializedEntry {
        let formatted = format!("epoch {:.4} - batch {now:.4}", self.mean());
        SerializedEntry::new(formatted, NumericEntry::Value(now).serialize())
    }

    fn clear(&mut self) {
        self.first = self.last;
    }
}

macro_rules! metric_of_a_rate {
    ($name:ident, $about:literal, $higher:literal, $unit:expr) => {
        impl Metric for $name {
            type Input = ();

            fn name(&self) -> MetricName {
                self.0.name.clone()
            }

            fn description(&self) -> Option<String> {
                Some($about.into())
            }

            fn attributes(&self) -> MetricAttributes {
                NumericAttributes { unit: $unit, higher_is_better: $higher }.into()
            }

            fn update(&mut self, _: &(), _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
                Ok(self.0.update())
            }

            fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
                Ok(self.0.entry(self.0.mean()))
            }

            fn clear(&mut self) {
                self.0.clear();
            }
        }

        impl Numeric for $name {
            fn value(&self) -> Option<NumericEntry> {
                Some(NumericEntry::Value(self.0.now))
            }

            fn running_value(&self) -> Option<NumericEntry> {
                Some(NumericEntry::Value(self.0.mean()))
            }

            fn final_value(&self) -> NumericEntry {
                NumericEntry::Value(self.0.mean())
            }
        }
    };
}

/// Bytes a worker sends, or receives, in a step.
#[derive(Clone, Debug)]
pub struct BytesMetric(Rate);

impl BytesMetric {
    /// Bytes sent: a worker's own encoded messages.
    pub fn up(source: Arc<dyn Metered>) -> Self {
        Self(Rate::new("Bytes up", source, |r| (r.bytes.up, r.steps as f64)))
    }

    /// Bytes received: the encoded aggregates from a server.
    pub fn down(source: Arc<dyn Metered>) -> Self {
        Self(Rate::new("Bytes down", source, |r| (r.bytes.down, r.steps as f64)))
    }
}

metric_of_a_rate!(BytesMetric, "encoded bytes a worker and step", false, Some("B".into()));

/// 1 − ‖C(p) − p‖²/‖p‖²: how much of what was to be said was said. Measured only where
/// [`GroupStrategy::with_contraction`](super::GroupStrategy::with_contraction) asks for it.
#[derive(Clone, Debug)]
pub struct ContractionMetric(Rate);

impl ContractionMetric {
    /// The mean over the workers.
    pub fn new(source: Arc<dyn Metered>) -> Self {
        Self(Rate::new("Contraction", source, |r| (r.contractions.1, r.contractions.0 as f64)))
    }
}

metric_of_a_rate!(ContractionMetric, "the share of what was to be said that was said", true, None);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_steps_since_the_last_update_and_since_the_split_began() {
        let meter = Arc::new(Meter::default());
        let mut up = BytesMetric::up(meter.clone());
        let mut contraction = ContractionMetric::new(meter.clone());
        meter.step(Bytes { up: 100.0, down: 10.0 }, Some(0.5));
        meter.step(Bytes { up: 300.0, down: 10.0 }, None);
        up.0.update();
        contraction.0.update();
        assert_eq!((up.0.now, contraction.0.now), (200.0, 0.5));
        // Two items of one step: the second finds nothing new.
        up.0.update();
        assert_eq!(up.0.now, 200.0);
        meter.step(Bytes { up: 500.0, down: 10.0 }, None);
        up.0.update();
        assert_eq!((up.0.now, up.0.mean()), (500.0, 300.0));
        Metric::clear(&mut up);
        meter.step(Bytes { up: 7.0, down: 10.0 }, None);
        up.0.update();
        assert_eq!(up.0.mean(), 7.0);
        assert!(matches!(Numeric::final_value(&up), NumericEntry::Value(x) if x == 7.0));
    }
}
