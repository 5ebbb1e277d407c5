//! A worker that ingests a catalogue builds the right documents.

use stockade_change_feed::Record;
use stockade_search_sync::{FieldValue, View};

use super::IndexHarness;
use super::test_index::{TestIndex, deletion, records, root, stock};
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

/// Some orders of these records.
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
    let index = TestIndex::open(&h).await;
    let mut fewer = tee("Second");
    let mut all = records(&tee("First"), 1);
    all.extend(records(&fewer, 2));
    fewer.variants.remove(0);
    all.extend([stock("tee-m", 0, 1), stock("tee-m", 5, 2)]);
    index.handle(&all).await;
    let expected = index.load(&root("tee")).await.document;
    let shown = index.view_of("tee").await;
    assert_eq!(text(shown.clone(), "title").as_deref(), Some("Second"));
    assert_eq!(text(shown.clone(), "in_stock").as_deref(), Some("true"));
    for (number, order) in orders(&all).iter().enumerate() {
        let index = index.with(&format!("order-{number}"));
        index.create().await;
        // In batches of different sizes.
        for records in order.chunks(1 + number % 3) {
            index.handle(records).await;
        }
        assert_eq!(index.view_of("tee").await, shown, "in another order");
        let document = index.load(&root("tee")).await.document;
        assert_eq!(
            document.rows.len(),
            expected.rows.len(),
            "{document:?} instead of {expected:?}"
        );
    }
}

pub(super) async fn repeated_rows_change_nothing<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let mut all = records(&tee("First"), 1);
    all.extend(records(&tee("Second"), 2));
    all.push(stock("tee-m", 5, 1));
    index.handle(&all).await;
    let before = index.load(&root("tee")).await;
    for records in all.chunks(2) {
        index.handle(records).await;
    }
    index.handle(&all).await;
    let after = index.load(&root("tee")).await;
    assert_eq!(after.document, before.document);
}

pub(super) async fn a_deleted_product_stays_deleted<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let rows = records(&tee("Tee"), 1);
    index.handle(&rows).await;
    assert!(index.view_of("tee").await.is_some());
    index.handle(&deletion(&tee("Tee"), 1)).await;
    let restored = "an older row restored a deleted product";
    assert_eq!(index.view_of("tee").await, None, "it was deleted");
    for record in &rows {
        index.handle(std::slice::from_ref(record)).await;
        assert_eq!(index.view_of("tee").await, None, "{restored}");
    }
    index.handle(&rows).await;
    assert_eq!(index.view_of("tee").await, None, "{restored}");
    // A newer row creates it again, without the variant that has no newer row.
    let mut newer = tee("Newer");
    newer.variants.remove(0);
    index.handle(&records(&newer, 2)).await;
    let shown = index.view_of("tee").await;
    assert_eq!(text(shown.clone(), "title").as_deref(), Some("Newer"));
    assert_eq!(text(shown, "sku").as_deref(), Some("tee-m"));
}

pub(super) async fn stock_does_not_restore_a_deleted_product<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    index.handle(&records(&tee("Tee"), 1)).await;
    index.handle(&[stock("tee-m", 5, 1)]).await;
    index.handle(&deletion(&tee("Tee"), 1)).await;
    for (available, number) in [(5, 1), (0, 2), (7, 3)] {
        index.handle(&[stock("tee-m", available, number)]).await;
        let shown = index.view_of("tee").await;
        assert_eq!(shown, None, "a stock event restored a deleted product");
    }
}

pub(super) async fn stock_that_arrives_first_is_kept_for_its_product<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    index.handle(&[stock("tee-m", 5, 3)]).await;
    assert_eq!(index.view_of("tee").await, None);
    index.handle(&records(&tee("Tee"), 1)).await;
    let shown = index.view_of("tee").await;
    assert_eq!(text(shown, "in_stock").as_deref(), Some("true"));
    index.handle(&[stock("tee-m", 0, 2)]).await;
    let shown = index.view_of("tee").await;
    assert_eq!(
        text(shown, "in_stock").as_deref(),
        Some("true"),
        "older stock"
    );
    index.handle(&[stock("tee-m", 0, 4)]).await;
    let shown = index.view_of("tee").await;
    assert_eq!(text(shown, "in_stock").as_deref(), Some("false"));
}
