//! Services as processes, for the tests of services.

#![allow(clippy::unwrap_used, reason = "a test ends with what fails")]

use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything takes on a machine with much else to do.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A service that runs as a process. It is killed when this is dropped, as when a test fails.
///
/// It must log as JSON, and log `started` with its `address`.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    url: String,
    token: String,
    http: reqwest::Client,
}

/// Removes the options of a service from the environment of its process, which the process would
/// take over from the tests.
pub fn without_options(command: &mut Command, service: &str) {
    let prefix = format!("{service}_").replace('-', "_").to_uppercase();
    let options = std::env::vars().filter(|(name, _)| name.starts_with(&prefix));
    for (name, _) in options {
        command.env_remove(name);
    }
    command.env("RUST_LOG", "info").stdin(Stdio::null());
}

impl Process {
    /// Starts a process, and waits until it listens. `token` is its token for writes.
    ///
    /// # Panics
    /// If it ends instead; with its log.
    #[must_use]
    pub fn start(mut command: Command, token: &str) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let http = reqwest::Client::builder().timeout(PATIENCE).build();
        let mut process = Self {
            child,
            log: log.clone(),
            url: String::new(),
            token: token.to_owned(),
            http: http.unwrap(),
        };
        while process.url.is_empty() {
            let mut line = String::new();
            let read = stderr.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "it did not start: {}", process.log());
            log.lock().unwrap().push_str(&line);
            let logged: Value = serde_json::from_str(&line).unwrap_or_default();
            if logged["message"] == "started" {
                process.url = format!("http://{}", logged["address"].as_str().unwrap());
            }
        }
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                log.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        process
    }

    /// Where it listens: `http://ADDRESS:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The status and the body of a `GET`.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let sent = self.http.get(format!("{}{path}", self.url)).send().await;
        let response = sent.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The JSON of a `GET`, which must have the status 200.
    pub async fn read(&self, path: &str) -> Value {
        let (status, text) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Posts with the token.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.write(reqwest::Method::POST, &self.token, path, body)
            .await
    }

    /// Posts with another token.
    pub async fn post_with(&self, token: &str, path: &str, body: &Value) -> (u16, Value) {
        self.write(reqwest::Method::POST, token, path, body).await
    }

    /// Puts with the token.
    pub async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.write(reqwest::Method::PUT, &self.token, path, body)
            .await
    }

    async fn write(
        &self,
        method: reqwest::Method,
        token: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let response = request.bearer_auth(token).json(body).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// Kills the process with SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops the process with SIGSTOP until it is [resumed](Self::resume), as a machine that hangs.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets the process go on after a [pause](Self::pause).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks the process to end, and expects that it does so without an error, soon, and without a
    /// worker that failed before.
    ///
    /// # Panics
    /// If it does not; with its log.
    pub fn stop(mut self) {
        let asked = Instant::now();
        self.signal("-TERM");
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
            let log = self.log();
            assert!(asked.elapsed() < PATIENCE, "it does not end: {log}");
        };
        let log = self.log();
        assert_eq!(code, Some(0), "{log}");
        for failure in ["did not stop in time", "a worker failed", &self.token] {
            assert!(!log.contains(failure), "{failure:?} is in {log}");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something holds that comes about by itself.
///
/// # Panics
/// If it does not, for [`PATIENCE`].
pub async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    within(PATIENCE, what, holds).await;
}

/// Waits until something holds that takes longer.
///
/// # Panics
/// If it does not.
pub async fn within<F: Future<Output = bool>>(
    patience: Duration,
    what: &str,
    holds: impl Fn() -> F,
) {
    let began = Instant::now();
    while !holds().await {
        let waited = began.elapsed();
        assert!(waited < patience, "it never came about that {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
