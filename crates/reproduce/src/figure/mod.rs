//! Figures: panels of curves, each the mean over seeds with a band from the 10 % to the 90 % quantile.

mod draw;
mod panel;
mod strokes;
mod ticks;

pub use draw::{png, svg};
pub use panel::{Axis, Figure, Line, Panel, Point, line};
