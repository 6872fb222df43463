//! The papers' experiments, each by its name: runs it, draws its figure, and judges its claims by the
//! numbers of the run.
//!
//! [`reproduce`] writes, for each experiment, `NAME/results.csv`, `NAME/figure.svg`, `NAME/figure.png`,
//! `NAME/claims.json` and `NAME/run.json`, and one self-contained `index.html`. An [`Experiment`] runs
//! one curve at a time and only records rows; claims, figures and tables are functions of
//! [`Results`], and so of the file.
//!
//! Sources: Karimireddy, Rebjock, Stich, Jaggi, *Error feedback fixes SignSGD and other gradient
//! compression schemes*, 2019; Avdiukhin, Yaroslavtsev, *Escaping saddle points with compressed SGD*,
//! 2021; Fatkhullin, Tyurin, Richtárik, *Momentum provably improves error feedback!*, 2023; Sahu et al.,
//! *Rethinking gradient sparsification as total error minimization*, 2021; Tang et al.,
//! *ErrorCompensatedX*, 2021.

mod error;
mod experiment;
mod experiments;
pub mod figure;
mod loops;
pub mod problems;
mod record;
pub mod replay;
mod report;
mod run;
mod runs;
pub mod stability;
mod words;

pub use error::ReproduceError;
pub use experiment::{About, Experiment, Scale, Setup, Table, Tuned, Tuning};
pub use experiments::EXPERIMENTS;
pub use record::{
    Claim, Curve, CurveName, GroupName, Judging, Metric, Recorder, Results, Row, Seeds, Summary, Ticker, Verdict,
    is_due, judge, mean, metric, quantile,
};
pub use report::{CurveRecord, Manifest};
pub use run::{Failed, Finished, Outcome, Request, redraw, reproduce};
pub use runs::{Compared, Grid, GridError, GridRequest, compare_grid, compare_runs};
pub use words::{clock, short};
