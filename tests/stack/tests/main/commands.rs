//! What the command does, and that nothing is left of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use stack::{Kind, Postgres, RedisCluster};
use tempfile::TempDir;

/// A machine with folders of its own, on which `cargo stack` is run.
struct Machine {
    temporary: TempDir,
    target: TempDir,
}

impl Machine {
    /// None where there is no server to start on it.
    fn new() -> Option<Self> {
        Postgres::for_test()?;
        let temporary = tempfile::tempdir().unwrap();
        // The server's user has to pass through it.
        fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let target = tempfile::tempdir().unwrap();
        Some(Self { temporary, target })
    }

    fn folder(&self) -> &str {
        self.temporary.path().to_str().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stack"));
        command
            .args(arguments)
            .env("TMPDIR", self.temporary.path())
            .env("CARGO_TARGET_DIR", self.target.path());
        for kind in Kind::ALL {
            command.env_remove(kind.variable());
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it prints, where it succeeds.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", errors(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// `cargo stack test` with this in place of cargo.
    fn test_with(&self, cargo: impl AsRef<Path>) -> Command {
        // Named in the arguments, so that they are found as well.
        let mut command = self.command(&["test", "--only", "postgres", "--", self.folder()]);
        command.env("CARGO", cargo.as_ref()).stdout(Stdio::null());
        command
    }

    /// Everything that runs in its folder or names it.
    fn traces(&self) -> Vec<String> {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let commands =
            processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        commands
            .map(|command| String::from_utf8_lossy(&command).replace('\0', " "))
            .filter(|command| command.contains(self.folder()))
            .collect()
    }

    fn folders(&self) -> usize {
        fs::read_dir(self.temporary.path()).unwrap().count()
    }

    fn runs(&self, program: &str) -> bool {
        self.traces().iter().any(|trace| trace.contains(program))
    }

    fn wait_until(&self, what: &str, met: impl Fn() -> bool) {
        let begun = Instant::now();
        while !met() {
            let late = begun.elapsed() > Duration::from_secs(60);
            assert!(!late, "{what}: {:?}", self.traces());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn is_clean_in_the_end(&self) {
        self.wait_until("all ends", || self.traces().is_empty());
        self.wait_until("the data goes", || self.folders() == 0);
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Stands in for cargo: runs until it is ended.
fn endless() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/main/endless")
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn all_that_this_machine_has_start_together_and_tests_are_told_where() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let mut command = machine.command(&["test", "--", machine.folder()]);
    let cargo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/main/variables");
    let output = command.env("CARGO", cargo).output().unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    let (told, said) = (String::from_utf8_lossy(&output.stdout), errors(&output));
    for kind in Kind::ALL {
        let told = told.contains(&format!("{}=", kind.variable()));
        let skipped = said.contains(&format!("SKIPPED: {kind} does not start"));
        assert!(told != skipped, "{kind}: {said}");
    }
    machine.is_clean_in_the_end();
}

#[test]
fn nothing_is_left_of_a_run_that_was_interrupted_or_killed() {
    let Some(machine) = Machine::new() else {
        return;
    };
    for (signal, code) in [
        (Signal::INT, Some(130)),
        (Signal::TERM, Some(143)),
        (Signal::HUP, Some(129)),
        (Signal::KILL, None),
    ] {
        let mut command = machine.test_with(endless()).spawn().unwrap();
        machine.wait_until("the tests run", || {
            machine.runs("postgres -D") && machine.runs("endless test")
        });
        send(&command, signal);
        assert_eq!(command.wait().unwrap().code(), code, "{signal:?}");
        machine.is_clean_in_the_end();
    }
}

#[test]
fn nothing_is_left_of_a_start_that_was_interrupted_or_killed() {
    let Some(machine) = Machine::new() else {
        return;
    };
    for signal in [Signal::INT, Signal::KILL] {
        let mut command = machine.test_with(endless()).spawn().unwrap();
        machine.wait_until("the data is laid out", || machine.runs("initdb"));
        send(&command, signal);
        command.wait().unwrap();
        machine.is_clean_in_the_end();
    }
}

#[test]
fn a_failed_test_shows_the_end_of_the_log_and_keeps_it() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let output = machine.test_with("false").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = errors(&output);
    assert!(said.contains("ready to accept connections"), "{said}");
    let kept = fs::read_dir(machine.target.path().join("stack")).unwrap();
    let kept: Vec<_> = kept.flatten().map(|entry| entry.path()).collect();
    assert!(
        said.contains(kept[0].to_str().unwrap()),
        "{kept:?} in\n{said}"
    );
    machine.is_clean_in_the_end();
    assert_eq!(machine.test_with("true").output().unwrap().stderr, b"");
}

/// What `status` and `up` say of one.
fn line<'a>(said: &'a str, kind: &str) -> &'a str {
    let mut lines = said.lines();
    let found = lines.find(|line| line.starts_with(&format!("{kind}: ")));
    found.expect(said)
}

/// The server's process as `status` tells it.
fn pid(status: &str) -> Pid {
    let (_, rest) = status.split_once("(pid ").expect(status);
    let (pid, _) = rest.split_once(',').unwrap();
    Pid::from_raw(pid.parse().unwrap()).unwrap()
}

/// Nobody may have asked yet how it ended.
fn has_ended(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn a_server_runs_on_until_it_is_taken_down() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let not_started = machine.says(&["status"]);
    assert_eq!(line(&not_started, "postgres"), "postgres: not started");
    assert_eq!(machine.says(&["env"]), "");
    let up = machine.says(&["up", "postgres"]);
    assert_eq!(machine.says(&["up", "postgres"]), up, "it is the same one");
    assert_eq!(machine.says(&["status"]), up);
    let url = line(&up, "postgres").split(' ').nth(1).unwrap();
    assert_eq!(
        machine.says(&["env"]),
        format!("export STOCKADE_POSTGRES_URL='{url}'\n")
    );
    machine.says(&["down"]);
    machine.is_clean_in_the_end();
    assert_eq!(machine.says(&["status"]), not_started);
    machine.says(&["down"]);
}

#[test]
fn a_server_of_several_processes_runs_on_until_one_of_them_ends() {
    let Some(machine) = Machine::new() else {
        return;
    };
    if RedisCluster::for_test().is_none() {
        return;
    }
    let up = machine.says(&["up", "redis-cluster"]);
    assert_eq!(
        line(&up, "redis-cluster").matches("pid ").count(),
        6,
        "{up}"
    );
    assert_eq!(machine.says(&["status"]), up);
    let pid = pid(&up);
    kill_process(pid, Signal::KILL).unwrap();
    machine.wait_until("it ends", || has_ended(pid));
    let output = machine.run(&["status"]);
    let said = errors(&output);
    assert_eq!(said.matches("ended by itself").count(), 1, "{said}");
    machine.is_clean_in_the_end();
}

#[test]
fn what_is_left_of_a_server_that_ended_by_itself_is_cleared_away() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let nexts: [&[&str]; 4] = [&["status"], &["up", "postgres"], &["down"], &["env"]];
    for next in nexts {
        let before = machine.says(&["up", "postgres"]);
        let pid = pid(&before);
        kill_process(pid, Signal::KILL).unwrap();
        machine.wait_until("it ends", || has_ended(pid));
        let output = machine.run(next);
        assert!(output.status.success(), "{}", errors(&output));
        let said = errors(&output);
        assert!(said.contains("ended by itself"), "{next:?}: {said}");
        assert!(
            said.contains("ready to accept connections"),
            "{next:?}: {said}"
        );
        let running = usize::from(next[0] == "up");
        assert_eq!(machine.folders(), running, "{next:?}");
        machine.says(&["down"]);
    }
    machine.is_clean_in_the_end();
}

#[test]
fn two_commands_at_once_start_one_server() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let start = || {
        let mut command = machine.command(&["up", "postgres"]);
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let said = [start(), start()].map(|up| up.wait_with_output().unwrap().stdout);
    assert_eq!(said[0], said[1]);
    assert_eq!(machine.folders(), 1);
    machine.says(&["down"]);
    machine.is_clean_in_the_end();
}

#[test]
fn what_is_given_is_used_and_nothing_started() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://me@{}/mine", listener.local_addr().unwrap());
    let with = |mut command: Command| {
        command.env("STOCKADE_POSTGRES_URL", &url);
        command.output().unwrap()
    };
    let said = with(machine.command(&["up", "postgres"])).stdout;
    let said = String::from_utf8(said).unwrap();
    assert_eq!(
        line(&said, "postgres"),
        format!("postgres: {url} (given by STOCKADE_POSTGRES_URL)")
    );
    assert!(with(machine.test_with("true")).status.success());
    assert_eq!(machine.folders(), 0);

    drop(listener);
    let gone = with(machine.test_with("true"));
    assert!(!gone.status.success());
    let said = errors(&gone);
    assert!(said.contains("unset STOCKADE_POSTGRES_URL"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
