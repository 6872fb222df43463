//! What one worker says in one round.

use std::sync::Arc;

use rayon::prelude::*;

use crate::compressor::Compressor;
use crate::error::WireError;
use crate::kernels::tasks;
use crate::key::Key;
use crate::layout::{Layout, Unit};
use crate::memo::Memo;
use crate::payload::{Payload, Signs, Sketch, mean_of, mean_over_senders, wire};
use crate::source::{Source, Update};
use crate::vector::Vector;

/// What one worker says in one round: a payload for every unit, or for those that the round is about, and
/// notes, numbers of a method's own. Payloads are shared, so that nobody copies them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// What is said of the vector, unit by unit.
    pub payloads: Vec<Arc<Payload>>,
    /// What the method says beside it; on the wire they follow the payloads.
    pub notes: Vec<Note>,
}

/// A note: on the wire a payload like any other, here a type of its own, so that no unit's payload can be
/// taken for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A number.
    Number(f32),
    /// A count-sketch of a whole vector.
    Sketch(Sketch),
}

impl Note {
    /// A finite number; NaN becomes the largest, and what f32 does not reach is clamped.
    pub fn number(x: f64) -> Self {
        let most = f64::from(f32::MAX);
        Self::Number((if x.is_nan() { most } else { x.clamp(-most, most) }) as f32)
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(x) => Some(f64::from(*x)),
            Self::Sketch(_) => None,
        }
    }

    /// As it goes on the wire.
    fn payload(&self) -> Payload {
        match self {
            Self::Number(x) => Payload::floats(vec![*x]),
            Self::Sketch(sketch) => sketch.clone().into(),
        }
    }

    /// As it came from the wire.
    fn from_wire(payload: Arc<Payload>) -> Result<Self, WireError> {
        match Arc::unwrap_or_clone(payload) {
            Payload::Dense(dense) if dense.values.len() == 1 => Ok(Self::Number(dense.values.get(0))),
            Payload::Sketch(sketch) => Ok(Self::Sketch(sketch)),
            _ => Err(WireError::Shape("a note of no known kind".into())),
        }
    }

    /// Whether it is of the other's kind, and shape.
    fn is_shaped_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(_), Self::Number(_)) => true,
            (Self::Sketch(a), Self::Sketch(b)) => a.is_shaped_like(b),
            (Self::Number(_), Self::Sketch(_)) | (Self::Sketch(_), Self::Number(_)) => false,
        }
    }

    /// A bound on its numbers; infinite or NaN where one of them is.
    pub fn bound(&self) -> f64 {
        match self {
            Self::Number(x) => f64::from(x.abs()),
            Self::Sketch(_) => self.payload().bound(),
        }
    }

    /// Whether both name the same random draws, where both draw.
    pub fn draws_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sketch(a), Self::Sketch(b)) => a.is_like(b),
            (Self::Number(_), _) | (_, Self::Number(_)) => true,
        }
    }
}

impl Message {
    /// Nothing, not even silence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.payloads.is_empty() && self.notes.is_empty()
    }

    /// The same with another note.
    pub fn with_note(mut self, note: Note) -> Self {
        self.notes.push(note);
        self
    }

    /// Ends with its memory left to the messages to come, as far as nobody else holds its payloads: a step after the
    /// first then asks the system for none. Whoever lets go of a message as long as a model should say so.
    pub fn recycle(self) {
        self.payloads.into_iter().filter_map(Arc::into_inner).for_each(Payload::give);
    }

    /// Whether every number in it, and all that it decodes to, is finite.
    pub fn is_finite(&self) -> bool {
        self.payloads.par_iter().all(|p| p.is_finite()) && self.notes.iter().all(|n| n.bound().is_finite())
    }

    /// The coordinates of all payloads and notes.
    pub fn len(&self) -> u64 {
        let notes = self.notes.iter().map(|n| match n {
            Note::Number(_) => 1,
            Note::Sketch(sketch) => sketch.len as u64,
        });
        self.payloads.iter().map(|p| p.len() as u64).chain(notes).sum()
    }

    /// A message that came from the wire, where notes are payloads too, taken apart as `own` is: every worker
    /// speaks of the same units, and adds the same kinds of notes.
    ///
    /// # Errors
    /// Where it has another number of payloads, payloads of other lengths, or notes of other kinds.
    pub fn read_as(mut self, own: &Self) -> Result<Self, WireError> {
        let count = own.payloads.len();
        if self.payloads.len() != count + own.notes.len() {
            return Err(WireError::Shape("another number of payloads".into()));
        }
        self = self.apart(own.notes.len())?;
        if self.payloads.iter().zip(&own.payloads).any(|(a, b)| a.len() != b.len()) {
            return Err(WireError::Shape("payloads of other lengths".into()));
        }
        if !self.notes.iter().zip(&own.notes).all(|(note, own)| note.is_shaped_like(own)) {
            return Err(WireError::Shape("a note of another kind".into()));
        }
        Ok(self)
    }

    /// A message that came from the wire, its last payloads taken for so many notes.
    ///
    /// # Errors
    /// Where it has fewer payloads, or one of these is no note.
    pub fn apart(mut self, notes: usize) -> Result<Self, WireError> {
        let short = || WireError::Shape("another number of payloads".into());
        let count = self.payloads.len().checked_sub(notes).ok_or_else(short)?;
        let notes = self.payloads.split_off(count);
        self.notes = notes.into_iter().map(Note::from_wire).collect::<Result<_, _>>()?;
        Ok(self)
    }
}

impl From<Vec<Arc<Payload>>> for Message {
    fn from(payloads: Vec<Arc<Payload>>) -> Self {
        Self { payloads, notes: Vec::new() }
    }
}

impl From<Payload> for Message {
    fn from(payload: Payload) -> Self {
        vec![Arc::new(payload)].into()
    }
}

impl FromIterator<Arc<Payload>> for Message {
    fn from_iter<I: IntoIterator<Item = Arc<Payload>>>(payloads: I) -> Self {
        payloads.into_iter().collect::<Vec<_>>().into()
    }
}

/// What moves a corrected gradient on before it is compressed, as [`Update`] for the whole model:
/// p ← (p − decode(last))·decay + gain·gradient.
#[derive(Clone, Copy, Debug)]
pub struct Correction<'a> {
    /// What counts as applied of the p of the last step; `None` where nothing does.
    pub last: Option<&'a Message>,
    /// The factor on the residual: γ_old/γ_new where the step size is kept outside, otherwise 1.
    pub decay: f32,
    /// The factor on the gradient, in whose units p then is: γ where the step size is inside, otherwise 1.
    pub gain: f32,
    /// The gradient.
    pub gradient: &'a Vector,
}

/// C(x), unit by unit, in parallel; dense units go as they are. `gain` is γ where x is in units of γ, else 1;
/// `memos` has one memo a unit.
pub fn compress(c: &dyn Compressor, x: &Vector, gain: f64, layout: &Layout, key: &Key, memos: &mut [Memo]) -> Message {
    let each = |(unit, memo): (&Unit, &mut Memo)| {
        let source = Source::still(&x.as_slice()[unit.range.clone()]).in_units_of(gain);
        Arc::new(one(c, source, unit, key, memo))
    };
    tasks::map(layout.units().par_iter().zip(memos), each).into()
}

/// Moves p on as the [`Correction`] says, then C(p), unit by unit, in parallel; dense units go as they are. `memos`
/// has one memo a unit.
pub fn feedback(
    c: &dyn Compressor,
    p: &mut Vector,
    correction: Correction<'_>,
    layout: &Layout,
    key: &Key,
    memos: &mut [Memo],
) -> Message {
    let Correction { last, decay, gain, gradient } = correction;
    let each = |(i, ((p, unit), memo)): (usize, ((&mut [f32], &Unit), &mut Memo))| {
        let last = last.map(|l| &*l.payloads[i]);
        let update = Update { last, decay, gain, gradient: &gradient.as_slice()[unit.range.clone()] };
        Arc::new(one(c, Source::moving(p, update), unit, key, memo))
    };
    let pieces = layout.split(p.as_mut_slice());
    tasks::map(pieces.into_par_iter().zip(layout.units()).zip(memos).enumerate(), each).into()
}

fn one(c: &dyn Compressor, mut source: Source<'_>, unit: &Unit, key: &Key, memo: &mut Memo) -> Payload {
    if unit.dense { Payload::floats(source.dense()) } else { c.compress(source, unit, &key.unit(unit.key), memo) }
}

/// (1/n)·Σ of the messages, unit by unit, summed in the order of the inbox; an absent one counts as
/// zero, never as a smaller n. Notes are left out.
///
/// The mean is as sparse as its parts allow: sparse messages merge, random-k messages and sketches of
/// one draw add, all else becomes dense. A single message of n = 1 is passed on as it is. Where the sum leaves the range
/// of f32, and the mean does not, it is summed in f64.
pub fn mean(inbox: &[Option<&Message>], layout: &Layout) -> Message {
    let each = |(u, unit): (usize, &Unit)| mean_of_place(inbox, u, unit.len());
    tasks::map(layout.units().par_iter().enumerate(), each).into()
}

/// The [`mean`] of the payloads that stand at one place of every message; zeros of length `len` where nobody said
/// anything.
pub fn mean_of_place(inbox: &[Option<&Message>], place: usize, len: usize) -> Arc<Payload> {
    let n = inbox.len();
    let parts: Vec<&Arc<Payload>> = inbox.iter().flatten().map(|m| &m.payloads[place]).collect();
    match parts.as_slice() {
        [one] if n == 1 => (*one).clone(),
        _ => Arc::new(mean_of(&parts.iter().map(|p| &***p).collect::<Vec<_>>(), n, len)),
    }
}

/// As [`mean`], where each coordinate is divided by the number of messages that name it, and not by n: x then moves as
/// far along a coordinate that one worker sent as along one that all did, and by more than the workers' residuals pay
/// for.
pub fn mean_of_senders(inbox: &[Option<&Message>], layout: &Layout) -> Message {
    let each = |(u, unit): (usize, &Unit)| {
        let parts: Vec<&Payload> = inbox.iter().flatten().map(|m| &*m.payloads[u]).collect();
        Arc::new(mean_over_senders(&parts, unit.len()))
    };
    tasks::map(layout.units().par_iter().enumerate(), each).into()
}

/// The mean over n of the payloads that stand at this place of every message, as floats; empty where nobody
/// said anything. For rounds that are not about every unit.
pub fn mean_at(inbox: &[Option<&Message>], place: usize) -> Vec<f32> {
    if inbox.iter().all(Option::is_none) { Vec::new() } else { mean_of_place(inbox, place, 0).decode() }
}

/// sign(Σ sign), coordinate by coordinate, ties and zeros counting as +1; a worker that is absent has no vote.
pub fn majority(inbox: &[Option<&Message>], layout: &Layout) -> Message {
    let vote = |(u, unit): (usize, &Unit)| {
        let mut votes = vec![0i32; unit.len()];
        for message in inbox.iter().flatten() {
            let decoded = message.payloads[u].decode();
            votes.iter_mut().zip(decoded).for_each(|(v, x)| *v += if x >= 0.0 { 1 } else { -1 });
        }
        let pack = |c: &[i32]| c.iter().enumerate().fold(0, |w, (j, v)| w | u64::from(*v >= 0) << j);
        let words = votes.chunks(64).map(pack).collect();
        Arc::new(Signs { len: unit.len(), words, low: -1.0, high: 1.0 }.into())
    };
    tasks::map(layout.units().par_iter().enumerate(), vote).into()
}

/// y ← y + a·decode(payloads), unit by unit, in parallel.
pub fn decode_into(payloads: &[Arc<Payload>], a: f32, y: &mut [f32], layout: &Layout) {
    tasks::each(layout.split(y).into_par_iter().zip(payloads), |(y, payload)| payload.axpy(a, y));
}

/// The exact size of a message on the wire, header included, without encoding it.
pub fn message_bytes(message: &Message) -> u64 {
    let notes = notes(message);
    wire::num_bytes(message.payloads.iter().map(|p| &**p).chain(&notes))
}

/// A message as bytes, see [`wire`].
pub fn encode_message(message: &Message) -> Vec<u8> {
    let notes = notes(message);
    wire::encode(message.payloads.iter().map(|p| &**p).chain(&notes))
}

/// Appends a message as bytes to `out`, whose room may be that of an earlier one.
pub fn encode_message_into(message: &Message, out: &mut Vec<u8>) {
    let notes = notes(message);
    wire::encode_into(message.payloads.iter().map(|p| &**p).chain(&notes), out);
}

/// Reads a message from bytes that nobody vouches for, its notes still among the payloads, see
/// [`Message::read_as`]. `limit` bounds the coordinates of all together. Values may be infinite or NaN, see
/// [`Message::is_finite`].
///
/// # Errors
/// Where the bytes are not a message of this format, or describe more than `limit` coordinates.
pub fn decode_message(bytes: &[u8], limit: u64) -> Result<Message, WireError> {
    Ok(wire::decode(bytes, limit)?.into_iter().map(Arc::new).collect())
}

fn notes(message: &Message) -> Vec<Payload> {
    message.notes.iter().map(Note::payload).collect()
}
