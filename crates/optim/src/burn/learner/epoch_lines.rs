//! A line a split, for logs.

use std::fmt;
use std::sync::Arc;

use ::burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use ::burn::train::metric::{MetricDefinition, MetricId, NumericEntry};
use ::burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};

/// A renderer for logs: one line a split with the means of its numeric metrics. burn-train's own plain
/// renderer prints a line a batch.
pub struct EpochLines {
    epoch: usize,
    split: String,
    metrics: Vec<Mean>,
    take: Box<dyn FnMut(&SplitMeans) + Send + Sync>,
}

/// The means of an epoch's numeric metrics over one of its splits.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitMeans {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The split as burn-train calls it.
    pub split: String,
    /// Each metric's name and mean.
    pub means: Vec<(String, f64)>,
}

impl fmt::Debug for EpochLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochLines(epoch {}, {})", self.epoch, self.split)
    }
}

impl Default for EpochLines {
    fn default() -> Self {
        Self::new(|split| {
            let means: Vec<String> = split.means.iter().map(|(name, mean)| format!("{name} {mean:.4}")).collect();
            println!("epoch {} {:>5}: {}", split.epoch, split.split, means.join(", "));
        })
    }
}

/// A metric's mean over a split.
#[derive(Debug)]
struct Mean {
    id: MetricId,
    name: Arc<String>,
    sum: f64,
    count: f64,
}

impl EpochLines {
    /// One that gives the means of each split to `take` instead of printing them.
    pub fn new(take: impl FnMut(&SplitMeans) + Send + Sync + 'static) -> Self {
        Self { epoch: 0, split: String::new(), metrics: Vec::new(), take: Box::new(take) }
    }

    fn clear(&mut self) {
        self.metrics.iter_mut().for_each(|m| (m.sum, m.count) = (0.0, 0.0));
    }

    fn take(&mut self, state: MetricState) {
        if let MetricState::Numeric(entry, Some(value)) = state {
            for metric in self.metrics.iter_mut().filter(|m| m.id == entry.metric_id) {
                let (sum, count) = match value {
                    NumericEntry::Value(value) => (metric.sum + value, metric.count + 1.0),
                    NumericEntry::Aggregated { aggregated_value, count } => {
                        (metric.sum + aggregated_value * count as f64, metric.count + count as f64)
                    }
                    // What stands for the whole epoch.
                    NumericEntry::Final(value) => (value, 1.0),
                };
                (metric.sum, metric.count) = (sum, count);
            }
        }
    }
}

impl MetricsRendererTraining for EpochLines {
    fn update_train(&mut self, state: MetricState) {
        self.take(state);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.take(state);
    }
}

impl MetricsRendererEvaluation for EpochLines {
    fn update_test(&mut self, _: EvaluationName, state: MetricState) {
        self.take(state);
    }
}

impl MetricsRenderer for EpochLines {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.metrics.push(Mean { id: definition.metric_id, name: definition.name, sum: 0.0, count: 0.0 });
    }
}

impl TrainingProgressLogger for EpochLines {
    fn start(&mut self, _: usize, starting_epoch: usize, _: Option<usize>, _: Option<&str>) {
        self.epoch = starting_epoch;
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.epoch = epoch + 1;
    }

    fn start_split(&mut self, split: &str, _: usize) {
        self.split = split.into();
        self.clear();
    }

    fn update_split(&mut self, _: usize) {}

    fn end_split(&mut self) {
        let seen = self.metrics.iter().filter(|m| m.count > 0.0);
        let means = seen.map(|m| (m.name.to_string(), m.sum / m.count)).collect();
        (self.take)(&SplitMeans { epoch: self.epoch, split: self.split.clone(), means });
    }

    fn end(&mut self) {}

    fn log_event_training(&mut self, _: String) {}
}

impl EvaluationProgressLogger for EpochLines {
    fn start_global_progress(&mut self, _: usize) {}

    fn start_test(&mut self, name: &str, _: usize) {
        self.split = name.into();
        self.clear();
    }

    fn update_test_progress(&mut self, _: usize) {}

    fn end_test(&mut self) {
        TrainingProgressLogger::end_split(self);
    }

    fn end_global_progress(&mut self) {}

    fn log_event_evaluation(&mut self, _: String) {}
}
