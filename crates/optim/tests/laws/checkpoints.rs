//! A run that was saved and loaded goes on with the same bits.

use backburn_optim::Snapshot;

use crate::world::*;

fn saved(run: &mut Run) -> Vec<u8> {
    let mut snapshot = Snapshot::default();
    run.cluster.save_into(&mut snapshot);
    snapshot.to_bytes()
}

#[test]
fn every_method_resumes_bit_for_bit() {
    let mut runs = 0;
    for (seed, method) in methods().into_iter().enumerate() {
        for compressor in compressors() {
            let world = World::new(seed as u64, 3, true);
            let Ok(mut whole) = world.start(&method, &compressor) else { continue };
            let what = format!("{method}/{compressor}, seed {seed}");
            let attempts = schedule(seed as u64, 3, method.starts_with("beer"), 12);
            whole.follow(&attempts);
            // Saved after every attempt in turn, failed ones included.
            let cut = 1 + (runs % 11);
            let mut first = world.start(&method, &compressor).unwrap();
            first.follow(&attempts[..cut]);
            let snapshot = Snapshot::from_bytes(&saved(&mut first), "the test").unwrap();
            let mut second = world.start(&method, &compressor).unwrap();
            second.cluster.load_from(&snapshot).unwrap_or_else(|e| panic!("{what}: {e}"));
            second.x.clone_from(&first.x);
            second.attempts = first.attempts;
            second.follow(&attempts[cut..]);
            assert!(whole.x.iter().zip(&second.x).all(|(a, b)| a.to_bits() == b.to_bits()), "{what}: x, cut {cut}");
            // Bytes hold maps in no certain order.
            let read = |run: &mut Run| Snapshot::from_bytes(&saved(run), "the test").unwrap();
            assert_eq!(read(&mut whole), read(&mut second), "{what}: states, cut {cut}");
            // Saving changes no bits of the run that goes on either.
            first.follow(&attempts[cut..]);
            assert_eq!(read(&mut first), read(&mut second), "{what}: the run that saved");
            runs += 1;
        }
    }
    assert!(runs > 500, "{runs} runs");
}
