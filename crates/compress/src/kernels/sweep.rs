//! One pass over memory, in tasks of about 2¹⁶ coordinates and blocks that stay in the first-level cache. Tasks do not
//! depend on the number of threads.

use rayon::prelude::*;

use super::tasks;

/// Coordinates of a block, which stays in the first-level cache.
pub(crate) const BLOCK: usize = 4096;
/// Coordinates of a task, about: enough to be worth a thread's while.
const TASK: usize = 1 << 16;

/// Coordinates of a task of blocks of `block`.
pub(crate) fn task(block: usize) -> usize {
    block * (TASK / block).max(1)
}

/// A vector that can be looked at in one pass, in which it may move on.
pub(crate) trait Sweep {
    /// Its number of coordinates.
    fn len(&self) -> usize;

    /// Looks at all coordinates, in blocks of `block`, and gives them back, at rest.
    ///
    /// There is an output for every [`task`] coordinates; `visit` gets it with each of the task's
    /// blocks in order, and the block's first coordinate.
    fn sweep<O: Send>(
        &mut self,
        block: usize,
        outputs: &mut [O],
        visit: impl Fn(&mut O, usize, &[f32]) + Sync,
    ) -> &[f32];

    /// Looks at nothing.
    fn pass(&mut self) -> &[f32] {
        let mut outputs = vec![(); self.len().div_ceil(task(BLOCK))];
        self.sweep(BLOCK, &mut outputs, |_, _, _| ())
    }
}

impl Sweep for &[f32] {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn sweep<O: Send>(
        &mut self,
        block: usize,
        outputs: &mut [O],
        visit: impl Fn(&mut O, usize, &[f32]) + Sync,
    ) -> &[f32] {
        let each = |(t, (x, output)): (usize, (&[f32], &mut O))| {
            let blocks = x.chunks(block).enumerate();
            blocks.for_each(|(b, x)| visit(output, t * task(block) + b * block, x));
        };
        tasks::each_of(self.len(), self.par_chunks(task(block)).zip(outputs).enumerate(), each);
        self
    }

    fn pass(&mut self) -> &[f32] {
        self
    }
}

/// The same where every block first moves on: `begin` makes what a task needs of its first coordinate and its length,
/// and `advance` moves the block from this coordinate on.
pub(crate) fn moving<S, O: Send>(
    x: &mut [f32],
    block: usize,
    outputs: &mut [O],
    begin: impl Fn(usize, usize) -> S + Sync,
    advance: impl Fn(&mut S, usize, &mut [f32]) + Sync,
    visit: impl Fn(&mut O, usize, &[f32]) + Sync,
) {
    let each = |(t, (x, output)): (usize, (&mut [f32], &mut O))| {
        let mut state = begin(t * task(block), x.len());
        for (b, x) in x.chunks_mut(block).enumerate() {
            let start = t * task(block) + b * block;
            advance(&mut state, start, x);
            visit(output, start, x);
        }
    };
    tasks::each_of(x.len(), x.par_chunks_mut(task(block)).zip(outputs).enumerate(), each);
}

/// Changes a vector in tasks, each by itself; `with` gets its first coordinate.
pub(crate) fn each<T: Send>(y: &mut [T], with: impl Fn(usize, &mut [T]) + Sync) {
    let size = task(BLOCK);
    tasks::each_of(y.len(), y.par_chunks_mut(size).enumerate(), |(t, y)| with(t * size, y));
}
