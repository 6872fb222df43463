//! One experiment a file, and the table of all.

use super::Experiment;

mod autoencoder_saddle;
mod cifar;
mod cifar_randomk;
mod cifar_signsgd;
mod counterexample_1;
mod counterexample_2;
mod counterexample_3;
mod density;
mod ef21_divergence;
mod logistic;
mod logistic_batch;
mod logistic_workers;
mod max_margin;
mod sparse_noise;
mod total_error;
mod variance_reduced;
mod vector;

/// All experiments, in the order of the papers.
pub static EXPERIMENTS: &[&dyn Experiment] = &[
    &counterexample_1::Counterexample1,
    &counterexample_2::Counterexample2,
    &counterexample_3::Counterexample3,
    &sparse_noise::SparseNoiseToy,
    &max_margin::MaxMargin,
    &density::Density,
    &cifar_signsgd::CifarSignSgd,
    &cifar_randomk::CifarRandomK,
    &autoencoder_saddle::AutoencoderSaddle,
    &ef21_divergence::Ef21Divergence,
    &logistic_batch::LogisticBatch,
    &logistic_workers::LogisticWorkers,
    &total_error::TotalError,
    &variance_reduced::VarianceReduced,
];

/// Karimireddy, Rebjock, Stich, Jaggi (2019).
const FIXES: &str = "Karimireddy et al. 2019, Error feedback fixes SignSGD";
/// Avdiukhin, Yaroslavtsev (2021).
const ESCAPING: &str = "Avdiukhin, Yaroslavtsev 2021, Escaping saddle points with compressed SGD";
/// Fatkhullin, Tyurin, Richtárik (2023).
const MOMENTUM: &str = "Fatkhullin, Tyurin, Richtárik 2023, Momentum provably improves error feedback";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Options;
    use crate::reproduce::{Scale, Setup};

    #[test]
    fn names_curves_and_forms_are_sound() {
        let mut names = std::collections::HashSet::new();
        for experiment in EXPERIMENTS {
            let about = experiment.about();
            assert!(names.insert(about.name), "{} twice", about.name);
            assert!(about.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            assert!(!about.claims.is_empty(), "{}", about.name);
            for scale in [Scale::Smoke, Scale::Small, Scale::Paper] {
                let setup = Setup::new(scale, Options { offline: true, ..Options::default() }, "auto");
                let curves = experiment.curves(&setup);
                assert!(!curves.is_empty() && experiment.seeds(&setup) > 0, "{}", about.name);
                let mut seen = std::collections::HashSet::new();
                for curve in &curves {
                    assert!(seen.insert((&curve.group, &curve.name)), "{}: {curve:?} twice", about.name);
                    let algorithm = curve.algorithm.parse::<backburn_optim::AnyAlgorithm>();
                    assert!(algorithm.is_ok(), "{}: {algorithm:?}", about.name);
                    let compressor = vector::compressor(&curve.compressor);
                    assert!(compressor.is_ok(), "{}: {compressor:?}", about.name);
                }
            }
        }
    }

    #[test]
    fn claims_and_figures_bear_no_rows_at_all() {
        for experiment in EXPERIMENTS {
            let results = crate::reproduce::Results::default();
            let claims = experiment.claims(&results);
            assert!(claims.iter().all(|c| c.holds.is_none()), "{}: {claims:?}", experiment.about().name);
            experiment.figure(&results).draw().unwrap();
            experiment.tables(&results);
        }
    }
}
