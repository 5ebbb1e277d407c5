//! A write succeeds only if nobody else has written since its document was loaded.

use serde_json::json;
use stockade_search_sync::{
    DocumentWrite, Loaded, Projection, Revision, WriteConcurrency, WriteOutcome,
};

use super::IndexHarness;
use super::shelf::{Shelf, records, root, row, row_key, titled, view};
use crate::catalog::shop::product;
use crate::together;

const WRITERS: usize = 16;

fn write(title: &str, expected: Revision) -> DocumentWrite {
    DocumentWrite {
        document: titled("tee", title),
        view: Some(view(title)),
        expected,
    }
}

/// A write that must not take effect.
async fn conflicts(shelf: &Shelf, write: &DocumentWrite, what: &str) {
    let before = shelf.load(&write.document.id).await;
    let outcome = shelf.write(write).await;
    let after = shelf.load(&write.document.id).await;
    assert_eq!(after, before, "another write was lost: {what}");
    assert_eq!(outcome, WriteOutcome::Conflict, "{what}");
}

pub(super) async fn it_says_that_it_compares<H: IndexHarness>(h: H) {
    let concurrency = h.writer().concurrency();
    assert_eq!(concurrency, WriteConcurrency::CompareAndSet);
}

pub(super) async fn a_stale_revision_conflicts<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let mut stale = Vec::new();
    for number in 0..4 {
        let title = number.to_string();
        let revision = shelf.put(&titled("tee", &title), Some(view(&title))).await;
        for stale in &stale {
            conflicts(
                &shelf,
                &write("Stale", Revision::clone(stale)),
                "a stale revision",
            )
            .await;
        }
        assert!(
            !stale.contains(&revision),
            "each state has its own revision"
        );
        stale.push(revision);
    }
    let current = stale.pop().expect("four were written");
    let outcome = shelf.write(&write("Newest", current)).await;
    assert_eq!(outcome, WriteOutcome::Durable, "the revision is the newest");
}

pub(super) async fn absent_conflicts_with_what_is_there<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let first = write("First", Revision::Absent);
    assert_eq!(shelf.write(&first).await, WriteOutcome::Durable);
    conflicts(&shelf, &first, "the same write again").await;
    let other = write("Second", Revision::Absent);
    conflicts(&shelf, &other, "it is there").await;
}

pub(super) async fn a_revision_of_what_is_not_there_conflicts<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let revision = shelf.put(&titled("cap", "Cap"), Some(view("Cap"))).await;
    let outcome = shelf.write(&write("Tee", revision)).await;
    assert_eq!(
        outcome,
        WriteOutcome::Conflict,
        "there is nothing of the kind"
    );
    assert_eq!(shelf.load(&root("tee")).await.revision, Revision::Absent);
}

pub(super) async fn a_revision_does_not_come_back_with_its_content<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let first = shelf.put(&titled("tee", "A"), Some(view("A"))).await;
    shelf.put(&titled("tee", "B"), Some(view("B"))).await;
    shelf.put(&titled("tee", "A"), Some(view("A"))).await;
    conflicts(&shelf, &write("C", first), "it changed to and fro").await;
}

pub(super) async fn a_hidden_document_is_compared_too<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let shown = shelf.put(&titled("tee", "Tee"), Some(view("Tee"))).await;
    let hidden = shelf.put(&titled("tee", "Hidden"), None).await;
    conflicts(&shelf, &write("Late", shown), "it was hidden since").await;
    conflicts(
        &shelf,
        &write("Late", Revision::Absent),
        "it is hidden, not absent",
    )
    .await;
    let back = shelf.write(&write("Back", hidden)).await;
    assert_eq!(back, WriteOutcome::Durable);
}

pub(super) async fn each_write_has_its_own_outcome<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let stale = shelf.put(&titled("b", "B"), None).await;
    shelf.put(&titled("b", "Newer"), None).await;
    let current = shelf.put(&titled("c", "C"), None).await;
    let writes = [
        ("a", Revision::Absent),
        ("b", stale),
        ("c", current),
        ("d", Revision::Absent),
    ]
    .map(|(key, expected)| DocumentWrite {
        document: titled(key, "Written"),
        view: Some(view("Written")),
        expected,
    });
    let outcomes = shelf.write_all(writes.into()).await;
    let (durable, conflict) = (WriteOutcome::Durable, WriteOutcome::Conflict);
    assert_eq!(
        outcomes,
        [durable.clone(), conflict, durable.clone(), durable]
    );
    let loaded = shelf.load_all(&["a", "b", "c", "d"].map(root)).await;
    let expected = [
        ("a", "Written"),
        ("b", "Newer"),
        ("c", "Written"),
        ("d", "Written"),
    ];
    for (loaded, (key, title)) in loaded.into_iter().zip(expected) {
        assert_eq!(loaded.document, titled(key, title));
    }
}

pub(super) async fn one_document_twice_in_a_call_has_one_winner<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let mut expected = Revision::Absent;
    for _ in 0..3 {
        let writes = ["One", "Two"].map(|title| write(title, expected.clone()));
        let outcomes = shelf.write_all(writes.into()).await;
        let loaded = shelf.load(&root("tee")).await;
        let [one, two] = &outcomes[..] else {
            panic!("two writes have two outcomes, not {outcomes:?}");
        };
        let title = match (one, two) {
            (WriteOutcome::Durable, WriteOutcome::Conflict) => "One",
            (WriteOutcome::Conflict, WriteOutcome::Durable) => "Two",
            _ => panic!("one of two writes of one revision wins, not {outcomes:?}"),
        };
        assert_eq!(
            loaded.document,
            titled("tee", title),
            "the winner's is stored"
        );
        expected = loaded.revision;
    }
}

pub(super) async fn one_of_many_writers_wins<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    for round in 0..8 {
        // The first round creates it.
        let expected = shelf.load(&root("tee")).await.revision;
        let outcomes = together((0..WRITERS).map(|writer| {
            let shelf = shelf.clone();
            let write = write(&format!("{round} by {writer}"), expected.clone());
            async move { (shelf.write(&write).await, write.document) }
        }))
        .await;
        let mut won = Vec::new();
        for (outcome, document) in outcomes {
            match outcome {
                WriteOutcome::Durable => won.push(document),
                WriteOutcome::Conflict => {}
                other => panic!("who loses is told of the conflict, not {other:?}"),
            }
        }
        assert_eq!(
            won.len(),
            1,
            "writers that won with one revision, and lose all but one write"
        );
        assert_eq!(won, [shelf.load(&root("tee")).await.document]);
    }
}

/// Loads, adds a row and writes, until it is durable.
async fn add_row(shelf: &Shelf, key: &str) {
    loop {
        let Loaded {
            mut document,
            revision,
            ..
        } = shelf.load(&root("tee")).await;
        let columns = json!({"name": key});
        document
            .rows
            .insert(row_key("variants", key), row(1, columns));
        let write = DocumentWrite {
            document,
            view: Some(view("Tee")),
            expected: revision,
        };
        match shelf.write(&write).await {
            WriteOutcome::Durable => return,
            WriteOutcome::Conflict => {}
            other => panic!("a write under contention was told {other:?}"),
        }
        tokio::task::yield_now().await;
    }
}

pub(super) async fn concurrent_merges_lose_nothing<H: IndexHarness>(h: H) {
    const ROWS: usize = 4;
    let shelf = Shelf::open(&h).await;
    together((0..WRITERS).map(|writer| {
        let shelf = shelf.clone();
        async move {
            for number in 0..ROWS {
                add_row(&shelf, &format!("{writer}-{number}")).await;
            }
        }
    }))
    .await;
    let rows = shelf.load(&root("tee")).await.document.rows;
    let expected = WRITERS * ROWS;
    assert_eq!(
        rows.len(),
        expected,
        "a concurrent write was lost: of {expected} rows that are durable"
    );
}

pub(super) async fn concurrent_workers_make_one_document<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let skus: Vec<String> = (0..WRITERS).map(|number| format!("tee-{number}")).collect();
    let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
    let mut records = records(&product("tee", &skus), 5);
    // Each record is handled by one worker, the product's own last, and all of them are of one
    // document.
    records.reverse();
    together((0..4).map(|worker| {
        let shelf = shelf.clone();
        let records: Vec<_> = records.iter().skip(worker).step_by(4).cloned().collect();
        async move {
            for record in records {
                shelf.follow(&[record]).await;
            }
        }
    }))
    .await;
    let document = shelf.load(&root("tee")).await.document;
    assert_eq!(
        document.rows.len(),
        1 + WRITERS,
        "a concurrent write was lost"
    );
    let shown = Projection::catalog().view(&document);
    let shown = shown.unwrap_or_else(|error| panic!("it can't be shown: {error}"));
    let skus_shown = shown.and_then(|view| view.fields.get("sku").map(Vec::len));
    assert_eq!(skus_shown, Some(WRITERS));
}
