//! Adam's moments, kept by everybody alike.

use backburn_compress::text::{Args, TextError};
use backburn_compress::{Layout, Message, ParameterError, Vector};

use crate::method::{Argument, Role, State, Visitor};

/// β₁, β₂ and ε of Adam ([Kingma, Ba 2015](https://arxiv.org/abs/1412.6980)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    beta1: f64,
    beta2: f64,
    eps: f64,
}

impl Adam {
    /// β₁ and β₂, with ε = 10⁻⁸.
    ///
    /// # Errors
    /// Where either is outside [0, 1).
    pub fn new(beta1: f64, beta2: f64) -> Result<Self, ParameterError> {
        for (name, value) in [("beta1", beta1), ("beta2", beta2)] {
            if !(0.0..1.0).contains(&value) {
                return Err(ParameterError::Range { name, value, allowed: "[0, 1)" });
            }
        }
        Ok(Self { beta1, beta2, eps: 1e-8 })
    }

    /// ε > 0.
    ///
    /// # Errors
    /// Where it is not positive as f32.
    pub fn with_eps(self, eps: f64) -> Result<Self, ParameterError> {
        if eps as f32 > 0.0 && (eps as f32).is_finite() {
            Ok(Self { eps, ..self })
        } else {
            Err(ParameterError::Range { name: "eps", value: eps, allowed: "(0, ∞)" })
        }
    }

    /// β₁.
    pub fn beta1(&self) -> f64 {
        self.beta1
    }

    /// β₂.
    pub fn beta2(&self) -> f64 {
        self.beta2
    }

    /// ε.
    pub fn eps(&self) -> f64 {
        self.eps
    }

    /// What `beta1`, `beta2` and `eps` say, these where they say nothing.
    pub(crate) fn parse(self, args: &mut Args) -> Result<Self, TextError> {
        let beta1 = args.named("beta1")?.unwrap_or(self.beta1);
        let adam = Self::new(beta1, args.named("beta2")?.unwrap_or(self.beta2))?;
        Ok(adam.with_eps(args.named("eps")?.unwrap_or(self.eps))?)
    }

    /// Those that are not as in `rest`.
    pub(crate) fn arguments(&self, rest: &Self) -> [Argument; 3] {
        let unless = |name, value, rest| Argument::unless(name, value, rest);
        let betas = [unless("beta1", self.beta1, rest.beta1), unless("beta2", self.beta2, rest.beta2)];
        let [beta1, beta2] = betas;
        [beta1, beta2, unless("eps", self.eps, rest.eps)]
    }
}

/// m and v, as long as the model, and how many gradients are in them.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub m: Vector,
    pub v: Vector,
    count: u64,
}

impl Moments {
    pub fn new(layout: &Layout) -> Self {
        Self { m: Vector::zeros(layout.len()), v: Vector::zeros(layout.len()), count: 0 }
    }

    /// m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g².
    pub fn take_in(&mut self, adam: &Adam, g: &Vector) {
        self.m.blend(adam.beta1 as f32, (1.0 - adam.beta1) as f32, g);
        self.v.blend_square(adam.beta2 as f32, (1.0 - adam.beta2) as f32, g);
        self.count += 1;
    }

    /// As they are after a step in which everybody heard this.
    pub fn heard(&self, adam: &Adam, heard: &Message, is_exact: bool, layout: &Layout) -> Self {
        let mut next = self.clone();
        next.hear(adam, heard, is_exact, layout);
        next
    }

    /// Takes in what everybody heard: a gradient where the exchange was exact, else the next m itself, of which only
    /// coordinates count that have a v.
    pub fn hear(&mut self, adam: &Adam, heard: &Message, is_exact: bool, layout: &Layout) {
        let mut vector = Vector::zeros(layout.len());
        vector.add_decoded(1.0, heard, layout);
        match is_exact {
            true => self.take_in(adam, &vector),
            false => {
                vector.keep_where(&self.v);
                self.m = vector;
            }
        }
    }

    /// m/(√v + ε), 0 where v is: what never had a gradient does not move, though a sign cannot say 0.
    pub fn direction(&self, adam: &Adam) -> Vector {
        let mut d = self.m.clone();
        d.divide_by_root(&self.v, adam.eps as f32);
        d
    }

    /// The same with both moments over the sum of their weights, as Adam has it.
    pub fn unbiased(&self, adam: &Adam) -> Vector {
        let weight = |beta: f64| 1.0 - beta.powf(self.count.max(1) as f64);
        let (first, root) = (weight(adam.beta1), weight(adam.beta2).sqrt());
        let mut d = self.m.clone();
        d.divide_by_root(&self.v, (adam.eps * root) as f32);
        d.scale((root / first) as f32);
        d
    }
}

impl State for Moments {
    fn visit(&mut self, visitor: &mut dyn Visitor, _: &Layout) {
        visitor.vector("m", Role::Momentum, &mut self.m);
        visitor.vector("v", Role::Momentum, &mut self.v);
        visitor.count("moments", &mut self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adam in f64, as its paper's Algorithm 1 has it.
    #[test]
    fn moments_are_the_textbook_s() {
        let adam = Adam::new(0.9, 0.95).unwrap().with_eps(1e-3).unwrap();
        let mut moments = Moments::new(&Layout::flat(3).unwrap());
        let (mut m, mut v) = ([0.0f64; 2], [0.0f64; 2]);
        for t in 1..6 {
            let g = [0.3 * f64::from(t), -1.0 / f64::from(t)];
            moments.take_in(&adam, &Vector::from(vec![g[0] as f32, g[1] as f32, 0.0]));
            for j in 0..2 {
                m[j] = 0.9 * m[j] + 0.1 * g[j];
                v[j] = 0.95 * v[j] + 0.05 * g[j] * g[j];
                let (first, second) = (m[j] / (1.0 - 0.9f64.powi(t)), v[j] / (1.0 - 0.95f64.powi(t)));
                let close = |x: f32, y: f64| assert!((f64::from(x) - y).abs() < 1e-5 * (1.0 + y.abs()), "{x} {y}");
                close(moments.direction(&adam).as_slice()[j], m[j] / (v[j].sqrt() + 1e-3));
                close(moments.unbiased(&adam).as_slice()[j], first / (second.sqrt() + 1e-3));
            }
            assert_eq!(moments.unbiased(&adam).as_slice()[2], 0.0);
        }
        assert!(Adam::new(1.0, 0.9).is_err() && Adam::new(0.9, -0.1).is_err() && adam.with_eps(0.0).is_err());
    }
}
