//! The service as a process, and the servers that it runs over.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use stockade_testkit::Absent;

/// Longer than anything takes on a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const TOKEN: &str = "write-token-0123456789";

/// Where the servers are, with names that no other test has.
pub(crate) struct Site {
    postgres: String,
    pub(crate) database: String,
    pub(crate) redis: String,
    pub(crate) kafka: String,
    pub(crate) name: String,
}

impl Site {
    /// A database, a prefix of keys and a topic of its own.
    pub(crate) async fn open() -> Result<Self, Absent> {
        let given = |variable: &str| {
            let missing = format!("{variable} is not set; run the tests by `cargo stack test`");
            std::env::var(variable).map_err(|_| Absent::because(missing))
        };
        let postgres = given("STOCKADE_POSTGRES_URL")?;
        let (redis, kafka) = (
            given("STOCKADE_REDIS_URL")?,
            given("STOCKADE_KAFKA_BOOTSTRAP")?,
        );
        let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
        let name = format!("service_{}_{started}", std::process::id());
        run_sql(&postgres, format!("CREATE DATABASE {name}")).await;
        let (before, _) = postgres.rsplit_once('/').unwrap();
        let database = format!("{before}/{name}");
        Ok(Self {
            postgres,
            database,
            redis,
            kafka,
            name,
        })
    }

    /// Removes the database. The other servers are gone soon, or keep a few keys and records.
    pub(crate) async fn close(self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        run_sql(&self.postgres, drop).await;
    }

    /// Starts a process of this role, and waits until it listens. Secrets are in its environment.
    pub(crate) fn start(&self, role: &str) -> Process {
        let mut command = command();
        command
            .args([
                "--listen=127.0.0.1:0",
                "--log-format=json",
                "--kafka-partitions=3",
            ])
            .args(["--role", role, "--kafka-topic", &self.name])
            .args(["--redis-prefix", &format!("{}:", self.name)])
            .env("INVENTORY_SERVICE_POSTGRES", &self.database)
            .env("INVENTORY_SERVICE_WRITE_TOKEN", TOKEN);
        if matches!(role, "all" | "api" | "expiry") {
            command.env("INVENTORY_SERVICE_REDIS", &self.redis);
        }
        if matches!(role, "all" | "relay") {
            command.env("INVENTORY_SERVICE_KAFKA", &self.kafka);
        }
        Process::start(command)
    }
}

async fn run_sql(url: &str, sql: String) {
    let pool = PgPool::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
}

/// The service, without the options of whoever runs the tests.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inventory-service"));
    let ours = std::env::vars().filter(|(name, _)| name.starts_with("INVENTORY_SERVICE_"));
    for (name, _) in ours {
        command.env_remove(name);
    }
    command
        .env("RUST_LOG", "info")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Runs the service until it ends by itself.
pub(crate) fn run(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).output().unwrap()
}

/// A running process, which is killed when a test fails.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    pub(crate) url: String,
    http: reqwest::Client,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let mut process = Self {
            child,
            log: log.clone(),
            url: String::new(),
            http: reqwest::Client::builder()
                .timeout(PATIENCE)
                .build()
                .unwrap(),
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

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let sent = self.http.get(format!("{}{path}", self.url)).send().await;
        let response = sent.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn read(&self, path: &str) -> Value {
        let (status, text) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Writes with the token.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_with(TOKEN, path, body).await
    }

    pub(crate) async fn post_with(&self, token: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.url));
        let response = request.bearer_auth(token).json(body).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// Asks the process to end, and expects that it does so well and soon.
    pub(crate) fn stop(mut self) {
        let id = self.child.id().to_string();
        let asked = Instant::now();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
        let code = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
            assert!(
                asked.elapsed() < PATIENCE,
                "it does not end: {}",
                self.log()
            );
        };
        let log = self.log();
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("did not stop in time"), "{log}");
        assert!(!log.contains("a worker failed"), "{log}");
        assert!(!log.contains(TOKEN), "the log has the token: {log}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something holds that comes about by itself.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(
            began.elapsed() < PATIENCE,
            "it never came about that {what}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
