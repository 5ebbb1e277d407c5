//! The servers, and the services as processes over them.

use std::process::Command;

use anyhow::Context as _;
use service_kit::testing::Process;
use stack::{Kafka, Port, Postgres, Redis, RedisOptions, Server as _};

/// The token for writes.
pub(crate) const TOKEN: &str = "write-token-0123456789";

/// A Postgres, a Redis and a broker of their own.
pub(crate) struct Site {
    postgres: Postgres,
    redis: Redis,
    kafka: Kafka,
    inventory: Port,
}

impl Site {
    pub(crate) fn start() -> anyhow::Result<Self> {
        // It announces keys that expire.
        let redis = RedisOptions::new().start();
        Ok(Self {
            postgres: Postgres::start().context("Postgres")?,
            redis: redis.context("Redis")?,
            kafka: Kafka::start().context("Kafka")?,
            inventory: Port::take()?,
        })
    }

    /// The database of both services.
    pub(crate) fn database(&self) -> String {
        self.postgres.url()
    }

    /// All of inventory in one process.
    pub(crate) fn inventory(&self) -> anyhow::Result<Process> {
        let mut command = this_as("inventory-service")?;
        command
            .arg(format!("--listen={}", self.inventory.address()))
            .args(self.servers());
        Ok(Process::start(command, TOKEN))
    }

    /// A process of the catalogue with this role and these options.
    pub(crate) fn catalog(&self, role: &str, options: &[&str]) -> anyhow::Result<Process> {
        let mut command = this_as("catalog-service")?;
        command
            .args(["--listen=127.0.0.1:0", "--role", role])
            .arg(format!("--inventory=http://{}", self.inventory.address()))
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

/// This program again, as one of the services.
fn this_as(service: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    service_kit::testing::without_options(&mut command, service);
    command.arg(service).env_remove("RUST_LOG");
    Ok(command)
}
