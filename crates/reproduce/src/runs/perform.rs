//! Carries a grid out: runs side by side, each in its folder, and the page over them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backburn_train::data::Options;
use backburn_train::lock::Lock;
use backburn_train::run::{Interrupt, Metrics, Outcome, Reporter, Run, RunConfig, RunFolder};
use backburn_train::session::Step;

use super::grid::{By, Grid};
use super::record::settings;
use super::{check_page, write_page};
use crate::error::ReproduceError;
use crate::experiment::Table;
use crate::record::{Done, mean};
use crate::run::Progress;
use crate::words::short;

/// Where a grid is carried out, and how.
#[derive(Clone, Debug)]
pub struct GridRequest {
    /// The folder: `runs` in it holds a folder for each run, and `index.html` is the page.
    pub out: PathBuf,
    /// Where data is looked for.
    pub data: Options,
    /// Runs at a time; 0 is one a core.
    pub threads: usize,
    /// Show progress on standard error.
    pub progress: bool,
    /// What may stop it: runs keep what they have reached, and the same call goes on.
    pub interrupt: Interrupt,
}

/// What became of a grid.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The page, where a run took a step.
    pub page: Option<PathBuf>,
    /// Runs that ended otherwise than at their end, by folder, and why.
    pub failed: Vec<(PathBuf, String)>,
    /// Tuned step sizes that are the first or last of the grid, in a sentence each.
    pub at_the_edge: Vec<String>,
}

/// Carries a grid out, or what is left of it; tunes step sizes first where it is to, with the first seed, and takes those
/// runs for what they are. A run that fails does not keep the others from running.
///
/// # Errors
/// Where the data cannot be had, the folder cannot be written or is being written, or a folder holds a run of another
/// configuration.
pub fn compare_grid(grid: &Grid, request: &GridRequest) -> Result<Compared, ReproduceError> {
    let page = request.out.join("index.html");
    check_page(&page)?;
    // Once, before many would fetch it side by side.
    grid.run(0, grid.seeds()[0], None).load_data(&request.data)?;
    let _lock = Lock::take(&request.out)?;
    let mut tried = Tried::default();
    if let Some(tune) = grid.tune() {
        let first = grid.seeds()[0];
        let all = (0..grid.pairs().len()).flat_map(|pair| tune.lr.iter().map(move |lr| (pair, *lr)));
        let jobs: Vec<Job> = all.map(|(pair, lr)| Job::new(grid, request, pair, first, Some(lr))).collect();
        // What diverges is one of the answers.
        let ended = perform(&jobs, request, "tuning")?;
        if request.interrupt.asked().is_none() {
            let failed = failures(&jobs, ended, true);
            if !failed.is_empty() {
                return Ok(Compared { page: None, failed, at_the_edge: Vec::new() });
            }
            tried = Tried::of(grid, &jobs, tune.by);
        }
    }
    let mut failed = Vec::new();
    let mut jobs = Vec::new();
    if request.interrupt.asked().is_none() {
        let pairs = (0..grid.pairs().len()).flat_map(|pair| grid.seeds().iter().map(move |seed| (pair, *seed)));
        jobs.extend(pairs.map(|(pair, seed)| Job::new(grid, request, pair, seed, tried.chosen(pair))));
        failed = failures(&jobs, perform(&jobs, request, "runs")?, false);
    }
    let begun: Vec<PathBuf> =
        jobs.into_iter().map(|job| job.folder.path().to_path_buf()).filter(|f| has_steps(f)).collect();
    let page = match begun.is_empty() {
        true => None,
        false => {
            write_page(&begun, &tried.tables(grid), &page)?;
            Some(page)
        }
    };
    Ok(Compared { page, failed, at_the_edge: tried.at_the_edge(grid) })
}

fn has_steps(folder: &Path) -> bool {
    Metrics::read(&RunFolder::new(folder)).is_ok_and(|lines| !lines.is_empty())
}

/// A run with its folder.
struct Job {
    config: RunConfig,
    folder: RunFolder,
}

/// How a job ended, where not at its end.
enum Ended {
    Stopped,
    Diverged(String),
    Failed(String),
}

impl Job {
    fn new(grid: &Grid, request: &GridRequest, pair: usize, seed: u64, lr: Option<f64>) -> Self {
        let config = grid.run(pair, seed, lr);
        let lr = lr.map_or(String::new(), |lr| format!("_lr={lr:?}"));
        let name = format!("{}_{}{lr}_seed={seed}", config.algorithm, config.compressor);
        let plain = |c: char| if c.is_alphanumeric() || "_=.,+-".contains(c) { c } else { '-' };
        let name: String = name.chars().map(plain).collect();
        Self { config, folder: RunFolder::new(request.out.join("runs").join(name)) }
    }

    /// Whether its folder holds it, begun or done; another run there is an error.
    fn is_begun(&self) -> Result<bool, ReproduceError> {
        let folder = self.folder.path();
        if !folder.join("config.toml").exists() {
            return Ok(false);
        }
        let there = self.folder.config()?;
        if there == self.config {
            return Ok(true);
        }
        let (was, is) = (settings(&there), settings(&self.config));
        let none = || "none".to_owned();
        let keys = was.keys().chain(is.keys()).collect::<std::collections::BTreeSet<_>>();
        let changed = keys.into_iter().filter(|key| was.get(*key) != is.get(*key)).map(|key| {
            let value = |of: &std::collections::BTreeMap<String, String>| of.get(key).cloned().unwrap_or_else(none);
            format!("{key} = {}, was {}", value(&is), value(&was))
        });
        Err(ReproduceError::OtherRun { folder: folder.into(), changed: changed.collect::<Vec<_>>().join("; ") })
    }

    fn is_done(&self) -> bool {
        self.folder.summary().is_ok_and(|summary| summary.is_some())
    }

    fn run(&self, begun: bool, request: &GridRequest, share: &Arc<Done>) -> Option<Ended> {
        let run = Run::new(self.config.clone())
            .with_options(Options { progress: false, ..request.data.clone() })
            .with_folder(self.folder.clone())
            .with_resume(begun)
            .with_interrupt(request.interrupt.beside());
        match run.run(&mut Share(share.clone())) {
            Ok(Outcome::Finished(_)) => None,
            Ok(Outcome::Stopped { .. }) => Some(Ended::Stopped),
            Err(error) if error.is_divergence() => Some(Ended::Diverged(error.to_string())),
            Err(error) => Some(Ended::Failed(error.to_string())),
        }
    }
}

/// Passes on how far a run is.
struct Share(Arc<Done>);

impl Reporter for Share {
    fn stepped(&mut self, step: &Step, steps: u64) {
        self.0.set((step.number + 1) as f64 / steps.max(1) as f64);
    }
}

/// Runs what is not done, side by side.
fn perform(jobs: &[Job], request: &GridRequest, label: &str) -> Result<Vec<Option<Ended>>, ReproduceError> {
    let begun = jobs.iter().map(Job::is_begun).collect::<Result<Vec<_>, _>>()?;
    let todo: Vec<usize> = (0..jobs.len()).filter(|i| !(begun[*i] && jobs[*i].is_done())).collect();
    let shares: Vec<Arc<Done>> = jobs.iter().map(|_| Arc::default()).collect();
    (0..jobs.len()).filter(|i| !todo.contains(i)).for_each(|i| shares[i].set(1.0));
    let share = || shares.iter().map(|share| share.get()).sum::<f64>() / jobs.len().max(1) as f64;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if request.threads == 0 { cores } else { request.threads }.clamp(1, todo.len().max(1));
    // Of several at a time each has a core, so that none waits for another's work.
    let each = if threads > 1 { 1 } else { cores };
    let ended: Mutex<Vec<Option<Ended>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    let (next, finished) = (AtomicUsize::new(0), AtomicUsize::new(jobs.len() - todo.len()));
    let alive = AtomicUsize::new(threads);
    let mut progress = Progress::new(label.into(), "runs", share(), request.progress);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let work = || {
                    while let Some(i) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let how = match request.interrupt.asked() {
                            Some(_) => Some(Ended::Stopped),
                            None => jobs[*i].run(begun[*i], request, &shares[*i]),
                        };
                        shares[*i].set(1.0);
                        finished.fetch_add(1, Ordering::Relaxed);
                        ended.lock().unwrap_or_else(PoisonError::into_inner)[*i] = how;
                    }
                };
                match rayon::ThreadPoolBuilder::new().num_threads(each).build() {
                    Ok(pool) => pool.install(work),
                    Err(_) => work(),
                }
                alive.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while alive.load(Ordering::Relaxed) > 0 {
            progress.show(share(), (finished.load(Ordering::Relaxed), jobs.len()));
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    progress.finish();
    Ok(ended.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Those that failed, with those that diverged unless that is an answer.
fn failures(jobs: &[Job], ended: Vec<Option<Ended>>, may_diverge: bool) -> Vec<(PathBuf, String)> {
    let why = |ended| match ended {
        Some(Ended::Failed(why)) => Some(why),
        Some(Ended::Diverged(why)) if !may_diverge => Some(why),
        _ => None,
    };
    let folder = |job: &Job| job.folder.path().to_path_buf();
    jobs.iter().zip(ended).filter_map(|(job, ended)| Some((folder(job), why(ended)?))).collect()
}

/// Step sizes tried for each pair, with what they came to; infinite where the run diverged, and less is better.
#[derive(Default)]
struct Tried {
    by: By,
    of: Vec<Vec<(f64, f64)>>,
}

impl Tried {
    fn of(grid: &Grid, jobs: &[Job], by: By) -> Self {
        let each = jobs.len() / grid.pairs().len().max(1);
        let score = |job: &Job| (job.config.schedule.lr, score(&job.folder, by));
        Self { by, of: jobs.chunks(each.max(1)).map(|jobs| jobs.iter().map(score).collect()).collect() }
    }

    /// The best for a pair; of equals the first. The first where all diverge.
    fn chosen(&self, pair: usize) -> Option<f64> {
        self.of.get(pair)?.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(lr, _)| *lr)
    }

    fn at_the_edge(&self, grid: &Grid) -> Vec<String> {
        let mut said = Vec::new();
        for (pair, tried) in self.of.iter().enumerate().filter(|(_, tried)| tried.len() > 1) {
            let best = self.chosen(pair).unwrap_or(f64::NAN);
            let (method, compressor) = &grid.pairs()[pair];
            let within = tried.iter().any(|(lr, _)| *lr < best) && tried.iter().any(|(lr, _)| *lr > best);
            if !within {
                said.push(format!(
                    "{method} {compressor}: {best:?} is at an end of the step sizes tried; try some beyond"
                ));
            }
        }
        said
    }

    fn tables(&self, grid: &Grid) -> Vec<Table> {
        if self.of.is_empty() {
            return Vec::new();
        }
        let sign = if self.by == By::TestAccuracy { -1.0 } else { 1.0 };
        let mut table = Table::new("Tuned step sizes", &["method", "compressor", "step size"]);
        table.head.push(format!("each tried with its {}", self.by.name()));
        for (pair, tried) in self.of.iter().enumerate() {
            let told = |(lr, score): &(f64, f64)| {
                let score = if score.is_finite() { short(sign * score) } else { "diverged".into() };
                format!("{lr:?}: {score}")
            };
            let (method, compressor) = &grid.pairs()[pair];
            let chosen = self.chosen(pair).map_or("–".into(), |lr| format!("{lr:?}"));
            let tried = tried.iter().map(told).collect::<Vec<_>>().join(", ");
            table.rows.push(vec![method.to_string(), compressor.to_string(), chosen, tried]);
        }
        vec![table]
    }
}

/// What a run came to; infinite where it has no end, or none that is a number.
fn score(folder: &RunFolder, by: By) -> f64 {
    let Ok(Some(summary)) = folder.summary() else { return f64::INFINITY };
    let late = || {
        let lines = Metrics::read(folder).ok()?;
        let losses: Vec<f64> = lines.iter().map(|line| line.loss.unwrap_or(f64::INFINITY)).collect();
        mean(losses[losses.len() - losses.len().div_ceil(10)..].iter().copied())
    };
    let score = match by {
        By::TrainLoss => late().unwrap_or(f64::INFINITY),
        By::TestLoss => summary.test_loss,
        By::TestAccuracy => -summary.test_accuracy,
    };
    if score.is_finite() { score } else { f64::INFINITY }
}
