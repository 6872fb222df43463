//! Where ErrorCompensatedX is stable: a map over α and the compressor's strength.

use std::fmt;
use std::ops::ControlFlow;

use backburn_compress::TextError;
use backburn_compress::{AnyCompressor, Key, Layout, Philox, Stream};
use backburn_optim::{AnyAlgorithm, Ask, Ecx, Reply, RoundError, SetupError};
use backburn_train::session::{Ending, Session, Step, Stepped, Trains, Watch};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::problems::flat::Flat;

/// The problem and the grid: f(x) = ½‖x‖² from x₀ = (1, …, 1), gradients with noise N(0, σ²I), momentum
/// as the estimator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grid {
    /// Every α, each in (0, 1].
    pub alphas: Vec<f64>,
    /// Every ratio of coordinates that are sent, each in (0, 1].
    pub ratios: Vec<f64>,
    /// The compressor's name: `topk` or `randk`, or any other of the form `name:RATIO`.
    pub compressor: String,
    /// β, the factor on the compensation.
    pub beta: f64,
    /// Compensation with the last error alone, for comparison.
    pub one_step: bool,
    /// γ.
    pub lr: f64,
    /// σ.
    pub noise: f64,
    /// d.
    pub dimension: usize,
    /// Steps of every run, of which the last quarter is measured.
    pub steps: u64,
    /// The seed of all runs.
    pub seed: u64,
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            alphas: vec![1.0, 0.8, 0.5, 0.3, 0.2, 0.1, 0.05, 0.01],
            ratios: vec![1.0, 0.5, 0.25, 0.1, 0.05, 0.01],
            compressor: "topk".into(),
            beta: 1.0,
            one_step: false,
            lr: 0.01,
            noise: 0.1,
            dimension: 100,
            steps: 4000,
            seed: 0,
        }
    }
}

/// Why there is no map.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// A compressor that does not parse.
    #[error(transparent)]
    Compressor(#[from] TextError),
    /// A parameter out of its range, or a compressor that feedback cannot take.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A number of the grid out of its range.
    #[error("{0}")]
    Grid(&'static str),
    /// A step that was not taken for another reason than that the run has diverged.
    #[error(transparent)]
    Round(#[from] RoundError),
}

/// How every pair of α and ratio came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// What was run.
    pub grid: Grid,
    /// By α and ratio: the root mean square of x late in the run, over that of the uncompressed run with
    /// the same α and noise; `None` where the run diverged.
    pub cells: Vec<Vec<Option<f64>>>,
}

/// Beyond this x counts as having diverged: it starts at 1 in every coordinate.
const DIVERGED: f64 = 10.0;

/// Runs the whole grid, in parallel.
///
/// # Errors
/// Where a number of the grid is out of its range, or the compressor is none that feedback can take.
pub fn map(grid: &Grid) -> Result<Map, MapError> {
    let size = |x: f64| x >= 0.0 && x.is_finite();
    if grid.steps == 0 {
        return Err(MapError::Grid("steps must be at least 1, and is 0"));
    }
    if !size(grid.lr) || !size(grid.noise) {
        return Err(MapError::Grid("lr and noise must be finite numbers of at least 0"));
    }
    let row = |alpha: &f64| {
        let exact = late_size(grid, *alpha, "identity")?.unwrap_or(f64::NAN);
        let cell = |ratio: &f64| {
            let size = late_size(grid, *alpha, &format!("{}:{ratio}", grid.compressor))?;
            Ok(size.map(|s| s / exact))
        };
        grid.ratios.par_iter().map(cell).collect::<Result<Vec<_>, MapError>>()
    };
    let cells = grid.alphas.par_iter().map(row).collect::<Result<_, _>>()?;
    Ok(Map { grid: grid.clone(), cells })
}

/// The root mean square of a coordinate over the last quarter; `None` where it diverged.
fn late_size(grid: &Grid, alpha: f64, compressor: &str) -> Result<Option<f64>, MapError> {
    let method = Ecx::new(alpha).and_then(|e| e.with_beta(grid.beta)).map_err(SetupError::from)?;
    let method = if grid.one_step { method.with_one_step() } else { method };
    let compressor: AnyCompressor = compressor.parse()?;
    let layout = Layout::flat(grid.dimension).map_err(SetupError::from)?;
    let x = vec![1.0; grid.dimension].into();
    let flat = Flat::new(AnyAlgorithm::new(method), compressor, layout, 1, grid.seed, x)?;
    let lr = grid.lr;
    let random = Philox::new(Key::new(grid.seed).stream(Stream::STABILITY).draw());
    let noisy = Noisy { flat, sigma: grid.noise as f32, random };
    let mut session = Session::new(noisy, move |_: u64, _: u64| lr, grid.steps);
    let mut late = Late::default();
    match session.run(&mut late)? {
        Ending::Whole if !late.diverged => Ok(Some((late.sum / late.count.max(1) as f64).sqrt())),
        // A gradient that is no longer finite is refused: that run has diverged too.
        _ => Ok(None),
    }
}

/// A worker whose gradient is x with noise.
struct Noisy {
    flat: Flat,
    sigma: f32,
    random: Philox,
}

impl Trains for Noisy {
    type Error = MapError;

    fn step(&mut self, _: u64, lr: f64) -> Result<Stepped, MapError> {
        let Self { flat: Flat { cluster, x }, sigma, random } = self;
        let g: Vec<f32> = x.as_slice().iter().map(|x| x + *sigma * random.normal()).collect();
        let decided = cluster.round(lr, x, &mut |_: usize, _: &Ask| Ok(Reply::gradient(g.clone())))?;
        decided.apply(x);
        Ok(Stepped { loss: f64::NAN, bytes: decided.traffic.per_worker() })
    }

    fn is_non_finite(error: &MapError) -> bool {
        matches!(error, MapError::Round(error) if error.is_divergence())
    }
}

/// The squares of a coordinate over a session's last quarter; ends it where x has left for good.
#[derive(Default)]
struct Late {
    sum: f64,
    count: u64,
    diverged: bool,
}

impl Watch<Noisy> for Late {
    type Error = MapError;

    fn before(&mut self, _: &mut Session<Noisy>) -> Result<ControlFlow<()>, MapError> {
        Ok(if self.diverged { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn after(&mut self, session: &mut Session<Noisy>, step: &Step) -> Result<(), MapError> {
        let x = &session.trains().flat.x;
        let square = x.square() / x.len() as f64;
        self.diverged = square.is_nan() || square.sqrt() > DIVERGED;
        if 4 * step.number >= 3 * session.progress().1 {
            (self.sum, self.count) = (self.sum + square, self.count + 1);
        }
        Ok(())
    }
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Grid { compressor, beta, lr, noise, dimension, steps, .. } = &self.grid;
        let kind = if self.grid.one_step { "one-step compensation" } else { "ErrorCompensatedX" };
        writeln!(f, "{kind} over momentum: size of x late in the run, as a multiple of the uncompressed run's")?;
        writeln!(f, "½‖x‖², d = {dimension}, γ = {lr}, σ = {noise}, β = {beta}, {steps} steps; × diverges")?;
        writeln!(f)?;
        write!(f, "{:>8}", "α")?;
        let heads: Vec<String> = self.grid.ratios.iter().map(|ratio| format!("{compressor}:{ratio}")).collect();
        let width = heads.iter().map(|head| head.chars().count() + 2).fold(13, usize::max);
        for head in &heads {
            write!(f, "{head:>width$}")?;
        }
        for (alpha, cells) in self.grid.alphas.iter().zip(&self.cells) {
            write!(f, "\n{alpha:>8}")?;
            for cell in cells {
                let text = cell.map_or("×".to_string(), |size| format!("{size:.2}"));
                write!(f, "{text:>width$}")?;
            }
        }
        writeln!(f)
    }
}
