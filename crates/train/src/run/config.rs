//! What a run is made of.

use std::path::PathBuf;

use backburn_compress::{AnyCompressor, Scope};
use backburn_optim::{
    AnyAlgorithm, DeviceKind, Fragments, Links, ParameterGroup, Plan, PlanChoice, Preset, SetupError,
};
use serde::{Deserialize, Serialize};

use super::checkpoint_every::CheckpointEvery;
use super::inner::{Inner, preset};
use super::length::Length;
use crate::data::{DataError, DataSet, Examples, Options, Partition, ShortText, Split};
use crate::models::{GptPlan, ModelKind};
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
    /// A model of images, or of rows, on text.
    #[error("`{data}` is text, which {model} does not read; a model of text is {}", GptPlan::FORM.usage)]
    Text {
        /// The data.
        data: DataSet,
        /// The model.
        model: ModelKind,
    },
    /// A model of text on something else.
    #[error("`{data}` is not text, and {model} reads nothing else; there are kjv, kjv-embedded and text:FILE")]
    NotText {
        /// The data.
        data: DataSet,
        /// The model.
        model: ModelKind,
    },
    /// A text that is too short for the model.
    #[error("`{data}` is too short for {model}: {source}")]
    Short {
        /// The data.
        data: Box<DataSet>,
        /// The model.
        model: ModelKind,
        /// How short.
        source: ShortText,
    },
    /// Text, dealt by what it has not.
    #[error("`{data}` is text and has no classes: partition must be iid, and is {partition}")]
    Dealt {
        /// The data.
        data: DataSet,
        /// How it was to be dealt.
        partition: Partition,
    },
    /// A method and a compressor that do not go together.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A plan that the method, or the number of workers, does not allow.
    #[error("plan {plan}: {why}")]
    Plan {
        /// The plan.
        plan: Plan,
        /// Why not.
        why: String,
    },
    /// A plan by machines that nobody has found.
    #[error(
        "plan hierarchical: how many workers a machine has is not known here: say it, as hierarchical:4, or run under \
         mpirun with equally many ranks on every machine, in a row (`--map-by slot`)"
    )]
    Machines,
    /// Steps between rounds for a method that has a round at every step, or the other way round.
    #[error("{0}")]
    Local(String),
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
        "a run goes on with the data, model, batch, scope, seed, overlap, link and machines that it began with; changed: {0}"
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
    /// Steps that workers take by themselves between two rounds, where the method is `local-sgd`, `diloco`,
    /// `sparse-loco` or `mu-loco`; 0 is 30 for these.
    #[serde(skip_serializing_if = "is_zero")]
    pub local_steps: u64,
    /// With what, where that is not the method's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<Inner>,
    /// The step size of their rounds, where that is not the method's own: 0.7 with an outer momentum, else 1. The
    /// schedule's is that of the steps in between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer_lr: Option<f64>,
    /// Exchange a part of the model at a time, while workers step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragments: Option<Fragments>,
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
    /// How messages get to everybody: gathered or sharded is the same to the bit. In a hierarchical run the workers of a
    /// machine add up their gradients, and what is compressed and counted is a machine's.
    #[serde(skip_serializing_if = "is_zero")]
    pub plan: PlanChoice,
    /// The device.
    pub device: DeviceKind,
    /// What happens when a gradient is not finite.
    pub on_non_finite: OnNonFinite,
    /// Steps from one measurement on the test part to the next; 0 measures at the end only.
    #[serde(skip_serializing_if = "is_zero")]
    pub evaluate_every: u64,
    /// How often what is reached is kept.
    pub checkpoint_every: CheckpointEvery,
    /// Over what length the step sizes run, where that is not the run's own: what a longer run keeps of a shorter one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_length: Option<Length>,
    /// Step sizes. A table, and so behind all values.
    pub schedule: Schedule,
    /// Parameters that are to be treated otherwise than the rest, by path and rank; where several match, the last decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<ParameterGroup>,
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
            local_steps: 0,
            inner: None,
            outer_lr: None,
            fragments: None,
            scope: Scope::Parameter,
            dense_below: 0,
            seed: 1,
            link: None,
            overlap: false,
            plan: PlanChoice::Auto,
            device: DeviceKind::Auto,
            on_non_finite: OnNonFinite::Stop,
            evaluate_every: 0,
            checkpoint_every: CheckpointEvery::default(),
            schedule_length: None,
            schedule: Schedule::default(),
            groups: Vec::new(),
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
        self.algorithm.check(&self.compressor).map_err(SetupError::from)?;
        self.groups
            .iter()
            .try_for_each(ParameterGroup::check)
            .map_err(backburn_optim::ModelError::from)
            .map_err(SetupError::from)?;
        self.check_plan()?;
        self.check_local()?;
        self.link.as_ref().map_or(Ok(()), |link| link.check(self.workers)).map_err(SetupError::from)?;
        Ok(self.schedule.check()?)
    }

    fn check_plan(&self) -> Result<(), ConfigError> {
        let plan = match self.plan {
            PlanChoice::Auto => return Ok(()),
            PlanChoice::Machines => return Err(ConfigError::Machines),
            PlanChoice::Is(plan) => plan,
        };
        let why = match plan {
            Plan::Sharded if !self.algorithm.hears_mean() => {
                format!("`{}` needs more than the mean of all messages; gather or auto serve it", self.algorithm)
            }
            Plan::Hierarchical { machine } if !self.workers.is_multiple_of(machine.get()) => {
                format!("{} workers are no machines of {machine}", self.workers)
            }
            Plan::Hierarchical { .. } if self.algorithm.is_gossip() => {
                format!("under `{}` every worker has weights of its own", self.algorithm)
            }
            Plan::Hierarchical { .. } if self.inner_optimizer().is_some() => {
                "workers that step by themselves have no gradient to add up".into()
            }
            Plan::Hierarchical { .. } if self.overlap => "it does not overlap exchanges with gradients".into(),
            _ => return Ok(()),
        };
        Err(ConfigError::Plan { plan, why })
    }

    /// The workers of a machine, where these add up their gradients.
    pub(super) fn machine(&self) -> Option<usize> {
        match self.plan {
            PlanChoice::Is(Plan::Hierarchical { machine }) => Some(machine.get()),
            _ => None,
        }
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
        let inner = |config: &Self| config.inner_optimizer().map_or("none".into(), |inner| inner.to_string());
        differ("inner", &inner(self), &inner(other));
        differ("local_steps", &self.local_steps(), &other.local_steps());
        let fragments = |config: &Self| config.fragments.map_or("none".into(), |fragments| fragments.to_string());
        differ("fragments", &fragments(self), &fragments(other));
        differ("overlap", &self.overlap, &other.overlap);
        differ("workers a machine", &self.machine().unwrap_or(1), &other.machine().unwrap_or(1));
        differ("dense_below", &self.dense_below, &other.dense_below);
        let groups = |config: &Self| serde_json::to_string(&config.groups).expect("groups are plain data");
        differ("groups", &groups(self), &groups(other));
        let link = |links: &Option<Links>| links.as_ref().map_or("none".into(), Links::to_string);
        differ("link", &link(&self.link), &link(&other.link));
        if changed.is_empty() { Ok(()) } else { Err(ConfigError::Changed(changed.join("; "))) }
    }

    fn check_local(&self) -> Result<(), ConfigError> {
        let refused = |why: String| Err(ConfigError::Local(why));
        if preset(&self.algorithm).is_none() {
            let given =
                self.local_steps > 0 || self.inner.is_some() || self.outer_lr.is_some() || self.fragments.is_some();
            return match given {
                true => refused(format!(
                    "`{}` has a round at every step: local_steps, inner, outer_lr and fragments go with {}",
                    self.algorithm.name(),
                    Preset::ALL.map(Preset::name).join(", ")
                )),
                false => Ok(()),
            };
        }
        if self.groups.iter().any(|group| !group.is_policy()) {
            return refused(
                "groups with a weight decay or a step size are the inner optimizer's here, and not the round's: give policies".into(),
            );
        }
        if self.overlap {
            return refused("`overlap` exchanges every step's gradients, and local steps none: take fragments".into());
        }
        if self.model.has_batch_norm() {
            return refused(format!(
                "`{}` has batch normalisation, whose statistics local steps do not share",
                self.model
            ));
        }
        self.fragments.unwrap_or(Fragments::WHOLE).spacing(self.local_steps()).map_err(SetupError::from)?;
        let lr = self.outer_lr();
        if !(lr > 0.0 && lr <= f64::from(f32::MAX)) {
            return Err(ScheduleError::StepSize(lr).into());
        }
        Ok(())
    }

    /// Steps between two rounds.
    pub fn local_steps(&self) -> u64 {
        match (preset(&self.algorithm), self.local_steps) {
            (None, _) => 1,
            (Some(_), 0) => 30,
            (Some(_), steps) => steps,
        }
    }

    /// The optimizer between two rounds, where there is one.
    pub fn inner_optimizer(&self) -> Option<Inner> {
        preset(&self.algorithm).map(|preset| self.inner.unwrap_or(Inner::of(preset)))
    }

    /// The step size of the rounds of local methods.
    pub fn outer_lr(&self) -> f64 {
        let momentum = matches!(preset(&self.algorithm), Some(Preset::DiLoCo | Preset::MuLoCo));
        self.outer_lr.unwrap_or(if momentum { 0.7 } else { 1.0 })
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

    /// The data as the model reads them: text in windows of its context.
    ///
    /// # Errors
    /// Where it reads no such data, or they cannot be dealt so.
    pub fn fit(&self, split: Split<Examples>) -> Result<Split<Examples>, ConfigError> {
        let (data, model, partition) = (self.data.clone(), self.model, self.partition);
        match (model.context(), split.train.are_text()) {
            (None, true) => Err(ConfigError::Text { data, model }),
            (Some(_), false) => Err(ConfigError::NotText { data, model }),
            (None, false) => Ok(split),
            (Some(_), true) if partition != Partition::Iid => Err(ConfigError::Dealt { data, partition }),
            (Some(context), true) => {
                split.with_context(context).map_err(|source| ConfigError::Short { data: data.into(), model, source })
            }
        }
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
        assert!(RunConfig { workers: 8, ..config.clone() }.check().is_err());
        let groups = vec!["*:vectors,dense".parse().unwrap(), "head.*:dense,step-size=0.3".parse().unwrap()];
        let config = RunConfig { groups, ..config };
        config.check().unwrap();
        assert_eq!(RunConfig::from_toml(&config.to_toml()).unwrap(), config);
        let local =
            RunConfig { algorithm: "diloco".parse().unwrap(), compressor: "identity".parse().unwrap(), ..config };
        assert!(local.check().unwrap_err().to_string().contains("give policies"));
    }

    #[test]
    fn plans_that_cannot_be_say_why() {
        let of = |plan: &str, algorithm: &str, workers: usize| {
            let (plan, algorithm) = (plan.parse().unwrap(), algorithm.parse().unwrap());
            let config = RunConfig { plan, algorithm, workers, ..RunConfig::default() };
            config.check().map_err(|error| error.to_string())
        };
        for plan in ["auto", "gather", "sharded", "hierarchical:2", "hierarchical:4"] {
            of(plan, "ef-sgd", 4).unwrap();
            let config = RunConfig { plan: plan.parse().unwrap(), ..RunConfig::default() };
            assert_eq!(RunConfig::from_toml(&config.to_toml()).unwrap(), config);
        }
        for (plan, algorithm, says) in [
            ("sharded", "beer", "plan sharded: `beer"),
            ("hierarchical:3", "ef-sgd", "plan hierarchical:3: 4 workers are no machines of 3"),
            ("hierarchical:2", "beer", "every worker has weights of its own"),
            ("hierarchical", "ef-sgd", "say it, as hierarchical:4, or run under mpirun"),
        ] {
            let said = of(plan, algorithm, 4).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
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
    fn text_goes_with_a_model_of_text_and_nothing_else_does() {
        let config = |data: &str, model: &str| {
            let (data, model) = (data.parse().unwrap(), model.parse().unwrap());
            RunConfig { data, model, ..RunConfig::default() }
        };
        let fit = |config: &RunConfig| {
            config.fit(config.load_data(&Options { offline: true, ..Options::default() }).unwrap())
        };
        let split = fit(&config("kjv-embedded", "gpt:context=64")).unwrap();
        assert_eq!((split.train.shape(), split.train.len(), split.test.len()), ([1, 1, 64], 4218, 468));
        let place = tempfile::tempdir().unwrap();
        let short = place.path().join("short.txt");
        std::fs::write(&short, "In the beginning").unwrap();
        let dealt = RunConfig { partition: Partition::ByClass, ..config("kjv-embedded", "gpt") };
        for (config, words) in [
            (
                config("kjv-embedded", "convnet"),
                "`kjv-embedded` is text, which convnet does not read; a model of text is gpt[:",
            ),
            (config("fashion-embedded", "gpt"), "there are kjv, kjv-embedded and text:FILE"),
            (
                config(&format!("text:{}", short.display()), "gpt"),
                "it has 16 bytes: 15 to train on and 1 to measure on",
            ),
            (dealt, "partition must be iid, and is by-class"),
        ] {
            let refused = fit(&config).unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
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
        assert!(message("device = 'tpu'").contains("unknown device `tpu`; known: auto, flex, ndarray, wgpu"));
        assert!(RunConfig { workers: 0, ..RunConfig::default() }.check().is_err());
        assert!(RunConfig { schedule: Schedule::constant(f64::NAN), ..RunConfig::default() }.check().is_err());
    }
}
