//! Each write of a call has its own outcome.

use serde_json::json;
use stockade_catalog_core::{CatalogError, Expected, ProductWrite};

use super::CatalogHarness;
use super::shop::{Shop, ids, product, slug, type_name};

pub(super) async fn a_refused_write_does_not_affect_others<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let tee = shop.change(&product("tee", &["tee-m"])).await;
    let mut unknown = product("unknown-type", &[]);
    unknown.product_type = type_name("lamp");
    let mut taken = product("taken-slug", &[]);
    taken.slug = slug("tee");
    let mut late = product("tee", &["tee-m"]);
    late.title = "Another".to_owned();
    let any = Expected::Any;
    let writes = [
        (product("first", &["first-m"]), any),
        (unknown, any),
        (taken, any),
        (late, Expected::Version(tee.version + 1)),
        (product("stolen", &["stolen", "tee-m"]), any),
        (product("missing", &[]), Expected::Version(1)),
        (product("tee", &["tee-m"]), any),
        (product("last", &["last-m"]), Expected::Absent),
    ]
    .map(|(content, expected)| ProductWrite { content, expected });
    let outcomes = shop
        .store
        .put(&writes)
        .await
        .expect("the call as a whole succeeds");
    let told = outcomes.iter().map(|outcome| match outcome {
        Ok(written) => written.product.content.id.as_str(),
        Err(CatalogError::UnknownProductType { .. }) => "unknown type",
        Err(CatalogError::SlugTaken { .. }) => "slug taken",
        Err(CatalogError::SkuTaken { .. }) => "SKU taken",
        Err(CatalogError::VersionConflict { .. }) => "conflict",
        Err(other) => panic!("a write returned {other}"),
    });
    let told: Vec<_> = told.collect();
    let expected = [
        "first",
        "unknown type",
        "slug taken",
        "conflict",
        "SKU taken",
        "conflict",
        "tee",
        "last",
    ];
    assert_eq!(told, expected, "each write has its own outcome, in order");
    assert_eq!(shop.ids_with(json!({})).await, ["first", "last", "tee"]);
    assert_eq!(shop.by_id("tee").await, Some(tee));
}

pub(super) async fn an_empty_batch_has_no_outcomes<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    assert!(
        shop.store
            .put(&[])
            .await
            .expect("the call as a whole succeeds")
            .is_empty()
    );
    assert_eq!(shop.get(&[]).await, []);
    let types = shop.store.get_types(&[]).await;
    assert!(types.is_ok_and(|types| types.is_empty()));
}

pub(super) async fn many_writes_in_one_call<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let names: Vec<String> = (0..500).map(|n| format!("tee-{n:03}")).collect();
    let write = |name: &String| ProductWrite {
        content: product(name, &[&format!("{name}-s"), &format!("{name}-m")]),
        expected: Expected::Absent,
    };
    let writes: Vec<_> = names.iter().map(write).collect();
    let outcomes = shop
        .store
        .put(&writes)
        .await
        .expect("the call as a whole succeeds");
    assert_eq!(outcomes.len(), writes.len(), "each write has an outcome");
    let written: Vec<_> = outcomes.into_iter().flatten().map(|w| w.product).collect();
    assert_eq!(ids(&written), names, "each is written, in order");
    assert_eq!(shop.ids_with(json!({})).await, names);
}
