//! The changes in a feed add up to the catalogue.

use serde_json::{Value, json};
use stockade_catalog_core::{Expected, ProductContent, ProductKey, Variant, rows};
use stockade_change_feed::debezium::{self, Change};

use super::ChangesHarness;
use super::history::History;
use super::shop::{Shop, full_product, id, money, object, product, sku, slug};
use crate::golden::{self, Step, canonical};
use crate::together;

pub(super) async fn inserts_updates_and_deletes_are_published<H: ChangesHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut history = History::open(&h).await;
    let mut content = full_product();
    shop.change(&content).await;
    assert_eq!(history.news(&shop).await, ["+tee", "+tee-m", "+tee-s"]);
    content.title.push('!');
    for variant in &mut content.variants {
        variant.price = Some(money(1, "EUR"));
    }
    shop.change(&content).await;
    assert_eq!(history.news(&shop).await, ["~tee", "~tee-m", "~tee-s"]);
    shop.delete("tee", Expected::Any).await;
    assert_eq!(history.news(&shop).await, ["-tee-m", "-tee-s", "-tee"]);
}

pub(super) async fn only_changed_rows_are_published<H: ChangesHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut history = History::open(&h).await;
    let mut content = product("tee", &["a", "b", "c"]);
    shop.change(&content).await;
    history.catch_up(&shop).await;
    type Change = fn(&mut ProductContent);
    let changes: [(Change, &[&str]); 5] = [
        (|c| c.title.push('!'), &["~tee"]),
        (
            |c| c.variants[1].name = Some("B".to_owned()),
            &["~tee", "~b"],
        ),
        (|c| c.variants.push(Variant::new(sku("d"))), &["~tee", "+d"]),
        (|c| c.variants.swap(0, 2), &["~tee", "~a", "~c"]),
        (|c| c.variants.truncate(3), &["~tee", "-d"]),
    ];
    for (change, expected) in changes {
        change(&mut content);
        shop.change(&content).await;
        let told = history.news(&shop).await;
        assert_eq!(told, expected, "only rows that differ are written");
    }
}

pub(super) async fn a_write_without_a_change_publishes_nothing<H: ChangesHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut history = History::open(&h).await;
    let content = full_product();
    shop.change(&content).await;
    history.catch_up(&shop).await;
    shop.written(&content).await;
    let mut refused = full_product();
    refused.title.push('!');
    assert!(shop.put(&refused, Expected::Absent).await.is_err());
    assert!(
        shop.store
            .delete(&id("tee"), Expected::Absent)
            .await
            .is_err()
    );
    let thief = product("thief", &["thief", "tee-m"]);
    assert!(shop.put(&thief, Expected::Any).await.is_err());
    let mut taken = product("taken", &["taken"]);
    taken.slug = slug("monospace-tee");
    assert!(shop.put(&taken, Expected::Any).await.is_err());
    shop.delete("never", Expected::Any).await;
    let told = history.news(&shop).await;
    assert!(
        told.is_empty(),
        "no row changed, but {told:?} was published"
    );
}

pub(super) async fn a_product_row_is_inserted_first_and_deleted_last<H: ChangesHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut history = History::open(&h).await;
    let tables = |told: &[super::history::Told]| -> Vec<String> {
        told.iter().map(|told| told.row.table.clone()).collect()
    };
    shop.change(&full_product()).await;
    let told = tables(history.catch_up(&shop).await);
    assert_eq!(told, [rows::PRODUCTS, rows::VARIANTS, rows::VARIANTS]);
    shop.delete("tee", Expected::Any).await;
    let told = tables(history.catch_up(&shop).await);
    assert_eq!(told, [rows::VARIANTS, rows::VARIANTS, rows::PRODUCTS]);
}

pub(super) async fn records_are_keyed_by_product<H: ChangesHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut history = History::open(&h).await;
    for name in ["tee", "it's \"odd\" 🧢", "9"] {
        let sku = format!("{name}-m");
        shop.change(&product(name, &[&sku])).await;
        keyed_by(name, history.catch_up(&shop).await);
        shop.delete(name, Expected::Any).await;
        keyed_by(name, history.catch_up(&shop).await);
    }
}

fn keyed_by(name: &str, told: &[super::history::Told]) {
    assert_eq!(told.len(), 2, "of a product and its variant");
    for told in told {
        let key = told.key.as_ref();
        let key = key.and_then(|key| serde_json::from_slice::<Value>(key).ok());
        let expected = json!({"product_id": name});
        assert_eq!(key, Some(expected), "the key of {}", told.row.table);
    }
}

pub(super) async fn versions_rise_when_a_deleted_product_is_put_again<H: ChangesHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut history = History::open(&h).await;
    let content = full_product();
    shop.change(&content).await;
    for _ in 0..2 {
        let mut fewer = content.clone();
        fewer.variants.truncate(1);
        shop.change(&fewer).await;
        shop.change(&content).await;
        shop.delete("tee", Expected::Any).await;
        shop.change(&content).await;
    }
    // That each row's version rises is part of how the history is read.
    let told = history.catch_up(&shop).await;
    let deletions = told
        .iter()
        .filter(|told| matches!(told.row.change, Change::Delete { .. }));
    assert_eq!(deletions.count(), 2 * 4);
}

/// The same every time, and yet a bit of everything.
async fn churn(shop: &Shop, name: &str, writer: usize) {
    for number in 0..12 {
        let turn = number * 7 + writer * 5;
        if turn % 6 == 5 {
            shop.delete(name, Expected::Any).await;
            continue;
        }
        let skus: Vec<String> = (0..4)
            .map(|n| format!("{name}-{}", (n + turn) % 5))
            .collect();
        let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
        let mut content = product(name, &skus[..turn % 4]);
        content.title = format!("{number} by {writer}");
        content.attributes = object(json!({"turn": turn % 3}));
        for variant in &mut content.variants {
            variant.price = Some(money(turn as u64 % 2, "EUR"));
        }
        shop.written(&content).await;
    }
}

pub(super) async fn many_changes_add_up_to_the_state<H: ChangesHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut history = History::open(&h).await;
    for product in 0..8 {
        churn(&shop, &format!("tee-{product}"), product).await;
    }
    history.catch_up(&shop).await;
}

pub(super) async fn concurrent_changes_add_up_to_the_state<H: ChangesHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut history = History::open(&h).await;
    together((0..12).map(|writer| {
        let shop = shop.clone();
        // Three writers on each product.
        async move { churn(&shop, &format!("tee-{}", writer % 4), writer).await }
    }))
    .await;
    history.catch_up(&shop).await;
}

pub(super) async fn the_rows_equal_the_golden_file<H: ChangesHarness>(h: H) {
    let shop = Shop::new(h.store());
    let mut history = History::open(&h).await;
    for step in golden::catalog_script() {
        match step {
            Step::Type(product_type) => shop.put_type(&product_type).await,
            Step::Put(content) => {
                shop.written(&content).await;
            }
            Step::Delete(id) => {
                shop.delete(id.as_str(), Expected::Any).await;
            }
        }
    }
    let told = history.catch_up(&shop).await;
    let told = canonical(told.iter().map(|told| told.row.clone()));
    let lines = told.iter().map(debezium::encode);
    let golden = golden::CATALOG_ROWS.lines();
    for (line, golden) in lines.zip(golden.clone()) {
        assert_eq!(String::from_utf8_lossy(&line), golden);
    }
    assert_eq!(told.len(), golden.count(), "row changes");
    let kept = shop.by(ProductKey::Sku(sku("tee-xl"))).await;
    assert!(kept.is_some(), "the script ended with an xl tee");
}
