//! Who hears whom under gossip.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use backburn_compress::text::{Expected, TextError};
use backburn_compress::{Key, ParameterError, Philox};

/// A family of connected graphs, one for every number of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Topology {
    /// Every node hears the two beside it.
    #[default]
    Ring,
    /// A grid a × b, as square as n allows, closed both ways; for a prime n a ring.
    Torus,
    /// Everybody hears everybody.
    Complete,
    /// Every edge exists with this probability, independently (Erdős, Rényi): the first such graph
    /// of a fixed random sequence that is connected; should none be among the first hundred, their
    /// last with a ring added.
    ErdosRenyi(f64),
}

impl Topology {
    /// Edges with probability `p` ∈ (0, 1].
    ///
    /// # Errors
    /// Where `p` is outside.
    pub fn erdos_renyi(p: f64) -> Result<Self, ParameterError> {
        if p > 0.0 && p <= 1.0 {
            Ok(Self::ErdosRenyi(p))
        } else {
            Err(ParameterError::Range { name: "er", value: p, allowed: "(0, 1]" })
        }
    }

    /// The graph of `n` nodes.
    pub fn graph(self, n: usize) -> Graph {
        match self {
            Self::Ring => Graph::of(n, ring(n)),
            Self::Torus => Graph::of(n, torus(n)),
            Self::Complete => Graph::of(n, (0..n).flat_map(|i| (0..i).map(move |j| (i, j)))),
            Self::ErdosRenyi(p) => {
                for attempt in 0..100 {
                    let graph = Graph::of(n, random(n, p, attempt));
                    if graph.is_connected() {
                        return graph;
                    }
                }
                Graph::of(n, random(n, p, 99).into_iter().chain(ring(n)))
            }
        }
    }
}

fn ring(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).map(move |i| (i, (i + 1) % n))
}

fn torus(n: usize) -> impl Iterator<Item = (usize, usize)> {
    let rows = (1..=n.isqrt()).rev().find(|a| n.is_multiple_of(*a)).unwrap_or(1);
    let columns = n / rows;
    (0..n).flat_map(move |i| {
        let (row, column) = (i / columns, i % columns);
        [(i, row * columns + (column + 1) % columns), (i, (row + 1) % rows * columns + column)]
    })
}

fn random(n: usize, p: f64, attempt: u64) -> Vec<(usize, usize)> {
    let mut random = Philox::new(Key { step: attempt, ..Key::new(n as u64) }.draw());
    let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
    pairs.filter(|_| f64::from(random.uniform()) < p).collect()
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring => f.write_str("ring"),
            Self::Torus => f.write_str("torus"),
            Self::Complete => f.write_str("complete"),
            Self::ErdosRenyi(p) => write!(f, "er:{p}"),
        }
    }
}

impl FromStr for Topology {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        match text.split_once(':').unwrap_or((text, "")) {
            ("ring", "") => Ok(Self::Ring),
            ("torus", "") => Ok(Self::Torus),
            ("complete", "") => Ok(Self::Complete),
            ("er", p) => Ok(Self::erdos_renyi(p.parse().unwrap_or(f64::NAN))?),
            _ => Err(TextError::unknown("graph", text, ["ring", "torus", "complete", "er:P"])),
        }
    }
}

impl Expected for Topology {
    const EXPECTED: &'static str = "`ring`, `torus`, `complete` or `er:P` with P in (0, 1]";
}

/// An undirected graph without loops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    neighbours: Vec<Vec<usize>>,
}

impl Graph {
    fn of(n: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut sets = vec![BTreeSet::new(); n];
        for (i, j) in edges.into_iter().filter(|(i, j)| i != j) {
            sets[i].insert(j);
            sets[j].insert(i);
        }
        Self { neighbours: sets.into_iter().map(|s| s.into_iter().collect()).collect() }
    }

    /// The number of nodes.
    pub fn nodes(&self) -> usize {
        self.neighbours.len()
    }

    /// A node's neighbours and itself, ascending.
    pub fn closed(&self, i: usize) -> Vec<usize> {
        let mut nodes = self.neighbours[i].clone();
        let place = nodes.partition_point(|j| *j < i);
        nodes.insert(place, i);
        nodes
    }

    /// Metropolis's weights w_ij = 1/(1 + max(deg i, deg j)), the rest on w_ii, in the order of
    /// [`closed`](Self::closed): symmetric, so doubly stochastic.
    pub fn weights(&self, i: usize) -> Vec<f64> {
        let degree = |j: usize| self.neighbours[j].len();
        let edge = |j: usize| 1.0 / (1 + degree(i).max(degree(j))) as f64;
        let own = 1.0 - self.neighbours[i].iter().map(|j| edge(*j)).sum::<f64>();
        self.closed(i).into_iter().map(|j| if j == i { own } else { edge(j) }).collect()
    }

    /// Whether every node reaches every other.
    pub fn is_connected(&self) -> bool {
        let mut reached = vec![false; self.nodes()];
        let mut left = vec![0];
        while let Some(i) = left.pop() {
            if let Some(seen) = reached.get_mut(i).filter(|seen| !**seen) {
                *seen = true;
                left.extend(&self.neighbours[i]);
            }
        }
        reached.into_iter().all(|r| r)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_doubly_stochastic_on_connected_graphs() {
        let families =
            ["ring", "torus", "complete", "er:0.1", "er:0.5", "er:1"].map(|t| t.parse::<Topology>().unwrap());
        for topology in families {
            assert_eq!(topology.to_string().parse::<Topology>().unwrap(), topology);
            for n in [1, 2, 3, 4, 5, 7, 9, 12, 30] {
                let graph = topology.graph(n);
                assert!(graph.is_connected(), "{topology} of {n}");
                let mut columns = vec![0.0; n];
                for i in 0..n {
                    let weights = graph.weights(i);
                    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12 && weights.iter().all(|w| *w >= 0.0));
                    graph.closed(i).iter().zip(weights).for_each(|(j, w)| columns[*j] += w);
                }
                assert!(columns.iter().all(|c| (c - 1.0).abs() < 1e-12), "{topology} of {n}: {columns:?}");
            }
        }
    }

    #[test]
    fn shapes_are_as_named() {
        assert_eq!(Topology::Ring.graph(5).closed(0), [0, 1, 4]);
        assert!(Topology::Ring.graph(5).weights(0).iter().all(|w| (w - 1.0 / 3.0).abs() < 1e-15));
        assert_eq!(Topology::Torus.graph(9).closed(4), [1, 3, 4, 5, 7]);
        assert_eq!(Topology::Torus.graph(7), Topology::Ring.graph(7));
        assert_eq!(Topology::Complete.graph(4).closed(2), [0, 1, 2, 3]);
        assert!("er:0".parse::<Topology>().is_err() && "er".parse::<Topology>().is_err());
        assert!("star".parse::<Topology>().unwrap_err().to_string().contains("ring, torus, complete, er:P"));
    }
}
