//! `backburn bench compress`, `backburn bench step` and `backburn bench round`.

use backburn::DeviceKind;
use backburn::prelude::{AnyAlgorithm, AnyCompressor, Scope};
use backburn::train::run::MemoryLimit;
use backburn_bench::{Model, compress, round, step};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::error::{Failure, say};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Time a feedback step and the decoded mean of 8 workers; count bits; compare with `e += g`.
    Compress {
        /// resnet18, resnet50, or a file with a list of shapes.
        #[arg(long, default_value = "resnet18")]
        shape: String,
        /// One vector, or the model's tensors one by one; both where neither is named.
        #[arg(long)]
        layout: Option<Layout>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// Timed repetitions of each step; the median counts.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        samples: Option<u32>,
        /// Compressors to measure, as `topk:0.01`; a selection of all kinds where none is named.
        compressors: Vec<AnyCompressor>,
    },
    /// Time a step of EF-SGD on whole models, of one worker and of four, beside Burn's own SGD.
    Step {
        /// auto, flex, ndarray or wgpu, as compiled in.
        #[arg(long, default_value = "auto")]
        device: DeviceKind,
        /// β of all contenders.
        #[arg(long, default_value_t = 0.9)]
        momentum: f64,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// Timed steps of each; the median counts.
        #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
        samples: u32,
        /// Compressors to measure, as `topk:0.01`; a selection where none is named.
        compressors: Vec<AnyCompressor>,
    },
    /// Time a group's round as workers and coordinates grow, and its memory beside what is stated.
    Round {
        /// The method.
        #[arg(long, default_value = "ef-sgd")]
        algorithm: AnyAlgorithm,
        /// Numbers of workers, all in this process.
        #[arg(long, value_delimiter = ',', default_values_t = round::WORKERS.to_vec(), value_parser = positive)]
        workers: Vec<usize>,
        /// Numbers of coordinates.
        #[arg(long, value_delimiter = ',', default_values_t = round::COORDINATES.to_vec(), value_parser = positive)]
        coordinates: Vec<usize>,
        /// How much memory a round may take, `available`, `none` or an amount as `1.5GB`: what needs more is refused.
        #[arg(long, default_value = "available")]
        memory: MemoryLimit,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// Timed rounds of each; the median counts.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        samples: u32,
        /// Compressors to measure, as `topk:0.01`; a selection where none is named.
        compressors: Vec<AnyCompressor>,
    },
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("`{text}` is no number of 1 or more"))
}

#[derive(Clone, Copy, ValueEnum)]
enum Layout {
    Flat,
    Layers,
}

pub fn bench(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Compress { shape, layout, json, samples, compressors } => {
            let mut options = compress::Options::new(Model::load(shape)?);
            match layout {
                Some(Layout::Flat) => options.scopes = vec![Scope::Global],
                Some(Layout::Layers) => options.scopes = vec![Scope::Parameter],
                None => {}
            }
            if let Some(samples) = samples {
                options.samples = *samples as usize;
            }
            if !compressors.is_empty() {
                options.compressors.clone_from(compressors);
            }
            listed(*json, |each| Ok(compress::rows(&options, each).map(drop)?), compress::render)
        }
        Command::Step { device, momentum, json, samples, compressors } => {
            let mut options = step::Options::new(device.device()?.autodiff());
            (options.momentum, options.samples) = (*momentum, *samples as usize);
            if !compressors.is_empty() {
                options.compressors.clone_from(compressors);
            }
            listed(*json, |each| Ok(step::rows(&options, each)?), step::render)
        }
        Command::Round { algorithm, workers, coordinates, memory, json, samples, compressors } => {
            let (algorithm, memory, samples) = (algorithm.clone(), *memory, *samples as usize);
            let (workers, coordinates) = (workers.clone(), coordinates.clone());
            let mut options = round::Options { algorithm, workers, coordinates, memory, samples, ..Default::default() };
            if !compressors.is_empty() {
                options.compressors.clone_from(compressors);
            }
            listed(*json, |each| Ok(round::rows(&options, each)?), round::render)
        }
    }
}

/// Each row as soon as it is there, as JSON; or all as a table.
fn listed<R: Serialize + Clone>(
    json: bool,
    measure: impl FnOnce(&mut dyn FnMut(&R)) -> Result<(), Failure>,
    render: impl FnOnce(&[R]) -> String,
) -> Result<(), Failure> {
    let (mut said, mut rows) = (Ok(()), Vec::new());
    measure(&mut |row| {
        if json && said.is_ok() {
            said = say(serde_json::to_string(row).expect("a row is plain data"));
        }
        rows.push(row.clone());
    })?;
    said?;
    if json { Ok(()) } else { say(render(&rows).trim_end()) }
}
