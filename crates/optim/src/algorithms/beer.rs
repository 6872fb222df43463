use std::fmt;
use std::sync::{Arc, OnceLock};

use backburn_compress::{Feedback, Layout, Memo, Message, ParameterError, decode_into};

use super::Entry;
use super::ef_sgd::silence;
use crate::graph::{Graph, Topology};
use crate::spec::{unless, write_form};
use crate::{Algorithm, AnyAlgorithm, Buf, Cx, Decision, Inbox, Move, Next, Role, Seen, State, Visitor};

/// BEER (Zhao, Li, Li, Richtárik, Chi 2022): decentralised, with gradient tracking and compressed
/// copies H of X and G of V. With gossip step γ_g and weights w,
///
/// X⁺ = X + γ_g·Σ_j w_ij(H_j − H_i) − γV, H⁺ = H + C(X⁺ − H), and with the gradient at X⁺
/// V⁺ = V + γ_g·Σ_j w_ij(G_j − G_i) + ∇⁺ − ∇, G⁺ = G + C(V⁺ − G); V_0 = ∇_0, H_0 = G_0 = 0.
///
/// Weights are Metropolis's. A step begins with the gradient at X, so it does the second half of the
/// last step and then the first half of its own; both differences go in one message. Nodes keep
/// Σ_j w_ij H_j instead of every neighbour's copy. A failed round is rolled back whole.
#[derive(Clone, Debug)]
pub struct Beer {
    /// γ_g ∈ (0, 1].
    gossip: f64,
    topology: Topology,
    graph: OnceLock<Arc<Graph>>,
}

pub(super) const ENTRY: Entry = Entry {
    name: "beer",
    usage: "beer[:gossip=γ][,graph=ring|torus|complete|er:P]",
    about: "decentralised gradient tracking with compressed differences (γ = 0.4, on a ring)",
    examples: &["beer", "beer:gossip=0.3,graph=torus", "beer:graph=complete", "beer:gossip=0.2,graph=er:0.5"],
    parse: |args| {
        let beer = Beer::new(args.named("gossip")?.unwrap_or(GOSSIP))?;
        Ok(AnyAlgorithm::new(beer.with_topology(args.named("graph")?.unwrap_or_default())))
    },
};

/// γ_g where nothing is said.
const GOSSIP: f64 = 0.4;

impl Beer {
    /// γ_g ∈ (0, 1], on a ring.
    pub fn new(gossip: f64) -> Result<Self, ParameterError> {
        if gossip > 0.0 && gossip <= 1.0 {
            Ok(Self { gossip, topology: Topology::Ring, graph: OnceLock::new() })
        } else {
            Err(ParameterError::Range { name: "gossip", value: gossip, allowed: "(0, 1]" })
        }
    }

    /// On another graph.
    pub fn with_topology(self, topology: Topology) -> Self {
        Self { topology, graph: OnceLock::new(), ..self }
    }

    /// The graph of n nodes; that of the first n asked for is kept.
    fn graph(&self, n: usize) -> Arc<Graph> {
        let kept = self.graph.get_or_init(|| Arc::new(self.topology.graph(n)));
        if kept.nodes() == n { kept.clone() } else { Arc::new(self.topology.graph(n)) }
    }
}

impl fmt::Display for Beer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let graph = unless(self.topology, Topology::Ring);
        write_form(f, "beer", &[("gossip", self.gossip.to_string()), ("graph", graph)])
    }
}

/// V_i, the gradient in it, H_i and G_i.
#[derive(Clone, Debug)]
pub struct Local {
    /// Empty before the first gradient, as `gradient`.
    v: Buf,
    gradient: Buf,
    h: Buf,
    g: Buf,
    /// What the step will come to if it counts.
    next: Option<Proposed>,
    memos: [Vec<Memo>; 2],
}

#[derive(Clone, Debug)]
struct Proposed {
    x: Buf,
    v: Buf,
    gradient: Buf,
    said: Message,
}

impl State for Local {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("v", Role::Tracker, &mut self.v);
        visitor.vector("gradient", Role::Tracker, &mut self.gradient);
        visitor.vector("h", Role::Tracker, &mut self.h);
        visitor.vector("g", Role::Tracker, &mut self.g);
        let [g, h] = &mut self.memos;
        visitor.memos("compressor.g", g);
        visitor.memos("compressor.h", h);
    }
}

/// A node's Σ_j w_ij H_j and Σ_j w_ij G_j.
#[derive(Clone, Debug)]
pub struct Shared {
    h: Buf,
    g: Buf,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("h", Role::Tracker, &mut self.h);
        visitor.vector("g", Role::Tracker, &mut self.g);
    }
}

impl Beer {
    /// y + γ_g·Σ_j w_ij(Z_j − Z_i), the weights adding up to 1.
    fn mix(&self, y: &[f32], mixed: &[f32], own: &[f32]) -> Buf {
        let gossip = self.gossip as f32;
        let sources = y.iter().zip(mixed.iter().zip(own));
        sources.map(|(y, (mixed, own))| y + gossip * (mixed - own)).collect()
    }
}

fn difference(a: &[f32], b: &[f32]) -> Buf {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

impl Algorithm for Beer {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        let zero = || vec![0.0; cx.layout.len()];
        let memos = || vec![Memo::default(); cx.layout.units().len()];
        Local { v: Buf::new(), gradient: Buf::new(), h: zero(), g: zero(), next: None, memos: [memos(), memos()] }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        Shared { h: vec![0.0; cx.layout.len()], g: vec![0.0; cx.layout.len()] }
    }

    fn peers(&self, rank: usize, n: usize) -> Vec<usize> {
        self.graph(n).closed(rank)
    }

    fn is_gossip(&self) -> bool {
        true
    }

    fn needs_x(&self) -> bool {
        true
    }

    fn begin(&self, local: &mut Local, shared: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        let gradient = seen.take();
        let [memos_g, memos_h] = &mut local.memos;
        let (v, mut said) = if local.v.is_empty() {
            (gradient.clone(), silence(cx.layout))
        } else {
            let mut v = self.mix(&local.v, &shared.g, &local.g);
            v.iter_mut().zip(gradient.iter().zip(&local.gradient)).for_each(|(v, (new, old))| *v += new - old);
            let q = cx.compress(&difference(&v, &local.g), memos_g);
            (v, q)
        };
        let mut x = self.mix(cx.x, &shared.h, &local.h);
        let lr = cx.lr as f32;
        x.iter_mut().zip(&v).for_each(|(x, v)| *x -= lr * v);
        // Two draws a step: the second stands in a message round of its own.
        said.extend(cx.at_round(1).compress(&difference(&x, &local.h), memos_h));
        local.next = Some(Proposed { x, v, gradient, said: said.clone() });
        said
    }

    fn reduce(&self, _: &Shared, _: &[Message], _: Inbox<'_>, _: &Cx<'_>) -> Next {
        Move::Own.into()
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Buf> {
        let next = local.next.take()?;
        decided?;
        let (of_v, of_x) = next.said.split_at(cx.layout.units().len());
        decode_into(of_v, 1.0, &mut local.g, cx.layout);
        decode_into(of_x, 1.0, &mut local.h, cx.layout);
        (local.v, local.gradient) = (next.v, next.gradient);
        Some(next.x)
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], inbox: Inbox<'_>, _: &mut Decision, cx: &Cx<'_>) {
        let weights = self.graph(cx.workers).weights(cx.rank);
        for (said, w) in inbox.iter().zip(weights) {
            // A gossip round without all of its messages has failed before.
            let Some(said) = said else { continue };
            let (of_v, of_x) = said.split_at(cx.layout.units().len());
            decode_into(of_v, w as f32, &mut shared.g, cx.layout);
            decode_into(of_x, w as f32, &mut shared.h, cx.layout);
        }
    }
}
