//! What is measured, by name.

pub use super::name::Metric;

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
