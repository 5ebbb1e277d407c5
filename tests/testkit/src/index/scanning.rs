//! Every root document is found by a scan.

use std::collections::BTreeSet;

use stockade_search_sync::{Document, DocumentId};

use super::IndexHarness;
use super::shelf::{Shelf, root, titled, view};

/// All pages of a scan, of so many ids each.
async fn pages(shelf: &Shelf, limit: usize) -> Vec<DocumentId> {
    let mut all: Vec<DocumentId> = Vec::new();
    loop {
        let page = shelf
            .writer
            .scan(&shelf.generation, all.last(), limit)
            .await;
        let page = page.unwrap_or_else(|error| panic!("scan failed: {error}"));
        assert!(
            page.len() <= limit,
            "{} ids in a page of {limit}",
            page.len()
        );
        if page.is_empty() {
            return all;
        }
        all.extend(page);
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "a document came twice: {all:?}");
    }
}

pub(super) async fn a_scan_returns_every_root_once<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let keys = [
        "b",
        "a",
        "B",
        "10",
        "9",
        "a b",
        "ab",
        "é",
        "帽子",
        "it's 100%",
        "root:a",
    ];
    for (number, key) in keys.iter().enumerate() {
        let shown = (number % 3 > 0).then(|| view(key));
        shelf.put(&titled(key, key), shown).await;
        for id in [DocumentId::Sku, DocumentId::Truncation] {
            shelf.put(&Document::new(id((*key).to_owned())), None).await;
        }
    }
    let other = shelf.with("other");
    other.create().await;
    other
        .put(&titled("other", "Other"), Some(view("Other")))
        .await;
    let whole = pages(&shelf, 100).await;
    let found: BTreeSet<_> = whole.iter().cloned().collect();
    let expected: BTreeSet<_> = keys.into_iter().map(root).collect();
    assert_eq!(
        found, expected,
        "every root document, hidden ones among them"
    );
    for limit in [1, 2, 3, keys.len()] {
        assert_eq!(pages(&shelf, limit).await, whole, "in pages of {limit}");
    }
}

pub(super) async fn a_scan_of_nothing_is_empty<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    assert_eq!(pages(&shelf, 10).await, []);
    let sku = DocumentId::Sku("tee-m".to_owned());
    shelf.put(&Document::new(sku), None).await;
    assert_eq!(pages(&shelf, 10).await, []);
}

pub(super) async fn a_scan_misses_nothing_while_documents_come<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let key = |number: usize, suffix: &str| format!("p{number:02}-{suffix}");
    for number in 0..40 {
        let key = key(number, "before");
        shelf.put(&titled(&key, &key), Some(view(&key))).await;
    }
    let before: BTreeSet<_> = (0..40).map(|number| root(&key(number, "before"))).collect();
    let writer = shelf.clone();
    let writing = tokio::spawn(async move {
        for number in 0..40 {
            let key = key(number * 7 % 40, "while");
            writer.put(&titled(&key, &key), Some(view(&key))).await;
            // What is there changes, too.
            let key = format!("p{number:02}-before");
            writer.put(&titled(&key, "Changed"), None).await;
        }
    });
    loop {
        let finished = writing.is_finished();
        let found: BTreeSet<_> = pages(&shelf, 7).await.into_iter().collect();
        let missing: Vec<_> = before.difference(&found).collect();
        assert!(
            missing.is_empty(),
            "there all the time, and missed: {missing:?}"
        );
        if finished {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(writing.await.is_ok());
}
