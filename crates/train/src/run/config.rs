//! What a run is made of.

use std::path::PathBuf;

use backburn_compress::{AnyCompressor, Scope};
use backburn_optim::{AnyAlgorithm, Links, SetupError};
use serde::{Deserialize, Serialize};

use super::checkpoint_every::CheckpointEvery;
use super::length::Length;
use crate::data::{DataError, DataSet, Examples, Options, Partition, Split};
use crate::models::ModelKind;
use crate::session::{OnNonFinite, Schedule, ScheduleError, StepSizes};

/// Examples in a batch, at most.
const MOST_EXAMPLES: usize = 1 << 20;

/// Why a configuration cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not TOML, or of other keys and values.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// Nobody to train.
    #[error("workers must be at least 1, and is 0")]
    Workers,
    /// A batch of none, or of too many.
    #[error("batch must be between 1 and {MOST_EXAMPLES}, and is {0}")]
    Batch(usize),
    /// A length that is none.
    #[error("epochs must be a positive number where steps is 0")]
    Epochs,
    /// Two lengths, of which one would be ignored.
    #[error("both steps and epochs are given: a run has one length")]
    Lengths,
    /// A path that TOML cannot hold.
    #[error("data_dir must be UTF-8, and is `{}`", .0.display())]
    DataDir(PathBuf),
    /// Step sizes that are none.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Crops and flips of what are no images.
    #[error("`{0}` is not a set of images, and nothing else is augmented")]
    Augment(String),
    /// A method and a compressor that do not go together.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A run that would go on with data of other contents.
    #[error("the training data is not what the run began with: {now}, which is not what it was as {was}")]
    Data {
        /// What the run began with.
        was: DataSet,
        /// What is there.
        now: DataSet,
    },
    /// A run that would go on with other data, model or seed.
    #[error(
        "a run goes on with the data, model, batch, scope, seed, overlap and link that it began with; changed: {0}"
    )]
    Changed(String),
}

/// All that decides a run, and nothing else: the same configuration gives the same bits on the
/// same kind of device. Written as TOML into the run's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// The data set: a name of the catalogue, or files of one's own.
    pub data: DataSet,
    /// A directory that holds it, before the user's cache is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Train on so many of its examples only, the first of every class; 0 is all.
    pub subset: usize,
    /// Random crops with padding 4, and flips.
    pub augment: bool,
    /// The model.
    pub model: ModelKind,
    /// n.
    pub workers: usize,
    /// How the data is dealt to the workers.
    pub partition: Partition,
    /// Examples a worker and step.
    pub batch: usize,
    /// Passes over the data; steps = epochs·images/(workers·batch).
    #[serde(skip_serializing_if = "is_zero")]
    pub epochs: f64,
    /// Steps, instead of epochs; 0 counts epochs.
    #[serde(skip_serializing_if = "is_zero")]
    pub steps: u64,
    /// The method.
    pub algorithm: AnyAlgorithm,
    /// The compressor.
    pub compressor: AnyCompressor,
    /// What the compressor sees as one vector.
    pub scope: Scope,
    /// Parameters of fewer coordinates are sent as they are.
    pub dense_below: usize,
    /// The seed of everything: weights, batches, augmentation, draws.
    pub seed: u64,
    /// The links of the workers, on which every exchange is reckoned in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Links>,
    /// Exchange a step's gradients while the next are computed: the model moves one step late.
    #[serde(skip_serializing_if = "is_zero")]
    pub overlap: bool,
    /// The device's name.
    pub device: String,
    /// What happens when a gradient is not finite.
    pub on_non_finite: OnNonFinite,
    /// How often what is reached is kept.
    pub checkpoint_every: CheckpointEvery,
    /// Over what length the step sizes run, where that is not the run's own: what a longer run keeps of a shorter one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_length: Option<Length>,
    /// Step sizes. A table, and so the last of the file.
    pub schedule: Schedule,
}

impl Default for RunConfig {
    fn default() -> Self {
        let parsed = "a form from the tables parses";
        Self {
            data: "fashion-embedded".parse().expect(parsed),
            data_dir: None,
            subset: 0,
            augment: false,
            model: ModelKind::ConvNet,
            workers: 4,
            partition: Partition::Iid,
            batch: 32,
            epochs: 5.0,
            steps: 0,
            algorithm: "ef-sgd:momentum=0.9".parse().expect(parsed),
            compressor: "topk:0.01".parse().expect(parsed),
            scope: Scope::Parameter,
            dense_below: 0,
            seed: 1,
            link: None,
            overlap: false,
            device: "auto".into(),
            on_non_finite: OnNonFinite::Stop,
            checkpoint_every: CheckpointEvery::default(),
            schedule_length: None,
            schedule: Schedule::default(),
        }
    }
}

impl RunConfig {
    /// Reads TOML; an unknown key is an error that names the known ones.
    ///
    /// # Errors
    /// Where it is no TOML, or no configuration.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim_start_matches('\u{feff}');
        let config: Self = toml::from_str(text)?;
        let given: toml::Table = toml::from_str(text)?;
        if config.steps > 0 && given.contains_key("epochs") {
            return Err(ConfigError::Lengths);
        }
        Ok(config)
    }

    /// TOML that reads back as the same configuration, of one that passed [`check`](Self::check).
    pub fn to_toml(&self) -> String {
        // The length that counts, and no other.
        let epochs = if self.steps > 0 { 0.0 } else { self.epochs };
        toml::to_string(&Self { epochs, ..self.clone() }).expect("every field has a TOML form")
    }

    /// Checks what serde cannot.
    ///
    /// # Errors
    /// Names what cannot be.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.workers == 0 {
            return Err(ConfigError::Workers);
        }
        if !(1..=MOST_EXAMPLES).contains(&self.batch) {
            return Err(ConfigError::Batch(self.batch));
        }
        if self.steps == 0 && !(self.epochs > 0.0 && self.epochs.is_finite()) {
            return Err(ConfigError::Epochs);
        }
        if let Some(path) = self.data_dir.as_ref().filter(|path| path.to_str().is_none()) {
            return Err(ConfigError::DataDir(path.clone()));
        }
        self.algorithm.check(&self.compressor)?;
        self.link.as_ref().map_or(Ok(()), |link| link.check(self.workers)).map_err(SetupError::from)?;
        Ok(self.schedule.check()?)
    }

    /// Whether a run of `self` may go on as `other`: what decides its data, its model and its draws must be
    /// the same, and the link, whose seconds add up; method arguments, compressor, workers, step sizes, length and
    /// device may change.
    ///
    /// # Errors
    /// Names what differs.
    pub fn same_run(&self, other: &Self) -> Result<(), ConfigError> {
        let mut changed = Vec::new();
        let mut differ = |what: &str, was: &dyn ToString, is: &dyn ToString| {
            let (was, is) = (was.to_string(), is.to_string());
            if was != is {
                changed.push(format!("{what} = {is}, was {was}"));
            }
        };
        // The data themselves are compared by their digest: files may have moved.
        differ("subset", &self.subset, &other.subset);
        differ("augment", &self.augment, &other.augment);
        differ("model", &self.model, &other.model);
        differ("partition", &self.partition, &other.partition);
        differ("seed", &self.seed, &other.seed);
        differ("batch", &self.batch, &other.batch);
        differ("scope", &self.scope, &other.scope);
        differ("overlap", &self.overlap, &other.overlap);
        differ("dense_below", &self.dense_below, &other.dense_below);
        let link = |links: &Option<Links>| links.as_ref().map_or("none".into(), Links::to_string);
        differ("link", &link(&self.link), &link(&other.link));
        if changed.is_empty() { Ok(()) } else { Err(ConfigError::Changed(changed.join("; "))) }
    }

    /// How long it is.
    pub fn length(&self) -> Length {
        if self.steps > 0 { Length::Steps(self.steps) } else { Length::Epochs(self.epochs) }
    }

    /// Steps for a training set of so many examples.
    pub fn steps_for(&self, examples: usize) -> u64 {
        self.length().steps(self.examples_a_step(), examples)
    }

    /// γ at every step, for a training set of so many examples.
    pub fn step_sizes(&self, examples: usize) -> impl StepSizes + use<> {
        let (schedule, length) = (self.schedule.clone(), self.steps_of_schedule(examples));
        move |step: u64, _: u64| schedule.at(step, length)
    }

    /// Over how many steps the step sizes run.
    pub fn steps_of_schedule(&self, examples: usize) -> u64 {
        self.schedule_length.unwrap_or_else(|| self.length()).steps(self.examples_a_step(), examples)
    }

    /// Its data, [`subset`](Self::subset) and all the rest.
    ///
    /// # Errors
    /// Where they cannot be had.
    pub fn load_data(&self, options: &Options) -> Result<Split<Examples>, DataError> {
        let data_dir = self.data_dir.clone().or_else(|| options.data_dir.clone());
        self.data.load(&Options { data_dir, ..options.clone() })
    }

    /// Of all workers together.
    fn examples_a_step(&self) -> f64 {
        self.workers as f64 * self.batch as f64
    }
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_as_toml() {
        let config = RunConfig { data_dir: Some("here".into()), workers: 7, ..RunConfig::default() };
        assert_eq!(RunConfig::from_toml(&config.to_toml()).unwrap(), config);
        let config = RunConfig { link: Some("6*100Mbit,20ms;1Mbit,50ms".parse().unwrap()), ..config };
        config.check().unwrap();
        assert_eq!(RunConfig::from_toml(&config.to_toml()).unwrap(), config);
        assert!(RunConfig { workers: 8, ..config }.check().is_err());
    }

    #[test]
    fn depth_without_an_end_is_an_error() {
        // Pins that what is read by recursion has a limit.
        let deep = 100_000;
        for text in ["a = ".to_owned() + &"[".repeat(deep), "a = ".to_owned() + &"{ b = ".repeat(deep)] {
            assert!(matches!(RunConfig::from_toml(&text), Err(ConfigError::Toml(_))));
        }
        let nested = "fcc:rounds=1,of=".repeat(deep) + "topk:0.1";
        assert!(RunConfig::from_toml(&format!("compressor = '{nested}'")).unwrap_err().to_string().contains("deep"));
    }

    #[test]
    fn one_length_counts_and_two_are_refused() {
        let config = RunConfig { steps: 3, epochs: 50.0, ..RunConfig::default() };
        let text = config.to_toml();
        assert!(text.contains("steps = 3") && !text.contains("epochs"), "{text}");
        assert_eq!(RunConfig::from_toml(&text).unwrap().length(), Length::Steps(3));
        assert!(matches!(RunConfig::from_toml("steps = 3\nepochs = 5.0"), Err(ConfigError::Lengths)));
        assert_eq!(RunConfig::from_toml("steps = 0\nepochs = 2.0").unwrap().length(), Length::Epochs(2.0));
    }

    #[test]
    fn step_sizes_run_over_their_own_length_where_they_have_one() {
        let config = RunConfig { steps: 100, workers: 4, batch: 5, ..RunConfig::default() };
        let longer = RunConfig { steps: 1000, ..config.clone() };
        let kept = RunConfig { schedule_length: Some(Length::Epochs(2.0)), ..longer.clone() };
        let at = |config: &RunConfig, step| config.step_sizes(1000).at(step, config.steps_for(1000));
        assert_eq!([at(&config, 99), at(&longer, 99), at(&longer, 999)], [0.0005, 0.05, 0.0005]);
        assert_eq!([at(&kept, 49), at(&kept, 99), at(&kept, 100), at(&kept, 999)], [0.05, 0.0005, 0.0005, 0.0005]);
    }

    #[test]
    fn what_decides_the_bits_stays() {
        let config = RunConfig::default();
        let longer = RunConfig { steps: 9, workers: 2, compressor: "sign:scaled".parse().unwrap(), ..config.clone() };
        config.same_run(&longer).unwrap();
        let other = RunConfig { seed: 2, model: ModelKind::Softmax, ..config.clone() };
        let message = config.same_run(&other).unwrap_err().to_string();
        assert!(message.ends_with("changed: model = softmax, was convnet; seed = 2, was 1"), "{message}");
    }

    #[test]
    fn refusals_say_what_is_allowed() {
        let message = |text: &str| RunConfig::from_toml(text).unwrap_err().to_string();
        assert!(
            message("worker = 3").contains("unknown field `worker`, expected one of `data`"),
            "{}",
            message("worker = 3")
        );
        assert!(message("compressor = 'topk:2'").contains("ratio 2 is outside (0, 1]"));
        assert!(message("model = 'lenet'").contains("resnet20"));
        assert!(message("data = 'imagenet'").contains("fashion-embedded"));
        assert!(RunConfig { workers: 0, ..RunConfig::default() }.check().is_err());
        assert!(RunConfig { schedule: Schedule::constant(f64::NAN), ..RunConfig::default() }.check().is_err());
    }
}
