//! A checkpoint taken mid-run and resumed equals the uninterrupted run bit for bit.

use backburn_train::data::{self, Options, Split};
use backburn_train::models::ModelKind;
use backburn_train::run::{CheckpointEvery, Metrics, Outcome, Run, RunConfig, RunError, RunFolder, Summary, Trainer};
use backburn_train::session::Schedule;

fn small() -> Split {
    let split = data::load("fashion-embedded", &Options::default()).unwrap();
    let some: Vec<usize> = (0..split.train.len()).step_by(10).collect();
    let few: Vec<usize> = (0..split.test.len()).step_by(10).collect();
    Split { train: split.train.subset(&some), test: split.test.subset(&few) }
}

fn config(algorithm: &str, compressor: &str) -> RunConfig {
    RunConfig {
        model: ModelKind::ResNet8,
        workers: 4,
        batch: 4,
        steps: 6,
        augment: true,
        algorithm: algorithm.parse().unwrap(),
        compressor: compressor.parse().unwrap(),
        schedule: Schedule { lr: 0.05, ..Schedule::default() },
        ..RunConfig::default()
    }
}

fn finished(config: RunConfig, folder: &RunFolder, resume: bool) -> Result<Summary, RunError> {
    match Run::new(config).with_folder(folder.clone()).with_resume(resume).run(&mut ())? {
        Outcome::Finished(summary) => Ok(summary),
        stopped => panic!("{stopped:?}"),
    }
}

/// Replicas, moments and places in the data, between two rounds too; bytes are those of the rounds alone.
#[test]
fn local_steps_go_on_from_the_middle_of_h() {
    for algorithm in ["sparse-loco", "diloco", "mu-loco"] {
        let config = RunConfig {
            model: ModelKind::Softmax,
            augment: false,
            steps: 8,
            local_steps: 3,
            schedule: Schedule::constant(0.01),
            ..config(algorithm, "topk:64/4096,values=2bit,tiles")
        };
        let mut whole = Trainer::with_data(config.clone(), small()).unwrap();
        let (mut bytes, mut sent) = (Vec::new(), Vec::new());
        for step in 0..8 {
            if step == 5 {
                bytes = whole.snapshot().unwrap().to_bytes();
            }
            sent.push(whole.step().unwrap().bytes.up > 0.0);
        }
        assert_eq!(sent, [false, false, true, false, false, true, false, false], "{algorithm}");
        let mut resumed = Trainer::with_data(config, small()).unwrap();
        resumed.restore(&backburn_optim::Snapshot::from_bytes(&bytes, "memory").unwrap()).unwrap();
        for _ in 5..8 {
            resumed.step().unwrap();
        }
        let (mut a, mut b) = (whole.snapshot().unwrap(), resumed.snapshot().unwrap());
        for snapshot in [&mut a, &mut b] {
            snapshot.numbers.remove("run.seconds");
        }
        assert_eq!(a, b, "{algorithm}");
    }
}

#[test]
fn four_workers_with_batch_normalisation() {
    for (algorithm, compressor) in [
        ("ef-sgd:momentum=0.9,weight-decay=0.0005", "topk:0.05"),
        ("ef-sgd:outside", "randk:0.05"),
        ("compressed-sgd:momentum=0.9", "sign:scaled"),
    ] {
        let config = config(algorithm, compressor);
        let mut whole = Trainer::with_data(config.clone(), small()).unwrap();
        let mut bytes = Vec::new();
        for step in 0..6 {
            if step == 3 {
                bytes = whole.snapshot().unwrap().to_bytes();
            }
            whole.step().unwrap();
        }
        let mut resumed = Trainer::with_data(config, small()).unwrap();
        resumed.restore(&backburn_optim::Snapshot::from_bytes(&bytes, "memory").unwrap()).unwrap();
        assert_eq!(resumed.progress(), (3, 6));
        for _ in 3..6 {
            resumed.step().unwrap();
        }
        let (a, b) = (whole.trains().evaluate().unwrap(), resumed.trains().evaluate().unwrap());
        assert_eq!(a.loss.to_bits(), b.loss.to_bits(), "{algorithm} {compressor}: evaluation output");
        let (mut a, mut b) = (whole.snapshot().unwrap(), resumed.snapshot().unwrap());
        for snapshot in [&mut a, &mut b] {
            snapshot.numbers.remove("run.seconds"); // wall-clock time is not state
        }
        assert_eq!(a.vectors, b.vectors, "{algorithm} {compressor}");
        assert_eq!(a, b, "{algorithm} {compressor}");
    }
}

#[test]
fn a_run_interrupted_in_its_folder_goes_on_and_its_metrics_have_every_step_once() {
    let place = tempfile::tempdir().unwrap();
    let config = RunConfig {
        model: ModelKind::Softmax,
        steps: 5,
        checkpoint_every: CheckpointEvery::Steps(2),
        evaluate_every: 5,
        ..config("ef-sgd", "topk:0.1")
    };
    let folder = RunFolder::new(place.path().join("run"));
    let summary = finished(config.clone(), &folder, false).unwrap();
    assert_eq!(summary.steps, 5);
    assert_eq!(folder.summary().unwrap().as_ref(), Some(&summary));
    let read = Metrics::read(&folder).unwrap();
    let tested: Vec<_> = read.iter().map(|line| line.test_accuracy).collect();
    assert_eq!(tested, [None, None, None, None, Some(summary.test_accuracy)]);
    assert_eq!(read[4].loss, Some(summary.train_loss));
    assert!((read.iter().map(|line| line.bytes_up).sum::<f64>() / 1e6 - summary.megabytes.up).abs() < 1e-9);
    let lines = || {
        let text = std::fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
        let steps =
            text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["step"].as_u64().unwrap());
        steps.collect::<Vec<_>>()
    };
    assert_eq!(lines(), [0, 1, 2, 3, 4]);
    // The run stops after step 3; two more lines stand in the metrics than the checkpoint knows.
    let longer = RunConfig { steps: 8, ..config };
    let resumed = finished(longer, &folder, true).unwrap();
    assert_eq!(resumed.steps, 8);
    assert_eq!(lines(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(resumed.megabytes.up > summary.megabytes.up);
    assert!(summary.compression_ratio > 5.0, "bytes were saved: {}", summary.compression_ratio);
}

#[test]
fn a_folder_that_cannot_be_written_is_said_so() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let config = RunConfig { model: ModelKind::Softmax, steps: 1, ..config("ef-sgd", "topk:0.1") };
    let error = finished(config, &RunFolder::new(file.join("run")), false).unwrap_err();
    assert!(error.to_string().starts_with("cannot write to"), "{error}");
}
