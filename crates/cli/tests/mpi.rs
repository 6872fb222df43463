//! `mpirun -n N backburn train`: the bits of one process, one clear message where a rank fails, and a run that is killed,
//! stopped and delayed at random moments and comes to the same end all the same. `BACKBURN_CHAOS=100` does so a hundred
//! times, `BACKBURN_SEED` repeats a failure.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use backburn::checkpoint::Snapshot;

const BACKBURN: &str = env!("CARGO_BIN_EXE_backburn");

/// One run at a time: there are more ranks than cores.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Whether there is an `mpirun`; says so where there is none.
fn can_run() -> bool {
    let there = Command::new("mpirun").arg("--version").output().is_ok();
    if !there {
        println!("skipped: there is no mpirun here");
    }
    there
}

fn mpirun(ranks: usize, args: &[&str], out: &Path) -> Command {
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "-n", &ranks.to_string(), BACKBURN, "train"]).args(args).arg("--out").arg(out);
    surroundings(&mut command);
    command
}

fn surroundings(command: &mut Command) {
    command.envs([
        ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
        ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
        ("RAYON_NUM_THREADS", "1"),
    ]);
    // A graphics driver without it has an `error:` of its own to say.
    command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    command.stdin(Stdio::null());
}

fn simulate(workers: usize, args: &[&str], out: &Path) {
    let mut command = Command::new(BACKBURN);
    command.arg("train").args(args).args(["--workers", &workers.to_string()]).arg("--out").arg(out);
    let output = command.output().expect("the command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A run's metrics, and its checkpoint without the clock.
fn end(out: &Path) -> (String, Snapshot) {
    let merged = out.with_extension("merged");
    let merge =
        Command::new(BACKBURN).args(["checkpoint", "merge"]).arg(out).arg("--out").arg(&merged).output().unwrap();
    assert!(merge.status.success(), "{}", String::from_utf8_lossy(&merge.stderr));
    let mut snapshot = Snapshot::load(&merged).unwrap();
    std::fs::remove_file(&merged).unwrap();
    snapshot.numbers.remove("run.seconds");
    (std::fs::read_to_string(out.join("metrics.jsonl")).unwrap(), snapshot)
}

fn same(name: &str, out: &Path, reference: &Path) {
    let ((metrics, snapshot), (expected, whole)) = (end(out), end(reference));
    assert_eq!(metrics, expected, "{name}: metrics");
    assert!(snapshot == whole, "{name}: weights and states");
}

#[test]
fn ranks_come_to_the_bits_of_one_process() {
    if !can_run() {
        return;
    }
    let _one = alone();
    let place = tempfile::tempdir().unwrap();
    for (i, (ranks, model, method, compressor)) in [
        (2, "convnet", "ef-sgd:momentum=0.9", "topk:0.01"),
        (3, "resnet8", "ef-sgd:momentum=0.9", "sign:scaled"),
        (4, "softmax", "beer", "topk:0.1"),
        (4, "resnet8", "powersgd", "lowrank:2"),
        (3, "softmax", "ef21-sgdm:eta=0.1", "topk:0.1"),
        (3, "convnet", "ef-sgd", "randk:0.01"),
        (3, "softmax", "sparse-loco", "topk:64/4096,values=2bit,tiles"),
        (2, "convnet", "diloco", "topk:0.05"),
    ]
    .into_iter()
    .enumerate()
    {
        let args = [
            &["--model", model, "--algorithm", method, "--compressor", compressor, "--lr", "0.02", "--augment"][..],
            &["--batch", "4", "--subset", "240", "--steps", "5", "--checkpoint-every", "2steps"][..],
        ]
        .concat();
        let local: &[&str] = match method {
            "sparse-loco" => &["--local-steps", "2"],
            "diloco" => &["--local-steps", "4", "--fragments", "2"],
            _ => &[],
        };
        let args = [&args[..], local].concat();
        let at = |name: &str| place.path().join(format!("{i}-{name}"));
        simulate(ranks, &args, &at("one"));
        let output = mpirun(ranks, &args, &at("ranks")).output().unwrap();
        assert!(output.status.success(), "{method}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 3, "{method}: one table");
        same(method, &at("ranks"), &at("one"));
    }
    for (ranks, plan) in [(2, "sharded"), (3, "sharded"), (4, "hierarchical:2"), (2, "gather")] {
        let args = ["--model", "convnet", "--batch", "4", "--subset", "240", "--steps", "5", "--plan", plan];
        let at = |name: &str| place.path().join(format!("{plan}-{ranks}-{name}"));
        simulate(ranks, &args, &at("one"));
        let output = mpirun(ranks, &args, &at("ranks")).output().unwrap();
        assert!(output.status.success(), "{plan}: {}", String::from_utf8_lossy(&output.stderr));
        same(plan, &at("ranks"), &at("one"));
    }
}

/// The lines that say what is wrong; `mpirun` has words of its own.
fn errors(output: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it was to fail: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said.lines().filter_map(|line| line.strip_prefix("error: ").map(String::from)).collect()
}

/// The machine that all ranks here run on is found, and the run is that of one which was told.
#[test]
fn a_plan_by_machines_finds_them() {
    if !can_run() {
        return;
    }
    let _one = alone();
    let place = tempfile::tempdir().unwrap();
    let few = ["--model", "softmax", "--subset", "100", "--steps", "4", "--plan"];
    let at = |name: &str| place.path().join(name);
    simulate(2, &[&few[..], &["hierarchical:2"]].concat(), &at("told"));
    assert!(mpirun(2, &[&few[..], &["hierarchical"]].concat(), &at("found")).output().unwrap().status.success());
    same("hierarchical", &at("found"), &at("told"));
}

/// What MPI adds up in its own order comes out as in a simulation but for rounding, and what does not add up to the bit.
#[test]
fn a_fast_reduction_gives_up_bits_and_no_more() {
    if !can_run() {
        return;
    }
    let _one = alone();
    let place = tempfile::tempdir().unwrap();
    for (ranks, method, compressor) in
        [(2, "sgd", "identity"), (3, "ef-sgd", "randk:0.1"), (4, "powersgd", "lowrank:2"), (3, "ef-sgd", "topk:0.1")]
    {
        let few = ["--model", "convnet", "--subset", "240", "--batch", "4", "--steps", "6", "--lr", "0.02"];
        let args = [&few[..], &["--algorithm", method, "--compressor", compressor]].concat();
        let at = |name: &str| place.path().join(format!("{method}-{compressor}-{name}"));
        simulate(ranks, &args, &at("one"));
        let fast = [&args[..], &["--fast-reduce"]].concat();
        let output = mpirun(ranks, &fast, &at("ranks")).output().unwrap();
        assert!(output.status.success(), "{method}: {}", String::from_utf8_lossy(&output.stderr));
        if compressor == "topk:0.1" {
            same(method, &at("ranks"), &at("one"));
            continue;
        }
        let losses = |out: &Path| -> Vec<f64> {
            let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
            let line = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64().unwrap();
            text.lines().map(line).collect()
        };
        for (step, (fast, exact)) in losses(&at("ranks")).iter().zip(losses(&at("one"))).enumerate() {
            assert!((fast - exact).abs() <= 1e-4 * exact.abs(), "{method}, step {step}: {fast} against {exact}");
        }
    }
}

#[test]
fn what_is_wrong_is_said_once_and_names_the_rank() {
    if !can_run() {
        return;
    }
    let _one = alone();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let few = ["--model", "softmax", "--steps", "2", "--subset", "100", "--batch", "2"];
    for (own, says) in [
        (vec!["--seed", "9"], "rank 1 has another seed than rank 0: 9, and there 1"),
        (vec!["--algorithm", "sgd"], "rank 1 has another algorithm than rank 0: \"sgd\""),
        (vec!["--model", "convnet"], "rank 1 has another model than rank 0"),
        (vec!["--data-dir", "/nowhere"], "rank 1: there is no directory /nowhere"),
        (vec!["--plan", "sharded"], "rank 1 has another plan than rank 0: \"sharded\""),
    ] {
        let mut command = Command::new("mpirun");
        surroundings(&mut command);
        command.args(["--oversubscribe", "-n", "1", BACKBURN, "train"]).args(few).arg(":");
        let mut theirs = few.to_vec();
        own.chunks(2).filter(|o| o[0] == "--model").for_each(|_| drop(theirs.drain(..2)));
        command.args(["-n", "2", BACKBURN, "train"]).args(theirs).args(&own);
        let said = errors(&command.output().unwrap());
        assert!(said.len() == 1 && said[0].contains(says) && said[0].contains("rank 1"), "{own:?}: {said:?}");
    }
    let too_many = mpirun(3, &[&few[..], &["--workers", "4"]].concat(), &out).output().unwrap();
    assert_eq!(
        errors(&too_many),
        ["rank 0: 4 workers cannot be divided evenly among 3 ranks: ask for 3 workers or a multiple"]
    );
    let starved = mpirun(3, &["--model", "softmax", "--subset", "2"], &out).output().unwrap();
    assert_eq!(errors(&starved).len(), 1, "more ranks than samples");
    assert!(mpirun(2, &few, &out).output().unwrap().status.success());
    let occupied = errors(&mpirun(2, &few, &out).output().unwrap());
    assert!(occupied.len() == 1 && occupied[0].contains("--resume goes on"), "{occupied:?}");
}

/// The process of this rank of the run in this folder.
fn process(out: &Path, rank: usize) -> Option<u32> {
    let is_it = |pid: &u32| {
        let read = |what: &str| std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
        let has = |text: &[u8], word: &str| text.split(|byte| *byte == 0).any(|part| part == word.as_bytes());
        let arguments = read("cmdline");
        arguments.starts_with(BACKBURN.as_bytes())
            && has(&arguments, &out.display().to_string())
            && has(&read("environ"), &format!("OMPI_COMM_WORLD_RANK={rank}"))
    };
    let pids = std::fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter().find(is_it)
}

fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

/// The run's end, or nothing where it does not end in time.
fn wait(child: &mut Child, most: Duration) -> Option<bool> {
    let started = Instant::now();
    while started.elapsed() < most {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status.success());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

#[test]
fn a_run_that_is_killed_stopped_and_delayed_comes_to_the_same_end() {
    if !can_run() || !Path::new("/proc/self/environ").exists() {
        return;
    }
    let _one = alone();
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let (rounds, seed) = (number("BACKBURN_CHAOS").unwrap_or(4), number("BACKBURN_SEED").unwrap_or_else(now));
    println!("{rounds} rounds, BACKBURN_SEED={seed}");
    let mut draws = Draws(seed);
    let place = tempfile::tempdir().unwrap();
    let (ranks, steps) = (3, "900");
    let args = [
        &["--model", "softmax", "--batch", "2", "--subset", "120", "--lr", "0.01", "--steps", steps][..],
        &["--checkpoint-every", "7steps", "--timeout", "4"][..],
    ]
    .concat();
    let reference = place.path().join("reference");
    simulate(ranks, &args, &reference);
    let mut seen = [0; 3];
    let (mut round, mut run) = (0, 0);
    while round < rounds {
        let out = place.path().join(format!("run-{run}"));
        run += 1;
        loop {
            // As a loop around `mpirun` would.
            let go_on: &[&str] = if out.join("config.toml").exists() { &["--resume"] } else { &["--overwrite"] };
            let mut command = mpirun(ranks, &[&args[..], go_on].concat(), &out);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let (rank, harm) = (draws.below(ranks as u64) as usize, draws.below(3) as usize);
            let hurt = round < rounds && {
                std::thread::sleep(Duration::from_millis(300 + draws.below(1500)));
                process(&out, rank).is_some_and(|pid| {
                    match harm {
                        0 => signal(pid, "KILL"),
                        1 => signal(pid, "STOP"),
                        _ => {
                            signal(pid, "STOP");
                            std::thread::sleep(Duration::from_millis(draws.below(1000)));
                            signal(pid, "CONT");
                        }
                    }
                    true
                })
            };
            let well = wait(&mut child, Duration::from_secs(60));
            let mut said = String::new();
            if well.is_none() {
                let _ = child.kill();
            }
            let _ = std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut said);
            let what = ["killed", "stopped", "delayed"][harm];
            let well = well.unwrap_or_else(|| panic!("rank {rank} was {what}, and the run hangs: {said}"));
            if hurt {
                (round, seen[harm]) = (round + 1, seen[harm] + 1);
            }
            if well {
                break;
            }
            assert!(hurt, "nobody hurt it, and it failed: {said}");
            let named = match harm {
                0 => said.contains("signal 9"),
                1 => {
                    // While MPI itself starts or ends nobody can be asked who hangs.
                    said.contains(&format!("rank {rank}: no answer within 4s"))
                        || said.contains(&format!("rank {rank} has not come to its end"))
                        || said.contains("some rank hangs")
                }
                _ => false,
            };
            assert!(named, "rank {rank} was {what}, and that is not what is said: {said}");
        }
        same("chaos", &out, &reference);
    }
    println!("{} runs; killed {}, stopped {}, delayed {}", run, seen[0], seen[1], seen[2]);
}

/// A few numbers at random.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}
