//! The servers, the services over them, and a front of the services.

use std::process::Command;

use serde_json::{Value, json};
use service_kit::testing::{Process, eventually};
use stack::{Kind, Port, Postgres, Redis, Server as _};

use super::processes::{command, storefront};

/// The write token of the services, which no client of the front has.
pub(super) const TOKEN: &str = "token-of-the-services-01";
/// What clients of the front send, which needs none.
const CLIENT_TOKEN: &str = "token-of-a-client-0123";

/// Servers of the test's own, but for Kafka, where it has a topic of its own.
pub(super) struct Site {
    name: String,
    postgres: Postgres,
    redis: Redis,
    kafka: String,
    inventory: Port,
    catalog: Port,
    /// Where the processes send traces.
    pub(super) traces: Option<String>,
}

impl Site {
    /// The servers; none where the test is skipped.
    pub(super) fn open() -> Option<Self> {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
        Some(Self {
            name: format!("storefront_{}_{now}", std::process::id()),
            postgres: Postgres::for_test()?,
            redis: Redis::for_test()?,
            kafka: Kind::Kafka.given_for_test()?,
            inventory: Port::take().unwrap(),
            catalog: Port::take().unwrap(),
            traces: None,
        })
    }

    /// Where the inventory service listens.
    pub(super) fn inventory_address(&self) -> std::net::SocketAddr {
        self.inventory.address()
    }

    /// Starts the inventory service, at the same address each time.
    pub(super) fn inventory(&self) -> Process {
        let mut command = command("inventory-service");
        self.configure(&mut command, "INVENTORY_SERVICE", Some(&self.inventory));
        command
            .env("INVENTORY_SERVICE_REDIS", self.redis.url())
            .env("INVENTORY_SERVICE_WRITE_TOKEN", TOKEN);
        Process::start(command, TOKEN)
    }

    /// Starts the catalogue service, at the same address each time.
    pub(super) fn catalog(&self) -> Process {
        let mut command = command("catalog-service");
        self.configure(&mut command, "CATALOG_SERVICE", Some(&self.catalog));
        command
            .env("CATALOG_SERVICE_REDIS", self.redis.url())
            .env("CATALOG_SERVICE_KAFKA_GROUP", &self.name)
            .env(
                "CATALOG_SERVICE_INVENTORY",
                format!("http://{}", self.inventory.address()),
            )
            .env("CATALOG_SERVICE_WRITE_TOKEN", TOKEN);
        Process::start(command, TOKEN)
    }

    /// Starts a front of both, with these options. It does not have one whose value is empty.
    pub(super) fn front(&self, options: &[(&str, &str)]) -> Process {
        let mut command = storefront();
        self.configure(&mut command, "STOREFRONT", None);
        for (name, port) in [("CATALOG", &self.catalog), ("INVENTORY", &self.inventory)] {
            command
                .env(
                    format!("STOREFRONT_{name}_SERVICE"),
                    format!("http://{}", port.address()),
                )
                .env(format!("STOREFRONT_{name}_TOKEN"), TOKEN);
        }
        for (name, value) in options {
            let variable = format!("STOREFRONT_{name}");
            match *value {
                "" => command.env_remove(variable),
                value => command.env(variable, value),
            };
        }
        Process::start(command, CLIENT_TOKEN)
    }

    fn configure(&self, command: &mut Command, service: &str, port: Option<&Port>) {
        let listen = match port {
            Some(port) => port.address().to_string(),
            None => "127.0.0.1:0".to_owned(),
        };
        for (option, value) in [
            ("LISTEN", listen.as_str()),
            ("LOG_FORMAT", "json"),
            ("POSTGRES", &self.postgres.url()),
            ("KAFKA", &self.kafka),
            ("KAFKA_TOPIC", &self.name),
            ("KAFKA_PARTITIONS", "3"),
        ] {
            command.env(format!("{service}_{option}"), value);
        }
        if let Some(traces) = &self.traces {
            command.env(format!("{service}_TRACES"), traces);
        }
    }
}

/// Creates a lamp through the front, with two variants.
pub(super) async fn lamp(front: &Process) {
    let (status, answer) = front.put("/product-types/lamp", &json!({})).await;
    assert_eq!(status, 201, "{answer}");
    let product = json!({
        "title": "Heron Lamp", "description": "It bends.", "product_type": "lamp",
        "variants": [
            {"sku": "lamp-red", "name": "Red", "price": {"minor": 1900, "currency": "EUR"}},
            {"sku": "lamp-blue", "name": "Blue", "price": {"minor": 2100, "currency": "EUR"}},
        ],
    });
    let (status, answer) = front.put("/products/heron-lamp", &product).await;
    assert_eq!(status, 201, "{answer}");
}

/// Receives units through the front, once for each name.
pub(super) async fn receive(front: &Process, sku: &str, units: u64, name: &str) {
    let body = json!({
        "sku": sku, "receive": units, "reason": "delivery", "operation_id": format!("{sku}-{name}"),
    });
    let (status, answer) = front.post("/stock", &body).await;
    assert_eq!(status, 200, "{answer}");
}

/// Waits until the page of the front shows this number of red lamps.
pub(super) async fn shows(front: &Process, red: u64) {
    eventually(&format!("the page shows {red}"), || async {
        let page = front.read("/products/heron-lamp").await;
        page["variants"][0]["availability"]["available"] == red
    })
    .await;
}

/// Waits until search finds products, and how many are in stock.
pub(super) async fn finds(front: &Process, query: &str, total: u64) {
    eventually(&format!("search finds {total} by {query}"), || async {
        front.read(&format!("/search?{query}")).await["total"] == total
    })
    .await;
}

/// What is wrong, and with which service.
pub(super) fn problem(answer: &Value) -> (&str, &str) {
    let kind = answer["type"].as_str().unwrap_or_default();
    let kind = kind.trim_start_matches("urn:stockade:problem:");
    (kind, answer["service"].as_str().unwrap_or_default())
}
