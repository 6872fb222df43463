//! The map of stability has its known corners.

use backburn_reproduce::stability::{Grid, map};

#[test]
fn the_map_is_stable_without_compression_and_not_at_its_far_corner() {
    let grid = Grid { steps: 1500, ..Grid::default() };
    let map = map(&grid).unwrap();
    println!("{map}");
    for row in &map.cells {
        // Ratio 1 sends everything.
        assert_eq!(row[0], Some(1.0));
    }
    assert!(map.cells[0].iter().flatten().count() >= 3, "α = 1 is plain error feedback:\n{map}");
    let last = map.cells.last().and_then(|row| row.last().copied()).flatten();
    assert!(last.is_none_or(|size| size > 2.0), "small α with strong compression is harmless?\n{map}");
}

#[test]
fn a_bad_grid_is_an_error() {
    let of = |grid: Grid| map(&grid).unwrap_err().to_string();
    assert!(of(Grid { alphas: vec![0.0], ..Grid::default() }).contains("alpha = 0"));
    assert!(of(Grid { ratios: vec![2.0], ..Grid::default() }).contains("ratio 2"));
    assert!(of(Grid { compressor: "top".into(), ..Grid::default() }).contains("unknown compressor"));
    assert!(of(Grid { dimension: 0, ..Grid::default() }).contains("no trainable parameters"));
}
