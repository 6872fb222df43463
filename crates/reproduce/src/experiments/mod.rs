//! One experiment a file, and the table of all.

use crate::experiment::Experiment;

mod autoencoder_saddle;
mod cifar_randomk;
mod cifar_signsgd;
mod conserve;
mod counterexample_1;
mod counterexample_2;
mod counterexample_3;
mod density;
mod ef21_divergence;
mod estimators;
mod local_steps;
mod logistic_batch;
mod logistic_workers;
mod max_margin;
mod momentum_rates;
mod naive_divergence;
mod names;
mod rates;
mod saddle_escape;
mod sparse_noise;
mod total_error;
mod variance_reduced;
mod wire_size;

/// All experiments, in the order of the papers.
pub static EXPERIMENTS: &[&dyn Experiment] = &[
    &counterexample_1::Counterexample1,
    &counterexample_2::Counterexample2,
    &counterexample_3::Counterexample3,
    &sparse_noise::SparseNoiseToy,
    &rates::Rates,
    &max_margin::MaxMargin,
    &density::Density,
    &cifar_signsgd::CifarSignSgd,
    &saddle_escape::SaddleEscape,
    &cifar_randomk::CifarRandomK,
    &autoencoder_saddle::AutoencoderSaddle,
    &naive_divergence::NaiveDivergence,
    &ef21_divergence::Ef21Divergence,
    &momentum_rates::MomentumRates,
    &logistic_batch::LogisticBatch,
    &logistic_workers::LogisticWorkers,
    &total_error::TotalError,
    &variance_reduced::VarianceReduced,
    &local_steps::LocalSteps,
    &wire_size::WireSize,
    &conserve::Conserve,
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::error::ReproduceError;
    use crate::experiment::{Scale, Setup};
    use crate::record::made::Witness;
    use crate::record::metric::{TEST_ACCURACY, TRAIN_LOSS};
    use crate::record::{Curve, CurveName, GroupName, Recorder, Results, Row, Verdict};
    use backburn_optim::DeviceKind;
    use backburn_train::data::Options;

    #[test]
    fn names_curves_and_forms_are_sound() {
        let mut names = std::collections::HashSet::new();
        for experiment in EXPERIMENTS {
            let about = experiment.about();
            assert!(names.insert(about.name), "{} twice", about.name);
            assert!(about.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            assert!(!about.claims.is_empty(), "{}", about.name);
            for scale in [Scale::Smoke, Scale::Small, Scale::Paper] {
                let setup = Setup::new(scale, Options { offline: true, ..Options::default() }, DeviceKind::Auto);
                let curves = experiment.curves(&setup);
                assert!(!curves.is_empty() && experiment.seeds(&setup) > 0, "{}", about.name);
                let mut seen = std::collections::HashSet::new();
                for curve in &curves {
                    assert!(seen.insert((curve.group, curve.name)), "{}: {curve:?} twice", about.name);
                    let algorithm = curve.algorithm.parse::<backburn_optim::AnyAlgorithm>();
                    assert!(algorithm.is_ok(), "{}: {algorithm:?}", about.name);
                    let compressor = crate::loops::vector::compressor(&curve.compressor);
                    assert!(compressor.is_ok(), "{}: {compressor:?}", about.name);
                }
            }
        }
    }

    /// The rows of a curve of which each attempt is stopped after so many ticks, and the attempts.
    fn rows(experiment: &dyn Experiment, curve: &Curve, ticks: u64) -> (Vec<Row>, u32) {
        let setup = Setup::new(Scale::Smoke, Options { offline: true, ..Options::default() }, DeviceKind::Flex);
        let scratch = tempfile::tempdir().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        for attempt in 1..100 {
            let recorder =
                Recorder::new(curve, 1, [stop.clone(), stop.clone()], Arc::default(), scratch.path().join("curve"));
            let mut recorder = recorder.stop_after(ticks);
            match experiment.run(curve, 1, &setup, &mut recorder) {
                Ok(()) => return (recorder.into_rows(), attempt),
                Err(error) => assert!(matches!(error, ReproduceError::Stopped), "{error}"),
            }
        }
        panic!("{}: it never ends", curve.name);
    }

    #[test]
    fn a_curve_that_was_stopped_is_the_uninterrupted_one_row_for_row() {
        let setup = Setup::new(Scale::Smoke, Options { offline: true, ..Options::default() }, DeviceKind::Flex);
        for experiment in EXPERIMENTS.iter().filter(|experiment| experiment.trains_a_model()) {
            let name = experiment.about().name;
            // That under a Learner goes on from its last epoch, the others from their last step.
            let ticks = if name == "cifar-randomk" { 4 } else { 1 };
            // The last has a history of its own in some.
            for curve in experiment.curves(&setup).iter().rev().take(2) {
                let (whole, _) = rows(*experiment, curve, u64::MAX);
                let (parts, attempts) = rows(*experiment, curve, ticks);
                assert!(attempts > 1, "{name}: it was not stopped");
                assert_eq!(parts.len(), whole.len(), "{name}, {}", curve.name);
                for (part, whole) in parts.iter().zip(&whole) {
                    // As text, in which not-a-number is itself.
                    assert_eq!(format!("{part:?}"), format!("{whole:?}"), "{name}, {}", curve.name);
                }
            }
        }
    }

    #[test]
    fn a_curve_that_diverges_ends_with_infinite_losses() {
        let setup = Setup::new(Scale::Smoke, Options { offline: true, ..Options::default() }, DeviceKind::Flex);
        for experiment in EXPERIMENTS.iter().filter(|experiment| experiment.trains_a_model()) {
            let curve = Curve { lr: 1e30, ..experiment.curves(&setup).pop().unwrap() };
            let (rows, _) = rows(*experiment, &curve, u64::MAX);
            let last = rows.iter().rfind(|row| row.metric == TRAIN_LOSS).unwrap();
            assert_eq!(last.value, f64::INFINITY, "{}", experiment.about().name);
            let accuracy = rows.iter().rfind(|row| row.metric == TEST_ACCURACY);
            assert!(accuracy.is_none_or(|row| row.value <= 0.5), "{}", experiment.about().name);
        }
    }

    /// Every claim of every experiment holds, fails and, unless nothing random judges it, is undecided, as
    /// the numbers say: no check that cannot fail.
    #[test]
    fn made_up_results_turn_every_claim_each_way() {
        for experiment in EXPERIMENTS {
            let name = experiment.about().name;
            let witnesses = experiment.witnesses();
            assert!(!witnesses.is_empty(), "{name}: without made-up results");
            let mut seen = std::collections::HashSet::new();
            let mut all = std::collections::BTreeMap::new();
            for Witness { claim: meant, verdict, results } in witnesses {
                let claims = experiment.claims(&results);
                let found: Vec<_> = claims.iter().filter(|claim| claim.claim.starts_with(meant)).collect();
                assert!(!found.is_empty(), "{name}: no claim begins `{meant}`");
                for claim in found {
                    assert_eq!(claim.verdict, Some(verdict), "{name}, witness of `{meant}`: {claim:#?}");
                    seen.insert((claim.claim.clone(), verdict));
                }
                all.extend(claims.into_iter().map(|claim| (claim.claim.clone(), claim.is_certain())));
            }
            for (claim, certain) in all {
                for verdict in [Verdict::Holds, Verdict::Fails, Verdict::Undecided] {
                    let exempt = certain && verdict == Verdict::Undecided;
                    assert!(exempt || seen.contains(&(claim.clone(), verdict)), "{name}: never {verdict}: {claim}");
                }
            }
        }
    }

    /// Every curve that an experiment has, at any scale.
    fn declared(experiment: &dyn Experiment) -> Vec<(GroupName, CurveName)> {
        let curves = |scale| {
            let setup = Setup::new(scale, Options { offline: true, ..Options::default() }, DeviceKind::Auto);
            experiment.curves(&setup)
        };
        let scales = [Scale::Smoke, Scale::Small, Scale::Medium, Scale::Paper];
        scales.into_iter().flat_map(curves).map(|curve| (curve.group, curve.name)).collect()
    }

    /// A misspelt reference would find no rows, and a curve would be missing without a word.
    #[test]
    fn claims_figures_and_tables_ask_for_declared_curves_alone() {
        for experiment in EXPERIMENTS {
            let declared = declared(*experiment);
            for Witness { results, .. } in experiment.witnesses() {
                for row in results.rows() {
                    let (name, curve) = (experiment.about().name, (row.group, row.curve));
                    assert!(
                        declared.contains(&curve),
                        "{name}: made-up rows of {curve:?}, which is none of {declared:?}"
                    );
                }
                let results = results.declaring(&declared);
                experiment.claims(&results);
                experiment.figure(&results);
                experiment.tables(&results);
            }
        }
    }

    #[test]
    fn claims_and_figures_bear_no_rows_at_all() {
        for experiment in EXPERIMENTS {
            let results = Results::default().declaring(&declared(*experiment));
            let claims = experiment.claims(&results);
            assert!(claims.iter().all(|c| c.verdict.is_none()), "{}: {claims:?}", experiment.about().name);
            experiment.figure(&results).draw().unwrap();
            experiment.tables(&results);
        }
    }
}
