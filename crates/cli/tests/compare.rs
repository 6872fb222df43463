//! `backburn compare`: a grid that is tuned, stopped, gone on with and refused.

mod common;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use common::{backburn, refusal, text};

const GRID: &str = "
methods = ['ef-sgd']
compressors = ['topk:0.1', 'sign:scaled']
pairs = ['sgd identity']
seeds = [1, 2]

[tune]
lr = [0.001, 0.05, 1e38]

[run]
model = 'softmax'
workers = 2
batch = 4
subset = 200
steps = 40
device = 'flex'
";

fn runs(out: &Path) -> Vec<PathBuf> {
    let mut runs: Vec<PathBuf> = std::fs::read_dir(out.join("runs")).unwrap().map(|e| e.unwrap().path()).collect();
    runs.sort();
    runs
}

fn written(run: &Path) -> SystemTime {
    std::fs::metadata(run.join("summary.json")).unwrap().modified().unwrap()
}

#[test]
fn a_grid_is_tuned_and_gone_on_with_and_ends_in_one_page() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("grid.toml");
    let out = place.path().join("out");
    std::fs::write(&file, GRID).unwrap();
    let args = ["compare", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let made = backburn(&args);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("6 runs, 3 curves") && page.contains("Tuned step sizes"), "{page}");
    // A step size that diverges is an answer, and of the two others the better is taken for all seeds.
    assert!(page.contains("1e38: diverged"));
    for pair in ["ef-sgd</td><td>topk:0.1", "ef-sgd</td><td>sign:scaled", "sgd</td><td>identity"] {
        assert!(page.contains(&format!("<td>{pair}</td><td>0.05</td>")), "{pair} is tuned to 0.05: {page}");
    }
    let all = runs(&out);
    assert_eq!(all.len(), 3 * 3 + 3, "three step sizes for each of three pairs, and a second seed of the best");
    assert!(all.iter().any(|run| run.ends_with("ef-sgd_topk-0.1_lr=0.05_seed=2")), "{all:?}");

    // Once more, nothing is run again but what was lost.
    let finished: Vec<&PathBuf> = all.iter().filter(|run| run.join("summary.json").exists()).collect();
    assert_eq!(finished.len(), 9);
    let before: Vec<_> = finished.iter().map(|run| written(run)).collect();
    let lost = out.join("runs/ef-sgd_topk-0.1_lr=0.05_seed=2");
    std::fs::remove_file(lost.join("summary.json")).unwrap();
    assert!(backburn(&args).status.success());
    for (run, before) in finished.iter().zip(before) {
        assert_eq!(written(run) == before, **run != lost, "{}", run.display());
    }

    // Another grid does not take the place of this one.
    std::fs::write(&file, GRID.replace("steps = 40", "steps = 41")).unwrap();
    let said = refusal(&args);
    assert!(said.contains("holds a run of another configuration (steps = 41, was 40)"), "{said}");

    let plan = backburn(&["compare", file.to_str().unwrap(), "--plan"]);
    assert_eq!(text(&plan.stdout).lines().count(), 3);
}

#[test]
fn a_run_that_diverges_is_told_and_the_others_are_compared() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("grid.toml");
    std::fs::write(&file, GRID.replace("lr = [0.001, 0.05, 1e38]", "lr = [1e38]")).unwrap();
    let out = place.path().join("out");
    let said = refusal(&["compare", file.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!(said.matches("failed: ").count(), 6, "{said}");
}

#[test]
fn a_file_that_is_no_grid_is_named_with_its_fault() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("grid.toml");
    let args = ["compare", file.to_str().unwrap()];
    assert!(refusal(&args).contains("cannot read"));
    for (from, to, says) in [
        ("seeds = [1, 2]", "seeds = [1, 1]", "seeds has `1` twice"),
        ("model = 'softmax'", "modell = 'softmax'", "unknown field `modell`"),
        ("ef-sgd", "ef-sgb", "ef-sgb"),
        ("'topk:0.1', 'sign:scaled'", "'sign'", "method `ef-sgd` goes with none of the others"),
    ] {
        std::fs::write(&file, GRID.replacen(from, to, 1)).unwrap();
        let said = refusal(&args);
        assert!(said.contains("grid.toml`: ") && said.contains(says), "{to}: {said}");
    }
}

#[test]
fn the_sample_is_a_grid() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/compare.toml");
    let plan = backburn(&["compare", sample.to_str().unwrap(), "--plan"]);
    assert!(plan.status.success(), "{}", text(&plan.stderr));
    assert_eq!(text(&plan.stdout).lines().count(), 5);
}
