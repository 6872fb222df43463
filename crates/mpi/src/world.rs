//! All ranks of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use backburn_optim::{Transport, TransportError};
use mpi::environment::Universe;

use crate::calls::{Comm, Receiving, Sending};
use crate::control::{self, Note, Word};
use crate::error::MpiError;
use crate::exchange::{Exchange, Fault, HEAD, Outgoing};
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
    machine: Option<NonZeroUsize>,
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
        let machine = comm.machine(rank)?;
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
            patience: None,
            slow: BTreeSet::new(),
        };
        drop(starts);
        Ok(Self { rank, size, machine, world: Arc::new(Mutex::new(world)) })
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

    /// Begins no step later than so long after rank 0 is there for it: whoever is slower counts as absent from it, keeps
    /// what it owes, and catches up by listening. Rank 0, which decides, is waited for. All ranks must say the same; the
    /// bits of a run then depend on who was late.
    pub fn with_drop_slow(self, patience: Duration) -> Self {
        self.lock().patience = Some(patience);
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

    fn sum(&mut self, mut numbers: Vec<f32>) -> Result<Option<Vec<f32>>, TransportError> {
        let mut world = self.lock();
        let most = (world.chunk / 4).max(1);
        // One piece, as nearly always, is not copied.
        let mut sum = Vec::new();
        while !numbers.is_empty() {
            let rest = numbers.split_off(most.min(numbers.len()));
            let part = world.sum(numbers)?;
            if sum.is_empty() {
                sum = part
            } else {
                sum.extend(part)
            }
            numbers = rest;
        }
        Ok(Some(sum))
    }

    fn machine(&self) -> Option<NonZeroUsize> {
        self.machine
    }

    fn exchange(&mut self, message: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
        if let Some(rank) = from.iter().find(|rank| **rank >= self.size) {
            return Err(TransportError::new(format!("there is no rank {rank} of {}", self.size)));
        }
        let mut peers: Vec<usize> = from.iter().copied().filter(|rank| *rank != self.rank).collect();
        peers.sort_unstable();
        peers.dedup();
        let mut heard = self.lock().tell_all(Operation::Exchange, message, &peers)?;
        heard.entry(self.rank).or_insert_with(|| message.to_vec());
        for rank in from {
            heard.entry(*rank).or_default();
        }
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
        heard.entry(self.rank).or_insert_with(|| messages[self.rank].clone());
        Ok((0..self.size).map(|rank| heard.remove(&rank).unwrap_or_default()).collect())
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        let others: Vec<usize> = (0..self.size).filter(|rank| *rank != self.rank).collect();
        let heard = self.lock().tell_all(Operation::Vote, &[u8::from(yes)], &others)?;
        // What a slow rank says does not count, not even to itself.
        let own = yes || heard.contains_key(&self.rank);
        Ok(own && heard.values().all(|vote| vote.is_empty() || vote == &[1]))
    }

    fn muster(&mut self, yes: bool) -> Result<(bool, Vec<usize>), TransportError> {
        self.rejoin();
        let patience = self.lock().patience;
        match patience {
            None => Ok((self.all(yes)?, Vec::new())),
            Some(patience) => self.lock().muster(yes, patience),
        }
    }

    fn is_late(&mut self) -> bool {
        let world = self.lock();
        // What rank 0 says next is who has come in time.
        self.rank > 0 && world.patience.is_some() && world.comm.is_waiting(0, HEAD).unwrap_or(false)
    }

    fn rejoin(&mut self) {
        self.lock().slow.clear();
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
    /// How long a muster waits for whoever is slow.
    patience: Option<Duration>,
    /// Who is not waited for, and only listens.
    slow: BTreeSet<usize>,
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
        // Who is slow says nothing, and who is not does not wait until it has heard.
        let is_slow = self.slow.contains(&self.rank);
        let from: Vec<usize> = peers.iter().map(|peer| peer.0).filter(|rank| !self.slow.contains(rank)).collect();
        let (prompt, slow): (Vec<_>, Vec<_>) = peers.iter().cloned().partition(|peer| !self.slow.contains(&peer.0));
        let prompt = if is_slow { Vec::new() } else { prompt };
        let exchange = self.begin(operation, &prompt, &from)?;
        if !is_slow && !slow.is_empty() {
            let number = exchange.number();
            let told = Exchange::begin(&self.comm, number, operation, &slow, &[], self.chunk);
            let mut told = told.map_err(|error| self.give_up(&error.to_string()))?;
            self.says.extend(told.take_sending());
        }
        let mut heard: BTreeMap<usize, Vec<u8>> = self.finish(exchange, None)?.finish().collect();
        if is_slow {
            heard.insert(self.rank, Vec::new());
        }
        Ok(heard)
    }

    /// Rank 0 hears who has come, and tells everybody.
    fn muster(&mut self, yes: bool, patience: Duration) -> Result<(bool, Vec<usize>), TransportError> {
        let others: Vec<usize> = (1..self.size).collect();
        if self.rank > 0 {
            let vote = Outgoing::new(self.operations, Operation::Muster, &[u8::from(yes)]);
            let mut exchange = self.begin(Operation::Muster, &[(0, vote)], &[0])?;
            self.says.extend(exchange.take_sending());
            let verdict = self.finish(exchange, None)?.finish().next().map(|(_, bytes)| bytes).unwrap_or_default();
            let (all, slow) = verdict.split_first().ok_or_else(|| self.give_up_on(0, "its verdict is cut off"))?;
            self.slow = slow.as_chunks().0.iter().map(|rank| u32::from_le_bytes(*rank) as usize).collect();
            return Ok((*all == 1, self.slow.iter().copied().collect()));
        }
        let number = self.operations;
        let exchange = self.begin(Operation::Muster, &[], &others)?;
        let exchange = self.finish(exchange, Some(patience))?;
        let voted: BTreeMap<usize, bool> = exchange.heard().map(|(rank, vote)| (rank, vote == [1])).collect();
        let all = yes && voted.values().all(|yes| *yes);
        self.slow = others.iter().copied().filter(|rank| !voted.contains_key(rank)).collect();
        let mut verdict = vec![u8::from(all)];
        verdict.extend(self.slow.iter().flat_map(|rank| (*rank as u32).to_le_bytes()));
        let verdict = Outgoing::new(number, Operation::Muster, &verdict);
        let peers: Vec<_> = others.iter().map(|rank| (*rank, verdict.clone())).collect();
        let told = Exchange::begin(&self.comm, number, Operation::Muster, &peers, &[], self.chunk);
        let mut told = told.map_err(|error| self.give_up(&error.to_string()))?;
        self.says.extend(told.take_sending());
        Ok((all, self.slow.iter().copied().collect()))
    }

    fn begin(
        &mut self,
        operation: Operation,
        peers: &[(usize, Outgoing)],
        from: &[usize],
    ) -> Result<Exchange, TransportError> {
        self.listen().map_err(TransportError::new)?;
        self.still_up()?;
        let number = self.operations;
        self.operations += 1;
        let begun = Exchange::begin(&self.comm, number, operation, peers, from, self.chunk);
        begun.map_err(|error| self.give_up(&error.to_string()))
    }

    /// MPI's own sum, for which all have agreed to come.
    fn sum(&mut self, numbers: Vec<f32>) -> Result<Vec<f32>, TransportError> {
        self.listen().map_err(TransportError::new)?;
        self.still_up()?;
        let number = self.operations;
        self.operations += 1;
        let mut summing = self.comm.sum(numbers).map_err(|error| self.give_up(&error.to_string()))?;
        let (started, mut pause) = (Instant::now(), Pause::default());
        loop {
            if let Some(sum) = summing.take().map_err(|error| self.give_up(&error.to_string()))? {
                return Ok(sum);
            }
            self.listen().map_err(TransportError::new)?;
            self.still_up()?;
            if let Some(rank) = self.left.iter().find(|(_, n)| **n <= number).map(|(rank, _)| *rank) {
                return Err(self.give_up_on(rank, "it has left before the run's end"));
            }
            if started.elapsed() >= self.timeout {
                // Who is missing MPI does not say.
                let why = format!("MPI's sum of all ranks is not there within {:?}: one of them hangs", self.timeout);
                return Err(self.give_up(&why));
            }
            pause.wait();
        }
    }

    /// Goes on until all is sent and heard, or for so long where whoever is slow is not waited for.
    fn finish(&mut self, mut exchange: Exchange, patience: Option<Duration>) -> Result<Exchange, TransportError> {
        let number = exchange.number();
        let (started, mut noted, mut heard) = (Instant::now(), None, None);
        let mut pause = Pause::default();
        loop {
            match exchange.advance(&self.comm) {
                Ok(true) => return Ok(exchange),
                Ok(false) if patience.is_some_and(|patience| started.elapsed() >= patience) => return Ok(exchange),
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
