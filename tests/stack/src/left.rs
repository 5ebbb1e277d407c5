//! Servers that run on after the command: `up`, `down`, `status`, `env`.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::Context as _;
use stack::{Kind, Left, LeftProcess};

/// Starts those that do not run yet: those named, or all.
pub(crate) fn up(names: &[Kind]) -> anyhow::Result<()> {
    let _alone = alone()?;
    let mut wanted = Vec::new();
    for kind in if names.is_empty() { Kind::ALL } else { names } {
        if kind.given()?.is_none() && running(*kind)?.is_none() {
            wanted.push(*kind);
        }
    }
    // Those that do start run on, where others do not.
    let mut failed = Vec::new();
    for (kind, server) in stack::start_all(&wanted) {
        let written = server.and_then(|server| {
            let left = server.leave();
            write(kind, &left).inspect_err(|_| drop(left.end()))
        });
        failed.extend(written.err().map(|error| format!("{error:#}")));
    }
    tell()?;
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
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
                let parts: Vec<_> = left.processes.iter().map(described).collect();
                println!("{kind}: {} ({})", left.url, parts.join("; "));
            }
            (Ok(Some(url)), _) => println!("{kind}: {url} (given by {})", kind.variable()),
            (Err(error), _) => println!("{kind}: {error:#}"),
            (Ok(None), _) => println!("{kind}: not started"),
        }
    }
    Ok(())
}

fn described(process: &LeftProcess) -> String {
    format!("pid {}, log in {}", process.pid, process.log().display())
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
    for process in left
        .processes
        .iter()
        .filter(|process| !process.is_running())
    {
        eprintln!(
            "{kind} has ended by itself; {}",
            stack::keep(&process.log())
        );
    }
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
