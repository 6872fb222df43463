//! Curves over a few threads, with finished ones kept on disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::cache::{Cache, Kept};
use super::progress::Progress;
use super::request::Request;
use crate::error::ReproduceError;
use crate::experiment::{Experiment, Setup};
use crate::record::{Curve, Done, Recorder};

/// A curve with a seed, and the text that decides its numbers.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub curve: Curve,
    pub seed: u64,
    pub config: String,
}

pub(super) fn jobs(experiment: &dyn Experiment, setup: &Setup, curves: &[Curve], seeds: u64) -> Vec<Job> {
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

/// Curves at a time, and threads for what each computes. Of several at a time each has one, so that a
/// curve neither waits for another's work nor takes it up.
fn threads(experiment: &dyn Experiment, setup: &Setup, request: &Request) -> (usize, usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let on_card = || setup.device.resolve().is_ok_and(|kind| !kind.is_cpu());
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
pub(super) fn execute(
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
    let failure: Mutex<Option<(usize, ReproduceError)>> = Mutex::new(None);
    // Of several that fail, the first by number is told, whichever thread was faster: so one before it still begins.
    let fails_before =
        |i: usize| failure.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|f| f.0 < i);
    let abort = Arc::new(AtomicBool::new(false));
    let next = AtomicUsize::new(0);
    let (threads, each) = threads(experiment, setup, request);
    let threads = threads.clamp(1, todo.len().max(1));
    let alive = AtomicUsize::new(threads);
    let mut progress = Progress::new(label, "curves", share(), request.progress);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let _leaves = Leaves(&alive);
                let work = || {
                    while let Some(i) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if request.stop.load(Ordering::Relaxed) || fails_before(*i) {
                            break;
                        }
                        let stop = [request.stop.clone(), abort.clone()];
                        match job(experiment, setup, &jobs[*i], stop, &shares[*i], cache) {
                            Ok(rows) => kept.lock().unwrap_or_else(PoisonError::into_inner)[*i] = Some(rows),
                            Err(error) => {
                                abort.store(true, Ordering::Relaxed);
                                let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                                if first.as_ref().is_none_or(|(before, _)| i < before) {
                                    *first = Some((*i, error));
                                }
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
    (kept.into_inner().unwrap_or_else(PoisonError::into_inner), failure.map(|(_, error)| error))
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
            group: job.curve.group,
            curve: job.curve.name,
            seed: job.seed,
            source: Box::new(source),
        }),
    }
}
