//! Products and stock as the services answer.

use async_trait::async_trait;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use service_kit::Problem;
use stockade_catalog_core::CircuitState;
use stockade_inventory_core::Sku;

use super::remote::Remote;
use crate::shop::Products;

/// Products of the catalogue service.
pub(super) struct RemoteProducts(pub(super) Remote);

#[async_trait]
impl Products for RemoteProducts {
    async fn product(&self, name: &str) -> Result<Value, Problem> {
        self.0.get(&format!("/products/{}", encoded(name))).await
    }

    async fn availability(&self, skus: &[Sku]) -> Result<Value, Problem> {
        let skus = skus
            .iter()
            .map(|sku| format!("sku={}", encoded(sku.as_str())));
        let query = skus.collect::<Vec<_>>().join("&");
        self.0.get(&format!("/availability?{query}")).await
    }

    fn circuit(&self) -> Option<CircuitState> {
        None
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
