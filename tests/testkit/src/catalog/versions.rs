//! Versions rise, and writers compare them.

use serde_json::json;
use stockade_catalog_core::{
    CatalogError, Deleted, Expected, Product, ProductContent, ProductKey, ProductStatus,
    WriteEffect,
};

use super::CatalogHarness;
use super::shop::{Shop, full_product, id, media, money, object, product, sku, slug};

pub(super) async fn a_write_returns_what_is_stored<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut content = full_product();
    let created = shop.written(&content).await;
    assert_eq!(created.effect, WriteEffect::Created);
    assert_eq!(shop.by_id("tee").await, Some(created.product));
    content.title.push('!');
    let updated = shop.written(&content).await;
    assert_eq!(updated.effect, WriteEffect::Updated);
    assert_eq!(shop.by_id("tee").await, Some(updated.product));
}

pub(super) async fn every_change_raises_the_version<H: CatalogHarness>(h: H) {
    type Change = (&'static str, fn(&mut ProductContent));
    let changes: [Change; 17] = [
        ("slug", |c| c.slug = slug("another")),
        ("title", |c| c.title = "Another".to_owned()),
        ("description", |c| c.description.clear()),
        ("brand", |c| c.brand = None),
        ("category", |c| c.category.truncate(1)),
        ("status", |c| c.status = ProductStatus::Active),
        ("media", |c| c.media.reverse()),
        ("alt", |c| c.media[0] = media("front", "Another")),
        ("attributes", |c| {
            c.attributes = object(json!({"care": {"wash": 40}}));
        }),
        ("variant's name", |c| {
            c.variants[1].name = Some("M".to_owned());
        }),
        ("variant's options", |c| c.variants[0].options.clear()),
        ("variant's price", |c| {
            c.variants[0].price = Some(money(2_000, "EUR"));
        }),
        ("variant's currency", |c| {
            c.variants[0].price = Some(money(2_000, "USD"));
        }),
        ("variant's attributes", |c| c.variants[0].attributes.clear()),
        ("order of variants", |c| c.variants.reverse()),
        ("new variant", |c| {
            let variant = stockade_catalog_core::Variant::new(sku("tee-l"));
            c.variants.push(variant);
        }),
        ("retired variant", |c| c.variants.truncate(1)),
    ];
    let shop = Shop::open(&h).await;
    let mut content = full_product();
    let mut last = shop.change(&content).await.version;
    assert!(last > 0, "versions begin above 0");
    for (what, change) in changes {
        change(&mut content);
        let expected = Expected::Version(last);
        let written = shop.put(&content, expected).await;
        let written = written.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(written.effect, WriteEffect::Updated, "another {what}");
        let version = written.product.version;
        assert!(
            version > last,
            "another {what}: the version was {last}, and is {version}"
        );
        assert_eq!(shop.by_id("tee").await, Some(written.product));
        last = version;
    }
}

/// Asserts that a write was refused because of another version, and returns the current product of
/// the error.
fn conflict<T: std::fmt::Debug>(
    outcome: Result<T, CatalogError>,
    asked: Expected,
) -> Option<Product> {
    match outcome {
        Err(CatalogError::VersionConflict {
            id: of,
            expected,
            current,
        }) => {
            assert_eq!((of, expected), (id("tee"), asked));
            current.map(|product| *product)
        }
        other => panic!("a version that is not current was expected, but got {other:?}"),
    }
}

pub(super) async fn an_expected_version_is_compared<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut content = product("tee", &["tee-m"]);
    let missing = Expected::Version(1);
    let told = conflict(shop.put(&content, missing).await, missing);
    assert_eq!(told, None, "nothing is there");
    assert_eq!(shop.by_id("tee").await, None, "a refused write created it");

    let first = shop.change(&content).await;
    content.title = "Second".to_owned();
    let second = shop.put(&content, Expected::Version(first.version)).await;
    let second = second.unwrap_or_else(|error| panic!("the version was right: {error}"));
    content.title = "Third".to_owned();
    for wrong in [0, first.version, second.product.version + 1, u64::MAX] {
        let expected = Expected::Version(wrong);
        conflict(shop.put(&content, expected).await, expected);
    }
    assert_eq!(
        shop.by_id("tee").await,
        Some(second.product),
        "a refused write changed it"
    );
}

pub(super) async fn an_expected_absence_is_compared<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut content = product("tee", &[]);
    let first = shop.put(&content, Expected::Absent).await;
    assert!(first.is_ok(), "nothing was there: {first:?}");
    content.title = "Another".to_owned();
    conflict(shop.put(&content, Expected::Absent).await, Expected::Absent);
    shop.delete("tee", Expected::Any).await;
    let again = shop.put(&content, Expected::Absent).await;
    assert!(again.is_ok(), "a deleted product is absent: {again:?}");
}

pub(super) async fn a_conflict_returns_the_current_product<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut content = full_product();
    let current = shop.change(&content).await;
    content.title = "Another".to_owned();
    content.variants.pop();
    for expected in [Expected::Absent, Expected::Version(current.version + 7)] {
        let told = conflict(shop.put(&content, expected).await, expected);
        assert_eq!(
            told.as_ref(),
            Some(&current),
            "a conflict contains the current product"
        );
    }
    let told = Expected::Version(current.version);
    let written = shop.put(&content, told).await;
    assert!(
        written.is_ok(),
        "based on the returned product: {written:?}"
    );
}

pub(super) async fn a_repeated_write_changes_nothing<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let content = full_product();
    let first = shop.change(&content).await;
    for _ in 0..3 {
        let again = shop.written(&content).await;
        assert_eq!(
            (again.effect, &again.product),
            (WriteEffect::Unchanged, &first),
            "the same content once more"
        );
    }
    assert_eq!(shop.by_id("tee").await, Some(first));
}

pub(super) async fn a_repeated_write_does_not_conflict_with_itself<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut content = full_product();
    let mut expected = Expected::Absent;
    for title in ["First", "Second", "Third"] {
        content.title = title.to_owned();
        let written = shop.put(&content, expected).await;
        let written = written.unwrap_or_else(|error| panic!("{title}: {error}"));
        // The reply was lost, and the same write is sent again.
        let again = shop.put(&content, expected).await;
        let again =
            again.unwrap_or_else(|error| panic!("a repeated write conflicts with itself: {error}"));
        assert_eq!(again.effect, WriteEffect::Unchanged);
        assert_eq!(again.product, written.product);
        expected = Expected::Version(written.product.version);
    }
}

pub(super) async fn a_write_repeated_too_late_conflicts<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let first = product("tee", &["tee-m"]);
    let mut second = first.clone();
    second.title = "Second".to_owned();
    shop.change(&first).await;
    let current = shop.change(&second).await;
    let told = conflict(shop.put(&first, Expected::Absent).await, Expected::Absent);
    assert_eq!(told.as_ref(), Some(&current));
    assert_eq!(shop.by_id("tee").await, Some(current));
}

pub(super) async fn versions_rise_across_a_deletion<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let content = product("tee", &["tee-m"]);
    let mut last = shop.change(&content).await.version;
    for _ in 0..3 {
        assert_eq!(shop.delete("tee", Expected::Any).await, Deleted::Removed);
        let again = shop.written(&content).await;
        assert_eq!(again.effect, WriteEffect::Created, "it was deleted");
        let version = again.product.version;
        assert!(
            version > last,
            "put again after a deletion: the version was {last}, and is {version}"
        );
        last = version;
    }
}

pub(super) async fn a_deletion_compares_the_version<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let current = shop.change(&full_product()).await;
    for expected in [Expected::Absent, Expected::Version(current.version + 1)] {
        let told = conflict(shop.store.delete(&id("tee"), expected).await, expected);
        assert_eq!(told.as_ref(), Some(&current));
    }
    assert_eq!(
        shop.by_id("tee").await.as_ref(),
        Some(&current),
        "a refused deletion changed it"
    );
    let deleted = shop.delete("tee", Expected::Version(current.version)).await;
    assert_eq!(deleted, Deleted::Removed);
}

pub(super) async fn deleting_an_absent_product_succeeds<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let version = shop.change(&product("tee", &["tee-m"])).await.version;
    let expected = Expected::Version(version);
    assert_eq!(shop.delete("tee", expected).await, Deleted::Removed);
    for expected in [expected, Expected::Any, Expected::Absent] {
        assert_eq!(shop.delete("tee", expected).await, Deleted::Absent);
        assert_eq!(shop.delete("never", expected).await, Deleted::Absent);
    }
}

pub(super) async fn a_deleted_product_is_gone<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let content = full_product();
    let other = shop.change(&product("cap", &["cap-m"])).await;
    shop.change(&content).await;
    shop.delete("tee", Expected::Any).await;
    let keys = [
        ProductKey::Id(content.id),
        ProductKey::Slug(content.slug),
        ProductKey::Sku(sku("tee-s")),
        ProductKey::Sku(sku("tee-m")),
    ];
    for (key, found) in keys.iter().zip(shop.get(&keys).await) {
        assert_eq!(found, None, "{key:?} of a deleted product");
    }
    let left = shop.ids_with(json!({})).await;
    assert_eq!(left, ["cap"]);
    assert_eq!(shop.by_id("cap").await, Some(other));
}
