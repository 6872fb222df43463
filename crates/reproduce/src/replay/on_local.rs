//! Replays of recorded cases whose workers take several steps between two rounds.

use backburn_compress::AnyCompressor;
use backburn_optim::{AnyAlgorithm, GroupConfig, LocalSteps, Places, SetupError, Traffic, Vector};
use burn::optim::{AdamWConfig, ModuleOptimizer, SgdConfig};
use burn::tensor::Device;

use super::follow::Runner;
use super::on_module::{Parameters, module};
use super::setup::Setup;
use super::{Options, ReplayError};

/// What a case says of its local steps.
pub(super) struct Local {
    /// H.
    pub steps: usize,
    lr: f64,
    inner: ModuleOptimizer,
    /// The outer step, as our textual form.
    pub outer: AnyAlgorithm,
}

impl Local {
    /// `None` where the method is another.
    pub fn of(options: &Options) -> Result<Option<Self>, ReplayError> {
        if options.get("name").and_then(|name| name.as_str()) != Some("local_steps") {
            return Ok(None);
        }
        let malformed = |what: &str| ReplayError::Malformed(format!("`local_steps` needs {what}"));
        let steps = options.get("h").and_then(|h| h.as_u64()).filter(|h| *h > 0);
        let steps = steps.ok_or_else(|| malformed("`h`, at least 1"))? as usize;
        let inner = options.get("inner").and_then(|inner| inner.as_object()).ok_or_else(|| malformed("`inner`"))?;
        let number = |from: &Options, key: &str| from.get(key).and_then(|x| x.as_f64());
        let lr = number(inner, "lr").ok_or_else(|| malformed("`inner.lr`"))?;
        let optimizer = match inner.get("name").and_then(|name| name.as_str()) {
            Some("sgd") if number(inner, "momentum").unwrap_or(0.0) == 0.0 => SgdConfig::new().init(),
            Some("adamw") => {
                let betas: Vec<f64> = inner
                    .get("betas")
                    .and_then(|b| b.as_array())
                    .into_iter()
                    .flatten()
                    .filter_map(|b| b.as_f64())
                    .collect();
                let [beta_1, beta_2] = betas[..] else { return Err(malformed("two `inner.betas`")) };
                AdamWConfig::new()
                    .with_beta_1(beta_1 as f32)
                    .with_beta_2(beta_2 as f32)
                    .with_epsilon(number(inner, "eps").unwrap_or(1e-8) as f32)
                    .with_weight_decay(number(inner, "weight_decay").unwrap_or(0.0) as f32)
                    .init()
            }
            other => return Err(ReplayError::Unsupported(format!("the inner optimizer {other:?}"))),
        };
        let outer = options.get("outer").and_then(|outer| outer.as_object()).cloned().unwrap_or_default();
        let polyak = if outer.get("nesterov").and_then(|n| n.as_bool()) == Some(true) { "" } else { ",polyak" };
        let momentum = number(&outer, "momentum").unwrap_or(0.0);
        let decay = number(options, "decay").unwrap_or(1.0);
        let outer = format!("local-sgd:momentum={momentum},decay={decay}{polyak}").parse()?;
        Ok(Some(Self { steps, lr, inner: optimizer, outer }))
    }
}

/// A run of [`LocalSteps`] on a module.
pub(super) struct OnLocal {
    local: LocalSteps<Parameters>,
    places: Places,
    workers: usize,
    lr: f64,
}

impl OnLocal {
    pub fn new(setup: &Setup, own: Local, compressor: AnyCompressor, device: &Device) -> Result<Self, ReplayError> {
        let model = module(setup, device)?;
        let group = GroupConfig::any(own.outer, compressor).with_workers(setup.workers).with_scope(setup.scope);
        let (_, places) = Places::new(&model, setup.scope, 0).map_err(SetupError::from)?;
        let local = LocalSteps::new(group.init(&model)?, model, own.inner, own.steps as u64)?;
        Ok(Self { local, places, workers: setup.workers, lr: own.lr })
    }
}

impl Runner for OnLocal {
    /// The gradients of all workers in every step up to the round.
    fn step(&mut self, lr: f64, gradients: &[Vector]) -> Result<Traffic, ReplayError> {
        for gradients in gradients.chunks(self.workers) {
            self.local.inner_step(self.lr, |worker, replica| {
                Ok(self.places.unflatten(replica, gradients[worker].as_slice()))
            })?;
        }
        Ok(self.local.exchange(lr)?)
    }

    fn x(&self) -> Vector {
        self.local.group().parameters(self.local.model()).expect("the model is the group's own")
    }

    fn residual_norms(&mut self) -> Vec<f64> {
        self.local.group_mut().observe().residual_norms
    }
}
