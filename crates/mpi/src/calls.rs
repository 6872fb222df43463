//! The few functions of MPI that are used, made safe: a request owns its buffer, and one that is given up leaves the
//! buffer to MPI.

use std::ffi::{c_char, c_int};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use mpi::ffi;

use crate::error::MpiError;

/// A communicator of our own, so that no message of the program's is mistaken for one of ours.
pub(crate) struct Comm(ffi::MPI_Comm);

// SAFETY: MPI was asked for `MPI_THREAD_SERIALIZED`, and every call is made under one lock.
unsafe impl Send for Comm {}

fn check(call: &'static str, code: c_int) -> Result<(), MpiError> {
    if code == 0 {
        return Ok(());
    }
    let mut text = [0 as c_char; 1024];
    let mut len: c_int = 0;
    // SAFETY: the buffer is longer than MPI_MAX_ERROR_STRING of any implementation (256, 512).
    let known = unsafe { ffi::MPI_Error_string(code, text.as_mut_ptr(), &mut len) } == 0;
    let bytes: Vec<u8> = text.iter().take(len.max(0) as usize).map(|c| *c as u8).collect();
    let why = if known { String::from_utf8_lossy(&bytes).into_owned() } else { format!("error {code}") };
    Err(MpiError::Call { call, why })
}

impl Comm {
    /// All ranks, by a communicator of its own that returns errors. Collective.
    pub fn world() -> Result<Self, MpiError> {
        let mut comm = unsafe { ffi::RSMPI_COMM_NULL };
        // SAFETY: MPI is initialised; a predefined communicator and handler.
        unsafe {
            check(
                "MPI_Comm_set_errhandler",
                ffi::MPI_Comm_set_errhandler(ffi::RSMPI_COMM_WORLD, ffi::RSMPI_ERRORS_RETURN),
            )?;
            check("MPI_Comm_dup", ffi::MPI_Comm_dup(ffi::RSMPI_COMM_WORLD, &mut comm))?;
            check("MPI_Comm_set_errhandler", ffi::MPI_Comm_set_errhandler(comm, ffi::RSMPI_ERRORS_RETURN))?;
        }
        Ok(Self(comm))
    }

    /// Rank and size.
    pub fn place(&self) -> Result<(usize, usize), MpiError> {
        let (mut rank, mut size): (c_int, c_int) = (0, 0);
        // SAFETY: a valid communicator.
        unsafe {
            check("MPI_Comm_rank", ffi::MPI_Comm_rank(self.0, &mut rank))?;
            check("MPI_Comm_size", ffi::MPI_Comm_size(self.0, &mut size))?;
        }
        Ok((rank as usize, size as usize))
    }

    /// How many ranks share this rank's memory, where all find the same number and these are ranks in a row. Collective.
    pub fn machine(&self, rank: usize) -> Result<Option<NonZeroUsize>, MpiError> {
        let mut here = unsafe { ffi::RSMPI_COMM_NULL };
        let (mut place, mut size): (c_int, c_int) = (0, 0);
        // SAFETY: a valid communicator; the one that comes of it is freed.
        unsafe {
            let kind = ffi::RSMPI_COMM_TYPE_SHARED;
            let split = ffi::MPI_Comm_split_type(self.0, kind, rank as c_int, ffi::RSMPI_INFO_NULL, &mut here);
            check("MPI_Comm_split_type", split)?;
            check("MPI_Comm_rank", ffi::MPI_Comm_rank(here, &mut place))?;
            check("MPI_Comm_size", ffi::MPI_Comm_size(here, &mut size))?;
            check("MPI_Comm_free", ffi::MPI_Comm_free(&mut here))?;
        }
        // Where all are as many, and each has its place in a row that begins at a multiple, the rows are the machines.
        let in_row = rank.checked_rem(size as usize) == Some(place as usize);
        let own = [size, -size, c_int::from(in_row)];
        let mut least = own;
        // SAFETY: both buffers hold three numbers of this type.
        unsafe {
            let (from, to) = (own.as_ptr().cast(), least.as_mut_ptr().cast());
            let code = ffi::MPI_Allreduce(from, to, 3, ffi::RSMPI_INT32_T, ffi::RSMPI_MIN, self.0);
            check("MPI_Allreduce", code)?;
        }
        let even = least[0] == -least[1] && least[2] == 1;
        Ok(NonZeroUsize::new(size as usize).filter(|_| even))
    }

    /// Begins to send a part of `bytes`.
    pub fn send(&self, to: usize, tag: c_int, bytes: &Arc<[u8]>, part: Range<usize>) -> Result<Sending, MpiError> {
        let (start, len) = (bytes[part.clone()].as_ptr(), part.len() as c_int);
        // SAFETY: always overwritten by MPI; a null handle is valid meanwhile.
        let mut request = unsafe { std::mem::zeroed() };
        // SAFETY: the bytes live until the request has ended: `Sending` holds or leaks them.
        let code =
            unsafe { ffi::MPI_Isend(start.cast(), len, ffi::RSMPI_UINT8_T, to as c_int, tag, self.0, &mut request) };
        check("MPI_Isend", code)?;
        Ok(Sending { request: Some(Request(request)), bytes: bytes.clone() })
    }

    /// Whether a message from this rank waits to be received.
    pub fn is_waiting(&self, from: usize, tag: c_int) -> Result<bool, MpiError> {
        let mut there: c_int = 0;
        // SAFETY: a valid communicator; the places are ours.
        unsafe {
            let mut status: ffi::MPI_Status = std::mem::zeroed();
            check("MPI_Iprobe", ffi::MPI_Iprobe(from as c_int, tag, self.0, &mut there, &mut status))?;
        }
        Ok(there != 0)
    }

    /// Begins to add up all ranks' numbers. Collective: all begin it after the same messages.
    pub fn sum(&self, own: Vec<f32>) -> Result<Summing, MpiError> {
        let mut sum = vec![0f32; own.len()];
        // SAFETY: as in `send`.
        let mut request = unsafe { std::mem::zeroed() };
        // SAFETY: both buffers stay where they are, and live until the request has ended, see `Summing`.
        let code = unsafe {
            let (from, to, len) = (own.as_ptr().cast(), sum.as_mut_ptr().cast(), own.len() as c_int);
            ffi::MPI_Iallreduce(from, to, len, ffi::RSMPI_FLOAT, ffi::RSMPI_SUM, self.0, &mut request)
        };
        check("MPI_Iallreduce", code)?;
        Ok(Summing { under_way: Some((Request(request), own)), sum })
    }

    /// Posts a receive of at most so many bytes, from this rank or from any.
    pub fn receive(&self, from: Option<usize>, tag: c_int, most: usize) -> Result<Receiving, MpiError> {
        let mut buffer = vec![0u8; most];
        // SAFETY: as in `send`.
        let mut request = unsafe { std::mem::zeroed() };
        // SAFETY: the buffer's memory stays where it is, and lives until the request has ended, see `Receiving`.
        let code = unsafe {
            let from = from.map_or(ffi::RSMPI_ANY_SOURCE, |rank| rank as c_int);
            let (start, len) = (buffer.as_mut_ptr().cast(), most as c_int);
            ffi::MPI_Irecv(start, len, ffi::RSMPI_UINT8_T, from, tag, self.0, &mut request)
        };
        check("MPI_Irecv", code)?;
        Ok(Receiving { request: Some(Request(request)), buffer })
    }
}

/// A sum that is waited for.
pub(crate) struct Summing {
    under_way: Option<(Request, Vec<f32>)>,
    sum: Vec<f32>,
}

impl Summing {
    /// The sum, once, when it is there.
    pub fn take(&mut self) -> Result<Option<Vec<f32>>, MpiError> {
        let Some((request, _)) = &mut self.under_way else { return Ok(None) };
        let mut done: c_int = 0;
        // SAFETY: a request that is under way; nobody asks for its status.
        unsafe { check("MPI_Test", ffi::MPI_Test(&mut request.0, &mut done, ffi::RSMPI_STATUS_IGNORE))? };
        if done == 0 {
            return Ok(None);
        }
        self.under_way = None;
        Ok(Some(std::mem::take(&mut self.sum)))
    }
}

impl Drop for Summing {
    fn drop(&mut self) {
        if let Some((_, own)) = self.under_way.take() {
            // MPI has no way to give it up, and may still read and write.
            std::mem::forget((own, std::mem::take(&mut self.sum)));
        }
    }
}

/// A request under way.
struct Request(ffi::MPI_Request);

// SAFETY: as for `Comm`.
unsafe impl Send for Request {}

impl Request {
    /// The number of bytes received, once it has ended.
    fn test(&mut self) -> Result<Option<usize>, MpiError> {
        let mut done: c_int = 0;
        let mut count: c_int = 0;
        // SAFETY: a request that is under way; all places are ours.
        unsafe {
            let mut status: ffi::MPI_Status = std::mem::zeroed();
            check("MPI_Test", ffi::MPI_Test(&mut self.0, &mut done, &mut status))?;
            if done == 0 {
                return Ok(None);
            }
            check("MPI_Get_count", ffi::MPI_Get_count(&status, ffi::RSMPI_UINT8_T, &mut count))?;
        }
        Ok(Some(count.max(0) as usize))
    }
}

/// A message on its way out.
pub(crate) struct Sending {
    request: Option<Request>,
    bytes: Arc<[u8]>,
}

impl Sending {
    /// Whether it has gone.
    pub fn is_done(&mut self) -> Result<bool, MpiError> {
        let Some(request) = &mut self.request else { return Ok(true) };
        // The count of a send is none.
        let done = request.test()?.is_some();
        if done {
            self.request = None;
        }
        Ok(done)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(mut request) = self.request.take() {
            // MPI may still read it.
            std::mem::forget(self.bytes.clone());
            // SAFETY: a request that is under way; it completes or not, and nobody asks.
            unsafe { ffi::MPI_Request_free(&mut request.0) };
        }
    }
}

/// A message that is waited for.
pub(crate) struct Receiving {
    request: Option<Request>,
    buffer: Vec<u8>,
}

impl Receiving {
    /// Its bytes, once, when it is there.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, MpiError> {
        let Some(request) = &mut self.request else { return Ok(None) };
        let Some(count) = request.test()? else { return Ok(None) };
        self.request = None;
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.truncate(count);
        Ok(Some(bytes))
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(mut request) = self.request.take() {
            // SAFETY: a request that is under way, and is given up.
            unsafe {
                ffi::MPI_Cancel(&mut request.0);
                ffi::MPI_Request_free(&mut request.0);
            }
            // MPI may still write it.
            std::mem::forget(std::mem::take(&mut self.buffer));
        }
    }
}
