//! Writes survive the end of the process.

use serde_json::json;
use stockade_catalog_core::{CatalogError, Expected, ProductKey, WriteEffect};

use super::CatalogHarness;
use super::shop::{Shop, full_product, product, shirt, sku, slug};
use crate::{Reopen, together};

/// Opens the data again.
async fn again<H: CatalogHarness + Reopen>(h: H, shop: Shop) -> (H, Shop) {
    drop(shop);
    let h = h.reopen().await;
    let shop = Shop::new(h.store());
    (h, shop)
}

pub(super) async fn products_and_types_survive<H: CatalogHarness + Reopen>(h: H) {
    let shop = Shop::open(&h).await;
    let strict = shirt().with_schema(json!({"type": "object"}));
    shop.put_type(&strict).await;
    let tee = shop.change(&full_product()).await;
    shop.change(&product("cap", &["cap"])).await;
    shop.delete("cap", Expected::Any).await;
    let (_h, shop) = again(h, shop).await;
    let keys = [
        ProductKey::Id(tee.content.id.clone()),
        ProductKey::Slug(slug("monospace-tee")),
        ProductKey::Sku(sku("tee-m")),
    ];
    for found in shop.get(&keys).await {
        assert_eq!(found.as_ref(), Some(&tee));
    }
    assert_eq!(shop.by_id("cap").await, None, "it was deleted");
    let types = shop.store.all_types().await;
    assert!(types.is_ok_and(|types| types == [strict]));
    let found = shop.ids_with(json!({"care": {"wash": 30}})).await;
    assert_eq!(found, ["tee"]);
}

pub(super) async fn versions_continue_to_rise<H: CatalogHarness + Reopen>(h: H) {
    let shop = Shop::open(&h).await;
    let mut content = product("tee", &["tee-m"]);
    let kept = shop.change(&content).await.version;
    let deleted = shop.change(&product("cap", &["cap"])).await.version;
    shop.delete("cap", Expected::Any).await;
    let (_h, shop) = again(h, shop).await;
    let repeated = shop.written(&content).await;
    assert_eq!(repeated.effect, WriteEffect::Unchanged);
    content.title = "Another".to_owned();
    let late = shop.put(&content, Expected::Version(kept + 1)).await;
    assert!(
        matches!(late, Err(CatalogError::VersionConflict { .. })),
        "{late:?}"
    );
    let changed = shop.put(&content, Expected::Version(kept)).await;
    assert!(
        changed
            .as_ref()
            .is_ok_and(|written| written.product.version > kept),
        "the version was {kept}, and {changed:?}"
    );
    let back = shop.change(&product("cap", &["cap"])).await.version;
    assert!(
        back > deleted,
        "put again after a deletion: the version was {deleted}, and is {back}"
    );
}

pub(super) async fn retired_skus_stay_retired<H: CatalogHarness + Reopen>(h: H) {
    let shop = Shop::open(&h).await;
    shop.change(&product("tee", &["tee-s", "tee-m"])).await;
    shop.change(&product("tee", &["tee-s"])).await;
    shop.change(&product("cap", &["cap"])).await;
    shop.delete("cap", Expected::Any).await;
    let (_h, shop) = again(h, shop).await;
    for taken in ["tee-s", "tee-m", "cap"] {
        let stolen = shop.put(&product("mug", &[taken]), Expected::Any).await;
        assert!(
            matches!(stolen, Err(CatalogError::SkuTaken { .. })),
            "SKU {taken} was reused by another product: {stolen:?}"
        );
    }
    shop.change(&product("tee", &["tee-s", "tee-m"])).await;
    shop.change(&product("cap", &["cap"])).await;
}

pub(super) async fn writes_under_load_survive<H: CatalogHarness + Reopen>(h: H) {
    let shop = Shop::open(&h).await;
    let answered = together((0..32).map(|writer| {
        let shop = shop.clone();
        async move {
            let mut last = None;
            for number in 0..5 {
                // Pairs of writers, each on one product.
                let name = format!("tee-{}", writer / 2);
                let mut content = product(&name, &[&format!("{name}-m")]);
                content.title = format!("{number} by {writer}");
                last = Some(shop.change(&content).await);
            }
            last
        }
    }))
    .await;
    let (_h, shop) = again(h, shop).await;
    for pair in answered.chunks(2) {
        let newest = pair.iter().flatten().max_by_key(|product| product.version);
        let newest = newest.expect("each writer wrote");
        let stored = shop.by_id(newest.content.id.as_str()).await;
        assert_eq!(stored.as_ref(), Some(newest));
    }
}
