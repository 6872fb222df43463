//! Runs experiments: curve by curve over a few threads, with finished curves kept on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use backburn_optim::write_atomically;
use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::manifest::Manifest;
use super::progress::Progress;
use super::recorder::Done;
use super::results::mean;
use super::{Claim, Curve, Experiment, Recorder, ReproduceError, Results, Row, Scale, Setup, Tuning, report};
use crate::data::Options;

/// What is to be reproduced, and where to.
#[derive(Clone, Debug)]
pub struct Request {
    /// The experiments' names; `all` stands for all of them.
    pub names: Vec<String>,
    /// How large.
    pub scale: Scale,
    /// The output directory.
    pub out: PathBuf,
    /// Keep the curves that an earlier run finished.
    pub resume: bool,
    /// Tune step sizes first.
    pub tune: bool,
    /// Where data is looked for.
    pub data: Options,
    /// The device of the experiments that train a model.
    pub device: String,
    /// Curves at a time; 0 is one a core.
    pub threads: usize,
    /// Show progress on standard error.
    pub progress: bool,
    /// Set to stop: what is finished is kept.
    pub stop: Arc<AtomicBool>,
}

impl Request {
    /// Of these experiments at this scale, into this directory.
    pub fn new(names: Vec<String>, scale: Scale, out: impl Into<PathBuf>) -> Self {
        Self {
            names,
            scale,
            out: out.into(),
            resume: false,
            tune: false,
            data: Options::default(),
            device: "auto".into(),
            threads: 0,
            progress: false,
            stop: Arc::default(),
        }
    }
}

/// What became of one experiment.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its name.
    pub name: &'static str,
    /// Its claims.
    pub claims: Vec<Claim>,
    /// Curves finished, and curves in all.
    pub curves: (usize, usize),
    /// How long it took, without what was finished before.
    pub time: Duration,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Each experiment that was begun.
    pub finished: Vec<Finished>,
    /// Whether the user stopped it.
    pub stopped: bool,
    /// The report.
    pub index: PathBuf,
}

/// Runs the experiments, and writes `NAME/results.csv`, `figure.svg`, `figure.png`, `claims.json` and
/// `run.json` of each, and `index.html` over all that are in the directory.
///
/// # Errors
/// Where a name is unknown, a curve cannot be run, or a file not be written. What was finished
/// before is kept, and `resume` goes on from it.
pub fn reproduce(request: &Request) -> Result<Outcome, ReproduceError> {
    let experiments = select(&request.names)?;
    let setup = Setup::new(request.scale, request.data.clone(), request.device.clone());
    let mut finished = Vec::new();
    let mut failure = None;
    for experiment in experiments {
        match one(experiment, &setup, request) {
            Ok(done) => finished.push(done),
            Err(error) => failure = Some(error),
        }
        if failure.is_some() || request.stop.load(Ordering::Relaxed) {
            break;
        }
    }
    let index = report::write(&request.out)?;
    match failure {
        Some(error) => Err(error),
        None => Ok(Outcome { finished, stopped: request.stop.load(Ordering::Relaxed), index }),
    }
}

/// Judges the claims, draws the figure and writes the report anew from the `results.csv` of an
/// experiment, without running anything.
///
/// # Errors
/// Where there is no such file, or it cannot be read.
pub fn redraw(name: &str, out: &Path) -> Result<Vec<Claim>, ReproduceError> {
    let experiment = find(name)?;
    let folder = out.join(experiment.about().name);
    let path = folder.join("results.csv");
    let text = std::fs::read_to_string(&path).map_err(ReproduceError::io("read", &path))?;
    let claims = write(experiment, &Results::from_csv(&text)?, &folder)?;
    report::write(out)?;
    Ok(claims)
}

fn find(name: &str) -> Result<&'static dyn Experiment, ReproduceError> {
    let all = super::EXPERIMENTS;
    let known = || all.iter().map(|e| e.about().name).collect::<Vec<_>>().join(", ");
    let found = all.iter().find(|e| e.about().name == name);
    found.copied().ok_or_else(|| ReproduceError::Unknown { name: name.into(), known: known() })
}

fn select(names: &[String]) -> Result<Vec<&'static dyn Experiment>, ReproduceError> {
    match names.iter().any(|name| name == "all") {
        true => Ok(super::EXPERIMENTS.to_vec()),
        false => names.iter().map(|name| find(name)).collect(),
    }
}

/// A curve with a seed, and the text that decides its numbers.
#[derive(Clone, Debug)]
struct Job {
    curve: Curve,
    seed: u64,
    config: String,
}

fn jobs(experiment: &dyn Experiment, setup: &Setup, curves: &[Curve], seeds: u64) -> Vec<Job> {
    let settings = experiment.settings(setup);
    let job = |seed: u64, curve: &Curve| {
        let config = format!(
            "{} {} {curve:?} seed={seed} device={} {settings:?}",
            experiment.about().name,
            setup.scale,
            setup.device
        );
        Job { curve: curve.clone(), seed, config }
    };
    (1..=seeds).flat_map(|seed| curves.iter().map(move |curve| job(seed, curve))).collect()
}

fn one(experiment: &'static dyn Experiment, setup: &Setup, request: &Request) -> Result<Finished, ReproduceError> {
    let started = Instant::now();
    let name = experiment.about().name;
    let folder = request.out.join(name);
    let cache = Cache::new(folder.join("cache"));
    if !request.resume {
        cache.clear()?;
    }
    let mut curves = experiment.curves(setup);
    let tuned = match experiment.tuning().filter(|_| request.tune) {
        Some(tuning) => tune(experiment, setup, request, &tuning, &mut curves, &cache)?,
        None => Vec::new(),
    };
    let jobs = jobs(experiment, setup, &curves, experiment.seeds(setup));
    let (done, failure) = execute(experiment, setup, request, &jobs, &cache, name.into());
    let complete = done.iter().filter(|rows| rows.is_some()).count();
    let results = Results::new(done.into_iter().flatten().flatten().collect());
    let manifest = Manifest {
        tuned,
        ..Manifest::new(experiment, setup, &curves, (complete, jobs.len()), started.elapsed().as_secs_f64())
    };
    manifest.save(&folder)?;
    let claims = write(experiment, &results, &folder)?;
    match failure {
        Some(error) => Err(error),
        None => Ok(Finished { name, claims, curves: (complete, jobs.len()), time: started.elapsed() }),
    }
}

/// Writes what follows from the rows.
fn write(experiment: &dyn Experiment, results: &Results, folder: &Path) -> Result<Vec<Claim>, ReproduceError> {
    let file = |name: &str, bytes: &[u8]| write_atomically(&folder.join(name), bytes);
    file("results.csv", results.to_csv().as_bytes())?;
    let claims = experiment.claims(results);
    let json = serde_json::to_string_pretty(&claims).expect("claims are plain texts") + "\n";
    file("claims.json", json.as_bytes())?;
    let (svg, png) = experiment.figure(results).draw()?;
    file("figure.svg", svg.as_bytes())?;
    file("figure.png", &png)?;
    Ok(claims)
}

/// Runs jobs over a few threads; gives the rows of each that is finished.
///
/// Each thread has a pool of one for what it computes, so that a curve neither waits for another's
/// work nor takes it up.
fn execute(
    experiment: &'static dyn Experiment,
    setup: &Setup,
    request: &Request,
    jobs: &[Job],
    cache: &Cache,
    label: String,
) -> (Vec<Option<Vec<Row>>>, Option<ReproduceError>) {
    let found: Vec<Option<Vec<Row>>> = jobs.iter().map(|job| cache.load(&job.config)).collect();
    let shares: Vec<Done> = found
        .iter()
        .map(|rows| {
            let done = Done::default();
            done.set(f64::from(u8::from(rows.is_some())));
            done
        })
        .collect();
    let todo: Vec<usize> = (0..jobs.len()).filter(|i| found[*i].is_none()).collect();
    let cost = |job: &Job| if job.curve.cost > 0.0 { job.curve.cost } else { 1.0 };
    let total: f64 = jobs.iter().map(cost).sum();
    let share = || jobs.iter().zip(&shares).map(|(job, done)| cost(job) * done.get()).sum::<f64>() / total.max(1e-9);
    let rows = Mutex::new(found);
    let failure = Mutex::new(None);
    let abort = AtomicBool::new(false);
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if request.threads == 0 { cores } else { request.threads }.clamp(1, todo.len().max(1));
    let alive = AtomicUsize::new(threads);
    let mut progress = Progress::new(label, share(), request.progress);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let work = || {
                    while let Some(i) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if request.stop.load(Ordering::Relaxed) || abort.load(Ordering::Relaxed) {
                            break;
                        }
                        match job(experiment, setup, &jobs[*i], &request.stop, &shares[*i], cache) {
                            Ok(found) => rows.lock().expect("no thread panics with it")[*i] = Some(found),
                            Err(ReproduceError::Stopped) => break,
                            Err(error) => {
                                abort.store(true, Ordering::Relaxed);
                                failure.lock().expect("no thread panics with it").get_or_insert(error);
                            }
                        }
                    }
                };
                match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                    Ok(pool) => pool.install(work),
                    Err(_) => work(),
                }
                alive.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while alive.load(Ordering::Relaxed) > 0 && !abort.load(Ordering::Relaxed) {
            let finished = shares.iter().filter(|done| done.get() >= 1.0).count();
            progress.show(share(), (finished, jobs.len()));
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    progress.finish();
    let poisoned = "no thread panics with it";
    (rows.into_inner().expect(poisoned), failure.into_inner().expect(poisoned))
}

fn job(
    experiment: &dyn Experiment,
    setup: &Setup,
    job: &Job,
    stop: &AtomicBool,
    done: &Done,
    cache: &Cache,
) -> Result<Vec<Row>, ReproduceError> {
    let mut recorder = Recorder::new(&job.curve, job.seed, stop, done, cache.scratch(&job.config));
    experiment.run(&job.curve, job.seed, setup, &mut recorder).map_err(|error| match error {
        ReproduceError::Stopped => error,
        source => ReproduceError::Curve {
            experiment: experiment.about().name,
            curve: format!("{} / {}", job.curve.group, job.curve.name),
            seed: job.seed,
            source: Box::new(source),
        },
    })?;
    let rows = recorder.into_rows();
    cache.store(&job.config, &rows)?;
    done.set(1.0);
    Ok(rows)
}

/// The step size that tuning chose for a curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// The curve's group.
    pub group: String,
    /// Its name.
    pub curve: String,
    /// The step size chosen.
    pub lr: f64,
    /// Each step size tried with what it came to.
    pub tried: BTreeMap<String, f64>,
}

/// Tries the grid for every curve with the first seed, and sets the best step sizes.
fn tune(
    experiment: &'static dyn Experiment,
    setup: &Setup,
    request: &Request,
    tuning: &Tuning,
    curves: &mut [Curve],
    cache: &Cache,
) -> Result<Vec<Tuned>, ReproduceError> {
    let candidates: Vec<Curve> =
        (curves.iter()).flat_map(|curve| tuning.grid.iter().map(|lr| Curve { lr: *lr, ..curve.clone() })).collect();
    let jobs = jobs(experiment, setup, &candidates, 1);
    let label = format!("{} (tuning)", experiment.about().name);
    let (done, failure) = execute(experiment, setup, request, &jobs, cache, label);
    if let Some(error) = failure {
        return Err(error);
    }
    let mut tuned = Vec::new();
    for (curve, done) in curves.iter_mut().zip(done.chunks(tuning.grid.len())) {
        let scores: Vec<f64> = done.iter().map(|rows| score(rows.as_deref(), tuning)).collect();
        let best = (0..scores.len()).min_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        // Where all diverge, or the user stopped, the step size given stays.
        if let Some(best) = best.filter(|best| scores[*best].is_finite()) {
            curve.lr = tuning.grid[best];
        }
        let sign = if tuning.more_is_better { -1.0 } else { 1.0 };
        let tried = tuning.grid.iter().zip(&scores).map(|(lr, score)| (lr.to_string(), sign * score)).collect();
        tuned.push(Tuned { group: curve.group.clone(), curve: curve.name.clone(), lr: curve.lr, tried });
    }
    Ok(tuned)
}

/// Less is better; what diverged is infinite.
fn score(rows: Option<&[Row]>, tuning: &Tuning) -> f64 {
    let rows = rows.unwrap_or_default();
    let mut points: Vec<(f64, f64)> =
        rows.iter().filter(|r| r.metric == tuning.metric).map(|r| (r.x, r.value)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let tail = points.len().div_ceil(10);
    let score = mean(points[points.len() - tail..].iter().map(|p| p.1)).unwrap_or(f64::INFINITY);
    match (score.is_finite(), tuning.more_is_better) {
        (false, _) => f64::INFINITY,
        (true, true) => -score,
        (true, false) => score,
    }
}
