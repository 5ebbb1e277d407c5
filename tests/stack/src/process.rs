//! A server's processes: started with a log, watched, and ended together.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::server::{Left, LeftProcess};
use crate::watchdog::Watchdog;

/// How long a server may take until it answers.
const READY: Duration = Duration::from_secs(120);

/// How much of a log is shown when its server fails.
const TAIL_LINES: usize = 30;

/// How long a process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(3);

/// A process with all that it starts. It ends when it is dropped, and where its holder is killed,
/// by its [`Watchdog`].
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    /// Asks it to end, and to leave nothing behind on the machine.
    farewell: Signal,
}

impl Process {
    /// Starts `command` under that watchdog, with its output appended to `log`. When it is to end
    /// it is asked as the watchdog asks; what is left after 3 seconds is killed.
    ///
    /// # Errors
    /// Where the log can not be written, or there is no shell. A command that can not be run ends
    /// at once, with the reason in its log.
    pub fn start(command: &Command, log: &Path, watchdog: &Watchdog) -> anyhow::Result<Self> {
        let output = File::options().create(true).append(true).open(log);
        let output =
            output.with_context(|| format!("the log {} can't be written", log.display()))?;
        Ok(Self {
            child: watchdog.start(command, Some(output))?,
            log: log.to_owned(),
            farewell: watchdog.farewell(),
        })
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// With the end of the log, where it fails.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let status = self.child.wait()?;
        anyhow::ensure!(
            status.success(),
            "it ended with {status}; {}",
            keep(&self.log)
        );
        Ok(())
    }

    /// Waits until `answers` succeeds.
    ///
    /// # Errors
    /// With the end of the log, where the process ends before or two minutes have passed.
    pub fn ready(&mut self, mut answers: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let Err(error) = answers() else { return Ok(()) };
            let ended = self.child.try_wait()?;
            if ended.is_none() && begun.elapsed() < READY {
                std::thread::sleep(Duration::from_millis(25));
                continue;
            }
            let why = match ended {
                Some(status) => format!("it ended with {status}"),
                None => format!("it does not answer after {READY:?}: {error:#}"),
            };
            anyhow::bail!("{why}; {}", keep(&self.log));
        }
    }

    /// Kills it and all that it has started with SIGKILL, as the machine's sudden end would, and
    /// waits until they are gone.
    pub fn kill(&mut self) {
        if !self.has_ended() {
            let all = family(self.pid());
            // Stopped first, so that none of them starts another or hears of another's end.
            signal(&all, Signal::STOP);
            let all = family(self.pid());
            signal(&all, Signal::KILL);
            let _ = self.child.wait();
            while all.iter().any(|pid| is_running(*pid)) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// Whether its pid may be somebody else's by now.
    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Stops it and all that it has started, until they are [resumed](Process::resume): as a
    /// machine that hangs.
    pub fn pause(&self) {
        signal(&family(self.pid()), Signal::STOP);
    }

    /// Lets them go on.
    pub fn resume(&self) {
        signal(&family(self.pid()), Signal::CONT);
    }

    /// Asks it to end by SIGTERM, and waits until it has.
    pub(crate) fn stop(&mut self, patience: Duration) -> anyhow::Result<()> {
        self.resume();
        signal(&[self.pid()], Signal::TERM);
        let asked = Instant::now();
        while !self.has_ended() {
            if asked.elapsed() > patience {
                anyhow::bail!("it does not end within {patience:?}; {}", keep(&self.log));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Lets it run on by itself, in that folder.
    pub(crate) fn leave(self, folder: PathBuf) -> LeftProcess {
        let (pid, farewell) = (self.pid(), self.farewell.as_raw());
        std::mem::forget(self);
        let started = started(pid).unwrap_or_default();
        LeftProcess {
            pid,
            started,
            farewell,
            folder,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.resume();
            signal(&[self.pid()], self.farewell);
        }
        let asked = Instant::now();
        while asked.elapsed() < GRACE && !self.has_ended() {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.kill();
    }
}

impl Left {
    /// Whether all of it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.processes.iter().all(LeftProcess::is_running)
    }

    /// Ends it and removes its data.
    ///
    /// # Errors
    /// Where the data can not be removed.
    pub fn end(&self) -> anyhow::Result<()> {
        let ended: Vec<_> = self.processes.iter().map(LeftProcess::end).collect();
        ended.into_iter().collect()
    }
}

impl LeftProcess {
    /// What it has said.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        is_running(self.pid) && started(self.pid) == Some(self.started)
    }

    fn end(&self) -> anyhow::Result<()> {
        if self.is_running() {
            let all = family(self.pid);
            if let Some(farewell) = Signal::from_named_raw(self.farewell) {
                signal(&[self.pid], farewell);
            }
            let asked = Instant::now();
            while all.iter().any(|pid| is_running(*pid)) {
                if asked.elapsed() > GRACE {
                    signal(&all, Signal::KILL);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} stays", self.folder.display()))
            }
            _ => Ok(()),
        }
    }
}

fn signal(pids: &[u32], signal: Signal) {
    for pid in pids {
        if let Some(pid) = i32::try_from(*pid).ok().and_then(Pid::from_raw) {
            // One that has ended needs none.
            let _ = kill_process(pid, signal);
        }
    }
}

/// A process and all its descendants, as far as they have not been orphaned.
fn family(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        let tasks = fs::read_dir(format!("/proc/{parent}/task"))
            .into_iter()
            .flatten()
            .flatten();
        let children =
            tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let children: Vec<u32> = children
            .flat_map(|list| {
                list.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .filter_map(|child| child.parse().ok())
            .collect();
        found.extend(children);
        next += 1;
    }
    found
}

/// The fields of `/proc/PID/stat` from the state on; none where there is no such process.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| !matches!(fields[0].as_str(), "Z" | "X"))
}

/// When a process was started, in clock ticks since the machine was (field 22 in `proc(5)`).
fn started(pid: u32) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

/// Copies a log to where it outlives its server, and returns its end.
#[must_use]
pub fn keep(log: &Path) -> String {
    let Ok(text) = fs::read(log) else {
        return format!("its log {} is gone", log.display());
    };
    let server = log.parent().and_then(Path::file_name).unwrap_or_default();
    let kept = notes().join(server).with_extension("log");
    let written = fs::create_dir_all(notes()).and_then(|()| fs::write(&kept, &text));
    let kept = written.map_or(log.to_owned(), |()| kept);
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    format!("the end of {}:\n{tail}", kept.display())
}

/// What is noted of servers and kept of their logs: in this checkout, so that two of them do not
/// collide.
#[must_use]
pub fn notes() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    target.join("stack")
}
