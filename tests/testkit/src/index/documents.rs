//! Documents are loaded as they were written.

use serde_json::json;
use stockade_search_sync::{
    Document, DocumentId, DocumentWrite, Revision, RowVersion, WriteOutcome,
};

use super::IndexHarness;
use super::shelf::{Shelf, root, row, row_key, titled, view};
use crate::catalog::ODD;

pub(super) async fn a_missing_document_is_empty_and_absent<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    for id in every_kind("tee") {
        let loaded = shelf.load(&id).await;
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

/// With everything that a document may hold.
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

pub(super) async fn a_document_comes_back_exactly<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    for id in every_kind("tee") {
        let shown = matches!(id, DocumentId::Root(_)).then(|| view("Tee"));
        let mut document = full(id.clone());
        shelf.put(&document, shown.clone()).await;
        assert_eq!(
            shelf.load(&id).await.document,
            document,
            "as it was written"
        );
        document.root_deleted = None;
        document.rows.pop_last();
        shelf.put(&document, shown).await;
        assert_eq!(shelf.load(&id).await.document, document, "written again");
    }
    // Without a row it is there all the same.
    let empty = Document::new(root("empty"));
    let revision = shelf.put(&empty, None).await;
    assert_ne!(revision, Revision::Absent);
    assert_eq!(shelf.load(&empty.id).await.document, empty);
}

pub(super) async fn documents_load_in_the_order_asked<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    for key in ["a", "b", "c"] {
        shelf.put(&titled(key, key), Some(view(key))).await;
    }
    let asked = ["c", "nothing", "a", "b", "a", "other"];
    let loaded = shelf.load_all(&asked.map(root)).await;
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
    assert_eq!(shelf.load_all(&[]).await, []);
    let outcomes = shelf.write_all(Vec::new()).await;
    assert_eq!(outcomes, []);
}

pub(super) async fn ids_are_kept_apart<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
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
        shelf.put(&of(number, id), None).await;
    }
    for (number, (id, loaded)) in ids.iter().zip(shelf.load_all(&ids).await).enumerate() {
        assert_eq!(loaded.document, of(number, id), "{id:?}");
    }
}

pub(super) async fn a_hidden_document_comes_back_too<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    // A deleted product, which keeps older rows out for as long as it is there.
    let mut tombstone = Document::new(root("tee"));
    tombstone.root_deleted = Some(RowVersion(7));
    for (table, key) in [("products", "tee"), ("variants", "tee-m")] {
        let deleted = row(7, json!(null));
        tombstone.rows.insert(row_key(table, key), deleted);
    }
    shelf.put(&titled("tee", "Tee"), Some(view("Tee"))).await;
    let revision = shelf.put(&tombstone, None).await;
    let loaded = shelf.load(&root("tee")).await;
    assert_eq!(
        loaded.document, tombstone,
        "a hidden document was forgotten, and older rows would bring it back"
    );
    assert_ne!(revision, Revision::Absent);
}

pub(super) async fn a_view_may_come_and_go<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    for (number, shown) in [false, true, false, true, true].into_iter().enumerate() {
        let document = titled("tee", &number.to_string());
        let shown = shown.then(|| view(&number.to_string()));
        shelf.put(&document, shown).await;
        assert_eq!(shelf.load(&root("tee")).await.document, document);
    }
}

pub(super) async fn a_load_sees_every_write_that_was_answered<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let mut expected = Revision::Absent;
    for number in 0..50 {
        let document = titled("tee", &number.to_string());
        let write = DocumentWrite {
            document: document.clone(),
            view: Some(view("Tee")),
            expected,
        };
        assert_eq!(shelf.write(&write).await, WriteOutcome::Durable);
        let loaded = shelf.load(&root("tee")).await;
        assert_eq!(loaded.document, document, "a load sees what was answered");
        expected = loaded.revision;
    }
}

pub(super) async fn a_large_document_is_whole_or_refused<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
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
    shelf.put(&large, Some(view("Tee"))).await;
    let before = shelf.load(&root("tee")).await;
    assert_eq!(before.document, large, "a megabyte of rows");
    let write = DocumentWrite {
        document: of_kilobytes(32 * 1_024),
        view: Some(view("Tee")),
        expected: before.revision.clone(),
    };
    let outcome = shelf.write(&write).await;
    let loaded = shelf.load(&root("tee")).await.document;
    match outcome {
        WriteOutcome::Durable => assert!(loaded == write.document, "it was not kept whole"),
        WriteOutcome::Refused { .. } => assert!(loaded == large, "refused, and changed"),
        other => panic!("a document of 32 MiB is kept or refused, not told {other:?}"),
    }
}

pub(super) async fn many_documents_in_one_call<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let keys: Vec<String> = (0..500).map(|number| format!("tee-{number}")).collect();
    let write = |key: &String| DocumentWrite {
        document: titled(key, key),
        view: Some(view(key)),
        expected: Revision::Absent,
    };
    let writes: Vec<_> = keys.iter().map(write).collect();
    let outcomes = shelf.write_all(writes.clone()).await;
    for (write, outcome) in writes.iter().zip(outcomes) {
        match outcome {
            WriteOutcome::Durable => {}
            WriteOutcome::Retry { .. } => {
                shelf.put(&write.document, write.view.clone()).await;
            }
            other => panic!("{} of 500: {other:?}", write.document.id),
        }
    }
    let ids: Vec<_> = keys.iter().map(|key| root(key)).collect();
    for (write, loaded) in writes.iter().zip(shelf.load_all(&ids).await) {
        assert_eq!(loaded.document, write.document);
    }
}
