//! Figure 5 of Karimireddy et al. (2019): noise on one coordinate slows SGD and EF-signSGD alike.

use backburn_compress::{Key, Philox, Stream};

use super::names::{EF, SCALED, SGD, SIGN};
use crate::error::ReproduceError;
use crate::experiment::papers::FIXES;
use crate::experiment::{About, Experiment, Setup, Tuning};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::vector::{Descent, Length};
use crate::problems::SparseNoise;
use crate::record::judge::{Equality, Paired};
#[cfg(test)]
use crate::record::made::{Made, Witness, steady, torn};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Summary};

pub(super) struct SparseNoiseToy;

const SLOW: [CurveName; 2] = [SGD, EF];
const SIGNS: [CurveName; 2] = [SIGN, SCALED];
const GROUP: GroupName = GroupName::new("sparse noise");
const LOSS: Metric = Metric::new("loss");
const PROBLEM: SparseNoise = SparseNoise { dimension: 100, deviation: 100.0 };

impl Experiment for SparseNoiseToy {
    fn about(&self) -> About {
        About {
            name: "sparse-noise",
            title: "Under noise on one coordinate SGD and EF-signSGD are equally slow, both sign methods faster",
            source: "Karimireddy et al. 2019, Appendix A.1, Figure 5",
            claims: &["SGD and EF-signSGD converge at the same rate", "signSGD and scaled signSGD are faster"],
            time: ["5 s", "5 s"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        vec![
            Curve::new(GROUP, SGD, "sgd", "identity", 0.001),
            Curve::new(GROUP, SIGN, "compressed-sgd", "sign", 0.01),
            Curve::new(GROUP, SCALED, "compressed-sgd", "sign:scaled", 0.01),
            Curve::new(GROUP, EF, "ef-sgd", "sign:scaled", 0.001),
        ]
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 100, 100)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        let steps = setup.scale.pick(100u64, 1000, 1000).to_string();
        vec![
            ("steps", steps),
            ("d", "100".into()),
            ("noise", "N(0, 100^2) on coordinate 1".into()),
            ("x0", "N(0, I)".into()),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec!["The paper does not give the start; here it is drawn from N(0, I) for each repetition, and the bands are 10 to 90 % instead of one standard deviation.".into()]
    }

    fn tuning(&self) -> Option<Tuning> {
        Some(Tuning::powers_of_two(-13, -3, LOSS))
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let mut random = Philox::new(Key { stream: Stream::SPARSE_NOISE, ..Key::new(seed) }.draw());
        let start = (0..PROBLEM.dimension).map(|_| random.normal()).collect();
        let length = Length { steps: setup.scale.pick(100, 1000, 1000), points: 200 };
        Descent::new(curve, &PROBLEM, seed, start, length, LOSS).run(out, |simulation, step, out| {
            out.record(LOSS, step, simulation.objective());
        })
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let whole = |curve: CurveName| results.seeds(GROUP, curve, LOSS, Summary::Mean);
        let source = format!("{FIXES}, A.1, Figure 5");
        let test = Paired::below("loss over the whole run").times(0.5);
        let pairs = SIGNS.iter().flat_map(|sign| SLOW.iter().map(move |slow| (sign, slow)));
        vec![
            Claim::about("SGD and EF-signSGD converge at the same, slower rate", &source)
                .part(
                    "",
                    Equality::within("loss over the whole run, EF-signSGD over SGD seed by seed", 0.8, 1.25),
                    whole(SLOW[1]).and_then(|ef| ef.over(&whole(SLOW[0])?)),
                )
                .judged(),
            Claim::about("signSGD and scaled signSGD are faster than both", &source)
                .each(&test, pairs.map(|(sign, slow)| (format!("{sign} and {slow}"), whole(*sign).zip(whole(*slow)))))
                .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let made = SLOW.into_iter().fold(Made::default(), |made, curve| made.with(GROUP, curve, LOSS, &steady(30.0)));
        let made = SIGNS.into_iter().fold(made, |made, curve| made.with(GROUP, curve, LOSS, &steady(3.0)));
        let with = |curve: CurveName, values: &[f64]| made.clone().with(GROUP, curve, LOSS, values);
        vec![
            made.all_hold(),
            with(SLOW[1], &steady(60.0)).fails("SGD and EF-signSGD"),
            with(SLOW[1], &torn(21.0, 45.0)).undecided("SGD and EF-signSGD"),
            with(SIGNS[0], &steady(20.0)).fails("signSGD and scaled"),
            with(SIGNS[0], &torn(2.0, 27.0)).undecided("signSGD and scaled"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        Figure::of_groups(results, 1, |group| {
            Panel::of(results, group, LOSS, Axis::linear("iteration"), Axis::linear("loss"))
        })
    }
}
