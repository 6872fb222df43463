//! The optimizer of every worker between two rounds, where a run's method leaves them several steps by themselves.

use std::fmt;
use std::str::FromStr;

use backburn_optim::{AnyAlgorithm, Preset};
use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::optim::{AdamWConfig, AdjustLrFn, ModuleOptimizer, MuonConfig, SgdConfig};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The optimizer of every worker between two rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inner {
    /// SGD without momentum.
    Sgd,
    /// AdamW with β = (0.9, 0.95), ε = 10⁻⁸ and a decay of 0.1.
    AdamW,
    /// Muon on matrices, its steps of AdamW's size; AdamW on the rest, embeddings and heads.
    Muon,
}

/// No optimizer of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no inner optimizer is called `{0}`; there are sgd, adamw and muon")]
pub struct UnknownInner(String);

impl Inner {
    const ALL: [Self; 3] = [Self::Sgd, Self::AdamW, Self::Muon];

    /// That of a preset.
    pub fn of(preset: Preset) -> Self {
        match preset {
            Preset::LocalSgd => Self::Sgd,
            Preset::DiLoCo | Preset::SparseLoCo => Self::AdamW,
            Preset::MuLoCo => Self::Muon,
        }
    }

    /// Floats a coordinate that it remembers, at most.
    pub(super) fn moments(self) -> f64 {
        match self {
            Self::Sgd => 0.0,
            Self::AdamW | Self::Muon => 2.0,
        }
    }

    /// The optimizer for this model.
    pub fn optimizer<M: Module>(self, model: &M) -> ModuleOptimizer {
        let adamw = || AdamWConfig::new().with_beta_2(0.95).with_epsilon(1e-8).with_weight_decay(0.1);
        match self {
            Self::Sgd => SgdConfig::new().init(),
            Self::AdamW => adamw().init(),
            Self::Muon => {
                let mut matrices = Matrices::default();
                model.visit(&mut matrices);
                let muon = MuonConfig::new().with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW).build();
                match matrices.paths.is_empty() {
                    true => adamw().init(),
                    false => adamw().init().with_group(ParamGroup::from_paths(matrices.paths), muon, None),
                }
            }
        }
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sgd => "sgd",
            Self::AdamW => "adamw",
            Self::Muon => "muon",
        })
    }
}

impl FromStr for Inner {
    type Err = UnknownInner;

    fn from_str(name: &str) -> Result<Self, UnknownInner> {
        let unknown = || UnknownInner(name.into());
        Self::ALL.into_iter().find(|inner| inner.to_string() == name).ok_or_else(unknown)
    }
}

/// The paths of matrices that are neither embeddings nor heads.
#[derive(Default)]
struct Matrices {
    path: Vec<String>,
    paths: Vec<String>,
}

impl ModuleVisitor for Matrices {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        if D == 2 && !path.contains("embed") && !path.contains("head") {
            self.paths.push(path);
        }
    }
}

/// The preset that a method's name is, where its workers step by themselves.
pub(super) fn preset(algorithm: &AnyAlgorithm) -> Option<Preset> {
    Preset::named(&algorithm.name())
}
