//! Numbers as they stand in a file.

use serde::{Deserialize, Serialize};

/// Nested lists of numbers, of one shape.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Array {
    /// A number.
    Number(f64),
    /// A list.
    List(Vec<Array>),
}

impl Array {
    /// Nested lists of this shape.
    pub fn new(values: &[f32], shape: &[usize]) -> Self {
        match shape {
            [] => Self::Number(values.first().copied().map_or(f64::NAN, f64::from)),
            [n, rest @ ..] => {
                Self::List(values.chunks((values.len() / n).max(1)).map(|v| Self::new(v, rest)).collect())
            }
        }
    }

    pub(super) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Number(_) => Vec::new(),
            Self::List(items) => {
                std::iter::once(items.len()).chain(items.first().map_or(vec![], Self::shape)).collect()
            }
        }
    }

    /// Appends all numbers; `None` where the lists are not of this shape.
    pub(super) fn read(&self, shape: &[usize], out: &mut Vec<f64>) -> Option<()> {
        match (self, shape) {
            (Self::Number(x), []) => out.push(*x),
            (Self::List(items), [n, rest @ ..]) if items.len() == *n => {
                items.iter().try_for_each(|item| item.read(rest, out))?;
            }
            _ => return None,
        }
        Some(())
    }
}
