//! The papers, as their experiments cite them.

/// Karimireddy, Rebjock, Stich, Jaggi (2019), <https://arxiv.org/abs/1901.09847>.
pub const FIXES: &str = "Karimireddy et al. 2019, Error feedback fixes SignSGD";
/// Avdiukhin, Yaroslavtsev (2021), <https://proceedings.mlr.press/v139/avdiukhin21a.html>.
pub const ESCAPING: &str = "Avdiukhin, Yaroslavtsev 2021, Escaping saddle points with compressed SGD";
/// Fatkhullin, Tyurin, Richtárik (2023), <https://arxiv.org/abs/2305.15155>.
pub const MOMENTUM: &str = "Fatkhullin, Tyurin, Richtárik 2023, Momentum provably improves error feedback";
