//! A scan finds every root document.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use stockade_search_sync::{Document, DocumentId, DocumentWrite, Revision};

use super::IndexHarness;
use super::test_index::{TestIndex, WriteOutcome, root, titled, view};

/// All ids of a scan with pages of at most `limit` ids.
async fn pages(index: &TestIndex, limit: usize) -> Vec<DocumentId> {
    let limit = NonZeroUsize::new(limit).expect("cases use limits above 0");
    let mut all: Vec<DocumentId> = Vec::new();
    loop {
        let page = index
            .writer
            .scan(&index.generation, all.last(), limit)
            .await;
        let page = page.unwrap_or_else(|error| panic!("scan failed: {error}"));
        assert!(
            page.len() <= limit.get(),
            "{} ids in a page of {limit}",
            page.len()
        );
        if page.is_empty() {
            return all;
        }
        all.extend(page);
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(
            distinct.len(),
            all.len(),
            "a document was returned twice: {all:?}"
        );
    }
}

pub(super) async fn a_scan_returns_every_root_document_once<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
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
        index.put(&titled(key, key), shown).await;
        for id in [DocumentId::Sku, DocumentId::Truncation] {
            index.put(&Document::new(id((*key).to_owned())), None).await;
        }
    }
    let other = index.with("other");
    other.create().await;
    other
        .put(&titled("other", "Other"), Some(view("Other")))
        .await;
    let whole = pages(&index, 100).await;
    let found: BTreeSet<_> = whole.iter().cloned().collect();
    let expected: BTreeSet<_> = keys.into_iter().map(root).collect();
    assert_eq!(
        found, expected,
        "every root document, including hidden ones"
    );
    for limit in [1, 2, 3, keys.len()] {
        assert_eq!(pages(&index, limit).await, whole, "in pages of {limit}");
    }
}

pub(super) async fn a_scan_of_an_empty_generation_is_empty<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    assert_eq!(pages(&index, 10).await, []);
    let sku = DocumentId::Sku("tee-m".to_owned());
    index.put(&Document::new(sku), None).await;
    assert_eq!(pages(&index, 10).await, []);
}

pub(super) async fn a_scan_finds_every_finished_write<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    for number in 0..20 {
        let key = format!("p{number:02}");
        let write = DocumentWrite {
            document: titled(&key, &key),
            view: (number % 2 == 0).then(|| view(&key)),
            expected: Revision::Absent,
        };
        assert_eq!(index.write(&write).await, WriteOutcome::Written);
        let found = pages(&index, 50).await;
        assert!(
            found.contains(&root(&key)),
            "a scan misses a finished write: {key} of {found:?}"
        );
        assert_eq!(found.len(), number + 1, "{found:?}");
    }
}

pub(super) async fn a_scan_misses_nothing_while_documents_are_written<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let key = |number: usize, suffix: &str| format!("p{number:02}-{suffix}");
    for number in 0..40 {
        let key = key(number, "before");
        index.put(&titled(&key, &key), Some(view(&key))).await;
    }
    let before: BTreeSet<_> = (0..40).map(|number| root(&key(number, "before"))).collect();
    let writer = index.clone();
    let writing = tokio::spawn(async move {
        for number in 0..40 {
            let key = key(number * 7 % 40, "while");
            writer.put(&titled(&key, &key), Some(view(&key))).await;
            // Existing documents change, too.
            let key = format!("p{number:02}-before");
            writer.put(&titled(&key, "Changed"), None).await;
        }
    });
    loop {
        let finished = writing.is_finished();
        let found: BTreeSet<_> = pages(&index, 7).await.into_iter().collect();
        let missing: Vec<_> = before.difference(&found).collect();
        assert!(
            missing.is_empty(),
            "these existed all the time: {missing:?}"
        );
        if finished {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(writing.await.is_ok());
}
