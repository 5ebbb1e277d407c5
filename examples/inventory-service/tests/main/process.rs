//! The service as a process, and the servers that it runs over.

use std::process::{Command, Output};

use service_kit::testing::{Process, without_options};
use sqlx::{AssertSqlSafe, PgPool};
use stack::Kind;

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
    /// A database, a prefix of keys and a topic of its own; none where the test is skipped.
    pub(crate) async fn open() -> Option<Self> {
        let postgres = Kind::Postgres.given_for_test()?;
        let redis = Kind::Redis.given_for_test()?;
        let kafka = Kind::Kafka.given_for_test()?;
        let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
        let name = format!("service_{}_{started}", std::process::id());
        run_sql(&postgres, format!("CREATE DATABASE {name}")).await;
        let (before, _) = postgres.rsplit_once('/').unwrap();
        let database = format!("{before}/{name}");
        Some(Self {
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
        self.start_over(role, &self.redis)
    }

    /// As [`start`](Self::start), over another Redis.
    pub(crate) fn start_over(&self, role: &str, redis: &str) -> Process {
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
            command.env("INVENTORY_SERVICE_REDIS", redis);
        }
        if matches!(role, "all" | "relay") {
            command.env("INVENTORY_SERVICE_KAFKA", &self.kafka);
        }
        Process::start(command, TOKEN)
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
    without_options(&mut command, "inventory-service");
    command
}

/// Runs the service until it ends by itself.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}
