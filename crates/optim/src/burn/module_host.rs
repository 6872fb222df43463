//! Who computes gradients of a module when a method asks for them.

use ::burn::module::Module;
use ::burn::optim::GradientsParams;
use backburn_compress::{Layout, Vector};

use crate::burn::gradients::{Preparation, flatten};
use crate::burn::held::Held;
use crate::burn::places::Places;
use crate::host::{Change, Given, Host, Outgrown, Reply, RoundError};
use crate::method::Ask;

/// Computes gradients and losses of a module for methods that ask for them.
///
/// ```
/// use backburn_compress::TopK;
/// use backburn_optim::{GroupConfig, ModuleHost, Neolithic, RoundError};
/// use burn::{nn::{Linear, LinearConfig}, optim::GradientsParams, tensor::{Distribution, Tensor}};
///
/// struct Data(Vec<Tensor<2>>); // a worker's own
///
/// impl ModuleHost<Linear> for Data {
///     fn gradient(&mut self, worker: usize, at: &Linear, batches: usize) -> Result<GradientsParams, RoundError> {
///         if batches == 0 {
///             return Err(RoundError::Unserved("an exact gradient"));
///         }
///         let device = self.0[worker].device();
///         let draw = |_| Tensor::random([8, 1], Distribution::Uniform(0.0, 1.0), &device) * self.0[worker].clone();
///         let loss = (0..batches).map(draw).map(|x| at.forward(x).mean()).reduce(|a, b| a + b).expect("at least one");
///         Ok(GradientsParams::from_grads((loss / batches as f32).backward(), at))
///     }
/// }
///
/// # let device = backburn_optim::device("auto")?.autodiff();
/// let mut model = LinearConfig::new(3, 2).init(&device);
/// let config = GroupConfig::new(Neolithic::new(4)?, TopK::ratio(0.25)?).with_workers(2);
/// let mut group = config.init(&model)?;
/// let mut data = Data((1..3).map(|w| Tensor::ones([8, 3], &device) * w as f32).collect());
/// let round = group.round_with(0.1, &model, &mut data)?; // four minibatches a worker
/// model = round.apply(model);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ModuleHost<M> {
    /// The worker's gradient at this model: the mean over so many minibatches, 0 for the exact one. Several calls
    /// within a step are for the same minibatch.
    ///
    /// # Errors
    /// Where it cannot: [`RoundError::Unserved`], or a failure of its own ([`RoundError::host`]).
    fn gradient(&mut self, worker: usize, at: &M, batches: usize) -> Result<GradientsParams, RoundError>;

    /// The worker's own full objective at this model.
    ///
    /// # Errors
    /// As [`gradient`](Self::gradient).
    fn loss(&mut self, worker: usize, at: &M) -> Result<f64, RoundError> {
        let _ = (worker, at);
        Err(RoundError::Unserved("a loss"))
    }
}

/// A closure as a host.
pub(crate) struct Gradients<F>(pub F);

impl<M, F: FnMut(usize, &M) -> GradientsParams> ModuleHost<M> for Gradients<F> {
    fn gradient(&mut self, worker: usize, at: &M, batches: usize) -> Result<GradientsParams, RoundError> {
        if batches == 0 {
            return Err(RoundError::Unserved("an exact gradient"));
        }
        Ok((self.0)(worker, at))
    }
}

/// A module's host, as the driver below sees it.
pub(crate) struct Served<'a, M, H> {
    pub places: &'a Places,
    pub preparation: &'a Preparation,
    pub layout: &'a Layout,
    pub model: &'a M,
    pub held: &'a Held,
    /// The first of this process's workers, and the models of all of them where each has its own.
    pub first: usize,
    pub nodes: &'a [M],
    pub host: &'a mut H,
}

/// A worker's own model, or the common one.
fn own<'a, M>(nodes: &'a [M], first: usize, worker: usize, common: &'a M) -> &'a M {
    worker.checked_sub(first).and_then(|w| nodes.get(w)).unwrap_or(common)
}

impl<M: Module, H: ModuleHost<M>> Served<'_, M, H> {
    /// The model at which something is asked for, where that is not one that is there already.
    fn elsewhere(&self, worker: usize, at: &Option<Vector>) -> Result<Option<M>, RoundError> {
        Ok(match at {
            Some(x) => Some(self.places.write(own(self.nodes, self.first, worker, self.model).clone(), x.as_slice())?),
            None => None,
        })
    }
}

impl<M: Module, H: ModuleHost<M>> Host for Served<'_, M, H> {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        match ask {
            Ask::Gradient { at, batches } => {
                let there = self.elsewhere(worker, at)?;
                let own = own(self.nodes, self.first, worker, self.model);
                let there = there.as_ref().unwrap_or(own);
                let grads = self.host.gradient(worker, there, *batches)?;
                let mut gradient = flatten(self.places, there, worker, grads)?;
                let x = if self.preparation.needs_x() { self.places.read(there)? } else { Vector::new() };
                self.preparation.apply(&mut gradient, x.as_slice(), self.layout);
                Ok(Reply::Gradient(gradient))
            }
            Ask::Loss { at } => {
                let there = self.elsewhere(worker, at)?;
                let own = own(self.nodes, self.first, worker, self.model);
                Ok(Reply::Loss(self.host.loss(worker, there.as_ref().unwrap_or(own))?))
            }
        }
    }

    fn x(&mut self) -> Option<Vector> {
        self.places.read(self.model).ok()
    }

    fn room(&mut self) -> f64 {
        self.held.room(self.places, self.model)
    }

    fn outgrown(&mut self, change: &Change) -> Option<Outgrown> {
        self.held.outgrown(self.places, self.model, change)
    }
}

/// Gradients that are there already, or why they are not: the driver is told, so that other processes are.
pub(crate) struct Ready<'a, M> {
    pub given: Given,
    pub failed: Vec<(usize, RoundError)>,
    pub places: &'a Places,
    pub model: &'a M,
    pub held: &'a Held,
}

impl<M: Module> Ready<'_, M> {
    fn failure(&self, worker: usize) -> Option<&RoundError> {
        self.failed.iter().find(|(w, _)| *w == worker).map(|(_, error)| error)
    }
}

impl<M: Module> Host for Ready<'_, M> {
    fn answer(&mut self, worker: usize, ask: &Ask) -> Result<Reply, RoundError> {
        match self.failure(worker) {
            Some(error) => Err(error.clone()),
            None => self.given.answer(worker, ask),
        }
    }

    fn is_present(&mut self, worker: usize) -> bool {
        self.failure(worker).is_some() || self.given.is_present(worker)
    }

    fn x(&mut self) -> Option<Vector> {
        self.places.read(self.model).ok()
    }

    fn room(&mut self) -> f64 {
        self.held.room(self.places, self.model)
    }

    fn outgrown(&mut self, change: &Change) -> Option<Outgrown> {
        self.held.outgrown(self.places, self.model, change)
    }
}
