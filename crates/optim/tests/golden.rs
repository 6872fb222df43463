//! Recorded runs, worked out in float64 by an independent program from the formulas.

use backburn_optim::replay::{self, Case, Outcome};

fn cases() -> Vec<Case> {
    let mut file: serde_json::Value = serde_json::from_str(include_str!("golden/replay.json")).expect("JSON");
    let traces = file["traces"].take();
    for case in file["cases"].as_array_mut().expect("a list of cases") {
        case["trace"] = traces[case["trace"].as_u64().expect("an index") as usize].clone();
    }
    let mut cases: Vec<Case> = serde_json::from_value(file["cases"].take()).expect("cases");
    assert_eq!(cases.len(), 84);
    if let Some(path) = std::env::var_os("BACKBURN_GOLDEN") {
        let text = std::fs::read_to_string(&path).expect("BACKBURN_GOLDEN names a readable file");
        cases.extend(replay::read(&text).expect("BACKBURN_GOLDEN names a file of cases"));
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
fn every_case_agrees_on_modules() {
    let device = backburn_optim::device("auto").expect("a backend");
    check(cases().iter().map(|case| replay::run(case, &device)).collect());
}
