//! Debian packages that hold data sets.

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
