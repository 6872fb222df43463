//! A run that was saved and loaded goes on with the same bits.

use backburn_compress::{Layout, Scope, Vector};
use backburn_optim::{Ask, Cluster, Reply, Snapshot, SnapshotError};

use crate::world::*;

fn saved(run: &mut Run) -> Vec<u8> {
    let mut snapshot = Snapshot::default();
    run.cluster.save_into(&mut snapshot);
    snapshot.to_bytes()
}

#[test]
fn every_method_resumes_bit_for_bit() {
    let mut runs = 0;
    for (seed, method) in methods().into_iter().enumerate() {
        for compressor in compressors() {
            let world = World::new(seed as u64, 3, true);
            let Ok(mut whole) = world.start(&method, &compressor) else { continue };
            let what = format!("{method}/{compressor}, seed {seed}");
            let attempts = schedule(seed as u64, 3, method.starts_with("beer"), 12);
            whole.follow(&attempts);
            // Saved after every attempt in turn, failed ones included.
            let cut = 1 + (runs % 11);
            let mut first = world.start(&method, &compressor).unwrap();
            first.follow(&attempts[..cut]);
            let snapshot = Snapshot::from_bytes(&saved(&mut first), "the test").unwrap();
            let mut second = world.start(&method, &compressor).unwrap();
            second.cluster.load_from(&snapshot).unwrap_or_else(|e| panic!("{what}: {e}"));
            second.x.clone_from(&first.x);
            second.attempts = first.attempts;
            second.follow(&attempts[cut..]);
            assert!(
                whole.x.as_slice().iter().zip(second.x.as_slice()).all(|(a, b)| a.to_bits() == b.to_bits()),
                "{what}: x, cut {cut}"
            );
            // Bytes hold maps in no certain order.
            let read = |run: &mut Run| Snapshot::from_bytes(&saved(run), "the test").unwrap();
            assert_eq!(read(&mut whole), read(&mut second), "{what}: states, cut {cut}");
            // Saving changes no bits of the run that goes on either.
            first.follow(&attempts[cut..]);
            assert_eq!(read(&mut first), read(&mut second), "{what}: the run that saved");
            runs += 1;
        }
    }
    assert!(runs > 500, "{runs} runs");
}

/// A run of two workers with everything in its state, and the snapshot of it.
fn example(shapes: &[(&str, &[usize])], scope: Scope) -> (Cluster, Snapshot) {
    let shapes = shapes.iter().map(|(path, shape)| (path.to_string(), shape.to_vec())).collect();
    let layout = Layout::new(shapes, scope, 0).unwrap();
    let x = Vector::zeros(layout.len());
    let (method, compressor) = ("ef-sgd:momentum=0.9,outside".parse().unwrap(), "lowrank:1".parse().unwrap());
    let mut cluster = Cluster::new(method, compressor, layout, 2, 7, x.as_slice()).unwrap();
    for _ in 0..3 {
        let d = cluster.layout().len();
        let mut host =
            |w: usize, _: &Ask| Ok(Reply::gradient((0..d).map(|j| (j + w) as f32 - 1.5).collect::<Vec<_>>()));
        cluster.round(0.1, &x, &mut host).unwrap();
    }
    let mut snapshot = Snapshot::default();
    cluster.save_into(&mut snapshot);
    (cluster, snapshot)
}

const MODEL: &[(&str, &[usize])] = &[("w", &[2, 3]), ("b", &[3])];

/// Each must be an error of its own kind, and leave the run as it was.
#[test]
fn a_snapshot_that_does_not_fit_is_refused_and_nothing_has_changed() {
    type Harm = fn(&mut Snapshot);
    type Right = fn(&SnapshotError) -> bool;
    let cases: Vec<(&str, Harm, Right)> = vec![
        (
            "step",
            |s| s.numbers.insert("cluster.step".into(), u64::MAX).map_or((), drop),
            |e| matches!(e, SnapshotError::Damaged { .. }),
        ),
        (
            "workers",
            |s| s.numbers.insert("cluster.workers".into(), u64::MAX).map_or((), drop),
            |e| matches!(e, SnapshotError::Damaged { .. }),
        ),
        (
            "NaN",
            |s| s.vectors.get_mut("worker.1.residual/w").unwrap()[3] = f32::NAN,
            |e| matches!(e, SnapshotError::Damaged { .. }),
        ),
        (
            "infinity",
            |s| s.vectors.get_mut("worker.0.momentum/b").unwrap()[0] = f32::INFINITY,
            |e| matches!(e, SnapshotError::Damaged { .. }),
        ),
        ("scalar", |s| s.set_real("worker.0.lr", f64::NAN), |e| matches!(e, SnapshotError::Damaged { .. })),
        (
            "longer",
            |s| s.vectors.get_mut("worker.1.residual/w").unwrap().push(0.0),
            |e| matches!(e, SnapshotError::Length { .. }),
        ),
        (
            "shorter",
            |s| s.vectors.get_mut("worker.1.residual/b").unwrap().clear(),
            |e| matches!(e, SnapshotError::Length { .. }),
        ),
        (
            "missing piece",
            |s| drop(s.vectors.remove("worker.1.residual/w")),
            |e| matches!(e, SnapshotError::Missing(_)),
        ),
        (
            "missing state",
            |s| s.vectors.retain(|name, _| !name.contains("momentum")),
            |e| matches!(e, SnapshotError::Missing(_)),
        ),
        (
            "missing number",
            |s| {
                s.numbers.remove("worker.0.lr");
            },
            |e| matches!(e, SnapshotError::Missing(_)),
        ),
        (
            "leftover vector",
            |s| drop(s.vectors.insert("worker.0.velocity/w".into(), vec![0.0; 6])),
            |e| matches!(e, SnapshotError::Leftover(_)),
        ),
        (
            "leftover parameter",
            |s| drop(s.vectors.insert("worker.0.momentum/v".into(), vec![0.0; 6])),
            |e| matches!(e, SnapshotError::Leftover(_)),
        ),
        (
            "leftover number",
            |s| {
                s.numbers.insert("shared.t".into(), 3);
            },
            |e| matches!(e, SnapshotError::Leftover(_)),
        ),
        (
            "leftover worker",
            |s| drop(s.vectors.insert("worker.2.momentum/w".into(), vec![0.0; 6])),
            |e| matches!(e, SnapshotError::Leftover(_)),
        ),
        (
            "leftover memory",
            |s| drop(s.vectors.insert("worker.0.residual.memo.00".into(), vec![0.0; 6])),
            |e| matches!(e, SnapshotError::Leftover(_)),
        ),
        (
            "method",
            |s| drop(s.texts.insert("cluster.algorithm".into(), "ef-sgd:momentum=0.9".into())),
            |e| matches!(e, SnapshotError::Other { what: "the method", .. }),
        ),
        (
            "seed",
            |s| {
                s.numbers.insert("cluster.seed".into(), 8);
            },
            |e| matches!(e, SnapshotError::Other { what: "the seed", .. }),
        ),
    ];
    for (what, harm, right) in cases {
        let (mut cluster, good) = example(MODEL, Scope::Parameter);
        let mut bad = good.clone();
        harm(&mut bad);
        assert!(bad != good, "{what}: no harm done");
        let error = cluster.load_from(&bad).expect_err(what);
        assert!(right(&error), "{what}: {error}");
        let mut after = Snapshot::default();
        cluster.save_into(&mut after);
        assert!(after == good, "{what}: changed");
    }
}

#[test]
fn a_snapshot_is_of_these_shapes_whatever_the_scope() {
    let (_, saved) = example(MODEL, Scope::Parameter);
    let turned: &[(&str, &[usize])] = &[("w", &[3, 2]), ("b", &[3])];
    let error = example(turned, Scope::Parameter).0.load_from(&saved).unwrap_err();
    assert!(
        matches!(&error, SnapshotError::Shape { path, found, expected } if path == "w" && *found == [2, 3] && *expected == [3, 2]),
        "{error}"
    );
    let more: &[(&str, &[usize])] = &[("w", &[2, 3]), ("b", &[3]), ("c", &[1])];
    assert!(matches!(example(more, Scope::Parameter).0.load_from(&saved), Err(SnapshotError::Missing(_))));
    assert!(matches!(example(&MODEL[..1], Scope::Parameter).0.load_from(&saved), Err(SnapshotError::Leftover(_))));
    // Another scope reads the same pieces; what a compressor remembers of other units is let go.
    let (mut other, _) = example(MODEL, Scope::Global);
    other.load_from(&saved).unwrap();
    let mut again = Snapshot::default();
    other.save_into(&mut again);
    let residual = |s: &Snapshot| s.vectors["worker.1.residual/w"].clone();
    assert_eq!(residual(&again), residual(&saved));
}

#[test]
fn the_numbers_of_a_method_may_change_and_a_seed_may_be_taken() {
    let (mut cluster, mut saved) = example(MODEL, Scope::Parameter);
    saved.texts.insert("cluster.algorithm".into(), "ef-sgd:momentum=0.5,outside".into());
    saved.numbers.insert("cluster.seed".into(), 8);
    cluster.take_seed(&saved).unwrap();
    cluster.load_from(&saved).unwrap();
    assert_eq!(cluster.seed(), 8);
}

#[test]
fn parts_that_do_not_belong_together_do_not_merge() {
    let (_, whole) = example(MODEL, Scope::Parameter);
    let part = |worker: u64| {
        let mut part = whole.clone();
        let other = format!("worker.{}.", 1 - worker);
        part.vectors.retain(|name, _| !name.starts_with(&other));
        part.numbers.retain(|name, _| !name.starts_with(&other));
        part.numbers.extend([("cluster.first".into(), worker), ("cluster.seats".into(), 1)]);
        part
    };
    assert!(Snapshot::merge([part(1), part(0)]).unwrap() == whole);
    assert!(matches!(Snapshot::merge([part(0)]), Err(SnapshotError::Missing(name)) if name == "worker.1."));
    assert!(matches!(Snapshot::merge([part(1)]), Err(SnapshotError::Missing(name)) if name == "worker.0."));
    assert!(matches!(Snapshot::merge([part(0), part(0)]), Err(SnapshotError::Parts(_))));
    assert!(matches!(Snapshot::merge([]), Err(SnapshotError::Missing(_))));
    let mut later = part(1);
    later.numbers.insert("cluster.step".into(), 4);
    assert!(matches!(Snapshot::merge([part(0), later]), Err(SnapshotError::Parts(name)) if name == "cluster.step"));
}

/// Conserves what is owed to the parameters that stay.
#[test]
fn a_parameter_may_freeze_and_thaw_without_the_others_losing_anything() {
    let (mut cluster, saved) = example(MODEL, Scope::Parameter);
    let layout = |model: &[(&str, &[usize])]| {
        let shapes = model.iter().map(|(path, shape)| (path.to_string(), shape.to_vec())).collect();
        Layout::new(shapes, Scope::Parameter, 0).unwrap()
    };
    cluster.relaid(layout(&[("w", &[2, 3])]), &[0.0; 6]).unwrap();
    cluster.relaid(layout(&[("c", &[2]), ("w", &[2, 3]), ("b", &[3])]), &[0.0; 11]).unwrap();
    let mut after = Snapshot::default();
    cluster.save_into(&mut after);
    assert_eq!(after.numbers["cluster.step"], 3);
    for worker in 0..2 {
        for name in ["residual", "momentum"] {
            let of = |s: &Snapshot, path: &str| s.vectors[&format!("worker.{worker}.{name}/{path}")].clone();
            assert_eq!(of(&after, "w"), of(&saved, "w"));
            assert_eq!((of(&after, "b"), of(&after, "c")), (vec![0.0; 3], vec![0.0; 2]));
        }
    }
    let refused = cluster.relaid(layout(&[("w", &[3, 2])]), &[0.0; 6]).unwrap_err();
    assert!(refused.to_string().contains("shape"), "{refused}");
    let mut again = Snapshot::default();
    cluster.save_into(&mut again);
    assert!(again == after);
}
