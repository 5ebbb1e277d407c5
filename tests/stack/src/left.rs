//! Servers that run on after the command: `up`, `down`, `status`, `env`.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::Context as _;
use stack::{Kind, Left};

/// Starts those that do not run yet.
pub(crate) fn up(kinds: &[Kind]) -> anyhow::Result<()> {
    let _alone = alone()?;
    for kind in kinds {
        if kind.given()?.is_some() || running(*kind)?.is_some() {
            continue;
        }
        let left = kind.start()?.leave();
        write(*kind, &left).inspect_err(|_| drop(left.end()))?;
    }
    tell()
}

/// Ends them all.
pub(crate) fn down() -> anyhow::Result<()> {
    let _alone = alone()?;
    for kind in Kind::ALL {
        if let Some(left) = running(*kind)? {
            clear(*kind, &left)?;
        }
    }
    Ok(())
}

pub(crate) fn status() -> anyhow::Result<()> {
    let _alone = alone()?;
    tell()
}

pub(crate) fn env() -> anyhow::Result<()> {
    let _alone = alone()?;
    for kind in Kind::ALL {
        if let Some(left) = running(*kind)? {
            println!("export {}='{}'", kind.variable(), left.url);
        }
    }
    Ok(())
}

fn tell() -> anyhow::Result<()> {
    for kind in Kind::ALL {
        match (kind.given(), running(*kind)?) {
            (given, Some(left)) if !matches!(&given, Ok(Some(url)) if *url != left.url) => {
                let (url, pid, log) = (&left.url, left.pid, left.log());
                println!("{kind}: {url} (pid {pid}, log in {})", log.display());
            }
            (Ok(Some(url)), _) => println!("{kind}: {url} (given by {})", kind.variable()),
            (Err(error), _) => println!("{kind}: {error:#}"),
            (Ok(None), _) => println!("{kind}: not started"),
        }
    }
    Ok(())
}

/// Two commands at once would both start a server, and note one.
fn alone() -> anyhow::Result<File> {
    let folder = stack::notes();
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// The one that runs on. What is left of one that has ended by itself is cleared away.
fn running(kind: Kind) -> anyhow::Result<Option<Left>> {
    let Some(left) = read(kind)? else {
        return Ok(None);
    };
    if left.is_running() {
        return Ok(Some(left));
    }
    eprintln!("{kind} has ended by itself; {}", stack::keep(&left.log()));
    clear(kind, &left)?;
    Ok(None)
}

/// Ends one, and forgets it.
fn clear(kind: Kind, left: &Left) -> anyhow::Result<()> {
    left.end()?;
    Ok(fs::remove_file(note(kind))?)
}

/// Where it is noted what runs.
fn note(kind: Kind) -> PathBuf {
    stack::notes().join(format!("{kind}.json"))
}

fn read(kind: Kind) -> anyhow::Result<Option<Left>> {
    let path = note(kind);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let left = serde_json::from_slice(&text);
    left.map(Some)
        .with_context(|| format!("{} is damaged: remove it", path.display()))
}

fn write(kind: Kind, left: &Left) -> anyhow::Result<()> {
    Ok(fs::write(note(kind), serde_json::to_vec(left)?)?)
}
