//! Step sizes from a grid.

use super::cache::{Cache, Kept};
use super::jobs::{execute, jobs};
use super::request::Request;
use crate::error::ReproduceError;
use crate::experiment::{Experiment, Setup, Tuned, Tuning};
use crate::record::{Curve, Row};

/// Tries the grid with the first seed for every curve that is tuned, and sets the best step sizes.
pub(super) fn tune(
    experiment: &'static dyn Experiment,
    setup: &Setup,
    request: &Request,
    tuning: &Tuning,
    curves: &mut [Curve],
    cache: &Cache,
) -> (Vec<Tuned>, Option<ReproduceError>) {
    let leaders: Vec<(Curve, f64)> = curves.iter().map(|curve| experiment.tuned_by(curve)).collect();
    let mut each: Vec<&Curve> = Vec::new();
    for (leader, _) in &leaders {
        if !each.contains(&leader) {
            each.push(leader);
        }
    }
    let tried = |curve: &Curve| tuning.grid.iter().map(|lr| Curve { lr: *lr, ..curve.clone() }).collect::<Vec<_>>();
    let candidates: Vec<Curve> = each.iter().flat_map(|curve| tried(curve)).collect();
    let jobs = jobs(experiment, setup, &candidates, 1);
    let label = format!("{} (tuning)", experiment.about().name);
    let (kept, failure) = execute(experiment, setup, request, &jobs, cache, label);
    let mut tuned = Vec::new();
    if failure.is_some() {
        return (tuned, failure);
    }
    for (curve, (leader, share)) in curves.iter_mut().zip(&leaders) {
        let place = each.iter().position(|curve| *curve == leader).unwrap_or_default();
        let Some(kept) = kept.chunks(tuning.grid.len()).nth(place) else { continue };
        let rows = |kept: &Option<Kept>| kept.as_ref().filter(|kept| kept.whole).map(|kept| kept.rows.clone());
        let scores: Vec<f64> = kept.iter().map(|kept| score(rows(kept).as_deref(), tuning)).collect();
        let best = (0..scores.len()).min_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        // Where all diverge, or the user stopped, the step size given stays.
        if let Some(best) = best.filter(|best| scores[*best].is_finite()) {
            curve.lr = share * tuning.grid[best];
        }
        let sign = if tuning.more_is_better { -1.0 } else { 1.0 };
        let shown = |score: f64| score.is_finite().then_some(sign * score);
        let tried = tuning.grid.iter().zip(&scores).map(|(lr, score)| (lr.to_string(), shown(*score))).collect();
        tuned.push(Tuned { group: curve.group, curve: curve.name, lr: curve.lr, tried });
    }
    (tuned, None)
}

/// Less is better; what diverged is infinite.
fn score(rows: Option<&[Row]>, tuning: &Tuning) -> f64 {
    let rows = rows.unwrap_or_default();
    let mut points: Vec<(f64, f64)> =
        rows.iter().filter(|r| r.metric == tuning.metric).map(|r| (r.x, r.value)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let score = tuning.by.of(&points).unwrap_or(f64::INFINITY);
    match (score.is_finite(), tuning.more_is_better) {
        (false, _) => f64::INFINITY,
        (true, true) => -score,
        (true, false) => score,
    }
}
