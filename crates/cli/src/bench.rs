//! `backburn bench compress`.

use backburn::prelude::{AnyCompressor, Scope};
use backburn_bench::Model;
use backburn_bench::compress::{Options, render, rows};
use clap::{Subcommand, ValueEnum};

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
}

#[derive(Clone, Copy, ValueEnum)]
enum Layout {
    Flat,
    Layers,
}

pub fn bench(args: &Args) -> Result<(), Failure> {
    let Command::Compress { shape, layout, json, samples, compressors } = &args.command;
    let mut options = Options::new(Model::load(shape)?);
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
    let mut said = Ok(());
    let rows = rows(&options, |row| {
        if *json && said.is_ok() {
            said = say(serde_json::to_string(row).expect("a row is plain data"));
        }
    })?;
    said?;
    if *json { Ok(()) } else { say(render(&rows).trim_end()) }
}
