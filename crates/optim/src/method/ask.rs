//! What a method needs from its host, and what it is given.

use backburn_compress::Vector;

/// What a method needs from its host before it can speak.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A stochastic gradient on this step's minibatch.
    Gradient {
        /// Where; `None` for the worker's current x.
        at: Option<Vector>,
        /// The mean of so many minibatches; 0 asks for the exact gradient of the worker's objective.
        batches: usize,
    },
    /// The worker's own full objective f_i.
    Loss {
        /// Where; `None` for the worker's current x.
        at: Option<Vector>,
    },
}

impl Ask {
    /// What most methods ask: one minibatch's gradient at the current x.
    pub const GRADIENT: Self = Self::Gradient { at: None, batches: 1 };
}

/// The host's answers, each kind in the order of the asks.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Gradients, as long as the model each.
    pub gradients: Vec<Vector>,
    /// Losses.
    pub losses: Vec<f64>,
}

impl Seen {
    /// One gradient.
    pub fn gradient(g: Vector) -> Self {
        Self { gradients: vec![g], losses: Vec::new() }
    }

    /// Takes the first gradient.
    pub fn take(&mut self) -> Vector {
        self.take_at(0)
    }

    /// Takes the gradient that was asked for in this place.
    pub fn take_at(&mut self, place: usize) -> Vector {
        std::mem::take(&mut self.gradients[place])
    }
}
