//! `cargo test` with servers that end with it.

use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use stack::{Kind, Watchdog};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

/// How long tests have to end after they were told to.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the tests and returns their exit code. The servers end with it, also when it is
/// interrupted. Where none is named all are started, and one that this machine lacks is left out
/// unless it is required.
#[tokio::main]
pub(crate) async fn test(names: &[Kind], arguments: &[String]) -> anyhow::Result<u8> {
    let mut wanted = Vec::new();
    for kind in if names.is_empty() { Kind::ALL } else { names } {
        if kind.given()?.is_none() {
            wanted.push(*kind);
        }
    }
    let started = tokio::task::spawn_blocking(move || stack::start_all(&wanted)).await?;
    let mut servers = Vec::new();
    for (kind, server) in started {
        match server {
            Ok(server) => servers.push((kind, server)),
            Err(error) if names.is_empty() && !kind.is_required() => {
                eprintln!("SKIPPED: {error:#}");
            }
            Err(error) => return Err(error),
        }
    }

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg("test").args(arguments);
    // `cargo run` tells of this package. Build scripts that look at it, such as ring's, would run
    // again each time that tests are started with it or without it.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name.as_ref());
        }
    }
    for (kind, server) in &servers {
        command.env(kind.variable(), server.url());
    }
    let told = Told::from_now()?;
    let watchdog = Watchdog::new(Signal::TERM, None)?;
    let child = watchdog.start(&command, None)?;
    let code = match ended(child, told).await? {
        Ended::ByItself(code) => {
            for (kind, server) in servers.iter().filter(|_| code != 0) {
                for log in server.logs() {
                    eprintln!("{kind}: {}", stack::keep(&log));
                }
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

/// What tells this process to end.
struct Told {
    interrupted: Signals,
    terminated: Signals,
    hung_up: Signals,
}

impl Told {
    fn from_now() -> anyhow::Result<Self> {
        Ok(Self {
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
            hung_up: signal(SignalKind::hangup())?,
        })
    }

    /// The number of the signal.
    async fn end(&mut self) -> u8 {
        tokio::select! {
            _ = self.hung_up.recv() => 1,
            _ = self.interrupted.recv() => 2,
            _ = self.terminated.recv() => 15,
        }
    }
}

/// Waits for the tests, or ends them all when this process is told to end.
async fn ended(mut child: Child, mut told: Told) -> anyhow::Result<Ended> {
    // Cargo and the tests are a process group of their own.
    let group = Pid::from_raw(i32::try_from(child.id())?);
    let mut end = tokio::task::spawn_blocking(move || child.wait());
    let number = tokio::select! {
        status = &mut end => return Ok(Ended::ByItself(code(status??))),
        number = told.end() => number,
    };
    for signal in [Signal::TERM, Signal::KILL] {
        let sent = group.map(|group| kill_process_group(group, signal));
        if sent.is_none_or(|sent| sent.is_err()) {
            break;
        }
        if !end.is_finished() {
            let _ = tokio::time::timeout(GRACE, &mut end).await;
        }
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
