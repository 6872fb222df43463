//! A case as numbers.

use backburn_compress::{Memo, Scope};
use backburn_optim::{Cluster, Role, Vector, Visitor};

use super::{Array, Case, ReplayError};

/// What a case comes to as numbers.
pub(super) struct Setup {
    pub shapes: Vec<Vec<usize>>,
    pub scope: Scope,
    pub workers: usize,
    pub x0: Vector,
    /// By round, and within it by step and worker.
    pub gradients: Vec<Vec<Vector>>,
    pub iterates: Option<Vec<Vec<f64>>>,
    /// The first Q of every parameter, transposed; empty where the case has none.
    pub q0: Vec<Vec<f32>>,
}

impl Setup {
    /// With the gradients of so many steps to a round.
    pub fn of(case: &Case, steps: usize) -> Result<Self, ReplayError> {
        let shapes: Vec<Vec<usize>> = case.x0.iter().map(Array::shape).collect();
        if shapes.is_empty() || shapes.iter().any(|shape| shape.contains(&0)) {
            return Err(ReplayError::Malformed("`x0` must hold at least one parameter, and none may be empty".into()));
        }
        let flat = |arrays: &[Array], what: &str| -> Result<Vec<f64>, ReplayError> {
            let mut out = Vec::new();
            let fits = arrays.len() == shapes.len();
            let read = arrays.iter().zip(&shapes).try_for_each(|(a, shape)| a.read(shape, &mut out));
            read.filter(|()| fits).ok_or_else(|| ReplayError::Malformed(format!("{what} has not the shapes of x0")))?;
            Ok(out)
        };
        let workers = case.trace.first().map_or(0, Vec::len);
        if workers == 0 || case.trace.len() < case.lr.len() * steps || case.trace.iter().any(|t| t.len() != workers) {
            return Err(ReplayError::Malformed(
                "`trace` must hold every worker's gradients at every step of `lr`".into(),
            ));
        }
        let mut gradients = Vec::new();
        for (t, step) in case.trace.iter().enumerate().take(case.lr.len() * steps) {
            let mut flats = Vec::new();
            for (w, arrays) in step.iter().enumerate() {
                let mut g = flat(arrays, "`trace`")?;
                if let Some(noise) = &case.noise {
                    let noise = noise.get(t).and_then(|n| n.get(w)).map_or(&[][..], Vec::as_slice);
                    g.iter_mut().zip(flat(noise, "`noise`")?).for_each(|(g, n)| *g += n);
                }
                flats.push(g.into_iter().map(|g| g as f32).collect());
            }
            gradients.push(flats);
        }
        let gradients = gradients.chunks(steps).map(<[_]>::concat).collect();
        let q0 = q0(case, &shapes)?;
        let iterates = match &case.iterates {
            None => None,
            Some(xs) if xs.len() == case.lr.len() + 1 => {
                Some(xs.iter().map(|x| flat(x, "`iterates`")).collect::<Result<_, _>>()?)
            }
            Some(_) => return Err(ReplayError::Malformed("`iterates` must hold one more than `lr`".into())),
        };
        let scope = match case.compressor.get("scope") {
            None | Some(serde_json::Value::Null) => Scope::Parameter,
            Some(serde_json::Value::String(text)) => text.parse()?,
            Some(other) => return Err(ReplayError::Malformed(format!("`scope` is {other}, not a word"))),
        };
        let x0: Vec<f32> = flat(&case.x0, "`x0`")?.into_iter().map(|x| x as f32).collect();
        if let Some(at) = x0.iter().position(|x| !x.is_finite()) {
            return Err(ReplayError::Malformed(format!("coordinate {at} of `x0` is more than f32 holds")));
        }
        let x0 = Vector::from(x0);
        Ok(Self { shapes, scope, workers, x0, gradients, iterates, q0 })
    }

    /// Begins with the case's Q.
    pub fn begin(&self, cluster: &mut Cluster) {
        cluster.visit(&mut FirstQ(&self.q0));
    }

    pub fn nested(&self, x: &[f32]) -> Vec<Array> {
        let mut rest = x;
        let mut take = |shape: &Vec<usize>| {
            let (own, after) = rest.split_at(shape.iter().product());
            rest = after;
            Array::new(own, shape)
        };
        self.shapes.iter().map(&mut take).collect()
    }
}

/// Puts these in the place of Dion's first Q.
struct FirstQ<'a>(&'a [Vec<f32>]);

impl Visitor for FirstQ<'_> {
    fn vector(&mut self, _: &str, _: Role, _: &mut Vector) {}

    fn scalar(&mut self, _: &str, _: &mut f64) {}

    fn count(&mut self, _: &str, _: &mut u64) {}

    fn memos(&mut self, name: &str, memos: &mut Vec<Memo>) {
        if name == "q" {
            memos.iter_mut().zip(self.0).for_each(|(memo, q)| memo.values.clone_from(q));
        }
    }
}

/// The first Q of Dion's matrices, columns × rank, transposed.
fn q0(case: &Case, shapes: &[Vec<usize>]) -> Result<Vec<Vec<f32>>, ReplayError> {
    let Some(given) = case.method.get("q0") else { return Ok(Vec::new()) };
    let malformed = || ReplayError::Malformed("`q0` must hold columns × rank numbers for every parameter".into());
    let given: Vec<Vec<Vec<f32>>> = serde_json::from_value(given.clone()).map_err(|_| malformed())?;
    let fits = |(q, shape): (&Vec<Vec<f32>>, &Vec<usize>)| {
        let rank = q.first().map_or(0, Vec::len);
        shape.len() == 2 && q.len() == shape[1] && q.iter().all(|row| row.len() == rank)
    };
    if given.len() != shapes.len() || !given.iter().zip(shapes).all(fits) {
        return Err(malformed());
    }
    let turned = |q: Vec<Vec<f32>>| {
        (0..q.first().map_or(0, Vec::len)).flat_map(|k| q.iter().map(|row| row[k]).collect::<Vec<_>>()).collect()
    };
    Ok(given.into_iter().map(turned).collect())
}
