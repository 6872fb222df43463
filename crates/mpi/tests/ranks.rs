//! What ranks of a real MPI run do with each other: every case runs under `mpirun` with 1 to 4 processes of this very
//! program, each asserts what it got, and those that are to fail say why in the words that are asked for.

use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use backburn_compress::{Layout, Vector};
use backburn_mpi::{Mpi, is_launched};
use backburn_optim::{Ask, Cluster, Encoded, Given, Gradient, InProcess, Mail, Reply, Transport, TransportError};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A case, on how many processes it runs, and what is said where it fails.
struct Case {
    name: &'static str,
    sizes: &'static [usize],
    run: fn(Mpi) -> Outcome,
    /// A part of every surviving rank's message, `None` where it is to succeed.
    says: Option<&'static str>,
    /// Who does not live to say it.
    silent: Option<usize>,
}

const fn works(name: &'static str, sizes: &'static [usize], run: fn(Mpi) -> Outcome) -> Case {
    Case { name, sizes, run, says: None, silent: None }
}

const fn fails(name: &'static str, sizes: &'static [usize], says: &'static str, run: fn(Mpi) -> Outcome) -> Case {
    Case { name, sizes, run, says: Some(says), silent: None }
}

const CASES: &[Case] = &[
    works("exchange", &[1, 2, 3], exchange),
    works("neighbours", &[3, 4], neighbours),
    works("deal", &[1, 2, 3], deal),
    works("sum", &[1, 2, 3, 4], sum),
    works("late", &[2, 3, 4], late),
    works("vote", &[1, 2, 3], vote),
    works("rounds", &[1, 2, 3], rounds),
    fails("fail", &[2, 3], "rank 1: the disk is full", fail),
    fails("leave", &[2, 3], "rank 1: it has left before the run's end", leave),
    fails("panic", &[2, 3], "rank 1: it panicked", panic_),
    fails("differ", &[2, 3], "the programs differ", differ),
    fails("model", &[3], "another model than", model),
    fails("corrupt", &[2, 3], "its checksum is wrong", corrupt),
    Case { silent: Some(1), ..fails("sleep", &[2, 4], "rank 1: no answer within 1s", sleep) },
    Case {
        silent: Some(2),
        ..fails("sleep-among-neighbours", &[4], "rank 2: no answer within 1s", sleep_among_neighbours)
    },
    Case { silent: Some(1), ..fails("stop", &[2, 3], "rank 1: no answer within 1s", stop) },
];

fn everybody(mpi: &Mpi) -> Vec<usize> {
    (0..mpi.size()).collect()
}

/// What a rank sends: of another length each, from nothing to many chunks.
fn message(rank: usize, turn: usize) -> Vec<u8> {
    let len = [0, 1, 4079, 4080, 5000, 123_457][(rank + turn) % 6];
    (0..len).map(|i| (i * 31 + rank * 7 + turn) as u8).collect()
}

fn exchange(mpi: Mpi) -> Outcome {
    for chunk in [1 << 30, 1000] {
        let mut mpi = mpi.clone().with_chunk(chunk);
        let mut all = everybody(&mpi);
        for turn in 0..8 {
            let heard = mpi.exchange(&message(mpi.rank(), turn), &all)?;
            let expected: Vec<Vec<u8>> = all.iter().map(|rank| message(*rank, turn)).collect();
            assert_eq!(heard, expected, "turn {turn}, chunks of {chunk}");
            all.rotate_left(1);
        }
    }
    assert!(mpi.clone().exchange(b"", &[mpi.size()]).unwrap_err().to_string().contains("there is no rank"));
    Ok(())
}

fn ring(mpi: &Mpi) -> Vec<usize> {
    let (rank, n) = (mpi.rank(), mpi.size());
    vec![(rank + n - 1) % n, rank, (rank + 1) % n]
}

fn neighbours(mut mpi: Mpi) -> Outcome {
    let from = ring(&mpi);
    for turn in 0..6 {
        let heard = mpi.exchange(&message(mpi.rank(), turn), &from)?;
        assert_eq!(heard, from.iter().map(|rank| message(*rank, turn)).collect::<Vec<_>>());
    }
    Ok(())
}

fn deal(mpi: Mpi) -> Outcome {
    for chunk in [1 << 30, 1000] {
        let mut mpi = mpi.clone().with_chunk(chunk);
        let (rank, n) = (mpi.rank(), mpi.size());
        for turn in 0..6 {
            let own: Vec<Vec<u8>> = (0..n).map(|to| message(rank * n + to, turn)).collect();
            let expected: Vec<Vec<u8>> = (0..n).map(|from| message(from * n + rank, turn)).collect();
            assert_eq!(mpi.all_to_all(&own)?, expected, "turn {turn}, chunks of {chunk}");
        }
        assert!(mpi.all_to_all(&[]).unwrap_err().to_string().contains("0 messages for"));
    }
    Ok(())
}

/// Whole numbers add up exactly in any order, in one piece and in many.
fn sum(mpi: Mpi) -> Outcome {
    for chunk in [1 << 30, 4000, 4] {
        let mut mpi = mpi.clone().with_chunk(chunk);
        let (rank, n) = (mpi.rank(), mpi.size());
        for len in [0, 1, 1003] {
            let own: Vec<f32> = (0..len).map(|i| ((rank + 1) * (i % 100)) as f32).collect();
            let expected: Vec<f32> = (0..len).map(|i| (n * (n + 1) / 2 * (i % 100)) as f32).collect();
            assert_eq!(mpi.sum(own)?, Some(expected), "{len} numbers, chunks of {chunk}");
        }
    }
    Ok(())
}

/// Rank 1 is late for two steps of eight, and absent from at least one: all go on without it, it catches up, and the bits
/// are those of a run in one process whose worker 1 was absent from the same steps.
fn late(mpi: Mpi) -> Outcome {
    let (rank, n) = (mpi.rank(), mpi.size());
    let mpi = mpi.with_drop_slow(Duration::from_millis(150));
    let layout = || Layout::new(vec![("a".into(), vec![300, 12]), ("b".into(), vec![9])], Default::default(), 0);
    let gradient = |x: &Vector, worker: usize, step: usize| -> Vec<f32> {
        x.as_slice().iter().enumerate().map(|(j, x)| x - ((worker * 7 + step * 3 + j) % 5) as f32).collect()
    };
    let mut x = Vector::from(vec![0.5; layout()?.len()]);
    let (method, compressor) = ("ef-sgd:momentum=0.9".parse()?, "topk:0.2".parse()?);
    let mut cluster = Cluster::over(method, compressor, layout()?, 7, x.as_slice(), Encoded::new(mpi.clone()))?;
    let mut missed = Vec::new();
    for step in 0..8 {
        let at = x.clone();
        let mut host = |worker: usize, _: &Ask| {
            if worker == 1 && [2, 4].contains(&step) {
                std::thread::sleep(Duration::from_millis(900));
            }
            Ok(Reply::gradient(gradient(&at, worker, step)))
        };
        let decided = cluster.round(0.1, &x, &mut host)?;
        decided.apply(&mut x);
        missed.push((0..n).filter(|w| decided.traffic.workers[*w].up == 0).collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(if rank == 1 { 0 } else { 200 }));
    }
    let mut mpi = mpi;
    mpi.rejoin();
    let bits = |x: &Vector| x.as_slice().iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let all = everybody(&mpi);
    assert!(mpi.exchange(&bits(&x), &all)?.iter().all(|theirs| *theirs == bits(&x)), "x is the same in all");
    // On a machine with much to do others may be late too.
    assert!(missed.iter().any(|absent| absent.contains(&1)), "all have waited for rank 1: {missed:?}");
    // The same in one process.
    let mut whole = Vector::from(vec![0.5; x.len()]);
    let (method, compressor) = ("ef-sgd:momentum=0.9".parse()?, "topk:0.2".parse()?);
    let mut cluster = Cluster::new(method, compressor, layout()?, n, 7, whole.as_slice())?;
    for (step, absent) in missed.into_iter().enumerate() {
        let grads = (0..n).map(|w| (!absent.contains(&w)).then(|| Gradient::from(gradient(&whole, w, step)))).collect();
        cluster.round(0.1, &whole, &mut Given::from(0, grads))?.apply(&mut whole);
    }
    assert_eq!(bits(&whole), bits(&x), "as in one process");
    Ok(())
}

fn vote(mut mpi: Mpi) -> Outcome {
    assert!(mpi.all(true)?);
    for no in 0..mpi.size() {
        assert!(!mpi.all(mpi.rank() != no)?);
    }
    assert!(mpi.all(true)?);
    Ok(())
}

/// The bits of x of each of this process's workers, and the bytes that all have sent.
type Reached = (Vec<Vec<u32>>, f64);

/// Steps of workers on ½‖x − c_i‖², with an own x each under gossip.
fn steps<M: Mail>(method: &str, compressor: &str, mail: M) -> Result<Reached, Box<dyn std::error::Error>> {
    let layout = Layout::new(vec![("a".into(), vec![16, 12]), ("b".into(), vec![9])], Default::default(), 0)?;
    let mut x = Vector::from(vec![0.5; layout.len()]);
    let mut cluster = Cluster::over(method.parse()?, compressor.parse()?, layout, 7, x.as_slice(), mail)?;
    let mut up = 0.0;
    for step in 0..5 {
        let nodes: Vec<Option<Vector>> = (0..cluster.workers()).map(|w| cluster.node(w).cloned()).collect();
        let at = x.clone();
        let mut host = |worker: usize, ask: &Ask| match ask {
            Ask::Gradient { at: other, .. } => {
                let x = other.as_ref().or(nodes[worker].as_ref()).unwrap_or(&at);
                let centre = |i: usize| ((i * 7 + worker * 13 + step) % 11) as f32;
                Ok(Reply::gradient(x.as_slice().iter().enumerate().map(|(i, x)| x - centre(i)).collect::<Vec<f32>>()))
            }
            Ask::Loss { .. } => Ok(Reply::Loss(worker as f64 + step as f64)),
        };
        let decided = cluster.round(0.05, &x, &mut host)?;
        up += (0..cluster.workers()).map(|w| decided.traffic.workers[w].up as f64).sum::<f64>();
        decided.apply(&mut x);
    }
    let bits = |x: &Vector| x.as_slice().iter().map(|x| x.to_bits()).collect();
    let of = |w: usize| cluster.node(w).map_or_else(|| bits(&x), bits);
    Ok((cluster.seats().map(of).collect(), up))
}

/// Every method gives every rank the bits that the same worker has in one process, and counts the same bytes.
fn rounds(mpi: Mpi) -> Outcome {
    let n = mpi.size();
    let mut compared = 0;
    for row in backburn_optim::AnyAlgorithm::table() {
        for method in row.examples {
            for compressor in ["topk:0.1", "randk:0.1", "sign:scaled", "qsgd:4", "lowrank:2"] {
                let Ok((simulated, up)) = steps(method, compressor, InProcess::new(n)) else { continue };
                let (own, counted) = steps(method, compressor, Encoded::new(mpi.clone()))?;
                assert!(own == simulated[mpi.rank()..][..1], "{method} with {compressor}");
                let gossip = method.parse::<backburn_optim::AnyAlgorithm>()?.is_gossip();
                assert!(gossip || up == counted, "{method} with {compressor}: {up} and {counted} bytes");
                compared += 1;
            }
        }
    }
    assert!(compared > 40, "{compared} combinations");
    Ok(())
}

/// In one piece, or ranks' words would be mixed.
fn say(line: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).expect("somebody reads");
}

/// What a rank that is well does until it hears of the end.
fn go_on(mut mpi: Mpi) -> Outcome {
    let all = everybody(&mpi);
    loop {
        mpi.exchange(b"still here", &all)?;
        mpi.all(true)?;
    }
}

fn fail(mut mpi: Mpi) -> Outcome {
    mpi.all(true)?;
    if mpi.rank() == 1 {
        mpi.fail("the disk is full");
    }
    go_on(mpi)
}

fn leave(mut mpi: Mpi) -> Outcome {
    mpi.all(true)?;
    if mpi.rank() == 1 {
        mpi.leave();
        return Err("rank 1: it has left before the run's end".into());
    }
    go_on(mpi)
}

fn panic_(mut mpi: Mpi) -> Outcome {
    mpi.all(true)?;
    if mpi.rank() == 1 {
        say("rank 1 says: rank 1: it panicked\n");
        let _here = mpi;
        panic!("on purpose");
    }
    go_on(mpi)
}

fn differ(mut mpi: Mpi) -> Outcome {
    if mpi.rank() == 1 {
        mpi.all(true)?;
    } else {
        mpi.exchange(b"", &everybody(&mpi))?;
    }
    go_on(mpi)
}

fn model(mpi: Mpi) -> Outcome {
    let len = if mpi.rank() == 1 { 5 } else { 4 };
    let x = vec![0.0; len];
    let layout = Layout::flat(len)?;
    Cluster::over("ef-sgd".parse()?, "topk:1".parse()?, layout, 7, &x, Encoded::new(mpi.clone()))?;
    go_on(mpi)
}

/// Flips a bit of what one rank sends at its fifth message.
struct Flips(Mpi, usize);

impl Transport for Flips {
    fn rank(&self) -> usize {
        self.0.rank()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
        let mut message = message.to_vec();
        self.1 += 1;
        if self.1 == 5 && self.0.rank() == 1 {
            let last = message.len() - 1;
            message[last] ^= 8;
        }
        self.0.exchange(&message, from)
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        self.0.all(yes)
    }
}

fn corrupt(mpi: Mpi) -> Outcome {
    steps("ef-sgd", "topk:0.1", Encoded::new(Flips(mpi.clone(), 0)))?;
    go_on(mpi)
}

fn sleep(mpi: Mpi) -> Outcome {
    let mut mpi = mpi.with_timeout(Duration::from_secs(1));
    mpi.all(true)?;
    if mpi.rank() == 1 {
        std::thread::sleep(Duration::from_secs(3));
    }
    go_on(mpi)
}

/// Ranks that do not listen to the one that hangs wait for its neighbours, and do not blame them.
fn sleep_among_neighbours(mpi: Mpi) -> Outcome {
    let mut mpi = mpi.with_timeout(Duration::from_secs(1));
    mpi.all(true)?;
    if mpi.rank() == 2 {
        std::thread::sleep(Duration::from_secs(3));
    }
    let from = ring(&mpi);
    loop {
        mpi.exchange(b"still here", &from)?;
    }
}

fn stop(mpi: Mpi) -> Outcome {
    let mut mpi = mpi.with_timeout(Duration::from_secs(1));
    mpi.all(true)?;
    if mpi.rank() == 1 {
        Command::new("kill").args(["-STOP", &std::process::id().to_string()]).status()?;
    }
    go_on(mpi)
}

/// This program, as so many ranks.
fn mpirun(size: usize, case: &str) -> Option<Output> {
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "-n", &size.to_string()]);
    command.arg(std::env::current_exe().expect("the program has a path")).arg(case);
    command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
    command.stdin(Stdio::null()).output().ok()
}

fn check(case: &Case, size: usize, output: &Output) -> Result<(), String> {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() != case.says.is_none() {
        return Err(format!("ended with {}:\n{said}", output.status));
    }
    let Some(says) = case.says else { return Ok(()) };
    for rank in (0..size).filter(|rank| Some(*rank) != case.silent) {
        let own = format!("rank {rank} says: ");
        let line = said.lines().find_map(|line| line.strip_prefix(&own));
        if !line.is_some_and(|line| line.contains(says)) {
            return Err(format!("rank {rank} said {line:?} instead of `{says}`:\n{said}"));
        }
    }
    Ok(())
}

fn rank(case: &str) -> ExitCode {
    let case = CASES.iter().find(|c| c.name == case).expect("a case of the table");
    let mpi = Mpi::world().expect("a rank");
    match (case.run)(mpi.clone()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Before it leaves: mpirun ends all once one has ended so.
            say(&format!("rank {} says: {error}\n", mpi.rank()));
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    if is_launched() {
        return rank(&std::env::args().nth(1).expect("a case"));
    }
    let message = Mpi::world().expect_err("nobody launched this process").to_string();
    assert!(message.contains("mpirun -n 4"), "{message}");
    if Command::new("mpirun").arg("--version").output().is_err() {
        println!("skipped: there is no mpirun here");
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let mut bad = 0;
    for case in CASES.iter().filter(|c| wanted.is_empty() || wanted.iter().any(|w| c.name.contains(w))) {
        for size in case.sizes {
            let started = Instant::now();
            let outcome =
                mpirun(*size, case.name).ok_or("mpirun did not start".into()).and_then(|o| check(case, *size, &o));
            let seconds = started.elapsed().as_secs_f64();
            match outcome {
                Ok(()) => println!("{} on {size} ranks ... ok ({seconds:.1} s)", case.name),
                Err(why) => {
                    bad += 1;
                    println!("{} on {size} ranks ... FAILED ({seconds:.1} s): {why}", case.name);
                }
            }
        }
    }
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
