//! What a round of a group came to.

use ::burn::module::Module;
use ::burn::optim::GradientsParams;
use backburn_compress::Vector;

use crate::burn::found::Found;
use crate::burn::gradients::unflatten;
use crate::burn::held::Piece;
use crate::burn::places::Places;
use crate::burn::weights::{self, By};
use crate::host::{Change, Decided, Load, ModelError, Traffic};
use crate::method::Move;

/// What a round came to: what was sent, and how the model moves.
#[derive(Clone, Debug)]
#[must_use = "the model moves only by `apply` or `direction`"]
pub struct Round {
    pub(crate) decided: Decided,
    /// Whether any optimizer may follow the direction.
    pub(crate) open: bool,
    /// Each parameter's factor on the move; empty where there is none.
    pub(crate) share: Vec<f32>,
    pub(crate) places: Places,
    /// The parameters of the model that the round was of.
    pub(crate) found: Vec<Found>,
}

/// The method owns the step: what was decided is no direction that another optimizer could follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this method owns its step: use `apply`; methods that leave it open are `ef-sgd:outside`, `sgd` and others")]
pub struct StepIsOwned;

impl Round {
    /// What was sent, exactly.
    pub fn traffic(&self) -> &Traffic {
        &self.decided.traffic
    }

    /// What the step asks of a network.
    pub fn load(&self) -> Load {
        Load::of(self.traffic(), 4.0 * self.decided.layout().len() as f64)
    }

    /// How x moves.
    pub fn moved(&self) -> &Move {
        &self.decided.moved
    }

    /// The model after the step. Parameters are found by path, and keep their dtype and what autodiff knows of
    /// them. Under gossip, the mean of this process's nodes.
    ///
    /// A model that has not the parameters of the round's stays as it is, with a word in the log;
    /// [`try_apply`](Self::try_apply) gives the error.
    pub fn apply<M: Module>(self, model: M) -> M {
        match self.places.check(&model) {
            Ok(()) => self.move_on(model),
            Err(error) => {
                tracing::error!("a round was applied to another model, which stays as it is: {error}");
                model
            }
        }
    }

    /// As [`apply`](Self::apply).
    ///
    /// # Errors
    /// Where the model has not the parameters of the round's.
    pub fn try_apply<M: Module>(self, model: M) -> Result<M, ModelError> {
        self.places.check(&model)?;
        Ok(self.move_on(model))
    }

    fn move_on<M: Module>(self, model: M) -> M {
        let layout = self.decided.layout();
        let ranges = || layout.parameters().iter().map(|p| &p.range).eq(layout.units().iter().map(|u| &u.range));
        let model = match self.decided.sum() {
            // What each parameter hears is added to it where it stands.
            Some((a, message)) if self.share.iter().all(|share| *share == 1.0) && ranges() => {
                weights::change(&self.places, model, By::Payloads(a, &message.payloads))
            }
            _ => self.move_by_numbers(model),
        };
        self.decided.recycle();
        model
    }

    fn move_by_numbers<M: Module>(&self, model: M) -> M {
        match self.decided.change() {
            Change::To(y) => weights::change(&self.places, model, By::Numbers(Piece::To(y.as_slice()))),
            Change::By(mut u) => {
                for (index, p) in self.decided.layout().parameters().iter().enumerate() {
                    if let Some(share) = self.share.get(index).filter(|share| **share != 1.0) {
                        u.as_mut_slice()[p.range.clone()].iter_mut().for_each(|u| *u *= share);
                    }
                }
                weights::change(&self.places, model, By::Numbers(Piece::By(u.as_slice())))
            }
        }
    }

    /// The decoded mean as gradients of the round's model, for any Burn optimizer to follow instead of
    /// [`apply`](Self::apply): `model = adamw.step(lr, model, round.direction()?)`. The step size is then the
    /// optimizer's; the `lr` of [`Group::round`](crate::Group::round) only says by how much what is owed is to be
    /// rescaled when it changes, so give both the same.
    ///
    /// # Errors
    /// Where the method owns its step.
    pub fn direction(&self) -> Result<GradientsParams, StepIsOwned> {
        match &self.decided.moved {
            Move::Direction(d) if self.open => {
                let layout = self.decided.layout();
                let mut flat = Vector::zeros(layout.len());
                flat.add_decoded(1.0, d, layout);
                Ok(unflatten(&self.places, &self.found, flat.as_slice()))
            }
            _ => Err(StepIsOwned),
        }
    }
}
