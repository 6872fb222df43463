//! A run in many processes gives the bits of the same run in one: weights, states, metrics, byte counts, checkpoints.
//! Threads stand for processes here; the command's own tests start real ones.

use std::path::Path;

use backburn_optim::{AnyAlgorithm, Snapshot, Threads};
use backburn_train::data::{self, Examples, Options, Split};
use backburn_train::models::ModelKind;
use backburn_train::run::{Outcome, Ranks, Run, RunConfig, RunError, RunFolder, Summary, Trainer};
use backburn_train::session::{OnNonFinite, Schedule};

const COMPRESSORS: [&str; 6] = ["topk:0.1", "randk:0.1", "sign:scaled", "qsgd:4", "lowrank:2", "identity"];

fn small() -> Split<Examples> {
    let split = data::load("fashion-embedded", &Options::default()).unwrap();
    let some: Vec<usize> = (0..split.train.len()).step_by(20).collect();
    let few: Vec<usize> = (0..split.test.len()).step_by(20).collect();
    Split { train: split.train.subset(&some), test: split.test.subset(&few) }.into()
}

fn config(algorithm: &str, compressor: &str) -> RunConfig {
    RunConfig {
        model: ModelKind::Softmax,
        workers: 4,
        batch: 4,
        steps: 4,
        augment: true,
        algorithm: algorithm.parse().unwrap(),
        compressor: compressor.parse().unwrap(),
        checkpoint_every: "2steps".parse().unwrap(),
        schedule: Schedule { lr: 0.05, ..Schedule::default() },
        ..RunConfig::default()
    }
}

/// What each of n processes comes to.
fn in_ranks<T: Send>(n: usize, run: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let run = &run;
        let threads = Threads::links(n).into_iter().map(|link| scope.spawn(move || run(Ranks::new(link))));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().expect("a rank does not panic")).collect()
    })
}

/// Without the clock, which is no state.
fn still(mut snapshot: Snapshot) -> Snapshot {
    snapshot.numbers.remove("run.seconds");
    snapshot
}

fn summary(outcome: Result<Outcome, RunError>) -> Summary {
    match outcome.unwrap() {
        Outcome::Finished(summary) => Summary { seconds: 0.0, round_share: None, megabytes_between: None, ..summary },
        stopped => panic!("{stopped:?}"),
    }
}

fn metrics(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap()
}

/// After some steps: everything that is kept, and what the test part says of the model.
fn reached(config: &RunConfig, split: &Split<Examples>, ranks: Option<Ranks>) -> (Snapshot, u64, String) {
    let mut trainer = Trainer::over(config.clone(), split.clone(), ranks).unwrap();
    let mut said = String::new();
    while trainer.progress().0 < config.steps {
        let step = trainer.step().unwrap();
        said += &format!("{:?} {:?}\n", step, trainer.trains_mut().observe_all().unwrap());
    }
    let snapshot = trainer.snapshot().unwrap();
    (snapshot, trainer.trains().evaluate().unwrap().loss.to_bits(), said)
}

fn compare(config: &RunConfig, split: &Split<Examples>, ranks: usize) {
    let name = format!("{} {} {} on {ranks} ranks", config.algorithm, config.compressor, config.model);
    let (whole, loss, said) = reached(config, split, None);
    let (mut parts, mut common) = (Vec::new(), None);
    for (mut part, theirs, heard) in in_ranks(ranks, |ranks| reached(config, split, Some(ranks))) {
        assert_eq!(heard, said, "{name}: losses, bytes, residuals");
        assert_eq!(theirs, loss, "{name}: the model");
        let mut own = part.take_own();
        let mine = |name: &str| ["data.cursor.", "pending."].iter().any(|kind| name.starts_with(kind));
        own.texts.extend(part.texts.extract_if(.., |name, _| mine(name)));
        own.vectors.extend(part.vectors.extract_if(.., |name, _| mine(name)));
        let part = still(part);
        assert!(common.get_or_insert(part.clone()) == &part, "{name}: what all have in common");
        parts.push(own);
    }
    let merged = Snapshot::merge(parts.into_iter().chain(common)).unwrap();
    assert!(merged == still(whole), "{name}: states");
}

#[test]
fn every_method_and_compressor_gives_the_bits_of_one_process() {
    let split = small();
    let mut compared = 0;
    for row in AnyAlgorithm::table() {
        for method in row.examples {
            for compressor in COMPRESSORS {
                let config = config(method, compressor);
                if config.check().is_ok() && Trainer::with_data(config.clone(), split.clone()).is_ok() {
                    compare(&config, &split, 4);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 40, "{compared} combinations");
}

/// By shares, gathered or by machines: the bits of one process under the same plan, and of shares those of gathering.
#[test]
fn every_plan_gives_the_bits_of_one_process() {
    let split = small();
    let mut shared = 0;
    for row in AnyAlgorithm::table() {
        for (method, compressor) in row.examples.iter().zip(COMPRESSORS.iter().cycle()) {
            let config = RunConfig { steps: 3, ..config(method, compressor) };
            let sharded = RunConfig { plan: "sharded".parse().unwrap(), ..config.clone() };
            if sharded.check().is_ok() && Trainer::with_data(sharded.clone(), split.clone()).is_ok() {
                compare(&sharded, &split, 4);
                shared += 1;
            }
        }
    }
    assert!(shared > 12, "{shared} by shares");
    let plan = |plan: &str, workers: usize| {
        let config = config("ef-sgd:momentum=0.9", "topk:0.1");
        RunConfig { plan: plan.parse().unwrap(), workers, model: ModelKind::ResNet8, steps: 3, ..config }
    };
    for (name, workers, ranks) in
        [("sharded", 2, 2), ("sharded", 3, 3), ("gather", 3, 3), ("hierarchical:2", 4, 4), ("hierarchical:2", 4, 2)]
    {
        compare(&plan(name, workers), &split, ranks);
    }
    compare(&RunConfig { model: ModelKind::Softmax, ..plan("hierarchical:3", 6) }, &split, 2);
    compare(&RunConfig { model: ModelKind::Softmax, ..plan("hierarchical:4", 4) }, &split, 4);
    let x = |config: &RunConfig| {
        let (mut snapshot, ..) = reached(config, &split, None);
        snapshot.texts.remove("config");
        still(snapshot)
    };
    assert!(x(&plan("sharded", 4)) == x(&plan("gather", 4)));
    assert!(x(&plan("hierarchical:2", 4)) != x(&plan("gather", 4)));
    let odd = RunConfig { model: ModelKind::Softmax, ..plan("hierarchical:3", 12) };
    let outcomes = in_ranks(6, |ranks| Trainer::over(odd.clone(), split.clone(), Some(ranks)).map(drop));
    assert!(outcomes.iter().all(|o| matches!(o, Err(RunError::Machines { machine: 3, seats: 2 }))), "{outcomes:?}");
}

/// What is compressed is a machine's, and is kept by whoever speaks for it: a run by machines goes on, also as it was.
#[test]
fn machines_are_kept_and_go_on() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let whole = RunConfig { plan: "hierarchical:2".parse().unwrap(), steps: 6, ..config("ef-sgd", "topk:0.1") };
    let schedule_length = Some("6steps".parse().unwrap());
    let half = RunConfig { steps: 3, schedule_length, ..whole.clone() };
    run(&whole, &at("whole"), false, None).unwrap();
    in_ranks(4, |ranks| run(&half, &at("ranks"), false, Some(ranks)).unwrap());
    in_ranks(4, |ranks| run(&whole, &at("ranks"), true, Some(ranks)).unwrap());
    assert_eq!(metrics(&at("ranks")), metrics(&at("whole")));
}

#[test]
fn batch_statistics_are_those_of_one_process() {
    let split = small();
    for (method, compressor) in
        [("ef-sgd:momentum=0.9", "topk:0.05"), ("ef21-sgdm:eta=0.1", "topk:0.1"), ("beer", "topk:0.1")]
    {
        let config = RunConfig { model: ModelKind::ResNet8, steps: 3, ..config(method, compressor) };
        compare(&config, &split, 4);
    }
}

/// Exchanges beside the next gradients: the same delay, the same bits, and what is pending is kept.
#[test]
fn overlap_is_the_same_in_all_ranks_and_survives_a_restart() {
    let split = small();
    for (method, compressor) in
        [("ef-sgd:momentum=0.9", "topk:0.1"), ("ef21-sgdm:eta=0.1", "topk:0.1"), ("beer", "topk:0.1")]
    {
        let overlap = RunConfig { overlap: true, steps: 6, ..config(method, compressor) };
        compare(&overlap, &split, 4);
        compare(&overlap, &split, 2);
        compare(&RunConfig { model: ModelKind::ResNet8, steps: 3, ..overlap.clone() }, &split, 4);
        // The first step moves nothing, the next by the first one's gradients.
        let (late, _, said) = reached(&overlap, &split, None);
        assert!(said.lines().next().unwrap().contains("up: 0.0"), "{said}");
        let mut first = Trainer::over(overlap.clone(), split.clone(), None).unwrap();
        for _ in 0..3 {
            first.step().unwrap();
        }
        let kept = first.snapshot().unwrap();
        let mut second = Trainer::over(overlap.clone(), split.clone(), None).unwrap();
        second.restore(&kept).unwrap();
        for _ in 0..3 {
            second.step().unwrap();
        }
        assert!(still(second.snapshot().unwrap()) == still(late), "{method}: resumed");
    }
    let place = tempfile::tempdir().unwrap();
    let overlap = RunConfig { overlap: true, ..config("ef-sgd", "topk:0.1") };
    in_ranks(4, |ranks| run(&overlap, place.path(), false, Some(ranks)).unwrap());
    let fewer = RunConfig { workers: 2, steps: 6, ..overlap.clone() };
    in_ranks(2, |ranks| run(&fewer, place.path(), true, Some(ranks)).unwrap());
}

/// Workers that step by themselves, alone or in fragments that travel while they do, and that are stopped in between.
#[test]
fn local_steps_are_the_same_in_ranks() {
    let split = small();
    let fragments = |text: &str| Some(text.parse().unwrap());
    for (method, fragments) in [
        ("sparse-loco", None),
        ("diloco", fragments("1,delay=1,mix=0.5")),
        ("mu-loco", None),
        ("sparse-loco", fragments("2,delay=1,mix=0.5")),
        ("diloco", fragments("2,delay=0,mix=0,sequential")),
    ] {
        let model = if fragments.is_some() { ModelKind::ConvNet } else { ModelKind::Softmax };
        let local = RunConfig {
            model,
            local_steps: 4,
            fragments,
            steps: 7,
            batch: 2,
            ..config(method, "topk:64/4096,values=2bit,tiles")
        };
        compare(&local, &split, 2);
        compare(&local, &split, 4);
        let (end, _, _) = reached(&local, &split, None);
        for kept in [3, 5] {
            let mut first = Trainer::over(local.clone(), split.clone(), None).unwrap();
            for _ in 0..kept {
                first.step().unwrap();
            }
            let middle = first.snapshot().unwrap();
            let parts = in_ranks(2, |ranks| {
                let mut second = Trainer::over(local.clone(), split.clone(), Some(ranks)).unwrap();
                second.restore(&middle).unwrap();
                while second.progress().0 < local.steps {
                    second.step().unwrap();
                }
                second.snapshot().unwrap()
            });
            let whole = Snapshot::merge(parts.into_iter().map(still)).unwrap();
            assert!(still(whole) == still(end.clone()), "{method}, {fragments:?}: resumed at {kept}");
        }
    }
    // Through the files of a run, in parts.
    let place = tempfile::tempdir().unwrap();
    let local = RunConfig { local_steps: 3, steps: 5, ..config("sparse-loco", "topk:0.1") };
    let longer = RunConfig { steps: 8, ..local.clone() };
    let at = |name: &str| place.path().join(name);
    run(&longer, &at("one"), false, None).unwrap();
    let short = RunConfig { schedule_length: Some("8steps".parse().unwrap()), ..local };
    in_ranks(2, |ranks| run(&short, &at("ranks"), false, Some(ranks)).unwrap());
    let longer = RunConfig { schedule_length: Some("8steps".parse().unwrap()), ..longer };
    in_ranks(2, |ranks| run(&longer, &at("ranks"), true, Some(ranks)).unwrap());
    assert_eq!(metrics(&at("ranks")), metrics(&at("one")));
}

#[test]
fn a_process_may_have_several_workers() {
    let split = small();
    for method in ["ef-sgd:momentum=0.9", "beer", "ef-sgd-bidirectional"] {
        compare(&config(method, "topk:0.1"), &split, 2);
    }
    let refused =
        in_ranks(3, |ranks| Trainer::over(config("ef-sgd", "topk:0.1"), split.clone(), Some(ranks)).err().unwrap());
    assert!(refused.iter().all(|e| e.to_string().contains("4 workers cannot be divided evenly among 3 ranks")));
}

fn run(config: &RunConfig, folder: &Path, resume: bool, ranks: Option<Ranks>) -> Result<Outcome, RunError> {
    let run = Run::new(config.clone()).with_folder(RunFolder::new(folder)).with_resume(resume);
    run.with_ranks(ranks).run(&mut ())
}

/// Interrupted or not, in one process or several, and from one to the other and back.
#[test]
fn runs_go_on_from_each_others_checkpoints() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let config = RunConfig {
        steps: 5,
        checkpoint_every: "2steps".parse().unwrap(),
        ..config("ef-sgd:momentum=0.9", "topk:0.05")
    };
    let longer = RunConfig { steps: 9, ..config.clone() };
    let keep = RunConfig { schedule_length: Some("5steps".parse().unwrap()), ..longer.clone() };
    run(&config, &at("one"), false, None).unwrap();
    let whole = summary(run(&keep, &at("one"), true, None));
    for (name, first, second) in [("ranks", true, true), ("to ranks", false, true), ("from ranks", true, false)] {
        let go = |config: &RunConfig, resume: bool, ranks: bool| match ranks {
            true => in_ranks(4, |ranks| run(config, &at(name), resume, Some(ranks))),
            false => vec![run(config, &at(name), resume, None)],
        };
        for outcome in go(&config, false, first) {
            outcome.unwrap();
        }
        for outcome in go(&keep, true, second) {
            assert_eq!(summary(outcome), whole, "{name}");
        }
        assert_eq!(metrics(&at(name)), metrics(&at("one")), "{name}");
        let [a, b] = [name, "one"].map(|name| still(RunFolder::new(at(name)).checkpoint().unwrap()));
        assert!(a == b, "{name}: states");
        // One form is there, and of parts only the last.
        let parts = at(name).join("checkpoint");
        assert_eq!((parts.exists(), at(name).join("checkpoint.safetensors").exists()), (second, !second), "{name}");
        if second {
            let left = std::fs::read_dir(&parts).unwrap().count();
            assert_eq!((left, RunFolder::new(at(name)).manifest().unwrap().unwrap().parts.len()), (2, 5), "{name}");
        }
    }
}

#[test]
fn another_number_of_ranks_conserves_the_mean_residual() {
    let place = tempfile::tempdir().unwrap();
    let config = config("ef-sgd", "topk:0.05");
    in_ranks(4, |ranks| run(&config, place.path(), false, Some(ranks)).unwrap());
    let folder = RunFolder::new(place.path());
    let before = folder.checkpoint().unwrap();
    let fewer = RunConfig { workers: 2, ..config };
    // No step more: only re-divided and kept again.
    in_ranks(2, |ranks| run(&fewer, place.path(), true, Some(ranks)).unwrap());
    let after = folder.checkpoint().unwrap();
    let mean = |snapshot: &Snapshot, n: usize| {
        let mut sum: std::collections::BTreeMap<String, Vec<f64>> = Default::default();
        for (name, x) in &snapshot.vectors {
            let Some((w, rest)) = name.strip_prefix("worker.").and_then(|name| name.split_once('.')) else { continue };
            assert!(w.parse::<usize>().unwrap() < n);
            let sum = sum.entry(rest.into()).or_insert_with(|| vec![0.0; x.len()]);
            sum.iter_mut().zip(x).for_each(|(s, x)| *s += f64::from(*x) / n as f64);
        }
        sum
    };
    let (was, is) = (mean(&before, 4), mean(&after, 2));
    assert!(!was.is_empty() && was.keys().eq(is.keys()));
    for (name, x) in &was {
        // Each is rounded once to f32.
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= f64::from(f32::EPSILON) * a.abs();
        assert!(x.iter().zip(&is[name]).all(near), "{name}");
    }
}

#[test]
fn ranks_that_were_started_otherwise_are_named_by_all() {
    let split = small();
    let same = config("ef-sgd", "topk:0.1");
    let others: [(&str, RunConfig); 4] = [
        ("rank 1 has another seed than rank 0: 9, and there 1", RunConfig { seed: 9, ..same.clone() }),
        ("rank 1 has another algorithm than rank 0", RunConfig { algorithm: "sgd".parse().unwrap(), ..same.clone() }),
        ("rank 1 has another model than rank 0", RunConfig { model: ModelKind::ConvNet, ..same.clone() }),
        ("rank 1 has another workers than rank 0: 8", RunConfig { workers: 8, ..same.clone() }),
    ];
    for (says, other) in others {
        let errors = in_ranks(4, |ranks| {
            let config = if backburn_optim::Transport::rank(&ranks) == 1 { &other } else { &same };
            Trainer::over(config.clone(), split.clone(), Some(ranks)).err().unwrap().to_string()
        });
        assert!(errors.iter().all(|e| e.starts_with(says)), "{errors:?}");
    }
    let fewer: Vec<usize> = (0..split.train.len() - 1).collect();
    let less = Split { train: split.train.subset(&fewer), test: split.test.clone() };
    let errors = in_ranks(2, |ranks| {
        let split = if ranks.is_first() { &split } else { &less };
        let two = RunConfig { workers: 2, ..same.clone() };
        Trainer::over(two, split.clone(), Some(ranks)).err().unwrap().to_string()
    });
    assert!(errors.iter().all(|e| e.starts_with("rank 1 has another contents of the data")), "{errors:?}");
}

/// A rank whose numbers outgrow f32 alone ends or skips the step in all, as in one process.
#[test]
fn divergence_is_the_same_in_all_ranks() {
    let split = small();
    for (on_non_finite, steps) in [(OnNonFinite::Skip, 4), (OnNonFinite::Stop, 4)] {
        let schedule = Schedule { lr: 1e38, ..Schedule::default() };
        let config = RunConfig { on_non_finite, steps, schedule, ..config("ef-sgd", "topk:0.1") };
        let go = |config: &RunConfig, ranks: Option<Ranks>| {
            let mut trainer = Trainer::over(config.clone(), split.clone(), ranks).unwrap();
            let taken: Vec<String> = (0..steps)
                .map(|_| match trainer.step() {
                    Ok(step) => format!("{step:?}"),
                    Err(_) => "diverged".into(),
                })
                .collect();
            (taken, trainer.so_far().skipped)
        };
        let local = RunConfig { local_steps: 2, algorithm: "local-sgd".parse().unwrap(), steps: 6, ..config.clone() };
        for config in [&config, &local] {
            let whole = go(config, None);
            assert!(whole.1 > 0 || whole.0.contains(&"diverged".into()), "{whole:?}");
            for own in in_ranks(4, |ranks| go(config, Some(ranks))) {
                assert_eq!(own, whole);
            }
        }
    }
}

#[test]
fn what_is_in_the_way_is_passed_by_and_a_damaged_part_is_named() {
    let place = tempfile::tempdir().unwrap();
    let config = config("ef-sgd", "topk:0.1");
    in_ranks(2, |ranks| run(&RunConfig { workers: 2, ..config.clone() }, place.path(), false, Some(ranks)).unwrap());
    // A file where the next parts would be.
    std::fs::write(place.path().join("checkpoint/step-6"), "in the way").unwrap();
    std::fs::create_dir(place.path().join("checkpoint/step-6.1")).unwrap();
    let dir = place.path().join("checkpoint/step-6.2");
    std::fs::create_dir_all(&dir).unwrap();
    let longer = RunConfig { workers: 2, steps: 6, ..config };
    // What is in the way is passed by.
    in_ranks(2, |ranks| run(&longer, place.path(), true, Some(ranks)).unwrap());
    let after = RunFolder::new(place.path()).manifest().unwrap().unwrap();
    assert_eq!((after.step, after.folder.as_str()), (6, "step-6.3"));
    // A part that is another than the manifest says is refused, by name.
    let part = place.path().join("checkpoint/step-6.3/rank-1.safetensors");
    let mut bytes = std::fs::read(&part).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let longest = RunConfig { steps: 8, ..longer };
    for outcome in in_ranks(2, |ranks| run(&longest, place.path(), true, Some(ranks))) {
        let said = outcome.unwrap_err().to_string();
        assert!(said.contains("rank-1.safetensors") && said.contains("another than its manifest says"), "{said}");
    }
}
