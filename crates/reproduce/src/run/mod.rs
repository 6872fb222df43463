//! Runs experiments, and writes what follows from their rows.

mod cache;
mod jobs;
mod progress;
mod request;
mod tune;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use backburn_optim::{remove_unfinished, write_atomically};
use backburn_train::lock::Lock;

pub(crate) use progress::Progress;
pub use request::{Failed, Finished, Outcome, Request};

use self::cache::{Cache, Kept};
use self::jobs::{execute, jobs};
use self::tune::tune;
use crate::error::ReproduceError;
use crate::experiment::{Experiment, Scale, Setup};
use crate::experiments::EXPERIMENTS;
use crate::record::{Claim, Results, Row};
use crate::report::{self, Manifest};

/// Runs the experiments, and writes `NAME/results.csv`, `figure.svg`, `figure.png`, `claims.json` and
/// `run.json` of each, and `index.html` over all that are in the directory.
///
/// An experiment that fails, or whose data is missing, does not keep the others from running.
///
/// # Errors
/// Where a name is unknown, or the report cannot be written.
pub fn reproduce(request: &Request) -> Result<Outcome, ReproduceError> {
    let experiments = select(&request.names, request.scale)?;
    request.data.check()?;
    vacant(&experiments, request)?; // before anything is put into a directory of somebody else's
    let lock = Lock::take(&request.out)?;
    vacant(&experiments, request)?;
    if lock.is_held() {
        sweep(&request.out);
    }
    let setup = Setup::new(request.scale, request.data.clone(), request.device);
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
/// Where there is no such file, or it cannot be read; where another process writes the directory.
pub fn redraw(name: &str, out: &Path) -> Result<Vec<Claim>, ReproduceError> {
    let experiment = find(name)?;
    let _lock = Lock::take(out)?;
    let folder = out.join(experiment.about().name);
    let path = folder.join("results.csv");
    let text = std::fs::read_to_string(&path).map_err(ReproduceError::io("read", &path))?;
    let unfinished = Manifest::load(&folder).and_then(|manifest| manifest.unfinished());
    let claims = write(experiment, &Results::from_csv(&text)?, unfinished, &folder)?;
    report::write(out)?;
    Ok(claims)
}

/// Refuses to take the place of what is not to be lost.
fn vacant(experiments: &[&dyn Experiment], request: &Request) -> Result<(), ReproduceError> {
    report::check_own(&request.out)?;
    let folders = experiments.iter().map(|experiment| request.out.join(experiment.about().name));
    let taken = folders.into_iter().find(|folder| folder.join("cache").exists() || folder.join("results.csv").exists());
    match taken.filter(|_| !request.resume && !request.overwrite) {
        Some(folder) => Err(ReproduceError::Occupied(folder)),
        None => Ok(()),
    }
}

/// Removes what a killed process has left half written, here and in the experiments' folders.
fn sweep(out: &Path) {
    remove_unfinished(out, |name| name == "index.html");
    for folder in EXPERIMENTS.iter().map(|experiment| out.join(experiment.about().name)) {
        remove_unfinished(&folder, |_| true);
        Cache::new(folder.join("cache")).sweep();
    }
}

fn find(name: &str) -> Result<&'static dyn Experiment, ReproduceError> {
    let all = EXPERIMENTS;
    let known = || all.iter().map(|e| e.about().name).collect::<Vec<_>>().join(", ");
    let found = all.iter().find(|e| e.about().name == name);
    found.copied().ok_or_else(|| ReproduceError::Unknown { name: name.into(), known: known() })
}

fn select(names: &[String], scale: Scale) -> Result<Vec<&'static dyn Experiment>, ReproduceError> {
    let fits = |experiment: &&dyn Experiment| scale != Scale::Medium || experiment.at_medium().is_some();
    if names.iter().any(|name| name == "all") {
        return Ok(EXPERIMENTS.iter().copied().filter(fits).collect());
    }
    // Each once, however often it is named.
    let first = |(i, name): &(usize, &String)| !names[..*i].contains(name);
    let found: Vec<&dyn Experiment> =
        names.iter().enumerate().filter(first).map(|(_, name)| find(name)).collect::<Result<_, _>>()?;
    match found.iter().find(|experiment| !fits(experiment)) {
        Some(other) => {
            let known = EXPERIMENTS.iter().copied().filter(fits).map(|e| e.about().name).collect::<Vec<_>>().join(", ");
            Err(ReproduceError::NoMedium { name: other.about().name, known })
        }
        None => Ok(found),
    }
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
        claims = claims.into_iter().map(|claim| claim.partial(finished, seeds)).collect();
    }
    let json = serde_json::to_string_pretty(&claims).expect("claims are plain texts") + "\n";
    file("claims.json", json.as_bytes())?;
    let (svg, png) = experiment.figure(results).draw()?;
    file("figure.svg", svg.as_bytes())?;
    file("figure.png", &png)?;
    Ok(claims)
}
