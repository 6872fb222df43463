//! Debian packages that hold data sets.

use std::fs::{self, File};
use std::io::Read;
use std::process::{Command, Stdio};

use super::npm::{find, run};
use super::progress::Progress;
use super::{Sink, SourceError, archive};

/// Has apt download the package, which needs no privileges, and takes the wanted files from it
/// without installing it.
pub(crate) fn fetch(package: &str, sink: &mut Sink, progress: &Progress) -> Result<(), SourceError> {
    let directory = sink.scratch()?;
    let waiting = progress.wait(&format!("apt-get download {package}"));
    run(Command::new("apt-get").args(["download", "-q", package]).current_dir(directory.path()), "apt-get")?;
    drop(waiting);
    let deb = find(directory.path(), "deb")?;
    // dpkg knows how a package is compressed; its tar stream is all that is needed.
    let mut child = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let taken = child.stdout.take().map_or(Ok(()), |stream| archive::take(stream, sink));
    // It may have been left with more to say than was wanted.
    let _ = child.kill();
    child.wait()?;
    taken
}

/// Has apt download packages, unpacks them without installing them, and takes what their program writes for the one file
/// that the set has. apt checks the packages' signatures, and the file's digest is checked as any other's.
pub(crate) fn write(
    packages: &[&str],
    within: &str,
    command: &[&str],
    sink: &mut Sink,
    progress: &Progress,
) -> Result<(), SourceError> {
    let Some(file) = sink.entry.files.first() else { return Ok(()) };
    let [program, arguments @ ..] = command else { return Err(SourceError::ByHand) };
    let scratch = sink.scratch()?;
    let (debs, tree) = (scratch.path().join("debs"), scratch.path().join("tree"));
    fs::create_dir(&debs)?;
    let waiting = progress.wait(&format!("apt-get download {}", packages.join(" ")));
    run(Command::new("apt-get").args(["download", "-q"]).args(packages).current_dir(&debs), "apt-get")?;
    drop(waiting);
    for deb in fs::read_dir(&debs)? {
        run(Command::new("dpkg-deb").arg("-x").arg(deb?.path()).arg(&tree), "dpkg-deb")?;
    }
    // Into a file, of which no more is read than there should be.
    let written = scratch.path().join("written");
    let within = tree.join(within);
    let status = Command::new(within.join(program))
        .args(arguments)
        .current_dir(&within)
        .stdin(Stdio::null())
        .stdout(File::create(&written)?)
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(SourceError::Failed { program: "the package's program", message: status.to_string() });
    }
    let mut bytes = Vec::new();
    File::open(&written)?.take(file.read_limit()).read_to_end(&mut bytes)?;
    Ok(sink.put(file, bytes)?)
}
