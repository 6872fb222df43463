//! Recorded runs, replayed through the same code that training uses.
//!
//! A [`Case`] holds a method, a compressor, step sizes, every worker's gradients at every step and,
//! where they were worked out by somebody else, the iterates. [`run`] puts it through a
//! [`Group`](backburn_optim::Group) on a Burn module on any device, [`run_flat`] through a
//! [`Cluster`](backburn_optim::Cluster); local steps go by [`LocalSteps`](backburn_optim::LocalSteps) in both.

mod array;
mod case;
mod error;
mod follow;
mod form;
mod on_local;
mod on_module;
mod on_vectors;
mod outcome;
mod setup;

use backburn_compress::AnyCompressor;
use backburn_optim::{AnyAlgorithm, DeviceKind};
use burn::tensor::Device;

pub use array::Array;
pub use case::{Case, Options, read};
pub use error::ReplayError;
pub use outcome::{Outcome, Ran, Replayed, tolerance};

use follow::{Runner, follow};
use on_local::{Local, OnLocal};
use on_module::OnModule;
use on_vectors::OnVectors;
use setup::Setup;

/// Replays a case on a Burn module on this device.
pub fn run(case: &Case, device: &Device) -> Replayed {
    replay(case, device, |setup, algorithm, compressor| OnModule::new(setup, algorithm, compressor, device))
}

/// Replays a case on flat vectors, or where an optimizer steps between rounds on a module.
pub fn run_flat(case: &Case) -> Replayed {
    let device = DeviceKind::Auto.device().unwrap_or_default();
    replay(case, &device, OnVectors::new)
}

fn replay<R: Runner>(
    case: &Case,
    device: &Device,
    start: impl FnOnce(&Setup, AnyAlgorithm, AnyCompressor) -> Result<R, ReplayError>,
) -> Replayed {
    let outcome = match attempt(case, device, start) {
        Ok(ran) => Outcome::Ran(ran),
        Err(ReplayError::Unsupported(unsupported)) => Outcome::Unsupported { unsupported },
        Err(error) => Outcome::Failed { error: error.to_string() },
    };
    Replayed { id: case.id.clone(), outcome }
}

fn attempt<R: Runner>(
    case: &Case,
    device: &Device,
    start: impl FnOnce(&Setup, AnyAlgorithm, AnyCompressor) -> Result<R, ReplayError>,
) -> Result<Ran, ReplayError> {
    let compressor = form::compressor(&case.compressor)?;
    if let Some(own) = Local::of(&case.method)? {
        let setup = Setup::of(case, own.steps)?;
        let runner = OnLocal::new(&setup, own, compressor, device)?;
        return follow(case, &setup, runner);
    }
    let algorithm = form::method(&case.method)?;
    let setup = Setup::of(case, 1)?;
    let runner = start(&setup, algorithm, compressor)?;
    follow(case, &setup, runner)
}
