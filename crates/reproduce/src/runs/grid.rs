//! A grid of runs: methods × compressors × seeds.

use backburn_compress::AnyCompressor;
use backburn_optim::AnyAlgorithm;
use backburn_train::run::{ConfigError, RunConfig};
use serde::Deserialize;

/// Why a file describes no grid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// Not TOML, or of other keys and values.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A run that cannot be.
    #[error("[run]: {0}")]
    Run(#[source] ConfigError),
    /// A list that would make no run.
    #[error("{0}")]
    Empty(&'static str),
    /// The same twice.
    #[error("{what} has `{name}` twice")]
    Twice {
        /// The list.
        what: &'static str,
        /// What is in it twice.
        name: String,
    },
    /// A key of `[run]` that the grid sets itself.
    #[error("[run] has {key}, which {instead} of the grid says")]
    Taken {
        /// The key.
        key: &'static str,
        /// Where it belongs.
        instead: &'static str,
    },
    /// A pair that is none.
    #[error("pairs has `{0}`; a pair is a method, a space and a compressor, such as `sgd identity`")]
    Pair(String),
    /// A method or compressor of a pair.
    #[error("pairs has `{pair}`: {why}")]
    Form {
        /// The pair.
        pair: String,
        /// What is wrong with it.
        why: String,
    },
    /// A step size that is none.
    #[error("tune.lr has {0}; step sizes are positive numbers")]
    StepSize(f64),
    /// A method that goes with none of the compressors, or the other way round.
    #[error("{what} `{name}` goes with none of the others: {why}")]
    Alone {
        /// Which of the two.
        what: &'static str,
        /// Its form.
        name: String,
        /// Why not with the first of them.
        why: String,
    },
}

/// A grid of runs, which differ in method, compressor and seed, and where it is tuned in their step size.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Methods and compressors that go together, each once.
    pairs: Vec<(AnyAlgorithm, AnyCompressor)>,
    /// Why each of the others does not.
    left_out: Vec<String>,
    seeds: Vec<u64>,
    tune: Option<Tune>,
    run: RunConfig,
}

/// How step sizes are chosen.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tune {
    /// Those that are tried, with the first seed.
    pub lr: Vec<f64>,
    /// What decides.
    #[serde(default)]
    pub by: By,
}

/// What decides between step sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum By {
    /// The mean training loss of the last tenth of the steps; less is better.
    #[default]
    TrainLoss,
    /// The loss on the test set at the end; less is better.
    TestLoss,
    /// The share of the test set that is classified rightly at the end; more is better.
    TestAccuracy,
}

impl By {
    pub fn name(self) -> &'static str {
        match self {
            Self::TrainLoss => "training loss of the last tenth",
            Self::TestLoss => "test loss",
            Self::TestAccuracy => "test accuracy",
        }
    }
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    methods: Vec<AnyAlgorithm>,
    #[serde(default)]
    compressors: Vec<AnyCompressor>,
    #[serde(default)]
    pairs: Vec<String>,
    seeds: Vec<u64>,
    tune: Option<Tune>,
    #[serde(default)]
    run: RunConfig,
}

impl Grid {
    /// Reads TOML: `methods`, `compressors`, `pairs` beside their product, `seeds`, a table `[tune]` with `lr` and `by`,
    /// and a table `[run]` with all else that a run's configuration has.
    ///
    /// # Errors
    /// Names what is wrong, and what would be right.
    pub fn from_toml(text: &str) -> Result<Self, GridError> {
        let file: File = toml::from_str(text)?;
        let given: toml::Table = toml::from_str(text)?;
        let run = given.get("run").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        for (key, instead) in [("algorithm", "methods"), ("compressor", "compressors"), ("seed", "seeds")] {
            if run.contains_key(key) {
                return Err(GridError::Taken { key, instead });
            }
        }
        let schedule = run.get("schedule").and_then(toml::Value::as_table);
        if file.tune.is_some() && schedule.is_some_and(|schedule| schedule.contains_key("lr")) {
            return Err(GridError::Taken { key: "schedule.lr", instead: "tune.lr" });
        }
        if file.run.steps > 0 && run.contains_key("epochs") {
            return Err(GridError::Run(ConfigError::Lengths));
        }
        if file.pairs.is_empty() && (file.methods.is_empty() || file.compressors.is_empty()) {
            return Err(GridError::Empty("methods and compressors must have at least one each, or pairs one"));
        }
        if file.seeds.is_empty() {
            return Err(GridError::Empty("seeds must have at least one"));
        }
        once("methods", &file.methods)?;
        once("compressors", &file.compressors)?;
        once("seeds", &file.seeds)?;
        if let Some(Tune { lr, .. }) = &file.tune {
            if lr.is_empty() {
                return Err(GridError::Empty("tune.lr must have at least one step size"));
            }
            once("tune.lr", lr)?;
            if let Some(bad) = lr.iter().find(|lr| !(**lr > 0.0 && lr.is_finite())) {
                return Err(GridError::StepSize(*bad));
            }
        }
        let (mut pairs, left_out) = product(&file.methods, &file.compressors)?;
        for pair in &file.pairs {
            pairs.push(parse(pair)?);
        }
        once(
            "the grid",
            &pairs.iter().map(|(method, compressor)| format!("{method} {compressor}")).collect::<Vec<_>>(),
        )?;
        let grid = Self { pairs, left_out, seeds: file.seeds, tune: file.tune, run: file.run };
        grid.runs(grid.first_lr()).iter().try_for_each(|config| config.check().map_err(GridError::Run))?;
        Ok(grid)
    }

    /// Pairs that do not go together, and why.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// A line for each pair, and what is done with each.
    pub fn plan(&self) -> Vec<String> {
        let seeds = self.seeds.len();
        let tune = self.tune.as_ref().map_or(String::new(), |tune| {
            let all: Vec<String> = tune.lr.iter().map(|lr| format!("{lr:?}")).collect();
            format!(", step sizes {} with seed {} by {}", all.join(", "), self.seeds[0], tune.by.name())
        });
        self.pairs.iter().map(|(method, compressor)| format!("{method} {compressor}: {seeds} seeds{tune}")).collect()
    }

    /// How step sizes are tuned, where they are.
    pub(super) fn tune(&self) -> Option<&Tune> {
        self.tune.as_ref()
    }

    pub(super) fn pairs(&self) -> &[(AnyAlgorithm, AnyCompressor)] {
        &self.pairs
    }

    pub(super) fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// The run of a pair with this seed, and with this step size where one is given.
    pub(super) fn run(&self, pair: usize, seed: u64, lr: Option<f64>) -> RunConfig {
        let (algorithm, compressor) = self.pairs[pair].clone();
        let mut config = RunConfig { algorithm, compressor, seed, ..self.run.clone() };
        config.schedule.lr = lr.unwrap_or(config.schedule.lr);
        config
    }

    fn first_lr(&self) -> Option<f64> {
        self.tune.as_ref().map(|tune| tune.lr[0])
    }

    fn runs(&self, lr: Option<f64>) -> Vec<RunConfig> {
        (0..self.pairs.len()).map(|pair| self.run(pair, self.seeds[0], lr)).collect()
    }
}

fn once<T: ToString>(what: &'static str, list: &[T]) -> Result<(), GridError> {
    let names: Vec<String> = list.iter().map(ToString::to_string).collect();
    match names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        Some((_, name)) => Err(GridError::Twice { what, name: name.clone() }),
        None => Ok(()),
    }
}

fn parse(pair: &str) -> Result<(AnyAlgorithm, AnyCompressor), GridError> {
    let (method, compressor) = pair.trim().split_once(' ').ok_or_else(|| GridError::Pair(pair.into()))?;
    let wrong = |why: String| GridError::Form { pair: pair.into(), why };
    let method: AnyAlgorithm = method.parse().map_err(|error| wrong(format!("{error}")))?;
    let compressor: AnyCompressor = compressor.trim().parse().map_err(|error| wrong(format!("{error}")))?;
    method.check(&compressor).map_err(|error| wrong(error.to_string()))?;
    Ok((method, compressor))
}

type Pairs = Vec<(AnyAlgorithm, AnyCompressor)>;

/// The pairs that go together, and why the others do not.
fn product(methods: &[AnyAlgorithm], compressors: &[AnyCompressor]) -> Result<(Pairs, Vec<String>), GridError> {
    let (mut pairs, mut left_out) = (Vec::new(), Vec::new());
    for method in methods {
        for compressor in compressors {
            match method.check(compressor) {
                Ok(()) => pairs.push((method.clone(), compressor.clone())),
                Err(why) => left_out.push(format!("{method} {compressor}: {why}")),
            }
        }
    }
    let alone = |what, name: String, why: Option<String>| GridError::Alone { what, name, why: why.unwrap_or_default() };
    let first = |refusals: Vec<Result<(), backburn_optim::NotTaken>>| {
        refusals.into_iter().find_map(|refusal| refusal.err().map(|error| error.to_string()))
    };
    for method in methods.iter().filter(|_| !compressors.is_empty()) {
        if pairs.iter().all(|(known, _)| known != method) {
            let why = first(compressors.iter().map(|compressor| method.check(compressor)).collect());
            return Err(alone("method", method.to_string(), why));
        }
    }
    for compressor in compressors.iter().filter(|_| !methods.is_empty()) {
        if pairs.iter().all(|(_, known)| known != compressor) {
            let why = first(methods.iter().map(|method| method.check(compressor)).collect());
            return Err(alone("compressor", compressor.to_string(), why));
        }
    }
    Ok((pairs, left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_all_pairs_that_go_together_and_those_named() {
        let grid = Grid::from_toml(
            "methods = ['ef-sgd', 'ef21-sgd']\ncompressors = ['topk:0.1', 'sign:scaled']\npairs = ['sgd identity']\n\
             seeds = [1, 2]\n[tune]\nlr = [0.1, 0.2]\nby = 'test-accuracy'\n[run]\nmodel = 'softmax'\nsteps = 3",
        )
        .unwrap();
        assert_eq!((grid.pairs().len(), grid.seeds(), grid.left_out().len()), (5, &[1, 2][..], 0));
        let run = grid.run(4, 2, Some(0.2));
        assert_eq!((run.algorithm.to_string(), run.seed, run.schedule.lr, run.steps), ("sgd".into(), 2, 0.2, 3));
        let plan = grid.plan();
        assert_eq!(plan[4], "sgd identity: 2 seeds, step sizes 0.1, 0.2 with seed 1 by test accuracy");
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let message = |text: &str| Grid::from_toml(text).unwrap_err().to_string();
        let good = "methods = ['ef-sgd']\ncompressors = ['topk:0.1']\nseeds = [1]\n";
        Grid::from_toml(good).unwrap();
        for (text, says) in [
            ("methods = ", "TOML parse error at line 1"),
            ("colour = 3\nseeds = [1]", "unknown field `colour`, expected one of `methods`"),
            ("methods = ['ef-sgd']\ncompressors = ['topk:0.1']", "missing field `seeds`"),
            ("seeds = [1]", "methods and compressors must have at least one each, or pairs one"),
            (&good.replace("[1]", "[]"), "seeds must have at least one"),
            (&good.replace("[1]", "[1, 1]"), "seeds has `1` twice"),
            (&good.replace("'ef-sgd'", "'ef-sgd', 'ef-sgd'"), "methods has `ef-sgd` twice"),
            (&good.replace("ef-sgd", "ef-sgb"), "ef-sgd"),
            (&format!("{good}pairs = ['ef-sgd topk:0.1']"), "the grid has `ef-sgd topk:0.1` twice"),
            (&format!("{good}pairs = ['sgd']"), "a pair is a method, a space and a compressor"),
            (&format!("{good}pairs = ['ef-sgd sign']"), "pairs has `ef-sgd sign`: "),
            (&format!("{good}[run]\nseed = 3"), "[run] has seed, which seeds of the grid says"),
            (&format!("{good}[run]\nworker = 3"), "unknown field `worker`"),
            (&format!("{good}[run]\nworkers = 0"), "[run]: workers must be at least 1"),
            (&format!("{good}[run]\nsteps = 3\nepochs = 2.0"), "both steps and epochs are given"),
            (&format!("{good}[tune]\nlr = []"), "tune.lr must have at least one"),
            (&format!("{good}[tune]\nlr = [0.1, -1.0]"), "tune.lr has -1; step sizes are positive"),
            (&format!("{good}[tune]\nlr = [0.1]\nby = 'luck'"), "train-loss"),
            (&format!("{good}[tune]\nlr = [0.1]\n[run.schedule]\nlr = 0.1"), "schedule.lr, which tune.lr"),
            (&good.replace("'topk:0.1'", "'topk:0.1', 'sign'"), "compressor `sign` goes with none of the others"),
            (&good.replace("'topk:0.1'", "'sign'"), "method `ef-sgd` goes with none of the others"),
        ] {
            let said = message(text);
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
