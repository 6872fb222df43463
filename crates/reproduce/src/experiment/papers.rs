//! The papers, as their experiments cite them: authors, year, title.

/// Karimireddy, Rebjock, Stich, Jaggi (2019), <https://arxiv.org/abs/1901.09847>.
pub const FIXES: &str = "Karimireddy et al. 2019, Error feedback fixes SignSGD";
/// Avdiukhin, Yaroslavtsev (2021), <https://proceedings.mlr.press/v139/avdiukhin21a.html>.
pub const ESCAPING: &str = "Avdiukhin, Yaroslavtsev 2021, Escaping saddle points with compressed SGD";
/// Fatkhullin, Tyurin, Richtárik (2023), <https://arxiv.org/abs/2305.15155>.
pub const MOMENTUM: &str = "Fatkhullin et al. 2023, Momentum provably improves error feedback";
/// Sahu et al. (2021), <https://arxiv.org/abs/2108.00951>.
pub const TOTAL_ERROR: &str = "Sahu et al. 2021, Rethinking gradient sparsification as total error minimization";
/// Tang et al. (2021), <https://arxiv.org/abs/2105.10697>.
pub const COMPENSATED: &str = "Tang et al. 2021, ErrorCompensatedX";

/// Those that are reproduced.
pub const ALL: [&str; 5] = [FIXES, ESCAPING, MOMENTUM, TOTAL_ERROR, COMPENSATED];
/// Sarfi, Thérien, Lidin, Belilovsky (2025), <https://arxiv.org/abs/2508.15706>.
pub const SPARSE_LOCO: &str = "Sarfi et al. 2025, SparseLoCo";
/// Douillard et al. (2023), <https://arxiv.org/abs/2311.08105>.
pub const DILOCO: &str = "Douillard et al. 2023, DiLoCo";
/// Peng, Quesnelle, Kingma (2024), <https://arxiv.org/abs/2411.19870>.
pub const DEMO: &str = "Peng, Quesnelle, Kingma 2024, DeMo";
/// Ahn, Xu, Abreu, Langford (2025), <https://arxiv.org/abs/2504.05295>.
pub const DION: &str = "Ahn et al. 2025, Dion";
/// Gruntkowska, Gaponov, Tovmasyan, Richtárik (2025), <https://arxiv.org/abs/2510.00643>.
pub const MUON: &str = "Gruntkowska et al. 2025, Error feedback for Muon and friends";
/// Tang et al. (2021), <https://arxiv.org/abs/2102.02888>.
pub const ONE_BIT: &str = "Tang et al. 2021, 1-bit Adam";
