//! Problems of the cores' errors.

use axum::response::IntoResponse as _;
use serde_json::{Value, json};
use service_kit::Problem;
use stockade_catalog_core::{CatalogError, Expected, ProductId, Violation};
use stockade_inventory_core::{InventoryError, Shortage, Sku};
use stockade_search_sync::SearchError;

async fn body(problem: impl Into<Problem>) -> Value {
    let response = problem.into().into_response();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 16).await;
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

fn sku(name: &str) -> Sku {
    Sku::new(name).unwrap()
}

#[tokio::test]
async fn inventory() {
    let shortages = vec![Shortage::new(sku("lamp"), None, 3, 1)];
    let short = body(InventoryError::Insufficient { shortages }).await;
    assert_eq!(short["type"], "urn:stockade:problem:insufficient-stock");
    assert_eq!(
        (&short["status"], &short["field"]),
        (&json!(409), &json!("lines"))
    );
    let lines = json!([{"sku": "lamp", "location": null, "requested": 3, "open": 1}]);
    assert_eq!(short["shortages"], lines);

    let unknown = InventoryError::UnknownSku {
        skus: vec![sku("lamp")],
    };
    let unknown = body(unknown).await;
    assert_eq!(
        (&unknown["status"], &unknown["skus"]),
        (&json!(422), &json!(["lamp"]))
    );

    let invalid = body(InventoryError::invalid("owner", "", "it is empty")).await;
    assert_eq!(
        (&invalid["status"], &invalid["field"]),
        (&json!(400), &json!("owner"))
    );
}

#[tokio::test]
async fn catalogue() {
    let absent = CatalogError::VersionConflict {
        id: ProductId::new("lamp").unwrap(),
        expected: Expected::Version(3),
        current: None,
    };
    let absent = body(absent).await;
    assert_eq!(absent["type"], "urn:stockade:problem:version-conflict");
    assert_eq!(absent["current"], Value::Null);
    assert!(absent.as_object().unwrap().contains_key("current"));

    let violated = CatalogError::SchemaViolated {
        product: ProductId::new("lamp").unwrap(),
        product_type: stockade_catalog_core::ProductTypeName::new("lamp").unwrap(),
        violations: vec![Violation::new("attributes.watts", "it must be a number")],
    };
    let violated = body(violated).await;
    assert_eq!(
        (&violated["status"], &violated["field"]),
        (&json!(422), &json!("attributes.watts"))
    );

    let of_inventory = CatalogError::from(InventoryError::invalid("sku", "", "it is empty"));
    let of_inventory = body(of_inventory).await;
    assert_eq!(
        (&of_inventory["status"], &of_inventory["field"]),
        (&json!(400), &json!("sku"))
    );
}

#[tokio::test]
async fn search() {
    let invalid = body(SearchError::invalid("cursor", "x", "it is no cursor")).await;
    assert_eq!(
        (&invalid["status"], &invalid["field"]),
        (&json!(400), &json!("cursor"))
    );
    let inactive = body(SearchError::NothingActive).await;
    assert_eq!(inactive["status"], 503);
    let lacking = SearchError::Unsupported {
        feature: "suggest".to_owned(),
        consequence: "use search".to_owned(),
    };
    assert_eq!(body(lacking).await["status"], 501);
}
