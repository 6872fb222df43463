//! Mail between processes: bytes over a transport, of which nothing is taken for granted.

use std::ops::Range;

use backburn_compress::{Message, Unit, decode_message};
use serde::{Deserialize, Serialize};

use crate::host::envelope::{Sealed, open, seal};
use crate::host::mail::{At, Heard, Letter, Mail, Seats, Terms};
use crate::host::{
    Bytes, Link, Links, Load, MailError, Plan, PlanChoice, RoundError, SetupError, Traffic, Transport, TransportError,
    careful,
};

/// Sends messages as bytes over a [`Transport`], and checks what it hands over.
///
/// ```
/// use backburn_compress::{Layout, Vector};
/// use backburn_optim::{Ask, Cluster, Encoded, Reply, Threads};
///
/// let ranks = Threads::links(2).into_iter().map(|link| {
///     std::thread::spawn(move || {
///         let mut x = Vector::zeros(3);
///         let (method, compressor) = ("ef-sgd".parse().unwrap(), "sign:scaled".parse().unwrap());
///         let layout = Layout::flat(3).unwrap();
///         let mut cluster = Cluster::over(method, compressor, layout, 7, x.as_slice(), Encoded::new(link)).unwrap();
///         let mut host = |worker: usize, _: &Ask| Ok(Reply::gradient(vec![worker as f32; 3]));
///         cluster.round(1.0, &x, &mut host).unwrap().apply(&mut x);
///         x
///     })
/// });
/// for rank in ranks.collect::<Vec<_>>() {
///     assert_eq!(rank.join().unwrap().as_slice(), [-0.5; 3]);
/// }
/// ```
#[derive(Debug)]
pub struct Encoded<T> {
    pub(super) transport: T,
    pub(super) rank: usize,
    /// This process's workers, and their letters of this round.
    pub(super) seats: usize,
    pub(super) posted: Vec<Option<Letter>>,
    pub(super) met: Met,
    pub(super) bytes: Bytes,
    /// How messages travel where only their mean is wanted, and the links by which that is chosen.
    plan: PlanChoice,
    links: Links,
    /// Whether they are sharded now.
    sharded: bool,
    /// Whether the network may add up what adds up.
    sums: bool,
    /// The processes that this step does not wait for.
    slow: Vec<usize>,
}

/// What is known once the processes have met.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Every process's workers.
    pub processes: Vec<Range<usize>>,
    /// The model's coordinates.
    pub len: usize,
    /// The units' first parameters, for errors.
    pub paths: Vec<String>,
}

impl Met {
    pub fn path(&self, i: usize) -> String {
        self.paths.get(i % self.paths.len().max(1)).cloned().unwrap_or_default()
    }
}

/// What every process says at the start.
#[derive(Serialize, Deserialize)]
struct Hello {
    rank: usize,
    seats: usize,
    terms: Vec<(String, String)>,
    refused: Option<String>,
}

/// The version of all that processes say to each other.
const FORMAT: &str = "2";
/// Why a process that has said no could not say why.
const UNSAID: &str = "it did not say why";

impl<T: Transport> Encoded<T> {
    /// One worker a process.
    pub fn new(transport: T) -> Self {
        Self::with_seats(transport, 1)
    }

    /// A process with this many workers: several GPUs, say. Processes may have different numbers; workers are
    /// numbered in the order of the processes.
    pub fn with_seats(transport: T, seats: usize) -> Self {
        let (posted, met, bytes) = (vec![None; seats], Met::default(), Bytes::default());
        let (plan, links) = (PlanChoice::Is(Plan::Gather), any_link().into());
        Self {
            transport,
            rank: 0,
            seats,
            posted,
            met,
            bytes,
            plan,
            links,
            sharded: false,
            sums: false,
            slow: Vec::new(),
        }
    }

    /// How messages travel; gathered unless told otherwise, and wherever a method
    /// [hears more than their mean](crate::Algorithm::hears_mean). The bits are the same. [`PlanChoice::Auto`] looks after
    /// every step at what it has sent: on these links, or where there are none on links of 1 Gbit/s and 0.1 ms.
    /// A [hierarchical](Plan::Hierarchical) one gathers: who adds up within a machine is the host's affair.
    pub fn with_plan(mut self, plan: PlanChoice, links: Option<Links>) -> Self {
        self.sharded = plan == PlanChoice::Is(Plan::Sharded);
        self.links = links.unwrap_or(self.links);
        Self { plan, ..self }
    }

    /// Has the network [add up](Transport::sum) messages whose numbers add up (dense, random-k, sketches, PowerSGD's
    /// factors), in whatever order is fastest for it. The price: bits are no longer those of one process, and numbers on
    /// their way have no checksum. All processes must say the same.
    pub fn with_fast_reduce(self, sums: bool) -> Self {
        Self { sums, ..self }
    }

    /// The transport.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// All bytes that this process has sent and received so far, envelopes included; what was sent counts once,
    /// however many listen.
    pub fn bytes(&self) -> Bytes {
        self.bytes
    }

    /// Sends and counts.
    pub(super) fn exchange(&mut self, bytes: &[u8], from: &[usize]) -> Result<Vec<Vec<u8>>, TransportError> {
        let heard = self.transport.exchange(bytes, from)?;
        self.bytes.up += bytes.len() as u64;
        let others = from.iter().zip(&heard).filter(|(rank, _)| **rank != self.rank);
        self.bytes.down += others.map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        Ok(heard)
    }

    /// Whether there is a message of everybody who was to say something.
    pub(super) fn complete(&self, heard: &[Vec<u8>], expected: usize) -> Result<(), RoundError> {
        let given = heard.len();
        let source = MailError::Count { given, expected };
        if given == expected { Ok(()) } else { Err(RoundError::Mail { rank: self.rank, source }) }
    }

    fn greet(&mut self, terms: &Terms<'_>) -> Result<Met, SetupError> {
        let (rank, size) = (self.transport.rank(), self.transport.size());
        if rank >= size {
            return Err(TransportError::new(format!("it calls this process rank {rank} of {size}")).into());
        }
        self.rank = rank;
        let own = Hello { rank, seats: self.seats, terms: lines(terms, self.sums), refused: terms.refused.clone() };
        let bytes = serde_json::to_vec(&own).expect("texts and numbers");
        let all: Vec<usize> = (0..size).collect();
        let heard = self.exchange(&bytes, &all)?;
        if heard.len() != size {
            return Err(SetupError::Mail { rank, source: MailError::Count { given: heard.len(), expected: size } });
        }
        let mut hellos = Vec::with_capacity(size);
        for (other, bytes) in heard.iter().enumerate() {
            let malformed = SetupError::Mail { rank: other, source: MailError::Envelope("it is no greeting") };
            let hello: Hello = serde_json::from_slice(bytes).map_err(|_| malformed)?;
            if hello.rank != other {
                let source = MailError::Foreign { what: "rank", found: hello.rank as u64, expected: other as u64 };
                return Err(SetupError::Mail { rank: other, source });
            }
            hellos.push(hello);
        }
        for (other, theirs) in hellos.iter().enumerate().filter(|(other, _)| *other != rank) {
            if let Some(why) = &theirs.refused {
                return Err(SetupError::Elsewhere { rank: other, why: why.clone() });
            }
            for (i, (what, own)) in lines_of(terms, self.sums).into_iter().enumerate() {
                let theirs = theirs.terms.get(i).map_or("nothing", |(_, theirs)| theirs);
                if own != theirs {
                    return Err(SetupError::Differs { what, rank: other, own, theirs: theirs.into() });
                }
            }
        }
        let mut processes = Vec::with_capacity(size);
        let mut workers = 0usize;
        for hello in &hellos {
            let end = workers.checked_add(hello.seats).filter(|end| *end <= u32::MAX as usize);
            let end = end.ok_or_else(|| TransportError::new("processes claim more workers than can be numbered"))?;
            processes.push(workers..end);
            workers = end;
        }
        if workers == 0 {
            return Err(SetupError::NoWorkers);
        }
        let path = |unit: &Unit| careful::path_at(unit.range.start, terms.layout);
        let paths = terms.layout.units().iter().map(path).collect();
        Ok(Met { processes, len: terms.layout.len(), paths })
    }

    /// The letters of another process, checked against `like`.
    fn read(
        &self,
        sealed: Vec<Option<Sealed<'_>>>,
        like: &mut Option<Message>,
    ) -> Result<Vec<Option<Letter>>, MailError> {
        sealed.into_iter().map(|s| s.map(|s| self.read_one(s, like)).transpose()).collect()
    }

    pub(super) fn read_one(&self, sealed: Sealed<'_>, like: &mut Option<Message>) -> Result<Letter, MailError> {
        // A process whose own workers are all absent has nothing to compare with, and allows what a method may
        // say at most: a few numbers a coordinate.
        let limit = like.as_ref().map_or(64 * self.met.len as u64 + 4096, Message::len);
        let message = decode_message(sealed.message, limit)?;
        let like = match like {
            Some(like) => like,
            None => like.insert(message.clone().apart(sealed.notes)?),
        };
        let message = message.read_as(like)?;
        let bound = self.check(&message, like, |i| self.met.path(i))?;
        for (note, own) in message.notes.iter().zip(&like.notes) {
            if !note.bound().is_finite() {
                return Err(MailError::NonFinite { path: "notes".into() });
            }
            if !note.draws_like(own) {
                return Err(MailError::Draw { path: "notes".into() });
            }
        }
        Ok(Letter { message, bytes: sealed.whole, silent: sealed.silent, bound })
    }

    /// Whether payloads are finite and of the draws that this process makes; gives their largest bound.
    pub(super) fn check(
        &self,
        message: &Message,
        like: &Message,
        path: impl Fn(usize) -> String,
    ) -> Result<f64, MailError> {
        let mut loudest = 0.0f64;
        for (i, (payload, own)) in message.payloads.iter().zip(&like.payloads).enumerate() {
            if !payload.draws_like(own) {
                return Err(MailError::Draw { path: path(i) });
            }
            let bound = careful::bound_of(payload);
            if !bound.is_finite() {
                return Err(MailError::NonFinite { path: path(i) });
            }
            loudest = loudest.max(bound);
        }
        Ok(loudest)
    }
}

/// What is assumed of a network of which nothing was said.
fn any_link() -> Link {
    Link::new(1e9).and_then(|link| link.with_latency(1e-4)).expect("both are positive")
}

/// What is compared, in words.
fn lines_of(terms: &Terms<'_>, sums: bool) -> [(&'static str, String); 7] {
    [
        ("message format", FORMAT.into()),
        ("model", format!("{:016x} ({} coordinates)", terms.layout.fingerprint(), terms.layout.len())),
        ("method", terms.method.clone()),
        ("compressor", terms.compressor.clone()),
        ("seed", terms.seed.to_string()),
        ("initial x", format!("{:016x}", hash(terms.x))),
        ("fast reduce", sums.to_string()),
    ]
}

fn lines(terms: &Terms<'_>, sums: bool) -> Vec<(String, String)> {
    lines_of(terms, sums).into_iter().map(|(what, own)| (what.into(), own)).collect()
}

/// FNV-1a over the numbers' bits.
fn hash(x: &[f32]) -> u64 {
    x.iter().fold(0xcbf2_9ce4_8422_2325, |h: u64, x| (h ^ u64::from(x.to_bits())).wrapping_mul(0x100_0000_01b3))
}

impl<T: Transport> Mail for Encoded<T> {
    fn meet(&mut self, terms: &Terms<'_>) -> Result<Seats, SetupError> {
        let own = self.greet(terms);
        let own = match (&terms.refused, own) {
            (Some(why), Ok(_)) => Err(SetupError::Elsewhere { rank: self.rank, why: why.clone() }),
            (_, own) => own,
        };
        let all = self.transport.all(own.is_ok());
        let own = match (own, all) {
            (Ok(met), Ok(true)) => {
                let workers = met.processes.last().map_or(0, |p| p.end);
                let seats = Seats { own: met.processes[self.rank].clone(), workers };
                self.met = met;
                return Ok(seats);
            }
            (Ok(_), Err(error)) => return Err(error.into()),
            (Err(error), Err(_)) => return Err(error),
            (own, Ok(_)) => own,
        };
        let why = own.as_ref().err().map(ToString::to_string);
        let cause = self.cause(why.as_deref());
        own?;
        let (rank, why) = cause.unwrap_or((self.rank, UNSAID.into()));
        Err(SetupError::Elsewhere { rank, why })
    }

    fn post(&mut self, _: At, worker: usize, letter: Letter) {
        let first = self.met.processes[self.rank].start;
        self.posted[worker - first] = Some(letter);
    }

    fn collect(&mut self, at: At, from: &[usize]) -> Result<Vec<Option<Letter>>, RoundError> {
        let posted = std::mem::replace(&mut self.posted, vec![None; self.seats]);
        let listens = |workers: &Range<usize>| from.iter().any(|w| workers.contains(w));
        let peers: Vec<usize> = (0..self.met.processes.len()).filter(|p| listens(&self.met.processes[*p])).collect();
        let bytes = seal(self.rank, at, &self.met.processes[self.rank], &posted);
        let heard = self.exchange(&bytes, &peers)?;
        self.complete(&heard, peers.len())?;
        let workers = self.met.processes.last().map_or(0, |p| p.end);
        let mut letters: Vec<Option<Letter>> = vec![None; workers];
        let mut like = posted.iter().flatten().next().map(|letter| letter.message.clone());
        for (rank, bytes) in peers.iter().zip(&heard) {
            let own = &self.met.processes[*rank];
            if self.slow.contains(rank) {
                continue;
            }
            let read = open(bytes, *rank, at, own, self.met.paths.len()).and_then(|sealed| {
                // What this process said it need not decode.
                if *rank == self.rank { Ok(posted.clone()) } else { self.read(sealed, &mut like) }
            });
            let read = read.map_err(|source| RoundError::Mail { rank: *rank, source })?;
            letters[own.clone()].iter_mut().zip(read).for_each(|(place, letter)| *place = letter);
        }
        Ok(letters)
    }

    fn collect_mean(&mut self, at: At, all: &[usize]) -> Result<Heard, RoundError> {
        let whole = self.met.processes.len() > 1 && self.slow.is_empty();
        if self.sums
            && whole
            && let Some(heard) = self.collect_sum(at)?
        {
            return Ok(heard);
        }
        if self.sharded && whole {
            return self.collect_shards(at);
        }
        Ok(self.collect(at, all)?.into())
    }

    fn sent(&mut self, traffic: &Traffic, dense: f64) {
        // Gossip has no mean.
        if self.plan == PlanChoice::Auto && !traffic.gossip && self.links.check(traffic.workers.len()).is_ok() {
            self.sharded = Load::of(traffic, dense).cheapest(&self.links).0 == Plan::Sharded;
        }
    }

    fn all(&mut self, yes: bool) -> Result<bool, TransportError> {
        self.transport.all(yes)
    }

    fn muster(&mut self, yes: bool) -> Result<(bool, Vec<usize>), TransportError> {
        let (all, slow) = self.transport.muster(yes)?;
        let absent = slow.iter().filter_map(|rank| self.met.processes.get(*rank)).flat_map(Clone::clone).collect();
        self.slow = slow;
        Ok((all, absent))
    }

    fn is_late(&mut self) -> bool {
        self.transport.is_late()
    }

    fn cause(&mut self, own: Option<&str>) -> Option<(usize, String)> {
        let all: Vec<usize> = (0..self.transport.size()).collect();
        let heard = self.transport.exchange(own.unwrap_or("").as_bytes(), &all).ok()?;
        let said = heard.into_iter().enumerate().find(|(_, why)| !why.is_empty());
        said.map(|(rank, why)| (rank, String::from_utf8_lossy(&why).into_owned()))
    }
}
