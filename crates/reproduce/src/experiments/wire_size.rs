//! What a kept place costs on the wire: against its entropy, and against the 12-bit places of SparseLoCo's own format
//! (Sarfi et al. 2025).

use std::sync::Arc;

use backburn_compress::{
    AnyCompressor, Key, Layout, Memo, Message, Philox, Stream, Vector, compress, decode_message, encode_message,
};
use backburn_optim::GroupConfig;
use backburn_train::data::VOCABULARY;
use backburn_train::models::ModelKind;
use burn::optim::{AdamWConfig, GradientsParams};
use statrs::function::factorial::ln_binomial;

use crate::error::ReproduceError;
use crate::experiment::papers::SPARSE_LOCO;
use crate::experiment::{About, Experiment, Setup, Table};
use crate::figure::{Axis, Figure, Panel};
use crate::record::judge::{Bound, Exact};
#[cfg(test)]
use crate::record::made::{Made, Witness, steady, torn};
use crate::record::{Claim, Curve, CurveName, GroupName, Metric, Recorder, Results, Summary};
use crate::words::short;

pub(super) struct WireSize;

const DELTA: GroupName = GroupName::new("where AdamW led a GPT");
const NORMAL: GroupName = GroupName::new("normal numbers");
const GROUPS: [GroupName; 2] = [DELTA, NORMAL];
/// Kept of 4096, and the name; the second is SparseLoCo's.
const KEPT: [(u32, CurveName); 4] = [
    (16, CurveName::new("16 of 4096")),
    (64, CurveName::new("64 of 4096, SparseLoCo")),
    (256, CurveName::new("256 of 4096")),
    (1024, CurveName::new("1024 of 4096")),
];
const SPARSE: CurveName = KEPT[1].1;

/// All that is sent beside the values' two bits and their sizes, a kept value.
const PLACE: Metric = Metric::new("bits a kept place");
/// log₂ of the number of ways to choose as many of a parameter's places, a kept value.
const ENTROPY: Metric = Metric::new("entropy of a kept place in bits");
const OVER_ENTROPY: Metric = Metric::new("bits a place over entropy");
/// Over 12 bits a place, 2 a value, and five f32 a parameter, without any framing.
const OF_PUBLISHED: Metric = Metric::new("bytes over those of the published format");
const SAVED: Metric = Metric::new("bits of 32-bit floats over bits");
const PUBLISHED_SAVED: Metric = Metric::new("the same of the published format");
/// Coordinates of which what is decoded has other bits than what was encoded.
const OTHER: Metric = Metric::new("coordinates that decode otherwise");

impl WireSize {
    fn model(setup: &Setup) -> ModelKind {
        let text = setup.scale.pick(
            "gpt:layers=1,dim=64,heads=2,context=16",
            "gpt:layers=2,dim=256,heads=8,context=32",
            "gpt:layers=12,dim=768,heads=12,context=256",
        );
        text.parse().expect("a form from here parses")
    }

    fn steps(setup: &Setup) -> u64 {
        setup.scale.pick(2, 30, 30)
    }

    /// θ − θ_i after H steps of AdamW on a worker's own windows, and its layout; once for all curves of a seed.
    fn delta(setup: &Setup, seed: u64) -> Result<Arc<(Layout, Vector)>, ReproduceError> {
        let kind = Self::model(setup);
        let context = kind.context().unwrap_or(1);
        let split = setup.text(context, 1)?;
        setup.shared(&format!("delta of {kind}, seed {seed}"), || {
            let device = setup.device.device()?.autodiff();
            let start = kind.build([1, 1, context], VOCABULARY, seed, &device)?;
            let group = GroupConfig::any("sgd".parse()?, "identity".parse()?).init(&start)?;
            let mut adamw = AdamWConfig::new().with_beta_2(0.95).with_epsilon(1e-8).with_weight_decay(0.1).init();
            let (mut model, mut random) = (start.clone(), Philox::new(Key::new(seed).stream(Stream::PROBLEM).draw()));
            for _ in 0..Self::steps(setup) {
                let windows: Vec<usize> = (0..4).map(|_| random.below(split.train.len() as u32) as usize).collect();
                let batch = split.train.batch(&windows, None, &device);
                let loss = model.loss(batch.images, batch.targets);
                let grads = GradientsParams::from_grads(loss.backward(), &model);
                model = adamw.step(1e-3, model, grads);
            }
            let mut delta = group.parameters(&model)?;
            delta.blend(-1.0, 1.0, &group.parameters(&start)?);
            Ok((Layout::clone(group.layout()), delta))
        })
    }
}

impl Experiment for WireSize {
    fn about(&self) -> About {
        About {
            name: "wire-size",
            title: "What a kept place costs: against entropy, and against places of 12 bits",
            source: "Sarfi et al. 2025, SparseLoCo, §3, and its public programs' format",
            claims: &[
                "SparseLoCo's messages take at most 0.70 of the published format's bytes at the same values",
                "places take within 5 % of their entropy",
                "more than 200 times fewer bits than 32-bit floats, where the published format has 146 at most",
            ],
            time: ["6 s", "2 min"],
        }
    }

    fn curves(&self, _: &Setup) -> Vec<Curve> {
        let of = |group: GroupName, (k, name): (u32, CurveName)| {
            Curve::new(group, name, "sparse-loco", &format!("topk:{k}/4096,values=2bit,tiles"), 1.0)
        };
        GROUPS.iter().flat_map(|group| KEPT.map(|kept| of(*group, kept))).collect()
    }

    fn seeds(&self, setup: &Setup) -> u64 {
        setup.scale.pick(3, 3, 5)
    }

    fn settings(&self, setup: &Setup) -> Vec<(&'static str, String)> {
        vec![
            ("shapes", Self::model(setup).to_string()),
            (
                "numbers",
                format!(
                    "how far {} steps of AdamW led on {}; N(0, 1) of the same shapes",
                    Self::steps(setup),
                    setup.text_set()
                ),
            ),
            ("published format", "12 bits a place, 2 a value, five f32 a parameter, no framing".into()),
        ]
    }

    fn departures(&self, _: &Setup) -> Vec<String> {
        vec!["The published programs frame their messages in ways of their own; here only what the paper counts is counted of them, and all bytes of ours.".into()]
    }

    fn run(&self, curve: &Curve, seed: u64, setup: &Setup, out: &mut Recorder) -> Result<(), ReproduceError> {
        out.tick(0, 1)?;
        let made = Self::delta(setup, seed)?;
        let (layout, mut x) = (&made.0, made.1.clone());
        if curve.group == NORMAL {
            let mut random = Philox::new(Key::new(seed).stream(Stream::PROBLEM).draw());
            x.as_mut_slice().iter_mut().for_each(|x| *x = random.normal());
        }
        let compressor: AnyCompressor = curve.compressor.parse()?;
        let mut memos = vec![Memo::default(); layout.units().len()];
        let message = compress(&*compressor.shared(), &x, 1.0, layout, &Key::new(seed), &mut memos);
        let bytes = encode_message(&message);
        let read = decode_message(&bytes, layout.len() as u64).expect("what was encoded is decoded");
        let plain = |message: &Message| message.payloads.iter().flat_map(|p| p.decode()).collect::<Vec<f32>>();
        let other = plain(&message).iter().zip(&plain(&read)).filter(|(a, b)| a.to_bits() != b.to_bits()).count();

        let units = || message.payloads.iter().zip(layout.units()).map(|(payload, unit)| (payload.sent(), unit.len()));
        let kept: usize = units().map(|(k, _)| k).sum();
        // Four sizes and two bits a value of every parameter.
        let values: f64 = units().map(|(k, _)| 8.0 * (16 + k.div_ceil(4)) as f64).sum();
        let place = (8.0 * bytes.len() as f64 - values) / kept as f64;
        let bits = |(k, d): (usize, usize)| ln_binomial(d as u64, k as u64) / std::f64::consts::LN_2;
        let entropy = units().map(bits).sum::<f64>() / kept as f64;
        let published: f64 = units().map(|(k, _)| (20 + (14 * k).div_ceil(8)) as f64).sum();
        let dense = 4.0 * layout.len() as f64;
        for (metric, value) in [
            (PLACE, place),
            (ENTROPY, entropy),
            (OVER_ENTROPY, place / entropy),
            (OF_PUBLISHED, bytes.len() as f64 / published),
            (SAVED, dense / bytes.len() as f64),
            (PUBLISHED_SAVED, dense / published),
            (OTHER, other as f64),
        ] {
            out.record(metric, kept as f64 / layout.len() as f64, value);
        }
        Ok(())
    }

    fn claims(&self, results: &Results) -> Vec<Claim> {
        let of = |group: GroupName, curve: CurveName, metric| results.seeds(group, curve, metric, Summary::Last);
        let both = |metric| GROUPS.map(|group| (group, of(group, SPARSE, metric)));
        let all = GROUPS.iter().flat_map(|group| KEPT.map(|(_, name)| (*group, name)));
        vec![
            Claim::about(
                "SparseLoCo's messages take at most 0.70 of the bytes of the published format, at the same values",
                format!("ours, on {SPARSE_LOCO}"),
            )
            .each(&Bound::at_most("bytes over the published format's", 0.70), both(OF_PUBLISHED))
            .judged(),
            Claim::about("Places take within 5 % of their entropy, framing and all", "ours")
                .each(&Bound::at_most("bits a place over entropy", 1.05), both(OVER_ENTROPY))
                .judged(),
            Claim::about(
                "SparseLoCo sends more than 200 times fewer bits than 32-bit floats, of which its paper has 146",
                format!("ours, on {SPARSE_LOCO}, §3"),
            )
            .each(&Bound::at_least("bits of 32-bit floats over bits", 200.0), both(SAVED))
            .judged(),
            Claim::about("What is decoded is what was encoded, bit for bit", "ours")
                .each(
                    &Exact::at_most("coordinates that decode otherwise", 0.0),
                    all.map(|(group, name)| {
                        (format!("{group}, {name}"), of(group, name, OTHER).map(|other| other.most()))
                    }),
                )
                .judged(),
        ]
    }

    #[cfg(test)]
    fn witnesses(&self) -> Vec<Witness> {
        let mut made = Made::default();
        for (group, (_, name)) in GROUPS.iter().flat_map(|group| KEPT.map(|kept| (*group, kept))) {
            for (metric, value) in [(OF_PUBLISHED, 0.68), (OVER_ENTROPY, 1.02), (SAVED, 212.0), (OTHER, 0.0)] {
                made = made.with(group, name, metric, &steady(value));
            }
        }
        let with = |metric, values: &[f64]| made.clone().with(DELTA, SPARSE, metric, values);
        vec![
            made.all_hold(),
            with(OF_PUBLISHED, &steady(0.8)).fails("SparseLoCo's messages"),
            with(OF_PUBLISHED, &torn(0.6, 0.79)).undecided("SparseLoCo's messages"),
            with(OVER_ENTROPY, &steady(1.2)).fails("Places"),
            with(OVER_ENTROPY, &torn(1.0, 1.09)).undecided("Places"),
            with(SAVED, &steady(146.0)).fails("SparseLoCo sends"),
            with(SAVED, &torn(180.0, 222.0)).undecided("SparseLoCo sends"),
            with(OTHER, &steady(1.0)).fails("What is decoded"),
        ]
    }

    fn figure(&self, results: &Results) -> Figure {
        let share = || Axis::log("share of coordinates that are kept");
        let panel = |metric: Metric| Panel::of(results, DELTA, metric, share(), Axis::linear(metric.name()));
        Figure::new(2, vec![panel(PLACE), panel(OF_PUBLISHED)])
    }

    fn tables(&self, results: &Results) -> Vec<Table> {
        let head =
            ["numbers", "kept", "bits a place", "entropy", "of the published bytes", "of 32-bit floats", "published"];
        let mut table = Table::new("A message", &head);
        for (group, (_, name)) in GROUPS.iter().flat_map(|group| KEPT.map(|kept| (*group, kept))) {
            let of = |metric| results.last(group, name, metric);
            let cell = |metric| of(metric).map_or("–".into(), short);
            let times = |metric| of(metric).map_or("–".into(), |times| format!("1/{}", short(times)));
            table.rows.push(vec![
                group.into(),
                name.into(),
                cell(PLACE),
                cell(ENTROPY),
                cell(OF_PUBLISHED),
                times(SAVED),
                times(PUBLISHED_SAVED),
            ]);
        }
        vec![table]
    }
}

#[cfg(test)]
mod tests {
    use backburn_compress::Scope;

    use super::*;

    /// Of 64 places in 4096, where the published format has 12 bits.
    #[test]
    fn entropy_is_that_of_the_binomial() {
        let bits = ln_binomial(4096, 64) / std::f64::consts::LN_2 / 64.0;
        assert!((bits - 7.36).abs() < 0.02, "{bits}");
    }

    #[test]
    fn every_unit_is_a_parameter() {
        let setup = Setup::new(crate::experiment::Scale::Smoke, Default::default(), Default::default());
        let made = WireSize::delta(&setup, 1).unwrap();
        let (layout, delta) = &*made;
        assert_eq!((layout.units().len(), layout.scope()), (layout.parameters().len(), Scope::Parameter));
        assert!(delta.as_slice().iter().any(|x| *x != 0.0) && delta.len() == layout.len());
    }
}
