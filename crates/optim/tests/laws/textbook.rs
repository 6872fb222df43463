//! What a method is without compression, run naively in f64 from what it says of itself.

use backburn_optim::{Alpha, Draw, Parent, Restarts, Rule};

use crate::world::*;

/// The memory of a list of rules.
#[derive(Clone, Debug, Default)]
pub struct Recursion {
    states: Vec<Option<Vector>>,
}

impl Recursion {
    /// What the rules make of d at x, in step t of n workers with this γ.
    pub fn apply(&mut self, rules: &[Rule], mut d: Vector, x: &[f64], n: usize, t: u64, lr: f64) -> Vector {
        self.states.resize(rules.len(), None);
        for (rule, state) in rules.iter().zip(&mut self.states) {
            match *rule {
                Rule::Decay(lambda) => d.iter_mut().zip(x).for_each(|(d, x)| *d += lambda * x),
                Rule::Clip(c) => {
                    let norm = d.iter().map(|d| d * d).sum::<f64>().sqrt();
                    let scale = (c / (n as f64).sqrt() / norm).min(1.0);
                    d.iter_mut().for_each(|d| *d *= scale);
                }
                Rule::Momentum(beta) => d = blend(state, beta, 1.0, &d, true),
                Rule::Nesterov(beta) => {
                    let m = blend(state, beta, 1.0, &d, true);
                    d.iter_mut().zip(&m).for_each(|(d, m)| *d += beta * m);
                }
                Rule::Cleared(mu) => {
                    d = blend(state, mu, 1.0, &d, true);
                    if lr != 0.0 {
                        *state = None;
                    }
                }
                Rule::Average(eta) => d = blend(state, 1.0 - eta, eta, &d, true),
                Rule::Estimate(alpha) => d = blend(state, 1.0 - alpha.at(t), alpha.at(t), &d, false),
                Rule::Sign => d.iter_mut().for_each(|d| *d = if *d == 0.0 { 0.0 } else { d.signum() }),
                Rule::Outer { .. } if lr == 0.0 => {}
                Rule::Outer { momentum, nesterov } => {
                    let m = blend(state, momentum, 1.0, &d, true);
                    match nesterov {
                        true => d.iter_mut().zip(&m).for_each(|(d, m)| *d += momentum * m),
                        false => d = m,
                    }
                }
                Rule::Adam { beta1, beta2, eps, refresh } => {
                    // m, and v behind it.
                    let mut both = state.take().unwrap_or_else(|| vec![0.0; 2 * d.len()]);
                    let (m, v) = both.split_at_mut(d.len());
                    for ((d, m), v) in d.iter_mut().zip(m).zip(v) {
                        *m = beta1 * *m + (1.0 - beta1) * *d;
                        if refresh.at(t) {
                            *v = beta2 * *v + (1.0 - beta2) * *d * *d;
                        }
                        *d = *m / (v.sqrt() + eps);
                    }
                    *state = Some(both);
                }
                _ => panic!("the laws do not know the rule {rule:?}"),
            }
        }
        d
    }
}

/// v ← keep·v + gain·d; before it v is d itself where it is `warm`, otherwise 0.
fn blend(v: &mut Option<Vector>, keep: f64, gain: f64, d: &[f64], warm: bool) -> Vector {
    let blended = match v {
        None if warm => d.to_vec(),
        None => d.iter().map(|d| gain * d).collect(),
        Some(v) => v.iter().zip(d).map(|(v, d)| keep * v + gain * d).collect(),
    };
    *v = Some(blended.clone());
    blended
}

/// A run of the parent on a world.
pub struct Textbook<'a> {
    parent: Parent,
    world: &'a World,
    locals: Vec<Recursion>,
    common: Recursion,
    pub x: Vector,
    last_x: Vector,
    x_ref: Vector,
    t: u64,
    t_ref: u64,
}

impl<'a> Textbook<'a> {
    pub fn new(parent: Parent, world: &'a World) -> Self {
        let x = vec![0.0; world.layout.len()];
        let locals = vec![Recursion::default(); world.workers];
        let (last_x, x_ref) = (x.clone(), x.clone());
        Self { parent, world, locals, common: Recursion::default(), x, last_x, x_ref, t: 0, t_ref: 0 }
    }

    fn draw(&self, w: usize) -> Vector {
        let (world, t) = (self.world, self.t);
        let at = |x: &[f64], batches| wide(&world.mean_gradient(w, &narrow(x), t, batches));
        let sum =
            |a: f64, x: &[f64], b: f64, y: &[f64]| x.iter().zip(y).map(|(x, y)| a * x + b * y).collect::<Vector>();
        match self.parent.draw {
            Draw::Plain { first, later } => at(&self.x, if t == 0 { first } else { later }),
            Draw::Damped(eta) => sum(eta, &at(&self.x, 1), 1.0 - eta, &at(&self.x, 0)),
            Draw::Recursive(alpha) => {
                let alpha = alpha.at(t);
                sum(1.0 / alpha, &at(&self.x, 1), -(1.0 - alpha) / alpha, &at(&self.last_x, 1))
            }
            Draw::Ahead(alpha) => {
                let ahead = (1.0 - alpha.at(t)) / alpha.at(t);
                at(&sum(1.0 + ahead, &self.x, -ahead, &self.last_x), 1)
            }
            draw => panic!("the laws do not know the draw {draw:?}"),
        }
    }

    pub fn step(&mut self, lr: f64) {
        let n = self.world.workers;
        let mut mean = vec![0.0; self.x.len()];
        for w in 0..n {
            let g = self.draw(w);
            let d = self.locals[w].apply(&self.parent.local, g, &self.x, n, self.t, lr);
            let share = |d: f64| {
                if !self.parent.votes {
                    d / n as f64
                } else if d >= 0.0 {
                    1.0
                } else {
                    -1.0
                }
            };
            mean.iter_mut().zip(&d).for_each(|(m, d)| *m += share(*d));
        }
        if self.parent.votes {
            mean.iter_mut().for_each(|m| *m = if *m >= 0.0 { 1.0 } else { -1.0 });
        }
        let d = self.common.apply(&self.parent.common, mean, &self.x, n, self.t, lr);
        self.last_x.clone_from(&self.x);
        self.x.iter_mut().zip(&d).for_each(|(x, d)| *x -= lr * d);
        self.t += 1;
        if let Some(restarts) = self.parent.restarts.filter(|_| lr != 0.0) {
            self.restart(restarts);
        }
    }

    fn restart(&mut self, Restarts { interval, radius }: Restarts) {
        let away = self.x.iter().zip(&self.x_ref).map(|(x, r)| (x - r).powi(2)).sum::<f64>().sqrt();
        if interval.is_some_and(|i| self.t - self.t_ref > i) || radius.is_some_and(|r| away > r) {
            let f = |x: &[f64]| (0..self.world.workers).map(|w| self.world.loss(w, &narrow(x))).sum::<f64>();
            if f(&self.x) >= f(&self.x_ref) {
                self.x.clone_from(&self.x_ref);
            }
            self.x_ref.clone_from(&self.x);
            self.t_ref = self.t;
        }
    }
}

pub fn narrow(x: &[f64]) -> Vec<f32> {
    x.iter().map(|x| *x as f32).collect()
}

/// ErrorCompensatedX as in the paper, for a constant γ and one worker, with the k largest coordinates: the x of every step.
pub fn papers_form(alpha: Alpha, beta: f64, one_step: bool, lr: f64, k: usize, gradients: &[Vector]) -> Vec<Vector> {
    let d = gradients[0].len();
    let (mut x, mut v) = (vec![0.0; d], vec![0.0; d]);
    let (mut recent, mut older) = (vec![0.0; d], vec![0.0; d]);
    let mut xs = Vec::new();
    for (t, g) in gradients.iter().enumerate() {
        let at = |back: usize| alpha.at(t.saturating_sub(back) as u64);
        let now = at(0);
        let (one, two) = match one_step {
            true => (1.0, 0.0),
            false => (at(1) / now * (2.0 - now), -at(2) / now * (1.0 - now)),
        };
        let p: Vector = (0..d).map(|j| g[j] + beta * (one * recent[j] + two * older[j])).collect();
        let mut order: Vec<usize> = (0..d).collect();
        order.sort_by(|a, b| p[*b].abs().total_cmp(&p[*a].abs()));
        let mut delta = p.clone();
        v.iter_mut().for_each(|v| *v *= 1.0 - now);
        for j in &order[..k] {
            v[*j] += now * p[*j];
            delta[*j] = 0.0;
        }
        x.iter_mut().zip(&v).for_each(|(x, v)| *x -= lr * v);
        older = std::mem::replace(&mut recent, delta);
        xs.push(x.clone());
    }
    xs
}
