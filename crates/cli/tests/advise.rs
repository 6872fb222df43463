//! `backburn advise` as a user meets it: the verdict follows the link, the JSON has its fields, bad input is refused.

mod common;

use common::{backburn, refusal, text};
use serde_json::Value;

/// What is advised for the mlp, with a batch of a given time and as little measuring as there is.
fn advice(bandwidth: &str) -> Value {
    let output = backburn(&[
        "advise",
        "--model",
        "mlp",
        "--batch-time",
        "80ms",
        "--seconds",
        "0",
        "--latency",
        "10us",
        "--json",
        "--bandwidth",
        bandwidth,
        "topk:0.01",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[test]
fn the_verdict_flips_with_bandwidth() {
    for (bandwidth, compress) in [("1Mbit", true), ("10Mbit", true), ("100000Gbit", false)] {
        let said = advice(bandwidth);
        assert_eq!(said["advice"]["compress"], compress, "{bandwidth}: {said}");
    }
}

#[test]
fn json_has_what_the_table_shows() {
    let said = advice("1Mbit");
    assert_eq!((&said["tensors"], &said["coordinates"]), (&6.into(), &5_824_522.into()));
    assert_eq!((&said["batch_seconds"], &said["batch_measured"]), (&0.08.into(), &false.into()));
    let advice = &said["advice"];
    assert_eq!(advice["compressor"], "topk:0.01");
    let number = |name: &str| advice[name].as_f64().unwrap_or_else(|| panic!("{name}: {advice}"));
    let ratio = number("dense_seconds") / number("seconds");
    assert!((number("speedup") / ratio - 1.0).abs() < 1e-9, "{advice}");
    assert!(said["rows"].as_array().is_some_and(|rows| rows.len() > 2), "{said}");
}

#[test]
fn bad_input_is_refused() {
    for (args, needle) in [
        (vec![], "--model"),
        (vec!["--model", "lenet"], "resnet"),
        (vec!["--shapes", "/nonexistent"], "/nonexistent"),
        (vec!["--model", "mlp", "--workers", "1"], "1 is not in 2.."),
        (vec!["--model", "mlp", "--seconds", "nan"], "--seconds must be between 0 and 3600"),
        (vec!["--model", "mlp", "--bandwidth", "fast"], "--bandwidth"),
        (vec!["--model", "mlp", "identity"], "identity compresses nothing"),
    ] {
        let args: Vec<&str> = std::iter::once("advise").chain(args).collect();
        assert!(refusal(&args).contains(needle), "{args:?}: {}", refusal(&args));
    }
}
