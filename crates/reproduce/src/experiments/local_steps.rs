//! What wins over slow links: a small GPT's validation loss against bytes, and against seconds at 100 Mbit/s and 20 ms,
//! of methods that speak at every step and of those whose workers take H steps by themselves.

use backburn_optim::ParameterGroup;
use backburn_train::models::ModelKind;
use backburn_train::run::{Inner, RunConfig};
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
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Seeds, Summary};
use crate::words::short;

pub(super) struct LocalSteps;

const GROUP: GroupName = GroupName::new("GPT on bytes");
const LINK: &str = "100Mbit,20ms";

const ADAMW: CurveName = CurveName::new("AdamW-DDP");
const EF_SGD: CurveName = CurveName::new("EF-SGD, top-k 1 %");
const DILOCO_H: CurveName = CurveName::new("DiLoCo");
const SPARSE: CurveName = CurveName::new("SparseLoCo");
const SPARSE_MUON: CurveName = CurveName::new("SparseLoCo, Muon inside, four times the steps");
const DEMO_32: CurveName = CurveName::new("DeMo");
const DION_4: CurveName = CurveName::new("Dion");
const EF21_MUON: CurveName = CurveName::new("EF21-Muon, top-k 5 %");
const ONE_BIT_ADAM: CurveName = CurveName::new("1-bit Adam");

/// A row of the table.
struct Method {
    name: CurveName,
    algorithm: &'static str,
    compressor: &'static str,
    /// H; 1 is a round at every step.
    local: u64,
    /// How many times the steps of the others.
    times: u64,
    inner: Option<Inner>,
    lr: f64,
    /// The step size of AdamW on vectors, embeddings and the head, over the method's own on matrices; 0 where all goes by
    /// the method.
    rest: f64,
}

/// Speaks at every step.
const fn each(name: CurveName, algorithm: &'static str, compressor: &'static str, lr: f64) -> Method {
    Method { name, algorithm, compressor, local: 1, times: 1, inner: None, lr, rest: 0.0 }
}

/// Step by themselves in between.
const fn apart(name: CurveName, algorithm: &'static str, compressor: &'static str, lr: f64) -> Method {
    Method { local: 30, ..each(name, algorithm, compressor, lr) }
}

const TILES: &str = "topk:128/4096,values=2bit,tiles";

/// What SparseLoCo keeps in a run of few rounds, of which each must say more.
const MANY_TILES: &str = "topk:768/4096,values=2bit,tiles";

/// What goes through AdamW beside methods for matrices.
const REST: [&str; 3] = ["*:vectors", "*embed*", "*head*"];

/// Step sizes have the least validation loss on seed 1 of those tried at small scale and its length: AdamW 0.01 of 0.01
/// and 0.02; EF-SGD 0.1 of 0.01, 0.03, 0.1 (0.3 and more diverge); DiLoCo 0.02 of 0.005, 0.01, 0.02; SparseLoCo 0.01 of 0.01
/// and 0.02, with Muon too; DeMo 0.004 of 0.001, 0.002, 0.004; Dion 0.02 of 0.02, 0.05, 0.1; EF21-Muon 0.005 of 0.005,
/// 0.01, 0.02, 0.04; 1-bit Adam 0.01 of 0.005 and 0.01. AdamW on the rest has 0.01 beside DeMo and Dion, and EF21-Muon's own beside it.
const METHODS: [Method; 9] = [
    // Never frozen, it is AdamW on the exact mean.
    each(ADAMW, "onebit-adam:freeze=1000000000,beta2=0.95,weight-decay=0.1", "identity", 1e-2),
    each(EF_SGD, "ef-sgd:momentum=0.9", "topk:0.01", 0.1),
    apart(DILOCO_H, "diloco", "identity", 2e-2),
    apart(SPARSE, "sparse-loco", TILES, 1e-2),
    // 29 rounds at small scale, and each takes two thirds of one of AdamW's exchanges on the link.
    Method {
        local: 137,
        times: 4,
        inner: Some(Inner::Muon),
        ..apart(SPARSE_MUON, "sparse-loco:decay=1", MANY_TILES, 1e-2)
    },
    Method { rest: 2.5, ..each(DEMO_32, "demo:weight-decay=0.1", "dct:64,of=topk:32/4096,tiles", 4e-3) },
    Method { rest: 0.5, ..each(DION_4, "dion:transposed,weight-decay=0.1", "identity", 2e-2) },
    Method { rest: 1.0, ..each(EF21_MUON, "ef21-muon", "topk:0.05", 5e-3) },
    each(ONE_BIT_ADAM, "onebit-adam:freeze=150,beta2=0.95,weight-decay=0.1", "sign:scaled", 1e-2),
];

impl Method {
    fn groups(&self) -> Result<Vec<ParameterGroup>, ReproduceError> {
        let rest = self.rest;
        let dense = |paths: &&str| {
            let sep = if paths.contains(':') { ',' } else { ':' };
            format!("{paths}{sep}dense,step-size={rest}").parse()
        };
        Ok(if rest == 0.0 { Vec::new() } else { REST.iter().map(dense).collect::<Result<_, _>>()? })
    }
}

impl LocalSteps {
    fn model(setup: &Setup) -> ModelKind {
        let text = setup.scale.pick(
            "gpt:layers=1,dim=8,heads=1,context=8",
            "gpt:layers=1,dim=16,heads=2,context=32",
            "gpt:layers=6,dim=256,heads=8,context=256",
        );
        text.parse().expect("a form from here parses")
    }

    /// Of what takes no more of them than the others.
    fn steps(setup: &Setup) -> u64 {
        setup.scale.pick(6, 1000, 30_000)
    }

    fn method(curve: &Curve) -> &'static Method {
        METHODS.iter().find(|method| method.name == curve.name).expect("a curve of this experiment")
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
                "SparseLoCo with Muon inside comes within 1 % of AdamW-DDP's validation loss, with four times its steps",
                "it then has sent at least 2,000 times fewer bytes",
                "its exchanges then have taken at least 50 times less time at 100 Mbit/s and 20 ms",
                "SparseLoCo, DiLoCo, DeMo, Dion, EF21-Muon and 1-bit Adam are within 1 % after as many steps, as published",
                "what speaks at every step waits longer on this link, whatever it compresses by",
            ],
            time: ["2 min", "2 days"],
        }
    }

    fn curves(&self, setup: &Setup) -> Vec<Curve> {
        let batch = setup.scale.pick(1, 2, 8);
        let of = |method: &Method| Curve {
            workers: 4,
            batch,
            setting: method.local as f64,
            cost: method.times as f64,
            ..Curve::new(GROUP, method.name, method.algorithm, method.compressor, method.lr)
        };
        METHODS.iter().map(of).collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(1, 3, 3)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("model", format!("{} on {}", Self::model(setup), setup.text_set())),
            ("steps", format!("{} of 4 workers, the last tenth of the text measured on", Self::steps(setup))),
            (
                "vectors, embeddings and head",
                format!("dense, under AdamW beside DeMo, Dion and EF21-Muon ({})", REST.join(", ")),
            ),
            ("step sizes", "grow over the first 5 %, a third at 70 % and at 90 %".into()),
            (
                "link",
                format!("{LINK} of every worker; the cheaper of all-gather and sharded server; computing is not in it"),
            ),
        ]
    }

    fn departures(&self, setup: &Setup) -> Vec<String> {
        let mut all = vec![
            "Step sizes are tuned at small scale, on seed 1, over a few of each method's, and everything else is its default."
                .into(),
            "SparseLoCo keeps 128 of 4096 instead of 64: small tensors have little to leave out. With four times the \
             steps it keeps 768 and forgets nothing: in a few rounds 3 % are too little to tell where the weights went."
                .into(),
            "Four times the steps are four times the computing, and as many more passes over the text; the bytes and seconds \
             are compared after all of them."
                .into(),
            "Seconds are those of exchanges: steps that workers take by themselves are computed, and cost no time here.".into(),
        ];
        if setup.scale != Scale::Paper {
            all.push("A model of 12 thousand parameters and windows of 32 bytes, where the papers have 10 million to 10 billion and more.".into());
        }
        all
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        let model = Self::model(setup);
        let split = setup.text(model.context().unwrap_or(1), Self::measured(setup))?;
        let (local, method) = (Self::local_steps(curve, setup), Self::method(curve));
        let config = RunConfig {
            data: setup.text_set().parse()?,
            model,
            steps: method.times * Self::steps(setup),
            inner: method.inner,
            groups: method.groups()?,
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
        let of = |curve: CurveName, metric| results.seeds(GROUP, curve, metric, Summary::Last);
        let ratio = |curve: CurveName, metric| of(curve, metric)?.over(&of(ADAMW, metric)?);
        let saved = |curve: CurveName, metric| -> Option<Seeds> { of(ADAMW, metric)?.over(&of(curve, metric)?) };
        let near = |curve: CurveName, source: String| {
            Claim::about(format!("{curve} comes within 1 % of AdamW-DDP's validation loss after as many steps"), source)
                .part("", Bound::at_most("validation loss over AdamW-DDP's", 1.01), ratio(curve, TEST_LOSS))
                .judged()
        };
        let ours = |paper: &str| format!("ours, on {paper}");
        let slower = [EF_SGD, DEMO_32, DION_4, EF21_MUON, ONE_BIT_ADAM];
        vec![
            Claim::about(
                "SparseLoCo with Muon inside comes within 1 % of AdamW-DDP's validation loss with four times its steps",
                ours(SPARSE_LOCO),
            )
            .part("", Bound::at_most("validation loss over AdamW-DDP's", 1.01), ratio(SPARSE_MUON, TEST_LOSS))
            .judged(),
            Claim::about("It then has sent at least 2,000 times fewer bytes than AdamW-DDP", ours(SPARSE_LOCO))
                .part("", Bound::at_least("times fewer bytes up", 2000.0), saved(SPARSE_MUON, MEGABYTES_UP))
                .judged(),
            Claim::about(
                "Its exchanges then have taken at least 50 times less time than AdamW-DDP's on the link",
                ours(SPARSE_LOCO),
            )
            .part("", Bound::at_least("times fewer seconds on the link", 50.0), saved(SPARSE_MUON, SECONDS_ON_LINK))
            .judged(),
            near(SPARSE, ours(SPARSE_LOCO)),
            near(DILOCO_H, ours(DILOCO)),
            near(DEMO_32, ours(DEMO)),
            near(DION_4, ours(DION)),
            near(EF21_MUON, ours(MUON)),
            near(ONE_BIT_ADAM, ours(ONE_BIT)),
            Claim::about(
                "What speaks at every step waits longer on this link than SparseLoCo with four times the steps, whatever it compresses by",
                "ours",
            )
            .each(
                &Paired::below("seconds on the link"),
                slower.map(|other| (other, of(SPARSE_MUON, SECONDS_ON_LINK).zip(of(other, SECONDS_ON_LINK)))),
            )
            .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let mut made = Made::default();
        for Method { name, .. } in METHODS {
            let local = name == SPARSE_MUON;
            made = made
                .with(GROUP, name, TEST_LOSS, &steady(2.0))
                .with(GROUP, name, MEGABYTES_UP, &steady(if local { 0.1 } else { 300.0 }))
                .with(GROUP, name, SECONDS_ON_LINK, &steady(if local { 1.0 } else { 100.0 }));
        }
        let with = |curve: CurveName, metric, values: &[f64]| made.clone().with(GROUP, curve, metric, values);
        let mut all = vec![
            made.all_hold(),
            with(SPARSE_MUON, MEGABYTES_UP, &steady(0.3)).fails("It then has sent"),
            with(SPARSE_MUON, MEGABYTES_UP, &torn(0.1, 0.3)).undecided("It then has sent"),
            with(SPARSE_MUON, SECONDS_ON_LINK, &steady(3.0)).fails("Its exchanges then"),
            with(SPARSE_MUON, SECONDS_ON_LINK, &torn(1.0, 4.0)).undecided("Its exchanges then"),
            with(DEMO_32, SECONDS_ON_LINK, &steady(0.5)).fails("What speaks"),
            with(DEMO_32, SECONDS_ON_LINK, &torn(0.5, 1.6)).undecided("What speaks"),
        ];
        for (curve, claim) in [
            (SPARSE_MUON, "SparseLoCo with Muon inside"),
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
        for Method { name, .. } in METHODS {
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
