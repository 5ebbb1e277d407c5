//! A write succeeds only if the document has not changed since it was loaded.

use serde_json::json;
use stockade_search_sync::{
    DocumentWrite, Loaded, Projection, Revision, SearchError, WriteConcurrency,
};

use super::IndexHarness;
use super::test_index::{TestIndex, WriteOutcome, records, root, row, row_key, titled, view};
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

/// A write that must conflict and change nothing.
async fn conflicts(index: &TestIndex, write: &DocumentWrite, what: &str) {
    let before = index.load(&write.document.id).await;
    let outcome = index.write(write).await;
    let after = index.load(&write.document.id).await;
    assert_eq!(after, before, "another write was lost: {what}");
    assert_eq!(outcome, WriteOutcome::Conflict, "{what}");
}

pub(super) async fn it_declares_compare_and_set<H: IndexHarness>(h: H) {
    let concurrency = h.writer().concurrency();
    assert_eq!(concurrency, WriteConcurrency::CompareAndSet);
}

pub(super) async fn a_stale_revision_conflicts<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let mut stale = Vec::new();
    for number in 0..4 {
        let title = number.to_string();
        let revision = index.put(&titled("tee", &title), Some(view(&title))).await;
        for stale in &stale {
            conflicts(
                &index,
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
    let outcome = index.write(&write("Newest", current)).await;
    assert_eq!(outcome, WriteOutcome::Written, "the revision is the newest");
}

pub(super) async fn absent_conflicts_with_an_existing_document<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let first = write("First", Revision::Absent);
    assert_eq!(index.write(&first).await, WriteOutcome::Written);
    conflicts(&index, &first, "the same write again").await;
    let other = write("Second", Revision::Absent);
    conflicts(&index, &other, "the document exists").await;
}

pub(super) async fn a_revision_conflicts_with_an_absent_document<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let revision = index.put(&titled("cap", "Cap"), Some(view("Cap"))).await;
    let outcome = index.write(&write("Tee", revision)).await;
    assert_eq!(
        outcome,
        WriteOutcome::Conflict,
        "the document does not exist"
    );
    assert_eq!(index.load(&root("tee")).await.revision, Revision::Absent);
}

pub(super) async fn a_revision_is_not_reused_for_the_same_content<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let first = index.put(&titled("tee", "A"), Some(view("A"))).await;
    index.put(&titled("tee", "B"), Some(view("B"))).await;
    index.put(&titled("tee", "A"), Some(view("A"))).await;
    conflicts(
        &index,
        &write("C", first),
        "it changed twice, back to the first content",
    )
    .await;
}

pub(super) async fn the_revision_of_a_hidden_document_is_compared<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let shown = index.put(&titled("tee", "Tee"), Some(view("Tee"))).await;
    let hidden = index.put(&titled("tee", "Hidden"), None).await;
    conflicts(&index, &write("Late", shown), "it was hidden in between").await;
    conflicts(
        &index,
        &write("Late", Revision::Absent),
        "it is hidden, not absent",
    )
    .await;
    let back = index.write(&write("Back", hidden)).await;
    assert_eq!(back, WriteOutcome::Written);
}

pub(super) async fn each_write_has_its_own_outcome<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let stale = index.put(&titled("b", "B"), None).await;
    index.put(&titled("b", "Newer"), None).await;
    let current = index.put(&titled("c", "C"), None).await;
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
    let outcomes = index.write_all(writes.into()).await;
    assert!(
        matches!(
            &outcomes[..],
            [Ok(()), Err(SearchError::Conflict { document }), Ok(()), Ok(())]
                if *document == root("b")
        ),
        "the second of four writes conflicts: {outcomes:?}"
    );
    let loaded = index.load_all(&["a", "b", "c", "d"].map(root)).await;
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
    let index = TestIndex::open(&h).await;
    let mut expected = Revision::Absent;
    for _ in 0..3 {
        let writes = ["One", "Two"].map(|title| write(title, expected.clone()));
        let outcomes = index.write_all(writes.into()).await;
        let loaded = index.load(&root("tee")).await;
        let [one, two] = &outcomes[..] else {
            panic!("two writes have two outcomes, not {outcomes:?}");
        };
        let title = match (one, two) {
            (Ok(()), Err(SearchError::Conflict { .. })) => "One",
            (Err(SearchError::Conflict { .. }), Ok(())) => "Two",
            _ => panic!("one of two writes of one revision wins, not {outcomes:?}"),
        };
        assert_eq!(
            loaded.document,
            titled("tee", title),
            "the document of the winner is stored"
        );
        expected = loaded.revision;
    }
}

pub(super) async fn concurrent_writers_with_one_revision_have_one_winner<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    for round in 0..8 {
        // The first round creates the document.
        let expected = index.load(&root("tee")).await.revision;
        let outcomes = together((0..WRITERS).map(|writer| {
            let index = index.clone();
            let write = write(&format!("{round} by {writer}"), expected.clone());
            async move { (index.write(&write).await, write.document) }
        }))
        .await;
        let mut won = Vec::new();
        for (outcome, document) in outcomes {
            match outcome {
                WriteOutcome::Written => won.push(document),
                WriteOutcome::Conflict => {}
                WriteOutcome::Refused => panic!("the other writers conflict"),
            }
        }
        assert_eq!(
            won.len(),
            1,
            "of writers with the same revision exactly one succeeds"
        );
        assert_eq!(won, [index.load(&root("tee")).await.document]);
    }
}

/// Loads the document, adds a row and writes it, again after each conflict.
async fn add_row(index: &TestIndex, key: &str) {
    loop {
        let Loaded {
            mut document,
            revision,
            ..
        } = index.load(&root("tee")).await;
        let columns = json!({"name": key});
        document
            .rows
            .insert(row_key("variants", key), row(1, columns));
        let write = DocumentWrite {
            document,
            view: Some(view("Tee")),
            expected: revision,
        };
        match index.write(&write).await {
            WriteOutcome::Written => return,
            WriteOutcome::Conflict => {}
            WriteOutcome::Refused => panic!("the document is small"),
        }
        tokio::task::yield_now().await;
    }
}

pub(super) async fn concurrent_merges_lose_nothing<H: IndexHarness>(h: H) {
    const ROWS: usize = 4;
    let index = TestIndex::open(&h).await;
    together((0..WRITERS).map(|writer| {
        let index = index.clone();
        async move {
            for number in 0..ROWS {
                add_row(&index, &format!("{writer}-{number}")).await;
            }
        }
    }))
    .await;
    let rows = index.load(&root("tee")).await.document.rows;
    let expected = WRITERS * ROWS;
    assert_eq!(
        rows.len(),
        expected,
        "a concurrent write was lost: {expected} rows were written"
    );
}

pub(super) async fn concurrent_workers_build_one_document<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let skus: Vec<String> = (0..WRITERS).map(|number| format!("tee-{number}")).collect();
    let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
    let mut records = records(&product("tee", &skus), 5);
    // All records are of one document. Each is handled by one worker, the product's row last.
    records.reverse();
    together((0..4).map(|worker| {
        let index = index.clone();
        let records: Vec<_> = records.iter().skip(worker).step_by(4).cloned().collect();
        async move {
            for record in records {
                index.handle(&[record]).await;
            }
        }
    }))
    .await;
    let document = index.load(&root("tee")).await.document;
    assert_eq!(
        document.rows.len(),
        1 + WRITERS,
        "a concurrent write was lost"
    );
    let shown = Projection::catalog().view(&document);
    let shown = shown.unwrap_or_else(|error| panic!("it has no view: {error}"));
    let skus_shown = shown.and_then(|view| view.fields.get("sku").map(Vec::len));
    assert_eq!(skus_shown, Some(WRITERS));
}
