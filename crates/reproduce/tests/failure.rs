//! What becomes of experiments that fail, are skipped or are stopped.

use std::path::Path;
use std::sync::atomic::Ordering;

use backburn_optim::DeviceKind;
use backburn_reproduce::metric::MEGABYTES_UP;
use backburn_reproduce::{Claim, Manifest, Request, Results, Scale, Verdict, redraw, reproduce};
use backburn_train::data::Options;

fn request(names: &[&str], out: &Path) -> Request {
    let data = Options { offline: true, cache_dir: Some(out.join("no-data")), ..Options::default() };
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Request { data, device: DeviceKind::Flex, ..Request::new(names, Scale::Smoke, out) }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn data_that_is_missing_skips_its_experiment_alone() {
    let directory = tempfile::tempdir().unwrap();
    let names = ["logistic-workers", "cifar-randomk", "counterexample-2"];
    let all = Request { scale: Scale::Paper, ..request(&names, directory.path()) };
    let outcome = reproduce(&all).unwrap();
    assert_eq!(
        outcome.failed.iter().map(|f| (f.name, f.skipped)).collect::<Vec<_>>(),
        [(names[0], true), (names[1], true)]
    );
    assert!(outcome.failed[0].why.contains("--data-dir"), "{}", outcome.failed[0].why);
    assert_eq!(outcome.finished[0].name, names[2]);
    let page = read(&outcome.index);
    assert!(page.contains("Not run to its end: logistic-workers"), "the report says what to do");
}

#[test]
fn a_device_that_is_not_there_fails_one_experiment_and_not_the_next() {
    let directory = tempfile::tempdir().unwrap();
    // Wherever not every backend is compiled in.
    let Some(device) = DeviceKind::ALL.into_iter().find(|kind| kind.device().is_err()) else { return };
    let wrong = Request { device, ..request(&["density", "counterexample-2"], directory.path()) };
    let outcome = reproduce(&wrong).unwrap();
    assert_eq!(outcome.failed.len(), 1);
    assert!(!outcome.failed[0].skipped && outcome.failed[0].why.contains(device.name()), "{}", outcome.failed[0].why);
    assert!(outcome.failed[0].why.starts_with("density, EF-signSGD, batch 128 / fixed step, seed 1:"));
    assert_eq!(outcome.finished[0].curves, (18, 18));
}

#[test]
fn claims_of_unfinished_curves_are_undecided() {
    let directory = tempfile::tempdir().unwrap();
    let name = "counterexample-3";
    let stopped = request(&[name], directory.path());
    stopped.stop.store(true, Ordering::Relaxed);
    reproduce(&stopped).unwrap();
    let folder = directory.path().join(name);
    let claims: Vec<Claim> = serde_json::from_str(&read(&folder.join("claims.json"))).unwrap();
    assert!(
        claims
            .iter()
            .all(|c| c.partial && c.verdict == Some(Verdict::Undecided) && c.measured.contains("(partial: 0 of"))
    );
    assert_eq!(redraw(name, directory.path()).unwrap(), claims);
    // Whoever writes the directory writes it alone.
    let lock = backburn_train::lock::Lock::take(directory.path()).unwrap();
    let error = redraw(name, directory.path()).unwrap_err();
    assert!(error.to_string().contains("is being written by"), "{error}");
    drop(lock);
    let page = read(&directory.path().join("index.html"));
    let marked = |verdict: &str| page.contains(&format!("title=\"{verdict}\""));
    assert!(marked("partial") && !marked("holds") && !marked("fails"));

    reproduce(&Request { resume: true, ..request(&[name], directory.path()) }).unwrap();
    let text = read(&folder.join("claims.json"));
    assert!(!text.contains("partial"), "not one is");
    let manifest = Manifest::load(&folder).unwrap();
    assert_eq!(manifest.finished_seeds, manifest.seeds);
    assert_eq!(manifest.commits.len(), 1);
    let results = Results::from_csv(&read(&folder.join("results.csv"))).unwrap();
    assert_eq!(results.finished(), results);
    assert!(results.rows().iter().any(|row| row.metric == MEGABYTES_UP), "bytes are recorded");
}

#[test]
fn curves_of_other_commits_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let name = "counterexample-2";
    reproduce(&request(&[name], directory.path())).unwrap();
    let cache = directory.path().join(name).join("cache");
    let file = std::fs::read_dir(cache).unwrap().flatten().next().unwrap().path();
    let text = read(&file);
    let line = text.lines().find(|line| line.starts_with("# commit ")).unwrap();
    std::fs::write(&file, text.replace(line, "# commit 0123456789ab")).unwrap();
    let outcome = reproduce(&Request { resume: true, ..request(&[name], directory.path()) }).unwrap();
    let manifest = Manifest::load(&directory.path().join(name)).unwrap();
    assert_eq!(manifest.commits.len(), 2);
    assert!(manifest.commits.contains(&"0123456789ab".to_owned()));
    assert!(read(&outcome.index).contains("0123456789ab"));
}

#[test]
fn what_tuning_chose_is_in_the_report() {
    let directory = tempfile::tempdir().unwrap();
    let outcome = reproduce(&Request { tune: true, ..request(&["cifar-signsgd"], directory.path()) }).unwrap();
    assert!(outcome.failed.is_empty(), "step sizes that diverge are no failure: {:?}", outcome.failed);
    let page = read(&outcome.index);
    assert!(page.contains("Tuned step sizes"));
}
