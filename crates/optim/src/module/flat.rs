//! A module's trainable parameters in the order of a [`Layout`].

use std::collections::HashMap;
use std::ops::Range;

use backburn_compress::{Layout, LayoutError, Scope};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Shape, Tensor, TensorData};

use crate::Buf;

/// Where each of a module's parameters stands in the flat vector. Random keys come from paths;
/// `ParamId`s are random per process and only find the slot.
#[derive(Clone, Debug)]
pub struct Places {
    places: HashMap<ParamId, Place>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Place {
    range: Range<usize>,
    shape: Vec<usize>,
    device: Device,
}

/// One trainable parameter as it was found.
struct Found {
    id: ParamId,
    path: String,
    shape: Vec<usize>,
    device: Device,
}

impl Places {
    /// Lays out a module.
    pub fn new<M: Module>(module: &M, scope: Scope, dense_below: usize) -> Result<(Layout, Self), LayoutError> {
        let found = parameters(module);
        let named = found.iter().map(|f| (f.path.clone(), f.shape.clone())).collect();
        let layout = Layout::new(named, scope, dense_below)?;
        let places = Self::place(found, &layout).expect("the layout was made of these parameters");
        Ok((layout, places))
    }

    /// The same layout for another module of the same structure, whose `ParamId`s differ. `None`
    /// where the structure differs.
    pub fn of<M: Module>(module: &M, layout: &Layout) -> Option<Self> {
        Self::place(parameters(module), layout)
    }

    fn place(found: Vec<Found>, layout: &Layout) -> Option<Self> {
        let by_path: HashMap<&str, _> = layout.parameters().iter().map(|p| (p.path.as_str(), p)).collect();
        let mut places = HashMap::new();
        for Found { id, path, shape, device } in found {
            let range = by_path.get(path.as_str()).filter(|p| p.shape == shape)?.range.clone();
            places.insert(id, Place { range, shape, device });
        }
        (places.len() == by_path.len()).then_some(Self { places, len: layout.len() })
    }

    /// Whether the module's trainable parameters are the ones laid out.
    pub fn fit<M: Module>(&self, module: &M) -> bool {
        let found = parameters(module);
        found.len() == self.places.len()
            && found
                .iter()
                .all(|f| self.places.get(&f.id).is_some_and(|place| place.shape == f.shape && place.device == f.device))
    }

    /// Gradients as one host vector; a parameter without a gradient has zeros.
    pub fn flatten<M: Module>(&self, module: &M, grads: GradientsParams) -> Buf {
        let mut visitor = Flatten { places: self, grads, flat: vec![0.0; self.len] };
        module.visit(&mut visitor);
        visitor.flat
    }

    /// A host vector as gradients that any Burn optimizer takes.
    pub fn unflatten(&self, flat: &[f32]) -> GradientsParams {
        let mut grads = GradientsParams::new();
        for (id, place) in &self.places {
            let g = tensor(&flat[place.range.clone()], &place.device);
            register(&mut grads, *id, g, &place.shape);
        }
        grads
    }

    /// The parameters as one host vector.
    pub fn read<M: Module>(&self, module: &M) -> Buf {
        let mut visitor = Read { places: self, flat: vec![0.0; self.len] };
        module.visit(&mut visitor);
        visitor.flat
    }

    /// The module with these parameters.
    pub fn write<M: Module>(&self, module: M, flat: &[f32]) -> M {
        self.change(module, flat, |_, new| new)
    }

    /// The module with x − lr·d.
    pub fn descend<M: Module>(&self, module: M, lr: f64, d: &[f32]) -> M {
        // The same operations as burn's SGD, so that the same gradients give the same weights.
        if lr == 1.0 {
            return self.change(module, d, |x, d| x - d);
        }
        let scaled: Buf = d.iter().map(|d| d * lr as f32).collect();
        self.change(module, &scaled, |x, d| x - d)
    }

    fn change<M: Module>(&self, module: M, flat: &[f32], with: fn(Flat, Flat) -> Flat) -> M {
        module.map(&mut Change { places: self, flat, with })
    }
}

type Flat = Tensor<1>;

/// Every trainable float parameter, in visit order.
fn parameters<M: Module>(module: &M) -> Vec<Found> {
    let mut visitor = Find::default();
    module.visit(&mut visitor);
    visitor.found
}

#[derive(Default)]
struct Find {
    path: Vec<String>,
    found: Vec<Found>,
}

impl ModuleVisitor for Find {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        if p.is_require_grad() {
            let (path, shape) = (self.path.join("."), p.lazy_shape().to_vec());
            self.found.push(Found { id: p.id, path, shape, device: p.lazy_device().inner() });
        }
    }
}

struct Flatten<'a> {
    places: &'a Places,
    grads: GradientsParams,
    flat: Buf,
}

impl ModuleVisitor for Flatten<'_> {
    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        if let Some(place) = self.places.places.get(&p.id)
            && let Some(g) = self.grads.remove::<D>(p.id)
        {
            copy_into(g.into_data(), &mut self.flat[place.range.clone()]);
        }
    }
}

struct Read<'a> {
    places: &'a Places,
    flat: Buf,
}

impl ModuleVisitor for Read<'_> {
    fn visit_float<const D: usize>(&mut self, p: &Param<Tensor<D>>) {
        if let Some(place) = self.places.places.get(&p.id) {
            copy_into(p.val().into_data(), &mut self.flat[place.range.clone()]);
        }
    }
}

/// Host data as f32, without a copy where it already is.
fn copy_into(data: TensorData, out: &mut [f32]) {
    match data.as_slice::<f32>() {
        Ok(values) => out.copy_from_slice(values),
        Err(_) => out.iter_mut().zip(data.iter::<f32>()).for_each(|(o, x)| *o = x),
    }
}

/// Registers a flat gradient in its parameter's shape; Burn's tensors have their rank in their type.
fn register(grads: &mut GradientsParams, id: ParamId, g: Flat, shape: &[usize]) {
    macro_rules! by_rank {
        ($($rank:literal)*) => {
            match shape.len() {
                $($rank => grads.register::<$rank>(id, g.reshape::<$rank, _>(Shape::from(shape.to_vec()))),)*
                _ => grads.register::<1>(id, g),
            }
        };
    }
    by_rank!(2 3 4 5 6 7 8);
}

struct Change<'a> {
    places: &'a Places,
    flat: &'a [f32],
    with: fn(Flat, Flat) -> Flat,
}

impl ModuleMapper for Change<'_> {
    fn map_float<const D: usize>(&mut self, p: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(place) = self.places.places.get(&p.id) else { return p };
        p.map(|old| {
            let shape = old.shape();
            let tracked = old.device().is_autodiff();
            let old = if tracked { old.inner() } else { old };
            let other = tensor(&self.flat[place.range.clone()], &old.device());
            let new = (self.with)(old.flatten::<1>(0, D - 1), other).reshape(shape);
            if tracked { Tensor::from_inner(new).require_grad() } else { new }
        })
    }
}

fn tensor(values: &[f32], device: &Device) -> Flat {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}
