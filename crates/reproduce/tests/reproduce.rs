//! Every experiment's smallest form, and what is written of it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use backburn_optim::DeviceKind;
use backburn_reproduce::{Claim, CurveName, EXPERIMENTS, GroupName, Metric, Outcome, Request, Results, Row, Scale};
use backburn_reproduce::{Verdict, redraw, reproduce};
use backburn_train::data::Options;

fn request(names: &[&str], out: &Path) -> Request {
    let data = Options { offline: true, ..Options::default() };
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Request { data, device: DeviceKind::Flex, ..Request::new(names, Scale::Smoke, out) }
}

/// All experiments, run once for all tests.
fn everything() -> &'static Path {
    static DONE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let directory = DONE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let outcome = reproduce(&request(&["all"], directory.path())).unwrap();
        assert_eq!(outcome.finished.len(), EXPERIMENTS.len());
        assert!(outcome.finished.iter().all(|f| f.curves.0 == f.curves.1 && !outcome.stopped));
        directory
    });
    directory.path()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn claims(folder: &Path) -> Vec<Claim> {
    serde_json::from_str(&read(&folder.join("claims.json"))).unwrap()
}

#[test]
fn every_experiment_measures_its_claims() {
    for experiment in EXPERIMENTS {
        let about = experiment.about();
        let folder = everything().join(about.name);
        let claims = claims(&folder);
        assert!(claims.iter().all(|c| c.verdict.is_some()), "{}: {claims:?}", about.name);
        let results = Results::from_csv(&read(&folder.join("results.csv"))).unwrap();
        assert_eq!(experiment.claims(&results), claims, "{}: claims come from the rows alone", about.name);
    }
}

#[test]
fn a_changed_number_changes_the_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path();
    let name = "counterexample-3";
    reproduce(&request(&[name], out)).unwrap();
    let folder = out.join(name);
    let before = claims(&folder);
    let stuck = before.iter().position(|c| c.claim.starts_with("signSGD never improves")).unwrap();
    assert_eq!(before[stuck].verdict, Some(Verdict::Holds));
    let path = folder.join("results.csv");
    let mut rows = Results::from_csv(&read(&path)).unwrap().rows().to_vec();
    let (plane, sign) = (GroupName::new("two terms on the plane"), CurveName::new("signSGD"));
    let wanted = |r: &&mut Row| r.group == plane && r.curve == sign && r.metric == Metric::new("smallest f(x)");
    rows.iter_mut().rfind(wanted).unwrap().value = 0.5;
    std::fs::write(&path, Results::new(rows).to_csv()).unwrap();
    let judged = redraw(name, out).unwrap();
    assert_eq!(claims(&folder), judged);
    assert_eq!(judged[stuck].verdict, Some(Verdict::Fails));
    assert!(judged[stuck].measured.starts_with("0.5"));
    // And nothing else than that.
    for (i, (before, after)) in before.iter().zip(&judged).enumerate() {
        assert!(i == stuck || before == after, "{before:?} became {after:?}");
    }
}

/// The texts of an SVG.
fn texts(svg: &str) -> Vec<String> {
    let parts = svg.split("<text").skip(1);
    parts.filter_map(|part| Some(part.split_once('>')?.1.split_once("</text>")?.0.trim().to_owned())).collect()
}

#[test]
fn figures_have_labelled_axes_and_a_legend() {
    for experiment in EXPERIMENTS {
        let name = experiment.about().name;
        let folder = everything().join(name);
        let results = Results::from_csv(&read(&folder.join("results.csv"))).unwrap();
        let figure = experiment.figure(&results);
        let svg = read(&folder.join("figure.svg"));
        let texts: HashSet<String> = texts(&svg).into_iter().collect();
        let pairs = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&apos;"), ("\"", "&quot;")];
        let escape = |text: &str| pairs.iter().fold(text.to_owned(), |text, (char, name)| text.replace(char, name));
        for panel in &figure.panels {
            assert!(!panel.lines.is_empty(), "{name}, {}: no curve", panel.title);
            for label in [&panel.title, &panel.x.label, &panel.y.label] {
                assert!(!label.is_empty() && texts.contains(&escape(label)), "{name}: `{label}` is not in {texts:?}");
            }
        }
        for label in figure.labels() {
            assert!(texts.contains(&escape(label.name())), "{name}: no legend of `{label}`");
        }
        let numbers = texts.iter().filter(|t| t.parse::<f64>().is_ok()).count();
        assert!(numbers >= 4, "{name}: axes without marks");
        let png = std::fs::read(folder.join("figure.png")).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 5_000, "{name}");
    }
}

#[test]
fn the_report_is_one_page_that_needs_nothing_else() {
    let html = read(&everything().join("index.html"));
    for forbidden in ["http://", "https://", "<script", "<link", "<img", "@import", "url("] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("name=\"viewport\"") && html.contains("@media print"));
    for experiment in EXPERIMENTS {
        let about = experiment.about();
        assert!(html.contains(&format!("<section id=\"{}\">", about.name)), "{}", about.name);
    }
    assert!(html.contains('✓') && html.contains('✗'));
    // Before the first experiment stands the table of all claims, and each is linked to where it is told.
    let (lead, _) = html.split_once("<section").unwrap();
    let claims: usize = EXPERIMENTS.iter().map(|e| claims(&everything().join(e.about().name)).len()).sum();
    assert_eq!(lead.matches(">numbers</a>").count(), claims);
    let targets: Vec<&str> = html.split("href=\"#").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
    assert!(targets.len() > 3 * claims);
    for target in targets {
        assert_eq!(html.matches(&format!("id=\"{target}\"")).count(), 1, "#{target}");
    }
    assert!(lead.contains("Karimireddy et al. 2019, Error feedback fixes SignSGD</h3>"));
    assert!(html.contains("<code>backburn reproduce density --scale smoke</code>"));
    assert_eq!(html.matches("<svg").count(), EXPERIMENTS.len());
    assert_eq!(html.matches("<section").count(), html.matches("</section>").count());
}

#[test]
fn a_stopped_run_keeps_what_is_finished_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let stopped = request(&["counterexample-2"], directory.path());
    stopped.stop.store(true, Ordering::Relaxed);
    let outcome = reproduce(&stopped).unwrap();
    assert!(outcome.stopped && outcome.finished[0].curves == (0, 18));
    assert!(read(&outcome.index).contains("Partial: 0 of 18 curves"));

    let resumed = Request { resume: true, ..request(&["counterexample-2"], directory.path()) };
    let first = reproduce(&resumed).unwrap();
    let rows = read(&directory.path().join("counterexample-2/results.csv"));
    assert_eq!(first.finished[0].curves, (18, 18));
    let cache = directory.path().join("counterexample-2/cache");
    let changed = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let files: Vec<_> = std::fs::read_dir(&cache).unwrap().flatten().map(|e| e.path()).collect();
    assert_eq!(files.len(), 18);
    let before: Vec<_> = files.iter().map(|f| changed(f)).collect();
    let again: Outcome = reproduce(&resumed).unwrap();
    assert_eq!(again.finished[0].curves, (18, 18));
    assert_eq!(files.iter().map(|f| changed(f)).collect::<Vec<_>>(), before, "nothing was run again");
    assert_eq!(read(&directory.path().join("counterexample-2/results.csv")), rows);
}

#[test]
fn tuning_takes_the_best_of_the_grid() {
    let directory = tempfile::tempdir().unwrap();
    let tuned = Request { tune: true, ..request(&["sparse-noise"], directory.path()) };
    reproduce(&tuned).unwrap();
    let run: serde_json::Value = serde_json::from_str(&read(&directory.path().join("sparse-noise/run.json"))).unwrap();
    let list = run["tuned"].as_array().unwrap();
    assert_eq!(list.len(), 4);
    for (tuned, curve) in list.iter().zip(run["curves"].as_array().unwrap()) {
        let tried = tuned["tried"].as_object().unwrap();
        let best =
            tried.iter().filter_map(|(lr, score)| Some((lr, score.as_f64()?))).min_by(|a, b| a.1.total_cmp(&b.1));
        assert_eq!(best.unwrap().0.parse::<f64>().unwrap(), curve["lr"].as_f64().unwrap());
    }
}

#[test]
fn unknown_names_are_answered_with_the_known() {
    let directory = tempfile::tempdir().unwrap();
    let message = reproduce(&request(&["figure-9"], directory.path())).unwrap_err().to_string();
    assert!(EXPERIMENTS.iter().all(|e| message.contains(e.about().name)), "{message}");
    assert!("large".parse::<Scale>().unwrap_err().to_string().contains("small, medium and paper"));
    let medium = Request { scale: Scale::Medium, ..request(&["density"], directory.path()) };
    let message = reproduce(&medium).unwrap_err().to_string();
    assert_eq!(message, "density has no form of medium scale; cifar-signsgd has one");
}
