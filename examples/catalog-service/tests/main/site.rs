//! The servers that the services run over, and the services as processes.

use std::process::Command;

use serde_json::{Value, json};
use service_kit::testing::{Process, eventually, without_options};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use stack::{Kind, Port, Redis, Server as _};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) const TOKEN: &str = "write-token-0123456789";

/// How many variants the product of the tests has.
pub(crate) const VARIANTS: usize = 25;

/// How many SKUs were written to the cache by fills.
pub(crate) const REFILLED: &str = "stockade_availability_refilled_skus_total";

/// Processes that run beside those of another test would be late.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// The servers: a database for each service, a Redis of its own, and a topic of its own.
pub(crate) struct Site {
    pub(crate) name: String,
    postgres: String,
    pub(crate) redis: Redis,
    pub(crate) kafka: String,
    inventory: Port,
    /// Where the services send traces.
    pub(crate) traces: Option<String>,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    /// The servers; none where the test is skipped. `kafka` is a broker of the test's own; otherwise
    /// the one is used that all tests share.
    pub(crate) async fn open(kafka: Option<String>) -> Option<Self> {
        let turn = ONE_AT_A_TIME.lock().await;
        let site = Self {
            name: format!("catalog_{}_{}", std::process::id(), now()),
            postgres: Kind::Postgres.given_for_test()?,
            redis: Redis::for_test()?,
            kafka: kafka.or_else(|| Kind::Kafka.given_for_test())?,
            inventory: Port::take().unwrap(),
            traces: None,
            _turn: turn,
        };
        for database in [site.database("catalog"), site.database("inventory")] {
            site.run_sql(format!("CREATE DATABASE {database}")).await;
        }
        Some(site)
    }

    /// Removes the databases. The topic and the group stay on the broker until it ends.
    pub(crate) async fn close(self) {
        for database in [self.database("catalog"), self.database("inventory")] {
            let drop = format!("DROP DATABASE {database} WITH (FORCE)");
            self.run_sql(drop).await;
        }
    }

    pub(crate) fn database(&self, of: &str) -> String {
        format!("{}_{of}", self.name)
    }

    pub(crate) fn database_url(&self, of: &str) -> String {
        let (before, _) = self.postgres.rsplit_once('/').unwrap();
        format!("{before}/{}", self.database(of))
    }

    pub(crate) async fn run_sql(&self, sql: String) {
        run_sql(&self.postgres, sql).await;
    }

    /// Runs SQL in the database of the inventory service, as its operator.
    pub(crate) async fn run_sql_of_inventory(&self, sql: String) {
        run_sql(&self.database_url("inventory"), sql).await;
    }

    /// A field of the cache in Redis: a SKU, or a part of its state.
    pub(crate) fn cached(&self, field: &str) -> String {
        let bucket = "availability:1:{0/1:0}";
        self.redis.cli(&["HGET", bucket, field]).unwrap()
    }

    /// The units of a variant in the cache.
    pub(crate) fn cached_units(&self, number: usize) -> Option<u64> {
        let entry = self.cached(&sku(number));
        entry
            .rsplit(' ')
            .next()
            .and_then(|units| units.parse().ok())
    }

    /// Starts the inventory service in one process, at the same address each time.
    pub(crate) fn inventory(&self) -> Process {
        self.inventory_as("all")
    }

    /// Starts the inventory service with this role. The one that answers requests is at the same
    /// address each time.
    pub(crate) fn inventory_as(&self, role: &str) -> Process {
        let mut command = crate::inventory::command();
        let address = match role {
            "all" | "api" => self.inventory.address().to_string(),
            _ => "127.0.0.1:0".to_owned(),
        };
        command
            .env("INVENTORY_SERVICE_LISTEN", address)
            .env("INVENTORY_SERVICE_LOG_FORMAT", "json")
            .env("INVENTORY_SERVICE_ROLE", role)
            .env("INVENTORY_SERVICE_POSTGRES", self.database_url("inventory"))
            .env("INVENTORY_SERVICE_REDIS", self.redis.url())
            .env("INVENTORY_SERVICE_KAFKA", &self.kafka)
            .env("INVENTORY_SERVICE_KAFKA_TOPIC", &self.name)
            .env("INVENTORY_SERVICE_KAFKA_PARTITIONS", "3")
            .env("INVENTORY_SERVICE_WRITE_TOKEN", TOKEN);
        if let Some(traces) = &self.traces {
            command.env("INVENTORY_SERVICE_TRACES", traces);
        }
        Process::start(command, TOKEN)
    }

    /// Starts the catalogue service with this role. Secrets are in its environment.
    pub(crate) fn catalog(&self, role: &str, options: &[&str]) -> Process {
        self.catalog_over(&self.redis.url(), role, options)
    }

    /// As [`catalog`](Self::catalog), with another way to Redis.
    pub(crate) fn catalog_over(&self, redis: &str, role: &str, options: &[&str]) -> Process {
        let mut command = command();
        command
            .args(["--listen=127.0.0.1:0", "--log-format=json", "--role", role])
            .args([
                "--inventory",
                &format!("http://{}", self.inventory.address()),
            ])
            .args(options)
            .env("CATALOG_SERVICE_REDIS", redis)
            .env("CATALOG_SERVICE_WRITE_TOKEN", TOKEN);
        if let Some(traces) = &self.traces {
            command.env("CATALOG_SERVICE_TRACES", traces);
        }
        if role != "availability" {
            command.env("CATALOG_SERVICE_POSTGRES", self.database_url("catalog"));
        }
        if role != "api" {
            command
                .args(["--kafka", &self.kafka, "--kafka-topic", &self.name])
                .args(["--kafka-partitions=3", "--kafka-group", &self.name]);
        }
        Process::start(command, TOKEN)
    }
}

async fn run_sql(url: &str, sql: String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let run = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection);
    run.await.unwrap();
    connection.close().await.unwrap();
}

pub(crate) fn now() -> u128 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()
}

/// The catalogue service, without the options in the environment of the tests.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_catalog-service"));
    without_options(&mut command, "catalog-service");
    command
}

pub(crate) fn sku(number: usize) -> String {
    format!("lamp-{number}")
}

/// Creates a product with 25 variants, of which all but the last are in stock: as many units as
/// its number.
pub(crate) async fn lamps(catalog: &Process, inventory: &Process) {
    let (status, answer) = catalog.put("/product-types/lamp", &json!({})).await;
    assert_eq!(status, 201, "{answer}");
    let variants: Vec<_> = (1..=VARIANTS)
        .map(|number| json!({"sku": sku(number)}))
        .collect();
    let product = json!({"title": "Lamp", "product_type": "lamp", "variants": variants});
    let (status, answer) = catalog.put("/products/lamp", &product).await;
    assert_eq!(status, 201, "{answer}");
    for number in 1..VARIANTS {
        receive(inventory, number, number).await;
    }
}

/// Receives units of a variant.
pub(crate) async fn receive(inventory: &Process, number: usize, units: usize) {
    let body = json!({
        "sku": sku(number), "receive": units, "reason": "delivery",
        "operation_id": format!("{}-{}", sku(number), now()),
    });
    let (status, answer) = inventory.post("/stock", &body).await;
    assert_eq!(status, 200, "{answer}");
}

/// Reserves one unit of a variant.
pub(crate) async fn reserve(inventory: &Process, number: usize) {
    let order = json!({"lines": [{"sku": sku(number), "quantity": 1}], "owner": "ada"});
    let (status, answer) = inventory.post("/reserve", &order).await;
    assert_eq!(status, 201, "{answer}");
}

/// What a page says about a variant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    pub(crate) available: Option<u64>,
    pub(crate) source: String,
    pub(crate) age: Option<f64>,
}

/// The variants of the product, in their order.
pub(crate) async fn page(catalog: &Process) -> Vec<Shown> {
    let page = catalog.read("/products/lamp").await;
    let variants = page["variants"].as_array().unwrap();
    let shown: Vec<_> = variants
        .iter()
        .map(|it| shown(&it["availability"]))
        .collect();
    assert_eq!(shown.len(), VARIANTS);
    shown
}

pub(crate) fn shown(availability: &Value) -> Shown {
    Shown {
        available: availability["available"].as_u64(),
        source: availability["source"].as_str().unwrap().to_owned(),
        age: availability["age_seconds"].as_f64(),
    }
}

/// Whether the whole page is from this source, and has these units of the first variants.
pub(crate) async fn shows(catalog: &Process, source: &str, available: &[u64]) -> bool {
    let page = page(catalog).await;
    let units: Vec<_> = page.iter().map(|it| it.available).collect();
    let expected: Vec<_> = available.iter().map(|units| Some(*units)).collect();
    page.iter().all(|it| it.source == source) && units.starts_with(&expected)
}

/// The units of the variants that are stocked.
pub(crate) async fn units(catalog: &Process) -> Vec<u64> {
    let page = page(catalog).await;
    page.into_iter().filter_map(|it| it.available).collect()
}

/// What a process has counted under this name, with all its labels; 0 before the first time.
pub(crate) async fn counted(process: &Process, name: &str) -> f64 {
    let metrics = process.get("/metrics").await.1;
    let lines = metrics.lines().filter_map(|line| {
        let labels = line.strip_prefix(name)?;
        labels.starts_with(['{', ' ']).then_some(labels)
    });
    lines
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum()
}

/// Waits until the whole page is from the cache, with these units of the first variants.
pub(crate) async fn from_cache(catalog: &Process, available: &[u64]) {
    eventually("the page is from the cache", || async {
        shows(catalog, "cache", available).await
    })
    .await;
}
