//! What a step asks of the system's memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use backburn_compress::{AnyCompressor, Feedback};
use backburn_optim::{EfSgd, EfSgdConfig, GroupConfig, device};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Distribution, Tensor};

/// The system's memory, and the bytes of the large pieces of it that were asked for.
struct Counting;

static LARGE: AtomicUsize = AtomicUsize::new(0);
/// What is smaller is no vector of the model's.
const LEAST: usize = 1 << 16;

fn count(size: usize) {
    if size >= LEAST {
        LARGE.fetch_add(size, Relaxed);
    }
}

// SAFETY: all is the system's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller has promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller has promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as the caller has promised.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller has promised.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    second: Linear,
}

fn gradients(net: &Net, x: &Tensor<2>) -> GradientsParams {
    let y = net.second.forward(net.first.forward(x.clone()).tanh());
    GradientsParams::from_grads((y.clone() * y).mean().backward(), net)
}

/// A step of the optimizer, and a round of a group with the step that it makes, take no large piece of memory once their
/// first ones have: gradients and weights are taken as they stand, and what comes and goes is kept. It is one test, since
/// the count is the process's.
#[test]
fn a_step_takes_no_memory_after_the_first_ones() {
    let device = device("flex").unwrap().autodiff();
    let new = || Net {
        first: LinearConfig::new(640, 1024).init(&device),
        second: LinearConfig::new(1024, 300).init(&device),
    };
    let x = Tensor::<2>::random([4, 640], Distribution::Default, &device);
    let forms = ["identity", "sign:scaled", "topk:0.01", "randk:0.01", "qsgd:s=15,bucket=512,scaled", "natural:scaled"];
    let mut seen = Vec::new();
    for form in forms {
        let compressor: AnyCompressor = form.parse().unwrap();
        let feedback = Feedback::try_from(compressor.clone()).unwrap();
        let mut optimizer = EfSgdConfig::new(feedback.clone()).with_momentum(0.9).init().unwrap();
        let mut net = new();
        let mut alone = 0;
        for step in 0..9 {
            let grads = gradients(&net, &x);
            let before = LARGE.load(Relaxed);
            net = optimizer.step(0.01, net, grads);
            alone = if step < 5 { 0 } else { alone + LARGE.load(Relaxed) - before };
        }
        let mut net = new();
        let method = EfSgd::new().with_momentum(0.9).unwrap();
        let mut group = GroupConfig::new(method, feedback).with_workers(3).init(&net).unwrap();
        let mut together = 0;
        for step in 0..9 {
            let grads = (0..3).map(|_| gradients(&net, &x)).collect();
            let before = LARGE.load(Relaxed);
            let round = group.round(0.01, &net, grads).unwrap();
            net = round.apply(net);
            together = if step < 5 { 0 } else { together + LARGE.load(Relaxed) - before };
        }
        seen.push((form, alone, together));
    }
    assert!(seen.iter().all(|(_, alone, together)| alone + together == 0), "{seen:?}");
}
