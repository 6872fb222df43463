//! The page.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::names::{differing, names};
use super::numbers::{ALL, CONTRACTION, RESIDUAL, SECONDS, SECONDS_ON_LINK, results, total_on_link};
use super::record::Record;
use crate::error::ReproduceError;
use crate::experiment::Table;
use crate::figure::{Axis, Figure, Panel, svg};
use crate::record::metric::{MEGABYTES_DOWN, MEGABYTES_UP, TEST_ACCURACY, TRAIN_LOSS};
use crate::record::{CurveName, Metric, Results, mean};
use crate::report::html;
use crate::words::short;

pub(super) const TITLE: &str = "Backburn: runs compared";

/// All that is shown of runs, and these tables.
pub(super) fn page(records: &[Record], tables: &[Table]) -> Result<String, ReproduceError> {
    let names = names(records);
    let results = results(records, &names);
    let curves = results.curves(ALL).len();
    let mut main = format!("<h1>Runs compared</h1>\n<p>{} runs, {curves} curves", records.len());
    main.push_str(if curves < records.len() {
        "; of runs that differ in their seed alone the mean is drawn, and a band from the 10 % to the 90 % quantile.</p>\n"
    } else {
        ".</p>\n"
    });
    html::table(&outcomes(records, &names), &mut main);
    tables.iter().for_each(|table| html::table(table, &mut main));
    let mut section = |id: &str, title: &str, panels: Vec<Panel>, note: &str| -> Result<(), ReproduceError> {
        let panels: Vec<Panel> = panels.into_iter().filter(|panel| !panel.lines.is_empty()).collect();
        if panels.is_empty() {
            return Ok(());
        }
        let _ =
            writeln!(main, "<section id=\"{id}\">\n<h2>{}</h2>\n<p>{}</p>", html::escape(title), html::escape(note));
        html::figure(&format!("{id}-figure"), title, &svg(&Figure::new(2, panels))?, &mut main);
        main.push_str("</section>\n");
        Ok(())
    };
    let loss = against_all(&results, TRAIN_LOSS, loss_axis(&results));
    section(
        "loss",
        "Training loss",
        loss,
        "The mean over the workers' batches, and over as many steps as make 100 points.",
    )?;
    let often = records.iter().any(|record| record.lines.iter().any(|line| line.test_accuracy.is_some()));
    let note = match often {
        true => "On the test set.",
        false => "On the test set at the end; with --evaluate-every a run looks at it along the way.",
    };
    section("accuracy", "Test accuracy", against_all(&results, TEST_ACCURACY, Axis::linear("test accuracy")), note)?;
    let step = || Axis::linear("step");
    let owed = [(RESIDUAL, "residual norm"), (CONTRACTION, "contraction")];
    let owed = owed.map(|(metric, label)| Panel::of(&results, ALL, metric, step(), Axis::linear(label)).titled(label));
    let note = "The norm of what a worker has not sent yet, the root of the mean square over workers; and the share of \
                the squared norm that its compressor leaves out, 1 of nothing sent.";
    section("owed", "What is owed", owed.into(), note)?;
    configuration(records, &names, &mut main);
    Ok(html::page(TITLE, &main))
}

/// A metric against steps, bytes and seconds.
fn against_all(results: &Results, metric: Metric, y: Axis) -> Vec<Panel> {
    let label = y.label.clone();
    let mut panels =
        vec![Panel::of(results, ALL, metric, Axis::linear("step"), y.clone()).titled(format!("{label}, steps"))];
    for (abscissa, title, x) in [
        (MEGABYTES_UP, "bytes up", Axis::log("megabytes that a worker sent")),
        (MEGABYTES_DOWN, "bytes down", Axis::log("megabytes that a worker received from a server")),
        (SECONDS, "seconds", Axis::linear("seconds, spread evenly over the steps")),
        (SECONDS_ON_LINK, "on the link", Axis::log("seconds of exchange on the link")),
    ] {
        let panel = Panel::against(results, ALL, metric, abscissa, x, y.clone());
        panels.push(panel.titled(format!("{label}, {title}")));
    }
    panels
}

/// Logarithmic where the losses are of several sizes.
fn loss_axis(results: &Results) -> Axis {
    let losses = results.rows().iter().filter(|row| row.metric == TRAIN_LOSS).map(|row| row.value);
    let (low, high) =
        losses.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), loss| (low.min(loss), high.max(loss)));
    let label = "training loss";
    if low > 0.0 && high > 20.0 * low { Axis::log(label) } else { Axis::linear(label) }
}

/// What each curve's runs came to.
fn outcomes(records: &[Record], names: &[CurveName]) -> Table {
    let head = [
        "run",
        "seeds",
        "steps",
        "train loss",
        "test loss",
        "test accuracy",
        "MB up",
        "MB down",
        "ratio up",
        "seconds",
        "seconds on the link",
    ];
    let mut table = Table::new("What they came to", &head);
    let mut seen = BTreeSet::new();
    for name in names.iter().filter(|name| seen.insert(**name)) {
        let runs: Vec<&Record> = records.iter().zip(names).filter(|(_, of)| *of == name).map(|(run, _)| run).collect();
        let of =
            |value: &dyn Fn(&Record) -> Option<f64>| -> Vec<f64> { runs.iter().filter_map(|run| value(run)).collect() };
        let told = |values: Vec<f64>| mean(values).map_or("–".into(), short);
        let summary =
            |value: fn(&backburn_train::run::Summary) -> f64| told(of(&|run| run.summary.as_ref().map(value)));
        let accuracies = of(&|run| run.summary.as_ref().map(|summary| 100.0 * summary.test_accuracy));
        let most = accuracies.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = accuracies.iter().copied().fold(f64::INFINITY, f64::min);
        let accuracy = match (mean(accuracies.iter().copied()), accuracies.len()) {
            (None, _) => "–".into(),
            (Some(mean), 1) => format!("{mean:.2} %"),
            (Some(mean), _) => format!("{mean:.2} % ({least:.2} to {most:.2})"),
        };
        let steps: BTreeSet<u64> = runs.iter().filter_map(|run| Some(run.lines.last()?.step + 1)).collect();
        let steps: Vec<String> = steps.iter().map(u64::to_string).collect();
        let unfinished = runs.iter().filter(|run| run.summary.is_none()).count();
        let more = if unfinished > 0 { format!(", {unfinished} not at an end") } else { String::new() };
        table.rows.push(vec![
            (*name).into(),
            format!("{}{more}", runs.len()),
            steps.join(", "),
            told(of(&|run| late_loss(run))),
            summary(|summary| summary.test_loss),
            accuracy,
            told(of(&|run| Some(run.lines.iter().map(|line| line.bytes_up).sum::<f64>() / 1e6))),
            told(of(&|run| Some(run.lines.iter().map(|line| line.bytes_down).sum::<f64>() / 1e6))),
            summary(|summary| summary.compression_ratio),
            summary(|summary| summary.seconds),
            told(of(&|run| total_on_link(run).map(|all| all.best().1))),
        ]);
    }
    table
}

/// The mean loss of the last twentieth of the steps.
fn late_loss(record: &Record) -> Option<f64> {
    let late = record.lines.len().div_ceil(20);
    mean(record.lines[record.lines.len() - late..].iter().filter_map(|line| line.loss))
}

/// What the runs share, what they differ in, and where they are.
fn configuration(records: &[Record], names: &[CurveName], main: &mut String) {
    main.push_str("<details>\n<summary>Configurations and folders</summary>\n");
    let differing = differing(records);
    let mut common = Table::new("In common", &["setting", "value"]);
    let own = |key: &str| differing.contains(&key) || key == "seed";
    let settings = &records[0].settings;
    common
        .rows
        .extend(settings.iter().filter(|(key, _)| !own(key)).map(|(key, value)| vec![key.clone(), value.clone()]));
    let mut each = Table::new("Of each", &["run", "folder", "seed"]);
    each.head.extend(differing.iter().map(|key| (*key).to_owned()));
    for (record, name) in records.iter().zip(names) {
        let value = |key: &&str| record.settings.get(*key).cloned().unwrap_or_else(|| "–".into());
        let row = [(*name).into(), record.folder.display().to_string(), record.seed.to_string()];
        each.rows.push(row.into_iter().chain(differing.iter().map(value)).collect());
    }
    html::table(&each, main);
    html::table(&common, main);
    main.push_str("</details>\n");
}
