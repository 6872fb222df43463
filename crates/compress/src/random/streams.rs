//! The register of random streams.

use std::fmt;

/// What a draw is for: two draws of one seed, step, unit and worker for two purposes are independent.
///
/// Every purpose of the project has its number here, so that no two share one. The numbers are part of the format:
/// a run that is resumed, or repeated, draws what it drew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream(u32);

macro_rules! register {
    ($($(#[$meta:meta])* $name:ident = $number:literal;)*) => {
        impl Stream {
            $($(#[$meta])* pub const $name: Self = Self($number);)*

            /// All of them, with their names.
            pub const REGISTER: &'static [(&'static str, Self)] = &[$((stringify!($name), Self::$name)),*];
        }
    };
}

register! {
    /// What a compressor draws: masks, roundings, hashes, first factors. The default.
    COMPRESSOR = 0;
    /// The rounding of values that a sparsifier has kept.
    VALUES = 1;
    /// The noise ξ of perturbed SGD.
    PERTURBATION = 0x6e6f_6973;
    /// The sketch by which perturbed SGD measures how far it came.
    RADIUS = 0x736b_6574;
    /// The noise of the gradients in maps of stability.
    STABILITY = 0x6d61_7073;
    /// The stochastic gradients of a problem without data.
    PROBLEM = 0x0b1e_c700;
    /// The order of a shard in one epoch.
    SHUFFLE = 0xda7a_0000;
    /// Crops and flips.
    AUGMENT = 0xda7a_0001;
    /// Who gets which example.
    PARTITION = 0xda7a_0002;
    /// The first values of a model.
    INIT = 0xda7a_0003;
    /// The noise of the autoencoder at its saddle.
    AUTOENCODER = 0x5add;
    /// The targets of the variance-reduced experiment.
    VARIANCE_REDUCED = 0xecc5;
    /// The draws of max-margin's labels and halves.
    MAX_MARGIN = 0x3a90;
    /// The starting points of sparse noise.
    SPARSE_NOISE = 0x57a7;
    /// The starting points of the third counter-example.
    COUNTER_EXAMPLE = 0x7e01;
}

impl Stream {
    /// A stream of an embedder's own, none of the register's. Of `number` the low 29 bits count.
    pub const fn own(number: u32) -> Self {
        Self(0xe000_0000 | number & 0x1fff_ffff)
    }

    /// Its number, which goes into the draw.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::REGISTER.iter().find(|(_, stream)| stream == self) {
            Some((name, _)) => f.write_str(&name.to_lowercase().replace('_', "-")),
            None => write!(f, "own:{:#x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new stream that takes a number twice would repeat another's draws in silence.
    #[test]
    fn no_two_streams_share_a_number() {
        let mut numbers: Vec<u32> = Stream::REGISTER.iter().map(|(_, stream)| stream.number()).collect();
        assert!(numbers.iter().all(|n| *n < Stream::own(0).number()), "the last eighth is for embedders");
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), Stream::REGISTER.len());
        assert_eq!(Stream::default(), Stream::COMPRESSOR);
        assert_eq!(
            (Stream::VALUES.to_string(), Stream::own(5).to_string()),
            ("values".into(), "own:0xe0000005".into())
        );
    }
}
