//! Java's virtual machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::programs;

/// One that is installed.
#[derive(Clone, Debug)]
pub(crate) struct Java {
    home: PathBuf,
}

impl Java {
    /// The oldest that is of this version or newer.
    ///
    /// # Errors
    /// Where there is none, with the command that mends it.
    pub(crate) fn find(version: u32) -> anyhow::Result<Self> {
        let named = std::env::var_os("JAVA_HOME").map(PathBuf::from);
        let in_path = programs::find("java").and_then(|java| {
            let java = java.canonicalize().ok()?;
            Some(java.parent()?.parent()?.to_owned())
        });
        let installed = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
        let homes = named.into_iter().chain(in_path);
        let homes = homes.chain(installed.map(|entry| entry.path()));
        let found = homes.filter_map(|home| Some((major(&home)?, home)));
        let fit = found.filter(|(major, _)| *major >= version).min();
        fit.map(|(_, home)| Self { home }).ok_or_else(|| {
            let package = format!("openjdk-{version}-jre-headless");
            programs::missing(&format!("Java {version} or newer"), &package)
        })
    }

    /// What it is, as one line.
    pub(crate) fn describe(&self) -> String {
        let release = fs::read_to_string(self.home.join("release"));
        let release = release.unwrap_or_default().replace('\n', " ");
        format!("{} {release}", self.home.display())
    }

    /// Runs in that folder, and leaves no file anywhere else, however it ends.
    pub(crate) fn command(&self, folder: &Path) -> anyhow::Result<Command> {
        let temporary = folder.join("tmp");
        fs::create_dir_all(&temporary)
            .with_context(|| format!("{} can't be made", temporary.display()))?;
        let mut command = Command::new(self.home.join("bin/java"));
        command.current_dir(folder);
        command.arg("-XX:-UsePerfData");
        command.arg(format!("-Djava.io.tmpdir={}", temporary.display()));
        Ok(command)
    }
}

/// The version that is in that folder, if one is.
fn major(home: &Path) -> Option<u32> {
    if !home.join("bin/java").is_file() {
        return None;
    }
    let release = fs::read_to_string(home.join("release")).ok()?;
    let version = release
        .lines()
        .find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    let version = version.trim_matches('"').split(['.', '-', '+']).next()?;
    version.parse().ok()
}
