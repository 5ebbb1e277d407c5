//! What is made or fetched once on a machine, and kept.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A folder that is made once for what is named so and described so. Who asks meanwhile waits, also
/// in another process; what one who was killed has left is made anew.
pub(crate) fn kept(
    name: &str,
    description: &str,
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let cache = folder()?;
    let mut hash = DefaultHasher::new();
    description.hash(&mut hash);
    let folder = cache.join(format!("{name}-{:016x}", hash.finish()));
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(&cache).with_context(|| format!("{} can't be made", cache.display()))?;
    // One for all: two runs of Maven at once may damage its own cache.
    let alone = File::create(cache.join("lock"))?;
    alone.lock()?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let partial = cache.join("partial");
    if partial.is_dir() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir(&partial)?;
    make(&partial)?;
    fs::rename(&partial, &folder)?;
    Ok(folder)
}

/// What root fetches has to be read by those who run it, which root's home does not let them.
fn folder() -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/cache/stockade".into());
    }
    let set = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = set.or_else(|| Some(std::env::home_dir()?.join(".cache")));
    Ok(cache.context("this user has no home")?.join("stockade"))
}
