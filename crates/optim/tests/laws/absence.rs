//! Law 12: a worker without a gradient for a parameter counts as absent there.

use backburn_compress::{Layout, Scope, Vector};
use backburn_optim::{Ask, Cluster, Gradient, Reply, Snapshot};

use crate::world::{World, compressors, methods};

fn layout() -> Layout {
    Layout::new(vec![("a".into(), vec![2]), ("b".into(), vec![3])], Scope::Parameter, 0).unwrap()
}

/// A step of one worker with a gradient of ones, or of `b` alone.
fn step(cluster: &mut Cluster, lr: f64, x: &mut Vector, a: bool) {
    let mut host = |_: usize, _: &Ask| {
        let missing = if a { vec![] } else { vec![0] };
        Ok(Reply::Gradient(Gradient { vector: vec![1.0; 5].into(), missing }))
    };
    cluster.round(lr, x, &mut host).unwrap().apply(x);
}

#[test]
fn law_12_neither_decay_nor_momentum_moves_what_has_no_gradient() {
    let mut x = Vector::from(vec![1.0; 5]);
    let method = "ef-sgd:weight-decay=0.1".parse().unwrap();
    let mut cluster = Cluster::new(method, "identity".parse().unwrap(), layout(), 1, 1, x.as_slice()).unwrap();
    step(&mut cluster, 1.0, &mut x, false);
    assert_eq!(x.as_slice()[..2], [1.0, 1.0]);
    assert!((x.as_slice()[2] + 0.1).abs() < 1e-6, "{x:?}");

    let mut x = Vector::zeros(5);
    let method = "ef-sgd:momentum=0.9".parse().unwrap();
    let mut cluster = Cluster::new(method, "identity".parse().unwrap(), layout(), 1, 1, x.as_slice()).unwrap();
    (0..3).for_each(|t| step(&mut cluster, 1.0, &mut x, t == 0));
    assert_eq!(x.as_slice()[..2], [-1.0, -1.0]);
    assert!((x.as_slice()[2] + 1.0 + 1.9 + 2.71).abs() < 1e-5, "{x:?}");
}

/// The state of this owner's parameter.
fn pieces(snapshot: &Snapshot, owner: &str, path: &str) -> Vec<(String, Vec<f32>)> {
    let mine = |name: &str| name.ends_with(&format!("/{path}")) && name.starts_with(owner);
    snapshot.vectors.iter().filter(|(name, _)| mine(name)).map(|(name, x)| (name.clone(), x.clone())).collect()
}

#[test]
fn law_12_over_all_methods_and_compressors() {
    let mut runs = 0;
    for (seed, method) in methods().iter().enumerate() {
        for compressor in compressors() {
            let mut world = World::new(seed as u64, 3, true);
            let shapes = world.layout.parameters().iter().map(|p| (p.path.clone(), p.shape.clone())).collect();
            world.layout = Layout::new(shapes, Scope::Parameter, 0).unwrap();
            if world.layout.parameters().len() < 2 {
                let shapes = vec![("p0".into(), vec![2, 3]), ("p1".into(), vec![4])];
                world = World { layout: Layout::new(shapes, Scope::Parameter, 0).unwrap(), ..world };
                world.curvature = vec![1.0; 10];
                world.centres = (0..3).map(|w| (0..10).map(|j| (w * j) as f32 - 3.0).collect()).collect();
            }
            let Ok(mut run) = world.start(method, &compressor) else { continue };
            if !run.cluster.algorithm().speaks_by_unit() {
                continue;
            }
            runs += 1;
            let what = format!("{method}/{compressor}");
            (0..3).for_each(|_| run.whole(0.1));
            let range = world.layout.parameters()[0].range.clone();
            let path = world.layout.parameters()[0].path.clone();
            // Missing for worker 1 alone, then for all; a gradient there would be seen.
            for everybody in [false, true] {
                let mut before = Snapshot::default();
                run.cluster.save_into(&mut before);
                let x = run.x.clone();
                let mut host = |worker: usize, ask: &Ask| match ask {
                    Ask::Gradient { at, .. } => {
                        let mut vector = world.gradient(worker, at.as_ref().unwrap_or(&x).as_slice(), Some(9));
                        let missing = if everybody || worker == 1 { vec![0] } else { vec![] };
                        if !missing.is_empty() {
                            vector[range.clone()].fill(f32::NAN);
                        }
                        Ok(Reply::Gradient(Gradient { vector: vector.into(), missing }))
                    }
                    Ask::Loss { at } => Ok(Reply::Loss(world.loss(worker, at.as_ref().unwrap_or(&x).as_slice()))),
                };
                run.cluster.round(0.1, &x, &mut host).unwrap_or_else(|e| panic!("{what}: {e}")).apply(&mut run.x);
                let mut after = Snapshot::default();
                run.cluster.save_into(&mut after);
                for worker in 0..3 {
                    if everybody || worker == 1 {
                        let owner = format!("worker.{worker}.");
                        let [before, after] = [&before, &after].map(|s| pieces(s, &owner, &path));
                        assert_eq!(before, after, "{what}: worker {worker}");
                    }
                }
                if everybody {
                    let here = |x: &Vector| x.as_slice()[range.clone()].to_vec();
                    assert_eq!(here(&x), here(&run.x), "{what}: x");
                    let [before, after] = [&before, &after].map(|s| pieces(s, "shared.", &path));
                    assert_eq!(before, after, "{what}: shared");
                }
            }
        }
    }
    assert!(runs > 300, "{runs}");
}

/// Pins that nothing is said, not even what a compressor makes of zeros: a sign is never zero.
#[test]
fn law_12_a_worker_says_nothing_where_it_has_no_gradient() {
    let mut x = Vector::zeros(5);
    let (method, compressor) = ("compressed-sgd".parse().unwrap(), "sign".parse().unwrap());
    let mut cluster = Cluster::new(method, compressor, layout(), 2, 1, x.as_slice()).unwrap();
    let mut host = |worker: usize, _: &Ask| {
        let missing = if worker == 1 { vec![0] } else { vec![] };
        Ok(Reply::Gradient(Gradient { vector: vec![1.0; 5].into(), missing }))
    };
    cluster.round(1.0, &x, &mut host).unwrap().apply(&mut x);
    assert_eq!(x.as_slice(), [-0.5, -0.5, -1.0, -1.0, -1.0]);
}
