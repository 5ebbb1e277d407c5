//! What ends the servers of a process that was killed.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use rustix::process::Signal;

/// Reads the process to end, line by line, and ends it when there is nothing more to read.
const WATCH: &str = r#"
while read -r word; do
    [ "$word" = dismissed ] && exit
    watched=$word
done
children() { for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do echo "$child"; children "$child"; done; }
if [ -n "$watched" ]; then
    kill -CONT $(children "$watched") "$watched" 2>/dev/null
    kill -"$1" "$watched" 2>/dev/null
    for _ in $(seq 30); do kill -0 "$watched" 2>/dev/null && sleep 0.1; done
    kill -STOP "$watched" 2>/dev/null
    kill -KILL $(children "$watched") "$watched" 2>/dev/null
fi
[ -z "$2" ] || while ! rm -rf "$2" 2>/dev/null; do sleep 0.1; done
"#;

/// Becomes the command when it is let go, and ends where nobody is left to do so.
const GATE: &str = r#"read -r _ && exec "$@" </dev/null"#;

/// A shell that outlives this process by a moment. When this process ends before it has dismissed
/// the shell, in whatever way, the shell ends another process and all that it started. It has no
/// terminal's signals to fear, being in a process group of its own.
#[derive(Debug)]
pub struct Watchdog {
    shell: Child,
    farewell: Signal,
}

impl Watchdog {
    /// Over the process that it [starts](Watchdog::start). `farewell` asks it to end; what is
    /// left after 3 seconds is killed, and the folder, if there is one, removed.
    ///
    /// # Errors
    /// Where there is no shell.
    pub fn new(farewell: Signal, folder: Option<&Path>) -> anyhow::Result<Self> {
        let mut shell = shell(WATCH);
        shell.arg(farewell.as_raw().to_string()).args(folder);
        shell.stdout(Stdio::null()).stderr(Stdio::null());
        let shell = shell.spawn().context("sh can't be run")?;
        Ok(Self { shell, farewell })
    }

    pub(crate) fn farewell(&self) -> Signal {
        self.farewell
    }

    /// Starts a command in a process group of its own, without input, and with its output in that
    /// file or where this process has its own. It begins when the watchdog knows of it, so that it
    /// ends with this process from its first moment on.
    ///
    /// # Errors
    /// Where there is no shell. A command that can not be run ends with 127 or 126.
    pub fn start(&self, command: &Command, output: Option<File>) -> anyhow::Result<Child> {
        let mut gate = shell(GATE);
        gate.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => gate.env(name, value),
                None => gate.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            gate.current_dir(folder);
        }
        if let Some(output) = output {
            gate.stdout(output.try_clone()?).stderr(output);
        }
        let mut child = gate.spawn().context("sh can't be run")?;
        self.tell(&child.id().to_string());
        if let Some(mut stdin) = child.stdin.take() {
            writeln!(stdin)?;
        }
        Ok(child)
    }

    /// What it watched has ended, and its id may be somebody else's from now on.
    pub fn forget(&self) {
        self.tell("");
    }

    fn tell(&self, word: &str) {
        if let Some(mut stdin) = self.shell.stdin.as_ref() {
            let _ = writeln!(stdin, "{word}");
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.tell("dismissed");
        let _ = self.shell.wait();
    }
}

/// A script that is spoken to, in a process group of its own.
fn shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "watchdog"]);
    shell.stdin(Stdio::piped()).process_group(0);
    shell
}
