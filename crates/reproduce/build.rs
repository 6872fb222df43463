//! Gives the program the commit that it is built from.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rustc-env=BACKBURN_COMMIT={}", commit().unwrap_or_else(|| "unknown".into()));
    println!("cargo:rerun-if-changed=build.rs");
    // Whether files differ from the commit is only known by looking again when they change.
    for folder in ["src", "../train/src", "../optim/src", "../compress/src"] {
        if Path::new(folder).exists() {
            println!("cargo:rerun-if-changed={folder}");
        }
    }
}

/// `None` outside of a checkout of this project: in a crate's archive, or vendored elsewhere.
fn commit() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let manifest = std::fs::read_to_string(Path::new(&top).join("Cargo.toml")).ok()?;
    if !manifest.contains("\"crates/backburn\"") {
        return None;
    }
    let head = git(&["rev-parse", "--short=12", "HEAD"])?;
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    let names = ["HEAD", "packed-refs"].map(String::from).into_iter().chain(branch);
    for path in names.filter_map(|name| git(&["rev-parse", "--git-path", &name])) {
        // A file that is missing would make every build a rebuild.
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { head } else { head + "-dirty" })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("--no-optional-locks").args(arguments).output().ok()?;
    let text = output.status.success().then(|| String::from_utf8(output.stdout).ok())??;
    Some(text.trim().to_owned())
}
