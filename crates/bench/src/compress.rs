//! The rows of `backburn bench compress`.

use std::hint::black_box;
use std::time::Instant;

use backburn_compress::{
    AnyCompressor, Correction, Key, Layout, LayoutError, Memo, Message, Philox, Scope, Vector, decode_into,
    decode_message, encode_message_into, feedback, mean, message_bytes,
};
use rayon::prelude::*;

use crate::entropy;
use crate::shapes::Model;

pub use crate::table::{Row, render};

/// How many workers' messages are decoded and averaged.
pub const WORKERS: usize = 8;

/// The compressors that are measured unless others are asked for.
pub const COMPRESSORS: &[&str] = &[
    "identity",
    "sign:scaled",
    "onebit",
    "topk:0.01",
    "topk:0.01,values=bf16",
    "randk:0.01",
    "threshold:16",
    "twobit:2",
    "qsgd:s=15,bucket=512,scaled",
    "qsgd:s=127,bucket=512,scaled",
    "terngrad:scaled",
    "natural:scaled",
    "lowrank:4",
    "sketch:0.05",
    "fcc:rounds=3,of=topk:0.01",
];

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// The model whose tensors are compressed.
    pub model: Model,
    /// [`Scope::Global`] is the layout `flat`, [`Scope::Parameter`] is `layers`.
    pub scopes: Vec<Scope>,
    /// Compressors, as text.
    pub compressors: Vec<AnyCompressor>,
    /// Timed steps, after as many again to warm up (16 at most).
    pub samples: usize,
}

impl Options {
    /// All of [`COMPRESSORS`] on a model, in both layouts.
    pub fn new(model: Model) -> Self {
        let parse = |text: &&str| text.parse().expect("the list holds textual forms");
        Self {
            model,
            scopes: vec![Scope::Global, Scope::Parameter],
            compressors: COMPRESSORS.iter().map(parse).collect(),
            samples: 21,
        }
    }
}

/// Measures everything that is asked for, and hands on each row when it is ready.
///
/// # Errors
/// Where the shapes make no layout.
pub fn rows(options: &Options, mut each: impl FnMut(&Row)) -> Result<Vec<Row>, LayoutError> {
    let mut rows = Vec::new();
    for scope in &options.scopes {
        let layout = options.model.layout(*scope)?;
        // A few gradients in turn, so that the residual does not grow along one of them.
        let gradients: Vec<Vector> = (0..4).map(|i| normal(layout.len(), i)).collect();
        for compressor in &options.compressors {
            let row = measure(compressor, &layout, &gradients, options.samples);
            each(&row);
            rows.push(row);
        }
    }
    Ok(rows)
}

fn measure(c: &AnyCompressor, layout: &Layout, gradients: &[Vector], samples: usize) -> Row {
    let d = layout.len();
    let mut p = Vector::zeros(d);
    let mut sum = vec![0.0f32; d];
    let mut memos = vec![Memo::default(); layout.units().len()];
    let mut last: Option<Message> = None;
    let (mut steps, mut adds) = (Vec::new(), Vec::new());
    let warm = samples.min(16);
    for step in 0..warm + samples {
        let key = Key { step: step as u64, worker: Some(0), ..Key::new(1) };
        let g = &gradients[step % gradients.len()];
        let correction = Correction { last: last.as_ref(), decay: 1.0, gain: 1.0, gradient: g };
        let (message, seconds) = time(|| feedback(c, &mut p, correction, layout, &key, &mut memos));
        let ((), add) = time(|| add(black_box(&mut sum), g.as_slice()));
        if step >= warm {
            steps.push(seconds);
            adds.push(add);
        }
        if let Some(gone) = last.replace(message) {
            gone.recycle();
        }
    }
    let message = last.expect("a step at least");
    let bytes = message_bytes(&message);
    let (mut encodes, mut decodes, mut encoded) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=samples.min(9) {
        encoded.clear();
        let ((), writing) = time(|| encode_message_into(&message, &mut encoded));
        assert_eq!(encoded.len() as u64, bytes, "the size is the length of the encoding");
        let (read, reading) = time(|| decode_message(&encoded, u64::MAX));
        read.expect("own bytes").recycle();
        // The first round finds its memory.
        if round > 0 {
            encodes.push(writing);
            decodes.push(reading);
        }
    }
    let decode_mean_seconds = decode_mean(c, layout, gradients, samples.min(9));
    let entropy: f64 = message.payloads.iter().map(|p| entropy::bits(p)).sum();
    let (seconds, add_seconds) = (median(steps), median(adds));
    let (encode_seconds, decode_seconds) = (median(encodes), median(decodes));
    Row {
        compressor: c.to_string(),
        layout: match layout.scope() {
            Scope::Global => "flat".into(),
            Scope::Parameter => "layers".into(),
            other => other.to_string(),
        },
        d,
        seconds,
        bytes,
        bits_per_coordinate: 8.0 * bytes as f64 / d as f64,
        entropy_bits_per_coordinate: entropy / d as f64,
        add_seconds,
        floor_ratio: seconds / add_seconds,
        encode_seconds,
        decode_seconds,
        decode_mean_seconds,
        way_seconds: seconds + encode_seconds + decode_seconds + decode_mean_seconds,
        threads: rayon::current_num_threads(),
    }
}

/// Workers see different gradients; eight of them take turns with the four there are.
fn decode_mean(c: &AnyCompressor, layout: &Layout, gradients: &[Vector], samples: usize) -> f64 {
    let messages: Vec<Message> = (0..WORKERS)
        .map(|w| {
            let key = Key { worker: Some(w as u32), ..Key::new(1) };
            let mut memos = vec![Memo::default(); layout.units().len()];
            backburn_compress::compress(c, &gradients[w % gradients.len()], 1.0, layout, &key, &mut memos)
        })
        .collect();
    let inbox: Vec<Option<&Message>> = messages.iter().map(Some).collect();
    let mut y = vec![0.0f32; layout.len()];
    let mut once = || {
        let whole = || {
            let mean = mean(&inbox, layout);
            decode_into(&mean.payloads, -1.0, black_box(&mut y), layout);
            mean
        };
        let (mean, seconds) = time(whole);
        mean.recycle();
        seconds
    };
    once();
    median((0..samples.max(1)).map(|_| once()).collect())
}

/// The floor: nothing but the traffic of reading two vectors and writing one.
pub(crate) fn add(e: &mut [f32], g: &[f32]) {
    const CHUNK: usize = 1 << 16;
    e.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK)).for_each(|(e, g)| {
        e.iter_mut().zip(g).for_each(|(e, g)| *e += g);
    });
}

pub(crate) fn normal(d: usize, seed: u64) -> Vector {
    let chunk = |(i, x): (usize, &mut [f32])| {
        let mut random = Philox::new(seed << 32 | i as u64);
        x.iter_mut().for_each(|x| *x = random.normal());
    };
    let mut x = vec![0.0; d];
    x.par_chunks_mut(1 << 16).enumerate().for_each(chunk);
    x.into()
}

pub(crate) fn time<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

pub(crate) fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_compressor_gives_a_row() {
        let model = Model { name: "small".into(), shapes: vec![vec![40, 30], vec![40], vec![1]] };
        let mut seen = 0;
        let rows = rows(&Options { samples: 3, ..Options::new(model) }, |_| seen += 1).unwrap();
        assert_eq!((rows.len(), seen), (2 * COMPRESSORS.len(), 2 * COMPRESSORS.len()));
        assert!(rows.iter().all(|r| r.d == 1241 && r.bytes > 0 && r.seconds > 0.0));
        let parts = |r: &Row| r.seconds + r.encode_seconds + r.decode_seconds + r.decode_mean_seconds;
        assert!(rows.iter().all(|r| r.way_seconds == parts(r) && r.decode_seconds > 0.0));
        let sign = rows.iter().find(|r| r.compressor == "sign:scaled" && r.layout == "flat").unwrap();
        assert!(sign.bits_per_coordinate < 1.3, "{}", sign.bits_per_coordinate);
        assert_eq!(render(&rows).lines().count(), rows.len() + 1);
    }
}
