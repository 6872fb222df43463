//! What an experiment is.

mod about;
pub(crate) mod papers;
mod scale;
mod setup;
mod table;
mod tuning;

pub use about::About;
pub use scale::Scale;
pub use setup::Setup;
pub use table::Table;
pub use tuning::{Tuned, Tuning};

use crate::error::ReproduceError;
use crate::figure::Figure;
use crate::record::{Claim, Curve, Recorder, Results};

/// One experiment of a paper.
///
/// An implementation says what its curves are and runs one of them; whatever is shown afterwards,
/// claims included, is a function of the recorded rows alone.
///
/// ```
/// use backburn_reproduce::figure::{Axis, Figure, Panel};
/// use backburn_reproduce::judge::Exact;
/// use backburn_reproduce::{About, Claim, Curve, CurveName, Experiment, GroupName, Metric, Recorder, ReproduceError, Results, Setup};
///
/// const START: GroupName = GroupName::new("from 1");
/// const HALVING: CurveName = CurveName::new("halving");
/// const DISTANCE: Metric = Metric::new("distance");
///
/// /// x ← x/2.
/// struct Halving;
///
/// impl Experiment for Halving {
///     fn about(&self) -> About {
///         About { name: "halving", title: "x goes to 0", source: "folklore", claims: &["x goes to 0"], time: ["1 s", "1 s"] }
///     }
///
///     fn curves(&self, _: &Setup) -> Vec<Curve> {
///         vec![Curve::new(START, HALVING, "sgd", "identity", 0.5)]
///     }
///
///     fn seeds(&self, _: &Setup) -> u64 {
///         1
///     }
///
///     fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
///         vec![("steps", setup.scale.pick(10u64, 20, 20).to_string())]
///     }
///
///     fn run(&self, curve: &Curve, _: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
///         let (steps, mut x) = (setup.scale.pick(10u64, 20, 20), 1.0);
///         for step in 0..steps {
///             out.tick(step, steps)?;
///             x -= curve.lr * x;
///             out.record(DISTANCE, step as f64, x);
///         }
///         Ok(())
///     }
///
///     fn claims(&self, results: &Results) -> Vec<Claim> {
///         let last = results.last(START, HALVING, DISTANCE);
///         vec![Claim::about("x goes to 0", "folklore").part("", Exact::at_most("2^-10", 1e-3), last).judged()]
///     }
///
///     fn figure(&self, results: &Results) -> Figure {
///         let panel = |group: GroupName| Panel::of(results, group, DISTANCE, Axis::linear("step"), Axis::log("x"));
///         Figure::of_groups(results, 1, panel)
///     }
/// }
/// # assert_eq!(Halving.about().name, "halving");
/// ```
pub trait Experiment: Send + Sync {
    /// Name, source, claims, time.
    fn about(&self) -> About;

    /// The curves at this scale.
    fn curves(&self, setup: &Setup) -> Vec<Curve>;

    /// Repetitions of each curve.
    fn seeds(&self, setup: &Setup) -> u64;

    /// Steps, sizes, data and whatever else decides the numbers: shown in the report, and part of
    /// what names a cached curve.
    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)>;

    /// Where the run departs from the paper, and why.
    fn departures(&self, setup: &Setup) -> Vec<String> {
        let _ = setup;
        Vec::new()
    }

    /// How step sizes are tuned, where they are.
    fn tuning(&self) -> Option<Tuning> {
        None
    }

    /// The curve that is tuned for this one, and the share of its step size that this one takes.
    fn tuned_by(&self, curve: &Curve) -> (Curve, f64) {
        (curve.clone(), 1.0)
    }

    /// How long it takes at medium scale on two cores; `None` where it has no form of it.
    fn at_medium(&self) -> Option<&'static str> {
        None
    }

    /// Whether a curve trains a model on the device, so that several at a time would share one card.
    fn trains_a_model(&self) -> bool {
        false
    }

    /// Runs one curve with one seed.
    ///
    /// # Errors
    /// Where it cannot go on, or the user wants to stop.
    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError>;

    /// The claims, judged by the rows.
    fn claims(&self, results: &Results) -> Vec<Claim>;

    /// Results made up that turn every claim each way.
    #[cfg(test)]
    fn witnesses(&self) -> Vec<crate::record::made::Witness>;

    /// The figure, of the rows.
    fn figure(&self, results: &Results) -> Figure;

    /// Tables, of the rows, beside the published numbers where there are some.
    fn tables(&self, results: &Results) -> Vec<Table> {
        let _ = results;
        Vec::new()
    }
}
