//! Messages by way of whoever serves their places: slices in, their mean out, so that what a process hears does not grow
//! with their number.

use std::sync::Arc;

use backburn_compress::{Message, Payload, decode_message, mean_of_place};
use rayon::prelude::*;

use crate::host::encoded::Encoded;
use crate::host::envelope::{open_mean, open_slices, seal_mean, seal_slices, seal_why, slice};
use crate::host::mail::{At, Heard, Letter};
use crate::host::{MailError, RoundError, Transport};

/// Who serves each place of a message: the longest first, each to whoever has least so far.
fn servers(lengths: &[usize], processes: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(lengths[*place]));
    let (mut loads, mut servers) = (vec![0usize; processes], vec![0; lengths.len()]);
    for place in order {
        let server = (0..processes).min_by_key(|process| loads[*process]).unwrap_or(0);
        // A place costs something however short it is.
        loads[server] += lengths[place] + 1;
        servers[place] = server;
    }
    servers
}

/// What a process serves in a round.
struct Share {
    /// A letter a worker, those of other processes without their messages.
    letters: Vec<Option<Letter>>,
    /// Which places, and the mean there.
    places: Vec<u32>,
    mean: Message,
}

impl<T: Transport> Encoded<T> {
    /// Sends everybody the places that it serves, averages those that this process serves in the order of the workers,
    /// and hears the other averages.
    pub(super) fn collect_shards(&mut self, at: At) -> Result<Heard, RoundError> {
        let posted = std::mem::replace(&mut self.posted, vec![None; self.seats]);
        let processes = self.met.processes.clone();
        let own = &processes[self.rank];
        let first = posted.iter().flatten().next().map(|letter| letter.message.clone());
        let lengths = first.iter().flat_map(|message| &message.payloads).map(|payload| payload.len());
        let serving = servers(&lengths.collect::<Vec<_>>(), processes.len());
        let of = |process: usize| -> Vec<u32> {
            (0..serving.len()).filter(|place| serving[*place] == process).map(|place| place as u32).collect()
        };
        let to = |process: usize| match process == self.rank {
            true => Vec::new(),
            false => seal_slices(self.rank, at, own, &posted, &of(process)),
        };
        let slices: Vec<Vec<u8>> = (0..processes.len()).map(to).collect();
        let heard = self.transport.all_to_all(&slices)?;
        self.bytes.up += slices.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
        self.bytes.down += heard.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
        let share = self.average(at, &posted, first.as_ref().map(|_| of(self.rank)), &heard);
        // The others wait for this process's part, whatever came of it.
        let sealed = match &share {
            Ok(share) => seal_mean(self.rank, at, own, &share.places, &share.mean),
            Err(error) => seal_why(self.rank, at, own, &error.to_string()),
        };
        let everybody: Vec<usize> = (0..processes.len()).collect();
        let means = self.exchange(&sealed, &everybody)?;
        let Share { letters, places, mean } = share?;
        self.complete(&means, processes.len())?;
        let nobody = letters.iter().all(Option::is_none);
        let mut whole: Vec<Option<Arc<Payload>>> = vec![None; serving.len()];
        for (rank, bytes) in means.iter().enumerate() {
            let wrong = |source| RoundError::Mail { rank, source };
            let (places, part) = if rank == self.rank {
                (places.clone(), mean.clone())
            } else {
                let opened = open_mean(bytes, rank, at, &processes[rank]).map_err(wrong)?;
                let (places, bytes) = opened.map_err(|why| RoundError::Elsewhere { rank, why })?;
                let part = self.read_mean(&places, bytes, first.as_ref()).map_err(wrong)?;
                (places, part)
            };
            for (place, payload) in places.into_iter().zip(part.payloads) {
                let place = place as usize;
                // Who has said nothing does not know how long a message is.
                if first.is_none() && place >= whole.len() && place < MOST_PLACES {
                    whole.resize(place + 1, None);
                }
                match whole.get_mut(place) {
                    Some(there @ None) => *there = Some(payload),
                    _ => return Err(wrong(MailError::Envelope("it serves what is not its own"))),
                }
            }
        }
        let whole: Option<Message> = whole.into_iter().collect::<Option<Vec<_>>>().map(Message::from);
        match whole {
            Some(mean) => Ok(Heard { letters, mean: (!nobody).then_some(mean) }),
            None => Err(RoundError::Mail { rank: self.rank, source: MailError::Envelope("nobody serves some place") }),
        }
    }

    /// The mean of everybody's slices, of places that are known where a worker of this process has spoken.
    fn average(
        &self,
        at: At,
        posted: &[Option<Letter>],
        known: Option<Vec<u32>>,
        heard: &[Vec<u8>],
    ) -> Result<Share, RoundError> {
        let processes = &self.met.processes;
        self.complete(heard, processes.len())?;
        let n = processes.last().map_or(0, |process| process.end);
        let mut letters: Vec<Option<Letter>> = vec![None; n];
        let mut slices: Vec<Option<Message>> = vec![None; n];
        let mut places = known;
        let mut like = None;
        if let Some(places) = &places {
            for (worker, letter) in processes[self.rank].clone().zip(posted) {
                slices[worker] = letter.as_ref().map(|letter| slice(&letter.message, places));
                letters[worker] = letter.clone();
                like = like.or_else(|| slices[worker].clone());
            }
        }
        for (rank, bytes) in heard.iter().enumerate().filter(|(rank, _)| *rank != self.rank) {
            let wrong = |source| RoundError::Mail { rank, source };
            let own = &processes[rank];
            let opened = open_slices(bytes, rank, at, own, self.met.paths.len()).map_err(wrong)?;
            for (worker, sealed) in own.clone().zip(opened.letters) {
                let Some(sealed) = sealed else { continue };
                if *places.get_or_insert_with(|| opened.places.clone()) != opened.places {
                    return Err(wrong(MailError::Envelope("it speaks of other places than the rest")));
                }
                let Letter { message, bytes, silent, bound } = self.read_one(sealed, &mut like).map_err(wrong)?;
                if message.payloads.len() != opened.places.len() {
                    return Err(wrong(MailError::Envelope("it does not speak of all its places")));
                }
                slices[worker] = Some(message);
                letters[worker] = Some(Letter { message: Message::new(), bytes, silent, bound });
            }
        }
        let places = places.unwrap_or_default();
        let inbox: Vec<Option<&Message>> = slices.iter().map(Option::as_ref).collect();
        let mean = (0..places.len()).into_par_iter().map(|place| mean_of_place(&inbox, place, 0)).collect::<Vec<_>>();
        Ok(Share { letters, places, mean: mean.into() })
    }

    /// The mean that another process serves at these places.
    fn read_mean(&self, places: &[u32], bytes: &[u8], own: Option<&Message>) -> Result<Message, MailError> {
        let limit = own.map_or(64 * self.met.len as u64 + 4096, Message::len);
        let mean = decode_message(bytes, limit)?;
        if mean.payloads.len() != places.len() {
            return Err(MailError::Envelope("it does not speak of all its places"));
        }
        let Some(own) = own else { return Ok(mean) };
        if places.iter().any(|place| *place as usize >= own.payloads.len()) {
            return Err(MailError::Envelope("it serves a place that there is not"));
        }
        let like = slice(own, places);
        if mean.payloads.iter().zip(&like.payloads).any(|(a, b)| a.len() != b.len()) {
            return Err(MailError::Envelope("its mean is of another length"));
        }
        self.check(&mean, &like, |i| self.met.path(places[i] as usize))?;
        Ok(mean)
    }
}

/// Payloads of a message at most.
const MOST_PLACES: usize = 1 << 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_dealt_evenly_and_all_of_them() {
        assert_eq!(servers(&[10, 1, 1, 5, 4, 3], 2), [0, 1, 1, 1, 1, 0]);
        assert_eq!(servers(&[7], 3), [0]);
        assert!(servers(&[], 3).is_empty());
    }
}
