//! What runs are called beside each other: by what they differ in.

use std::collections::BTreeSet;

use super::record::Record;
use crate::record::CurveName;

/// What makes no other curve: the seed makes a band, and the rest decides no number.
const SAME_CURVE: [&str; 5] = ["seed", "data_dir", "device", "checkpoint_every", "evaluate_every"];

/// What names a run in every case.
const ALWAYS: [&str; 2] = ["algorithm", "compressor"];

/// The keys in which the runs differ, those of every name first.
pub(super) fn differing(records: &[Record]) -> Vec<&str> {
    let keys: BTreeSet<&str> = records.iter().flat_map(|r| r.settings.keys()).map(String::as_str).collect();
    let differ = |key: &&str| records.iter().any(|r| r.settings.get(*key) != records[0].settings.get(*key));
    let others = keys.into_iter().filter(|key| !SAME_CURVE.contains(key) && !ALWAYS.contains(key));
    ALWAYS.into_iter().chain(others).filter(differ).collect()
}

/// A name for each run. Runs that differ in their seed alone share one; runs of the same seed and configuration are
/// told apart by their folders.
pub(super) fn names(records: &[Record]) -> Vec<CurveName> {
    let differing = differing(records);
    let keys: Vec<&str> = if differing.is_empty() { ALWAYS.to_vec() } else { differing };
    let name = |record: &Record| {
        let part = |key: &&str| {
            let value = record.settings.get(*key)?;
            let last = key.rsplit('.').next().unwrap_or(key);
            Some(if ALWAYS.contains(key) { value.clone() } else { format!("{last}={value}") })
        };
        keys.iter().filter_map(part).collect::<Vec<_>>().join(", ")
    };
    let mut names: Vec<String> = records.iter().map(name).collect();
    let twins: Vec<usize> = (0..records.len())
        .filter(|i| (0..records.len()).any(|j| *i != j && names[*i] == names[j] && records[*i].seed == records[j].seed))
        .collect();
    for i in twins {
        names[i] = format!("{} ({})", names[i], records[i].folder.display());
    }
    names.into_iter().map(CurveName::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(folder: &str, seed: u64, settings: &[(&str, &str)]) -> Record {
        let settings = settings.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        Record { folder: folder.into(), seed, settings: settings.collect(), lines: Vec::new(), summary: None }
    }

    #[test]
    fn runs_are_named_by_what_they_differ_in() {
        let topk = [("algorithm", "ef-sgd"), ("compressor", "topk:0.01"), ("schedule.lr", "0.1")];
        let slow = [("algorithm", "ef-sgd"), ("compressor", "topk:0.01"), ("schedule.lr", "0.05")];
        let sign = [("algorithm", "ef-sgd"), ("compressor", "sign:scaled"), ("schedule.lr", "0.1")];
        let plain = [("algorithm", "sgd"), ("compressor", "identity"), ("schedule.lr", "0.1")];
        let table: [(Vec<Record>, &[&str]); 5] = [
            (vec![record("a", 1, &topk)], &["ef-sgd, topk:0.01"]),
            (vec![record("a", 1, &topk), record("b", 2, &topk)], &["ef-sgd, topk:0.01", "ef-sgd, topk:0.01"]),
            (vec![record("a", 1, &topk), record("b", 1, &topk)], &["ef-sgd, topk:0.01 (a)", "ef-sgd, topk:0.01 (b)"]),
            (vec![record("a", 1, &topk), record("b", 1, &slow)], &["lr=0.1", "lr=0.05"]),
            (
                vec![record("a", 1, &sign), record("b", 1, &topk), record("c", 1, &plain)],
                &["ef-sgd, sign:scaled", "ef-sgd, topk:0.01", "sgd, identity"],
            ),
        ];
        for (records, expected) in table {
            assert_eq!(names(&records).into_iter().map(CurveName::name).collect::<Vec<_>>(), expected);
        }
    }
}
