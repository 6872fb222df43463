//! `backburn report`: runs on one page, and what is no run.

mod common;

use common::{backburn, refusal, text};

#[test]
fn runs_are_compared_on_one_page_that_needs_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let tiny = "train --model softmax --workers 2 --batch 2 --subset 100 --steps 30 --device flex --evaluate-every 10";
    for (compressor, seed) in [("topk:0.05", "1"), ("topk:0.05", "2"), ("sign:scaled", "1")] {
        let out = path(&format!("runs/{compressor} {seed}"));
        let more = ["--compressor", compressor, "--seed", seed, "--link", "10Mbit,1ms", "--out", &out];
        let trained = backburn(&tiny.split(' ').chain(more).collect::<Vec<_>>());
        assert!(trained.status.success(), "{}", text(&trained.stderr));
    }
    // One that has been stopped has no summary, and is drawn as far as it came.
    std::fs::remove_file(place.path().join("runs/sign:scaled 1/summary.json")).unwrap();
    let page = path("report.html");
    let made = backburn(&["report", &path("runs"), "--out", &page]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let html = std::fs::read_to_string(&page).unwrap();
    for forbidden in ["http://", "https://", "<script", "<link", "<img", "@import", "url("] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("3 runs, 2 curves"));
    assert!(html.contains("<td>topk:0.05</td><td>2</td><td>30</td>"), "{html}");
    assert!(html.contains("<td>sign:scaled</td><td>1, 1 not at an end</td><td>30</td>"));
    let titles = [
        "training loss, steps",
        "training loss, bytes up",
        "training loss, bytes down",
        "training loss, seconds",
        "training loss, on the link",
        "test accuracy, steps",
        "test accuracy, on the link",
        "residual norm",
        "contraction",
    ];
    titles.iter().for_each(|title| assert!(html.contains(title), "no panel of {title}"));

    // Named twice, it is two curves; and a page of ours is written anew, one of somebody else's is not.
    let twice = backburn(&["report", &path("runs/topk:0.05 1"), &path("runs/topk:0.05 1"), "--out", &page]);
    assert!(twice.status.success() && std::fs::read_to_string(&page).unwrap().contains("2 runs"));
    std::fs::write(&page, "a page of my own").unwrap();
    assert!(refusal(&["report", &path("runs"), "--out", &page]).contains("is no report of ours"));
}

#[test]
fn what_holds_no_run_is_said_to() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir_all(path("empty")).unwrap();
    std::fs::write(path("file"), "").unwrap();
    for (folder, files) in [("other", [("config.toml", "colour = 3")]), ("fresh", [("config.toml", "steps = 3")])] {
        std::fs::create_dir_all(path(folder)).unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(place.path().join(folder).join(name), text).unwrap());
    }
    for (folder, why) in [
        ("nowhere", "there is no such folder"),
        ("file", "it is a file; a run is a folder"),
        ("empty", "neither it nor a folder in it has the config.toml"),
        ("other", "its config.toml is no run's: configuration: TOML parse error at line 1, column 1"),
        ("fresh", "its run has not taken a step yet"),
    ] {
        let said = refusal(&["report", &path(folder), "--out", &path("page.html")]);
        assert!(said.contains(&format!("/{folder}` holds no run: {why}")), "{folder}: {said}");
        assert!(!place.path().join("page.html").exists());
    }
}
