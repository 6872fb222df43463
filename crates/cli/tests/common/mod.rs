//! The command, run as a user would.

use std::process::{Command, Output};

/// The command with these arguments.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backburn"));
    // A software Vulkan driver complains on stderr where the first is not set; help is as wide as the second.
    command.args(args).env("XDG_RUNTIME_DIR", std::env::temp_dir()).env("COLUMNS", "100");
    command
}

pub fn backburn(args: &[&str]) -> Output {
    command(args).output().expect("the command starts")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a refused call says, and that it was refused.
pub fn refusal(args: &[&str]) -> String {
    let output = backburn(args);
    assert!(!output.status.success(), "{args:?} was accepted");
    let said = text(&output.stderr);
    assert!(!said.contains("panicked"), "{said}");
    said
}
