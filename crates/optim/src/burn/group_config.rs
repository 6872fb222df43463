//! How a group of workers is made: a config as Burn's own are.

use std::collections::HashSet;

use ::burn::grad_clipping::GradientClippingConfig;
use backburn_compress::{AnyCompressor, Fits, Layout, Policy, Scope};
use serde::{Deserialize, Serialize};

use crate::burn::found::{Found, untrainable};
use crate::burn::gradients::Preparation;
use crate::burn::parameter_group::{ParameterGroup, Treatment};
use crate::burn::places::Places;
use crate::host::{Links, ModelError};
use crate::method::{Algorithm, AnyAlgorithm, Takes};

/// A method, a compressor, and how n workers use them on a Burn module. It stands as a field in
/// `#[derive(Config)]` as Burn's own configs do.
///
/// ```
/// use backburn_compress::TopK;
/// use backburn_optim::{EfSgd, GroupConfig, ParameterGroup, Policy};
/// # use burn::nn::LinearConfig;
/// # let model = LinearConfig::new(4, 2).init(&backburn_optim::device("auto")?.autodiff());
///
/// let vectors = ParameterGroup::all().with_rank(0..=1).with_policy(Policy::Dense);
/// let config = GroupConfig::new(EfSgd::default(), TopK::ratio(0.01)?)
///     .with_workers(10)
///     .with_seed(7)
///     .with_groups(vec![vectors]);
/// let group = config.init(&model)?;
/// # assert_eq!(group.workers(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupConfig {
    method: AnyAlgorithm,
    compressor: AnyCompressor,
    #[serde(default = "one")]
    workers: usize,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    scope: Scope,
    #[serde(default)]
    dense_below: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clipping: Option<GradientClippingConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<ParameterGroup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    links: Option<Links>,
}

fn one() -> usize {
    1
}

impl GroupConfig {
    /// One worker of this method with a compressor that it takes.
    pub fn new<A: Algorithm>(method: A, compressor: impl Fits<A::Takes>) -> Self {
        Self::any(AnyAlgorithm::new(method), compressor.fit().compressor().into())
    }

    /// A method and a compressor chosen at run time; [`init`](Self::init) checks that they go together.
    pub fn any(method: AnyAlgorithm, compressor: AnyCompressor) -> Self {
        let (seed, scope, dense_below, clipping, groups, links) = (0, Scope::Parameter, 0, None, Vec::new(), None);
        Self { method, compressor, workers: 1, seed, scope, dense_below, clipping, groups, links }
    }

    /// n.
    pub fn with_workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// The seed of all random streams.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// What the compressor sees as one vector.
    pub fn with_scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// Parameters of fewer coordinates are sent as they are, unless a group says otherwise.
    pub fn with_dense_below(self, dense_below: usize) -> Self {
        Self { dense_below, ..self }
    }

    /// Every worker clips each parameter's gradient, by norm or by value, before the method sees it, as Burn's own
    /// optimizers do.
    pub fn with_clipping(self, clipping: impl Into<Option<GradientClippingConfig>>) -> Self {
        Self { clipping: clipping.into(), ..self }
    }

    /// Parameters that are to be treated otherwise than the rest; where several groups match, the last decides.
    pub fn with_groups(self, groups: Vec<ParameterGroup>) -> Self {
        Self { groups, ..self }
    }

    /// Reckons what every exchange would take on a [`Link`](crate::Link) that all workers have, or on one each: see
    /// [`Group::on_link`](crate::Group::on_link).
    pub fn with_link(self, links: impl Into<Links>) -> Self {
        Self { links: Some(links.into()), ..self }
    }

    /// The links that exchanges are reckoned on.
    pub fn links(&self) -> Option<&Links> {
        self.links.as_ref()
    }

    /// The method.
    pub fn method(&self) -> &AnyAlgorithm {
        &self.method
    }

    /// The compressor.
    pub fn compressor(&self) -> &AnyCompressor {
        &self.compressor
    }

    /// n.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The seed of all random streams.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The layout of the parameters that are trainable now.
    pub(crate) fn lay_out(&self, found: &[Found]) -> Result<(Layout, Places), ModelError> {
        for group in &self.groups {
            group.check()?;
            if !found.iter().any(|f| group.matches(&f.path, f.shape.len())) {
                return Err(ModelError::Unmatched(group.paths().into()));
            }
        }
        let policy = |f: &Found| self.treatment(&f.path, f.shape.len()).policy;
        let skipped: HashSet<String> =
            found.iter().filter(|f| policy(f) == Policy::Skipped).map(|f| f.path.clone()).collect();
        let trained = found.iter().filter(|f| f.trainable && !skipped.contains(&f.path));
        let named: Vec<_> = trained.map(|f| (f.path.clone(), f.shape.clone(), policy(f))).collect();
        if named.is_empty() {
            return Err(untrainable(found));
        }
        let layout = Layout::build(named, self.scope, self.dense_below)?;
        let places = Places::of(&layout, skipped);
        Ok((layout, places))
    }

    /// What the groups say of a parameter.
    pub(crate) fn treatment(&self, path: &str, rank: usize) -> Treatment {
        Treatment::of(&self.groups, path, rank)
    }

    /// What happens to gradients before the method sees them, but for step sizes.
    pub(crate) fn preparation(&self, layout: &Layout) -> Preparation {
        let decay = layout.parameters().iter().map(|p| self.treatment(&p.path, p.shape.len()).weight_decay as f32);
        let decay: Vec<f32> = decay.collect();
        let decay = if decay.iter().all(|d| *d == 0.0) { Vec::new() } else { decay };
        Preparation { clipping: self.clipping.clone(), decay, share: Vec::new(), still: Vec::new() }
    }
}
