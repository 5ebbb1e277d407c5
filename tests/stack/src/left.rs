//! Servers that run on after the command: `up`, `down`, `status`, `env`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use stack::{Kind, Left};

/// Starts those that do not run yet.
pub(crate) fn up(kinds: &[Kind]) -> anyhow::Result<()> {
    for kind in kinds {
        if read(*kind)?.is_some_and(|left| left.is_running()) {
            continue;
        }
        let left = kind.start()?.leave();
        write(*kind, &left).inspect_err(|_| drop(left.end()))?;
    }
    status()
}

/// Ends them all.
pub(crate) fn down() -> anyhow::Result<()> {
    for kind in Kind::ALL {
        if let Some(left) = read(*kind)? {
            left.end()?;
            fs::remove_file(note(*kind))?;
        }
    }
    Ok(())
}

pub(crate) fn status() -> anyhow::Result<()> {
    for kind in Kind::ALL {
        match read(*kind)? {
            Some(left) if left.is_running() => {
                println!(
                    "{kind}: {} (pid {}, log in {})",
                    left.url,
                    left.pid,
                    left.folder.display()
                );
            }
            Some(_) => println!("{kind}: ended by itself"),
            None => println!("{kind}: not started"),
        }
    }
    Ok(())
}

pub(crate) fn env() -> anyhow::Result<()> {
    for kind in Kind::ALL {
        if let Some(left) = read(*kind)?.filter(Left::is_running) {
            println!("export {}='{}'", kind.variable(), left.url);
        }
    }
    Ok(())
}

/// Where it is noted what runs: in this checkout, so that two of them do not collide.
fn note(kind: Kind) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    workspace.join("target/stack").join(format!("{kind}.json"))
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
    let path = note(kind);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(&path, serde_json::to_vec(left)?)?)
}
