//! Recorded runs, worked out in float64 by an independent program from the formulas.

use backburn_optim::{DeviceError, DeviceKind};
use backburn_reproduce::replay::{self, Case, Outcome};

fn cases() -> Vec<Case> {
    let mut file: serde_json::Value = serde_json::from_str(include_str!("golden/replay.json")).expect("JSON");
    let traces = file["traces"].take();
    for case in file["cases"].as_array_mut().expect("a list of cases") {
        case["trace"] = traces[case["trace"].as_u64().expect("an index") as usize].clone();
    }
    let mut cases: Vec<Case> = serde_json::from_value(file["cases"].take()).expect("cases");
    assert_eq!(cases.len(), 142);
    if let Some(path) = std::env::var_os("BACKBURN_GOLDEN") {
        let text = std::fs::read_to_string(&path).expect("BACKBURN_GOLDEN names a readable file");
        let read = replay::read(&text).expect("BACKBURN_GOLDEN names a file of cases");
        cases.extend(read.into_iter().map(|case| case.unwrap_or_else(|failed| panic!("{failed:?}"))));
    }
    cases
}

fn check(replayed: Vec<replay::Replayed>) {
    let mut wrong = Vec::new();
    for r in &replayed {
        match &r.outcome {
            Outcome::Ran(ran) if ran.agrees && ran.max_error.is_some() => assert!(ran.bytes_up > 0),
            Outcome::Ran(ran) => wrong.push(format!("{}: off by {:?}", r.id, ran.max_error)),
            other => wrong.push(format!("{}: {other:?}", r.id)),
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), replayed.len(), wrong.join("\n"));
    assert!(!replayed.is_empty());
}

#[test]
fn every_case_agrees_on_vectors() {
    check(cases().iter().map(replay::run_flat).collect());
}

#[test]
fn every_case_agrees_on_modules_on_every_device() {
    for kind in DeviceKind::ALL.into_iter().filter(|kind| *kind != DeviceKind::Auto && kind.is_built()) {
        match kind.device() {
            Ok(device) => check(cases().iter().map(|case| replay::run(case, &device)).collect()),
            Err(DeviceError::NoAdapter(_)) => println!("{kind}: no adapter on this machine"),
            Err(error) => panic!("{kind}: {error}"),
        }
    }
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let replayed = |change: &dyn Fn(&mut Case)| {
        let mut case = cases().swap_remove(0);
        change(&mut case);
        serde_json::to_value(replay::run_flat(&case)).expect("JSON")
    };
    let told = |value: &serde_json::Value, key: &str, what: &str| {
        assert!(value[key].as_str().is_some_and(|text| text.contains(what)), "{value}");
    };
    let unknown = replayed(&|case| drop(case.method.insert("name".into(), "adam".into())));
    told(&unknown, "unsupported", "unknown algorithm `adam`");
    let option = replayed(&|case| drop(case.method.insert("heavy-ball".into(), true.into())));
    told(&option, "unsupported", "heavy-ball");
    let kind = replayed(&|case| drop(case.compressor.insert("kind".into(), "zip".into())));
    told(&kind, "unsupported", "unknown compressor `zip`");
    told(&replayed(&|case| drop(case.x0.pop())), "error", "shapes of x0");
    told(&replayed(&|case| case.trace.clear()), "error", "trace");
    let ran = replayed(&|_| ());
    assert!(ran["max_error"].is_number() && ran["bytes_up"].is_number() && ran["residual_norms"].is_array(), "{ran}");
}
