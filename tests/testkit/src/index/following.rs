//! A worker that follows a catalogue into the index makes the documents that it should.

use stockade_change_feed::Record;
use stockade_search_sync::{FieldValue, View};

use super::IndexHarness;
use super::shelf::{Shelf, deletion, records, root, stock};
use crate::catalog::shop::{money, product};
use stockade_catalog_core::ProductContent;

fn tee(title: &str) -> ProductContent {
    let mut content = product("tee", &["tee-s", "tee-m"]);
    content.title = title.to_owned();
    for variant in &mut content.variants {
        variant.price = Some(money(1_999, "EUR"));
    }
    content
}

/// The only text of a field.
fn text(view: Option<View>, field: &str) -> Option<String> {
    let values = view?.fields.remove(field)?;
    match &values[..] {
        [FieldValue::Text(text)] => Some(text.clone()),
        other => panic!("{field} holds {other:?}"),
    }
}

/// Some of the orders that a set of records may come in.
fn orders(records: &[Record]) -> Vec<Vec<Record>> {
    (0..records.len())
        .flat_map(|by| {
            let mut rotated = records.to_vec();
            rotated.rotate_left(by);
            let reversed = rotated.iter().rev().cloned().collect();
            [rotated, reversed]
        })
        .collect()
}

pub(super) async fn rows_in_any_order_make_the_same_document<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let mut fewer = tee("Second");
    let mut all = records(&tee("First"), 1);
    all.extend(records(&fewer, 2));
    fewer.variants.remove(0);
    all.extend([stock("tee-m", 0, 1), stock("tee-m", 5, 2)]);
    shelf.follow(&all).await;
    let expected = shelf.load(&root("tee")).await.document;
    let shown = shelf.view_of("tee").await;
    assert_eq!(text(shown.clone(), "title").as_deref(), Some("Second"));
    assert_eq!(text(shown.clone(), "in_stock").as_deref(), Some("true"));
    for (number, order) in orders(&all).iter().enumerate() {
        let shelf = shelf.with(&format!("order-{number}"));
        shelf.create().await;
        // Some at once, and some one by one.
        for records in order.chunks(1 + number % 3) {
            shelf.follow(records).await;
        }
        assert_eq!(shelf.view_of("tee").await, shown, "of another order");
        let document = shelf.load(&root("tee")).await.document;
        assert_eq!(
            document.rows.len(),
            expected.rows.len(),
            "{document:?} instead of {expected:?}"
        );
    }
}

pub(super) async fn rows_that_come_again_change_nothing<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let mut all = records(&tee("First"), 1);
    all.extend(records(&tee("Second"), 2));
    all.push(stock("tee-m", 5, 1));
    shelf.follow(&all).await;
    let before = shelf.load(&root("tee")).await;
    for records in all.chunks(2) {
        shelf.follow(records).await;
    }
    shelf.follow(&all).await;
    let after = shelf.load(&root("tee")).await;
    assert_eq!(after.document, before.document);
}

pub(super) async fn a_deleted_product_stays_deleted<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let rows = records(&tee("Tee"), 1);
    shelf.follow(&rows).await;
    assert!(shelf.view_of("tee").await.is_some());
    shelf.follow(&deletion(&tee("Tee"), 1)).await;
    let gone = "a deleted product came back with an older row";
    assert_eq!(shelf.view_of("tee").await, None, "it was deleted");
    for record in &rows {
        shelf.follow(std::slice::from_ref(record)).await;
        assert_eq!(shelf.view_of("tee").await, None, "{gone}");
    }
    shelf.follow(&rows).await;
    assert_eq!(shelf.view_of("tee").await, None, "{gone}");
    // A newer one brings it back, without the variant that did not come along.
    let mut newer = tee("Newer");
    newer.variants.remove(0);
    shelf.follow(&records(&newer, 2)).await;
    let shown = shelf.view_of("tee").await;
    assert_eq!(text(shown.clone(), "title").as_deref(), Some("Newer"));
    assert_eq!(text(shown, "sku").as_deref(), Some("tee-m"));
}

pub(super) async fn stock_does_not_bring_a_deleted_product_back<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    shelf.follow(&records(&tee("Tee"), 1)).await;
    shelf.follow(&[stock("tee-m", 5, 1)]).await;
    shelf.follow(&deletion(&tee("Tee"), 1)).await;
    for (available, number) in [(5, 1), (0, 2), (7, 3)] {
        shelf.follow(&[stock("tee-m", available, number)]).await;
        let shown = shelf.view_of("tee").await;
        assert_eq!(shown, None, "a deleted product came back with stock");
    }
}

pub(super) async fn stock_that_comes_first_is_kept_for_its_product<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    shelf.follow(&[stock("tee-m", 5, 3)]).await;
    assert_eq!(shelf.view_of("tee").await, None);
    shelf.follow(&records(&tee("Tee"), 1)).await;
    let shown = shelf.view_of("tee").await;
    assert_eq!(text(shown, "in_stock").as_deref(), Some("true"));
    shelf.follow(&[stock("tee-m", 0, 2)]).await;
    let shown = shelf.view_of("tee").await;
    assert_eq!(
        text(shown, "in_stock").as_deref(),
        Some("true"),
        "older stock"
    );
    shelf.follow(&[stock("tee-m", 0, 4)]).await;
    let shown = shelf.view_of("tee").await;
    assert_eq!(text(shown, "in_stock").as_deref(), Some("false"));
}
