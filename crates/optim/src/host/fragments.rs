//! A model's parameters in parts, of which one is exchanged at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use backburn_compress::Layout;
use serde::{Deserialize, Serialize};

/// Streaming: P fragments of the model, one of them exchanged every H/P steps, formed τ steps before it counts so that
/// the link is busy while workers compute; a worker then goes on from (1 − α)θ + αθ_i there (Douillard et al. 2025).
///
/// A fragment is of whole layers: what the same block holds, of a path such as `blocks.3.norm.gamma` the `blocks.3`, and
/// otherwise the same module. `4` is four of them, every fourth layer in each, with τ = 1 and α = 0.5 as published;
/// `4,delay=0,mix=0,sequential` takes layers that follow each other, and replaces what workers have by θ at once.
///
/// <https://arxiv.org/abs/2501.18512>
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fragments {
    count: usize,
    delay: u64,
    mix: f64,
    sequential: bool,
}

/// Why there are no such fragments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentsError {
    /// What is written.
    #[error("fragments: {0}; write P[,delay=τ][,mix=α][,sequential], as 4,delay=1,mix=0.5")]
    Written(String),
    /// The model has not so many layers.
    #[error("a model of {layers} layers has no {count} fragments")]
    Few {
        /// The model's.
        layers: usize,
        /// Fragments that were asked for.
        count: usize,
    },
    /// One compressed vector in two fragments.
    #[error("what is compressed as one vector lies in several fragments: take scope parameter")]
    Torn,
}

impl Fragments {
    /// The whole model at a time, which replaces what workers have: no streaming.
    pub const WHOLE: Self = Self { count: 1, delay: 0, mix: 0.0, sequential: false };

    /// P fragments with every P-th layer each, τ = 1, α = 0.5.
    ///
    /// # Errors
    /// Where P is 0.
    pub fn new(count: usize) -> Result<Self, FragmentsError> {
        match count {
            0 => Err(FragmentsError::Written("there must be 1 at least".into())),
            _ => Ok(Self { count, delay: 1, mix: 0.5, sequential: false }),
        }
    }

    /// τ, steps from when a fragment is formed and sent to when it counts.
    pub fn with_delay(self, delay: u64) -> Self {
        Self { delay, ..self }
    }

    /// α, what stays of a worker's own parameters.
    ///
    /// # Errors
    /// Where it is outside [0, 1).
    pub fn with_mix(self, mix: f64) -> Result<Self, FragmentsError> {
        match (0.0..1.0).contains(&mix) {
            true => Ok(Self { mix, ..self }),
            false => Err(FragmentsError::Written(format!("mix = {mix} is outside [0, 1)"))),
        }
    }

    /// Layers that follow each other in every fragment.
    pub fn with_sequential_layers(self) -> Self {
        Self { sequential: true, ..self }
    }

    /// P.
    pub fn count(&self) -> usize {
        self.count
    }

    /// τ.
    pub fn delay(&self) -> u64 {
        self.delay
    }

    /// α.
    pub fn mix(&self) -> f64 {
        self.mix
    }

    /// Steps between two fragments where each is exchanged every `steps` steps: H/P.
    ///
    /// # Errors
    /// Where P does not divide H, or τ is not below H/P.
    pub fn spacing(&self, steps: u64) -> Result<u64, FragmentsError> {
        let spacing = steps / self.count as u64;
        if spacing * self.count as u64 != steps || spacing == 0 {
            return Err(FragmentsError::Written(format!("{} of them do not divide {steps} local steps", self.count)));
        }
        if self.delay > 0 && self.delay >= spacing {
            return Err(FragmentsError::Written(format!(
                "delay = {} is not below the {spacing} steps between them",
                self.delay
            )));
        }
        Ok(spacing)
    }

    /// The parameters of every fragment.
    ///
    /// # Errors
    /// Where there are fewer layers, or what is compressed as one vector lies in several fragments.
    pub(crate) fn parameters(&self, layout: &Layout) -> Result<Vec<Vec<usize>>, FragmentsError> {
        let mut layers: Vec<Vec<usize>> = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for (i, parameter) in layout.parameters().iter().enumerate() {
            let at = *known.entry(layer(&parameter.path)).or_insert(layers.len());
            if at == layers.len() {
                layers.push(Vec::new());
            }
            layers[at].push(i);
        }
        let (count, all) = (self.count, layers.len());
        if all < count {
            return Err(FragmentsError::Few { layers: all, count });
        }
        let mut fragments = vec![Vec::new(); count];
        for (l, layer) in layers.into_iter().enumerate() {
            fragments[if self.sequential { l * count / all } else { l % count }].extend(layer);
        }
        fragments.iter_mut().for_each(|fragment| fragment.sort_unstable());
        let of = |coordinate: usize| {
            let within = |p: &usize| layout.parameters()[*p].range.contains(&coordinate);
            fragments.iter().position(|fragment| fragment.iter().any(within))
        };
        let torn = |unit: &&backburn_compress::Unit| {
            let inside = layout.parameters().iter().filter(|p| p.range.start < unit.range.end);
            let mut inside = inside.filter(|p| unit.range.start < p.range.end).map(|p| of(p.range.start));
            let first = inside.next();
            inside.any(|other| Some(other) != first)
        };
        match layout.units().iter().find(torn) {
            Some(_) if count > 1 => Err(FragmentsError::Torn),
            _ => Ok(fragments),
        }
    }
}

/// The layer that a parameter belongs to.
fn layer(path: &str) -> String {
    let parts: Vec<&str> = path.split('.').collect();
    let number = parts.iter().position(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let end = number.map_or(parts.len().saturating_sub(1), |at| at + 1);
    parts[..end].join(".")
}

impl fmt::Display for Fragments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},delay={},mix={}", self.count, self.delay, self.mix)?;
        if self.sequential { f.write_str(",sequential") } else { Ok(()) }
    }
}

impl FromStr for Fragments {
    type Err = FragmentsError;

    fn from_str(text: &str) -> Result<Self, FragmentsError> {
        let refused = |part: &str| FragmentsError::Written(format!("`{part}` of `{text}` is not understood"));
        let mut parts = text.split(',').map(str::trim);
        let count = parts.next().unwrap_or_default();
        let mut fragments = Self::new(count.parse().map_err(|_| refused(count))?)?;
        for part in parts {
            fragments = match part.split_once('=') {
                Some(("delay", delay)) => fragments.with_delay(delay.parse().map_err(|_| refused(part))?),
                Some(("mix", mix)) => fragments.with_mix(mix.parse().map_err(|_| refused(part))?)?,
                None if part == "sequential" => fragments.with_sequential_layers(),
                _ => return Err(refused(part)),
            };
        }
        Ok(fragments)
    }
}

impl TryFrom<String> for Fragments {
    type Error = FragmentsError;

    fn try_from(text: String) -> Result<Self, FragmentsError> {
        text.parse()
    }
}

impl From<Fragments> for String {
    fn from(fragments: Fragments) -> Self {
        fragments.to_string()
    }
}

#[cfg(test)]
mod tests {
    use backburn_compress::Scope;

    use super::*;

    fn layout(scope: Scope) -> Layout {
        let paths =
            ["embed.weight", "blocks.0.a.weight", "blocks.0.b.weight", "blocks.1.a.weight", "blocks.2.a.weight"];
        let all = paths.iter().chain(&["norm.gamma", "norm.beta", "head"]);
        Layout::new(all.map(|path| ((*path).to_owned(), vec![2, 3])).collect(), scope, 0).unwrap()
    }

    #[test]
    fn every_layer_is_whole_in_one_fragment() {
        let of = |text: &str| text.parse::<Fragments>().unwrap().parameters(&layout(Scope::Parameter)).unwrap();
        assert_eq!(of("1"), [vec![0, 1, 2, 3, 4, 5, 6, 7]]);
        assert_eq!(of("2"), [vec![0, 3, 5, 6], vec![1, 2, 4, 7]]);
        assert_eq!(of("3,sequential"), [vec![0, 1, 2], vec![3, 4], vec![5, 6, 7]]);
        let refused = |text: &str, scope| text.parse::<Fragments>().unwrap().parameters(&layout(scope)).unwrap_err();
        assert!(refused("7", Scope::Parameter).to_string().contains("a model of 6 layers has no 7 fragments"));
        assert!(refused("2", Scope::Global).to_string().contains("take scope parameter"));
        Fragments::WHOLE.parameters(&layout(Scope::Global)).unwrap();
    }

    #[test]
    fn texts_are_read_back_and_what_is_none_is_refused() {
        for text in ["4,delay=1,mix=0.5", "2,delay=0,mix=0,sequential"] {
            assert_eq!(text.parse::<Fragments>().unwrap().to_string(), text);
        }
        assert_eq!("4".parse::<Fragments>().unwrap(), Fragments::new(4).unwrap());
        for text in ["", "0", "four", "4,mix=1", "4,mix=nan", "4,delay=-1", "4,alpha=0.5"] {
            assert!(text.parse::<Fragments>().is_err_and(|e| e.to_string().contains("as 4,delay=1")), "{text}");
        }
        let four = Fragments::new(4).unwrap();
        assert_eq!(four.spacing(8), Ok(2));
        assert!(four.spacing(30).is_err() && four.spacing(4).is_err() && four.with_delay(2).spacing(8).is_err());
    }
}
