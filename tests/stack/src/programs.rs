//! Programs of this machine.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

/// The folders of the path.
pub(crate) fn path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}

/// A program in the path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let found = path().into_iter().map(|folder| folder.join(program));
    found.into_iter().find(|program| program.is_file())
}

/// Says that something is not installed, and what mends it.
pub(crate) fn missing(name: &str, packages: &str) -> anyhow::Error {
    let root = rustix::process::geteuid().is_root();
    let sudo = if root { "" } else { "sudo " };
    anyhow::anyhow!(
        "{name} is not installed: run `{sudo}apt-get update && {sudo}env RUNLEVEL=1 apt-get \
         install -y --no-install-recommends {packages}`"
    )
}

/// Runs a program to its end, and returns what it prints.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} can't be run"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
