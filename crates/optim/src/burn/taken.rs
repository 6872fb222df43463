//! One parameter's weights, while a step decides how they move.
//!
//! On the host they are taken out of their tensor and put back, which copies nothing where nobody else holds it: a step
//! changes them in place. Elsewhere they stay where they are, and what is added to them goes there.

use ::burn::tensor::{DType, Device, Shape, Tensor, TensorData, bf16, f16};
use backburn_compress::{Payload, Vector};

use crate::burn::data::{copy_into, each, tensor};
use crate::burn::device::is_host;
use crate::burn::held::{Piece, holds, room_beside, room_of};
use crate::host::Change;

/// The weights of a tensor without autodiff. How large a tensor is by itself depends on the backends; one lives for a step,
/// on the stack.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub(crate) enum Weights<const D: usize> {
    /// f32.
    Floats(Taken<Vector>),
    /// f16, to which every sum is rounded.
    F16(Taken<Vec<f16>>),
    /// The same for bf16.
    Bf16(Taken<Vec<bf16>>),
    /// Of another type, or on a device.
    There(Tensor<D>),
}

/// Weights, and what makes a tensor of them.
#[derive(Debug)]
pub(crate) struct Taken<V> {
    x: V,
    shape: Shape,
    device: Device,
}

impl<V> Taken<V> {
    fn map<W>(self, with: impl FnOnce(V) -> W) -> Taken<W> {
        Taken { x: with(self.x), shape: self.shape, device: self.device }
    }
}

impl<const D: usize> Weights<D> {
    /// Takes them out.
    pub fn take(from: Tensor<D>) -> Self {
        let (device, dtype) = (from.device(), from.dtype());
        if !is_host(&device) || !matches!(dtype, DType::F32 | DType::F16 | DType::BF16) {
            return Self::There(from);
        }
        let taken = Taken { shape: from.shape(), device, x: from.into_data() };
        let own = "data of the type that it says";
        match dtype {
            DType::F16 => Self::F16(taken.map(|x| x.try_into_vec().expect(own))),
            DType::BF16 => Self::Bf16(taken.map(|x| x.try_into_vec().expect(own))),
            _ => Self::Floats(taken.map(|x| x.try_into_vec::<f32>().expect(own).into())),
        }
    }

    /// Puts them back.
    pub fn into_tensor(self) -> Tensor<D> {
        let (data, device) = match self {
            Self::There(tensor) => return tensor,
            Self::Floats(Taken { x, shape, device }) => (TensorData::new(x.into_vec(), shape), device),
            Self::F16(Taken { x, shape, device }) => (TensorData::new(x, shape), device),
            Self::Bf16(Taken { x, shape, device }) => (TensorData::new(x, shape), device),
        };
        let dtype = data.dtype();
        tensor(data, &device, dtype)
    }

    /// Their type.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Floats(_) => DType::F32,
            Self::F16(_) => DType::F16,
            Self::Bf16(_) => DType::BF16,
            Self::There(tensor) => tensor.dtype(),
        }
    }

    /// Their f32, where they are that and here.
    pub fn as_vector(&self) -> Option<&Vector> {
        if let Self::Floats(taken) = self { Some(&taken.x) } else { None }
    }

    /// As f32, in a vector of its own.
    pub fn to_vector(&self) -> Vector {
        match self {
            Self::Floats(taken) => taken.x.clone(),
            Self::F16(taken) => taken.x.iter().map(|x| x.to_f32()).collect(),
            Self::Bf16(taken) => taken.x.iter().map(|x| x.to_f32()).collect(),
            Self::There(tensor) => {
                let mut x = Vector::zeros(tensor.shape().num_elements());
                copy_into(tensor.to_data(), x.as_mut_slice());
                x
            }
        }
    }

    /// x ← x + a·decode(payload): what is added is rounded to f32 first, and the sum to the weights' type.
    pub fn plus(mut self, a: f32, payload: &Payload) -> Self {
        match &mut self {
            Self::Floats(Taken { x, .. }) if payload.parts().len() == 1 => payload.axpy(a, x.as_mut_slice()),
            Self::Floats(Taken { x, .. }) => payload.add_to(a, x.as_mut_slice(), |x, u| *x += u),
            Self::F16(Taken { x, .. }) => payload.add_to(a, x, add_f16),
            Self::Bf16(Taken { x, .. }) => payload.add_to(a, x, add_bf16),
            Self::There(_) => {
                let mut u = vec![0.0; payload.len()];
                payload.axpy(a, &mut u);
                return self.changed(Piece::By(&u));
            }
        }
        self
    }

    /// x ← x + u, or x ← y.
    pub fn changed(mut self, change: Piece<'_>) -> Self {
        match (&mut self, change) {
            (Self::Floats(Taken { x, .. }), Piece::By(u)) => each(x.as_mut_slice(), u, |x, u| *x += *u),
            (Self::Floats(Taken { x, .. }), Piece::To(y)) => each(x.as_mut_slice(), y, |x, y| *x = *y),
            (Self::F16(Taken { x, .. }), Piece::By(u)) => each(x, u, |x, u| add_f16(x, *u)),
            (Self::F16(Taken { x, .. }), Piece::To(y)) => each(x, y, |x, y| *x = f16::from_f32(*y)),
            (Self::Bf16(Taken { x, .. }), Piece::By(u)) => each(x, u, |x, u| add_bf16(x, *u)),
            (Self::Bf16(Taken { x, .. }), Piece::To(y)) => each(x, y, |x, y| *x = bf16::from_f32(*y)),
            (Self::There(_), _) => {
                let Self::There(old) = self else { unreachable!("as above") };
                return Self::There(changed_there(old, change));
            }
        }
        self
    }

    /// By how much they may move and surely be finite.
    pub fn room(&self) -> f64 {
        // The bits of magnitudes order as magnitudes do, infinity and NaN last.
        let peak = match self {
            Self::Floats(_) => return f64::INFINITY,
            Self::F16(Taken { x, .. }) => f16::from_bits(largest(x.iter().map(|x| x.to_bits()))).to_f32(),
            Self::Bf16(Taken { x, .. }) => bf16::from_bits(largest(x.iter().map(|x| x.to_bits()))).to_f32(),
            Self::There(x) => return room_of(x, 1.0),
        };
        room_beside(self.dtype(), peak)
    }

    /// Whether all are finite after a change.
    pub fn hold(&self, change: &Change) -> bool {
        holds(self.dtype(), self.to_vector().as_slice(), change.whole(), 1.0)
    }
}

fn largest(bits: impl Iterator<Item = u16>) -> u16 {
    bits.fold(0, |most, bits| most.max(bits & 0x7fff))
}

fn changed_there<const D: usize>(old: Tensor<D>, change: Piece<'_>) -> Tensor<D> {
    let (device, dtype, shape) = (old.device(), old.dtype(), old.shape());
    let on = |values: &[f32]| tensor::<D>(TensorData::new(values.to_vec(), shape), &device, DType::F32);
    match (change, dtype) {
        (Piece::To(y), _) => on(y).cast(dtype),
        (Piece::By(u), DType::F32) => old + on(u),
        (Piece::By(u), DType::F64) => old + on(u).cast(dtype),
        (Piece::By(u), _) => (old.cast(DType::F32) + on(u)).cast(dtype),
    }
}

fn add_f16(x: &mut f16, u: f32) {
    *x = f16::from_f32(x.to_f32() + u);
}

fn add_bf16(x: &mut bf16, u: f32) {
    *x = bf16::from_f32(x.to_f32() + u);
}
