//! Runs that are stopped, killed, met by a second process, or short of room.

#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use backburn::checkpoint::Snapshot;
use common::{backburn, command, refusal, text};

/// The smallest run there is: 0.2 ms a step, at a step size that no length changes.
const TINY: [&str; 13] = [
    "train",
    "--model",
    "softmax",
    "--workers",
    "2",
    "--batch",
    "2",
    "--subset",
    "100",
    "--lr-drops=",
    "--device",
    "flex",
    "--out",
];

fn tiny<'a>(out: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    [&TINY[..], &[out.to_str().unwrap()], more].concat()
}

/// A run without an end, whose output goes to a file.
struct Endless {
    child: Child,
    said: PathBuf,
}

impl Endless {
    fn start(out: &Path, more: &[&str]) -> Self {
        let said = out.with_extension("said");
        let mut command = command(&tiny(out, &[&["--steps", "1000000000"], more].concat()));
        let child = command.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap()).spawn().unwrap();
        Self { child, said }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }

    fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < Duration::from_secs(120), "{what} never came: {}", self.said());
            assert!(self.child.try_wait().unwrap().is_none(), "it ended before {what}: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, name: &str) {
        assert!(
            Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap().success()
        );
    }

    fn end(mut self) -> (ExitStatus, String, Duration) {
        let begun = Instant::now();
        let status = self.child.wait().unwrap();
        (status, self.said(), begun.elapsed())
    }
}

/// The steps of which there are metrics.
fn steps(run: &Path) -> Vec<u64> {
    let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let step = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["step"].as_u64();
    lines.lines().map_while(step).collect()
}

/// The state at a checkpoint, without what the clock decides.
fn state(run: &Path) -> Snapshot {
    let mut snapshot = Snapshot::load(&run.join("checkpoint.safetensors")).unwrap();
    snapshot.numbers.remove("run.seconds");
    snapshot
}

/// Names of all that is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const WHOLE: [&str; 4] = ["checkpoint.safetensors", "config.toml", "metrics.jsonl", "summary.json"];

/// Whether this test was started with SIGINT or SIGHUP ignored, as its children are then.
fn ignores(number: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("0").trim();
    u64::from_str_radix(mask, 16).unwrap() >> (number - 1) & 1 == 1
}

#[test]
fn a_signal_keeps_the_step_reached_and_the_run_goes_on_bit_for_bit() {
    let place = tempfile::tempdir().unwrap();
    for (name, number, code) in [("INT", 2, 130), ("TERM", 15, 143), ("HUP", 1, 129)] {
        if ignores(number) {
            println!("SKIPPED: this test runs with SIG{name} ignored");
            continue;
        }
        let run = place.path().join(format!("run {name}"));
        let mut endless = Endless::start(&run, &["--checkpoint-every", "never"]);
        endless.until("a step", |_| steps(&run).len() > 2);
        endless.signal(name);
        let (status, said, _) = endless.end();
        assert_eq!(status.code(), Some(code), "{said}");
        let reached = steps(&run).len() as u64;
        assert!(said.contains(&format!("SIG{name}: stopped at step {reached} of 1000000000")), "{said}");
        assert!(said.contains(&format!("`backburn train --resume --out '{}'` goes on", run.display())), "{said}");
        assert_eq!(state(&run).numbers["run.step"], reached);
        assert_eq!(names(&run), WHOLE[..3]);
        let all = (reached + 5).to_string();
        let resumed = backburn(&["train", "--resume", "--steps", &all, "--out", run.to_str().unwrap()]);
        assert!(resumed.status.success(), "{}", text(&resumed.stderr));
        let whole = place.path().join(format!("whole {name}"));
        assert!(backburn(&tiny(&whole, &["--steps", &all, "--checkpoint-every", "never"])).status.success());
        assert_eq!(state(&run), state(&whole));
        assert_eq!((steps(&run), names(&run)), ((0..reached + 5).collect(), WHOLE.map(String::from).to_vec()));
    }
}

#[test]
fn a_second_signal_ends_at_once_and_what_was_kept_stays() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    // A step of seconds.
    let slow = ["--model", "resnet20", "--batch", "800", "--workers", "1"];
    let mut args: Vec<&str> = tiny(&run, &["--steps", "1000"]);
    args.retain(|arg| !["--model", "softmax", "--batch", "--workers", "2", "--subset", "100"].contains(arg));
    let said = place.path().join("said");
    let child = command(&[&args[..], &slow].concat())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let mut slow = Endless { child, said };
    slow.until("the first step", |run| run.said().contains("1000 steps"));
    std::thread::sleep(Duration::from_millis(50));
    slow.signal("TERM");
    slow.until("an answer", |run| run.said().contains("once more ends at once"));
    slow.signal("TERM");
    let (status, said, took) = slow.end();
    assert_eq!(status.code(), Some(143), "{said}");
    assert!(took < Duration::from_millis(500) && !said.contains("stopped at"), "{took:?}: {said}");
    assert_eq!(state(&run).numbers["run.step"], 0);
}

#[test]
fn without_out_a_signal_says_that_nothing_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let said = place.path().join("said");
    let args = &TINY[..TINY.len() - 1];
    let child = command(&[args, &["--steps", "1000000000"]].concat())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let mut endless = Endless { child, said };
    endless.until("the first step", |run| run.said().contains("1000000000 steps"));
    std::thread::sleep(Duration::from_millis(50));
    endless.signal("TERM");
    let (status, said, _) = endless.end();
    assert_eq!(status.code(), Some(143));
    assert!(said.contains("without --out nothing is kept") && !said.contains("--resume"), "{said}");
}

#[test]
fn killed_anywhere_a_run_goes_on_bit_for_bit_and_leaves_nothing_half_written() {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
    println!("seed {seed}");
    let mut random = u64::from(seed) | 1;
    let place = tempfile::tempdir().unwrap();
    let (run, whole) = (place.path().join("run"), place.path().join("whole"));
    let args = ["--steps", "900", "--checkpoint-every", "3steps"];
    assert!(backburn(&tiny(&whole, &args)).status.success());
    let mut kills = 0;
    loop {
        let begun = run.join("config.toml").exists();
        let args = match begun {
            true => vec!["train", "--resume", "--out", run.to_str().unwrap()],
            false => tiny(&run, &[&args[..], &["--overwrite"]].concat()),
        };
        let mut child = command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let patience =
            if kills < 6 { Duration::from_millis(20 + (random >> 33) % 250) } else { Duration::from_secs(100) };
        let since = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                None if since.elapsed() > patience => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(1)),
                status => break status,
            }
        };
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        if let Some(status) = status {
            assert!(status.success(), "{said}");
            break;
        }
        kills += 1;
        if run.join("config.toml").exists() {
            let step = state(&run).numbers["run.step"];
            assert!(steps(&run).len() as u64 >= step, "metrics lead up to the checkpoint");
            assert!(!run.join("summary.json").exists() || step == 900, "a summary is of a run at its end");
        }
    }
    println!("{kills} kills");
    assert_eq!(state(&run), state(&whole));
    assert_eq!(steps(&run), (0..900).collect::<Vec<_>>());
    assert_eq!(names(&run), WHOLE);
}

#[test]
fn a_second_process_is_refused_the_folder_whatever_it_wants() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let mut first = Endless::start(&run, &[]);
    first.until("a step", |_| !steps(&run).is_empty());
    let out = run.to_str().unwrap();
    let writer = format!("is being written by process {}", first.child.id());
    for (more, needle) in [
        (vec!["--steps", "1", "--overwrite"], writer.as_str()),
        (vec!["--resume"], &writer),
        (vec!["--steps", "1"], "--overwrite begins anew"),
    ] {
        let said = refusal(&[&["train", "--out", out], &more[..]].concat());
        assert!(said.contains(needle), "{more:?}: {said}");
    }
    // The lock of a process that was killed holds nobody off.
    first.signal("KILL");
    first.end();
    assert!(run.join(".lock").exists());
    std::fs::write(run.join(".checkpoint.safetensors.1.tmp"), "half").unwrap();
    std::fs::write(run.join(".notes.1.tmp"), "mine").unwrap();
    let args = ["train", "--overwrite", "--steps", "1", "--subset", "100", "--model", "softmax", "--out", out];
    assert!(backburn(&args).status.success());
    let mut left = names(&run);
    assert_eq!(left.remove(0), ".notes.1.tmp", "what is not ours stays");
    assert_eq!(left, WHOLE);
}

#[test]
fn of_many_that_begin_at_once_one_has_the_folder() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let start = |seed: &str| {
        let args = tiny(&run, &["--steps", "400", "--seed", seed]);
        command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = ["1", "2", "3", "4"].map(start).into();
    let ended: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let winners: Vec<usize> = (0..4).filter(|i| ended[*i].status.success()).collect();
    assert_eq!(winners.len(), 1, "{:?}", ended.iter().map(|e| text(&e.stderr)).collect::<Vec<_>>());
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains(&format!("seed = {}", winners[0] + 1)));
    assert_eq!((steps(&run).len(), names(&run)), (400, WHOLE.map(String::from).to_vec()));
}

/// Runs a script where it may mount, in a world of mounts of its own that ends with it; `None` where it may not.
fn with_mounts(script: &str, place: &Path) -> Option<String> {
    let enter = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(args).arg("--mount").args(["sh", "-euc"]).current_dir(place);
        command.env("BACKBURN", env!("CARGO_BIN_EXE_backburn")).env("XDG_RUNTIME_DIR", std::env::temp_dir());
        command
    };
    let may = |args: &&&[&str]| {
        let tried = enter(args).arg("mkdir -p room && mount -t tmpfs tmpfs room").output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let own: [&[&str]; 2] = [&[], &["--user", "--map-root-user"]];
    let Some(args) = own.iter().find(may) else {
        println!("SKIPPED: nothing can be mounted here");
        return None;
    };
    let output = enter(args).arg(script).output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    Some(text(&output.stdout) + &text(&output.stderr))
}

/// What a script has said, by the names before its lines.
fn by_name(said: &str) -> BTreeMap<&str, &str> {
    said.lines().filter_map(|line| line.split_once(": ")).collect()
}

#[test]
fn a_full_disk_costs_no_step_that_was_kept() {
    let place = tempfile::tempdir().unwrap();
    let tiny = TINY.join(" ");
    let script = format!(
        r#"
        mount -t tmpfs -o size=4m tmpfs room
        run() {{ "$BACKBURN" "$@" >said 2>&1 && code=0 || code=$?; }}
        run {tiny} room/run --steps 20; echo "begun: $code"
        head -c 4m /dev/zero >room/filler 2>/dev/null || true
        run train --resume --out room/run --steps 40; echo "full: $code $(grep error: said)"
        run {tiny} room/other --steps 1; echo "new: $code $(grep error: said)"
        echo "left: $(ls -A room/run | tr '\n' ' ')"
        rm room/filler
        run train --resume --out room/run --steps 40; echo "again: $code"
        echo "lines: $(wc -l <room/run/metrics.jsonl)"
        run {tiny} whole --steps 40; cp room/run/checkpoint.safetensors resumed
        "#
    );
    let Some(said) = with_mounts(&script, place.path()) else { return };
    let said = by_name(&said);
    assert_eq!((said["begun"], said["again"], said["lines"]), ("0", "0", "40"));
    for name in ["full", "new"] {
        assert!(said[name].starts_with("1 ") && said[name].contains("No space left"), "{said:?}");
    }
    assert!(said["left"].contains("checkpoint.safetensors") && !said["left"].contains(".tmp"), "{said:?}");
    std::fs::create_dir(place.path().join("resumed.run")).unwrap();
    std::fs::rename(place.path().join("resumed"), place.path().join("resumed.run/checkpoint.safetensors")).unwrap();
    assert_eq!(state(&place.path().join("resumed.run")), state(&place.path().join("whole")));
}

#[test]
fn a_disk_that_fills_in_the_middle_of_a_run_ends_it_with_a_word() {
    let place = tempfile::tempdir().unwrap();
    let tiny = TINY.join(" ");
    let script = format!(
        r#"
        mount -t tmpfs -o size=1m tmpfs room
        "$BACKBURN" {tiny} room/run --steps 1000000 --checkpoint-every 50steps >said 2>&1 && code=0 || code=$?
        echo "code: $code $(grep error: said)"
        echo "left: $(ls -A room/run | tr '\n' ' ')"
        rm -f room/run/metrics.jsonl
        "$BACKBURN" train --resume --out room/run --steps 100 >said 2>&1 && code=0 || code=$?
        echo "again: $code $(grep -h 'error:' said)"
        "#
    );
    let Some(said) = with_mounts(&script, place.path()) else { return };
    let said = by_name(&said);
    assert!(said["code"].starts_with("1 ") && said["code"].contains("No space left"), "{said:?}");
    assert!(said["left"].contains("checkpoint.safetensors") && !said["left"].contains(".tmp"), "{said:?}");
    // Its checkpoint is whole: only that it is further than 100 steps is wrong with going on.
    assert!(said["again"].contains("the run is at step"), "{said:?}");
}

#[test]
fn a_folder_that_is_read_only_is_refused_before_anything_is_trained() {
    let place = tempfile::tempdir().unwrap();
    let tiny = TINY.join(" ");
    let script = format!(
        r#"
        mount -t tmpfs tmpfs room
        "$BACKBURN" {tiny} room/run --steps 3 >said 2>&1
        mount -o remount,ro room
        "$BACKBURN" {tiny} room/new --steps 3 >said 2>&1 && code=0 || code=$?; echo "new: $code $(cat said)"
        "$BACKBURN" train --resume --out room/run --steps 6 >said 2>&1 && code=0 || code=$?; echo "resume: $code $(cat said)"
        "$BACKBURN" train --resume --out room/run --print-config | grep steps
        "#
    );
    let Some(said) = with_mounts(&script, place.path()) else { return };
    assert!(said.contains("steps = 3"));
    let said = by_name(&said);
    for name in ["new", "resume"] {
        let refused = said[name].starts_with("1 error") && said[name].contains("cannot write to `room/");
        assert!(refused && said[name].contains("Read-only"), "{said:?}");
    }
}

/// A summary is of a run at its end: one that goes on beyond has none until it is there.
#[test]
fn a_run_that_goes_on_has_no_summary_of_its_shorter_past() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    assert!(backburn(&tiny(&run, &["--steps", "3"])).status.success());
    assert_eq!(names(&run), WHOLE);
    let said = place.path().join("said");
    let args = ["train", "--resume", "--steps", "1000000000", "--out", run.to_str().unwrap()];
    let child = command(&args).stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap()).spawn().unwrap();
    let mut endless = Endless { child, said };
    endless.until("a step", |_| steps(&run).len() > 5);
    endless.signal("KILL");
    endless.end();
    assert_eq!(names(&run), [".lock", "checkpoint.safetensors", "config.toml", "metrics.jsonl"]);
}

/// A reproduction is stopped as a run is, has one writer, and is not begun anew by the way.
#[test]
fn a_reproduction_is_stopped_by_a_signal_and_goes_on_only_when_asked() {
    let place = tempfile::tempdir().unwrap();
    let (out, said) = (place.path().join("all"), place.path().join("said"));
    let args = ["reproduce", "counterexample-1", "--out", out.to_str().unwrap()];
    let child = command(&args).stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap()).spawn().unwrap();
    let mut first = Endless { child, said };
    first.until("its lock", |_| out.join(".lock").exists());
    assert!(refusal(&[&args[..], &["--resume"]].concat()).contains("is being written by process"));
    std::thread::sleep(Duration::from_millis(300));
    first.signal("TERM");
    let (status, said, _) = first.end();
    assert_eq!(status.code(), Some(143), "{said}");
    assert!(said.contains("SIGTERM: stopping"), "{said}");
    assert!(out.join("index.html").exists() && !out.join(".lock").exists());
    let refused = refusal(&args);
    assert!(refused.contains("what an earlier run has measured") && refused.contains("--overwrite"), "{refused}");
}

/// The estimate is beside what the system counts: within a factor of two, and a process of its own.
#[test]
fn the_estimate_of_memory_is_near_what_is_taken() {
    let place = tempfile::tempdir().unwrap();
    if !Path::new("/proc/self/status").exists() {
        println!("SKIPPED: this system does not tell how much memory a process takes");
        return;
    }
    for (i, more) in [
        vec!["--model", "convnet", "--workers", "40", "--batch", "16", "--compressor", "topk:0.1"],
        vec!["--model", "resnet18", "--workers", "1", "--batch", "4"],
    ]
    .into_iter()
    .enumerate()
    {
        let (out, said) = (place.path().join(i.to_string()), place.path().join(format!("said {i}")));
        let args = [&["train", "--device", "flex", "--steps", "100000", "--checkpoint-every", "2steps"], &more[..]];
        let args = [&args.concat()[..], &["--out", out.to_str().unwrap()]].concat();
        let child = command(&args).stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap()).spawn().unwrap();
        let mut run = Endless { child, said };
        run.until("a few steps", |_| steps(&out).len() > 3);
        let status = std::fs::read_to_string(format!("/proc/{}/status", run.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: f64 = peak.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0;
        run.signal("KILL");
        let (_, said, _) = run.end();
        let words = said.split("about ").nth(1).unwrap().split(" of memory").next().unwrap();
        let (number, unit) = words.split_once(' ').unwrap();
        let estimate = number.parse::<f64>().unwrap() * if unit == "GB" { 1e9 } else { 1e6 };
        println!("{more:?}: {:.0} MB, estimated {:.0} MB", peak / 1e6, estimate / 1e6);
        assert!(estimate > 0.5 * (peak - 3e7) && estimate < 2.0 * peak, "{more:?}: {peak} and {estimate}");
    }
}

#[test]
fn checkpoints_come_by_the_clock_by_the_step_or_not() {
    let place = tempfile::tempdir().unwrap();
    for (every, kept) in [("1s", true), ("50steps", true), ("never", false), ("1h", false)] {
        let run = place.path().join(every);
        let mut endless = Endless::start(&run, &["--checkpoint-every", every]);
        let begun = Instant::now();
        let reached = |run: &Path| run.join("config.toml").exists() && state(run).numbers["run.step"] > 0;
        match kept {
            true => endless.until("a checkpoint", |_| reached(&run)),
            false => endless
                .until("some steps", |_| steps(&run).len() > 200 && begun.elapsed() > Duration::from_millis(1500)),
        }
        assert_eq!(reached(&run), kept, "{every}");
        endless.signal("KILL");
        endless.end();
    }
    assert!(refusal(&["train", "--checkpoint-every", "5 minutes"]).contains("there are `5min`"));
    let printed = text(&backburn(&["train", "--print-config"]).stdout);
    assert!(printed.contains("checkpoint_every = \"5min\""), "{printed}");
}

#[test]
fn memory_is_said_and_what_does_not_fit_is_refused_before_it_is_taken() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let train = ["train", "--model", "softmax", "--subset", "100", "--steps", "1", "--device", "flex"];
    let said = text(&backburn(&train).stderr);
    assert!(said.contains("of memory (data"), "{said}");
    let begun = Instant::now();
    let refused = refusal(&["train", "--workers", "100000", "--out", out.to_str().unwrap()]);
    assert!(refused.contains(" GB of memory (") && refused.contains(" are there: fewer workers"), "{refused}");
    assert!(refused.contains("--memory-limit none") && !out.exists(), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let refused = refusal(&[&train[..], &["--memory-limit", "1MB"]].concat());
    assert!(refused.contains("and 1.0 MB are there"), "{refused}");
    assert!(backburn(&[&train[..], &["--memory-limit", "none"]].concat()).status.success());
    assert!(refusal(&["train", "--memory-limit", "much"]).contains("1.5GB"));
}
