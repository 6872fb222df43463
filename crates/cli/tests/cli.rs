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
        (vec!["train", "--device", "tpu"], "unknown device `tpu`; known: auto, flex, "),
        (vec!["advise", "--model", "convnet", "--device", "gpu"], "did you mean `wgpu`?"),
        (vec!["replay", "x", "--device", "tpu"], "known: auto, flex, "),
        (vec!["reproduce", "all", "--device", "tpu"], "known: auto, flex, "),
        (vec!["train", "--resume", "--out", "/nonexistent/run"], "cannot read `/nonexistent/run/config.toml`"),
        (vec!["train", "--config", "/nonexistent.toml"], "cannot read `/nonexistent.toml`"),
        (vec!["replay", "/nonexistent.json"], "cannot read `/nonexistent.json`"),
        (vec!["data", "fetch", "imagenet"], "fashion-embedded"),
        (vec!["train", "--batch", "18446744073709551615"], "batch must be between 1 and"),
        (vec!["train", "--resume", "--out", "r", "--config", "c"], "cannot be used with"),
        (vec!["train", "--steps", "1", "--steps", "2"], "cannot be used multiple times"),
        (vec!["train", "--stesp", "1"], "'--steps'"),
        (vec!["tran"], "'train'"),
        (vec!["train", "--model", "lenet"], "resnet20, resnet18, resnet34, vgg19-bn, gpt[:layers=4,"),
        (vec!["train", "--model", "convet"], "unknown model `convet`; did you mean `convnet`? known: convnet, "),
        (vec!["train", "--partition", "by-clas"], "did you mean `by-class`? there are iid, "),
        (vec!["train", "--model", "gpt:dim=30"], "dim = 30 is not a multiple of heads = 4"),
        (vec!["train", "--model", "gpt", "--offline"], "reads nothing else; there are kjv, kjv-embedded and text:FILE"),
        (vec!["train", "--data", "kjv-embedded"], "is text, which convnet does not read; a model of text is gpt["),
        (vec!["train", "--model", "gpt", "--data", "text:/nonexistent"], "/nonexistent: No such file"),
        (vec!["train", "--compressor", "tpok:0.1"], "did you mean `topk`?"),
        (vec!["train", "--algorithm", "efsgd"], "did you mean `ef-sgd`?"),
        (vec!["train", "--compressor", "topk:0.1,values=f16,values=f16"], "`values` is given twice"),
        (vec!["compressors", "tpok"], "did you mean `topk`?"),
        (vec!["methods", "efsgd"], "did you mean `ef-sgd`?"),
        (vec!["reproduce", "nope"], "counterexample-1"),
        (vec!["reproduce", "all", "nope"], "counterexample-1"),
        (vec!["stability", "--steps", "0"], "steps must be at least 1"),
        (vec!["bench", "compress", "--samples", "0"], "0 is not in 1.."),
        (vec!["bench", "round", "--workers", "4,0"], "is no number of 1 or more"),
        (vec!["train", "--compressor", "topk:0,1"], "`0,1` are two arguments, since a comma separates; write `0.1`"),
        (vec!["train", "--steps", "2", "--epochs", "100"], "'--steps <N>' cannot be used with '--epochs <N>'"),
        (vec!["train", "--steps", "0"], "0 is not in 1.."),
        (vec!["train", "--epochs", "nan"], "epochs must be a positive number"),
        (vec!["train", "--lr", "1e39"], "a step size of 1e39 is not a number from 0 to 3.4028235e38"),
        (vec!["train", "--lr-factor", "1e-39"], "is not a number from 0 to 3.4028235e38"),
        (vec!["train", "--lr-factor", "1e30"], "divided by 1e30 2 times, is less than f32 holds"),
        (vec!["train", "--lr-drops", "0.5,half"], "`half` is no number"),
        (vec!["train", "--lr-drops", "0.5,1.5"], "the drop 1.5 is outside (0, 1)"),
        (vec!["train", "--schedule-length", "soon"], "there are `100steps` and `2.5epochs`"),
        (vec!["train", "--on-non-finite", "ignore"], "[possible values: stop, skip]"),
        (vec!["train", "--data-dir", "/mistyped"], "there is no directory /mistyped"),
        (vec!["data", "list", "--data-dir", "/mistyped"], "there is no directory /mistyped"),
        (vec!["reproduce", "counterexample-1", "--data-dir", "/mistyped"], "there is no directory /mistyped"),
        (vec!["reproduce", "counterexample-1", "--resume", "--overwrite"], "cannot be used with"),
        (vec!["stability", "--lr", "nan"], "lr and noise must be finite"),
    ] {
        assert!(refusal(&args).contains(needle), "{args:?}: {}", refusal(&args));
    }
}

#[test]
fn help_shows_defaults_groups_and_choices() {
    for page in ["", "train", "data", "replay", "reproduce", "stability", "advise", "compressors", "completions"] {
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
        (vec!["data", "list"], "libsvm", "usage"),
        (vec!["data", "list"], "images", "examples"),
        (vec!["data", "list"], "idx", "title"),
        (vec!["data", "list"], "text", "usage"),
        (vec!["data", "list"], "kjv", "licence"),
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

/// What a run may be given a second time, and what becomes of it: done, or refused at the start.
#[test]
fn a_resumed_run_has_the_length_it_is_given_last() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let train = |more: &[&str]| {
        let mut args = vec!["train", "--model", "softmax", "--device", "flex", "--out", out.to_str().unwrap()];
        args.extend(more);
        let output = backburn(&args);
        let lines = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap_or_default().lines().count();
        (output.status.success(), text(&output.stderr), lines)
    };
    let small = ["--subset", "80", "--batch", "4", "--workers", "2", "--steps", "3"];
    let (good, said, lines) = train(&small);
    assert!(good && lines == 3, "{said}");
    // Two epochs of ten steps; the step size goes up again, which is said.
    let (good, said, lines) = train(&["--resume", "--epochs", "2"]);
    assert!(good && lines == 20, "{said}");
    assert!(said.contains("the step sizes ran over 3 steps, and run over 20 now: 0.005 is followed by 0.05"), "{said}");
    assert!(said.contains("--schedule-length 3steps"), "{said}");
    // Kept, it says nothing and is what it was at the end.
    let (good, said, lines) = train(&["--resume", "--steps", "22", "--schedule-length", "20"]);
    assert!(good && lines == 22 && !said.contains("step sizes"), "{said}");
    let metrics = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert_eq!(last["lr"], 0.0005);
    let (good, said, lines) = train(&["--resume", "--steps", "5"]);
    assert!(!good && lines == 22 && said.contains("at step 22 already, and would have 5"), "{said}");
    assert!(out.join("summary.json").exists(), "a refusal leaves all as it was");
    let (good, said, _) = train(&["--resume"]);
    assert!(good && said.contains("all 22 steps have been taken already"), "{said}");
}

/// Two ways of writing one method are one method, and data are known by what is in them.
#[test]
fn what_is_resumed_is_compared_by_what_it_is_and_not_by_its_text() {
    let place = tempfile::tempdir().unwrap();
    let (out, rows) = (place.path().join("run"), place.path().join("rows.txt"));
    let lines: String = (0..40).map(|i| format!("{} {}:1\n", i % 2, 1 + i % 5)).collect();
    std::fs::write(&rows, &lines).unwrap();
    let train = |more: &[&str]| {
        let mut args = vec!["train", "--model", "softmax", "--workers", "1", "--batch", "4", "--device", "flex"];
        args.extend(["--out", out.to_str().unwrap()]);
        args.extend(more);
        let output = backburn(&args);
        (output.status.success(), text(&output.stderr))
    };
    let data = format!("libsvm:{}", rows.display());
    let method = ["--algorithm", "ef-sgd:momentum=0.9,weight-decay=0"];
    let (good, said) = train(&[&["--data", &data, "--steps", "2"], &method[..]].concat());
    assert!(good, "{said}");
    let (good, said) = train(&["--resume", "--steps", "3", "--algorithm", "ef-sgd:decay=1,momentum=0.90"]);
    assert!(good, "{said}");
    let moved = place.path().join("moved.txt");
    std::fs::rename(&rows, &moved).unwrap();
    let data = format!("libsvm:{}", moved.display());
    let (good, said) = train(&["--resume", "--steps", "4", "--data", &data]);
    assert!(good, "{said}");
    std::fs::write(&moved, lines.replace("0 1:1", "0 2:1")).unwrap();
    let (good, said) = train(&["--resume", "--steps", "5"]);
    assert!(!good && said.contains("the training data is not what the run began with"), "{said}");
}

/// Each loses what can be lost where another number of workers goes on; only EF21 has a server that knows them.
#[test]
fn a_graph_is_not_refused_in_the_words_of_a_server() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let args = ["train", "--model", "softmax", "--subset", "80", "--batch", "4", "--steps", "2", "--algorithm", "beer"];
    assert!(backburn(&[&args[..], &["--out", out.to_str().unwrap()]].concat()).status.success());
    let said = refusal(&["train", "--resume", "--workers", "3", "--steps", "4", "--out", out.to_str().unwrap()]);
    assert!(said.contains("another number of workers") && !said.contains("server"), "{said}");
}

/// A run whose numbers are none ends with a word and another exit code, and what it came to is still written.
#[test]
fn what_is_not_finite_at_the_end_is_no_success() {
    let place = tempfile::tempdir().unwrap();
    let args = ["train", "--model", "softmax", "--subset", "100", "--batch", "4", "--workers", "1", "--device", "flex"];
    let args = [&args[..], &["--algorithm", "sgd:momentum=0.9", "--steps", "20", "--lr", "3e38"]].concat();
    for (policy, needle) in [("stop", "the gradient of `Softmax.linear.weight` is"), ("skip", "not finite: ")] {
        let out = place.path().join(policy);
        let more = ["--on-non-finite", policy, "--out", out.to_str().unwrap()];
        let output = backburn(&[&args[..], &more].concat());
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(needle), "{policy}: {said}");
        assert!(out.join("checkpoint.safetensors").exists());
        assert_eq!(out.join("summary.json").exists(), policy == "skip");
    }
}

#[test]
fn a_choice_that_was_made_can_be_taken_back() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("run.toml");
    let chosen = ["train", "--augment", "--on-non-finite", "skip", "--lr-drops=", "--print-config"];
    let printed = text(&backburn(&chosen).stdout);
    assert!(printed.contains("augment = true") && printed.contains("on_non_finite = \"skip\""), "{printed}");
    assert!(printed.contains("drops = []"), "{printed}");
    // A byte order mark is none of the text.
    std::fs::write(&file, format!("\u{feff}{printed}")).unwrap();
    let back = ["train", "--augment=false", "--on-non-finite", "stop", "--config", file.to_str().unwrap()];
    let printed = text(&backburn(&[&back[..], &["--print-config"]].concat()).stdout);
    assert!(printed.contains("augment = false") && printed.contains("on_non_finite = \"stop\""), "{printed}");
    std::fs::write(&file, "steps = 3\nepochs = 2.0\n").unwrap();
    assert!(refusal(&["train", "--config", file.to_str().unwrap()]).contains("both steps and epochs are given"));
}

#[test]
fn a_file_of_somebody_elses_is_never_overwritten() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().to_str().unwrap();
    for (file, args) in [
        ("config.toml", vec!["train", "--steps", "1", "--overwrite", "--out", out]),
        ("index.html", vec!["reproduce", "counterexample-1", "--overwrite", "--out", out]),
    ] {
        let path = place.path().join(file);
        std::fs::write(&path, "mine").unwrap();
        let said = refusal(&args);
        assert!(said.contains(file) && said.contains("is not overwritten"), "{said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn columns_of_a_map_stand_apart_however_long_their_headings() {
    let args = ["stability", "--steps", "8", "--ratios", "0.12345678901,0.5", "--alphas", "0.1"];
    let map = text(&backburn(&args).stdout);
    let heads: Vec<&str> = map.lines().nth_back(1).unwrap().split_whitespace().collect();
    assert_eq!(heads, ["α", "topk:0.12345678901", "topk:0.5"], "{map}");
}

/// What f32 does not hold is not right because nothing contradicts it.
#[test]
fn cases_beyond_f32_are_refused_and_a_case_without_iterates_says_so() {
    let place = tempfile::tempdir().unwrap();
    let one = |changes: &[(&str, &str)]| {
        let mut case = r#"{"id": "a", "method": {"name": "sgd"}, "compressor": {"kind": "identity"}, "lr": [0.5],
            "x0": [[1.0]], "trace": [[[[2.0]]]]}"#
            .to_string();
        changes.iter().for_each(|(from, to)| case = case.replace(from, to));
        // A byte order mark is none of the text.
        replay(place.path(), &format!("\u{feff}[{case}]"))
    };
    let alone = one(&[]);
    assert!(alone.status.success() && text(&alone.stderr).contains("1 without iterates to compare with"));
    for changes in [("[1.0]", "[1e39]"), ("[2.0]", "[1e39]"), ("[0.5]", "[1e39]"), ("[0.5]", "[1e-50]")] {
        let output = one(&[changes]);
        assert!(output.status.code() == Some(1), "{changes:?}: {}", text(&output.stdout));
        assert!(text(&output.stdout).contains("\"error\""), "{changes:?}: {}", text(&output.stdout));
    }
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
        changed(
            "compressor",
            serde_json::json!({"kind": "fcc", "rounds": 1, "of": "fcc:rounds=1,of=".repeat(100_000) + "topk:0.1"}),
        ),
        good,
    ]);
    std::fs::write(&file, cases.to_string()).unwrap();
    let output = backburn(&["replay", file.to_str().unwrap(), "--device", "flex"]);
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = (lines.iter())
        .map(|l| ["error", "unsupported", "iterates"].into_iter().find(|k| l.get(*k).is_some()).unwrap())
        .collect();
    assert_eq!(kinds, ["error", "error", "error", "unsupported", "error", "iterates"]);
    assert!(!output.status.success());
}
