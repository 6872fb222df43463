//! How what a rank's model says of a batch gets to all ranks.

use std::sync::{Arc, Mutex, MutexGuard};

use ::burn::tensor::{Device, Int, Tensor, TensorData};
use ::burn::train::ClassificationOutput;

use crate::host::{Transport, TransportError};

/// What a model says of a batch, as bytes: so the metrics of every rank are those of all.
pub trait Carried: Sized {
    /// What metrics read of it.
    fn to_bytes(&self) -> Vec<u8>;

    /// `None` where the bytes are none.
    fn from_bytes(bytes: &[u8], device: &Device) -> Option<Self>;
}

/// The number of classes, then in 32 bits each the loss, the logits and the targets.
impl Carried for ClassificationOutput {
    fn to_bytes(&self) -> Vec<u8> {
        let floats = |data: TensorData| data.iter::<f32>().flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
        let targets = self.targets.clone().into_data();
        let classes = self.output.dims()[1] as u32;
        let mut bytes = classes.to_le_bytes().to_vec();
        bytes.extend(floats(self.loss.clone().into_data()));
        bytes.extend(floats(self.output.clone().into_data()));
        bytes.extend(targets.iter::<i32>().flat_map(i32::to_le_bytes));
        bytes
    }

    fn from_bytes(bytes: &[u8], device: &Device) -> Option<Self> {
        let (classes, rest) = bytes.split_first_chunk()?;
        let classes = u32::from_le_bytes(*classes) as usize;
        let (words, left) = rest.as_chunks();
        // The loss, and of each image its logits and its class.
        let images = words.len().checked_sub(1)? / (classes + 1);
        if !left.is_empty() || words.len() != 1 + images * (classes + 1) {
            return None;
        }
        let floats: Vec<f32> = words[..1 + images * classes].iter().map(|x| f32::from_le_bytes(*x)).collect();
        let targets: Vec<i32> = words[1 + images * classes..].iter().map(|x| i32::from_le_bytes(*x)).collect();
        let loss = Tensor::<1>::from_data(TensorData::new(floats[..1].to_vec(), [1]), device);
        let output = Tensor::<2>::from_data(TensorData::new(floats[1..].to_vec(), [images, classes]), device);
        let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [images]), device);
        Some(Self::new(loss, output, targets))
    }
}

/// The ranks of a training; clones are the same.
#[derive(Clone)]
pub(super) struct Ranks(Arc<Mutex<dyn Transport + Send>>);

impl Ranks {
    pub fn new(transport: impl Transport + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(transport)))
    }

    fn lock(&self) -> MutexGuard<'_, dyn Transport + Send + 'static> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn say(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TransportError> {
        let all: Vec<usize> = (0..self.size()).collect();
        self.lock().exchange(bytes, &all)
    }
}

impl Transport for Ranks {
    fn rank(&self) -> usize {
        self.lock().rank()
    }

    fn size(&self) -> usize {
        self.lock().size()
    }

    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
        self.lock().exchange(message, from)
    }

    fn all_to_all(&mut self, messages: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, TransportError> {
        self.lock().all_to_all(messages)
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        self.lock().all(yes)
    }
}

/// What a rank is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It has a batch.
    Step,
    /// Its shard has ended.
    End,
    /// Somebody has stopped it.
    Stop,
}

/// How what a model says gets to all ranks.
pub(super) struct Carrier<O> {
    pub ranks: Ranks,
    pub to: fn(&O) -> Vec<u8>,
    pub from: fn(&[u8], &Device) -> Option<O>,
}

impl<O> Carrier<O> {
    /// What all do: the last of what each is about to.
    pub fn turn(&self, own: Turn) -> Result<Turn, TransportError> {
        let all = [Turn::Step, Turn::End, Turn::Stop];
        let heard = self.ranks.say(&[own as u8])?;
        let last = heard.iter().filter_map(|bytes| bytes.first()).max().copied().unwrap_or(Turn::Stop as u8);
        Ok(all.into_iter().find(|turn| *turn as u8 == last).unwrap_or(Turn::Stop))
    }

    /// Every worker's output, its own among them, and every worker's batch statistics.
    pub fn share(
        &self,
        own: O,
        statistics: &[f32],
        device: &Device,
    ) -> Result<(Vec<O>, Vec<Vec<f32>>), TransportError> {
        let rank = self.ranks.rank();
        let mut bytes = (statistics.len() as u32).to_le_bytes().to_vec();
        bytes.extend(statistics.iter().flat_map(|x| x.to_le_bytes()));
        bytes.extend((self.to)(&own));
        let (mut outputs, mut seen, mut own) = (Vec::new(), Vec::new(), Some(own));
        for (from, bytes) in self.ranks.say(&bytes)?.iter().enumerate() {
            let unknown = || TransportError::new(format!("what rank {from} reports is not understood"));
            let (len, rest) = bytes.split_first_chunk().ok_or_else(unknown)?;
            let (theirs, rest) = rest.split_at_checked(4 * u32::from_le_bytes(*len) as usize).ok_or_else(unknown)?;
            seen.push(theirs.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect());
            let output = if from == rank { own.take() } else { (self.from)(rest, device) };
            outputs.push(output.ok_or_else(unknown)?);
        }
        Ok((outputs, seen))
    }
}
