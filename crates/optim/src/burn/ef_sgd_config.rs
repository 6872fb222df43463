//! EF-SGD of one worker, configured as Burn's own optimizers are.

use std::sync::Arc;

use ::burn::grad_clipping::GradientClippingConfig;
use ::burn::optim::ModuleOptimizer;
use backburn_compress::{AnyCompressor, Feedback, Fits};
use serde::{Deserialize, Serialize};

use crate::algorithms::EfSgd;
use crate::burn::probe::Probe;
use crate::burn::solo::Solo;
use crate::host::SetupError;

/// EF-SGD as a Burn optimizer: momentum and weight decay as in [`EfSgd`], one error buffer a parameter. It stands
/// as a field in `#[derive(Config)]` as Burn's own configs do.
///
/// ```
/// # use backburn_compress::ScaledSign;
/// # use backburn_optim::EfSgdConfig;
/// let config = EfSgdConfig::new(ScaledSign).with_momentum(0.9).with_weight_decay(5e-4);
/// let optim = config.init()?;
/// # let json = serde_json::to_string(&config)?;
/// # assert_eq!(serde_json::from_str::<EfSgdConfig>(&json)?.with_seed(0).init().is_ok(), true);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EfSgdConfig {
    compressor: AnyCompressor,
    #[serde(default)]
    momentum: f64,
    #[serde(default)]
    nesterov: bool,
    #[serde(default)]
    weight_decay: f64,
    #[serde(default)]
    step_outside: bool,
    #[serde(default)]
    dense_below: usize,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    grad_clipping: Option<GradientClippingConfig>,
}

impl EfSgdConfig {
    /// EF-SGD around this compressor, without momentum or weight decay.
    pub fn new(compressor: impl Fits<Feedback>) -> Self {
        let feedback = compressor.fit();
        Self {
            compressor: feedback.shared().into(),
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            step_outside: false,
            dense_below: 0,
            seed: 0,
            grad_clipping: None,
        }
    }

    /// β ∈ [0, 1).
    pub fn with_momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Nesterov's momentum: g + βm in place of m; without momentum that is g.
    pub fn with_nesterov(self) -> Self {
        Self { nesterov: true, ..self }
    }

    /// λ ≥ 0, added to the gradient before momentum.
    pub fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// Keeps the step size outside of the error, with residuals rescaled as it changes.
    pub fn with_step_outside(self) -> Self {
        Self { step_outside: true, ..self }
    }

    /// Parameters of fewer coordinates are not compressed.
    pub fn with_dense_below(self, dense_below: usize) -> Self {
        Self { dense_below, ..self }
    }

    /// The seed of the compressor's random streams.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Clips each parameter's gradient first, by norm or by value, as under Burn's own optimizers.
    pub fn with_grad_clipping(self, grad_clipping: impl Into<Option<GradientClippingConfig>>) -> Self {
        Self { grad_clipping: grad_clipping.into(), ..self }
    }

    /// The bare optimizer, for parameter groups, with a [`probe`](Solo::probe) of its own; gradient clipping is
    /// [`init`](Self::init)'s.
    ///
    /// # Errors
    /// Where a number is out of its range, or the compressor must not stand under error feedback.
    pub fn build(&self) -> Result<Solo, SetupError> {
        let mut method = EfSgd::new().with_momentum(self.momentum)?.with_weight_decay(self.weight_decay)?;
        if self.nesterov && self.momentum != 0.0 {
            method = method.with_nesterov();
        }
        if self.step_outside {
            method = method.with_step_outside();
        }
        let compressor = Feedback::try_from(self.compressor.clone())?;
        Ok(Solo::new(method, compressor)?.with_seed(self.seed).with_dense_below(self.dense_below))
    }

    /// The optimizer of a module, for custom loops and for `Learner`.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn init(&self) -> Result<ModuleOptimizer, SetupError> {
        Ok(self.init_with_probe()?.0)
    }

    /// The optimizer of a module with the counters that it keeps up to date: every optimizer has its own.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn init_with_probe(&self) -> Result<(ModuleOptimizer, Arc<Probe>), SetupError> {
        let solo = self.build()?;
        let probe = solo.probe();
        let mut optim = solo.init();
        if let Some(clipping) = &self.grad_clipping {
            optim = optim.with_grad_clipping(clipping.init());
        }
        Ok((optim, probe))
    }
}
