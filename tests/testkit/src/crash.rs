//! Kills a process or a server during calls, and checks the data that is left.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::harness::{Absent, CaseFuture, Harness, Outcome, finish};

/// For data that survives a crash of its process, or of its server.
///
/// A child process makes the calls: the test binary, started again for the same `#[test]`. It
/// writes down every result, and is killed with SIGKILL during its calls. Then the case opens the
/// data and checks it against these results.
///
/// **What this proves:** a call returns after the data has left the process, and, if a server is
/// killed, after the data is in the server's log.
///
/// **What it does not prove:** that the data is on the disk. The operating system keeps written
/// data when a process is killed, so no test here notices that a store does not call `fsync`, or
/// that a server is configured not to. The adapter's author must ensure that data survives a loss
/// of power.
#[async_trait]
pub trait Crash: Harness {
    /// The data, which no process has opened: a temporary folder, or a server of its own that
    /// can be killed. Dropping it removes the data.
    type Data: Send;

    /// Creates empty data.
    ///
    /// # Errors
    /// [`Absent`] when the backend is not available here. Panic for other errors.
    async fn create() -> Result<Self::Data, Absent>;

    /// The address of the data for another process: a path, or a URL.
    fn address(data: &Self::Data) -> String;

    /// Opens the data at an address: in the child process, and after the crash.
    async fn open_at(address: &str) -> Self;

    /// Kills the server of the data and starts it again, while the child process makes calls. An
    /// embedded store has no server: it ends with the child process, which is killed in any case.
    async fn kill_server(_data: &mut Self::Data) {}
}

/// A case whose calls are made by a process that is killed.
#[derive(Debug)]
pub struct CrashCase<H> {
    name: &'static str,
    calls: fn(H, Answers) -> CaseFuture,
    check: fn(H, Vec<String>) -> CaseFuture,
}

impl<H> Clone for CrashCase<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for CrashCase<H> {}

impl<H> CrashCase<H> {
    /// A case: the calls that the child process makes until it is killed, and the check of the data
    /// against the results that it wrote.
    #[must_use]
    pub const fn new(
        name: &'static str,
        calls: fn(H, Answers) -> CaseFuture,
        check: fn(H, Vec<String>) -> CaseFuture,
    ) -> Self {
        Self { name, calls, check }
    }

    /// The name, which is also that of its `#[test]`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// Writes the results of the child process.
#[derive(Clone, Copy, Debug)]
pub struct Answers(());

/// Begins each answer on the child's stdout, which has lines of the test runner as well.
const MARK: &str = "STOCKADE-ANSWER ";
/// The variable that tells the child process where the data is.
const ADDRESS: &str = "STOCKADE_CRASH_ADDRESS";
/// The number of times that the process is killed in a case.
const CRASHES: usize = 3;
/// It is killed after this many answers.
const ANSWERS: usize = 60;
/// The longest that a case may run. A server starts again after each crash, which takes its time on a
/// busy machine.
const DEADLINE: Duration = Duration::from_secs(300);
/// The child process has to give its answers within this time.
const PATIENCE: Duration = Duration::from_secs(60);

impl Answers {
    /// Writes a result, in one line. The case checks the results that were written before the kill.
    pub fn write(self, answer: &str) {
        let mut stdout = std::io::stdout().lock();
        // A new line first: the test runner may have left one open.
        let _ = write!(stdout, "\n{MARK}{answer}\n");
        let _ = stdout.flush();
    }
}

/// Runs the case of that name for the `#[test]` at this path, as `module_path!()` gives it.
///
/// # Panics
/// When the case fails, and when no case has that name.
pub fn run_crash<H: Crash>(cases: &[CrashCase<H>], test: &str) {
    let name = test.rsplit("::").next().unwrap_or(test);
    let Some(case) = cases.iter().find(|case| case.name == name) else {
        panic!("there is no case {name}");
    };
    attempt_crash(case, test).expect_for::<H>(name);
}

/// Runs a case for the `#[test]` at this path, and returns how it ended. In a child process, which
/// runs the same `#[test]`, it makes the calls and does not return.
///
/// # Panics
/// When no runtime can be built.
#[must_use]
pub fn attempt_crash<H: Crash>(case: &CrashCase<H>, test: &str) -> Outcome {
    let CrashCase { name, calls, check } = *case;
    if let Ok(address) = std::env::var(ADDRESS) {
        end_with_parent();
        let outcome = finish::<H>(name, DEADLINE, async move {
            calls(H::open_at(&address).await, Answers(())).await;
            Ok(())
        });
        // The calls go on until the process is killed, so they have failed.
        eprintln!("the calls ended by themselves: {outcome:?}");
        std::process::exit(1);
    }
    // The name of a test begins after that of its binary.
    let test = test
        .split_once("::")
        .map_or(test, |(_, test)| test)
        .to_owned();
    finish::<H>(name, DEADLINE, async move {
        let mut data = H::create().await?;
        let address = H::address(&data);
        let mut answers = Vec::new();
        for _ in 0..CRASHES {
            let mut child = Running::start(&test, &address);
            child.until_answered(&mut answers);
            H::kill_server(&mut data).await;
            child.kill(&mut answers);
            check(H::open_at(&address).await, answers.clone()).await;
        }
        Ok(())
    })
}

/// Ends this child process when its parent does, which closes the pipe.
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}

/// The child process.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(test: &str, address: &str) -> Self {
        let program = std::env::current_exe().expect("a test has a binary");
        let mut child = Command::new(program)
            .args([test, "--exact", "--nocapture", "--include-ignored"])
            .env(ADDRESS, address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test binary can be started again");
        let stdout = child.stdout.take().expect("it is a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            // A line without its end was cut off by the kill.
            while stdout.read_line(&mut line).is_ok() && line.ends_with('\n') {
                let answer = line.trim_end().strip_prefix(MARK);
                if answer.is_some_and(|answer| sender.send(answer.to_owned()).is_err()) {
                    return;
                }
                line.clear();
            }
        });
        Self { child, lines }
    }

    /// Waits until the process has written enough answers.
    fn until_answered(&mut self, answers: &mut Vec<String>) {
        let started = Instant::now();
        for count in 0..ANSWERS {
            let left = PATIENCE.saturating_sub(started.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(answer) => answers.push(answer),
                Err(_) => {
                    let ended = self.child.try_wait();
                    panic!(
                        "the child process gave {count} of {ANSWERS} answers in {:?} and then \
                         none; it ended: {ended:?}",
                        started.elapsed()
                    );
                }
            }
        }
    }

    /// Kills the process with SIGKILL, and takes the rest of its answers.
    fn kill(mut self, answers: &mut Vec<String>) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        answers.extend(self.lines.iter());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
