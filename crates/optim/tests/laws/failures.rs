//! A round that fails has changed nothing, or counts as lost; whatever a transport hands over.

use std::sync::Mutex;
use std::time::Duration;

use backburn_compress::{Layout, Payload, Scope, Vector};
use backburn_optim::{
    Ask, At, Cluster, Encoded, Letter, Mail, MailError, Reply, RoundError, Seats, SetupError, Snapshot, Terms, Threads,
    Transport, TransportError,
};

use crate::mails::{Tampered, Trick};
use crate::world::{World, compressors, methods};

fn layout() -> Layout {
    Layout::new(vec![("a".into(), vec![4, 6]), ("b".into(), vec![7])], Scope::Parameter, 0).unwrap()
}

fn gradient(worker: usize) -> Vec<f32> {
    (0..31).map(|j| ((j * 7 + worker * 3) % 11) as f32 - 5.0).collect()
}

fn saved<M>(cluster: &mut Cluster<M>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    cluster.save_into(&mut snapshot);
    snapshot
}

/// What a rank is made of.
#[derive(Clone)]
struct Setup {
    method: &'static str,
    compressor: &'static str,
    layout: Layout,
    seed: u64,
    x: Vec<f32>,
}

fn setup() -> Setup {
    Setup { method: "ef-sgd", compressor: "randk:0.3", layout: layout(), seed: 9, x: vec![0.5; 31] }
}

/// Runs `body` on a cluster a rank, in threads.
fn ranks<R: Send>(
    setups: Vec<Setup>,
    tricks: Vec<(Trick, usize)>,
    body: impl Fn(usize, Result<Cluster<Encoded<Tampered>>, SetupError>) -> R + Sync,
) -> Vec<R> {
    std::thread::scope(|scope| {
        let links = Threads::links(setups.len()).into_iter().zip(setups).zip(tricks).enumerate();
        type Seated = (usize, ((Threads, Setup), (Trick, usize)));
        let spawn = |(rank, ((link, own), (trick, at))): Seated| {
            let body = &body;
            scope.spawn(move || {
                let mail = Encoded::new(Tampered::new(link, trick, at));
                let (method, compressor) = (own.method.parse().unwrap(), own.compressor.parse().unwrap());
                body(rank, Cluster::over(method, compressor, own.layout, own.seed, &own.x, mail))
            })
        };
        let threads: Vec<_> = links.map(spawn).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

#[test]
fn what_processes_have_differently_is_named_on_all_of_them() {
    let odd = |change: fn(&mut Setup)| {
        let mut other = setup();
        change(&mut other);
        vec![setup(), other, setup()]
    };
    let cases: Vec<(&str, Vec<Setup>)> = vec![
        ("seed", odd(|s| s.seed = 10)),
        ("method", odd(|s| s.method = "ef-sgd:momentum=0.9")),
        ("compressor", odd(|s| s.compressor = "randk:0.4")),
        ("initial x", odd(|s| s.x[30] = 0.25)),
        ("model", odd(|s| s.layout = Layout::new(vec![("a".into(), vec![31])], Scope::Parameter, 0).unwrap())),
    ];
    for (different, setups) in cases {
        let errors = ranks(setups, vec![(Trick::None, 0); 3], |_, cluster| cluster.unwrap_err());
        for (here, error) in errors.into_iter().enumerate() {
            match error {
                SetupError::Differs { what, rank, own, theirs } => {
                    assert_eq!((what, rank), (different, if here == 1 { 0 } else { 1 }));
                    assert_ne!(own, theirs);
                }
                other => panic!("{different}, rank {here}: {other}"),
            }
        }
    }
}

#[test]
fn a_rank_that_cannot_take_part_says_so_to_the_others() {
    let mut setups = vec![setup(); 3];
    setups[2].compressor = "sign"; // no contraction
    let errors = ranks(setups, vec![(Trick::None, 0); 3], |_, cluster| cluster.unwrap_err());
    assert!(matches!(errors[2], SetupError::Compressor(_)), "{}", errors[2]);
    for error in &errors[..2] {
        assert!(matches!(error, SetupError::Elsewhere { rank: 2, .. }), "{error}");
    }
}

#[test]
fn whatever_a_transport_hands_over_ends_on_all_ranks_with_rank_and_cause() {
    type Right = fn(&MailError) -> bool;
    let cases: Vec<(Trick, usize, Right)> = vec![
        (Trick::Truncate(0), 0, |e| matches!(e, MailError::Count { given: 0, expected: 2 })),
        (Trick::Truncate(1), 0, |e| matches!(e, MailError::Count { given: 1, expected: 2 })),
        (Trick::Repeat, 0, |e| matches!(e, MailError::Count { given: 3, expected: 2 })),
        (Trick::Stale(1), 1, |e| matches!(e, MailError::Foreign { what: "step", found: 0, expected: 1 })),
        (Trick::Swap(0, 1), 0, |e| matches!(e, MailError::Foreign { what: "rank", .. })),
        (Trick::Flip(1, 3), 1, |e| matches!(e, MailError::Envelope(_))),
        (Trick::Noise(1), 1, |e| matches!(e, MailError::Envelope(_))),
    ];
    for (trick, guilty, right) in cases {
        // Rank 0's transport fails it in the second round: the third exchange, after the greeting and a round.
        let tricks = vec![(trick.clone(), 2), (Trick::None, 0)];
        let outcomes = ranks(vec![setup(); 2], tricks, |rank, cluster| {
            let mut cluster = cluster.unwrap();
            let mut x = Vector::from(setup().x);
            let mut host = |worker: usize, _: &Ask| Ok(Reply::gradient(gradient(worker)));
            cluster.round(0.1, &x, &mut host).unwrap().apply(&mut x);
            let error = cluster.round(0.1, &x, &mut host).unwrap_err();
            assert!(!error.is_rejected());
            // What was lost is owed: the next round makes up for it on both.
            cluster.round(0.1, &x, &mut host).unwrap().apply(&mut x);
            (rank, error, x)
        });
        match outcomes[0].1.reason() {
            RoundError::Mail { rank, source } => assert!(*rank == guilty && right(source), "{trick:?}: {source}"),
            other => panic!("{trick:?}: {other}"),
        }
        match outcomes[1].1.reason() {
            RoundError::Elsewhere { rank: 0, why } => assert!(why.contains(&format!("rank {guilty}")), "{why}"),
            other => panic!("{trick:?}: {other}"),
        }
        assert_eq!(outcomes[0].2, outcomes[1].2, "{trick:?}");
    }
}

#[test]
fn a_transport_that_numbers_this_process_beyond_all_is_refused() {
    // Rank 5 of 2 panicked where its seats were looked up.
    struct Beyond;
    impl Transport for Beyond {
        fn rank(&self) -> usize {
            5
        }
        fn size(&self) -> usize {
            2
        }
        fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
            Ok(vec![message.to_vec(); from.len()])
        }
        fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
            Ok(yes)
        }
    }
    let (method, compressor) = ("ef-sgd".parse().unwrap(), "identity".parse().unwrap());
    let error = Cluster::over(method, compressor, layout(), 1, &[0.0; 31], Encoded::new(Beyond)).unwrap_err();
    assert!(error.to_string().contains("calls this process rank 5 of 2"), "{error}");
}

#[test]
fn a_transport_that_tampers_with_the_greeting_ends_on_all_ranks() {
    for trick in [Trick::Truncate(1), Trick::Repeat, Trick::Swap(0, 1), Trick::Noise(1)] {
        let tricks = vec![(trick.clone(), 0), (Trick::None, 0)];
        let errors = ranks(vec![setup(); 2], tricks, |_, cluster| cluster.unwrap_err());
        assert!(matches!(errors[0], SetupError::Mail { .. }), "{trick:?}: {}", errors[0]);
        assert!(matches!(errors[1], SetupError::Elsewhere { rank: 0, .. }), "{trick:?}: {}", errors[1]);
    }
}

#[test]
fn a_dead_rank_is_an_error_with_its_source_and_no_wait() {
    let tricks = vec![(Trick::None, 0), (Trick::Dead, 2), (Trick::None, 0)];
    let errors = ranks(vec![setup(); 3], tricks, |_, cluster| {
        let mut cluster = cluster.unwrap();
        let x = Vector::from(setup().x);
        let mut host = |worker: usize, _: &Ask| Ok(Reply::gradient(gradient(worker)));
        cluster.round(0.1, &x, &mut host).unwrap();
        let before = cluster.steps();
        let error = cluster.round(0.1, &x, &mut host).unwrap_err();
        assert_eq!(cluster.steps(), before);
        error
    });
    for (rank, error) in errors.iter().enumerate() {
        assert!(!error.is_rejected(), "rank {rank}: {error}");
        match error.reason() {
            RoundError::Transport(error) => assert!(std::error::Error::source(error).is_some()),
            other => panic!("rank {rank}: {other}"),
        }
    }
    assert!(errors[1].to_string().contains("the cable is cut"));
    let cut = TransportError::new(std::io::Error::other("the cable is cut"));
    assert_eq!(errors[1].reason(), &RoundError::Transport(cut));
}

#[test]
fn a_slow_link_changes_nothing() {
    let run = |trick: Trick| {
        ranks(vec![setup(); 2], vec![(Trick::None, 0), (trick, 0)], |_, cluster| {
            let mut cluster = cluster.unwrap();
            let mut x = Vector::from(setup().x);
            let mut host = |worker: usize, _: &Ask| Ok(Reply::gradient(gradient(worker)));
            for _ in 0..3 {
                cluster.round(0.1, &x, &mut host).unwrap().apply(&mut x);
            }
            x
        })
    };
    assert_eq!(run(Trick::None), run(Trick::Slow(Duration::from_millis(20))));
}

#[test]
fn a_bad_gradient_on_one_rank_stops_all_and_nothing_has_changed() {
    let fates: Mutex<Vec<RoundError>> = Mutex::new(Vec::new());
    let same = ranks(vec![setup(); 3], vec![(Trick::None, 0); 3], |rank, cluster| {
        let mut cluster = cluster.unwrap();
        let x = Vector::from(setup().x);
        let mut good = |worker: usize, _: &Ask| Ok(Reply::gradient(gradient(worker)));
        cluster.round(0.1, &x, &mut good).unwrap();
        let before = saved(&mut cluster);
        for bad in [f32::NAN, f32::INFINITY] {
            let mut host = |worker: usize, _: &Ask| {
                let mut g = gradient(worker);
                if worker == 2 {
                    g[25] = bad;
                }
                Ok(Reply::gradient(g))
            };
            let error = cluster.round(0.1, &x, &mut host).unwrap_err();
            assert!(error.is_rejected());
            match (&error, rank) {
                (RoundError::NonFinite { path, coordinate: 1, worker: 2, .. }, 2) => assert_eq!(path, "b"),
                (RoundError::Elsewhere { rank: 2, why }, 0 | 1) => assert!(why.contains("`b`"), "{why}"),
                (other, rank) => panic!("rank {rank}: {other}"),
            }
            fates.lock().unwrap().push(error);
        }
        saved(&mut cluster) == before
    });
    assert_eq!(same, [true; 3]);
    assert_eq!(fates.into_inner().unwrap().len(), 6);
}

/// The law's own instance, and its kin; what is refused, and where.
#[test]
fn law_11_a_finite_gradient_never_gives_what_is_not_in_silence() {
    let refused = |method: &str, compressor: &str, x0: f32, steps: &[(f64, [f32; 2])]| {
        let mut x = Vector::from(vec![x0; 2]);
        let layout = Layout::flat(2).unwrap();
        let (method, compressor) = (method.parse().unwrap(), compressor.parse().unwrap());
        let mut cluster = Cluster::new(method, compressor, layout, 1, 3, x.as_slice()).unwrap();
        for (t, (lr, g)) in steps.iter().enumerate() {
            let before = saved(&mut cluster);
            match cluster.round(*lr, &x, &mut |_, _: &Ask| Ok(Reply::gradient(g.to_vec()))) {
                Ok(decided) => decided.apply(&mut x),
                Err(error) => {
                    assert!(error.is_rejected(), "{error}");
                    assert!(saved(&mut cluster) == before, "state as before");
                    assert!(matches!(error, RoundError::Overflow { .. } | RoundError::StepSize(_)), "{error}");
                    return Some(t);
                }
            }
            assert!(x.as_slice().iter().all(|x| x.is_finite()), "step {t}: {x:?}");
        }
        None
    };
    let scaled = "sign:scaled";
    assert_eq!(refused("ef-sgd", scaled, 0.0, &[(100.0, [3e37, 1.0])]), Some(0));
    assert_eq!(refused("ef-sgd:momentum=0.9", "identity", 0.0, &[(1e-30, [2e38, 0.0]); 2]), Some(1));
    // Where random-k does not look.
    for seed in [[3e38, 0.0], [0.0, 3e38]] {
        assert_eq!(refused("ef-sgd", "randk:1", 0.0, &[(100.0, seed)]), Some(0));
    }
    // x itself.
    assert_eq!(refused("sgd", "identity", 0.0, &[(1.0, [3e38, 0.0]); 2]), Some(1));
    assert_eq!(refused("sgd", "identity", -3e38, &[(1.0, [3e38, 0.0])]), Some(0));
    assert_eq!(refused("sgd", "identity", 3e38, &[(1.0, [3e38, 0.0])]), None);
    // Step sizes that f32 does not hold.
    for lr in [1e39, 1e-46, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(refused("sgd", "identity", 0.0, &[(lr, [1.0, 1.0])]), Some(0), "{lr}");
    }
    for lr in [0.0, 1e-44, 3e38] {
        assert_eq!(refused("sgd", "identity", 0.0, &[(lr, [1.0, 1.0])]), None, "{lr}");
    }
}

#[test]
fn law_11_over_all_methods_and_compressors() {
    let mut refused = 0;
    for (seed, method) in methods().iter().enumerate() {
        for compressor in compressors() {
            let world = World::new(seed as u64, 2, true);
            let Ok(mut run) = world.start(method, &compressor) else { continue };
            run.whole(0.1);
            let what = format!("{method}/{compressor}");
            for (lr, size) in [(100.0, 3e37f32), (0.1, 2e38), (1.0, 3e38), (0.1, 3e38), (1e-30, 1.0)] {
                let before = saved(&mut run.cluster);
                let d = world.layout.len();
                let mut host = |worker: usize, ask: &Ask| match ask {
                    Ask::Gradient { .. } => Ok(Reply::gradient(
                        (0..d).map(|j| if (j + worker).is_multiple_of(3) { size } else { 1.0 }).collect::<Vec<_>>(),
                    )),
                    Ask::Loss { .. } => Ok(Reply::Loss(1.0)),
                };
                let x = run.x.clone();
                match run.cluster.round(lr, &x, &mut host) {
                    Ok(decided) => decided.apply(&mut run.x),
                    Err(error) => {
                        refused += 1;
                        assert!(error.is_rejected(), "{what}: {error}");
                        assert!(saved(&mut run.cluster) == before, "{what}: state as before");
                    }
                }
                assert!(run.x.as_slice().iter().all(|x| x.is_finite()), "{what}: x");
                let finite = |s: &Snapshot| s.vectors.values().flatten().all(|x| x.is_finite());
                assert!(finite(&saved(&mut run.cluster)), "{what}: states");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn law_11_all_ranks_go_back_where_one_overflows() {
    let same = ranks(vec![setup(); 3], vec![(Trick::None, 0); 3], |rank, cluster| {
        let mut cluster = cluster.unwrap();
        let x = Vector::from(setup().x);
        cluster.round(0.1, &x, &mut |worker: usize, _: &Ask| Ok(Reply::gradient(gradient(worker)))).unwrap();
        let before = saved(&mut cluster);
        let mut loud = |worker: usize, _: &Ask| {
            let mut g = gradient(worker);
            if worker == 1 {
                g.fill(3e38);
            }
            Ok(Reply::gradient(g))
        };
        let error = cluster.round(100.0, &x, &mut loud).unwrap_err();
        assert!(error.is_rejected());
        match (&error, rank) {
            (RoundError::Overflow { .. }, 1) | (RoundError::Elsewhere { rank: 1, .. }, 0 | 2) => {}
            (other, rank) => panic!("rank {rank}: {other}"),
        }
        saved(&mut cluster) == before
    });
    assert_eq!(same, [true; 3]);
}

#[test]
fn a_failure_of_the_host_keeps_its_source_and_is_lost_once_workers_have_spoken() {
    let x = Vector::from(vec![0.5; 31]);
    let (method, compressor) = ("perturbed:r=0.1,interval=1".parse().unwrap(), "identity".parse().unwrap());
    let mut cluster = Cluster::new(method, compressor, layout(), 1, 9, x.as_slice()).unwrap();
    let mut host = |worker: usize, ask: &Ask| match ask {
        Ask::Gradient { .. } => Ok(Reply::gradient(gradient(worker))),
        Ask::Loss { .. } => Err(RoundError::host(std::io::Error::other("no data"))),
    };
    cluster.round(0.1, &x, &mut host).unwrap();
    let error = cluster.round(0.1, &x, &mut host).unwrap_err();
    assert!(!error.is_rejected() && matches!(error.reason(), RoundError::Host(_)), "{error}");
    assert!(error.to_string().ends_with("no data"), "{error}");
}

/// A rank that says another seed than it draws by, or sends what no sum of bits shows to be wrong.
struct Liar {
    mail: Encoded<Threads>,
    poison: Option<f32>,
}

impl Mail for Liar {
    fn meet(&mut self, terms: &Terms<'_>) -> Result<Seats, SetupError> {
        self.mail.meet(&Terms { seed: 9, ..terms.clone() })
    }

    fn post(&mut self, at: At, worker: usize, mut letter: Letter) {
        if let Some(poison) = self.poison {
            let mut x = letter.message.payloads[1].decode();
            x[3] = poison;
            letter.message.payloads[1] = Payload::floats(x).into();
        }
        self.mail.post(at, worker, letter);
    }

    fn collect(&mut self, at: At, from: &[usize]) -> Result<Vec<Option<Letter>>, RoundError> {
        self.mail.collect(at, from)
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        self.mail.all(yes)
    }

    fn cause(&mut self, own: Option<&str>) -> Option<(usize, String)> {
        self.mail.cause(own)
    }
}

/// The errors of an honest rank 0 and of a liar at rank 1; both hold finite numbers alone.
fn lie(method: &str, compressor: &str, seed: u64, poison: Option<f32>) -> [RoundError; 2] {
    let step = |seed: u64, link: Threads, poison: Option<f32>| {
        let x = Vector::from(setup().x);
        let (method, compressor) = (method.parse().unwrap(), compressor.parse().unwrap());
        let mail = Liar { mail: Encoded::new(link), poison };
        let mut cluster = Cluster::over(method, compressor, layout(), seed, x.as_slice(), mail).unwrap();
        let round = cluster.round(0.1, &x, &mut |worker: usize, _: &Ask| Ok(Reply::gradient(gradient(worker))));
        assert!(saved(&mut cluster).vectors.values().flatten().all(|x| x.is_finite()));
        round.unwrap_err()
    };
    let [honest, liar] = Threads::pair();
    std::thread::scope(|scope| {
        let other = scope.spawn(move || step(seed, liar, poison));
        [step(9, honest, None), other.join().unwrap()]
    })
}

#[test]
fn foreign_draws_are_refused() {
    for (rank, error) in lie("ef-sgd", "randk:0.3", 10, None).iter().enumerate() {
        let RoundError::Mail { rank: guilty, source: MailError::Draw { path } } = error.reason() else {
            panic!("{error}")
        };
        assert_eq!((*guilty, path.as_str()), (1 - rank, "a"));
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let [here, there] = lie("ef-sgd", "identity", 9, Some(f32::NAN));
    let right = |source: &MailError| matches!(source, MailError::NonFinite { path } if path == "b");
    assert!(matches!(here.reason(), RoundError::Mail { rank: 1, source } if right(source)), "{here}");
    assert!(matches!(there.reason(), RoundError::Elsewhere { rank: 0, .. }), "{there}");
}

#[test]
fn numbers_whose_squares_are_not_finite_are_refused_from_where_all_are_small() {
    // Found by mutating letters: the second moment of another rank's 3e30 was infinite, and stayed so.
    for method in ["onebit-adam", "zero-one-adam", "ef-sgd"] {
        let [here, there] = lie(method, "sign:scaled", 9, Some(3e30));
        assert!(matches!(here.reason(), RoundError::Loud { worker: 1, bound } if *bound > 2e30), "{method}: {here}");
        assert!(matches!(there.reason(), RoundError::Elsewhere { rank: 0, .. }), "{method}: {there}");
        assert!(!here.is_rejected(), "what was said is owed");
    }
}

#[test]
fn a_layer_freezes_on_all_ranks_or_on_none() {
    let frozen = || Layout::new(vec![("b".into(), vec![7])], Scope::Parameter, 0).unwrap();
    let outcomes = ranks(vec![setup(); 2], vec![(Trick::None, 0); 2], |rank, cluster| {
        let mut cluster = cluster.unwrap();
        let x = Vector::from(setup().x);
        cluster.round(0.1, &x, &mut |w: usize, _: &Ask| Ok(Reply::gradient(gradient(w)))).unwrap();
        let layout = if rank == 0 {
            frozen()
        } else {
            Layout::new(vec![("a".into(), vec![4, 6])], Scope::Parameter, 0).unwrap()
        };
        let x = vec![0.5; layout.len()];
        let differs = cluster.relaid(layout, &x).unwrap_err().to_string();
        let kept = cluster.layout().len();
        let before = Vector::from(setup().x);
        cluster.round(0.1, &before, &mut |w: usize, _: &Ask| Ok(Reply::gradient(gradient(w)))).unwrap();
        cluster.relaid(frozen(), &[0.5; 7]).unwrap();
        let mut x = Vector::from(vec![0.5; 7]);
        cluster.round(0.1, &x, &mut |w: usize, _: &Ask| Ok(Reply::gradient(vec![w as f32; 7]))).unwrap().apply(&mut x);
        (differs, kept, x)
    });
    for (rank, (differs, kept, x)) in outcomes.iter().enumerate() {
        assert!(differs.contains("another model"), "{differs}");
        assert_eq!((*kept, x), (31, &outcomes[0].2), "rank {rank}");
    }
}
