//! Work that is shared out, and little of it that is not: to hand it to another thread and wait takes longer.

use rayon::iter::IndexedParallelIterator;
use rayon::iter::plumbing::{Producer, ProducerCallback};
use rayon::prelude::*;

/// Coordinates from which on a pass over them is shared out: fewer are done before another thread has woken.
pub(crate) const MANY: usize = 1 << 18;

/// What comes of every task, in their order.
pub(crate) fn map<I: IndexedParallelIterator, R: Send>(tasks: I, with: impl Fn(I::Item) -> R + Sync + Send) -> Vec<R> {
    if tasks.len() > 1 { tasks.map(with).collect() } else { tasks.with_producer(Here(with)) }
}

/// Every task.
pub(crate) fn each<I: IndexedParallelIterator>(tasks: I, with: impl Fn(I::Item) + Sync + Send) {
    if tasks.len() > 1 { tasks.for_each(with) } else { tasks.with_producer(Here(with)).clear() }
}

/// As [`map`] in one pass over so many coordinates.
pub(crate) fn map_of<I: IndexedParallelIterator, R: Send>(
    coordinates: usize,
    tasks: I,
    with: impl Fn(I::Item) -> R + Sync + Send,
) -> Vec<R> {
    if coordinates >= MANY { map(tasks, with) } else { tasks.with_producer(Here(with)) }
}

/// As [`each`] in one pass over so many coordinates.
pub(crate) fn each_of<I: IndexedParallelIterator>(coordinates: usize, tasks: I, with: impl Fn(I::Item) + Sync + Send) {
    if coordinates >= MANY { each(tasks, with) } else { tasks.with_producer(Here(with)).clear() }
}

/// On this thread.
struct Here<F>(F);

impl<T, R, F: Fn(T) -> R> ProducerCallback<T> for Here<F> {
    type Output = Vec<R>;

    fn callback<P: Producer<Item = T>>(self, tasks: P) -> Vec<R> {
        tasks.into_iter().map(self.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Little work stays on the thread that asks, and nothing is lost of more.
    #[test]
    fn little_work_stays_here() {
        let here = std::thread::current().id();
        let on = map([7u8].par_iter(), |x| (*x, std::thread::current().id()));
        assert_eq!(on, [(7, here)]);
        assert_eq!(map((0..1000).into_par_iter(), |x| 2 * x), (0..1000).map(|x| 2 * x).collect::<Vec<_>>());
        let mut x = [1.0, 2.0];
        each(x.par_chunks_mut(2), |x| x[1] += x[0]);
        each(x.par_chunks_mut(1), |x| x[0] += 1.0);
        assert_eq!(x, [2.0, 4.0]);
        assert_eq!(map_of(MANY - 1, [7u8; 3].par_iter(), |_| std::thread::current().id()), [here; 3]);
        let mut x = [1; 9];
        each_of(MANY, x.par_iter_mut(), |x| *x += 1);
        each_of(9, x[..2].par_iter_mut(), |x| *x += 1);
        assert_eq!(x, [3, 3, 2, 2, 2, 2, 2, 2, 2]);
        assert!(map([0u8; 0].par_iter(), |x| *x).is_empty());
    }
}
