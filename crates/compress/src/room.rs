//! Memory of messages that are done with, for those to come.
//!
//! A step makes a message as long as the model, and lets go of one. Through the system that is a page fault for every
//! 4 KiB of it, which takes longer than to compress it; so large buffers change hands here instead.

use std::sync::{Mutex, PoisonError};

/// Buffers smaller than this are not worth it, in bytes.
const LEAST: usize = 1 << 16;
/// What is held at most, in bytes: more is given back to the system.
const MOST: usize = 1 << 29;

/// Buffers of one type.
#[derive(Debug)]
pub(crate) struct Shelf<T>(Mutex<Vec<Vec<T>>>);

impl<T: Copy + Default> Shelf<T> {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// `len` numbers, of any value.
    fn take(&self, len: usize) -> Vec<T> {
        if len * size_of::<T>() < LEAST {
            return vec![T::default(); len];
        }
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = (0..held.len()).filter(|i| (len..=2 * len).contains(&held[*i].len()));
        let Some(best) = fits.min_by_key(|i| held[*i].len()) else {
            drop(held);
            return vec![T::default(); len];
        };
        let mut buffer = held.swap_remove(best);
        drop(held);
        buffer.truncate(len);
        buffer
    }

    fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn put(&self, mut buffer: Vec<T>) {
        let size = |buffer: &Vec<T>| buffer.capacity() * size_of::<T>();
        if size(&buffer) < LEAST {
            return;
        }
        // All of it, whatever part was in use last.
        buffer.resize(buffer.capacity(), T::default());
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if size(&buffer) + held.iter().map(size).sum::<usize>() <= MOST {
            held.push(buffer);
        }
    }
}

/// What payloads are made of.
pub(crate) trait Room: Copy + Default + Sized + 'static {
    const SHELF: &'static Shelf<Self>;
}

macro_rules! shelves {
    ($($name:ident: $type:ty,)*) => {
        $(static $name: Shelf<$type> = Shelf::new();

        impl Room for $type {
            const SHELF: &'static Shelf<Self> = &$name;
        })*

        fn release() {
            $($name.clear();)*
        }
    };
}

/// Gives back to the system what is held for messages to come: where a model is done with, and another follows.
pub fn release_memory() {
    release();
}

shelves! {
    FLOATS: f32,
    LEVELS: i8,
    CODES: u16,
    PLACES: u32,
    WORDS: u64,
}

/// `len` numbers of any value, all of which are to be written.
pub(crate) fn take<T: Room>(len: usize) -> Vec<T> {
    T::SHELF.take(len)
}

/// Nothing yet, with room for about `len` numbers.
pub(crate) fn empty<T: Room>(len: usize) -> Vec<T> {
    if len * size_of::<T>() < LEAST {
        return Vec::with_capacity(len);
    }
    let mut buffer = take(len);
    buffer.clear();
    buffer
}

/// Memory for those to come.
pub(crate) fn put<T: Room>(buffer: Vec<T>) {
    T::SHELF.put(buffer);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was given is taken again, and never what is much too large.
    #[test]
    fn buffers_change_hands() {
        let shelf = Shelf::<u32>::new();
        shelf.put(vec![7; 100_000]);
        shelf.put(vec![7; 10]);
        assert_eq!(shelf.take(49_000), vec![0; 49_000]);
        let taken = shelf.take(90_000);
        assert_eq!((taken.len(), taken.capacity(), taken[5]), (90_000, 100_000, 7));
        assert_eq!(shelf.take(90_000)[5], 0);
        shelf.put(taken);
        assert_eq!(shelf.take(100_000).len(), 100_000);
        shelf.put(vec![1; MOST / 4]);
        shelf.put(vec![1; 100_000]);
        assert_eq!(shelf.0.lock().unwrap().len(), 1);
    }
}
