//! What methods do to the coordinates of a vector, unit by unit: noise, masks, matrices, sketches, places.

use std::sync::Arc;

use rayon::prelude::*;

use crate::compressors::CountSketch;
use crate::kernels::low_rank;
use crate::key::Key;
use crate::layout::{Layout, Unit};
use crate::message::{Message, decode_into};
use crate::payload::{Payload, Sketch};
use crate::random::Philox;
use crate::source::Source;
use crate::vector::Vector;

impl Vector {
    /// y ← y + a·decode(message), unit by unit.
    pub fn add_decoded(&mut self, a: f32, message: &Message, layout: &Layout) {
        self.add_payloads(a, &message.payloads, layout);
    }

    /// The same with a message's payloads for every unit.
    pub fn add_payloads(&mut self, a: f32, payloads: &[Arc<Payload>], layout: &Layout) {
        decode_into(payloads, a, self.as_mut_slice(), layout);
    }

    /// As a message of dense payloads.
    pub fn to_message(&self, layout: &Layout) -> Message {
        layout.units().iter().map(|unit| Arc::new(self.dense(unit))).collect()
    }

    /// x ← x + r·z, every coordinate of z standard normal; every unit draws under its own key.
    pub fn add_noise(&mut self, r: f32, key: &Key, layout: &Layout) {
        layout.split(self.as_mut_slice()).into_par_iter().zip(layout.units()).for_each(|(x, unit)| {
            let mut random = Philox::new(key.unit(unit.key).draw());
            x.iter_mut().for_each(|x| *x += r * random.normal());
        });
    }

    /// x ← 0 at every coordinate that the message's payloads name, those of value 0 included.
    pub fn mask(&mut self, message: &Message, layout: &Layout) {
        let pieces = layout.split(self.as_mut_slice());
        pieces.into_par_iter().zip(&message.payloads).for_each(|(x, payload)| payload.mask(x));
    }

    /// A unit's coordinates as they are, as a payload.
    pub fn dense(&self, unit: &Unit) -> Payload {
        Payload::floats(self.unit(unit).to_vec())
    }

    /// M·Q, rows × rank, where the unit is the matrix M row by row; Q stands transposed.
    pub fn times_q(&self, unit: &Unit, rows: usize, q: &[f32], rank: usize) -> Vec<f32> {
        low_rank::times_q(self.unit(unit), rows, q, rank)
    }

    /// (Mᵀ·P)ᵀ, rank × columns, where the unit is the matrix M row by row.
    pub fn transpose_times(&self, unit: &Unit, rows: usize, p: &[f32], rank: usize) -> Vec<f32> {
        low_rank::transpose_times(self.unit(unit), rows, p, rank)
    }

    /// A count-sketch of the whole vector, of `rows` × `columns` cells hashed by `draw`.
    ///
    /// # Panics
    /// Where `rows` is not in 1 … 64, or `columns` is 0.
    pub fn sketch(&self, rows: usize, columns: usize, draw: u64) -> Sketch {
        Sketch::new(self.as_slice(), rows, columns, draw)
    }

    /// A count-sketch of one unit.
    pub fn sketch_unit(&self, unit: &Unit, sketch: &CountSketch, key: &Key) -> Payload {
        sketch.sketch(&mut Source::still(self.unit(unit)), key).into()
    }

    /// A unit's values at the places of a sparse payload; of any other payload none.
    pub fn gather(&self, unit: &Unit, places: &Payload) -> Vec<f32> {
        let Payload::Sparse(places) = places else { return Vec::new() };
        Source::still(self.unit(unit)).gather(&places.indices)
    }

    fn unit(&self, unit: &Unit) -> &[f32] {
        &self.as_slice()[unit.range.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Scope;
    use crate::payload::{Sparse, Values};

    #[test]
    fn masks_what_was_named() {
        let layout = Layout::flat(4).unwrap();
        let places = Sparse { len: 4, indices: vec![1, 3], values: Values::F32(vec![0.0; 2]) };
        let message = Message::from(Payload::from(places));
        let mut x = Vector::from(vec![1.0, 2.0, 3.0, 4.0]);
        x.mask(&message, &layout);
        assert_eq!(x.as_slice(), [1.0, 0.0, 3.0, 0.0]);
        assert_eq!(x.gather(&layout.units()[0], &message.payloads[0]), [0.0, 0.0]);
        assert_eq!(message.payloads[0].with_values(vec![5.0, 6.0]).decode(), [0.0, 5.0, 0.0, 6.0]);
    }

    #[test]
    fn noise_is_drawn_unit_by_unit() {
        let layout = Layout::new(vec![("a".into(), vec![3]), ("b".into(), vec![2])], Scope::Parameter, 0).unwrap();
        let key = Key::new(3);
        let mut x = Vector::zeros(5);
        x.add_noise(2.0, &key, &layout);
        for unit in layout.units() {
            let mut random = Philox::new(key.unit(unit.key).draw());
            assert!(x.as_slice()[unit.range.clone()].iter().all(|x| *x == 2.0 * random.normal()));
        }
    }
}
