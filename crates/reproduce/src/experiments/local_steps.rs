//! What wins over slow links: a small GPT's validation loss against bytes, and against seconds at 100 Mbit/s and 20 ms,
//! of methods that speak at every step and of those whose workers take H steps by themselves.

use backburn_train::models::ModelKind;
use backburn_train::run::RunConfig;
use backburn_train::session::Schedule;

use crate::error::ReproduceError;
use crate::experiment::papers::{DEMO, DILOCO, DION, MUON, ONE_BIT, SPARSE_LOCO};
use crate::experiment::{About, Experiment, Scale, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::loops::train::{Watch, config, train};
use crate::record::judge::{Bound, Paired};
#[cfg(test)]
use crate::record::made::{Made, Witness, steady, torn};
use crate::record::metric::{MEGABYTES_DOWN, MEGABYTES_UP, SECONDS_ON_LINK, TEST_LOSS};
use crate::record::{Claim, Curve, Metric, Recorder, Results, Seeds, Summary};
use crate::words::short;

pub(super) struct LocalSteps;

const GROUP: &str = "GPT on bytes";
const LINK: &str = "100Mbit,20ms";

const ADAMW: &str = "AdamW-DDP";
const EF_SGD: &str = "EF-SGD, top-k 1 %";
const DILOCO_H: &str = "DiLoCo";
const SPARSE: &str = "SparseLoCo";
const DEMO_32: &str = "DeMo";
const DION_4: &str = "Dion";
const EF21_MUON: &str = "EF21-Muon, top-k 5 %";
const ONE_BIT_ADAM: &str = "1-bit Adam";

/// (name, method, compressor, steps between rounds, step size)
const METHODS: [(&str, &str, &str, u64, f64); 8] = [
    // Never frozen, it is AdamW on the exact mean.
    (ADAMW, "onebit-adam:freeze=1000000000,beta2=0.95,weight-decay=0.1", "identity", 1, 3e-3),
    (EF_SGD, "ef-sgd:momentum=0.9", "topk:0.01", 1, 0.3),
    (DILOCO_H, "diloco", "identity", 30, 3e-3),
    (SPARSE, "sparse-loco", "topk:128/4096,values=2bit,tiles", 30, 3e-3),
    (DEMO_32, "demo:weight-decay=0.1", "dct:64,of=topk:32/4096,tiles", 1, 1e-3),
    (DION_4, "dion:weight-decay=0.1", "identity", 1, 1e-2),
    (EF21_MUON, "ef21-muon", "topk:0.05", 1, 3e-3),
    (ONE_BIT_ADAM, "onebit-adam:freeze=300,beta2=0.95,weight-decay=0.1", "sign:scaled", 1, 3e-3),
];

impl LocalSteps {
    fn model(setup: &Setup) -> ModelKind {
        let text = setup.scale.pick(
            "gpt:layers=1,dim=8,heads=1,context=8",
            "gpt:layers=1,dim=32,heads=2,context=32",
            "gpt:layers=6,dim=256,heads=8,context=256",
        );
        text.parse().expect("a form from here parses")
    }

    fn steps(setup: &Setup) -> u64 {
        setup.scale.pick(6, 2400, 30_000)
    }

    /// H, of which a run has several in it at every scale.
    fn local_steps(curve: &Curve, setup: &Setup) -> u64 {
        setup.scale.pick(curve.setting.min(2.0), curve.setting, curve.setting) as u64
    }

    /// Windows that are measured on.
    fn measured(setup: &Setup) -> usize {
        setup.scale.pick(8, 512, usize::MAX)
    }
}

impl Experiment for LocalSteps {
    fn about(&self) -> About {
        About {
            name: "local-steps",
            title: "Over slow links: a GPT's validation loss against bytes and against seconds",
            source: "Sarfi et al. 2025, SparseLoCo; Douillard et al. 2023, DiLoCo; and what they are compared with",
            claims: &[
                "SparseLoCo's validation loss is within 1 % of AdamW-DDP's",
                "it sends at least 2,000 times fewer bytes",
                "its exchanges take at least 50 times less time at 100 Mbit/s and 20 ms",
                "DiLoCo, DeMo, Dion, EF21-Muon and 1-bit Adam are within 1 % of AdamW-DDP, as published",
                "what speaks at every step takes longer on this link than SparseLoCo, whatever it compresses by",
            ],
            time: ["6 min", "2 days"],
        }
    }

    fn curves(&self, setup: &Setup) -> Vec<Curve> {
        let batch = setup.scale.pick(1, 2, 8);
        let of = |(name, method, compressor, local, lr): (&str, &str, &str, u64, f64)| Curve {
            workers: 4,
            batch,
            setting: local as f64,
            ..Curve::new(GROUP, name, method, compressor, lr)
        };
        METHODS.map(of).to_vec()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(1, 3, 3)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("model", format!("{} on {}", Self::model(setup), setup.text_set())),
            ("steps", format!("{} of 4 workers, the last tenth of the text measured on", Self::steps(setup))),
            ("step sizes", "grow over the first 5 %, a third at 70 % and at 90 %".into()),
            (
                "link",
                format!("{LINK} of every worker; the cheaper of all-gather and sharded server; computing is not in it"),
            ),
        ]
    }

    fn departures(&self, setup: &Setup) -> Vec<String> {
        let mut all = vec![
            "Step sizes are those usual for each method, and not tuned to this model.".into(),
            "SparseLoCo keeps 128 of 4096 instead of 64: small tensors have little to leave out.".into(),
            "Matrices are all parameters of two dimensions, embeddings and the head among them, also to Dion and EF21-Muon.".into(),
        ];
        if setup.scale != Scale::Paper {
            all.push("A model of 30 thousand parameters and windows of 32 bytes, where the papers have 10 million to 10 billion and more.".into());
        }
        all
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder<'_>) -> Result<(), ReproduceError> {
        let model = Self::model(setup);
        let split = setup.text(model.context().unwrap_or(1), Self::measured(setup))?;
        let local = Self::local_steps(curve, setup);
        let config = RunConfig {
            data: setup.text_set().parse()?,
            model,
            steps: Self::steps(setup),
            local_steps: if local > 1 { local } else { 0 },
            link: Some(LINK.parse().expect("a link from here parses")),
            schedule: Schedule { lr: curve.lr, drops: vec![0.7, 0.9], factor: 3.0, warmup: 0.05 },
            ..config(curve, seed, setup)?
        };
        let watch = Watch { points: setup.scale.pick(3, 12, 60), train_accuracy: false };
        train(config, (*split).clone(), watch, out, |_, _, _, _| {}).map(drop)
    }

    fn trains_a_model(&self) -> bool {
        true
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let of = |curve: &str, metric| results.seeds(GROUP, curve, metric, Summary::Last);
        let ratio = |curve: &str, metric| of(curve, metric)?.over(&of(ADAMW, metric)?);
        let saved = |curve: &str, metric| -> Option<Seeds> { of(ADAMW, metric)?.over(&of(curve, metric)?) };
        let near = |curve: &'static str, source: String| {
            Claim::about(format!("{curve} comes within 1 % of AdamW-DDP's validation loss after as many steps"), source)
                .part("", Bound::at_most("validation loss over AdamW-DDP's", 1.01), ratio(curve, TEST_LOSS))
                .judged()
        };
        let ours = |paper: &str| format!("ours, on {paper}");
        let slower = [EF_SGD, DEMO_32, DION_4, EF21_MUON, ONE_BIT_ADAM];
        vec![
            near(SPARSE, ours(SPARSE_LOCO)),
            Claim::about("SparseLoCo sends at least 2,000 times fewer bytes than AdamW-DDP", ours(SPARSE_LOCO))
                .part("", Bound::at_least("times fewer bytes up", 2000.0), saved(SPARSE, MEGABYTES_UP))
                .judged(),
            Claim::about(
                "SparseLoCo's exchanges take at least 50 times less time than AdamW-DDP's on the link",
                ours(SPARSE_LOCO),
            )
            .part("", Bound::at_least("times fewer seconds on the link", 50.0), saved(SPARSE, SECONDS_ON_LINK))
            .judged(),
            near(DILOCO_H, ours(DILOCO)),
            near(DEMO_32, ours(DEMO)),
            near(DION_4, ours(DION)),
            near(EF21_MUON, ours(MUON)),
            near(ONE_BIT_ADAM, ours(ONE_BIT)),
            Claim::about(
                "What speaks at every step waits longer on this link than SparseLoCo, whatever it compresses by",
                "ours",
            )
            .each(
                &Paired::below("seconds on the link"),
                slower.map(|other| (other.to_owned(), of(SPARSE, SECONDS_ON_LINK).zip(of(other, SECONDS_ON_LINK)))),
            )
            .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let mut made = Made::default();
        for (name, ..) in METHODS {
            let local = name == SPARSE;
            made = made
                .with(GROUP, name, TEST_LOSS, &steady(2.0))
                .with(GROUP, name, MEGABYTES_UP, &steady(if local { 0.1 } else { 300.0 }))
                .with(GROUP, name, SECONDS_ON_LINK, &steady(if local { 1.0 } else { 100.0 }));
        }
        let with = |curve: &str, metric, values: &[f64]| made.clone().with(GROUP, curve, metric, values);
        let mut all = vec![
            made.all_hold(),
            with(SPARSE, MEGABYTES_UP, &steady(0.3)).fails("SparseLoCo sends"),
            with(SPARSE, MEGABYTES_UP, &torn(0.1, 0.3)).undecided("SparseLoCo sends"),
            with(SPARSE, SECONDS_ON_LINK, &steady(3.0)).fails("SparseLoCo's exchanges"),
            with(SPARSE, SECONDS_ON_LINK, &torn(1.0, 4.0)).undecided("SparseLoCo's exchanges"),
            with(DEMO_32, SECONDS_ON_LINK, &steady(0.5)).fails("What speaks"),
            with(DEMO_32, SECONDS_ON_LINK, &torn(0.5, 1.6)).undecided("What speaks"),
        ];
        for (curve, claim) in [
            (SPARSE, "SparseLoCo comes"),
            (DILOCO_H, "DiLoCo comes"),
            (DEMO_32, "DeMo comes"),
            (DION_4, "Dion comes"),
            (EF21_MUON, "EF21-Muon, top-k 5 % comes"),
            (ONE_BIT_ADAM, "1-bit Adam comes"),
        ] {
            all.push(with(curve, TEST_LOSS, &steady(2.2)).fails(claim));
            all.push(with(curve, TEST_LOSS, &torn(1.9, 2.13)).undecided(claim));
        }
        all
    }

    fn figure(&self, results: &Results) -> Figure {
        let loss = || Axis::linear("validation loss");
        let against = |metric: Metric, label: &str| {
            Panel::against(results, GROUP, TEST_LOSS, metric, Axis::log(label), loss())
                .titled(format!("against {metric}"))
        };
        Figure::new(
            2,
            vec![
                against(MEGABYTES_UP, "megabytes that a worker sent"),
                against(SECONDS_ON_LINK, "seconds at 100 Mbit/s, 20 ms"),
                Panel::of(results, GROUP, TEST_LOSS, Axis::linear("epoch"), loss()),
            ],
        )
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let head = ["method", "validation loss", "perplexity", "MB up", "MB down", "seconds at 100 Mbit/s, 20 ms"];
        let mut table = Table::new("After all steps", &head);
        for (name, ..) in METHODS {
            let of = |metric| results.last(GROUP, name, metric);
            let cell = |value: Option<f64>| value.map_or("–".into(), short);
            table.rows.push(vec![
                name.into(),
                cell(of(TEST_LOSS)),
                cell(of(TEST_LOSS).map(f64::exp)),
                cell(of(MEGABYTES_UP)),
                cell(of(MEGABYTES_DOWN)),
                cell(of(SECONDS_ON_LINK)),
            ]);
        }
        vec![table]
    }
}
