//! Tensors' data as f32 and back.

use ::burn::tensor::{DType, Device, Tensor, TensorData, bf16, f16};
use backburn_compress::Vector;
use rayon::prelude::*;

/// Host data as f32: the very memory where it is a vector of f32 that nobody else holds.
pub(crate) fn into_vector(data: TensorData) -> Vector {
    let (bytes, shape, dtype) = data.into_parts();
    let bytes = match dtype {
        DType::F32 => match bytes.try_into_vec::<f32>() {
            Ok(own) => return own.into(),
            Err(bytes) => bytes,
        },
        _ => bytes,
    };
    let mut vector = Vector::lent(shape.num_elements());
    copy_into(TensorData::from_bytes(bytes, shape, dtype), vector.as_mut_slice());
    vector
}

/// Host data as f32, converted on the way.
pub(crate) fn copy_into(data: TensorData, out: &mut [f32]) {
    let own = "data of the type that it says";
    match data.dtype() {
        DType::F32 => each(out, data.as_slice::<f32>().expect(own), |o, x| *o = *x),
        DType::F16 => each(out, data.as_slice::<f16>().expect(own), |o, x| *o = x.to_f32()),
        DType::BF16 => each(out, data.as_slice::<bf16>().expect(own), |o, x| *o = x.to_f32()),
        _ => out.iter_mut().zip(data.iter::<f32>()).for_each(|(o, x)| *o = x),
    }
}

/// All of x with all of the values; few stay on this thread, since another would not have woken before they are done.
pub(crate) fn each<T: Send, V: Sync>(x: &mut [T], values: &[V], with: impl Fn(&mut T, &V) + Sync) {
    /// Coordinates that a thread takes at a time.
    const TASK: usize = 1 << 16;
    let task = |(x, values): (&mut [T], &[V])| x.iter_mut().zip(values).for_each(|(x, u)| with(x, u));
    if x.len() < 4 * TASK {
        task((x, values));
    } else {
        x.par_chunks_mut(TASK).zip(values.par_chunks(TASK)).for_each(task);
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
