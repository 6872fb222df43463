//! Gradients of a module as one host vector, prepared as the group's configuration says, and back.

use std::collections::HashSet;

use ::burn::grad_clipping::GradientClippingConfig;
use ::burn::module::{Module, ModuleVisitor, Param, ParamId};
use ::burn::optim::GradientsParams;
use ::burn::tensor::{DType, Tensor, TensorData};
use backburn_compress::{Layout, Vector};

use crate::burn::data::{copy_into, tensor};
use crate::burn::found::{Found, Path, find, track_path};
use crate::burn::places::Places;
use crate::burn::quietly::quietly;
use crate::host::{Gradient, ModelError};

impl Places {
    /// A module's gradients as one host vector.
    ///
    /// # Errors
    /// Where they are not of this module.
    pub fn flatten<M: Module>(&self, module: &M, grads: GradientsParams) -> Result<Gradient, ModelError> {
        flatten(self, module, 0, grads)
    }

    /// A host vector as gradients of this module, for any Burn optimizer to follow.
    pub fn unflatten<M: Module>(&self, module: &M, flat: &[f32]) -> GradientsParams {
        unflatten(self, &find(module), flat)
    }
}

/// A worker's gradients in the layout's order, with the parameters that had none.
///
/// # Errors
/// Where a gradient belongs to no parameter of this module, to a frozen one, or is of another shape.
pub(crate) fn flatten<M: Module>(
    places: &Places,
    module: &M,
    worker: usize,
    grads: GradientsParams,
) -> Result<Gradient, ModelError> {
    let mut visitor = Flatten {
        places,
        worker,
        path: Path::default(),
        seen: HashSet::new(),
        flat: Vector::lent(places.len()),
        given: vec![false; places.parameters()],
        without: None,
        error: None,
        grads,
    };
    module.visit(&mut visitor);
    let Flatten { mut flat, given, without, error, grads, .. } = visitor;
    if let Some(error) = error {
        return Err(error);
    }
    if !grads.is_empty() {
        return Err(ModelError::Foreign { worker, count: grads.len(), without });
    }
    let missing: Vec<usize> = (0..given.len()).filter(|p| !given[*p]).collect();
    if !missing.is_empty() {
        let ranges = places.all().filter(|place| missing.contains(&place.index)).map(|place| place.range.clone());
        ranges.for_each(|range| flat.clear_range(range));
    }
    Ok(Gradient { vector: flat, missing })
}

struct Flatten<'a> {
    places: &'a Places,
    worker: usize,
    path: Path,
    grads: GradientsParams,
    /// Tied parameters have one gradient.
    seen: HashSet<ParamId>,
    /// Written where there is a gradient, and cleared elsewhere.
    flat: Vector,
    given: Vec<bool>,
    without: Option<String>,
    error: Option<ModelError>,
}

impl Flatten<'_> {
    fn take<const D: usize>(&mut self, p: &Param<Tensor<D>>) -> Result<(), ModelError> {
        let (worker, path) = (self.worker, self.path.join());
        let place = self.places.get(&path);
        // Burn unwraps the downcast of a gradient to its parameter's rank; there is no other way to ask.
        let Some(grad) = quietly(|| self.grads.remove::<D>(p.id)) else {
            return Err(ModelError::Rank { worker, path, rank: D });
        };
        match (grad, place) {
            (Some(_), None) if self.places.is_skipped(&path) => {}
            (Some(_), None) => return Err(ModelError::Frozen { worker, path }),
            (None, None) => {}
            (None, Some(place)) => {
                // What has no coordinates lacks none.
                self.given[place.index] = place.range.is_empty();
                self.without.get_or_insert(path);
            }
            (Some(grad), Some(place)) => {
                let (found, expected) = (grad.shape().to_vec(), place.shape.clone());
                if found != expected {
                    return Err(ModelError::Gradient { worker, path, found, expected });
                }
                self.given[place.index] = true;
                copy_into(grad.inner().into_data(), &mut self.flat.as_mut_slice()[place.range.clone()]);
            }
        }
        Ok(())
    }
}

impl ModuleVisitor for Flatten<'_> {
    track_path!();

    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        if self.error.is_none() && self.seen.insert(p.id) {
            self.error = self.take(p).err();
        }
    }
}

/// What happens to a worker's gradient before the method sees it: clipping, then weight decay, then the factors by
/// which parameters' step sizes differ.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preparation {
    pub clipping: Option<GradientClippingConfig>,
    /// λ of every parameter; empty where all are 0.
    pub decay: Vec<f32>,
    /// Every parameter's share of the step size; empty where all are 1.
    pub share: Vec<f32>,
    /// Parameters that stand still in this step, as if they had no gradient.
    pub still: Vec<usize>,
}

impl Preparation {
    /// Whether it reads x.
    pub fn needs_x(&self) -> bool {
        !self.decay.is_empty()
    }

    /// Prepares a gradient taken at `x`.
    pub fn apply(&self, gradient: &mut Gradient, x: &[f32], layout: &Layout) {
        let still: Vec<usize> = self.still.iter().filter(|p| !gradient.missing.contains(p)).copied().collect();
        gradient.missing.extend(still);
        let g = gradient.vector.as_mut_slice();
        for (index, p) in layout.parameters().iter().enumerate() {
            let g = &mut g[p.range.clone()];
            if let Some(clipping) = &self.clipping {
                clip(clipping, g);
            }
            if gradient.missing.contains(&index) {
                continue;
            }
            if let Some(lambda) = self.decay.get(index).filter(|lambda| **lambda != 0.0) {
                g.iter_mut().zip(&x[p.range.clone()]).for_each(|(g, x)| *g += lambda * x);
            }
            if let Some(share) = self.share.get(index).filter(|share| **share != 1.0) {
                g.iter_mut().for_each(|g| *g *= share);
            }
        }
    }
}

/// Clips one parameter's gradient as Burn's own optimizers do. One that is not finite is left for the round to
/// refuse.
fn clip(clipping: &GradientClippingConfig, g: &mut [f32]) {
    if !g.iter().all(|g| g.is_finite()) {
        return;
    }
    match clipping {
        GradientClippingConfig::Value(most) => g.iter_mut().for_each(|g| *g = g.clamp(-most, *most)),
        GradientClippingConfig::Norm(most) => {
            let norm = g.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
            if norm > f64::from(*most) {
                let factor = (f64::from(*most) / norm) as f32;
                g.iter_mut().for_each(|g| *g *= factor);
            }
        }
    }
}

/// A host vector as gradients of the parameters found, for any Burn optimizer to follow.
pub(crate) fn unflatten(places: &Places, found: &[Found], flat: &[f32]) -> GradientsParams {
    let mut grads = GradientsParams::new();
    for f in found {
        if let Some(place) = places.get(&f.path) {
            register(&mut grads, f, flat[place.range.clone()].to_vec());
        }
    }
    grads
}

/// Registers a gradient in its parameter's shape and dtype; Burn's tensors have their rank in their type.
fn register(grads: &mut GradientsParams, f: &Found, values: Vec<f32>) {
    macro_rules! by_rank {
        ($($rank:literal)*) => {
            match f.shape.len() {
                $($rank => {
                    let data = TensorData::new(values, f.shape.clone());
                    let g = tensor::<$rank>(data, &f.device, DType::F32);
                    grads.register::<$rank>(f.id, if f.dtype == DType::F32 { g } else { g.cast(f.dtype) });
                })*
                rank => unreachable!("Burn's optimizers know ranks up to 8, this is {rank}"),
            }
        };
    }
    by_rank!(0 1 2 3 4 5 6 7 8);
}
