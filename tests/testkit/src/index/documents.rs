//! A loaded document equals the written one.

use serde_json::json;
use stockade_change_feed::Retry;
use stockade_search_sync::{
    Document, DocumentId, DocumentWrite, Loaded, Revision, RowVersion, SearchError,
};

use super::IndexHarness;
use super::test_index::{TestIndex, WriteOutcome, root, row, row_key, titled, view};
use crate::catalog::ODD;

pub(super) async fn a_missing_document_is_empty_and_absent<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    for id in every_kind("tee") {
        let loaded = index.load(&id).await;
        assert_eq!(loaded.document, Document::new(id));
        assert_eq!(loaded.revision, Revision::Absent);
    }
}

fn every_kind(key: &str) -> [DocumentId; 3] {
    let key = || key.to_owned();
    [
        DocumentId::Root(key()),
        DocumentId::Sku(key()),
        DocumentId::Truncation(key()),
    ]
}

/// A document with every kind of content.
fn full(id: DocumentId) -> Document {
    let mut document = Document::new(id);
    document.root_deleted = Some(RowVersion(u128::MAX - 1));
    let columns = json!({
        "text": "it's \"odd\" \\ \u{0}\u{1} 🧢\n مقاس \u{202e}x",
        "": "no name", "dotted.name": 1, "$type": {"_id": "_source"},
        "numbers": [0, -1, i64::MIN, u64::MAX, 0.1, 0.1 + 0.2, -2.5, 1e-7, 1e300],
        "others": [null, true, false, [], {}, [[]], ""],
        "date-like": "2024-01-01", "number-like": "12.50",
    });
    for (table, key, row) in [
        ("products", "tee", row(u128::MAX, columns)),
        ("products", "it's \"odd\" 🧢", row(0, json!({}))),
        ("variants", "tee", row(1 << 64, json!({"a": null}))),
        ("variants", "tee-m", row((1 << 127) + 1, json!(null))),
        (":stock", "", row(u128::from(u64::MAX) + 1, json!(null))),
        (
            "",
            "",
            row(1, json!({"date-like": 5, "text": ["now a list"]})),
        ),
    ] {
        document.rows.insert(row_key(table, key), row);
    }
    document
}

pub(super) async fn a_loaded_document_equals_the_written_one<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    for id in every_kind("tee") {
        let shown = matches!(id, DocumentId::Root(_)).then(|| view("Tee"));
        let mut document = full(id.clone());
        index.put(&document, shown.clone()).await;
        assert_eq!(
            index.load(&id).await.document,
            document,
            "as it was written"
        );
        document.root_deleted = None;
        document.rows.pop_last();
        index.put(&document, shown).await;
        assert_eq!(index.load(&id).await.document, document, "written again");
    }
    // Without a row it is there all the same.
    let empty = Document::new(root("empty"));
    let revision = index.put(&empty, None).await;
    assert_ne!(revision, Revision::Absent);
    assert_eq!(index.load(&empty.id).await.document, empty);
}

pub(super) async fn documents_are_loaded_in_the_requested_order<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    for key in ["a", "b", "c"] {
        index.put(&titled(key, key), Some(view(key))).await;
    }
    let asked = ["c", "nothing", "a", "b", "a", "other"];
    let loaded = index.load_all(&asked.map(root)).await;
    for (key, loaded) in asked.iter().zip(loaded) {
        let known = key.len() == 1;
        assert_eq!(loaded.revision != Revision::Absent, known, "{key}");
        let expected = if known {
            titled(key, key)
        } else {
            Document::new(root(key))
        };
        assert_eq!(loaded.document, expected);
    }
    assert_eq!(index.load_all(&[]).await, []);
    assert!(index.write_all(Vec::new()).await.is_empty());
}

pub(super) async fn similar_ids_are_different_documents<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let longest = ["x", "é", "🧢"].map(|letter| letter.repeat(128 / letter.len()));
    let more = [
        "tee",
        "TEE",
        "root:tee",
        "sku:tee",
        "té",
        "te\u{301}",
        "tee ",
        "_doc",
    ];
    let keys = ODD
        .into_iter()
        .chain(more)
        .chain(longest.iter().map(String::as_str));
    let ids: Vec<DocumentId> = keys.flat_map(every_kind).collect();
    let of = |number: usize, id: &DocumentId| {
        let mut document = Document::new(id.clone());
        let title = json!({"title": number.to_string()});
        document.rows.insert(row_key("t", "k"), row(1, title));
        document
    };
    for (number, id) in ids.iter().enumerate() {
        index.put(&of(number, id), None).await;
    }
    for (number, (id, loaded)) in ids.iter().zip(index.load_all(&ids).await).enumerate() {
        assert_eq!(loaded.document, of(number, id), "{id:?}");
    }
}

pub(super) async fn a_hidden_document_is_kept<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    // The document of a deleted product, which rejects older rows.
    let mut tombstone = Document::new(root("tee"));
    tombstone.root_deleted = Some(RowVersion(7));
    for (table, key) in [("products", "tee"), ("variants", "tee-m")] {
        let deleted = row(7, json!(null));
        tombstone.rows.insert(row_key(table, key), deleted);
    }
    index.put(&titled("tee", "Tee"), Some(view("Tee"))).await;
    let revision = index.put(&tombstone, None).await;
    let loaded = index.load(&root("tee")).await;
    assert_eq!(
        loaded.document, tombstone,
        "a hidden document was lost, and older rows would restore the product"
    );
    assert_ne!(revision, Revision::Absent);
}

pub(super) async fn a_view_can_be_added_and_removed<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    for (number, shown) in [false, true, false, true, true].into_iter().enumerate() {
        let document = titled("tee", &number.to_string());
        let shown = shown.then(|| view(&number.to_string()));
        index.put(&document, shown).await;
        assert_eq!(index.load(&root("tee")).await.document, document);
    }
}

pub(super) async fn a_load_returns_every_finished_write<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let mut expected = Revision::Absent;
    for number in 0..50 {
        let document = titled("tee", &number.to_string());
        let write = DocumentWrite {
            document: document.clone(),
            view: Some(view("Tee")),
            expected,
        };
        assert_eq!(index.write(&write).await, WriteOutcome::Written);
        let loaded = index.load(&root("tee")).await;
        assert_eq!(loaded.document, document, "a load misses a finished write");
        expected = loaded.revision;
    }
}

pub(super) async fn a_large_document_is_stored_whole_or_refused<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let of_kilobytes = |kilobytes: usize| {
        let mut document = titled("tee", "Tee");
        for number in 0..kilobytes / 4 {
            let columns = json!({"name": "x".repeat(4 * 1024), "position": number});
            let key = row_key("variants", &format!("tee-{number}"));
            document.rows.insert(key, row(number as u128, columns));
        }
        document
    };
    let large = of_kilobytes(1_024);
    index.put(&large, Some(view("Tee"))).await;
    let before = index.load(&root("tee")).await;
    assert_eq!(before.document, large, "a megabyte of rows is stored whole");
    let write = DocumentWrite {
        document: of_kilobytes(32 * 1_024),
        view: Some(view("Tee")),
        expected: before.revision.clone(),
    };
    let outcome = index.write(&write).await;
    let loaded = index.load(&root("tee")).await.document;
    match outcome {
        WriteOutcome::Written => assert!(loaded == write.document, "it was not stored whole"),
        WriteOutcome::Refused => assert!(loaded == large, "it was refused, but has changed"),
        WriteOutcome::Conflict => panic!("a document of 32 MiB is stored or refused"),
    }
}

pub(super) async fn many_documents_are_written_in_one_call<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let keys: Vec<String> = (0..500).map(|number| format!("tee-{number}")).collect();
    let write = |key: &String| DocumentWrite {
        document: titled(key, key),
        view: Some(view(key)),
        expected: Revision::Absent,
    };
    let writes: Vec<_> = keys.iter().map(write).collect();
    let outcomes = index.write_all(writes.clone()).await;
    for (write, outcome) in writes.iter().zip(outcomes) {
        match outcome {
            Ok(()) => {}
            Err(error) if error.retry() != Retry::Never => {
                index.put(&write.document, write.view.clone()).await;
            }
            Err(error) => panic!("{} of 500: {error}", write.document.id),
        }
    }
    let ids: Vec<_> = keys.iter().map(|key| root(key)).collect();
    for (write, loaded) in writes.iter().zip(index.load_all(&ids).await) {
        assert_eq!(loaded.document, write.document);
    }
}

/// Writes once, and checks the document if the error says that nothing was written.
async fn check_effect(index: &TestIndex, document: Document, before: &Loaded, expected: Revision) {
    let id = document.id.clone();
    let write = DocumentWrite {
        view: Some(view("Tee")),
        document: document.clone(),
        expected,
    };
    let outcome = index.writer.write(&index.generation, vec![write]).await;
    let outcome = outcome.and_then(|mut outcomes| outcomes.remove(0));
    let after = index.load(&id).await;
    match outcome {
        Ok(()) => assert_eq!(after.document, document, "a finished write is lost"),
        Err(error) if error.retry() == Retry::OutcomeUnknown => {}
        Err(error) => assert_eq!(
            after, *before,
            "the document was written, but the error says that it was not: {error}"
        ),
    }
}

pub(super) async fn an_error_without_effect_leaves_the_document_unchanged<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let tee = |title: &str| titled("tee", title);
    for number in 0..50 {
        let before = index.load(&root("tee")).await;
        let expected = before.revision.clone();
        check_effect(&index, tee(&number.to_string()), &before, expected).await;
    }
    let never = index.with("never");
    let write = DocumentWrite {
        document: tee("Never"),
        view: None,
        expected: Revision::Absent,
    };
    let failed = never.writer.write(&never.generation, vec![write]).await;
    assert!(
        matches!(failed, Err(SearchError::UnknownGeneration { .. })),
        "this generation was not created: {failed:?}"
    );
    never.create().await;
    let loaded = never.load(&root("tee")).await;
    assert_eq!(loaded.revision, Revision::Absent, "the write had failed");
}
