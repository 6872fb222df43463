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
    let best = cap::capped(best);
    best
}

/// The level that a test caps it at.
#[cfg(all(test, target_arch = "x86_64"))]
pub(crate) mod cap {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Level;

    static CAP: AtomicU8 = AtomicU8::new(Level::Avx512 as u8);

    /// Tests beside the one that lowers it may run at a lower level too, and must not notice.
    pub fn set(level: u8) {
        CAP.store(level, Ordering::Relaxed);
    }

    pub(super) fn capped(best: Level) -> Level {
        match CAP.load(Ordering::Relaxed) {
            0 => Level::Baseline,
            1 => best.min(Level::Avx2),
            _ => best,
        }
    }
}
