//! The servers, and the services as processes over them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use service_kit::testing::Process;
use stack::{Kafka, Postgres, Redis, RedisOptions, Server as _};

/// The token for writes.
pub(crate) const TOKEN: &str = "write-token-0123456789";

/// A Postgres, a Redis and a broker of their own.
pub(crate) struct Site {
    postgres: Postgres,
    redis: Redis,
    kafka: Kafka,
}

/// The programs that the processes run.
#[derive(Clone, Debug)]
pub(crate) enum Build {
    /// This program, as one of the services.
    This,
    /// The programs `inventory-service` and `catalog-service` in this folder.
    Of(PathBuf),
}

impl Site {
    pub(crate) fn start() -> anyhow::Result<Self> {
        // It announces keys that expire.
        let redis = RedisOptions::new().start();
        Ok(Self {
            postgres: Postgres::start().context("Postgres")?,
            redis: redis.context("Redis")?,
            kafka: Kafka::start().context("Kafka")?,
        })
    }

    /// The database of both services.
    pub(crate) fn database(&self) -> String {
        self.postgres.url()
    }

    /// All of inventory in one process.
    pub(crate) fn inventory(&self, build: &Build) -> anyhow::Result<Process> {
        let mut command = build.command("inventory-service")?;
        command.arg("--listen=127.0.0.1:0").args(self.servers());
        Ok(Process::start(command, TOKEN))
    }

    /// A process of the catalogue with this role and these options, which asks `inventory`.
    pub(crate) fn catalog(
        &self,
        build: &Build,
        role: &str,
        inventory: &Process,
        options: &[&str],
    ) -> anyhow::Result<Process> {
        let mut command = build.command("catalog-service")?;
        command
            .args(["--listen=127.0.0.1:0", "--role", role])
            .arg(format!("--inventory={}", inventory.url()))
            .args(self.servers())
            .args(options);
        Ok(Process::start(command, TOKEN))
    }

    fn servers(&self) -> [String; 6] {
        [
            "--log-format=json".to_owned(),
            "--log-filter=warn,inventory_service=info,catalog_service=info,load=info".to_owned(),
            format!("--write-token={TOKEN}"),
            format!("--postgres={}", self.postgres.url()),
            format!("--redis={}", self.redis.url()),
            format!("--kafka={}", self.kafka.url()),
        ]
    }
}

impl Build {
    fn command(&self, service: &str) -> anyhow::Result<Command> {
        let mut command = match self {
            Self::This => {
                let mut this = Command::new(std::env::current_exe()?);
                this.arg(service);
                this
            }
            Self::Of(folder) => Command::new(folder.join(service)),
        };
        service_kit::testing::without_options(&mut command, service);
        command.env_remove("RUST_LOG");
        Ok(command)
    }
}
