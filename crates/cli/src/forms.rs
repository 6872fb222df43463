//! `backburn methods` and `backburn compressors`: the tables, or one row with all that is known of it.

use std::fmt::Display;
use std::str::FromStr;

use backburn::compressors::{Class, Compressor};
use backburn::layout::Unit;
use backburn::methods::NotTaken;
use backburn::prelude::{AnyAlgorithm, AnyCompressor};
use backburn::text::{Form, TextError};
use serde_json::{Value, json};

use crate::error::{Failure, say};

#[derive(clap::Args)]
pub struct Args {
    /// One of them: its equation, source, defaults and examples, and what goes with it.
    name: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub fn compressors(args: &Args) -> Result<(), Failure> {
    show(args, "compressor", AnyCompressor::table(), |form| {
        let class = forms::<AnyCompressor, _>(form).iter().map(|(text, own)| (*text, class(own))).collect();
        let stands = |own: &AnyCompressor, method: &AnyAlgorithm| method.check(own);
        Known { label: "class", about: class, partners: Partners::of(form, AnyAlgorithm::table(), stands) }
    })
}

pub fn methods(args: &Args) -> Result<(), Failure> {
    show(args, "method", AnyAlgorithm::table(), |form| {
        let step = forms::<AnyAlgorithm, _>(form).iter().map(|(text, own)| (*text, step(own))).collect();
        let takes = |own: &AnyAlgorithm, compressor: &AnyCompressor| own.check(compressor);
        Known { label: "step", about: step, partners: Partners::of(form, AnyCompressor::table(), takes) }
    })
}

/// What is known of a form beyond its row.
struct Known {
    label: &'static str,
    /// Of each example.
    about: Vec<(&'static str, String)>,
    partners: Partners,
}

/// Forms of the other table that go with one, and those that do not, and why.
#[derive(Default)]
struct Partners {
    /// Each with the examples that it goes with, where those are not all.
    with: Vec<(&'static str, Vec<&'static str>)>,
    without: Vec<(&'static str, String)>,
}

impl Partners {
    fn of<P: FromStr, Q: FromStr, T, U>(
        form: &Form<T>,
        table: &[&Form<U>],
        check: impl Fn(&P, &Q) -> Result<(), NotTaken>,
    ) -> Self {
        let mut partners = Self::default();
        let own = forms::<P, _>(form);
        for other in table {
            let mut tried: Vec<_> = (forms::<Q, _>(other).into_iter())
                .map(|(text, partner)| {
                    let (mut good, mut why) = (Vec::new(), None);
                    for (text, own) in &own {
                        match check(own, &partner) {
                            Ok(()) => good.push(*text),
                            Err(error) => why = why.or(Some(error.to_string())),
                        }
                    }
                    (text, good, why)
                })
                .collect();
            // Where all examples of a row agree, it stands under its name.
            if tried.iter().all(|(_, good, _)| *good == tried[0].1) {
                tried.truncate(1);
                tried.iter_mut().for_each(|(text, ..)| *text = other.name);
            }
            for (text, good, why) in tried {
                match why {
                    None => partners.with.push((text, Vec::new())),
                    Some(_) if !good.is_empty() => partners.with.push((text, good)),
                    Some(why) => partners.without.push((text, why)),
                }
            }
        }
        partners
    }
}

/// A row's examples, and what they parse to: each does, or a test of the table fails.
fn forms<P: FromStr, T>(form: &Form<T>) -> Vec<(&'static str, P)> {
    form.examples.iter().filter_map(|text| Some((*text, text.parse().ok()?))).collect()
}

/// The class on a layer of 64 × 32.
fn class(compressor: &AnyCompressor) -> String {
    let short = |x: f64| if x < 0.01 { format!("{x:.1e}") } else { format!("{x:.3}") };
    match compressor.class(&Unit::tensor("layer.weight", &[64, 32])) {
        Class::Contractive(alpha) => format!("contractive on a layer of 64 × 32, α = {}", short(alpha)),
        Class::Absolute(kappa) => format!("absolute on a layer of 64 × 32, κ² = {}", short(kappa)),
        Class::NonExpansive => "non-expansive: its residual is not promised to stay bounded".into(),
        Class::Unbiased(omega) => format!("unbiased on a layer of 64 × 32, ω = {}", short(omega)),
        Class::None => "none: its error has no bound".into(),
    }
}

fn step(method: &AnyAlgorithm) -> String {
    if method.leaves_step_open() { "any optimizer's, on the decoded mean" } else { "its own" }.into()
}

fn show<T>(
    args: &Args,
    what: &'static str,
    table: &'static [&'static Form<T>],
    known: impl Fn(&Form<T>) -> Known,
) -> Result<(), Failure> {
    let Some(name) = &args.name else {
        return match args.json {
            true => say(table.iter().map(|form| to_json(form, &known(form))).collect::<Value>()),
            false => table.iter().try_for_each(|form| say(format_args!("{}\n    {}", form.usage, form.about))),
        };
    };
    // `topk:0.01` asks about `topk`.
    let word = name.split(':').next().unwrap_or(name);
    let form = table.iter().find(|form| form.name == word);
    let form = form.ok_or_else(|| TextError::unknown(what, word, table.iter().map(|form| form.name)))?;
    match args.json {
        true => say(to_json(form, &known(form))),
        false => say(to_text(form, &known(form)).trim_end()),
    }
}

fn to_json<T>(form: &Form<T>, known: &Known) -> Value {
    let label = known.label;
    let defaults = form.defaults.iter().map(|(argument, meaning)| json!({"argument": argument, "meaning": meaning}));
    let about = known.about.iter().map(|(form, text)| json!({"form": form, label: text}));
    let with = known.partners.with.iter().map(|(form, only)| match only[..] {
        [] => json!({"form": form}),
        _ => json!({"form": form, "only": only}),
    });
    let without = known.partners.without.iter().map(|(form, why)| json!({"form": form, "why": why}));
    json!({
        "name": form.name,
        "usage": form.usage,
        "about": form.about,
        "equation": form.equation,
        "source": form.source,
        "link": form.link,
        "defaults": defaults.collect::<Value>(),
        "examples": form.examples,
        label: about.collect::<Value>(),
        "goes_with": with.collect::<Value>(),
        "not_with": without.collect::<Value>(),
    })
}

fn to_text<T>(form: &Form<T>, known: &Known) -> String {
    let with = known.partners.with.iter().map(|(text, only)| match only[..] {
        [] => text.to_string(),
        _ => format!("{text} (as {})", only.join(" or ")),
    });
    // Once for a row; the JSON has all.
    let name = |text: &'static str| text.split(':').next();
    let all = known.partners.without.iter();
    let refusals =
        all.clone().enumerate().filter(|(i, (text, _))| all.clone().take(*i).all(|(t, _)| name(t) != name(text)));
    let refusals = refusals.map(|(_, refusal)| refusal);
    let fields = [
        ("usage", vec![form.usage.to_owned()]),
        ("equation", form.equation.lines().map(str::to_owned).collect()),
        ("source", vec![form.source.to_owned(), form.link.to_owned()]),
        ("defaults", columns(form.defaults)),
        ("examples", form.examples.iter().map(|text| text.to_string()).collect()),
        (known.label, columns(&known.about)),
        ("goes with", wrapped(with)),
        ("not with", refusals.map(|(text, why)| format!("{text}: {why}")).collect()),
    ];
    let mut text = format!("{}: {}\n", form.name, form.about);
    for (label, lines) in fields {
        for (i, line) in lines.iter().filter(|line| !line.is_empty()).enumerate() {
            let label = if i == 0 { label } else { "" };
            text += &format!("\n  {label:11}{line}");
        }
    }
    text
}

/// Pairs, the second of each under the one before.
fn columns(rows: &[(&str, impl Display)]) -> Vec<String> {
    let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(left, right)| format!("{left:width$}  {right}")).collect()
}

/// Words in lines of about eighty letters.
fn wrapped(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 80 => *line += &format!(", {word}"),
            Some(line) => {
                line.push(',');
                lines.push(word);
            }
            None => lines.push(word),
        }
    }
    lines
}
