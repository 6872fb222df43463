//! Messages that add up number by number, so that a network may add them on the way.

use std::sync::Arc;

use crate::key::mix;
use crate::message::Message;
use crate::payload::{Dense, Drawn, Payload, Sketch, Values};

/// The numbers of a payload whose mean is that of its numbers: all coordinates, random-k's of one draw, a sketch's cells.
fn numbers(payload: &Payload) -> Option<&[f32]> {
    match payload {
        Payload::Dense(Dense { values: Values::F32(values) }) => Some(values),
        Payload::Drawn(Drawn { values: Values::F32(values), .. }) => Some(values),
        Payload::Sketch(sketch) => Some(&sketch.cells),
        _ => None,
    }
}

/// The same with other numbers.
fn with(payload: &Payload, numbers: Vec<f32>) -> Option<Payload> {
    match payload {
        Payload::Dense(_) => Some(Payload::floats(numbers)),
        Payload::Drawn(Drawn { len, draw, .. }) => {
            Some(Drawn { len: *len, draw: *draw, values: Values::F32(numbers) }.into())
        }
        Payload::Sketch(sketch) => Some(Sketch { cells: numbers, ..*sketch }.into()),
        _ => None,
    }
}

impl Message {
    /// All numbers of a message in a row, where it consists of nothing but numbers that add up: dense f32, random-k in
    /// f32, sketches, and no notes. Those of workers that drew alike may be added up by anybody, in any order, and
    /// [made a message](Self::with_addends) again.
    ///
    /// ```
    /// use backburn_compress::{Message, Payload};
    ///
    /// let payloads = [Payload::floats(vec![1.0, 2.0]), Payload::floats(vec![3.0])];
    /// let message: Message = payloads.map(std::sync::Arc::new).into_iter().collect();
    /// assert_eq!(message.addends().as_deref(), Some(&[1.0, 2.0, 3.0][..]));
    /// assert_eq!(message.with_addends(&[2.0, 4.0, 6.0]).unwrap().addends().as_deref(), Some(&[2.0, 4.0, 6.0][..]));
    /// ```
    pub fn addends(&self) -> Option<Vec<f32>> {
        if !self.notes.is_empty() {
            return None;
        }
        let parts: Vec<&[f32]> = self.payloads.iter().map(|payload| numbers(payload)).collect::<Option<_>>()?;
        Some(parts.concat())
    }

    /// The same message with other numbers, as [`addends`](Self::addends) gives them; `None` where it has none, or another
    /// number of them.
    pub fn with_addends(&self, mut of: &[f32]) -> Option<Self> {
        let mut message = Self::new();
        for payload in &self.payloads {
            let (own, rest) = of.split_at_checked(numbers(payload)?.len())?;
            message.payloads.push(Arc::new(with(payload, own.to_vec())?));
            of = rest;
        }
        of.is_empty().then_some(message)
    }

    /// What [`addends`](Self::addends) are the numbers of: workers whose keys are the same drew alike, and may add them up.
    /// `None` where it has none.
    pub fn addends_key(&self) -> Option<u64> {
        let mut hash = 0;
        let mut put = |word: u64| hash = mix(hash ^ word);
        for payload in &self.payloads {
            put(numbers(payload)?.len() as u64);
            put(payload.len() as u64);
            put(match &**payload {
                Payload::Drawn(drawn) => drawn.draw,
                Payload::Sketch(sketch) => sketch.draw ^ (sketch.rows as u64).rotate_left(48),
                _ => 0,
            });
        }
        self.notes.is_empty().then_some(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payloads: Vec<Payload>) -> Message {
        payloads.into_iter().map(Arc::new).collect()
    }

    fn drawn(draw: u64, values: &[f32]) -> Payload {
        Drawn { len: 9, draw, values: Values::F32(values.to_vec()) }.into()
    }

    /// Adding up the numbers of workers that drew alike is the mean of their messages, times their number.
    #[test]
    fn sums_of_numbers_are_means_of_messages() {
        let of = |x: f32| -> Message {
            let sketch = Sketch::new(&[x, 2.0 * x, 3.0], 3, 8, 5);
            message(vec![Payload::floats(vec![x, 4.0]), drawn(7, &[x, 3.0 * x, 8.0]), sketch.into()])
        };
        let (a, b) = (of(2.0), of(6.0));
        assert_eq!(a.addends_key(), b.addends_key());
        let sum: Vec<f32> = a.addends().unwrap().iter().zip(b.addends().unwrap()).map(|(a, b)| (a + b) / 2.0).collect();
        let mean: Message = (0..3).map(|place| crate::mean_of_place(&[Some(&a), Some(&b)], place, 0)).collect();
        assert_eq!(a.with_addends(&sum).unwrap(), mean);
        assert_eq!(a.with_addends(&sum[1..]), None);
    }

    #[test]
    fn only_what_adds_up_has_addends() {
        let signs = message(vec![crate::payload::Signs { len: 2, words: vec![1], low: -1.0, high: 1.0 }.into()]);
        assert_eq!((signs.addends(), signs.addends_key()), (None, None));
        let key = |payload: Payload| message(vec![payload]).addends_key();
        assert_ne!(key(drawn(7, &[1.0])), key(drawn(8, &[1.0])), "another draw");
        assert_ne!(key(drawn(7, &[1.0])), key(drawn(7, &[1.0, 2.0])), "another number of values");
        assert_ne!(key(drawn(7, &[1.0])), key(Payload::floats(vec![1.0])), "another kind");
        let noted = Message::new().with_note(crate::Note::number(1.0));
        assert_eq!((noted.addends(), noted.addends_key()), (None, None));
    }
}
