//! Where data sets may be looked for.

use std::path::PathBuf;

use super::error::DataError;

/// Where a data set is looked for, in this order: `data_dir`, the user's cache, the network.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A directory that holds the set's files, or a directory named after the set.
    pub data_dir: Option<PathBuf>,
    /// Where fetched sets are kept, instead of [`default_cache`].
    pub cache_dir: Option<PathBuf>,
    /// Never fetch.
    pub offline: bool,
    /// Show progress bars on standard error.
    pub progress: bool,
}

impl Options {
    /// Refuses a data directory that is none: what is mistyped must not end in the cache, or in the network.
    ///
    /// # Errors
    /// [`DataError::NoDirectory`].
    pub fn check(&self) -> Result<(), DataError> {
        match self.data_dir.as_ref().filter(|given| !given.is_dir()) {
            Some(missing) => Err(DataError::NoDirectory(missing.clone())),
            None => Ok(()),
        }
    }

    /// The cache that holds: the one given, else [`default_cache`].
    pub fn cache(&self) -> Option<PathBuf> {
        self.cache_dir.clone().or_else(default_cache)
    }
}

/// `$XDG_CACHE_HOME/backburn`, else `~/.cache/backburn`; `None` where there is no home either.
pub fn default_cache() -> Option<PathBuf> {
    // The base directory specification says to ignore a relative path.
    let given = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let base = given.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
    Some(base.join("backburn"))
}
