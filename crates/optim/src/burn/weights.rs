//! A module's weights to and from one flat vector. Parameters keep their dtype, what autodiff knows of them, and
//! their ties.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use ::burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use ::burn::tensor::{DType, GradientCheckpointingStrategy, Tensor};
use backburn_compress::{Payload, Vector};

use crate::burn::data::copy_into;
use crate::burn::found::{Path, track_path};
use crate::burn::held::Piece;
use crate::burn::places::Places;
use crate::burn::taken::Weights;
use crate::host::ModelError;

impl Places {
    /// The parameters as one host vector.
    ///
    /// # Errors
    /// Where the module is not the one that was laid out.
    pub fn read<M: Module>(&self, module: &M) -> Result<Vector, ModelError> {
        read(self, module)
    }

    /// The module with these parameters.
    ///
    /// # Errors
    /// Where the module is not the one that was laid out.
    pub fn write<M: Module>(&self, module: M, flat: &[f32]) -> Result<M, ModelError> {
        self.check(&module)?;
        if flat.len() != self.len() {
            return Err(ModelError::Length { given: flat.len(), expected: self.len() });
        }
        Ok(change(self, module, By::Numbers(Piece::To(flat))))
    }
}

/// The laid-out parameters as one host vector.
pub(crate) fn read<M: Module>(places: &Places, module: &M) -> Result<Vector, ModelError> {
    places.check(module)?;
    let mut visitor = Read { places, path: Path::default(), flat: Vector::lent(places.len()) };
    module.visit(&mut visitor);
    Ok(visitor.flat)
}

struct Read<'a> {
    places: &'a Places,
    path: Path,
    flat: Vector,
}

impl ModuleVisitor for Read<'_> {
    track_path!();

    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        if let Some(place) = self.places.get(&self.path.join()) {
            copy_into(p.base().into_data(), &mut self.flat.as_mut_slice()[place.range.clone()]);
        }
    }
}

/// What parameters move by.
#[derive(Clone, Copy)]
pub(crate) enum By<'a> {
    /// Numbers of the whole flat vector.
    Numbers(Piece<'a>),
    /// x ← x + a·decode, of a payload a parameter.
    Payloads(f32, &'a [Arc<Payload>]),
}

/// Changes the laid-out parameters of a module that has been checked against `places`.
pub(crate) fn change<M: Module>(places: &Places, module: M, by: By<'_>) -> M {
    module.map(&mut Mapper { places, path: Path::default(), by, ties: Ties::default() })
}

struct Mapper<'a> {
    places: &'a Places,
    path: Path,
    by: By<'a>,
    ties: Ties,
}

impl ModuleMapper for Mapper<'_> {
    track_path!();

    fn map_float<const D: usize>(&mut self, p: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let place = self.places.get(&self.path.join()).filter(|place| !place.range.is_empty());
        let by = self.by;
        let with = place.map(|place| {
            move |old| {
                let old = Weights::take(old);
                let new = match by {
                    By::Numbers(change) => old.changed(change.within(place.range.clone())),
                    By::Payloads(a, payloads) => old.plus(a, &payloads[place.index]),
                };
                new.into_tensor()
            }
        });
        self.ties.replace(p, with)
    }
}

/// Replaces parameters' values, tied ones by the very same tensor.
#[derive(Default)]
pub(crate) struct Ties(HashMap<ParamId, Box<dyn Any>>);

impl Ties {
    /// The parameter with a new value made from its old one without autodiff; where nothing is given, with that of
    /// the parameter it is tied to, or as it was.
    pub fn replace<const D: usize>(
        &mut self,
        p: Param<Tensor<D>>,
        with: Option<impl FnOnce(Tensor<D>) -> Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let tied = self.0.get(&p.id).and_then(|t| t.downcast_ref::<Tensor<D>>()).cloned();
        if tied.is_none() && with.is_none() {
            return p;
        }
        let (id, old, mapper) = p.consume();
        let new = match (tied, with) {
            (Some(tied), _) => tied,
            (None, Some(with)) => {
                let tracking = Tracking::of(&old);
                let new = tracking.restore(with(old.inner()), id);
                self.0.insert(id, Box::new(new.clone()));
                new
            }
            (None, None) => old,
        };
        Param::from_mapped_value(id, new, mapper)
    }
}

/// What autodiff knows of a parameter, to be put back on its new value: the same as Burn's own optimizers restore.
struct Tracking {
    autodiff: bool,
    require_grad: bool,
    distributed: bool,
    checkpointing: Option<GradientCheckpointingStrategy>,
}

impl Tracking {
    fn of<const D: usize>(p: &Tensor<D>) -> Self {
        // Nothing trains a quantised one, and Burn panics where it is asked more.
        if matches!(p.dtype(), DType::QFloat(_)) {
            return Self { autodiff: false, require_grad: false, distributed: false, checkpointing: None };
        }
        Self {
            autodiff: p.is_autodiff(),
            require_grad: p.is_require_grad(),
            distributed: p.is_distributed(),
            checkpointing: p.gradient_checkpointing_strategy(),
        }
    }

    fn restore<const D: usize>(self, new: Tensor<D>, id: ParamId) -> Tensor<D> {
        if !self.autodiff {
            return new;
        }
        let mut p = Tensor::from_inner(new);
        if let Some(strategy) = self.checkpointing {
            p = p.with_gradient_checkpointing_strategy(strategy);
        }
        if self.require_grad {
            p = p.require_grad();
        }
        if self.distributed { p.set_distributed(id) } else { p }
    }
}
