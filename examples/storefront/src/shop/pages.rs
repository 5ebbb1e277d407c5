//! What the pages of a shop are made of, wherever its products and its stock are kept.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use service_kit::{Problem, availability_json, product_body};
use stockade_catalog_core::{Availability, Catalog, CircuitState};
use stockade_inventory_core::Sku;
use stockade_search_sync::SearchIndex;

use super::live::LiveStock;
use super::readers::{Lag, Readers};

/// What pages are made of.
pub(crate) struct Pages {
    pub(crate) products: Arc<dyn Products>,
    pub(crate) search: Arc<dyn SearchIndex>,
    pub(crate) live: Arc<LiveStock>,
    pub(crate) readers: Readers,
}

/// Products with their stock, as HTTP clients see them.
#[async_trait]
pub(crate) trait Products: Send + Sync {
    /// The body of `GET /products/{name}`.
    async fn product(&self, name: &str) -> Result<Value, Problem>;

    /// The body of `GET /availability`.
    async fn availability(&self, skus: &[Sku]) -> Result<Value, Problem>;

    /// The state of the availability circuit; none if it is in another process.
    fn circuit(&self) -> Option<CircuitState>;
}

/// The health of a shop.
#[derive(Debug)]
pub struct Health {
    /// The first worker that failed, and why.
    pub failed_worker: Option<String>,
    /// The state of the availability circuit; none if it is in another process.
    pub circuit: Option<CircuitState>,
    /// How far each consumer group is behind.
    pub lag: Vec<Lag>,
}

impl Pages {
    /// The health of the shop. Returns soon even if the log hangs.
    pub(crate) async fn health(&self) -> Health {
        Health {
            failed_worker: self.readers.failed_worker(),
            circuit: self.products.circuit(),
            lag: self.readers.lag().await,
        }
    }
}

/// Products and stock of the shop's own.
pub(super) struct OwnProducts {
    pub(super) catalog: Arc<Catalog>,
    pub(super) availability: Arc<Availability>,
}

#[async_trait]
impl Products for OwnProducts {
    async fn product(&self, name: &str) -> Result<Value, Problem> {
        product_body(&self.catalog, &self.availability, name).await
    }

    async fn availability(&self, skus: &[Sku]) -> Result<Value, Problem> {
        Ok(availability_json(&self.availability, skus).await)
    }

    fn circuit(&self) -> Option<CircuitState> {
        Some(self.availability.circuit())
    }
}
