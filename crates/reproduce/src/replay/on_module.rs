//! A case on a Burn module.

use backburn_compress::AnyCompressor;
use backburn_optim::{AnyAlgorithm, Group, GroupConfig, ModuleHost, Places, RoundError, SetupError, Traffic, Vector};
use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Shape, Tensor, TensorData};

use super::ReplayError;
use super::follow::Runner;
use super::setup::Setup;

/// Parameters of ranks 1 to 4; a number stands as a vector of one.
#[derive(Module, Debug)]
pub(super) struct Parameters {
    parameters: Vec<Parameter>,
}

#[derive(Module, Debug)]
enum Parameter {
    One(Param<Tensor<1>>),
    Two(Param<Tensor<2>>),
    Three(Param<Tensor<3>>),
    Four(Param<Tensor<4>>),
}

impl Parameter {
    fn new(values: &[f32], shape: &[usize], device: &Device) -> Option<Self> {
        let flat = Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), device);
        let to = Shape::from(shape.to_vec());
        Some(match shape.len() {
            0 | 1 => Self::One(Param::from_tensor(flat)),
            2 => Self::Two(Param::from_tensor(flat.reshape::<2, _>(to))),
            3 => Self::Three(Param::from_tensor(flat.reshape::<3, _>(to))),
            4 => Self::Four(Param::from_tensor(flat.reshape::<4, _>(to))),
            _ => return None,
        })
    }
}

/// The case's parameters as a module.
pub(super) fn module(setup: &Setup, device: &Device) -> Result<Parameters, ReplayError> {
    let device = device.clone().autodiff();
    let mut rest = setup.x0.as_slice();
    let mut parameters = Vec::new();
    for shape in &setup.shapes {
        let (own, after) = rest.split_at(shape.iter().product());
        rest = after;
        let parameter = Parameter::new(own, shape, &device);
        let unsupported = || ReplayError::Unsupported(format!("a parameter of rank {}; known: 1 to 4", shape.len()));
        parameters.push(parameter.ok_or_else(unsupported)?);
    }
    Ok(Parameters { parameters })
}

pub(super) struct OnModule {
    group: Group,
    model: Parameters,
    places: Places,
    gossip: bool,
}

impl OnModule {
    pub fn new(
        setup: &Setup,
        algorithm: AnyAlgorithm,
        compressor: AnyCompressor,
        device: &Device,
    ) -> Result<Self, ReplayError> {
        let model = module(setup, device)?;
        let gossip = algorithm.is_gossip();
        let config = GroupConfig::any(algorithm, compressor).with_workers(setup.workers).with_scope(setup.scope);
        let mut group = config.init(&model)?;
        setup.begin(group.cluster_mut());
        let (_, places) = Places::new(&model, setup.scope, 0).map_err(SetupError::from)?;
        Ok(Self { group, model, places, gossip })
    }
}

/// Serves the recorded gradients, wherever they are wanted.
struct Recorded<'a> {
    gradients: &'a [Vector],
    places: &'a Places,
}

impl ModuleHost<Parameters> for Recorded<'_> {
    fn gradient(&mut self, worker: usize, at: &Parameters, _: usize) -> Result<GradientsParams, RoundError> {
        Ok(self.places.unflatten(at, self.gradients[worker].as_slice()))
    }
}

impl Runner for OnModule {
    fn step(&mut self, lr: f64, gradients: &[Vector]) -> Result<Traffic, ReplayError> {
        let mut host = Recorded { gradients, places: &self.places };
        let round = self.group.round_with(lr, &self.model, &mut host)?;
        let traffic = round.traffic().clone();
        self.model = round.apply(self.model.clone());
        Ok(traffic)
    }

    fn x(&self) -> Vector {
        // Under gossip the nodes' mean would hide gossip and compression alike.
        let first = self.gossip.then(|| self.group.model_of(0, &self.model));
        self.group.parameters(first.as_ref().unwrap_or(&self.model)).expect("the model is the group's own")
    }

    fn residual_norms(&mut self) -> Vec<f64> {
        self.group.observe().residual_norms
    }
}
