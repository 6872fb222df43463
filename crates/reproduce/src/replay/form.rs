//! The method and the compressor of a case, as our textual forms.

use backburn_compress::{AnyCompressor, TextError};
use backburn_optim::AnyAlgorithm;

use super::{Options, ReplayError};

/// The method of a recorded run: its name and options as our textual form.
pub(super) fn method(options: &Options) -> Result<AnyAlgorithm, ReplayError> {
    let (name, mut words) = form(options, "name", &["q0", "betas"])?;
    for (i, beta) in options.get("betas").and_then(|b| b.as_array()).into_iter().flatten().enumerate() {
        words.push(format!("beta{}={beta}", i + 1));
    }
    let (name, flag) = match name.as_str() {
        "ef-sgd-outer" => ("ef-sgd", Some("outside")),
        name => (name, None),
    };
    if name == "ef21-sgd" {
        // Its v is the gradient itself.
        words.retain(|w| !w.starts_with("eta="));
    }
    // A flag is a bare word.
    words.retain(|w| !w.ends_with("=false"));
    words.iter_mut().for_each(|w| *w = w.strip_suffix("=true").unwrap_or(w).to_string());
    words.iter_mut().filter(|w| *w == "aggregate=majority-vote").for_each(|w| *w = "majority-vote".into());
    words.retain(|w| w != "aggregate=mean");
    parse(name, flag, words)
}

/// The compressor of a recorded run.
pub(super) fn compressor(options: &Options) -> Result<AnyCompressor, ReplayError> {
    let (name, words) = form(options, "kind", &["scope"])?;
    let (name, flag) = match name.as_str() {
        "scaled-sign" => ("sign", Some("scaled")),
        "hard-threshold" => ("threshold", None),
        "one-bit" => ("onebit", None),
        "random-k" => ("randk", None),
        name => (name, None),
    };
    parse(name, flag, words)
}

/// The name, and the other options as `key=value`, with hyphens.
fn form(options: &Options, key: &str, without: &[&str]) -> Result<(String, Vec<String>), ReplayError> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.replace('_', "-"),
        // A whole number may be written as 3.0.
        serde_json::Value::Number(x) => x.as_f64().map_or_else(|| x.to_string(), |x| x.to_string()),
        other => other.to_string(),
    };
    let name = options.get(key).map(text).ok_or_else(|| ReplayError::Malformed(format!("there is no `{key}`")))?;
    let others = options.iter().filter(|(k, _)| *k != key && !without.contains(&k.as_str()));
    Ok((name, others.map(|(k, v)| format!("{}={}", k.replace('_', "-"), text(v))).collect()))
}

fn parse<T: std::str::FromStr<Err = TextError>>(
    name: &str,
    flag: Option<&str>,
    words: Vec<String>,
) -> Result<T, ReplayError> {
    let words: Vec<String> = flag.map(str::to_string).into_iter().chain(words).collect();
    let text = format!("{name}:{}", words.join(","));
    Ok(text.parse()?)
}
