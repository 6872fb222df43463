//! Hostile input for everything of Backburn that reads; see the README of this package.

mod letter;
mod memory;
mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use backburn_compress::Philox;
use clap::Parser;

use targets::{ROOM, TARGETS, Target};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// Hostile input for everything that reads.
#[derive(Parser)]
struct Args {
    /// Inputs, divided among the targets.
    #[arg(long, default_value_t = 1_000_000)]
    inputs: u64,
    /// The number of the first one.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// One target alone.
    #[arg(long)]
    target: Option<String>,
    /// Which inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    jobs: u64,
}

/// What a job has seen.
#[derive(Default)]
struct Seen {
    inputs: u64,
    taken: u64,
    most: i64,
    failure: Option<String>,
}

/// Every `jobs`-th input from `first` on.
fn work(target: &Target, seed: u64, first: u64, end: u64, jobs: u64) -> Seen {
    let (corpus, mut seen) = ((target.corpus)(), Seen::default());
    for number in (first..end).step_by(jobs.max(1) as usize) {
        let key = Philox::new(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let input = (target.seal)(mutate::mutate(&mut { key }, &corpus, target.words));
        let mut taken = Ok(false);
        let most = memory::most(|| taken = catch_unwind(AssertUnwindSafe(|| (target.read)(&input))));
        let allowed = (ROOM + target.memory * input.len()) as i64;
        let fault = match taken {
            Err(_) => Some("panicked".to_owned()),
            Ok(_) if most > allowed => Some(format!("took {most} bytes of memory; {allowed} are allowed")),
            Ok(taken) => {
                seen.taken += u64::from(taken);
                None
            }
        };
        seen.inputs += 1;
        seen.most = seen.most.max(most);
        if let Some(fault) = fault {
            let text = input.escape_ascii();
            let again = format!("--target {} --seed {seed} --first {number} --inputs 1", target.name);
            seen.failure = Some(format!("{} {fault}: {again}\n  {text}", target.name));
            break;
        }
    }
    seen
}

fn main() -> ExitCode {
    let args = Args::parse();
    let wanted = |target: &&Target| args.target.as_ref().is_none_or(|name| name == target.name);
    let chosen: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("no such target; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    let (each, jobs) = (args.inputs.div_ceil(chosen.len() as u64), args.jobs.max(1));
    let (mut inputs, mut failed) = (0, false);
    for target in chosen {
        let started = Instant::now();
        let end = args.first.saturating_add(each);
        let seen: Vec<Seen> = std::thread::scope(|scope| {
            let job = |j| scope.spawn(move || work(target, args.seed, args.first.saturating_add(j), end, jobs));
            let jobs: Vec<_> = (0..jobs).map(job).collect();
            jobs.into_iter().map(|job| job.join().expect("failures are caught")).collect()
        });
        let sum = |of: fn(&Seen) -> u64| seen.iter().map(of).sum::<u64>();
        let (read, taken, most) = (sum(|s| s.inputs), sum(|s| s.taken), seen.iter().map(|s| s.most).max().unwrap_or(0));
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{:<10} {read:>11} inputs, {taken:>10} taken, at most {most:>8} bytes held, {seconds:.1} s",
            target.name
        );
        for failure in seen.iter().filter_map(|seen| seen.failure.as_ref()) {
            eprintln!("{failure}");
            failed = true;
        }
        inputs += read;
    }
    println!("{inputs} inputs");
    ExitCode::from(u8::from(failed))
}
