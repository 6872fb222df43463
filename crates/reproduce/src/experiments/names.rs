//! Names of curves that more than one experiment has: in the file, in code and in legends.

/// Gradients as they are.
pub(super) const SGD: &str = "SGD";
/// Signs alone.
pub(super) const SIGN: &str = "signSGD";
/// Signs of a momentum.
pub(super) const SIGNM: &str = "signSGDM";
/// Signs, times the mean magnitude.
pub(super) const SCALED: &str = "scaled signSGD";
/// Signs of which several workers' majority counts.
pub(super) const VOTE: &str = "signSGD, majority vote";
/// Scaled signs with error feedback.
pub(super) const EF: &str = "EF-signSGD";
