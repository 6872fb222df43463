//! Workers of one machine that add up their gradients before anything is compressed.

use std::ops::Range;

use backburn_compress::Vector;
use backburn_optim::{Gradient, RoundError, Transport};

use super::error::RunError;
use super::ranks::Ranks;

/// The workers of a machine, which speak as one: what is compressed is the mean of their gradients.
pub(super) struct Machine {
    workers: usize,
    /// The processes that the machine is divided among, where it is.
    divided: Option<(Ranks, Vec<usize>)>,
}

impl Machine {
    /// Machines of so many workers, of which this process has these.
    ///
    /// # Errors
    /// Where processes have neither whole machines nor whole parts of them.
    pub fn new(workers: usize, own: &Range<usize>, ranks: Option<&Ranks>) -> Result<Self, RunError> {
        let seats = own.len();
        let divided = match ranks {
            Some(ranks) if seats < workers && workers.is_multiple_of(seats) => {
                let processes = workers / seats;
                let first = ranks.rank() / processes * processes;
                Some((ranks.clone(), (first..first + processes).collect()))
            }
            _ if seats.is_multiple_of(workers) => None,
            _ => return Err(RunError::Machines { machine: workers, seats }),
        };
        Ok(Self { workers, divided })
    }

    /// Processes a machine, where there are several.
    pub fn processes(&self) -> usize {
        self.divided.as_ref().map_or(1, |(_, here)| here.len())
    }

    /// Whether this process is the one that speaks.
    pub fn leads(&self) -> bool {
        self.divided.as_ref().is_none_or(|(ranks, here)| here[0] == ranks.rank())
    }

    /// The mean gradient of each machine that this process has a part of, from those of its own workers.
    ///
    /// # Errors
    /// Where any process has none; then all processes get an error.
    pub fn add_up(
        &self,
        own: Result<Vec<Gradient>, RoundError>,
        ranks: Option<&Ranks>,
    ) -> Result<Vec<Gradient>, RoundError> {
        if let Some(mut ranks) = ranks.cloned()
            && !ranks.all(own.is_ok())?
        {
            own?;
            let (rank, why) = (ranks.rank(), "another rank could not compute its gradient".into());
            return Err(RoundError::Elsewhere { rank, why });
        }
        let own = own?;
        let all = match &self.divided {
            None => own,
            Some((ranks, here)) => {
                let heard = ranks.clone().exchange(&to_bytes(&own), here)?;
                let read = |bytes: &Vec<u8>| from_bytes(bytes, own[0].vector.len());
                let all: Option<Vec<_>> = heard.iter().map(read).collect();
                let unknown = || RoundError::host("a gradient of this machine is not understood");
                all.ok_or_else(unknown)?.into_iter().flatten().collect()
            }
        };
        Ok(all.chunks(self.workers).map(mean).collect())
    }
}

/// In their order; what none of them has is missing.
fn mean(gradients: &[Gradient]) -> Gradient {
    let n = gradients.len() as f32;
    let mut sum = vec![0.0f32; gradients[0].vector.len()];
    for gradient in gradients {
        sum.iter_mut().zip(gradient.vector.as_slice()).for_each(|(s, g)| *s += g);
    }
    sum.iter_mut().for_each(|s| *s /= n);
    let everywhere = |parameter: &&usize| gradients.iter().all(|gradient| gradient.missing.contains(parameter));
    Gradient { vector: sum.into(), missing: gradients[0].missing.iter().filter(everywhere).copied().collect() }
}

/// How many are missing and which, then the numbers; one after the other.
fn to_bytes(gradients: &[Gradient]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(gradients.iter().map(|g| 4 * g.vector.len() + 64).sum());
    for Gradient { vector, missing } in gradients {
        bytes.extend_from_slice(&(missing.len() as u32).to_le_bytes());
        missing.iter().for_each(|parameter| bytes.extend_from_slice(&(*parameter as u32).to_le_bytes()));
        vector.as_slice().iter().for_each(|x| bytes.extend_from_slice(&x.to_le_bytes()));
    }
    bytes
}

fn from_bytes(mut bytes: &[u8], len: usize) -> Option<Vec<Gradient>> {
    let mut gradients = Vec::new();
    while !bytes.is_empty() {
        let (count, rest) = bytes.split_first_chunk()?;
        let (missing, rest) = rest.split_at_checked(4 * u32::from_le_bytes(*count) as usize)?;
        let (vector, rest) = rest.split_at_checked(4 * len)?;
        let vector: Vec<f32> = vector.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
        let missing = missing.as_chunks().0.iter().map(|place| u32::from_le_bytes(*place) as usize).collect();
        gradients.push(Gradient { vector: Vector::from(vector), missing });
        bytes = rest;
    }
    Some(gradients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_travel_whole_and_only_what_none_has_is_missing() {
        let of = |x: f32, missing: Vec<usize>| Gradient { vector: vec![x, 1.0].into(), missing };
        let gradients = [of(-0.0, vec![0, 2]), of(3.0, vec![2])];
        let read = from_bytes(&to_bytes(&gradients), 2).unwrap();
        assert_eq!(format!("{read:?}"), format!("{gradients:?}"));
        assert!(from_bytes(&to_bytes(&gradients)[1..], 2).is_none());
        let mean = mean(&gradients);
        assert_eq!((mean.vector.as_slice(), mean.missing.as_slice()), (&[1.5, 1.0][..], &[2][..]));
    }
}
