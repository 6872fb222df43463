//! All ranks of a run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use backburn_optim::{Transport, TransportError};
use mpi::environment::Universe;

use crate::MpiError;
use crate::calls::{Comm, Receiving, Sending};
use crate::control::{self, Note, Word};
use crate::exchange::{Exchange, Fault, Outgoing};
use crate::head::Operation;
use crate::watchdog::Watchdog;

/// How long a rank waits for another unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long those that wait in vain hear each other out before one of them says who hangs.
const GRACE: Duration = Duration::from_millis(300);
/// How long the ranks of a run that has failed wait for each other's farewell.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes of a message that MPI sees at once: its counts have 31 bits.
const CHUNK: usize = 1 << 30;
const CONTROL: i32 = 3;

/// Whether this process was launched as a rank, by `mpirun` or `srun`.
pub fn is_launched() -> bool {
    // Open MPI; MPICH and Slurm; PMIx.
    ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"].iter().any(|name| std::env::var_os(name).is_some())
}

/// This process among all ranks of an MPI run; clones are the same rank.
///
/// When the last clone is dropped the rank takes its leave: it waits for the others to do so too, and MPI is finalised.
/// Where some rank has failed nobody can count on that, and a process that then ends has `mpirun` end the others.
///
/// One process is a world of one; it must be launched all the same.
#[derive(Clone)]
pub struct Mpi {
    rank: usize,
    size: usize,
    world: Arc<Mutex<World>>,
}

impl std::fmt::Debug for Mpi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mpi(rank {} of {})", self.rank, self.size)
    }
}

impl Mpi {
    /// All ranks, of which none waits for another for more than 2 minutes. All call it together.
    ///
    /// # Errors
    /// Where this process is no rank, or MPI fails.
    pub fn world() -> Result<Self, MpiError> {
        Self::world_within(TIMEOUT)
    }

    /// All ranks, of which none waits for another for longer than that before it gives up and says who hangs; in time to
    /// count for the start itself.
    ///
    /// # Errors
    /// As [`world`](Self::world).
    pub fn world_within(timeout: Duration) -> Result<Self, MpiError> {
        if !is_launched() {
            return Err(MpiError::NotLaunched);
        }
        let starts = Watchdog::new(timeout, "has not started");
        let wanted = mpi::Threading::Serialized;
        let (universe, given) = mpi::initialize_with_threading(wanted).ok_or(MpiError::Initialised)?;
        if given < wanted {
            return Err(MpiError::Threads);
        }
        let comm = Comm::world()?;
        let (rank, size) = comm.place()?;
        let hears = comm.receive(None, CONTROL, control::MOST)?;
        let world = World {
            universe: Some(universe),
            comm,
            rank,
            size,
            timeout,
            chunk: CHUNK,
            operations: 0,
            hears: Some(hears),
            says: Vec::new(),
            waits: BTreeMap::new(),
            left: BTreeMap::new(),
            failed: None,
        };
        drop(starts);
        Ok(Self { rank, size, world: Arc::new(Mutex::new(world)) })
    }

    /// How long this rank waits for another from now on.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        self.lock().timeout = timeout;
        self
    }

    /// Bytes that MPI sees of a long message at once, 2³⁰ unless told otherwise; all ranks must say the same.
    ///
    /// # Panics
    /// Where it is none, or more than MPI can count.
    pub fn with_chunk(self, chunk: usize) -> Self {
        assert!((1..=i32::MAX as usize).contains(&chunk), "a chunk has 1 to 2³¹ − 1 bytes, not {chunk}");
        self.lock().chunk = chunk;
        self
    }

    /// Ends the run for this reason: whatever the other ranks are doing with each other fails by it. Where it has failed
    /// already the first reason stands.
    pub fn fail(&self, why: &str) {
        self.lock().fail(why);
    }

    /// Who has made the run fail, and why.
    pub fn failure(&self) -> Option<(usize, String)> {
        self.lock().failed.clone()
    }

    /// Takes leave ahead of the end, and gives the ranks that have done so too: all of them, unless the run has failed.
    /// The least of them is the one to speak for all.
    pub fn leave(&self) -> Vec<usize> {
        self.lock().leave()
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Transport for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
        if let Some(rank) = from.iter().find(|rank| **rank >= self.size) {
            return Err(TransportError::new(format!("there is no rank {rank} of {}", self.size)));
        }
        let mut peers: Vec<usize> = from.iter().copied().filter(|rank| *rank != self.rank).collect();
        peers.sort_unstable();
        peers.dedup();
        let mut heard = self.lock().tell_all(Operation::Exchange, message, &peers)?;
        heard.insert(self.rank, message.to_vec());
        let count = |rank: &usize| from.iter().filter(|r| *r == rank).count();
        if from.iter().any(|rank| count(rank) > 1) {
            return Ok(from.iter().map(|rank| heard[rank].clone()).collect());
        }
        Ok(from.iter().map(|rank| heard.remove(rank).expect("every peer was heard")).collect())
    }

    fn all_to_all(&mut self, messages: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, TransportError> {
        if messages.len() != self.size {
            return Err(TransportError::new(format!("{} messages for {} ranks", messages.len(), self.size)));
        }
        let others = (0..self.size).filter(|rank| *rank != self.rank);
        let mut world = self.lock();
        let number = world.operations;
        let of = |rank: usize| (rank, Outgoing::new(number, Operation::Deal, &messages[rank]));
        let mut heard = world.run(Operation::Deal, &others.map(of).collect::<Vec<_>>())?;
        heard.insert(self.rank, messages[self.rank].clone());
        Ok(heard.into_values().collect())
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        let others: Vec<usize> = (0..self.size).filter(|rank| *rank != self.rank).collect();
        let heard = self.lock().tell_all(Operation::Vote, &[u8::from(yes)], &others)?;
        Ok(yes && heard.values().all(|vote| vote == &[1]))
    }
}

/// What the clones share.
struct World {
    /// `None` once it is finalised.
    universe: Option<Universe>,
    comm: Comm,
    rank: usize,
    size: usize,
    timeout: Duration,
    chunk: usize,
    /// Begun so far; all ranks count alike.
    operations: u64,
    /// A receive of the next note, from whomever; `None` at the end.
    hears: Option<Receiving>,
    says: Vec<Sending>,
    /// Who waits in vain too, and when it said so.
    waits: BTreeMap<usize, Instant>,
    /// Who has taken leave, and how many operations it had begun.
    left: BTreeMap<usize, u64>,
    failed: Option<(usize, String)>,
}

impl World {
    /// Tells all peers the same.
    fn tell_all(
        &mut self,
        operation: Operation,
        message: &[u8],
        peers: &[usize],
    ) -> Result<BTreeMap<usize, Vec<u8>>, TransportError> {
        let outgoing = Outgoing::new(self.operations, operation, message);
        self.run(operation, &peers.iter().map(|rank| (*rank, outgoing.clone())).collect::<Vec<_>>())
    }

    /// The next operation, in which each of these peers is told something and says something.
    fn run(
        &mut self,
        operation: Operation,
        peers: &[(usize, Outgoing)],
    ) -> Result<BTreeMap<usize, Vec<u8>>, TransportError> {
        self.listen().map_err(TransportError::new)?;
        self.still_up()?;
        let number = self.operations;
        self.operations += 1;
        let begun = Exchange::begin(&self.comm, number, operation, peers, self.chunk);
        let mut exchange = begun.map_err(|error| self.give_up(&error.to_string()))?;
        let (started, mut noted, mut heard) = (Instant::now(), None, None);
        let mut pause = Pause::default();
        loop {
            match exchange.advance(&self.comm) {
                Ok(true) => return Ok(exchange.finish().collect()),
                Ok(false) => {}
                Err(Fault::Mpi(error)) => return Err(self.give_up(&error.to_string())),
                Err(Fault::Rank(rank, why)) => return Err(self.give_up_on(rank, &why)),
            }
            self.listen().map_err(TransportError::new)?;
            if let Err(error) = self.still_up() {
                // Whoever has failed may have had all of this exchange before: then this rank has it too, in a moment,
                // and finds out for itself what is wrong.
                if heard.get_or_insert_with(Instant::now).elapsed() >= GRACE {
                    return Err(error);
                }
                pause.wait();
                continue;
            }
            // Whatever it has sent before it left arrives all the same.
            let gone = exchange.silent().into_iter().find(|rank| self.left.get(rank).is_some_and(|n| *n <= number));
            if let Some(rank) = gone {
                return Err(self.give_up_on(rank, "it has left before the run's end"));
            }
            if started.elapsed() >= self.timeout {
                let noted = *noted.get_or_insert_with(|| {
                    self.tell(Word::Waits);
                    Instant::now()
                });
                let fresh = |rank: &usize| self.waits.get(rank).is_some_and(|at| at.elapsed() < 20 * GRACE);
                let before = (0..self.rank).filter(fresh).count() as u32;
                if noted.elapsed() >= GRACE * (before + 1) {
                    let pending = exchange.pending();
                    let hang: Vec<usize> = pending.iter().copied().filter(|rank| !fresh(rank)).collect();
                    // They wait too, and know for whom; unless all wait for each other.
                    let told = hang.is_empty() && noted.elapsed() < GRACE * (self.size as u32 + 4);
                    if !told {
                        return Err(self.hangs(if hang.is_empty() { &pending } else { &hang }));
                    }
                }
            }
            pause.wait();
        }
    }

    fn still_up(&self) -> Result<(), TransportError> {
        match &self.failed {
            Some((origin, why)) => Err(TransportError::new(said(*origin, why))),
            None => Ok(()),
        }
    }

    fn give_up(&mut self, why: &str) -> TransportError {
        self.fail(why);
        TransportError::new(why)
    }

    fn give_up_on(&mut self, rank: usize, why: &str) -> TransportError {
        self.failed_by(rank, why);
        TransportError::new(said(rank, why))
    }

    /// These have let the others wait.
    fn hangs(&mut self, ranks: &[usize]) -> TransportError {
        let why = format!("no answer within {:?}", self.timeout);
        match ranks {
            [rank] => self.give_up_on(*rank, &why),
            several => {
                let named: Vec<String> = several.iter().map(usize::to_string).collect();
                self.give_up_on(several[0], &format!("{why}, as from all of ranks {}", named.join(", ")))
            }
        }
    }

    fn fail(&mut self, why: &str) {
        self.failed_by(self.rank, why);
    }

    fn failed_by(&mut self, origin: usize, why: &str) {
        // Another's word may have come first.
        let _ = self.listen();
        if self.failed.is_none() {
            self.failed = Some((origin, why.into()));
            self.tell(Word::Fails { origin, why: why.into() });
        }
    }

    /// Tells all others, without waiting.
    fn tell(&mut self, word: Word) {
        let bytes = Note { rank: self.rank, operations: self.operations, word }.to_bytes();
        for rank in (0..self.size).filter(|rank| *rank != self.rank) {
            // Whom it does not reach has its own deadline.
            self.says.extend(self.comm.send(rank, CONTROL, &bytes, 0..bytes.len()));
        }
    }

    /// Takes in what others have told.
    fn listen(&mut self) -> Result<(), MpiError> {
        self.says.retain_mut(|sending| !matches!(sending.is_done(), Ok(true)));
        while let Some(hears) = &mut self.hears {
            let Some(bytes) = hears.take()? else { break };
            self.hears = Some(self.comm.receive(None, CONTROL, control::MOST)?);
            let Some(note) = Note::from_bytes(&bytes) else { continue };
            match note.word {
                Word::Fails { origin, why } => drop(self.failed.get_or_insert((origin, why))),
                Word::Waits => drop(self.waits.insert(note.rank, Instant::now())),
                Word::Leaves => drop(self.left.insert(note.rank, note.operations)),
            }
        }
        Ok(())
    }

    /// Takes leave, and waits for the others to do so.
    fn leave(&mut self) -> Vec<usize> {
        if self.universe.is_some() && !self.left.contains_key(&self.rank) {
            self.left.insert(self.rank, self.operations);
            self.tell(Word::Leaves);
            let (started, mut pause) = (Instant::now(), Pause::default());
            while self.listen().is_ok() && (self.left.len() < self.size || !self.says.is_empty()) {
                let limit = if self.failed.is_some() { FAREWELL } else { self.timeout };
                if started.elapsed() >= limit {
                    break;
                }
                pause.wait();
            }
        }
        self.left.keys().copied().collect()
    }
}

/// A reason with the rank whose it is.
fn said(origin: usize, why: &str) -> String {
    format!("rank {origin}: {why}")
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail("it panicked");
        }
        let all = self.leave().len() == self.size;
        // Nothing is under way when MPI ends.
        (self.hears, self.says) = (None, Vec::new());
        if let Some(universe) = self.universe.take() {
            // A rank that hangs would have the others wait in MPI_Finalize for ever.
            if !all {
                return std::mem::forget(universe);
            }
            let _ends = Watchdog::new(self.timeout, "has not ended");
            drop(universe);
        }
    }
}

/// Waits a little, and ever longer: ranks may share a core.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    fn wait(&mut self) {
        self.0 = self.0.saturating_add(1);
        match self.0 {
            ..64 => std::thread::yield_now(),
            n => std::thread::sleep(Duration::from_micros(u64::from(20 + (n - 64)).min(500))),
        }
    }
}
