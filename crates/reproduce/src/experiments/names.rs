//! Names of curves that more than one experiment has: in the file, in code and in legends.

use crate::record::CurveName;

/// Gradients as they are.
pub(super) const SGD: CurveName = CurveName::new("SGD");
/// Signs alone.
pub(super) const SIGN: CurveName = CurveName::new("signSGD");
/// Signs of a momentum.
pub(super) const SIGNM: CurveName = CurveName::new("signSGDM");
/// Signs, times the mean magnitude.
pub(super) const SCALED: CurveName = CurveName::new("scaled signSGD");
/// Signs of which several workers' majority counts.
pub(super) const VOTE: CurveName = CurveName::new("signSGD, majority vote");
/// Scaled signs with error feedback.
pub(super) const EF: CurveName = CurveName::new("EF-signSGD");
