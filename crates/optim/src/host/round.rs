//! The round: agree → begin → (exchange → reduce → answer)* → commit → advance. Written once.

use std::sync::Arc;

use backburn_compress::{Message, Payload, Vector, message_bytes};

use crate::host::careful::{self, LOUD};
use crate::host::cluster::{Cluster, Frame, States, View};
use crate::host::decided::{Change, Decided};
use crate::host::mail::{At, Heard, Letter, Mail};
use crate::host::serving::{Gradient, Host, Served};
use crate::host::silence::Silence;
use crate::host::{RoundError, Traffic};
use crate::method::erased::Slot;
use crate::method::{Cx, Decision, Move, Next};

impl<M: Mail> Cluster<M> {
    /// One step. `x` is the common x, read only where [`needs_x`](Self::needs_x) or where a step is so large
    /// that x might not stay finite; under gossip it is not read at all. All processes call it together.
    ///
    /// # Errors
    /// x has not moved and the step does not count. Where the round was rejected
    /// ([`RoundError::is_rejected`]) nothing has changed; where it was lost all is still owed.
    pub fn round(&mut self, lr: f64, x: &Vector, host: &mut dyn Host) -> Result<Decided, RoundError> {
        let Self { frame, states, mail } = self;
        // Where nobody waits for this process its workers are absent, and keep what they owe.
        let absent = || frame.seats.clone().map(|_| None).collect();
        let served = if mail.is_late() { Ok(absent()) } else { serve_first(frame, states, lr, x, host) };
        let room = host.room();
        // A node's x may leave a narrow type by what its neighbours say, so that there no round is taken for granted.
        let narrow = frame.algorithm.is_gossip() && room < f64::INFINITY;
        let loud = narrow || served.as_ref().is_ok_and(|served| is_loud(states, lr, served, room));
        // One vote in ordinary steps: a second one tells those that cannot go on from those that are careful.
        let (careful, slow) = match mail.muster(served.is_ok() && !loud) {
            Ok((all, slow)) => (!all, slow),
            Err(error) => return Err(served.err().unwrap_or(error.into())),
        };
        let served = if slow.contains(&frame.seats.start) { Ok(absent()) } else { served };
        let served = if careful { agree(mail, served)? } else { served? };
        let kept = careful.then(|| states.clone());
        let mut step = Step::new(frame, states, mail, lr, x, careful);
        step.room = room;
        let outcome = step.run(served, host);
        match (outcome, kept) {
            (Err(End::Rejected(error)), Some(kept)) => {
                *states = kept;
                Err(error)
            }
            (Err(End::Rejected(error) | End::Lost(error)), _) => Err(error),
            (Ok(decided), _) => Ok(decided),
        }
    }
}

/// The x that stands for all nodes where one is wanted; summed in their order, in f64, so that the mean of finite
/// numbers is finite and that of equal ones is theirs.
pub fn mean_of_nodes<'a>(nodes: impl ExactSizeIterator<Item = &'a [f32]>) -> Vector {
    let n = nodes.len() as f64;
    let mut sum: Vec<f64> = Vec::new();
    for node in nodes {
        sum.resize(node.len(), 0.0);
        sum.iter_mut().zip(node).for_each(|(s, x)| *s += f64::from(*x));
    }
    sum.into_iter().map(|s| (s / n) as f32).collect::<Vec<_>>().into()
}

/// Whether a message is that of the only worker, passed on as it is.
fn passes_on(message: &Message, letters: &[Option<Letter>]) -> bool {
    let [Some(Letter { message: said, .. })] = letters else { return false };
    let same = said.payloads.iter().zip(&message.payloads).all(|(said, own)| Arc::ptr_eq(said, own));
    same && said.payloads.len() == message.payloads.len() && said.notes.is_empty() && message.notes.is_empty()
}

/// How a round fails once workers have begun.
enum End {
    /// States are to be put back.
    Rejected(RoundError),
    /// All is owed; states say so.
    Lost(RoundError),
}

/// Goes on only if every process can.
fn agree<T>(mail: &mut impl Mail, mine: Result<T, RoundError>) -> Result<T, RoundError> {
    match (mail.all(mine.is_ok()), mine) {
        (Ok(true), mine) => mine,
        (Err(error), mine) => Err(mine.err().unwrap_or(error.into())),
        (Ok(false), mine) => {
            let why = mine.as_ref().err().map(ToString::to_string);
            let cause = mail.cause(why.as_deref());
            mine?;
            let (rank, why) = cause.unwrap_or((0, "a rank did not say why".into()));
            Err(RoundError::Elsewhere { rank, why })
        }
    }
}

/// Whether numbers are so large that f32, or what the host keeps x in, might not hold what comes of them.
fn is_loud(states: &States, lr: f64, served: &[Option<Served>], room: f64) -> bool {
    let peak = served.iter().flatten().fold(states.loudness, |m, s| m.max(f64::from(s.peak)));
    // A residual in units of the last step size grows as the step size falls.
    let growth = if lr > 0.0 && states.lr > lr { states.lr / lr } else { 1.0 };
    let loud = peak * lr.max(1.0) * growth;
    loud.is_nan() || loud >= LOUD.min(room / 8.0)
}

/// Has the host answer all that present workers ask before they begin; nothing has been written yet.
fn serve_first(
    frame: &Frame,
    states: &States,
    lr: f64,
    x: &Vector,
    host: &mut dyn Host,
) -> Result<Vec<Option<Served>>, RoundError> {
    let gamma = lr as f32;
    if !(lr >= 0.0 && gamma.is_finite() && (gamma > 0.0 || lr == 0.0)) {
        return Err(RoundError::StepSize(lr));
    }
    let gossip = frame.algorithm.is_gossip();
    let reads = frame.algorithm.0.needs_x() && !gossip;
    if reads && x.len() != frame.layout.len() {
        return Err(RoundError::X { given: x.len(), expected: frame.layout.len() });
    }
    let x_peak = if reads { x.peak() } else { 0.0 };
    if !x_peak.is_finite() {
        let at = x.first_non_finite().unwrap_or(0);
        return Err(RoundError::Overflow { step: states.step, what: "x", path: careful::path_at(at, &frame.layout) });
    }
    let present: Vec<bool> = frame.seats.clone().map(|w| host.is_present(w)).collect();
    if let Some(absent) = present.iter().position(|p| !p).filter(|_| gossip) {
        return Err(RoundError::Absent(frame.seats.start + absent));
    }
    let view = View { frame, step: states.step, nodes: &states.nodes, lr, x };
    let serve = |(i, present): (usize, bool)| {
        if !present {
            return Ok(None);
        }
        let mut served = serve(&view, &states.locals[i], &states.shared[node_of(states, i)], &[], i, 0, host)?;
        served.peak = served.peak.max(x_peak);
        Ok(Some(served))
    };
    present.into_iter().enumerate().map(serve).collect()
}

/// Where the shared state of this process's i-th worker stands.
fn node_of(states: &States, i: usize) -> usize {
    if states.nodes.is_empty() { 0 } else { i }
}

/// Has the host answer all that this process's i-th worker asks, and checks the answers.
fn serve(
    view: &View<'_>,
    local: &Slot,
    shared: &Slot,
    said: &[Message],
    i: usize,
    round: u32,
    host: &mut dyn Host,
) -> Result<Served, RoundError> {
    let worker = view.frame.seats.start + i;
    let mut served = Served::default();
    for ask in view.frame.algorithm.0.ask(local, shared, said, &view.cx(worker, round)) {
        served.take_in(&ask, host.answer(worker, &ask)?, |g| check(view, worker, g))?;
    }
    Ok(served)
}

/// Refuses gradients of another length and such as are not finite, and gives max |g|.
fn check(view: &View<'_>, worker: usize, g: &mut Gradient) -> Result<f32, RoundError> {
    let layout = &view.frame.layout;
    if g.vector.len() != layout.len() {
        return Err(RoundError::Length { worker, given: g.vector.len(), expected: layout.len() });
    }
    for parameter in &g.missing {
        let known = layout.parameters();
        let unknown = || RoundError::Missing { worker, parameter: *parameter, parameters: known.len() };
        let range = known.get(*parameter).ok_or_else(unknown)?.range.clone();
        g.vector.clear_range(range);
    }
    let peak = g.vector.peak();
    if peak.is_finite() {
        return Ok(peak);
    }
    let at = g.vector.first_non_finite().unwrap_or(0);
    let parameter = layout.parameter_at(at).expect("the coordinate lies within the layout");
    let coordinate = at - parameter.range.start;
    let (step, path, value) = (view.step, parameter.path.clone(), g.vector.as_slice()[at]);
    Err(RoundError::NonFinite { step, worker, path, coordinate, value })
}

/// A round that workers have begun.
struct Step<'a, M> {
    frame: &'a Frame,
    states: &'a mut States,
    mail: &'a mut M,
    lr: f64,
    x: &'a Vector,
    careful: bool,
    /// By how much x may move and surely be finite where the host keeps it.
    room: f64,
    /// Which of this process's workers take part.
    present: Vec<bool>,
    /// Of which units each of them says nothing, and what stood there.
    silences: Vec<Silence>,
    loudness: f64,
    traffic: Traffic,
}

impl<'a, M: Mail> Step<'a, M> {
    fn new(frame: &'a Frame, states: &'a mut States, mail: &'a mut M, lr: f64, x: &'a Vector, careful: bool) -> Self {
        let known = if frame.algorithm.is_gossip() { frame.seats.clone() } else { 0..frame.workers };
        let traffic = Traffic::new(frame.workers, known, frame.algorithm.is_gossip());
        let (room, present, silences) = (f64::INFINITY, vec![], vec![]);
        Self { frame, states, mail, lr, x, careful, room, present, silences, loudness: 0.0, traffic }
    }

    fn run(&mut self, served: Vec<Option<Served>>, host: &mut dyn Host) -> Result<Decided, End> {
        let gossip = self.frame.algorithm.is_gossip();
        self.present = served.iter().map(Option::is_some).collect();
        let mut spoken = self.speak(served, None);
        let mut said: Vec<Vec<Message>> = vec![Vec::new(); self.states.shared.len()];
        let mut spoke: Vec<bool> = Vec::new();
        loop {
            let round = self.traffic.rounds;
            if self.careful {
                spoken = Ok(agree(self.mail, spoken).map_err(End::Rejected)?);
            }
            let heard = self.exchange(spoken, &spoke, round).and_then(|heard| self.weigh(heard));
            let heard = match agree(self.mail, heard) {
                Ok(heard) => heard,
                Err(error) => return Err(self.lose(error, round)),
            };
            if spoke.is_empty() {
                spoke = heard.letters.iter().map(Option::is_some).collect();
            }
            self.traffic.rounds += 1;
            self.count(&heard.letters);
            let next: Vec<Next> = (0..self.states.shared.len())
                .map(|node| {
                    let rank = self.reducer(node);
                    let inbox = self.inbox(&heard, rank);
                    let cx = self.hearing(&heard, rank, round);
                    self.frame.algorithm.0.reduce(&self.states.shared[node], &said[node], &inbox, &cx)
                })
                .collect();
            let mut decided = Vec::with_capacity(next.len());
            for (node, next) in next.into_iter().enumerate() {
                match next {
                    Next::Round(message) => said[node].push(message),
                    Next::Done(decision) => decided.push(decision),
                }
            }
            if !gossip {
                let down = match (decided.first(), said[0].last()) {
                    (Some(decision), _) => self.down_bytes(decision, &heard.letters),
                    (None, Some(message)) => message_bytes(message),
                    (None, None) => 0,
                };
                self.traffic.workers.iter_mut().for_each(|bytes| bytes.down += down);
            }
            if decided.is_empty() {
                let replies = match agree(self.mail, self.serve_again(&heard.letters, &said, round + 1, host)) {
                    Ok(replies) => replies,
                    Err(error) => return Err(self.lose(error, round)),
                };
                spoken = self.speak(replies, Some(&said));
                continue;
            }
            let decided = self.finish(decided, &heard, &said, round, host);
            // Those that nobody needs any more.
            heard.letters.into_iter().flatten().for_each(|letter| letter.message.recycle());
            return decided;
        }
    }

    fn view(&self) -> View<'_> {
        View { frame: self.frame, step: self.states.step, nodes: &self.states.nodes, lr: self.lr, x: self.x }
    }

    /// As the node that reduces sees it.
    fn hearing(&self, heard: &Heard, rank: usize, round: u32) -> Cx<'_> {
        Cx { present: heard.letters.iter().flatten().count(), ..self.view().cx(rank, round) }
    }

    /// Who reduces for a shared state: its node under gossip, otherwise the first of all, in every process.
    fn reducer(&self, node: usize) -> usize {
        if self.states.nodes.is_empty() { 0 } else { self.frame.seats.start + node }
    }

    /// Has every worker that was served begin, or answer what was said, and checks what they say.
    fn speak(
        &mut self,
        served: Vec<Option<Served>>,
        said: Option<&[Vec<Message>]>,
    ) -> Result<Vec<Option<Letter>>, RoundError> {
        let Frame { algorithm, seats, layout, .. } = self.frame;
        let round = self.traffic.rounds;
        let mut locals = std::mem::take(&mut self.states.locals);
        let mut letters = Vec::with_capacity(locals.len());
        let mut fault = None;
        for (i, (served, local)) in served.into_iter().zip(&mut locals).enumerate() {
            let Some(mut served) = served else {
                letters.push(None);
                if said.is_none() {
                    self.silences.push(Silence::default());
                }
                continue;
            };
            let (rank, node) = (seats.start + i, node_of(self.states, i));
            if said.is_none() {
                let missing = served.missing.take().filter(|_| algorithm.0.speaks_by_unit()).unwrap_or_default();
                self.silences.push(Silence::begin(&missing, self.x, local, layout));
            }
            let view = View { x: self.silences[i].x(self.x), ..self.view() };
            let (cx, shared) = (view.cx(rank, round), &self.states.shared[node]);
            let mut message = match said {
                None => algorithm.0.begin(local, shared, served.seen, &cx),
                Some(said) => algorithm.0.answer(local, shared, served.seen, &said[node], &cx),
            };
            self.silences[i].hush(&mut message, local, layout);
            match careful::bound(&message, layout) {
                Ok(bound) => self.loudness = self.loudness.max(bound),
                Err(path) => fault = Some(("a worker's message", path)),
            }
            letters.push(Some(Letter::new(message, self.silences[i].units().to_vec())));
        }
        self.states.locals = locals;
        let step = self.states.step;
        if let Some((what, path)) = fault {
            return Err(RoundError::Overflow { step, what, path });
        }
        if self.careful {
            careful::check_states(self.states, seats.start, step, layout)?;
        }
        Ok(letters)
    }

    /// Posts this process's letters and collects those that concern it. After the first round all that spoke
    /// must speak again; a gossip round needs all neighbours.
    fn exchange(
        &mut self,
        spoken: Result<Vec<Option<Letter>>, RoundError>,
        spoke: &[bool],
        round: u32,
    ) -> Result<Heard, RoundError> {
        let at = At { step: self.states.step, round };
        let Frame { algorithm, seats, workers, .. } = self.frame;
        let (letters, fault) = match spoken {
            Ok(letters) => (letters, None),
            // The others wait for this process all the same.
            Err(error) => (Vec::new(), Some(error)),
        };
        for (worker, letter) in seats.clone().zip(letters) {
            if let Some(letter) = letter {
                self.mail.post(at, worker, letter);
            }
        }
        let mut from: Vec<usize> = if algorithm.is_gossip() {
            seats.clone().flat_map(|w| algorithm.0.peers(w, *workers)).collect()
        } else {
            (0..*workers).collect()
        };
        from.sort_unstable();
        from.dedup();
        let heard = match !algorithm.is_gossip() && algorithm.0.hears_mean() {
            true => self.mail.collect_mean(at, &from)?,
            false => self.mail.collect(at, &from)?.into(),
        };
        if let Some(fault) = fault {
            return Err(fault);
        }
        let must_speak = |w: &usize| if algorithm.is_gossip() { true } else { spoke.get(*w).copied().unwrap_or(false) };
        match from.iter().find(|w| must_speak(w) && heard.letters[**w].is_none()) {
            Some(worker) => Err(RoundError::Silent { worker: *worker }),
            None => Ok(heard),
        }
    }

    /// Refuses numbers so large that the states, of which nothing was kept aside, might not outlive them. The next
    /// round is taken carefully, and may bear them.
    fn weigh(&mut self, heard: Heard) -> Result<Heard, RoundError> {
        let bounds = heard.letters.iter().map(|letter| letter.as_ref().map_or(0.0, |letter| letter.bound));
        match bounds.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((worker, bound)) if bound >= careful::HEARD && !self.careful => {
                self.states.loudness = self.states.loudness.max(bound);
                Err(RoundError::Loud { worker, bound })
            }
            _ => Ok(heard),
        }
    }

    /// The messages as they reach a node.
    fn inbox<'l>(&self, heard: &'l Heard, rank: usize) -> Vec<Option<&'l Message>> {
        if let Some(mean) = &heard.mean {
            return vec![Some(mean)];
        }
        let algorithm = &self.frame.algorithm;
        let n = self.frame.workers;
        let peers = if algorithm.is_gossip() { algorithm.0.peers(rank, n) } else { (0..n).collect() };
        peers.into_iter().map(|p| heard.letters[p].as_ref().map(|l| &l.message)).collect()
    }

    /// Counts what was said in this round.
    fn count(&mut self, letters: &[Option<Letter>]) {
        let Frame { algorithm, seats, workers, .. } = self.frame;
        let bytes: Vec<u64> = letters.iter().map(|l| l.as_ref().map_or(0, |l| l.bytes)).collect();
        let total: u64 = bytes.iter().sum();
        for (w, own) in bytes.iter().enumerate() {
            self.traffic.workers[w].up += own;
            if !algorithm.is_gossip() {
                self.traffic.gathered[w] += total - own;
                self.traffic.sent[w] += own * (*workers as u64 - 1);
            } else if seats.contains(&w) {
                let peers = algorithm.0.peers(w, *workers);
                let others: Vec<usize> = peers.into_iter().filter(|p| *p != w).collect();
                let heard: u64 = others.iter().map(|p| bytes[*p]).sum();
                self.traffic.gathered[w] += heard;
                self.traffic.sent[w] += own * others.len() as u64;
                self.traffic.workers[w].down += heard;
            }
        }
    }

    /// The bytes of a decision on its way to the workers.
    fn down_bytes(&self, decision: &Decision, letters: &[Option<Letter>]) -> u64 {
        match &decision.moved {
            _ if decision.heard.is_some() => decision.heard.as_ref().map_or(0, message_bytes),
            Move::Direction(m) | Move::Update(m) if passes_on(m, letters) => letters[0].as_ref().map_or(0, |l| l.bytes),
            Move::Direction(m) | Move::Update(m) => message_bytes(m),
            Move::Jump(y) => message_bytes(&y.to_message(&self.frame.layout)),
            Move::Own => 0,
        }
    }

    /// What those that spoke in the first round need to answer.
    fn serve_again(
        &self,
        letters: &[Option<Letter>],
        said: &[Vec<Message>],
        round: u32,
        host: &mut dyn Host,
    ) -> Result<Vec<Option<Served>>, RoundError> {
        let view = self.view();
        let reply = |(i, w): (usize, usize)| {
            if letters[w].is_none() {
                return Ok(None);
            }
            let node = node_of(self.states, i);
            serve(&view, &self.states.locals[i], &self.states.shared[node], &said[node], i, round, host).map(Some)
        };
        self.frame.seats.clone().enumerate().map(reply).collect()
    }

    /// Gives the round up: nothing counts as applied.
    fn lose(&mut self, error: RoundError, round: u32) -> End {
        self.commit(None, &[], 0);
        End::Lost(RoundError::Lost { round, source: Box::new(error) })
    }

    /// Ends the step for this process's workers, and gives their own x under gossip.
    fn commit(&mut self, decided: Option<&[Decision]>, letters: &[Option<Letter>], round: u32) -> Vec<Option<Vector>> {
        let Frame { algorithm, seats, layout, .. } = self.frame;
        let mut locals = std::mem::take(&mut self.states.locals);
        let mut own = Vec::with_capacity(locals.len());
        for (i, local) in locals.iter_mut().enumerate() {
            if !self.present[i] {
                own.push(None);
                continue;
            }
            let (rank, node) = (seats.start + i, node_of(self.states, i));
            let counts = decided.filter(|_| letters[rank].is_some()).map(|decided| &decided[node]);
            let view = View { x: self.silences[i].x(self.x), ..self.view() };
            own.push(algorithm.0.commit(local, &self.states.shared[node], counts, &view.cx(rank, round)));
            self.silences[i].end(local, layout);
        }
        self.states.locals = locals;
        own
    }

    fn finish(
        &mut self,
        mut decided: Vec<Decision>,
        heard: &Heard,
        said: &[Vec<Message>],
        round: u32,
        host: &mut dyn Host,
    ) -> Result<Decided, End> {
        let letters = &heard.letters;
        let Frame { algorithm, seats, layout, .. } = self.frame;
        let gossip = algorithm.is_gossip();
        let unused = if gossip { Vec::new() } else { Silence::common(letters) };
        if !unused.is_empty() {
            self.hold_still(&mut decided[0].moved, &unused);
        }
        // The same in all processes, as the move is.
        let step = self.states.step;
        let x = || if self.x.len() == layout.len() { Some(self.x.clone()) } else { host.x() };
        // What has just been said has been looked at.
        let known = match &decided[0].moved {
            Move::Direction(m) | Move::Update(m) if round == 0 && passes_on(m, letters) => Some(self.loudness),
            _ => None,
        };
        let checked = careful::check_move(&decided[0].moved, known, self.lr, step, layout, x).and_then(|bound| {
            // Nodes' own x are looked at once they have moved.
            if gossip || bound < self.room {
                return Ok(());
            }
            let change = super::decided::change(&decided[0].moved, self.lr, None, layout);
            host.outgrown(&change).map_or(Ok(()), |outgrown| Err(RoundError::Outgrown { step, outgrown }))
        });
        if let Err(error) = checked {
            return Err(if self.careful { End::Rejected(error) } else { self.lose(error, round) });
        }
        let own = self.commit(Some(&decided), letters, round);
        let mut shared = std::mem::take(&mut self.states.shared);
        let mut first = None;
        for ((node, state), mut decision) in shared.iter_mut().enumerate().zip(decided) {
            let rank = self.reducer(node);
            let still = Silence::aside(&unused, state, layout);
            let inbox = self.inbox(heard, rank);
            algorithm.0.advance(state, &said[node], &inbox, &mut decision, &self.hearing(heard, rank, round));
            still.end(state, layout);
            first.get_or_insert(decision.moved);
        }
        self.states.shared = shared;
        for (node, x) in self.states.nodes.iter_mut().zip(own) {
            if let Some(x) = x {
                *node = x;
            }
        }
        if self.careful {
            let whole = careful::check_states(self.states, seats.start, step, layout);
            let whole = whole.and_then(|()| self.check_nodes(host));
            agree(self.mail, whole).map_err(End::Rejected)?;
        }
        self.states.step += 1;
        self.states.loudness = self.loudness;
        if self.lr != 0.0 {
            self.states.lr = self.lr;
        }
        self.mail.sent(&self.traffic, 4.0 * layout.len() as f64);
        Ok(Decided {
            moved: first.expect("at least one node"),
            traffic: std::mem::take(&mut self.traffic),
            lr: self.lr,
            layout: layout.clone(),
            mean: self.mean_node(),
        })
    }

    /// Refuses a node's x that would not be finite where the host keeps it.
    fn check_nodes(&self, host: &mut dyn Host) -> Result<(), RoundError> {
        if self.room == f64::INFINITY {
            return Ok(());
        }
        let step = self.states.step;
        let outgrown = self.states.nodes.iter().find_map(|x| host.outgrown(&Change::To(x.clone())));
        outgrown.map_or(Ok(()), |outgrown| Err(RoundError::Outgrown { step, outgrown }))
    }

    /// The mean of this process's nodes, under gossip.
    fn mean_node(&self) -> Option<Vector> {
        let nodes = &self.states.nodes;
        (!nodes.is_empty()).then(|| mean_of_nodes(nodes.iter().map(Vector::as_slice)))
    }

    /// A parameter that no worker used does not move.
    fn hold_still(&self, moved: &mut Move, unused: &[u32]) {
        let units = self.frame.layout.units();
        match moved {
            Move::Direction(m) | Move::Update(m) => {
                for unit in unused {
                    let unit = *unit as usize;
                    m.payloads[unit] = Arc::new(Payload::zero(units[unit].len()));
                }
            }
            Move::Jump(y) => {
                for unit in unused {
                    let range = units[*unit as usize].range.clone();
                    if range.end <= self.x.len() {
                        y.copy_range(range, self.x);
                    }
                }
            }
            Move::Own => {}
        }
    }
}
