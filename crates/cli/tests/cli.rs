//! The command as a user meets it.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{backburn, refusal, text};

#[test]
fn refusals_name_what_is_allowed() {
    insta::assert_snapshot!(refusal(&["train", "--compressor", "topk:1.5"]), @r"
    error: invalid value 'topk:1.5' for '--compressor <COMPRESSOR>': ratio 1.5 is outside (0, 1]

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refusal(&["train", "--workers", "0"]), @"error: configuration: workers must be at least 1, and is 0");
    insta::assert_snapshot!(refusal(&["train", "--algorithm", "ef-sgd", "--compressor", "sign"]), @"error: `sign` cannot stand under error feedback: its error has no bound relative to its input; use `sign:scaled` instead of `sign`");
    for (args, needle) in [
        (vec!["train", "--compressor", "top"], "did you mean `topk`? known: identity, "),
        (vec!["train", "--algorithm", "adam"], "known: sgd, "),
        (vec!["train", "--data", "imagenet"], "fashion-embedded"),
        (vec!["train", "--device", "tpu"], "this build has: auto"),
        (vec!["train", "--resume", "--out", "/nonexistent/run"], "cannot read `/nonexistent/run/config.toml`"),
        (vec!["train", "--config", "/nonexistent.toml"], "cannot read `/nonexistent.toml`"),
        (vec!["replay", "/nonexistent.json"], "cannot read `/nonexistent.json`"),
        (vec!["data", "fetch", "imagenet"], "fashion-embedded"),
        (vec!["train", "--batch", "18446744073709551615"], "batch must be between 1 and"),
        (vec!["train", "--resume", "--out", "r", "--config", "c"], "cannot be used with"),
        (vec!["train", "--steps", "1", "--steps", "2"], "cannot be used multiple times"),
        (vec!["train", "--stesp", "1"], "'--steps'"),
        (vec!["tran"], "'train'"),
        (vec!["train", "--model", "lenet"], "resnet20"),
        (vec!["train", "--compressor", "tpok:0.1"], "did you mean `topk`?"),
        (vec!["train", "--algorithm", "efsgd"], "did you mean `ef-sgd`?"),
        (vec!["train", "--compressor", "topk:0.1,values=f16,values=f16"], "`values` is given twice"),
        (vec!["compressors", "tpok"], "did you mean `topk`?"),
        (vec!["methods", "efsgd"], "did you mean `ef-sgd`?"),
        (vec!["reproduce", "nope"], "counterexample-1"),
        (vec!["reproduce", "all", "nope"], "counterexample-1"),
        (vec!["stability", "--steps", "0"], "steps must be at least 1"),
        (vec!["stability", "--lr", "nan"], "lr and noise must be finite"),
    ] {
        assert!(refusal(&args).contains(needle), "{args:?}: {}", refusal(&args));
    }
}

#[test]
fn help_shows_defaults_groups_and_choices() {
    for page in ["", "train", "data", "replay", "reproduce", "stability", "compressors", "completions"] {
        let args: Vec<&str> = page.split_whitespace().chain(["--help"]).collect();
        insta::assert_snapshot!(["help", page].join("-").trim_end_matches('-'), text(&backburn(&args).stdout));
    }
}

fn json(args: &[&str]) -> serde_json::Value {
    let said = text(&backburn(&[args, &["--json"]].concat()).stdout);
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{args:?}: {e} in {said}"))
}

#[test]
fn every_listing_is_had_as_json() {
    for (args, name, field) in [
        (vec!["methods"], "ef-sgd", "equation"),
        (vec!["compressors"], "topk", "link"),
        (vec!["data", "list"], "fashion-embedded", "licence"),
        (vec!["reproduce", "--list"], "max-margin", "claims"),
    ] {
        let listed = json(&args);
        let row = listed.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
        assert!(!row[field].is_null(), "{args:?}: {row}");
    }
}

#[test]
fn one_form_is_shown_with_what_goes_with_it() {
    let topk = text(&backburn(&["compressors", "topk:0.01"]).stdout);
    for needle in ["equation", "https://arxiv.org/abs/1809.07599", "values=f32", "α = 0.100", "goes with  sgd"] {
        assert!(topk.contains(needle), "{needle} in {topk}");
    }
    // A plain sign has no place under feedback, a scaled one has; without feedback both go.
    let method = json(&["methods", "ef-sgd"]);
    let names = |key: &str| -> Vec<String> {
        method[key].as_array().unwrap().iter().map(|row| row["form"].as_str().unwrap().into()).collect()
    };
    assert!(names("goes_with").contains(&"sign:scaled".into()) && names("not_with").contains(&"sign".into()));
    let sign = json(&["compressors", "sign"]);
    let row = |name: &str| sign["goes_with"].as_array().unwrap().iter().find(|row| row["form"] == name).unwrap();
    assert_eq!(row("ef-sgd")["only"], serde_json::json!(["sign:scaled"]));
    assert!(row("compressed-sgd")["only"].is_null());
}

#[test]
fn completions_know_the_subcommands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&backburn(&["completions", shell]).stdout);
        assert!(script.contains("reproduce") && script.contains("checkpoint-every"), "{shell}");
    }
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_utf_8_is_an_error() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let mut command = Command::new(env!("CARGO_BIN_EXE_backburn"));
    let output =
        command.args(["train", "--print-config", "--data-dir"]).arg(OsStr::from_bytes(b"a\xffb")).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("data_dir must be UTF-8"), "{said}");
}

#[test]
fn a_run_is_overwritten_only_on_demand() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let out = run.to_str().unwrap();
    let args = ["train", "--model", "softmax", "--steps", "2", "--device", "flex", "--out", out];
    assert!(backburn(&args).status.success());
    let before = std::fs::read(run.join("summary.json")).unwrap();
    let said = refusal(&args);
    assert!(said.contains("config.toml") && said.contains("--resume") && said.contains("--overwrite"), "{said}");
    assert_eq!(std::fs::read(run.join("summary.json")).unwrap(), before);
    assert!(backburn(&[&args[..], &["--overwrite", "--seed", "2"]].concat()).status.success());
    assert_ne!(std::fs::read(run.join("summary.json")).unwrap(), before);
    // A file of somebody else's is in the way as well.
    let foreign = place.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("config.toml"), "mine").unwrap();
    let args = ["train", "--steps", "1", "--out", foreign.to_str().unwrap()];
    assert!(refusal(&args).contains("config.toml"));
    assert_eq!(std::fs::read_to_string(foreign.join("config.toml")).unwrap(), "mine");
}

#[test]
fn a_printed_configuration_is_read_back_and_unknown_keys_are_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("run.toml");
    let printed = text(&backburn(&["train", "--workers", "7", "--lr", "0.3", "--print-config"]).stdout);
    std::fs::write(&file, &printed).unwrap();
    let again = backburn(&["train", "--config", file.to_str().unwrap(), "--print-config"]);
    assert_eq!(printed, text(&again.stdout));
    assert!(printed.contains("workers = 7") && printed.contains("lr = 0.3"));
    std::fs::write(&file, format!("wrokers = 3\n{printed}")).unwrap();
    let said = refusal(&["train", "--config", file.to_str().unwrap()]);
    assert!(said.contains("unknown field `wrokers`") && said.contains("`workers`"), "{said}");
}

const CASES: &str = r#"[
  {"id": "right", "method": {"name": "sgd"}, "compressor": {"kind": "identity"}, "lr": [0.5],
   "x0": [[[1.0, 2.0]]], "trace": [[[[[2.0, 0.0]]], [[[0.0, 2.0]]]]],
   "iterates": [[[[1.0, 2.0]]], [[[0.5, 1.5]]]]},
  {"id": "unknown", "method": {"name": "adam"}, "compressor": {"kind": "identity"}, "lr": [0.5],
   "x0": [[1.0]], "trace": [[[[2.0]]]]}
]"#;

fn replay(place: &Path, cases: &str) -> Output {
    let file = place.join("cases.json");
    std::fs::write(&file, cases).unwrap();
    backburn(&["replay", file.to_str().unwrap()])
}

#[test]
fn replay_prints_a_line_a_case_and_fails_where_one_is_off() {
    let place = tempfile::tempdir().unwrap();
    let output = replay(place.path(), CASES);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["id"], "right");
    assert_eq!(lines[0]["max_error"], 0.0);
    assert!(lines[0]["bytes_up"].as_u64().unwrap() > 0);
    assert!(lines[1]["unsupported"].is_string());
    assert!(text(&output.stderr).contains("0 wrong, 1 unsupported"), "{}", text(&output.stderr));
    let off = replay(place.path(), &CASES.replace("0.5, 1.5]]", "0.5, 1.6]]"));
    assert_eq!(off.status.code(), Some(1));
    assert!(replay(place.path(), &CASES.replace("[[1.0, 2.0]]", "[[1.0, 2.0], [3.0]]")).status.code() == Some(1));
}

#[test]
fn a_damaged_checkpoint_is_refused_and_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let run = run.to_str().unwrap();
    let trained = backburn(&["train", "--model", "softmax", "--steps", "3", "--out", run]);
    assert!(trained.status.success(), "{}", text(&trained.stderr));
    let file = Path::new(run).join("checkpoint.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() - 100;
    bytes[middle] ^= 0x40;
    std::fs::write(&file, &bytes).unwrap();
    let said = refusal(&["train", "--resume", "--out", run]);
    assert!(said.contains("damaged") && said.contains("checksum"), "{said}");
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(refusal(&["train", "--resume", "--out", run]).contains("damaged"));
    assert_eq!(std::fs::read(&file).unwrap().len(), bytes.len() / 2);
}

#[test]
fn a_disk_that_is_full_is_said_so() {
    // Every write to this device fails as on a full disk.
    if Path::new("/dev/full").exists() {
        let output = Command::new(env!("CARGO_BIN_EXE_backburn"))
            .args(["train", "--print-config"])
            .stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap())
            .output()
            .unwrap();
        assert!(!output.status.success());
        assert!(text(&output.stderr).contains("cannot write to standard output"));
    }
}

#[test]
fn a_run_goes_on_with_what_it_began_with_and_beyond_its_end() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let train = |more: &[&str]| {
        let mut args = vec!["train", "--subset", "100", "--batch", "4", "--device", "flex"];
        args.extend(["--out", out.to_str().unwrap()]);
        args.extend(more);
        backburn(&args)
    };
    let said = text(&train(&["--workers", "2", "--steps", "4", "--algorithm", "ecx:alpha=0.01"]).stderr);
    assert!(said.contains("warning: ") && said.contains("alpha=0.01"), "{said}");
    assert!(train(&["--resume", "--steps", "6", "--workers", "3"]).status.success());
    // Resumed once more it is over, with the workers it had last, and says so.
    let again = backburn(&["train", "--resume", "--out", out.to_str().unwrap()]);
    assert!(again.status.success() && text(&again.stderr).contains("all 6 steps"), "{}", text(&again.stderr));
    for (change, named) in
        [(["--seed", "9"], "seed = 9"), (["--partition", "by-class"], "partition = by-class, was iid")]
    {
        let refused = train(&[&["--resume", "--workers", "3"], &change[..]].concat());
        assert!(!refused.status.success() && text(&refused.stderr).contains(named), "{}", text(&refused.stderr));
    }
    let other = train(&["--resume", "--workers", "3", "--algorithm", "ecx:alpha=0.01,one-step"]);
    assert!(text(&other.stderr).contains("the snapshot is of the method"), "{}", text(&other.stderr));
}

#[test]
fn malformed_cases_fail_alone() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("cases.json");
    let mut cases: serde_json::Value = serde_json::from_str(CASES).unwrap();
    let good = cases[0].clone();
    let changed = |key: &str, value: serde_json::Value| {
        let mut case = good.clone();
        case[key] = value;
        case
    };
    cases = serde_json::json!([
        changed("lr", serde_json::json!("fast")),
        changed("x0", serde_json::json!([[], [1.0]])),
        changed("compressor", serde_json::json!({"kind": "topk", "ratio": 2})),
        changed("compressor", serde_json::json!({"kind": "unheard-of"})),
        good,
    ]);
    std::fs::write(&file, cases.to_string()).unwrap();
    let output = backburn(&["replay", file.to_str().unwrap(), "--device", "flex"]);
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = (lines.iter())
        .map(|l| ["error", "unsupported", "iterates"].into_iter().find(|k| l.get(*k).is_some()).unwrap())
        .collect();
    assert_eq!(kinds, ["error", "error", "error", "unsupported", "iterates"]);
    assert!(!output.status.success());
}
