//! What a message costs the machine that makes it and those that read it, for predictions.

use std::hint::black_box;
use std::time::Instant;

use backburn_compress::{
    AnyCompressor, Correction, Key, Layout, LayoutError, Memo, Message, Scope, Vector, decode_into, decode_message,
    encode_message, feedback, mean, message_bytes,
};
use serde::Serialize;

use crate::compress::{add, median, normal, time};

/// Workers whose messages are averaged; what more of them cost is extrapolated.
const WORKERS: usize = 4;

/// Measured of one compressor on one layout, with gradients that are normal and independent. Times are medians.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Its textual form.
    pub compressor: String,
    /// Coordinates.
    pub coordinates: usize,
    /// Of a message.
    pub bytes: f64,
    /// Of a step of error feedback.
    pub compress: f64,
    /// Of writing a message as bytes.
    pub encode: f64,
    /// Of reading one from bytes.
    pub decode: f64,
    /// Of averaging messages into a vector: of the first, and of each further one.
    pub mean: [f64; 2],
    /// Of writing an average of messages as bytes, and of reading it.
    pub recode: [f64; 2],
    /// Bytes of the average of one message, of two, and of four.
    pub averages: [f64; 3],
}

impl Cost {
    /// Bytes of the average of n messages. Places that workers choose for themselves overlap by chance: what is sent
    /// grows from what was measured to the whole, and never beyond.
    pub fn average_bytes(&self, n: usize) -> f64 {
        let dense = (4 * self.coordinates) as f64;
        let (measured, of) = match n {
            0 | 1 => (1, self.averages[0]),
            2 | 3 => (2, self.averages[1]),
            _ => (4, self.averages[2]),
        };
        if n <= measured || of >= dense {
            return of;
        }
        let missed = (1.0 - of / dense).powf(n as f64 / measured as f64);
        dense * (1.0 - missed)
    }

    /// Seconds of averaging n messages.
    pub fn mean_of(&self, n: f64) -> f64 {
        self.mean[0] + (n - 1.0).max(0.0) * self.mean[1]
    }
}

impl Cost {
    /// Of a layout that is so many times as large.
    fn times(self, factor: f64) -> Self {
        let of = |x: f64| x * factor;
        Self {
            coordinates: (self.coordinates as f64 * factor).round() as usize,
            bytes: of(self.bytes),
            compress: of(self.compress),
            encode: of(self.encode),
            decode: of(self.decode),
            mean: self.mean.map(of),
            recode: self.recode.map(of),
            averages: self.averages.map(of),
            ..self
        }
    }
}

/// A layout, and gradients to compress on it: normal and independent.
#[derive(Clone, Debug)]
pub struct Bench {
    layout: Layout,
    gradients: Vec<Vector>,
    /// Coordinates of the model for each that is measured.
    factor: f64,
}

/// Steps of each worker before its message is averaged with others': by then it owes something.
const STEPS: usize = 2;

impl Bench {
    /// Draws the gradients.
    pub fn new(layout: Layout) -> Self {
        let gradients = (0..WORKERS * STEPS).map(|i| normal(layout.len(), i as u64)).collect();
        Self { layout, gradients, factor: 1.0 }
    }

    /// Of a model's tensors so many coordinates at most, of every tensor its share in whole rows: what is measured of
    /// them is taken as many times as the model is larger.
    ///
    /// # Errors
    /// Where the tensors cannot be laid out.
    pub fn part(tensors: &[(String, Vec<usize>)], most: usize) -> Result<Self, LayoutError> {
        let whole: usize = tensors.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let share = (most as f64 / whole.max(1) as f64).min(1.0);
        let cut = |(path, shape): &(String, Vec<usize>)| {
            let mut shape = shape.clone();
            if let Some(rows) = shape.first_mut() {
                *rows = ((*rows as f64 * share).round() as usize).max(1);
            }
            (path.clone(), shape)
        };
        let layout = Layout::new(tensors.iter().map(cut).collect(), Scope::Parameter, 0)?;
        let factor = whole as f64 / layout.len().max(1) as f64;
        Ok(Self { factor, ..Self::new(layout) })
    }

    /// The layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Measures a compressor for about so many seconds.
    pub fn measure(&self, c: &AnyCompressor, seconds: f64) -> Cost {
        let layout = &self.layout;
        let part = seconds / 6.0;
        let messages: Vec<Message> =
            (0..WORKERS).filter_map(|w| self.worker(c, w).nth(STEPS - 1)).map(|m| m.0).collect();
        let mut worker = self.worker(c, 0);
        let compress = repeat(part, 3, || worker.next().map_or(0.0, |(_, seconds)| seconds));
        let inbox: Vec<Option<&Message>> = messages.iter().map(Some).collect();
        let mut y = vec![0.0f32; layout.len()];
        let mut averaging = |n: usize| {
            let once =
                |y: &mut [f32]| time(|| decode_into(&mean(&inbox[..n], layout).payloads, -1.0, black_box(y), layout)).1;
            repeat(part, 1, || once(&mut y))
        };
        let (one, all) = (averaging(1), averaging(WORKERS));
        let coding = |message: &Message| {
            let bytes = encode_message(message);
            let limit = message.len();
            let encode = repeat(part / 2.0, 1, || time(|| encode_message(message)).1);
            let decode = repeat(part / 2.0, 1, || time(|| decode_message(&bytes, limit).expect("own bytes")).1);
            [encode, decode]
        };
        let averages = [1, 2, WORKERS].map(|n| mean(&inbox[..n], layout));
        let own = &messages[0];
        let [encode, decode] = coding(own);
        let cost = Cost {
            compressor: c.to_string(),
            coordinates: layout.len(),
            bytes: message_bytes(own) as f64,
            compress,
            encode,
            decode,
            mean: [one, ((all - one) / (WORKERS - 1) as f64).max(0.0)],
            recode: coding(&averages[2]),
            averages: averages.map(|m| message_bytes(&m) as f64),
        };
        if self.factor == 1.0 { cost } else { cost.times(self.factor) }
    }

    /// A worker's messages, and what each took.
    fn worker<'a>(&'a self, c: &'a AnyCompressor, worker: usize) -> impl Iterator<Item = (Message, f64)> + 'a {
        let layout = &self.layout;
        let mut p = Vector::zeros(layout.len());
        let mut memos = vec![Memo::default(); layout.units().len()];
        let mut last: Option<Message> = None;
        (0..).map(move |step: usize| {
            let key = Key { step: step as u64, worker: Some(worker as u32), ..Key::new(1) };
            let g = &self.gradients[(worker * STEPS + step) % self.gradients.len()];
            let correction = Correction { last: last.as_ref(), decay: 1.0, gain: 1.0, gradient: g };
            let (message, seconds) = time(|| feedback(c, &mut p, correction, layout, &key, &mut memos));
            last = Some(message.clone());
            (message, seconds)
        })
    }
}

/// The median of what is measured again and again for so long, the first few thrown away.
fn repeat(seconds: f64, warm: usize, mut once: impl FnMut() -> f64) -> f64 {
    (0..warm).for_each(|_| {
        once();
    });
    let start = Instant::now();
    let mut all = vec![once()];
    while start.elapsed().as_secs_f64() < seconds && all.len() < 1000 {
        all.push(once());
    }
    median(all)
}

/// Seconds of `e += g` over so many coordinates.
pub fn add_seconds(coordinates: usize) -> f64 {
    let (mut e, g) = (vec![0.0f32; coordinates], normal(coordinates, 1));
    repeat(0.05, 2, || time(|| add(black_box(&mut e), g.as_slice())).1)
}

/// Measures a compressor on tensors of one size after the other, and gives the cost of one of each.
///
/// # Errors
/// Where a size is 0.
pub fn by_size(c: &AnyCompressor, sizes: &[usize], seconds: f64) -> Result<Vec<(usize, Cost)>, LayoutError> {
    let one = |size: &usize| {
        let count = ((1 << 16) / size).clamp(1, 256);
        let tensors = (0..count).map(|i| (format!("tensor{i}"), vec![*size])).collect();
        let layout = Layout::new(tensors, Scope::Parameter, 0)?;
        let all = Bench::new(layout).measure(c, seconds / sizes.len() as f64);
        Ok((*size, all.times(1.0 / count as f64)))
    };
    sizes.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What n workers' messages come to grows with n, from what one sends to the whole.
    #[test]
    fn averages_grow_to_the_whole() {
        let bench = Bench::new(Layout::flat(10_000).unwrap());
        for (form, whole) in [("topk:0.01", false), ("identity", true), ("sign:scaled", true)] {
            let cost = bench.measure(&form.parse().unwrap(), 0.0);
            let bytes: Vec<f64> = [1, 2, 3, 4, 5, 16, 100, 10_000].map(|n| cost.average_bytes(n)).to_vec();
            assert!(bytes.windows(2).all(|w| w[0] <= w[1]), "{form}: {bytes:?}");
            let dense = 40_000.0;
            assert!((bytes[7] / dense - 1.0).abs() < 0.01, "{form}: {bytes:?}");
            assert_eq!(bytes[3] > 0.9 * dense, whole, "{form}: {bytes:?}");
        }
        let tensors = [("a".into(), vec![100, 50]), ("b".into(), vec![7])];
        let part = Bench::part(&tensors, 1000).unwrap().measure(&"identity".parse().unwrap(), 0.0);
        assert_eq!((part.coordinates, part.bytes > 0.9 * 20028.0, part.bytes < 1.1 * 20028.0), (5007, true, true));
        let cost = bench.measure(&"topk:0.01".parse().unwrap(), 0.0);
        assert!(cost.bytes < 600.0 && cost.averages[2] > 3.0 * cost.bytes, "{cost:?}");
        let sizes = by_size(&"topk:0.1".parse().unwrap(), &[16, 1024], 0.0).unwrap();
        assert!(sizes[1].1.bytes > 10.0 * sizes[0].1.bytes && sizes[0].1.bytes < 64.0, "{sizes:?}");
    }
}
