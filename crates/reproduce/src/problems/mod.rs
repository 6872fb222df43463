//! Objectives on flat vectors, without a model: what counter-examples and convex experiments run on.

mod bounded;
pub(crate) mod flat;
mod least_squares;
mod problem;
mod quadratic;
mod reference_sign;
mod saddle;
mod simulation;
mod softmax;
mod toys;

pub use bounded::{SumOfMagnitudes, Wells};
pub use least_squares::LeastSquares;
pub use problem::{Problem, dot, square};
pub use quadratic::Quadratics;
pub use reference_sign::ReferenceSign;
pub use saddle::Saddle;
pub use simulation::Simulation;
pub use softmax::{Rows, SoftmaxRegression};
pub use toys::{AbsoluteValues, BimodalLine, SaddleNoise, Slope, SparseNoise, ThreeWorkers, WeightedAbsoluteValues};
