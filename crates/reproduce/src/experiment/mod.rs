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
    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError>;

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
