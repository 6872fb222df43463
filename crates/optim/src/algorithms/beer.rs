use std::sync::{Arc, OnceLock};

use backburn_compress::text::Form;
use backburn_compress::{Feedback, Layout, Memo, Message, ParameterError, Vector};

use super::parts::graph::{Graph, Topology};
use super::parts::silence;
use crate::method::{
    Algorithm, AnyAlgorithm, Argument, Conserves, Cx, Decision, Inbox, Move, Next, Parent, Role, Seen, State, Visitor,
    Why, display_by_arguments,
};

/// [BEER](https://arxiv.org/abs/2201.13320) (Zhao, Li, Li, Richtárik, Chi 2022): decentralised, with gradient tracking and compressed
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

pub(super) static FORM: Form<AnyAlgorithm> = Form {
    name: "beer",
    usage: "beer[:gossip=γ][,graph=ring|torus|complete|er:P]",
    about: "decentralised gradient tracking with compressed differences",
    equation: "X⁺ = X + γ_g·Σ_j w_ij(H_j − H_i) − γV, H⁺ = H + C(X⁺ − H); V⁺ = V + γ_g·Σ_j w_ij(G_j − G_i) + ∇⁺ − ∇, G⁺ = G + C(V⁺ − G)",
    source: "BEER: Fast O(1/T) Rate for Decentralized Nonconvex Optimization with Communication Compression, Zhao, Li, Li, Richtárik, Chi 2022",
    link: "https://arxiv.org/abs/2201.13320",
    defaults: &[("gossip=0.4", "γ_g"), ("graph=ring", "who hears whom")],
    examples: &["beer", "beer:gossip=0.3,graph=torus", "beer:graph=complete", "beer:gossip=0.2,graph=er:0.5"],
    parse: |args| {
        let beer = Beer::new(args.named("gossip")?.unwrap_or(GOSSIP))?;
        Ok(AnyAlgorithm::new(beer.with_graph(args.named("graph")?.unwrap_or_default())))
    },
};

/// γ_g where nothing is said.
const GOSSIP: f64 = 0.4;

impl Beer {
    /// With gossip step γ_g, on a ring.
    ///
    /// # Errors
    /// Where γ_g is outside (0, 1].
    pub fn new(gossip: f64) -> Result<Self, ParameterError> {
        if gossip > 0.0 && gossip <= 1.0 {
            Ok(Self { gossip, topology: Topology::Ring, graph: OnceLock::new() })
        } else {
            Err(ParameterError::Range { name: "gossip", value: gossip, allowed: "(0, 1]" })
        }
    }

    /// On another graph.
    pub fn with_graph(self, topology: Topology) -> Self {
        Self { topology, graph: OnceLock::new(), ..self }
    }

    /// The graph of n nodes; that of the first n asked for is kept.
    fn graph(&self, n: usize) -> Arc<Graph> {
        let kept = self.graph.get_or_init(|| Arc::new(self.topology.graph(n)));
        if kept.nodes() == n { kept.clone() } else { Arc::new(self.topology.graph(n)) }
    }
}

display_by_arguments!(Beer, FORM.name);

/// V_i, the gradient in it, H_i and G_i.
#[derive(Clone, Debug)]
pub struct Local {
    /// Empty before the first gradient, as `gradient`.
    v: Vector,
    gradient: Vector,
    h: Vector,
    g: Vector,
    /// What the step will come to if it counts.
    next: Option<Proposed>,
    memos: [Vec<Memo>; 2],
}

#[derive(Clone, Debug)]
struct Proposed {
    x: Vector,
    v: Vector,
    gradient: Vector,
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
    h: Vector,
    g: Vector,
}

impl State for Shared {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("h", Role::Tracker, &mut self.h);
        visitor.vector("g", Role::Tracker, &mut self.g);
    }
}

impl Beer {
    /// y + γ_g·Σ_j w_ij(Z_j − Z_i), the weights adding up to 1.
    fn mix(&self, y: &Vector, mixed: &Vector, own: &Vector) -> Vector {
        let mut y = y.clone();
        y.axpy(self.gossip as f32, &difference(mixed, own));
        y
    }
}

fn difference(a: &Vector, b: &Vector) -> Vector {
    let mut a = a.clone();
    a.subtract(b);
    a
}

impl Algorithm for Beer {
    type Takes = Feedback;
    type Local = Local;
    type Shared = Shared;

    fn local(&self, cx: &Cx<'_>) -> Local {
        let zero = || Vector::zeros(cx.layout.len());
        let memos = [cx.memos(), cx.memos()];
        Local { v: Vector::new(), gradient: Vector::new(), h: zero(), g: zero(), next: None, memos }
    }

    fn shared(&self, cx: &Cx<'_>) -> Shared {
        Shared { h: Vector::zeros(cx.layout.len()), g: Vector::zeros(cx.layout.len()) }
    }

    fn arguments(&self) -> Vec<Argument> {
        vec![Argument::shown("gossip", self.gossip), Argument::unless("graph", self.topology, Topology::Ring)]
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

    fn is_divisible(&self) -> bool {
        false
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        Ok(Conserves::Gossip { v: "v", gradient: "gradient" })
    }

    fn parent(&self) -> Result<Parent, Why> {
        Err("every node has an x of its own: law 6 says what it is without compression")
    }

    fn begin(&self, local: &mut Local, shared: &Shared, mut seen: Seen, cx: &Cx<'_>) -> Message {
        let gradient = seen.take();
        let [memos_g, memos_h] = &mut local.memos;
        let (v, mut said) = if local.v.is_empty() {
            (gradient.clone(), silence(cx.layout))
        } else {
            let mut v = self.mix(&local.v, &shared.g, &local.g);
            v.axpy(1.0, &difference(&gradient, &local.gradient));
            let q = cx.compress(&difference(&v, &local.g), 1.0, memos_g);
            (v, q)
        };
        let mut x = self.mix(cx.x, &shared.h, &local.h);
        x.axpy(-cx.lr as f32, &v);
        // Two draws a step: the second stands in a message round of its own.
        said.payloads.extend(cx.at_round(1).compress(&difference(&x, &local.h), cx.lr, memos_h).payloads);
        local.next = Some(Proposed { x, v, gradient, said: said.clone() });
        said
    }

    fn reduce(&self, _: &Shared, _: &[Message], _: Inbox<'_>, _: &Cx<'_>) -> Next {
        Move::Own.into()
    }

    fn commit(&self, local: &mut Local, _: &Shared, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        let next = local.next.take()?;
        decided?;
        let (of_v, of_x) = next.said.payloads.split_at(cx.layout.units().len());
        local.g.add_payloads(1.0, of_v, cx.layout);
        local.h.add_payloads(1.0, of_x, cx.layout);
        (local.v, local.gradient) = (next.v, next.gradient);
        Some(next.x)
    }

    fn advance(&self, shared: &mut Shared, _: &[Message], inbox: Inbox<'_>, _: &mut Decision, cx: &Cx<'_>) {
        let weights = self.graph(cx.workers).weights(cx.rank);
        for (said, w) in inbox.iter().zip(weights) {
            // A gossip round without all of its messages has failed before.
            let Some(said) = said else { continue };
            let (of_v, of_x) = said.payloads.split_at(cx.layout.units().len());
            shared.g.add_payloads(w as f32, of_v, cx.layout);
            shared.h.add_payloads(w as f32, of_x, cx.layout);
        }
    }
}
