//! `backburn stability`.

use backburn_reproduce::stability::{Grid, map};

use crate::error::{Failure, say};

#[derive(clap::Args)]
pub struct Args {
    /// Every α, each in (0, 1].
    #[arg(long, value_name = "ALPHA", value_delimiter = ',', default_values_t = Grid::default().alphas)]
    alphas: Vec<f64>,
    /// Every ratio of coordinates that are sent, each in (0, 1].
    #[arg(long, value_name = "RATIO", value_delimiter = ',', default_values_t = Grid::default().ratios)]
    ratios: Vec<f64>,
    /// topk or randk, or any other compressor of the form NAME:RATIO.
    #[arg(long, default_value = "topk")]
    compressor: String,
    /// The factor on the compensation.
    #[arg(long, default_value_t = Grid::default().beta)]
    beta: f64,
    /// Compensate with the last error alone, for comparison.
    #[arg(long)]
    one_step: bool,
    /// The step size.
    #[arg(long, default_value_t = Grid::default().lr)]
    lr: f64,
    /// Steps of every run.
    #[arg(long, default_value_t = Grid::default().steps)]
    steps: u64,
    /// The seed of all runs.
    #[arg(long, default_value_t = Grid::default().seed)]
    seed: u64,
}

pub fn stability(args: Args) -> Result<(), Failure> {
    let Args { alphas, ratios, compressor, beta, one_step, lr, steps, seed } = args;
    let grid = Grid { alphas, ratios, compressor, beta, one_step, lr, steps, seed, ..Grid::default() };
    say(map(&grid)?.to_string().trim_end())
}
