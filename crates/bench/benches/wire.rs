//! Messages as bytes, and back.

use backburn_bench::compress::COMPRESSORS;
use backburn_compress::{AnyCompressor, Key, Layout, Memo, Philox, Vector, compress, decode_message, encode_message};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const D: usize = 1 << 20;

fn wire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire");
    group.throughput(Throughput::Elements(D as u64)).sample_size(10);
    let layout = Layout::flat(D).expect("a layout");
    let mut random = Philox::new(1);
    let x: Vector = (0..D).map(|_| random.normal()).collect();
    for text in COMPRESSORS {
        let c: AnyCompressor = text.parse().expect("the list holds textual forms");
        let message = compress(&c, &x, 1.0, &layout, &Key::new(1), &mut [Memo::default()]);
        let bytes = encode_message(&message);
        group.bench_function(format!("encode/{text}"), |bencher| bencher.iter(|| encode_message(&message)));
        group.bench_function(format!("decode/{text}"), |bencher| {
            bencher.iter(|| decode_message(&bytes, D as u64).expect("own bytes"));
        });
    }
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
