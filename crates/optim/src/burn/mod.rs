//! Hosts on Burn modules.

pub mod batch_norm;
mod data;
mod device;
mod ef_sgd_config;
mod found;
mod gradients;
mod group;
mod group_config;
mod held;
#[cfg(feature = "learner")]
pub mod learner;
mod load_optimizer;
mod local_steps;
mod model_state;
mod module_host;
mod optimizer_state;
mod parameter_group;
mod parked;
mod places;
mod probe;
mod quietly;
mod round;
mod rounds;
mod solo;
mod step_size;
mod taken;
mod weights;

pub use device::{DeviceError, DeviceKind, device};
pub use ef_sgd_config::EfSgdConfig;
pub use group::Group;
pub use group_config::GroupConfig;
pub use load_optimizer::{LoadError, load_optimizer};
pub use local_steps::{InnerGradients, LocalSteps};
pub use module_host::ModuleHost;
pub use parameter_group::ParameterGroup;
pub use places::Places;
pub use probe::Probe;
pub use round::{Round, StepIsOwned};
pub use rounds::Rounds;
pub use solo::{Solo, SoloState};

use crate::host::{Cluster, Mail};
use crate::method::Ask;

/// Whether a worker asks for one gradient of one minibatch at the current x a step, and nothing else: what an
/// optimizer, or a loop that is not ours, can give.
pub(crate) fn asks_one_gradient<P: Mail>(cluster: &Cluster<P>) -> bool {
    let algorithm = cluster.algorithm();
    !algorithm.asks_elsewhere() && !algorithm.is_gossip() && cluster.first_asks() == [Ask::GRADIENT]
}
