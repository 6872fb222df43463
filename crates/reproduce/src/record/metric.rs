//! What is measured, by name.

use std::fmt;

/// The name of a measured number: in the file, in code and in a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Metric(&'static str);

/// The mean training loss since the last point.
pub const TRAIN_LOSS: Metric = Metric::new("train loss");
/// The share of training examples that are classified rightly.
pub const TRAIN_ACCURACY: Metric = Metric::new("train accuracy");
/// The mean loss on the test set.
pub const TEST_LOSS: Metric = Metric::new("test loss");
/// The share of the test set that is classified rightly.
pub const TEST_ACCURACY: Metric = Metric::new("test accuracy");
/// ‖∇f(x)‖².
pub const SQUARED_GRADIENT: Metric = Metric::new("squared gradient norm");
/// 10⁶ bytes that a worker has sent.
pub const MEGABYTES_UP: Metric = Metric::new("megabytes up");
/// 10⁶ bytes that a worker has received from a server.
pub const MEGABYTES_DOWN: Metric = Metric::new("megabytes down");
/// Seconds that all exchanges so far take on the links, by the cheaper plan; computing is not in them.
pub const SECONDS_ON_LINK: Metric = Metric::new("seconds on the link");

impl Metric {
    /// Under this name.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.0.into()
    }
}

impl PartialEq<Metric> for String {
    fn eq(&self, metric: &Metric) -> bool {
        self == metric.0
    }
}
