//! The estimators and compensations of ErrorCompensatedX, and what compresses the cells of its maps: by name, as text,
//! and where their numbers are recorded.

use crate::record::{GroupName, Metric};

/// k/d.
pub(super) const SHARES: [f64; 4] = [0.8, 0.6, 0.3, 0.1];
/// s of QSGD.
pub(super) const LEVELS: [f64; 2] = [16.0, 4.0];

/// A_t.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Estimator {
    Momentum,
    Storm,
    Igt,
    Root,
}

impl Estimator {
    pub const ALL: [Self; 4] = [Self::Momentum, Self::Storm, Self::Igt, Self::Root];
    /// Those with an α of their own.
    pub const WITH_ALPHA: [Self; 3] = [Self::Momentum, Self::Storm, Self::Igt];

    pub fn name(self) -> &'static str {
        match self {
            Self::Momentum => "momentum",
            Self::Storm => "STORM",
            Self::Igt => "IGT",
            Self::Root => "ROOT-SGD",
        }
    }

    /// As the algorithm's text has it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Momentum => "momentum",
            Self::Storm => "storm",
            Self::Igt => "igt",
            Self::Root => "root",
        }
    }

    pub fn form(self, compensation: Compensation, alpha: f64) -> String {
        let one = if compensation == Compensation::One { ",one-step" } else { "" };
        match self {
            Self::Root => format!("ecx:estimator=root{one}"),
            _ => format!("ecx:alpha={alpha},estimator={}{one}", self.key()),
        }
    }
}

/// How a compression error comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compensation {
    /// There is none.
    Uncompressed,
    One,
    Two,
}

impl Compensation {
    pub const ALL: [Self; 3] = [Self::Uncompressed, Self::One, Self::Two];

    pub fn name(self) -> &'static str {
        match self {
            Self::Uncompressed => "uncompressed",
            Self::One => "one-step",
            Self::Two => "ErrorCompensatedX",
        }
    }

    pub fn compressor(self, map: Map, strength: f64) -> String {
        if self == Self::Uncompressed { "identity".into() } else { map.compressor(strength) }
    }

    /// The level of a cell, at x = k/d, or s.
    pub fn level(self) -> Metric {
        match self {
            Self::Uncompressed => Metric::new("level, uncompressed"),
            Self::One => Metric::new("level, one-step"),
            Self::Two => Metric::new("level, ErrorCompensatedX"),
        }
    }

    /// The distance of a cell to the uncompressed run, at x = k/d.
    pub fn apart(self) -> Metric {
        match self {
            Self::Two => Metric::new("distance to uncompressed, ErrorCompensatedX"),
            _ => Metric::new("distance to uncompressed, one-step"),
        }
    }
}

/// What compresses the cells of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Map {
    /// The largest coordinates: the others wait.
    TopK,
    /// Drawn coordinates: for one mask the second moment of the errors is known.
    RandomK,
    /// Every coordinate is sent at every step, rounded.
    Quantised,
}

impl Map {
    pub const ALL: [Self; 3] = [Self::TopK, Self::RandomK, Self::Quantised];

    pub fn group(self) -> GroupName {
        GroupName::new(match self {
            Self::TopK => "quadratics",
            Self::RandomK => "quadratics, random-k",
            Self::Quantised => "quadratics, quantised",
        })
    }

    pub fn strengths(self) -> &'static [f64] {
        match self {
            Self::TopK | Self::RandomK => &SHARES,
            Self::Quantised => &LEVELS,
        }
    }

    pub fn compressor(self, strength: f64) -> String {
        match self {
            Self::TopK => format!("topk:{strength}"),
            Self::RandomK => format!("randk:{strength}"),
            Self::Quantised => format!("qsgd:s={strength},scaled"),
        }
    }

    pub fn cell(self, strength: f64) -> String {
        match self {
            Self::TopK => format!("top-k {} %", 100.0 * strength),
            Self::RandomK => format!("random-k {} %", 100.0 * strength),
            Self::Quantised => format!("QSGD, s = {strength}"),
        }
    }
}
