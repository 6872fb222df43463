//! The poster's divergence of EF21-SGD on ½‖x‖², and that it does not improve with n.

use crate::error::ReproduceError;
use crate::experiment::papers::MOMENTUM;
use crate::experiment::{About, Experiment, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::vector::{Length, simulate};
use crate::problems::SaddleNoise;
use crate::record::metric::SQUARED_GRADIENT;
use crate::record::{Claim, Curve, Recorder, Results};
use crate::words::short;

pub(super) struct Ef21Divergence;

const WORKERS: [usize; 3] = [1, 10, 100];
const METHODS: [(&str, &str); 3] =
    [("EF21-SGD", "ef21-sgd"), ("EF21-SGD-ideal", "ef21-sgd-ideal"), ("EF21-SGDM", "ef21-sgdm:eta=0.01")];
const SIGMA: f32 = 1.0;

fn group(n: usize) -> String {
    format!("n = {n}")
}

impl Ef21Divergence {
    fn length(setup: &Setup) -> Length {
        Length { steps: setup.scale.pick(200, 4000, 10_000), points: 200 }
    }
}

impl Experiment for Ef21Divergence {
    fn about(&self) -> About {
        About {
            name: "ef21-divergence",
            title: "EF21-SGD and its ideal form do not converge under noise and do not improve with n; EF21-SGDM does",
            source: "Fatkhullin et al. 2023, Theorem 1 and the poster's figure of divergence",
            claims: &[
                "Theorem 1's lower bound",
                "no improvement with n for EF21-SGD and -ideal",
                "EF21-SGDM improves with n",
            ],
            time: ["3 min", "1 h"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let curve = |n: usize, (name, algorithm): (&str, &str)| Curve {
            workers: n,
            cost: n as f64 + 10.0,
            ..Curve::new(group(n), name, algorithm, "topk:k=1", 0.01)
        };
        WORKERS.into_iter().flat_map(|n| METHODS.into_iter().map(move |m| curve(n, m))).collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(2, 20, 100)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("steps", Self::length(setup).steps.to_string()),
            ("f", "||x||^2/2 on the plane, x0 = (0, -1)".into()),
            ("noise", "uniform on {(2, 0), (0, 1), (-2, -1)} sqrt(3 sigma^2/10), sigma = 1".into()),
        ]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let problem = SaddleNoise { sigma: SIGMA };
        let length = Self::length(setup);
        let lr = curve.lr;
        simulate(
            curve,
            &problem,
            seed,
            vec![0.0, -1.0],
            length,
            move |_| lr,
            SQUARED_GRADIENT,
            out,
            |simulation, step, out| {
                out.record(SQUARED_GRADIENT, step, simulation.squared_gradient());
            },
        )
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        // The stationary part: the second half of the run.
        let late = |n: usize, curve: &str| results.tail(&group(n), curve, SQUARED_GRADIENT, 0.5);
        let fall = |curve: &str| Some(late(10, curve)? / late(100, curve)?);
        let source = format!("{MOMENTUM}, Theorem 1");
        let figure = format!("{MOMENTUM}, figure of divergence");
        vec![
            Claim::judge(
                "EF21-SGD-ideal stays above the lower bound for every n",
                &source,
                "the smallest mean over seeds of ||grad f||^2, over steps and n, at least min{sigma^2, ||grad f(x_0)||^2}/60 = 0.01667",
                || {
                    let mut least = f64::INFINITY;
                    for n in WORKERS {
                        let line = crate::figure::line(&results.series(&group(n), "EF21-SGD-ideal", SQUARED_GRADIENT));
                        least = line.iter().map(|p| p.mean).fold(least, f64::min);
                        late(n, "EF21-SGD-ideal")?;
                    }
                    Some((least >= 1.0 / 60.0, short(least)))
                },
            ),
            Claim::judge(
                "EF21-SGD and EF21-SGD-ideal do not improve from 10 to 100 workers",
                &figure,
                "||grad f||^2 over the second half falls by less than 20 %: ratio below 1.25 for both",
                || {
                    let (sgd, ideal) = (fall("EF21-SGD")?, fall("EF21-SGD-ideal")?);
                    let text = format!("EF21-SGD {}, EF21-SGD-ideal {}", short(sgd), short(ideal));
                    Some((sgd < 1.25 && ideal < 1.25, text))
                },
            ),
            Claim::judge(
                "EF21-SGDM goes on improving with n",
                &figure,
                "||grad f||^2 over the second half falls at least 4 times from 10 to 100 workers",
                || {
                    let ratio = fall("EF21-SGDM")?;
                    Some((ratio >= 4.0, short(ratio)))
                },
            ),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        Figure::of_groups(results, 2, |group| {
            Panel::of(results, group, SQUARED_GRADIENT, Axis::linear("iteration"), Axis::log("squared gradient norm"))
        })
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let mut table =
            Table::new("Squared gradient norm over the second half", &["method", "n = 1", "n = 10", "n = 100"]);
        for (name, _) in METHODS {
            let cell = |n| results.tail(&group(n), name, SQUARED_GRADIENT, 0.5).map_or("–".into(), short);
            table.rows.push(std::iter::once(name.into()).chain(WORKERS.into_iter().map(cell)).collect());
        }
        vec![table]
    }
}
