//! Questions that Burn answers with a panic.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What `ask` gives, or `None` where it panics, of which nobody hears.
///
/// The rank of a gradient, and whether there is a step size at all, can be learnt in no other way. The process's
/// panic hook stays in force for every other panic; one that is set later is told of these too.
pub(crate) fn quietly<R>(ask: impl FnOnce() -> R) -> Option<R> {
    static HOOK: Once = Once::new();
    // Within a panic no hook can be set.
    if !std::thread::panicking() {
        HOOK.call_once(|| {
            let other = take_hook();
            set_hook(Box::new(move |panic| {
                if !QUIET.get() {
                    other(panic);
                }
            }));
        });
    }
    QUIET.set(true);
    let answer = catch_unwind(AssertUnwindSafe(ask));
    QUIET.set(false);
    answer.ok()
}
