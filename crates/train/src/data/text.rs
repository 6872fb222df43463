//! Text as bytes: windows, each with the bytes that follow its own.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::batch::ImageBatch;
use super::split::Split;

/// Tokens that there are, and so the classes of a text: bytes.
pub const VOCABULARY: usize = 256;
/// Tokens of a window, until a model says how many it reads.
const CONTEXT: usize = 128;
/// The share of a text, at its end, that is measured on: one part in so many.
const HELD_OUT: usize = 10;
/// Tokens a pass where a model is measured.
const A_PASS: usize = 8192;

/// A text that has no window in one of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it has {bytes} bytes: {train} to train on and {test} to measure on, the last tenth; each must be longer than the \
     context, {context}"
)]
pub struct ShortText {
    /// Bytes in all.
    pub bytes: usize,
    /// Of them trained on.
    pub train: usize,
    /// Of them measured on.
    pub test: usize,
    /// Tokens of a window.
    pub context: usize,
}

/// Bytes in windows that follow each other and do not overlap; what is left over at the end is in none. Cloning shares
/// them.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    bytes: Arc<Vec<u8>>,
    context: usize,
    /// Where windows begin.
    starts: Arc<Vec<usize>>,
    /// A text has no classes: all are of one.
    labels: Arc<Vec<u8>>,
}

impl Text {
    /// All of it, in windows of 128.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), context: 0, starts: Arc::default(), labels: Arc::default() }.with_context(CONTEXT)
    }

    /// The beginning to train on, the last tenth to measure on.
    pub fn split(mut bytes: Vec<u8>) -> Split<Self> {
        let test = bytes.split_off(bytes.len() - bytes.len() / HELD_OUT);
        Split { train: Self::new(bytes), test: Self::new(test) }
    }

    /// All of it in windows of so many tokens, at least 1.
    pub fn with_context(self, context: usize) -> Self {
        let context = context.max(1);
        if context == self.context {
            return self;
        }
        let windows = self.bytes.len().saturating_sub(1) / context;
        let starts: Vec<usize> = (0..windows).map(|window| window * context).collect();
        Self { context, starts: starts.into(), labels: vec![0; windows].into(), ..self }
    }

    /// The bytes, windows or not.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Tokens of a window.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Where windows begin.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// The one class that all windows are of.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Windows a pass where a model is measured.
    pub(super) fn a_pass(&self) -> usize {
        (A_PASS / self.context).max(1)
    }

    /// The windows of these indices, in that order.
    ///
    /// # Panics
    /// Unless all are below the number of windows.
    pub fn subset(&self, indices: &[usize]) -> Self {
        let starts: Vec<usize> = indices.iter().map(|i| self.starts[*i]).collect();
        Self { labels: vec![0; starts.len()].into(), starts: starts.into(), ..self.clone() }
    }

    /// The batch of these windows on `device`: each as an image of one line whose pixels are its bytes as they are, and as
    /// targets, window by window, the byte after each.
    ///
    /// # Panics
    /// Unless all indices are below the number of windows.
    pub fn batch(&self, indices: &[usize], device: &Device) -> ImageBatch {
        let (n, context) = (indices.len(), self.context);
        let (mut values, mut targets) = (Vec::with_capacity(n * context), Vec::with_capacity(n * context));
        for start in indices.iter().map(|i| self.starts[*i]) {
            let window = &self.bytes[start..=start + context];
            values.extend(window[..context].iter().map(|byte| f32::from(*byte)));
            targets.extend(window[1..].iter().map(|byte| i32::from(*byte)));
        }
        ImageBatch {
            images: Tensor::from_data(TensorData::new(values, [n, 1, 1, context]), device),
            targets: Tensor::from_data(TensorData::new(targets, [n * context]), device),
        }
    }
}

impl Split<Text> {
    /// In windows of so many tokens.
    ///
    /// # Errors
    /// Where a part has none of that length.
    pub fn with_context(self, context: usize) -> Result<Self, ShortText> {
        let split = self.map(|part| part.with_context(context));
        let [train, test] = [&split.train, &split.test].map(|part| part.bytes.len());
        match split.train.starts.is_empty() || split.test.starts.is_empty() {
            true => Err(ShortText { bytes: train + test, train, test, context }),
            false => Ok(split),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(text: &Text) -> Vec<(Vec<f32>, Vec<i32>)> {
        let one = |i| {
            let batch = text.batch(&[i], &Device::default());
            let targets = batch.targets.into_data().iter::<i32>().collect();
            (batch.images.into_data().try_to_vec::<f32>().unwrap(), targets)
        };
        (0..text.starts().len()).map(one).collect()
    }

    #[test]
    fn every_byte_is_a_target_once_and_the_end_is_held_out() {
        let split = Text::split((0..100).collect()).with_context(4).unwrap();
        assert_eq!((split.train.bytes().len(), split.test.bytes()[0]), (90, 90));
        // 89 targets are 22 windows, and one is left over.
        let all = windows(&split.train);
        assert_eq!(all.len(), 22);
        for (i, (tokens, targets)) in all.iter().enumerate() {
            assert_eq!(tokens[..], [0, 1, 2, 3].map(|j| (4 * i + j) as f32));
            assert_eq!(targets[..], [1, 2, 3, 4].map(|j| (4 * i + j) as i32));
        }
        assert_eq!(windows(&split.train.subset(&[7, 0])), [all[7].clone(), all[0].clone()]);
        assert_eq!(windows(&split.test).len(), 2);
    }

    #[test]
    fn a_part_of_no_window_is_refused() {
        let split = |bytes: usize| Text::split(vec![7; bytes]).with_context(16);
        assert_eq!(split(170).unwrap().test.starts(), [0]);
        let refused = split(169).unwrap_err();
        assert_eq!(refused, ShortText { bytes: 169, train: 153, test: 16, context: 16 });
        assert!(split(0).is_err());
    }
}
