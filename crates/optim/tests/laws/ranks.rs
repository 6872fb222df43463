//! Law 9: n processes give the bits of n workers in one: iterates, traffic and snapshots.

use backburn_compress::Vector;
use backburn_optim::{
    AnyAlgorithm, Ask, Cluster, Encoded, Gradient, Host, InProcess, Mail, PlanChoice, Reply, RoundError, Snapshot,
    Threads, Traffic,
};

use crate::world::{World, compressors, methods};

const STEPS: u64 = 6;

/// The world's gradients, with absent workers and missing parameters.
struct Serving<'a> {
    world: &'a World,
    x: Vector,
    nodes: Vec<Option<Vector>>,
    t: u64,
    gossip: bool,
}

impl Host for Serving<'_> {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        let here = self.nodes[worker].as_ref().unwrap_or(&self.x);
        Ok(match ask {
            Ask::Gradient { at, batches } => {
                let draw = (*batches > 0).then_some(self.t);
                let vector = self.world.gradient(worker, at.as_ref().unwrap_or(here).as_slice(), draw).into();
                let parameters = self.world.layout.parameters().len();
                let place = (self.t as usize + worker) % (parameters + 2);
                Reply::Gradient(Gradient { vector, missing: (place..parameters.min(place + 1)).collect() })
            }
            Ask::Loss { at } => Reply::Loss(self.world.loss(worker, at.as_ref().unwrap_or(here).as_slice())),
        })
    }

    fn is_present(&mut self, worker: usize) -> bool {
        self.gossip || (self.t as usize + 2 * worker) % 5 != 3
    }
}

/// What a process has seen.
struct Ran {
    seats: std::ops::Range<usize>,
    xs: Vec<Vector>,
    traffic: Vec<Traffic>,
    snapshot: Snapshot,
}

fn drive<M: Mail>(world: &World, method: &str, compressor: &str, mail: M) -> Ran {
    let mut x = Vector::from(vec![0.25; world.layout.len()]);
    let (algorithm, compressor) = (method.parse().unwrap(), compressor.parse().unwrap());
    let layout = world.layout.clone();
    let mut cluster = Cluster::over(algorithm, compressor, layout, world.seed, x.as_slice(), mail).unwrap();
    let gossip = cluster.algorithm().is_gossip();
    let mut traffic = Vec::new();
    for t in 0..STEPS {
        let nodes = (0..world.workers).map(|w| cluster.node(w).cloned()).collect();
        let mut host = Serving { world, x: x.clone(), nodes, t, gossip };
        let lr = [0.1, 0.1, 0.0, 0.02][t as usize % 4];
        let decided = cluster.round(lr, &x, &mut host).unwrap_or_else(|e| panic!("{method}: {e}"));
        if !gossip {
            decided.apply(&mut x);
        }
        traffic.push(decided.traffic);
    }
    let seats = cluster.seats();
    let xs = seats.clone().map(|w| cluster.node(w).unwrap_or(&x).clone()).collect();
    let mut snapshot = Snapshot::default();
    cluster.save_into(&mut snapshot);
    Ran { seats, xs, traffic, snapshot }
}

fn bits(x: &Vector) -> Vec<u32> {
    x.as_slice().iter().map(|x| x.to_bits()).collect()
}

#[test]
fn law_9_n_processes_give_the_bits_the_traffic_and_the_snapshots_of_one() {
    let mut runs = 0;
    for (seed, method) in methods().iter().enumerate() {
        for compressor in compressors() {
            // Workers a process.
            let seats: &[usize] = [&[1, 1, 1][..], &[1, 1], &[2, 2], &[3, 1]][runs % 4];
            let world = World::new(seed as u64, seats.iter().sum(), true);
            if world.start(method, &compressor).is_err() {
                continue;
            }
            runs += 1;
            let plan: PlanChoice = ["gather", "sharded", "auto"][runs % 3].parse().unwrap();
            let what = format!("{method}/{compressor}, {seats:?}, {plan}");
            let whole = drive(&world, method, &compressor, InProcess::new(world.workers));
            let parts: Vec<Ran> = std::thread::scope(|scope| {
                let spawn = |(link, seats): (Threads, &usize)| {
                    let mail = Encoded::with_seats(link, *seats).with_plan(plan, None);
                    let (world, compressor) = (&world, &compressor);
                    scope.spawn(move || drive(world, method, compressor, mail))
                };
                let threads: Vec<_> = Threads::links(seats.len()).into_iter().zip(seats).map(spawn).collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            let gossip = method.starts_with("beer");
            for part in &parts {
                for (w, x) in part.seats.clone().zip(&part.xs) {
                    assert_eq!(bits(&whole.xs[w]), bits(x), "{what}: x of worker {w}");
                }
                for (here, there) in whole.traffic.iter().zip(&part.traffic) {
                    let known = if gossip { part.seats.clone() } else { 0..world.workers };
                    for w in known {
                        assert_eq!(here.workers[w], there.workers[w], "{what}: bytes of worker {w}");
                        assert_eq!(here.gathered[w], there.gathered[w], "{what}: gathered by worker {w}");
                    }
                    assert_eq!(here.rounds, there.rounds, "{what}");
                }
            }
            let merged = Snapshot::merge(parts.into_iter().map(|p| p.snapshot)).unwrap();
            assert!(merged == whole.snapshot, "{what}: snapshots");
        }
    }
    assert!(runs > 400, "{runs} runs");
}

/// A network that adds up on the way, from the last to the first, gives the bytes of one process and its x to rounding;
/// what does not add up goes as it always does, to the bit.
#[test]
fn a_network_that_adds_gives_up_bits_and_no_more() {
    let mut added = 0;
    for (seed, method) in methods().iter().enumerate() {
        for (compressor, adds) in [("identity", true), ("randk:0.5", true), ("topk:0.3", false), ("sign:scaled", false)]
        {
            let (world, compressor) = (World::new(seed as u64, 4, false), compressor.to_string());
            if world.start(method, &compressor).is_err() {
                continue;
            }
            let what = format!("{method}/{compressor}");
            let whole = drive(&world, method, &compressor, InProcess::new(world.workers));
            let parts: Vec<Ran> = std::thread::scope(|scope| {
                let spawn = |(link, seats): (Threads, usize)| {
                    let mail = Encoded::with_seats(link, seats).with_fast_reduce(true);
                    let (world, compressor) = (&world, &compressor);
                    scope.spawn(move || drive(world, method, compressor, mail))
                };
                let threads: Vec<_> = Threads::links(3).into_iter().zip([1, 2, 1]).map(spawn).collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            let mut same = true;
            for part in &parts {
                for (w, x) in part.seats.clone().zip(&part.xs) {
                    same &= bits(&whole.xs[w]) == bits(x);
                    let gap = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
                    let gap: f64 = whole.xs[w].as_slice().iter().zip(x.as_slice()).map(gap).sum();
                    let size: f64 = x.as_slice().iter().map(|x| f64::from(*x).powi(2)).sum();
                    assert!(gap <= 1e-8 * size, "{what}: x of worker {w} is off by {} of {}", gap.sqrt(), size.sqrt());
                    if !method.starts_with("beer") {
                        assert_eq!(bits(&parts[0].xs[0]), bits(x), "{what}: all have the same, worker {w}");
                    }
                }
                for (here, there) in whole.traffic.iter().zip(&part.traffic) {
                    let own = part.seats.clone();
                    assert_eq!(here.workers[own.clone()], there.workers[own], "{what}: bytes");
                }
            }
            // Joint factors add up whatever the compressor beside them.
            let joint = method.parse::<AnyAlgorithm>().unwrap().compresses_itself();
            assert!(same || adds || joint, "{what}: what does not add up is of the same bits");
            added += usize::from(!same);
        }
    }
    // Sums of four that end in the same bits are rare.
    assert!(added > 10, "{added} runs with sums of the network");
}

#[test]
fn a_run_goes_on_in_other_processes_than_it_began_in() {
    for method in ["ef-sgd:momentum=0.9", "ef21-sgdm:eta=0.3", "beer"] {
        let world = World::new(5, 4, true);
        let x = Vector::zeros(world.layout.len());
        let make = || (method.parse().unwrap(), "topk:0.3".parse().unwrap(), world.layout.clone());
        let steps = |cluster: &mut Cluster<Encoded<Threads>>, x: &mut Vector, steps: std::ops::Range<u64>| {
            for t in steps {
                let nodes = (0..4).map(|w| cluster.node(w).cloned()).collect();
                let gossip = cluster.algorithm().is_gossip();
                let mut host = Serving { world: &world, x: x.clone(), nodes, t, gossip };
                cluster.round(0.1, x, &mut host).unwrap().apply(x);
            }
        };
        let run = |processes: usize, saved: Option<(&Snapshot, &Vector)>, range: std::ops::Range<u64>| {
            let parts: Vec<(Snapshot, Vector)> = std::thread::scope(|scope| {
                let spawn = |link| {
                    let mail = Encoded::with_seats(link, 4 / processes);
                    let (algorithm, compressor, layout) = make();
                    let (mut x, range) = (saved.map_or(&x, |(_, x)| x).clone(), range.clone());
                    let steps = &steps;
                    scope.spawn(move || {
                        let mut cluster = Cluster::over(algorithm, compressor, layout, 3, x.as_slice(), mail).unwrap();
                        if let Some((snapshot, _)) = saved {
                            cluster.load_from(snapshot).unwrap();
                        }
                        steps(&mut cluster, &mut x, range);
                        let mut snapshot = Snapshot::default();
                        cluster.save_into(&mut snapshot);
                        (snapshot, x)
                    })
                };
                let threads: Vec<_> = Threads::links(processes).into_iter().map(spawn).collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            let x = parts[0].1.clone();
            (Snapshot::merge(parts.into_iter().map(|(s, _)| s)).unwrap(), x)
        };
        let (whole, _) = run(1, None, 0..6);
        let (half, x) = run(4, None, 0..3);
        let (resumed, _) = run(2, Some((&half, &x)), 3..6);
        assert!(whole == resumed, "{method}");
    }
}
