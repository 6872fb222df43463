//! `backburn advise`: whether to compress on a given network, with what, and under which plan.

mod calibrate;
mod predict;
mod render;
mod target;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use backburn::DeviceKind;
use backburn::compressors::{Class, Compressor};
use backburn::layout::Unit;
use backburn::network::{Link, Links, duration, rate};
use backburn::prelude::{AnyAlgorithm, AnyCompressor};
use backburn_bench::compress::COMPRESSORS;
use backburn_bench::cost::{self, Bench};
use clap::ArgGroup;
use clap::builder::RangedU64ValueParser;

use self::predict::{How, Setting, dense_below, rows};
use self::render::Advice;
use self::target::Target;
use crate::error::{Failure, say};

/// Measures compressors and a batch on this machine, and predicts the time of a step on a network that need not be
/// there. How many steps a training needs is not in it: what is left out costs accuracy or steps of its own.
#[derive(clap::Args)]
#[command(group = ArgGroup::new("of").required(true).args(["model", "shapes"]))]
pub struct Args {
    /// A model of `backburn train`, whose batch is timed here, or the shapes of resnet50.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// A file with the shapes of a model's tensors: `64x3x3x3` a line, or a JSON list of lists.
    #[arg(long, value_name = "FILE")]
    shapes: Option<PathBuf>,
    /// Images a worker and step, where the batch is timed.
    #[arg(long, value_name = "IMAGES", default_value_t = 32, value_parser = RangedU64ValueParser::<usize>::new().range(1..=65536))]
    batch: usize,
    /// The images, as CHANNELSxHEIGHTxWIDTH, where the batch is timed.
    #[arg(long, value_name = "SHAPE", default_value = "1x28x28")]
    image: String,
    /// What a batch takes, forward and backward, instead of timing it: as `80ms`.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    batch_time: Option<f64>,
    /// auto, flex, ndarray or wgpu, as compiled in.
    #[arg(long, default_value = "auto")]
    device: DeviceKind,

    /// Workers, each on a host of its own.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = RangedU64ValueParser::<usize>::new().range(2..=100_000), help_heading = "Network")]
    workers: usize,
    /// What a host can send, and receive at the same time.
    #[arg(long, value_name = "RATE", default_value = "100Mbit", value_parser = rate, help_heading = "Network")]
    bandwidth: f64,
    /// From one host to another: half of what `ping` says.
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = duration, help_heading = "Network")]
    latency: f64,
    /// Links instead: `100Mbit,20ms,down=1Gbit` for all, or one a worker, as `7*1Gbit,1ms;10Mbit,50ms`.
    #[arg(long, conflicts_with_all = ["bandwidth", "latency"], help_heading = "Network")]
    link: Option<Links>,
    /// Under `mpirun -n N backburn advise --calibrate …`: measures the network between the ranks instead, each of which is
    /// a worker; all measure at the same time, so that what they share is shared.
    #[arg(long, conflicts_with_all = ["bandwidth", "latency", "link", "workers", "share"], help_heading = "Network")]
    calibrate: bool,
    /// Workers that share a machine, whose memory joins them: considers adding up their gradients there.
    #[arg(long, value_name = "WORKERS", help_heading = "Network")]
    machine: Option<NonZeroUsize>,

    /// Workers that share the cores of a machine like this one: what is measured takes them so many times longer.
    #[arg(long, value_name = "WORKERS", default_value_t = NonZeroUsize::MIN, help_heading = "Measuring")]
    share: NonZeroUsize,
    /// Seconds to measure for, at most but for the compressor in hand; a large model is measured in part.
    #[arg(long, value_name = "SECONDS", default_value_t = 8.0, help_heading = "Measuring")]
    seconds: f64,
    /// Compressors, as `topk:0.01`. Where none is named, a selection of all kinds but thresholds, whose messages are as
    /// long as the gradients make them.
    #[arg(help_heading = "Measuring")]
    compressors: Vec<AnyCompressor>,

    /// All figures as one JSON object.
    #[arg(long)]
    json: bool,
}

/// The method that carries what is left out; every compressor under feedback goes with it.
const METHOD: &str = "ef-sgd";

pub fn advise(args: Args) -> Result<(), Failure> {
    check_seconds(&args)?;
    if args.calibrate {
        return calibrate::among_ranks(args.seconds / 4.0, |workers, links, says| on(&args, workers, links, says));
    }
    let links = match &args.link {
        Some(links) => links.clone(),
        None => Link::new(args.bandwidth)?.with_latency(args.latency)?.into(),
    };
    links.check(args.workers)?;
    on(&args, args.workers, links, true)
}

fn check_seconds(args: &Args) -> Result<(), Failure> {
    if !(args.seconds >= 0.0 && args.seconds <= 3600.0) {
        return Err(Failure::Error(format!("--seconds must be between 0 and 3600, and is {}", args.seconds)));
    }
    Ok(())
}

/// Coordinate-steps a second that a compressor is measured at, about: so many are measured that it fits.
const PACE: f64 = 3e6;
/// What is measured of a model at least, where it has as much.
const LEAST: f64 = 3e5;

/// For so many workers on these links; `says` what was found, or keeps it.
fn on(args: &Args, workers: usize, links: Links, says: bool) -> Result<(), Failure> {
    let compressors = compressors(&args.compressors)?;
    let started = Instant::now();
    let target = match (&args.model, &args.shapes) {
        (Some(name), _) => Target::model(name, args)?,
        (None, Some(path)) => Target::shapes(&path.display().to_string(), args.batch_time)?,
        (None, None) => return Err(Failure::Error("give --model or --shapes".into())),
    };
    let coordinates = target.tensors.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let most = (args.seconds / compressors.len() as f64 * PACE).max(LEAST);
    let bench = Bench::part(&target.tensors, most as usize)?;
    let setting = Setting {
        workers,
        links,
        batch: target.batch.unwrap_or(0.0),
        machine: args.machine.filter(|m| m.get() > 1),
        share: args.share.get() as f64,
        coordinates,
        add: cost::add_seconds(coordinates),
    };
    let left = || (args.seconds - started.elapsed().as_secs_f64()).max(0.0);
    let (mut costs, mut late) = (Vec::new(), Vec::new());
    for (i, c) in compressors.iter().enumerate() {
        // What is compared with, and one to compare.
        if i > 1 && left() == 0.0 {
            late.push(c.to_string());
        } else {
            costs.push(bench.measure(c, left() / (compressors.len() + 2 - i) as f64));
        }
    }
    let each = left() / 2.0;
    let rows = rows(&costs, &setting);
    let best = rows.iter().find(|row| row.compresses()).ok_or(Failure::Error("no compressor was measured".into()))?;
    let below = match (compressors.iter().find(|c| c.to_string() == best.compressor), best.plan) {
        (Some(c), How::Plan(plan)) => {
            let plain = cost::by_size(&identity(), &SIZES, each)?;
            dense_below(&cost::by_size(c, &SIZES, each)?, &plain, plan, &setting)
        }
        _ => 0,
    };
    let advice = Advice::new(&target, &setting, rows, below, started.elapsed().as_secs_f64()).with_late(late);
    match says {
        false => Ok(()),
        true if args.json => say(advice.to_json()),
        true => say(advice.to_string().trim_end()),
    }
}

/// Sizes of tensors at which sending them dense is compared.
const SIZES: [usize; 7] = [4, 16, 64, 256, 1024, 4096, 16384];

fn identity() -> AnyCompressor {
    "identity".parse().expect("it stands in the table")
}

/// Those asked for, or all kinds whose messages have a length that gradients do not decide, and what is compared
/// with: identity.
fn compressors(asked: &[AnyCompressor]) -> Result<Vec<AnyCompressor>, Failure> {
    let method: AnyAlgorithm = METHOD.parse()?;
    let mut all = match asked {
        [] => {
            let all = COMPRESSORS.iter().map(|text| text.parse()).collect::<Result<Vec<AnyCompressor>, _>>()?;
            let unit = Unit::vector("x", 1000);
            all.into_iter().filter(|c| !matches!(c.class(&unit), Class::Absolute(_))).collect()
        }
        asked => asked.to_vec(),
    };
    all.iter().try_for_each(|c| method.check(c))?;
    if all.iter().all(|c| c.to_string() == "identity") {
        return Err(Failure::Error("identity compresses nothing: name another compressor beside it".into()));
    }
    // It is measured whatever the time.
    all.retain(|c| c.to_string() != "identity");
    all.insert(0, identity());
    Ok(all)
}
