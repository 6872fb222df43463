//! Signals that ask the program to end: SIGINT (Ctrl-C), SIGTERM, and SIGHUP where the terminal goes away.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// A signal that asks the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP.
    HangUp,
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    #[cfg(unix)]
    const ALL: [Self; 3] = [Self::HangUp, Self::Interrupt, Self::Terminate];
    #[cfg(not(unix))]
    const ALL: [Self; 2] = [Self::Interrupt, Self::Terminate];

    const fn number(self) -> i32 {
        match self {
            Self::HangUp => 1,
            Self::Interrupt => SIGINT,
            Self::Terminate => SIGTERM,
        }
    }

    /// What a shell calls the end of a program by it: 129, 130, 143.
    pub const fn exit_code(self) -> u8 {
        128 + self.number() as u8
    }

    fn of(number: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.number() as usize == number)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HangUp => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

/// What was asked of a run by signals. The default is asked nothing by anybody.
///
/// While it is [held](Self::hold) the first signal only asks, and a second one ends the program at once; otherwise the
/// first does. A signal that the program was started to ignore (`nohup`, a shell's background) stays ignored.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
    at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on. What is to be said when a signal asks is printed to standard error.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn listen(say: impl Fn(Signal) -> Option<String> + Send + 'static) -> io::Result<Self> {
        let interrupt = Self::default();
        interrupt.at_once.store(true, Ordering::SeqCst);
        let heard: Vec<Signal> = Signal::ALL.into_iter().filter(|signal| !is_ignored(signal.number())).collect();
        for signal in &heard {
            let number = signal.number();
            // In this order, which is that of their calls: what a first signal sets, a second finds.
            flag::register_conditional_shutdown(number, signal.exit_code().into(), interrupt.at_once.clone())?;
            flag::register(number, interrupt.at_once.clone())?;
            flag::register_usize(number, interrupt.signal.clone(), number as usize)?;
            flag::register(number, interrupt.asked.clone())?;
        }
        tell(&heard, say)?;
        Ok(interrupt)
    }

    /// One that is asked when this one is, and whose [`hold`](Self::hold) holds nothing: for runs beside each other,
    /// over which the caller holds this one.
    pub fn beside(&self) -> Self {
        Self { at_once: Arc::default(), ..self.clone() }
    }

    /// From now on, until what is given back is dropped, the first signal only asks.
    #[must_use]
    pub fn hold(&self) -> Hold<'_> {
        self.at_once.store(self.asked().is_some(), Ordering::SeqCst);
        Hold(self)
    }

    /// The signal that has asked.
    pub fn asked(&self) -> Option<Signal> {
        Signal::of(self.signal.load(Ordering::SeqCst)).filter(|_| self.asked.load(Ordering::SeqCst))
    }

    /// Set once a signal has asked.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.asked.clone()
    }
}

/// Something is being done that a first signal may not cut short.
#[derive(Debug)]
pub struct Hold<'a>(&'a Interrupt);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.at_once.store(true, Ordering::SeqCst);
    }
}

/// Whether the program was started to ignore it, where the system tells.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Says so when one comes: the program itself may be in the middle of a long step.
#[cfg(unix)]
fn tell(signals: &[Signal], say: impl Fn(Signal) -> Option<String> + Send + 'static) -> io::Result<()> {
    let mut coming = signal_hook::iterator::Signals::new(signals.iter().map(|signal| signal.number()))?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in coming.forever().filter_map(|number| Signal::of(number as usize)) {
            if let Some(word) = say(signal) {
                eprintln!("\n{word}");
            }
        }
    })?;
    Ok(())
}

#[cfg(not(unix))]
fn tell(_: &[Signal], _: impl Fn(Signal) -> Option<String> + Send + 'static) -> io::Result<()> {
    Ok(())
}
