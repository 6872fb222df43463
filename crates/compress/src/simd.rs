//! Run-time choice of instruction set.

/// Compiles a function for the baseline, for AVX2 and for AVX-512, and picks at run time.
///
/// The body must be plain code that the compiler can vectorise. It never contracts a multiplication
/// and an addition, so all three give the same bits.
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $type),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn portable($($arg: $type),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi1,bmi2,popcnt,lzcnt")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $type),*) $(-> $ret)? {
                    portable($($arg),*)
                }

                #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $type),*) $(-> $ret)? {
                    portable($($arg),*)
                }

                match $crate::simd::level() {
                    // SAFETY: `level` has found these features on this processor.
                    $crate::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::Level::Baseline => {}
                }
            }
            portable($($arg),*)
        }
    };
}

pub(crate) use dispatch;

/// The instruction sets that have their own code.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Baseline,
    Avx2,
    Avx512,
}

/// The best one that this processor has.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn level() -> Level {
    use std::arch::is_x86_feature_detected as has;
    let v3 = has!("avx2") && has!("bmi1") && has!("bmi2") && has!("popcnt") && has!("lzcnt");
    let v4 = has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
    let best = match (v3, v4) {
        (true, true) => Level::Avx512,
        (true, false) => Level::Avx2,
        _ => Level::Baseline,
    };
    #[cfg(test)]
    let best = tests::capped(best);
    best
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Level;
    use crate::random::Philox;
    use crate::{
        AnyCompressor, Compressor, Key, Layout, Memo, Message, Source, Unit, Update, decode_message, encode_message,
        mean,
    };

    static CAP: AtomicU8 = AtomicU8::new(Level::Avx512 as u8);

    /// Tests beside the one that lowers it may run at a lower level too, and must not notice.
    pub(super) fn capped(best: Level) -> Level {
        match CAP.load(Ordering::Relaxed) {
            0 => Level::Baseline,
            1 => best.min(Level::Avx2),
            _ => best,
        }
    }

    /// A textual form, p, the bytes, what is read from them, and a mean.
    type Seen = (String, Vec<f32>, Vec<u8>, Message, Message);

    /// Three steps of feedback of every example of the table, p, the bytes, what is read from them, and the mean of three.
    fn everything() -> Vec<Seen> {
        let (d, rows) = (70_016, 64);
        let normal = |seed: u64| {
            let mut random = Philox::new(seed);
            (0..d).map(|_| random.normal()).collect::<Vec<f32>>()
        };
        let (layout, unit) = (Layout::flat(d).unwrap(), Unit::tensor("m", &[rows, d / rows]));
        let gradients = [normal(1), normal(2), normal(3)];
        let each = |text: &str| -> Seen {
            let c: AnyCompressor = text.parse().unwrap();
            let (mut p, mut memo) = (vec![0.0; d], Memo::default());
            let mut messages: Vec<Message> = Vec::new();
            for (step, gradient) in gradients.iter().enumerate() {
                let last = messages.last().map(|m| &*m.payloads[0]);
                let update = Update { last, decay: 0.9, gain: 0.3, gradient };
                let key = Key { step: step as u64, worker: Some(1), ..Key::new(4) };
                messages.push(c.compress(Source::moving(&mut p, update), &unit, &key, &mut memo).into());
            }
            let bytes = encode_message(&messages[2]);
            let read = decode_message(&bytes, d as u64).unwrap();
            let inbox: Vec<Option<&Message>> = messages.iter().map(Some).collect();
            (text.to_string(), p, bytes, read, mean(&inbox, &layout))
        };
        AnyCompressor::table().iter().flat_map(|e| e.examples).map(|text| each(text)).collect()
    }

    /// Every instruction set gives the same bits, from gradients to bytes and back to means.
    #[test]
    fn every_level_gives_the_same_bits() {
        let at_level = [0, 1, 2].map(|level| {
            CAP.store(level, Ordering::Relaxed);
            everything()
        });
        for (level, got) in at_level.iter().enumerate() {
            for (got, expected) in got.iter().zip(&at_level[0]) {
                assert!(got == expected, "{} at level {level}", expected.0);
            }
        }
    }
}
