//! What exchanges cost: laws of the model, its figures by hand, and that groups and traffic feed it what was sent.

use backburn_compress::{Layout, Vector};
use backburn_optim::{Ask, Cluster, GroupConfig, Link, Links, Load, OnLink, Plan, Reply, all_reduce};
use proptest::prelude::*;

fn plans() -> impl Strategy<Value = Plan> {
    let machine = (1usize..9).prop_map(|m| format!("hierarchical:{m}").parse().unwrap());
    prop_oneof![Just(Plan::Gather), Just(Plan::Sharded), machine]
}

fn links(bits: f64, latency: f64) -> Links {
    Link::new(bits).unwrap().with_latency(latency).unwrap().into()
}

proptest! {
    /// More bytes, a longer way, more workers, a slower link: none makes an exchange faster, under any plan.
    #[test]
    fn cost_is_monotone(
        plan in plans(),
        n in 1usize..300, more in 0usize..50,
        up in 1.0..1e8f64, down in 1.0..1e8f64, dense in 1.0..1e9f64, factor in 1.0..10.0f64,
        bits in 1e3..1e11f64, latency in 0.0..1.0f64,
    ) {
        let slow = |factor: f64| links(bits / factor, latency);
        let seconds = |n, up, down, dense, links: &Links| Load::even(n, up, down, dense).seconds(plan, links);
        let here = links(bits, latency);
        let base = seconds(n, up, down, dense, &here);
        // Sums of so many terms differ in their last places.
        let least = base * (1.0 - 1e-12);
        prop_assert!(base >= 0.0 && base.is_finite());
        prop_assert!(seconds(n, factor * up, down, dense, &here) >= least, "bytes up");
        prop_assert!(seconds(n, up, factor * down, dense, &here) >= least, "bytes down");
        prop_assert!(seconds(n, up, down, factor * dense, &here) >= least, "bytes dense");
        prop_assert!(seconds(n + more, up, down, dense, &here) >= least, "n");
        prop_assert!(seconds(n, up, down, dense, &links(bits, latency * factor)) >= least, "latency");
        prop_assert!(seconds(n, up, down, dense, &slow(factor)) >= least, "rate");
        let ring = all_reduce(dense, n, &here);
        prop_assert!(all_reduce(dense * factor, n, &here) >= ring * (1.0 - 1e-12));
        prop_assert!(all_reduce(dense, n + more, &here) >= ring * (1.0 - 1e-12));
        prop_assert!(all_reduce(dense, n, &links(bits, latency * factor)) >= ring * (1.0 - 1e-12));
    }

    /// One slow worker decides for all: the step takes at least what it would take with everybody on the fast link, and
    /// at most with everybody on the slow one.
    #[test]
    fn the_slowest_link_decides(plan in plans(), n in 2usize..40, slow in 0usize..40, factor in 1.0..100.0f64) {
        let (fast, slower) = (Link::new(1e9).unwrap(), Link::new(1e9 / factor).unwrap());
        let mixed = (0..n).map(|w| if w == slow % n { slower } else { fast }).collect();
        let load = Load::even(n, 1e5, 3e5, 1e7);
        let [all_fast, mixed, all_slow] =
            [fast.into(), Links::each(mixed).unwrap(), slower.into()].map(|links| load.seconds(plan, &links));
        prop_assert!(all_fast <= mixed * (1.0 + 1e-12) && mixed <= all_slow * (1.0 + 1e-12));
    }
}

/// 1 Mbit/s and 10 ms, messages of 1000 bytes (8 ms), an aggregate of 2000: by hand.
#[test]
fn plans_cost_what_a_hand_finds() {
    let links: Links = "1Mbit,10ms".parse().unwrap();
    let load = Load::even(4, 1000.0, 2000.0, 1e5);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    close(load.seconds(Plan::Gather, &links), 0.010 + 3.0 * 0.008);
    close(load.seconds(Plan::Sharded, &links), 2.0 * 0.010 + 0.75 * (0.008 + 0.016));
    assert_eq!(load.cheapest(&links).0, Plan::Gather);
    close(all_reduce(1000.0, 4, &links), 6.0 * (0.010 + 0.002));
    // Two machines of two: one message each way, and within a machine 100 kB at 80 Gbit/s, to and fro.
    let within = 2.0 * (2e-6 + 1e5 * 8.0 / 80e9);
    close(load.seconds("hierarchical:2".parse().unwrap(), &links), within + 0.010 + 0.008);
    let asymmetric: Links = "2Mbit,10ms,down=1Mbit".parse().unwrap();
    close(load.seconds(Plan::Gather, &asymmetric), 0.010 + 3.0 * 0.008);
    let (plan, _) = Load::even(100, 1000.0, 2000.0, 1e5).cheapest(&links);
    assert_eq!(plan, Plan::Sharded, "with many workers gathering costs more");
    assert_eq!(Load::even(1, 1000.0, 2000.0, 1e5).seconds(Plan::Gather, &links), 0.0, "alone there is nothing to send");
}

/// A group reckons the bytes that its rounds have counted, and a graph's nodes speak to neighbours alone.
#[test]
fn traffic_is_what_is_reckoned() {
    let links: Links = "1Mbit,10ms".parse().unwrap();
    for (method, neighbours) in [("ef-sgd", 4.0), ("beer", 2.0)] {
        let layout = Layout::flat(1000).unwrap();
        let x = Vector::zeros(1000);
        let mut cluster =
            Cluster::new(method.parse().unwrap(), "topk:0.1".parse().unwrap(), layout, 5, 7, x.as_slice()).unwrap();
        let of = |w: usize| (0..1000).map(|i| (i * (w + 1)) as f32).collect::<Vec<f32>>();
        let mut gradient = |w: usize, _: &Ask| Ok(Reply::gradient(of(w)));
        let decided = cluster.round(0.01, &x, &mut gradient).unwrap();
        let traffic = &decided.traffic;
        let own: f64 = traffic.workers.iter().map(|b| b.up as f64).fold(0.0, f64::max);
        let seconds = OnLink::of(&Load::of(traffic, 4000.0), &links);
        let rounds = f64::from(traffic.rounds);
        let most = rounds * 0.010 + neighbours * own * 8.0 / 1e6;
        assert!((seconds.gather / most - 1.0).abs() < 0.1, "{method}: {} is not {most}", seconds.gather);
        // On so slow a link bytes decide, and shares have fewer hops than a ring.
        assert!((seconds.dense - (2.0 * 0.010 + 2.0 * 0.8 * 4000.0 * 8.0 / 1e6)).abs() < 1e-12);
        assert!(seconds.dense < all_reduce(4000.0, 5, &links));
        if method == "beer" {
            assert_eq!(seconds.gather, seconds.sharded, "there is no aggregate to serve");
        }
    }
}

#[test]
fn a_group_sums_up_its_rounds_on_a_link() {
    use burn::nn::LinearConfig;
    use burn::optim::GradientsParams;
    use burn::tensor::Tensor;
    let device = backburn_optim::device("auto").unwrap().autodiff();
    let model = LinearConfig::new(40, 20).init(&device);
    let config = |link: &str| {
        GroupConfig::any("ef-sgd".parse().unwrap(), "topk:0.1".parse().unwrap())
            .with_workers(3)
            .with_link(link.parse::<Links>().unwrap())
    };
    let run = |link: &str| {
        let mut group = config(link).init(&model).unwrap();
        let mut sum = OnLink::default();
        for _ in 0..3 {
            let grads = |w| {
                let x = Tensor::<2>::ones([2, 40], &device) * w as f32;
                GradientsParams::from_grads(model.forward(x).sum().backward(), &model)
            };
            let round = group.round(0.1, &model, (0..3).map(grads).collect()).unwrap();
            sum += OnLink::of(&round.load(), &link.parse().unwrap());
        }
        assert_eq!(group.on_link(), Some(sum));
        sum
    };
    let (fast, slow) = (run("1Gbit,1ms"), run("2*1Gbit,1ms;1Mbit,1ms"));
    assert!(fast.gather > 0.003 && fast.gather < fast.dense && fast.gather < slow.gather);
    let error = config("2*1Gbit").init(&model).unwrap_err().to_string();
    assert!(error.starts_with("2 links for 3 workers"), "{error}");
    let text = serde_json::to_string(&config("1Gbit,1ms")).unwrap();
    assert!(text.contains(r#""links":"1Gbit,1ms""#), "{text}");
}
