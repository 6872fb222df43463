//! `index.html`: one page over all experiments in a directory. It needs no other file, no script and
//! no network.

pub(crate) mod html;
mod manifest;
mod summary;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use backburn_optim::write_atomically;

pub(crate) use manifest::COMMIT;
pub use manifest::{CurveRecord, Manifest};

pub(crate) use self::html::is_titled;
use self::html::{escape, figure, table};

use crate::error::ReproduceError;
use crate::experiment::{About, Experiment, Table, Tuned};
use crate::experiments::EXPERIMENTS;
use crate::record::metric::{MEGABYTES_DOWN, MEGABYTES_UP};
use crate::record::{Claim, Results, Verdict};
use crate::words::{clock, short};

const TITLE: &str = "Backburn: the papers, reproduced";

/// Refuses to take the place of a page of somebody else's.
pub(crate) fn check_own(out: &Path) -> Result<(), ReproduceError> {
    let path = out.join("index.html");
    match std::fs::read(&path) {
        Ok(page) if !is_titled(&page, TITLE) => Err(ReproduceError::Foreign(path)),
        _ => Ok(()),
    }
}

/// Writes the page over what is in `out`, and says where it is.
pub(crate) fn write(out: &Path) -> Result<PathBuf, ReproduceError> {
    let sections: Vec<Section> = EXPERIMENTS.iter().filter_map(|e| Section::load(*e, out)).collect();
    let path = out.join("index.html");
    write_atomically(&path, page(&sections).as_bytes())?;
    Ok(path)
}

/// One experiment as it is on disk.
struct Section {
    about: About,
    manifest: Manifest,
    claims: Vec<Claim>,
    svg: String,
    tables: Vec<Table>,
    bytes: Table,
}

impl Section {
    /// `None` where it is not there, or not whole.
    fn load(experiment: &dyn Experiment, out: &Path) -> Option<Self> {
        let about = experiment.about();
        let folder = out.join(about.name);
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let results = Results::from_csv(&read("results.csv")?).ok()?;
        Some(Self {
            about,
            manifest: Manifest::load(&folder)?,
            claims: serde_json::from_str(&read("claims.json")?).ok()?,
            svg: read("figure.svg")?,
            tables: experiment.tables(&results.finished()),
            bytes: bytes(&results.finished()),
        })
    }

    fn count(&self, verdict: Option<Verdict>) -> usize {
        self.claims.iter().filter(|c| c.verdict == verdict).count()
    }
}

/// What the workers of each curve sent, where that was recorded.
fn bytes(results: &Results) -> Table {
    let mut table = Table::new("Sent by each worker", &["group", "curve", MEGABYTES_UP.name(), MEGABYTES_DOWN.name()]);
    for group in results.groups() {
        for curve in results.curves(group) {
            let of = |metric| results.last(group, curve, metric);
            if let (Some(up), Some(down)) = (of(MEGABYTES_UP), of(MEGABYTES_DOWN)) {
                table.rows.push(vec![group.into(), curve.into(), short(up), short(down)]);
            }
        }
    }
    table
}

fn page(sections: &[Section]) -> String {
    let mut main = "<h1>The papers, reproduced</h1>\n".to_owned();
    summary::write(sections, &mut main);
    overview(sections, &mut main);
    sections.iter().for_each(|section| experiment(section, &mut main));
    html::page(TITLE, &main)
}

fn overview(sections: &[Section], html: &mut String) {
    html.push_str(
        "<nav><div class=\"wide\"><table>\n<thead><tr><th>experiment</th><th>what it shows</th><th>scale</th>\
         <th>claims</th><th>time</th></tr></thead>\n<tbody>\n",
    );
    for s in sections {
        let marks: String = s.claims.iter().map(mark).collect();
        let time = clock(std::time::Duration::from_secs_f64(s.manifest.seconds.clamp(0.0, 1e9)));
        let name = escape(s.about.name);
        let (title, scale) = (escape(s.about.title), escape(&s.manifest.scale));
        let _ = writeln!(
            html,
            "<tr><td><a href=\"#{name}\">{name}</a></td><td>{title}</td><td>{scale}</td><td>{marks}</td><td>{time}</td></tr>"
        );
    }
    html.push_str("</tbody></table></div></nav>\n");
}

fn experiment(s: &Section, html: &mut String) {
    let (about, manifest) = (&s.about, &s.manifest);
    let _ = write!(
        html,
        "<section id=\"{0}\">\n<h2>{0}</h2>\n<p>{1}<br><span class=\"source\">{2}</span></p>\n",
        escape(about.name),
        escape(about.title),
        escape(about.source)
    );
    let (done, all) = manifest.complete;
    if let Some(why) = &manifest.failure {
        let _ = writeln!(html, "<p class=\"partial\">Not run to its end: {}</p>", escape(why));
    }
    if done < all {
        let _ = writeln!(
            html,
            "<p class=\"partial\">Partial: {done} of {all} curves are finished; the others are drawn as far as they came, \
             and the claims are undecided. Go on with <code>--resume</code>.</p>"
        );
    }
    html.push_str("<ul class=\"claims\">\n");
    for (i, claim) in s.claims.iter().enumerate() {
        let _ = writeln!(
            html,
            "<li id=\"{}-{i}\">{} <strong>{}</strong> {}<br><span class=\"figures\">Measured: {}. Required: {}. <span class=\"source\">{}</span></span></li>",
            escape(about.name),
            mark(claim),
            claim.word(),
            escape(&claim.claim),
            escape(&claim.measured),
            escape(&claim.required),
            escape(&claim.source)
        );
    }
    html.push_str("</ul>\n");
    let label = format!("Figure of {}: {}", about.name, about.title);
    figure(&format!("{}-figure", about.name), &label, &s.svg, html);
    let tune = if manifest.tuned.is_empty() { "" } else { " --tune" };
    let _ = writeln!(
        html,
        "<p id=\"{0}-command\"><code>backburn reproduce {0} --scale {1}{tune}</code> makes it again.</p>",
        escape(about.name),
        escape(&manifest.scale)
    );
    s.tables.iter().for_each(|t| table(t, html));
    if !manifest.departures.is_empty() {
        html.push_str("<h3>Departures from the paper</h3>\n<ul>\n");
        manifest.departures.iter().for_each(|d| html.push_str(&format!("<li>{}</li>\n", escape(d))));
        html.push_str("</ul>\n");
    }
    html.push_str("<details>\n<summary>Configuration, bytes, machine</summary>\n");
    let mut settings = Table::new("", &["setting", "value"]);
    let pair = |k: &str, v: &str| vec![k.to_owned(), v.to_owned()];
    settings.rows.extend(manifest.settings.iter().map(|(k, v)| pair(k, v)));
    settings.rows.push(pair("seeds", &manifest.seeds.to_string()));
    settings.rows.push(pair("scale", &manifest.scale));
    settings.rows.push(pair("version", &manifest.version));
    settings
        .rows
        .push(pair(if manifest.commits.len() > 1 { "commits" } else { "commit" }, &manifest.commits.join(", ")));
    settings.rows.push(pair("machine", &manifest.machine));
    settings.rows.push(pair("device of models", manifest.device.name()));
    table(&settings, html);
    let mut curves = Table::new("Curves", &["group", "curve", "method", "compressor", "n", "batch", "step size"]);
    curves.rows.extend(manifest.curves.iter().map(|c| {
        let numbers = [c.workers.to_string(), c.batch.to_string(), short(c.lr)];
        [c.group.into(), c.name.into(), c.algorithm.clone(), c.compressor.clone()].into_iter().chain(numbers).collect()
    }));
    table(&curves, html);
    if !manifest.tuned.is_empty() {
        table(&tuned(&manifest.tuned), html);
    }
    if !s.bytes.rows.is_empty() {
        table(&s.bytes, html);
    }
    html.push_str("</details>\n</section>\n");
}

/// What tuning chose, and among what.
fn tuned(tuned: &[Tuned]) -> Table {
    let mut table =
        Table::new("Tuned step sizes", &["group", "curve", "step size", "each tried with the mean of its last tenth"]);
    for Tuned { group, curve, lr, tried } in tuned {
        let mut tried: Vec<(f64, Option<f64>)> =
            tried.iter().filter_map(|(lr, score)| Some((lr.parse().ok()?, *score))).collect();
        tried.sort_by(|a, b| a.0.total_cmp(&b.0));
        let each = |(lr, score): &(f64, Option<f64>)| {
            format!("{}: {}", short(*lr), score.map_or_else(|| "diverged".into(), short))
        };
        let tried: Vec<String> = tried.iter().map(each).collect();
        table.rows.push(vec![(*group).into(), (*curve).into(), short(*lr), tried.join(", ")]);
    }
    table
}

fn mark(claim: &Claim) -> &'static str {
    match claim.verdict {
        Some(Verdict::Holds) => "<span class=\"yes\" title=\"holds\">✓</span>",
        Some(Verdict::Fails) => "<span class=\"no\" title=\"fails\">✗</span>",
        Some(Verdict::Undecided) if claim.partial => "<span class=\"none\" title=\"partial\">…</span>",
        Some(Verdict::Undecided) => "<span class=\"none\" title=\"undecided\">?</span>",
        None => "<span class=\"none\" title=\"not measured\">–</span>",
    }
}
