use std::num::NonZeroUsize;

use serde_json::json;
use stockade_change_feed::{Feed, Group, ManualClock, PollLimits, SubscribeOptions, Timestamp};
use stockade_inventory_core::Sku;

use super::*;
use crate::product::{ProductContent, Slug, Variant};

fn sku(name: &str) -> Sku {
    Sku::new(name).unwrap()
}

fn id(name: &str) -> ProductId {
    ProductId::new(name).unwrap()
}

fn shirts() -> ProductType {
    ProductType::permissive(ProductTypeName::new("shirt").unwrap())
}

fn product(name: &str, skus: &[&str]) -> ProductContent {
    let slug = Slug::new(format!("slug-{name}")).unwrap();
    let mut content = ProductContent::new(id(name), slug, name, shirts().name);
    content.variants = skus.iter().map(|name| Variant::new(sku(name))).collect();
    content
}

async fn catalog() -> MemoryCatalog {
    let catalog = MemoryCatalog::new();
    catalog.put_type(&shirts()).await.unwrap();
    catalog
}

async fn put(
    catalog: &MemoryCatalog,
    content: &ProductContent,
    expected: Expected,
) -> Result<Written, CatalogError> {
    let write = ProductWrite {
        content: content.clone(),
        expected,
    };
    catalog.put(&[write]).await?.remove(0)
}

#[tokio::test]
async fn a_repeated_write_changes_nothing_whatever_it_expects() {
    let catalog = catalog().await;
    let tee = product("tee", &["tee-m"]);
    let first = put(&catalog, &tee, Expected::Absent).await.unwrap();
    assert_eq!(first.effect, WriteEffect::Created);
    for expected in [Expected::Absent, Expected::Any, Expected::Version(99)] {
        let again = put(&catalog, &tee, expected).await.unwrap();
        assert_eq!(
            again,
            Written::new(first.product.clone(), WriteEffect::Unchanged)
        );
    }
}

#[tokio::test]
async fn a_write_that_expects_another_version_is_told_the_current_product() {
    let catalog = catalog().await;
    let mut tee = product("tee", &[]);
    let current = put(&catalog, &tee, Expected::Any).await.unwrap().product;
    tee.title = "Another".to_owned();
    for expected in [Expected::Absent, Expected::Version(current.version + 1)] {
        match put(&catalog, &tee, expected).await.unwrap_err() {
            CatalogError::VersionConflict { current: found, .. } => {
                assert_eq!(found.as_deref(), Some(&current));
            }
            other => panic!("{other}"),
        }
    }
    let written = put(&catalog, &tee, Expected::Version(current.version)).await;
    assert!(written.unwrap().product.version > current.version);
}

#[tokio::test]
async fn versions_go_on_rising_across_a_deletion() {
    let catalog = catalog().await;
    let tee = product("tee", &["tee-m"]);
    let first = put(&catalog, &tee, Expected::Any).await.unwrap().product;
    let wrong = catalog.delete(&tee.id, Expected::Version(99)).await;
    assert!(matches!(wrong, Err(CatalogError::VersionConflict { .. })));
    let expected = Expected::Version(first.version);
    assert_eq!(
        catalog.delete(&tee.id, expected).await.unwrap(),
        Deleted::Removed
    );
    assert_eq!(
        catalog.delete(&tee.id, expected).await.unwrap(),
        Deleted::Absent
    );
    let again = put(&catalog, &tee, Expected::Absent).await.unwrap();
    assert_eq!(again.effect, WriteEffect::Created);
    assert!(again.product.version > first.version);
}

#[tokio::test]
async fn a_sku_stays_with_its_product_for_good() {
    let catalog = catalog().await;
    let mut tee = product("tee", &["one", "two"]);
    put(&catalog, &tee, Expected::Any).await.unwrap();
    tee.variants.pop();
    put(&catalog, &tee, Expected::Any).await.unwrap();
    let key = [ProductKey::Sku(sku("two"))];
    assert_eq!(catalog.get(&key).await.unwrap(), [None], "retired");
    catalog.delete(&tee.id, Expected::Any).await.unwrap();
    for name in ["one", "two"] {
        let thief = put(&catalog, &product("mug", &[name]), Expected::Any).await;
        let error = thief.unwrap_err();
        assert!(
            matches!(&error, CatalogError::SkuTaken { owner, .. } if *owner == tee.id),
            "{error}"
        );
    }
    let back = product("tee", &["two"]);
    put(&catalog, &back, Expected::Any).await.unwrap();
}

#[tokio::test]
async fn slugs_are_unique_and_free_again_after_a_deletion() {
    let catalog = catalog().await;
    let tee = product("tee", &[]);
    put(&catalog, &tee, Expected::Any).await.unwrap();
    let mut mug = product("mug", &[]);
    mug.slug = tee.slug.clone();
    let error = put(&catalog, &mug, Expected::Any).await.unwrap_err();
    assert!(matches!(error, CatalogError::SlugTaken { owner, .. } if owner == tee.id));
    catalog.delete(&tee.id, Expected::Any).await.unwrap();
    put(&catalog, &mug, Expected::Any).await.unwrap();
}

#[tokio::test]
async fn each_write_has_its_own_outcome() {
    let catalog = catalog().await;
    let mut lamp = product("lamp", &[]);
    lamp.product_type = ProductTypeName::new("lamp").unwrap();
    let writes = [
        product("tee", &["x"]),
        lamp,
        product("mug", &["x"]),
        product("hat", &["y", "y"]),
    ]
    .map(|content| ProductWrite {
        content,
        expected: Expected::Any,
    });
    let outcomes = catalog.put(&writes).await.unwrap();
    assert!(outcomes[0].is_ok());
    assert!(matches!(
        outcomes[1],
        Err(CatalogError::UnknownProductType { .. })
    ));
    assert!(matches!(outcomes[2], Err(CatalogError::SkuTaken { .. })));
    assert!(matches!(outcomes[3], Err(CatalogError::Invalid { .. })));
}

#[tokio::test]
async fn products_are_found_by_key_and_by_attributes_in_pages() {
    let catalog = catalog().await;
    for number in 0..5 {
        let mut content = product(&format!("p{number}"), &[&format!("sku{number}")]);
        let material = if number % 2 == 0 { "wool" } else { "silk" };
        content
            .attributes
            .insert("material".into(), json!([material, "dye"]));
        put(&catalog, &content, Expected::Any).await.unwrap();
    }
    let keys = [
        ProductKey::Sku(sku("sku3")),
        ProductKey::Slug(Slug::new("slug-p1").unwrap()),
        ProductKey::Id(id("nothing")),
        ProductKey::Id(id("p0")),
    ];
    let found = catalog.get(&keys).await.unwrap();
    let ids = found
        .iter()
        .map(|p| p.as_ref().map(|p| p.content.id.as_str()));
    assert_eq!(
        ids.collect::<Vec<_>>(),
        [Some("p3"), Some("p1"), None, Some("p0")]
    );

    let mut query = ProductQuery::first(NonZeroUsize::new(2).unwrap());
    query.attributes.insert("material".into(), json!(["wool"]));
    let page = catalog.find(&query).await.unwrap();
    assert_eq!(
        page.iter()
            .map(|p| p.content.id.as_str())
            .collect::<Vec<_>>(),
        ["p0", "p2"]
    );
    query.after = Some(id("p2"));
    let page = catalog.find(&query).await.unwrap();
    assert_eq!(
        page.iter()
            .map(|p| p.content.id.as_str())
            .collect::<Vec<_>>(),
        ["p4"]
    );
    query.product_type = Some(ProductTypeName::new("lamp").unwrap());
    assert_eq!(catalog.find(&query).await.unwrap(), []);
}

/// Rows as they change: `+` is created, `>` updated, `-` deleted, each at its version.
fn names(changes: &[RowChange]) -> Vec<String> {
    let name = |row: &Columns| {
        let name = row.get("sku").unwrap_or(&row["product_id"]);
        format!("{}@{}", name.as_str().unwrap(), row["version"])
    };
    changes
        .iter()
        .map(|row| match &row.change {
            RowEffect::Create { after } => format!("+{}", name(after)),
            RowEffect::Update { before, after } => {
                format!("{}>{}", name(before.as_ref().unwrap()), name(after))
            }
            RowEffect::Delete { before } => format!("-{}", name(before)),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn publishing() -> (MemoryFeed, MemoryCatalog) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
    let feed = MemoryFeed::new(clock.clone()).with_partitions(1);
    let catalog = MemoryCatalog::new().publishing_to(feed.clone(), rows::catalog_changes());
    (feed, catalog.with_clock(clock))
}

#[tokio::test]
async fn only_rows_that_differ_are_written() {
    let (feed, catalog) = publishing();
    catalog.put_type(&shirts()).await.unwrap();
    let first = product("tee", &["a", "b", "c"]);
    let mut titled = first.clone();
    titled.title = "Another".to_owned();
    titled.variants[1].name = Some("Bee".to_owned());
    let mut moved = titled.clone();
    moved.variants.remove(0);
    for content in [&first, &titled, &moved] {
        put(&catalog, content, Expected::Any).await.unwrap();
    }
    catalog.delete(&moved.id, Expected::Any).await.unwrap();
    let expected = [
        &["+tee@1", "+a@1", "+b@1", "+c@1"][..],
        &["tee@1>tee@2", "b@1>b@2"],
        // Those that moved are written.
        &["tee@2>tee@3", "-a@1", "b@2>b@3", "c@1>c@3"],
        &["-b@3", "-c@3", "-tee@3"],
    ];
    assert_eq!(names(&published(&feed).await), expected.concat());
}

/// Everything that was published, decoded, in order.
async fn published(feed: &MemoryFeed) -> Vec<RowChange> {
    let group = Group::new("reader").unwrap();
    let topics = [rows::catalog_changes()];
    let options = SubscribeOptions::default();
    let mut reader = feed.subscribe(&group, &topics, options).await.unwrap();
    let mut changes = Vec::new();
    loop {
        let limits = PollLimits {
            wait: std::time::Duration::ZERO,
            ..PollLimits::default()
        };
        let polled = reader.poll(&limits).await.unwrap();
        if polled.records.is_empty() && polled.gained.is_empty() {
            return changes;
        }
        for record in polled.records {
            assert_eq!(record.key, Some(rows::key(&id("tee"))));
            changes.push(debezium::decode(record.value.as_ref()).unwrap().unwrap());
        }
    }
}

#[tokio::test]
async fn the_log_says_what_was_committed_and_nothing_else() {
    let (feed, catalog) = publishing();
    catalog.put_type(&shirts()).await.unwrap();
    let tee = product("tee", &["a"]);
    put(&catalog, &tee, Expected::Any).await.unwrap();
    put(&catalog, &tee, Expected::Any).await.unwrap();
    put(&catalog, &product("mug", &["a"]), Expected::Any)
        .await
        .unwrap_err();
    catalog.delete(&tee.id, Expected::Any).await.unwrap();
    catalog.delete(&tee.id, Expected::Any).await.unwrap();

    let changes = published(&feed).await;
    assert_eq!(names(&changes), ["+tee@1", "+a@1", "-a@1", "-tee@1"]);
    let tables: Vec<_> = changes.iter().map(|row| row.table.as_str()).collect();
    assert_eq!(tables, ["products", "variants", "variants", "products"]);
    let product = rows::product_row(&Product::new(tee.clone(), 1));
    let variant = rows::variant_row(&tee.id, 0, &tee.variants[0], 1);
    let columns = [(0, &product), (1, &variant)];
    for (index, after) in columns {
        let after = after.clone();
        assert_eq!(changes[index].change, RowEffect::Create { after });
    }
    for pair in changes.windows(2) {
        assert!(pair[0].sequence < pair[1].sequence);
        assert_eq!(pair[0].schema, rows::SCHEMA);
        assert_eq!(pair[0].timestamp, Timestamp::from_millis(1_000));
    }
}

#[tokio::test]
async fn what_can_not_be_published_is_not_stored() {
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let feed = MemoryFeed::new(clock).with_max_message_bytes(2_000);
    let catalog = MemoryCatalog::new().publishing_to(feed, rows::catalog_changes());
    catalog.put_type(&shirts()).await.unwrap();
    let mut tee = product("tee", &["a"]);
    tee.description = "x".repeat(2_000);
    let error = put(&catalog, &tee, Expected::Any).await.unwrap_err();
    assert!(matches!(error, CatalogError::Feed(_)), "{error}");
    let found = catalog.get(&[ProductKey::Id(tee.id)]).await.unwrap();
    assert_eq!(found, [None]);
}
