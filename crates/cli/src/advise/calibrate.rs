//! The network between the ranks of an MPI run, measured.

use backburn::network::Links;

use crate::error::Failure;

/// Measures for about so many seconds, and has every rank find what it finds for as many workers on such links: the first
/// is to say it.
#[cfg(feature = "mpi")]
pub fn among_ranks(seconds: f64, find: impl FnOnce(usize, Links, bool) -> Result<(), Failure>) -> Result<(), Failure> {
    use backburn::host::Transport;
    use backburn::mpi::{Mpi, is_launched};
    if !is_launched() {
        return Err(Failure::Error("--calibrate measures ranks: `mpirun -n 4 backburn advise --calibrate …`".into()));
    }
    // Who measures is waited for.
    let mut mpi = Mpi::world_within(std::time::Duration::from_secs_f64(120.0 + 8.0 * seconds))?;
    let (rank, size) = (mpi.rank(), mpi.size());
    if size < 2 {
        return Err(Failure::Error("--calibrate needs two ranks at least: `mpirun -n 4 …`".into()));
    }
    let error = |error: backburn::host::TransportError| Failure::Error(error.to_string());
    let link = measure(&mut mpi, seconds).map_err(error)?;
    let outcome = find(size, Links::from(link), rank == 0);
    // Whoever is done first waits, and does not compute beside the others.
    mpi.all(outcome.is_ok()).map_err(error)?;
    outcome
}

#[cfg(not(feature = "mpi"))]
pub fn among_ranks(_: f64, _: impl FnOnce(usize, Links, bool) -> Result<(), Failure>) -> Result<(), Failure> {
    Err(Failure::Error("this build knows no MPI; build it with `--features mpi`".into()))
}

/// Messages of growing length to everybody: the shortest give the latency, the others the rate. The slowest rank counts,
/// and all find the same.
#[cfg(feature = "mpi")]
fn measure(
    mpi: &mut backburn::mpi::Mpi,
    seconds: f64,
) -> Result<backburn::network::Link, backburn::host::TransportError> {
    use std::time::Instant;

    use backburn::host::{Transport, TransportError};
    use backburn::network::Link;
    /// A message that is not worth counting, and the longest that is tried.
    const SHORT: usize = 64;
    const LONGEST: usize = 1 << 28;

    let all: Vec<usize> = (0..mpi.size()).collect();
    let others = (mpi.size() - 1) as f64;
    let mut once = |len: usize| -> Result<f64, TransportError> {
        let message = vec![0u8; len];
        mpi.all(true)?;
        let started = Instant::now();
        mpi.exchange(&message, &all)?;
        let own = started.elapsed().as_secs_f64();
        let heard = mpi.exchange(&own.to_le_bytes(), &all)?;
        let took = |bytes: &Vec<u8>| bytes.as_slice().try_into().map_or(own, f64::from_le_bytes);
        Ok(heard.iter().map(took).fold(0.0, f64::max))
    };
    let mut median = |len: usize, times: usize| -> Result<f64, TransportError> {
        let mut all = (0..times).map(|_| once(len)).collect::<Result<Vec<_>, _>>()?;
        all.sort_by(f64::total_cmp);
        Ok(all[all.len() / 2])
    };
    median(SHORT, 5)?;
    let latency = median(SHORT, 41)?;
    let (mut len, mut spent, mut seen) = (1 << 16, 0.0, Vec::new());
    loop {
        let took = median(len, 3)?;
        spent += 3.0 * took;
        seen.push((len as f64, took));
        // The next takes twice as long.
        if spent + 6.0 * took > seconds || len >= LONGEST {
            break;
        }
        len *= 2;
    }
    // Seconds a byte that leave the least relative error, of those that are longer than a latency.
    let (mut above, mut below) = (0.0, 0.0);
    for (len, took) in seen.iter().filter(|(_, took)| *took > 2.0 * latency).chain(seen.last()) {
        above += len * (took - latency).max(0.1 * took) / (took * took);
        below += len * len / (took * took);
    }
    let link = Link::new(8.0 * others * below / above).and_then(|link| link.with_latency(latency));
    link.map_err(TransportError::new)
}
