//! Runs experiments: curve by curve over a few threads, with finished curves kept on disk.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backburn_optim::{device, device_name, write_atomically};
use serde::{Deserialize, Serialize};

use super::cache::{Cache, Kept};
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
    /// Curves at a time; 0 is one a core, and one alone where a card trains a model.
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

/// An experiment that did not run, or not to its end.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Its name.
    pub name: &'static str,
    /// Why, and what can be done.
    pub why: String,
    /// Whether only its data is missing.
    pub skipped: bool,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Each experiment that ran to its end, or until the user stopped it.
    pub finished: Vec<Finished>,
    /// Each that did not, for a reason of its own.
    pub failed: Vec<Failed>,
    /// Whether the user stopped it.
    pub stopped: bool,
    /// The report.
    pub index: PathBuf,
}

/// Runs the experiments, and writes `NAME/results.csv`, `figure.svg`, `figure.png`, `claims.json` and
/// `run.json` of each, and `index.html` over all that are in the directory.
///
/// An experiment that fails, or whose data is missing, does not keep the others from running.
///
/// # Errors
/// Where a name is unknown, or the report cannot be written.
pub fn reproduce(request: &Request) -> Result<Outcome, ReproduceError> {
    let experiments = select(&request.names)?;
    let setup = Setup::new(request.scale, request.data.clone(), request.device.clone());
    let (mut finished, mut failed) = (Vec::new(), Vec::new());
    for experiment in experiments {
        match one(experiment, &setup, request) {
            Ok(done) => finished.push(done),
            Err(error) => failed.push(Failed {
                name: experiment.about().name,
                why: error.to_string(),
                skipped: error.is_unavailable(),
            }),
        }
        if request.stop.load(Ordering::Relaxed) {
            break;
        }
    }
    let index = report::write(&request.out)?;
    Ok(Outcome { finished, failed, stopped: request.stop.load(Ordering::Relaxed), index })
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
    let unfinished = Manifest::load(&folder).and_then(|manifest| manifest.unfinished());
    let claims = write(experiment, &Results::from_csv(&text)?, unfinished, &folder)?;
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
    let (tuned, failure) = match experiment.tuning().filter(|_| request.tune) {
        Some(tuning) => tune(experiment, setup, request, &tuning, &mut curves, &cache),
        None => (Vec::new(), None),
    };
    let seeds = experiment.seeds(setup);
    let jobs = jobs(experiment, setup, &curves, seeds);
    let (kept, failure) = match failure {
        None => execute(experiment, setup, request, &jobs, &cache, name.into()),
        Some(error) => (jobs.iter().map(|job| cache.load(&job.config)).collect(), Some(error)),
    };
    let whole = |kept: &Option<Kept>| kept.as_ref().is_some_and(|kept| kept.whole);
    let complete = (kept.iter().filter(|kept| whole(kept)).count(), jobs.len());
    let finished_seeds = kept.chunks(curves.len()).filter(|seed| seed.iter().all(whole)).count() as u64;
    let mut commits: Vec<String> = Vec::new();
    for kept in kept.iter().flatten() {
        if !commits.contains(&kept.commit) {
            commits.push(kept.commit.clone());
        }
    }
    let (finished, unfinished): (Vec<Kept>, Vec<Kept>) = kept.into_iter().flatten().partition(|kept| kept.whole);
    let rows = |kept: Vec<Kept>| kept.into_iter().flat_map(|kept| kept.rows).collect::<Vec<Row>>();
    let results = Results::new(rows(finished)).with_unfinished(rows(unfinished));
    let manifest = Manifest {
        tuned,
        complete,
        finished_seeds,
        commits,
        failure: failure.as_ref().map(ToString::to_string),
        ..Manifest::new(experiment, setup, &curves, started.elapsed().as_secs_f64())
    };
    manifest.save(&folder)?;
    let claims = write(experiment, &results, manifest.unfinished(), &folder)?;
    match failure {
        Some(error) => Err(error),
        None => Ok(Finished { name, claims, curves: complete, time: started.elapsed() }),
    }
}

/// Writes what follows from the rows. Where only so many of the seeds are finished, nothing is decided.
fn write(
    experiment: &dyn Experiment,
    results: &Results,
    unfinished: Option<(u64, u64)>,
    folder: &Path,
) -> Result<Vec<Claim>, ReproduceError> {
    let file = |name: &str, bytes: &[u8]| write_atomically(&folder.join(name), bytes);
    file("results.csv", results.to_csv().as_bytes())?;
    let mut claims = experiment.claims(&results.finished());
    if let Some((finished, seeds)) = unfinished {
        claims = claims.into_iter().map(|claim| claim.undecided(finished, seeds)).collect();
    }
    let json = serde_json::to_string_pretty(&claims).expect("claims are plain texts") + "\n";
    file("claims.json", json.as_bytes())?;
    let (svg, png) = experiment.figure(results).draw()?;
    file("figure.svg", svg.as_bytes())?;
    file("figure.png", &png)?;
    Ok(claims)
}

/// Curves at a time, and threads for what each computes. Of several at a time each has one, so that a
/// curve neither waits for another's work nor takes it up.
fn threads(experiment: &dyn Experiment, setup: &Setup, request: &Request) -> (usize, usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let on_card = || {
        let device = device(&setup.device).map(|device| device_name(&device));
        device.is_ok_and(|name| !["flex", "ndarray"].contains(&name.as_str()))
    };
    match request.threads {
        0 if experiment.trains_a_model() && on_card() => (1, cores),
        0 => (cores, 1),
        given => (given, 1),
    }
}

/// Counts a thread out, however it ends.
struct Leaves<'a>(&'a AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs jobs over a few threads; gives the rows of each that is begun.
fn execute(
    experiment: &'static dyn Experiment,
    setup: &Setup,
    request: &Request,
    jobs: &[Job],
    cache: &Cache,
    label: String,
) -> (Vec<Option<Kept>>, Option<ReproduceError>) {
    let found: Vec<Option<Kept>> = jobs.iter().map(|job| cache.load(&job.config)).collect();
    let whole: Vec<bool> = found.iter().map(|kept| kept.as_ref().is_some_and(|kept| kept.whole)).collect();
    let shares: Vec<Arc<Done>> = jobs.iter().map(|_| Arc::default()).collect();
    shares.iter().zip(&whole).for_each(|(done, whole)| done.set(f64::from(u8::from(*whole))));
    let todo: Vec<usize> = (0..jobs.len()).filter(|i| !whole[*i]).collect();
    let cost = |job: &Job| if job.curve.cost > 0.0 { job.curve.cost } else { 1.0 };
    let total: f64 = jobs.iter().map(cost).sum();
    let share = || jobs.iter().zip(&shares).map(|(job, done)| cost(job) * done.get()).sum::<f64>() / total.max(1e-9);
    let kept = Mutex::new(found);
    let failure = Mutex::new(None);
    let abort = Arc::new(AtomicBool::new(false));
    let next = AtomicUsize::new(0);
    let (threads, each) = threads(experiment, setup, request);
    let threads = threads.clamp(1, todo.len().max(1));
    let alive = AtomicUsize::new(threads);
    let mut progress = Progress::new(label, share(), request.progress);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let _leaves = Leaves(&alive);
                let work = || {
                    while let Some(i) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if request.stop.load(Ordering::Relaxed) || abort.load(Ordering::Relaxed) {
                            break;
                        }
                        let stop = [request.stop.clone(), abort.clone()];
                        match job(experiment, setup, &jobs[*i], stop, &shares[*i], cache) {
                            Ok(rows) => kept.lock().unwrap_or_else(PoisonError::into_inner)[*i] = Some(rows),
                            Err(error) => {
                                abort.store(true, Ordering::Relaxed);
                                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                            }
                        }
                    }
                };
                match rayon::ThreadPoolBuilder::new().num_threads(each).build() {
                    Ok(pool) => pool.install(work),
                    Err(_) => work(),
                }
            });
        }
        while alive.load(Ordering::Relaxed) > 0 {
            let finished = shares.iter().filter(|done| done.get() >= 1.0).count();
            progress.show(share(), (finished, jobs.len()));
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    progress.finish();
    let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    (kept.into_inner().unwrap_or_else(PoisonError::into_inner), failure)
}

/// Runs one curve: to its end, or until it is stopped.
fn job(
    experiment: &dyn Experiment,
    setup: &Setup,
    job: &Job,
    stop: [Arc<AtomicBool>; 2],
    done: &Arc<Done>,
    cache: &Cache,
) -> Result<Kept, ReproduceError> {
    let mut recorder = Recorder::new(&job.curve, job.seed, stop, done.clone(), cache.scratch(&job.config));
    let run = || experiment.run(&job.curve, job.seed, setup, &mut recorder);
    let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(ReproduceError::Panic(text.unwrap_or_else(|| "without a message".into())))
    });
    match outcome {
        Ok(()) => {
            let kept = cache.store(&job.config, &recorder.into_rows())?;
            done.set(1.0);
            Ok(kept)
        }
        Err(ReproduceError::Stopped) => cache.store_unfinished(&job.config, &recorder.into_rows()),
        Err(source) => Err(ReproduceError::Curve {
            experiment: experiment.about().name,
            curve: format!("{} / {}", job.curve.group, job.curve.name),
            seed: job.seed,
            source: Box::new(source),
        }),
    }
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
    /// Each step size tried with what it came to; none where it diverged.
    pub tried: BTreeMap<String, Option<f64>>,
}

/// Tries the grid for every curve with the first seed, and sets the best step sizes.
fn tune(
    experiment: &'static dyn Experiment,
    setup: &Setup,
    request: &Request,
    tuning: &Tuning,
    curves: &mut [Curve],
    cache: &Cache,
) -> (Vec<Tuned>, Option<ReproduceError>) {
    let candidates: Vec<Curve> =
        (curves.iter()).flat_map(|curve| tuning.grid.iter().map(|lr| Curve { lr: *lr, ..curve.clone() })).collect();
    let jobs = jobs(experiment, setup, &candidates, 1);
    let label = format!("{} (tuning)", experiment.about().name);
    let (kept, failure) = execute(experiment, setup, request, &jobs, cache, label);
    let mut tuned = Vec::new();
    if failure.is_some() {
        return (tuned, failure);
    }
    for (curve, kept) in curves.iter_mut().zip(kept.chunks(tuning.grid.len())) {
        let rows = |kept: &Option<Kept>| kept.as_ref().filter(|kept| kept.whole).map(|kept| kept.rows.clone());
        let scores: Vec<f64> = kept.iter().map(|kept| score(rows(kept).as_deref(), tuning)).collect();
        let best = (0..scores.len()).min_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        // Where all diverge, or the user stopped, the step size given stays.
        if let Some(best) = best.filter(|best| scores[*best].is_finite()) {
            curve.lr = tuning.grid[best];
        }
        let sign = if tuning.more_is_better { -1.0 } else { 1.0 };
        let shown = |score: f64| score.is_finite().then_some(sign * score);
        let tried = tuning.grid.iter().zip(&scores).map(|(lr, score)| (lr.to_string(), shown(*score))).collect();
        tuned.push(Tuned { group: curve.group.clone(), curve: curve.name.clone(), lr: curve.lr, tried });
    }
    (tuned, None)
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
