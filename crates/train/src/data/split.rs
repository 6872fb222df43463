//! The two parts of a set.

use super::images::Images;

/// One example in so many is held out where a set has no part for tests.
const HELD_OUT: usize = 10;

/// A training and a test part.
#[derive(Clone, Debug, PartialEq)]
pub struct Split<T = Images> {
    /// What is trained on.
    pub train: T,
    /// What is measured on.
    pub test: T,
}

impl<T> Split<T> {
    /// Every tenth of so many examples for tests, the others for training; fewer than ten are both.
    pub fn held_out(examples: usize, subset: impl Fn(&[usize]) -> T) -> Self {
        let all: Vec<usize> = (0..examples).collect();
        let (test, train): (Vec<usize>, Vec<usize>) = all.iter().partition(|i| *i % HELD_OUT == HELD_OUT - 1);
        let part = |indices: Vec<usize>| subset(if test.is_empty() { &all } else { &indices });
        Self { train: part(train), test: part(test.clone()) }
    }

    /// With other parts.
    pub fn map<U>(self, change: impl Fn(T) -> U) -> Split<U> {
        Split { train: change(self.train), test: change(self.test) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_held_out() {
        let parts = |n| Split::held_out(n, <[usize]>::to_vec);
        assert_eq!(parts(21).test, [9, 19]);
        assert_eq!(parts(21).train.len(), 19);
        assert_eq!(parts(3), Split { train: vec![0, 1, 2], test: vec![0, 1, 2] });
    }
}
