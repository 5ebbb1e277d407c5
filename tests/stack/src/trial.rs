//! `cargo test` with servers that end with it.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};
use stack::{Kind, Server, Watchdog};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

/// How long tests have to end after they were told to.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the tests and returns their exit code. The servers end with it, also when it is
/// interrupted.
#[tokio::main]
pub(crate) async fn test(kinds: &[Kind], arguments: &[String]) -> anyhow::Result<u8> {
    let mut wanted = Vec::new();
    for kind in kinds {
        if kind.given()?.is_none() {
            wanted.push(*kind);
        }
    }
    let start = tokio::task::spawn_blocking(move || {
        let start = |kind: Kind| Ok((kind, kind.start()?));
        wanted
            .into_iter()
            .map(start)
            .collect::<anyhow::Result<Vec<_>>>()
    });
    let servers: Vec<(Kind, Box<dyn Server>)> = start.await??;

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = tokio::process::Command::new(cargo);
    command.arg("test").args(arguments).process_group(0);
    for (kind, server) in &servers {
        command.env(kind.variable(), server.url());
    }
    let watchdog = Watchdog::new(Signal::TERM, None)?;
    let child = command.spawn().context("cargo can't be run")?;
    watchdog.watch(child.id());
    let code = match ended(child).await? {
        Ended::ByItself(code) => {
            for (kind, server) in servers.iter().filter(|_| code != 0) {
                eprintln!("{kind}: {}", stack::keep(&server.log()));
            }
            code
        }
        Ended::Interrupted(code) => code,
    };
    tokio::task::spawn_blocking(move || drop((watchdog, servers))).await?;
    Ok(code)
}

/// How the tests ended, and the exit code of it.
enum Ended {
    ByItself(u8),
    Interrupted(u8),
}

/// Waits for the tests, or ends them all when this process is told to end.
async fn ended(mut child: Child) -> anyhow::Result<Ended> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let number = tokio::select! {
        status = child.wait() => return Ok(Ended::ByItself(code(status?))),
        _ = interrupted.recv() => 2,
        _ = hung_up.recv() => 1,
        _ = terminated.recv() => 15,
    };
    // Cargo and the tests are a process group of their own.
    let group = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    for signal in [Signal::TERM, Signal::KILL] {
        let told = group.map(|group| kill_process_group(group, signal));
        if told.is_none_or(|told| told.is_err()) {
            break;
        }
        let _ = tokio::time::timeout(GRACE, child.wait()).await;
    }
    Ok(Ended::Interrupted(128 + number))
}

fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}
