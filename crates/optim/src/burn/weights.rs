//! A module's weights to and from one flat vector. Parameters keep their dtype, what autodiff knows of them, and
//! their ties.

use std::any::Any;
use std::collections::HashMap;

use ::burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use ::burn::tensor::{DType, Device, GradientCheckpointingStrategy, Tensor, TensorData};
use backburn_compress::Vector;

use crate::burn::found::{Path, track_path};
use crate::burn::places::Places;
use crate::host::ModelError;

/// What a flat vector does to the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// x ← y.
    Set,
    /// x ← x + y.
    Add,
}

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
        Ok(change(self, module, flat, Change::Set))
    }
}

/// The laid-out parameters as one host vector.
pub(crate) fn read<M: Module>(places: &Places, module: &M) -> Result<Vector, ModelError> {
    places.check(module)?;
    let mut visitor = Read { places, path: Path::default(), flat: vec![0.0; places.len()] };
    module.visit(&mut visitor);
    Ok(visitor.flat.into())
}

struct Read<'a> {
    places: &'a Places,
    path: Path,
    flat: Vec<f32>,
}

impl ModuleVisitor for Read<'_> {
    track_path!();

    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        if let Some(place) = self.places.get(&self.path.join()) {
            copy_into(p.base().into_data(), &mut self.flat[place.range.clone()]);
        }
    }
}

/// Host data as f32, without a copy where it already is.
pub(crate) fn copy_into(data: TensorData, out: &mut [f32]) {
    match data.as_slice::<f32>() {
        Ok(values) => out.copy_from_slice(values),
        Err(_) => out.iter_mut().zip(data.iter::<f32>()).for_each(|(o, x)| *o = x),
    }
}

/// Changes the laid-out parameters of a module that has been checked against `places`.
pub(crate) fn change<M: Module>(places: &Places, module: M, flat: &[f32], change: Change) -> M {
    module.map(&mut Mapper { places, path: Path::default(), flat, change, ties: Ties::default() })
}

struct Mapper<'a> {
    places: &'a Places,
    path: Path,
    flat: &'a [f32],
    change: Change,
    ties: Ties,
}

impl ModuleMapper for Mapper<'_> {
    track_path!();

    fn map_float<const D: usize>(&mut self, p: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let place = self.places.get(&self.path.join());
        let values = place.map(|place| &self.flat[place.range.clone()]);
        self.ties.replace(p, values.map(|values| |old| changed(old, values, self.change)))
    }
}

/// A tensor of this data and type. Burn's `from_data` knows no rank 0.
pub(crate) fn tensor<const D: usize>(data: TensorData, device: &Device, dtype: DType) -> Tensor<D> {
    if D > 0 {
        return Tensor::from_data(data, (device, dtype));
    }
    let (bytes, shape, own) = data.into_parts();
    Tensor::<1>::from_data(TensorData::from_bytes(bytes, [1], own), (device, dtype)).reshape(shape)
}

/// A tensor without autodiff, changed by values as many as it has, in its own dtype; f32 where that is narrower.
pub(crate) fn changed<const D: usize>(old: Tensor<D>, values: &[f32], change: Change) -> Tensor<D> {
    if values.is_empty() {
        return old;
    }
    let (device, dtype) = (old.device(), old.dtype());
    let values = tensor::<D>(TensorData::new(values.to_vec(), old.shape()), &device, DType::F32);
    match (change, dtype) {
        (Change::Set, DType::F32) => values,
        (Change::Set, _) => values.cast(dtype),
        (Change::Add, DType::F32) => old + values,
        (Change::Add, DType::F64) => old + values.cast(dtype),
        (Change::Add, _) => (old.cast(DType::F32) + values).cast(dtype),
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
