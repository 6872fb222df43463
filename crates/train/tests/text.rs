//! A GPT on text is trained by every method, by many workers, with overlap, and resumed bit for bit, with loss, validation loss and perplexity in its files.

use std::path::Path;

use backburn_compress::AnyCompressor;
use backburn_optim::{AnyAlgorithm, ParameterGroup, Snapshot};
use backburn_train::data::Options;
use backburn_train::run::{
    CheckpointEvery, Estimate, MemoryLimit, Outcome, Run, RunConfig, RunFolder, Summary, Trainer,
};
use backburn_train::session::Schedule;
use serde_json::Value;

fn config() -> RunConfig {
    RunConfig {
        data: "kjv-embedded".parse().unwrap(),
        subset: 200,
        model: "gpt:layers=1,dim=16,heads=2,context=16".parse().unwrap(),
        workers: 3,
        batch: 2,
        steps: 6,
        schedule: Schedule { lr: 0.01, ..Schedule::default() },
        ..RunConfig::default()
    }
}

fn trainer(config: &RunConfig) -> Trainer {
    let mut split = config.load_data(&Options::default()).unwrap().with_context(16).unwrap();
    split.test = split.test.first_of_each(40);
    Trainer::with_data(config.clone(), split).unwrap()
}

/// Stops in the middle, and goes on with the same bits.
fn resumes(config: &RunConfig) {
    let mut whole = trainer(config);
    let mut kept = Snapshot::default();
    for step in 0..6 {
        if step == 3 {
            kept = whole.snapshot().unwrap();
        }
        assert!(whole.step().unwrap_or_else(|e| panic!("{}: {e}", config.algorithm)).loss.is_finite());
    }
    let mut resumed = trainer(config);
    resumed.restore(&kept).unwrap();
    for _ in 3..6 {
        resumed.step().unwrap();
    }
    let (mut a, mut b) = (whole.snapshot().unwrap(), resumed.snapshot().unwrap());
    for snapshot in [&mut a, &mut b] {
        snapshot.numbers.remove("run.seconds"); // wall-clock time is not state
    }
    assert_eq!(a, b, "{}", config.algorithm);
}

/// Pins that a run's groups reach the method by path, are written down, and may not change on the way.
#[test]
fn matrices_go_by_the_method_and_the_rest_by_policy() {
    let groups: Vec<ParameterGroup> =
        ["*:vectors,dense", "*embed*:dense", "*head*:dense,step-size=0.5"].map(|text| text.parse().unwrap()).into();
    for (method, compressor) in [("demo", "dct:8,of=topk:0.1"), ("dion:rank=2", "identity"), ("ef21-muon", "topk:0.1")]
    {
        let (algorithm, compressor) = (method.parse().unwrap(), compressor.parse().unwrap());
        let config = RunConfig { algorithm, compressor, groups: groups.clone(), ..config() };
        let config = RunConfig::from_toml(&config.to_toml()).unwrap();
        let trainer = trainer(&config);
        let units = trainer.trains().group().layout().clone();
        let matrices = units.parameters().iter().filter(|p| {
            let rest = p.shape.len() < 2 || p.path.contains("embed") || p.path.contains("head.");
            let unit = units.units().iter().find(|u| u.range.contains(&p.range.start)).unwrap();
            assert_eq!(unit.dense, rest, "{method}: {}", p.path);
            !rest
        });
        // Query, key, value, output and two of the perceptron.
        assert_eq!(matrices.count(), 6);
        resumes(&config);
        let other = RunConfig { groups: groups[..2].to_vec(), ..config.clone() };
        assert!(config.same_run(&other).unwrap_err().to_string().contains("groups"), "{method}");
    }
    let nobody = RunConfig { groups: vec!["nobody.*:dense".parse().unwrap()], ..config() };
    let split = nobody.load_data(&Options::default()).unwrap();
    assert!(Trainer::with_data(nobody, split).unwrap_err().to_string().contains("nobody.*"));
}

#[test]
fn every_method_resumes_to_the_bit() {
    let compressors = ["topk:0.05", "sign:scaled", "identity"].map(|text| text.parse::<AnyCompressor>().unwrap());
    let methods = AnyAlgorithm::table().iter().filter_map(|row| row.examples.first());
    for (text, overlap) in methods.map(|text| (*text, false)).chain([("ef-sgd:momentum=0.9", true)]) {
        let algorithm: AnyAlgorithm = text.parse().unwrap();
        let fits = |compressor: &&AnyCompressor| algorithm.check(compressor).is_ok();
        let compressor = compressors.iter().find(fits).unwrap_or_else(|| panic!("{text}")).clone();
        let config = RunConfig { algorithm, compressor, overlap, ..config() };
        resumes(&config);
    }
}

fn finished(config: &RunConfig, folder: &Path, resume: bool) -> Summary {
    let run = Run::new(config.clone()).with_folder(RunFolder::new(folder)).with_resume(resume);
    match run.run(&mut ()).unwrap() {
        Outcome::Finished(summary) => summary,
        stopped => panic!("{stopped:?}"),
    }
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn files_say_loss_and_perplexity_and_a_resumed_run_says_the_same() {
    let place = tempfile::tempdir().unwrap();
    // A text that is learnt in no time.
    let file = place.path().join("text");
    std::fs::write(&file, "the quick brown fox jumps over the lazy dog; ".repeat(200)).unwrap();
    let config = RunConfig {
        data: format!("text:{}", file.display()).parse().unwrap(),
        subset: 0,
        steps: 60,
        batch: 8,
        evaluate_every: 20,
        checkpoint_every: CheckpointEvery::Steps(30),
        schedule: Schedule::constant(0.2),
        compressor: "topk:0.1".parse().unwrap(),
        ..config()
    };
    let [whole, parts] = ["whole", "parts"].map(|name| place.path().join(name));
    let summary = finished(&config, &whole, false);
    finished(&RunConfig { steps: 30, ..config.clone() }, &parts, false);
    let resumed = finished(&config, &parts, true);
    assert_eq!(lines(&whole), lines(&parts));
    assert_eq!(summary.test_loss.to_bits(), resumed.test_loss.to_bits());

    let measured: Vec<(u64, f64, f64)> = (lines(&whole).iter())
        .filter_map(|line| Some((line["step"].as_u64()?, line["test_loss"].as_f64()?, line["perplexity"].as_f64()?)))
        .collect();
    assert_eq!(measured.iter().map(|(step, ..)| *step).collect::<Vec<_>>(), [19, 39, 59]);
    measured.iter().for_each(|(_, loss, perplexity)| assert_eq!(loss.exp(), *perplexity));
    assert_eq!(measured[2].1, summary.test_loss);
    assert_eq!(summary.perplexity, Some(summary.test_loss.exp()));
    // From ln 256 = 5.5, and 27 letters are ln 27 = 3.3.
    assert!(summary.train_loss < 3.0 && summary.test_loss < 3.0, "{summary:?}");
}

#[test]
fn memory_is_estimated_before_it_is_taken() {
    let config = |model: &str| RunConfig { model: model.parse().unwrap(), ..config() };
    let bytes = |model: &str| {
        let config = config(model);
        let split = config.fit(config.load_data(&Options::default()).unwrap()).unwrap();
        Estimate::new(&config, &split, true).unwrap().bytes()
    };
    let (small, large) = (bytes("gpt"), bytes("gpt:layers=12,dim=768,heads=12,context=1024"));
    // 86 million parameters: four of model and gradient, and of each of three workers a residual and a gradient, at least.
    assert!(small < 1e9 && large > 86e6 * 4.0 * 10.0, "{small:e} {large:e}");
    let refused = Run::new(config("gpt:layers=12,dim=768,heads=12,context=1024"));
    let error = refused.with_memory_limit(MemoryLimit::Bytes(1_000_000_000)).run(&mut ()).unwrap_err();
    assert!(error.to_string().starts_with("the run needs about"), "{error}");
}
