//! `backburn replay`.

use std::path::PathBuf;

use backburn::DeviceKind;
use backburn_reproduce::replay::{self, Outcome};

use crate::error::{Failure, say};

#[derive(clap::Args)]
pub struct Args {
    /// A JSON array of cases: method, compressor, step sizes, x0, gradients and, to be compared
    /// with, iterates.
    file: PathBuf,
    /// auto, flex, ndarray or wgpu, as compiled in.
    #[arg(long, default_value = "auto")]
    device: DeviceKind,
}

pub fn replay(args: &Args) -> Result<(), Failure> {
    let name = args.file.display();
    let text = std::fs::read_to_string(&args.file).map_err(|e| Failure::Error(format!("cannot read `{name}`: {e}")))?;
    let cases = replay::read(&text).map_err(|e| Failure::Error(format!("`{name}`: {e}")))?;
    let all = cases.len();
    let kind = args.device.resolve()?;
    let device = kind.device()?;
    let (mut unsupported, mut wrong, mut alone) = (0, 0, 0);
    for case in cases {
        let replayed = case.map_or_else(|failed| failed, |case| replay::run(&case, &device));
        unsupported += usize::from(matches!(replayed.outcome, Outcome::Unsupported { .. }));
        wrong += usize::from(!replayed.agrees());
        alone += usize::from(matches!(&replayed.outcome, Outcome::Ran(ran) if ran.max_error.is_none()));
        say(serde_json::to_string(&replayed).expect("a result is plain data"))?;
    }
    let alone = if alone > 0 { format!(", {alone} without iterates to compare with") } else { String::new() };
    eprintln!("{all} cases on {kind}: {wrong} wrong, {unsupported} unsupported{alone}");
    if wrong > 0 { Err(Failure::Said) } else { Ok(()) }
}
