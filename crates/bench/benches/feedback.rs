//! One step of error feedback, and the mean of eight messages, a million coordinates each.

use backburn_bench::compress::{COMPRESSORS, WORKERS};
use backburn_compress::{
    AnyCompressor, Compressor, Key, Layout, Memo, Message, Philox, Source, Unit, Update, Vector, compress, mean,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const D: usize = 1 << 20;

fn gradient(seed: u64) -> Vector {
    let mut random = Philox::new(seed);
    (0..D).map(|_| random.normal()).collect()
}

fn step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("feedback");
    group.throughput(Throughput::Elements(D as u64)).sample_size(20);
    let gradients = [gradient(1), gradient(2), gradient(3)];
    for text in COMPRESSORS {
        let c: AnyCompressor = text.parse().expect("the list holds textual forms");
        let unit = Unit::tensor("weight", &[1 << 10, 1 << 10]);
        let (mut p, mut memo, mut last, mut n) = (vec![0.0; D], Memo::default(), None, 0u64);
        group.bench_function(*text, |bencher| {
            bencher.iter(|| {
                n += 1;
                let key = Key { step: n, worker: Some(0), ..Key::new(1) };
                let update = Update {
                    last: last.as_ref(),
                    decay: 1.0,
                    gain: 1.0,
                    gradient: gradients[n as usize % 3].as_slice(),
                };
                last = Some(c.compress(Source::moving(&mut p, update), &unit, &key, &mut memo));
            });
        });
    }
    group.finish();
}

fn average(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mean");
    group.throughput(Throughput::Elements(D as u64)).sample_size(10);
    let layout = Layout::flat(D).expect("a layout");
    for text in COMPRESSORS {
        let c: AnyCompressor = text.parse().expect("the list holds textual forms");
        let message = |w: usize| {
            let key = Key { worker: Some(w as u32), ..Key::new(1) };
            compress(&c, &gradient(w as u64), 1.0, &layout, &key, &mut [Memo::default()])
        };
        let messages: Vec<Message> = (0..WORKERS).map(message).collect();
        let inbox: Vec<Option<&Message>> = messages.iter().map(Some).collect();
        group.bench_function(*text, |bencher| bencher.iter(|| mean(&inbox, &layout)));
    }
    group.finish();
}

criterion_group!(benches, step, average);
criterion_main!(benches);
