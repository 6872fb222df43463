//! `backburn compressors` and `backburn methods`.

use backburn::{AnyAlgorithm, AnyCompressor};

use crate::error::{Failure, say};

pub fn compressors() -> Result<(), Failure> {
    for entry in AnyCompressor::table() {
        say(format_args!("{}\n    {}", entry.usage, entry.about))?;
    }
    Ok(())
}

pub fn methods() -> Result<(), Failure> {
    for entry in AnyAlgorithm::table() {
        say(format_args!("{}\n    {}", entry.usage, entry.about))?;
    }
    Ok(())
}
