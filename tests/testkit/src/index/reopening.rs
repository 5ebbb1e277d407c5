//! Every finished write survives the end of the process.

use stockade_search_sync::{DocumentWrite, GenerationState, Revision};

use super::IndexHarness;
use super::test_index::{TestIndex, WriteOutcome, generation, root, titled, view};
use crate::{Reopen, together};

/// Ends the index and opens its data again.
async fn again<H: IndexHarness + Reopen>(h: H, index: TestIndex) -> (H, TestIndex) {
    drop(index);
    let h = h.reopen().await;
    let index = TestIndex::new(h.writer());
    (h, index)
}

pub(super) async fn documents_survive<H: IndexHarness + Reopen>(h: H) {
    let index = TestIndex::open(&h).await;
    together((0..16).map(|writer| {
        let index = index.clone();
        async move {
            let key = format!("tee-{writer}");
            let shown = (writer % 2 == 0).then(|| view(&key));
            index.put(&titled(&key, "First"), shown.clone()).await;
            index.put(&titled(&key, "Second"), shown).await;
        }
    }))
    .await;
    let (_h, index) = again(h, index).await;
    for writer in 0..16 {
        let key = format!("tee-{writer}");
        let loaded = index.load(&root(&key)).await;
        assert_eq!(
            loaded.document,
            titled(&key, "Second"),
            "a finished write is lost"
        );
    }
}

pub(super) async fn a_write_just_before_the_end_survives<H: IndexHarness + Reopen>(h: H) {
    let mut index = TestIndex::open(&h).await;
    let mut h = h;
    for number in 0..10 {
        let key = format!("tee-{number}");
        let write = DocumentWrite {
            document: titled(&key, "Answered"),
            view: Some(view(&key)),
            expected: Revision::Absent,
        };
        let outcome = index.write(&write).await;
        (h, index) = again(h, index).await;
        assert_eq!(outcome, WriteOutcome::Written);
        let stored = index.load(&root(&key)).await.document;
        assert_eq!(
            stored, write.document,
            "a write returned before it was durable"
        );
    }
}

pub(super) async fn generations_and_the_active_one_survive<H: IndexHarness + Reopen>(h: H) {
    let index = TestIndex::open(&h).await;
    for name in ["old", "new"] {
        index.with(name).create().await;
    }
    index.with("new").activate().await;
    let removed = index.writer.remove(&generation("old")).await;
    assert!(removed.is_ok(), "{removed:?}");
    let (_h, index) = again(h, index).await;
    let listed = index.writer.generations().await;
    let expected = [
        (generation("books-1"), GenerationState::Standby),
        (generation("new"), GenerationState::Active),
    ];
    assert!(
        listed.as_ref().is_ok_and(|listed| *listed == expected),
        "{listed:?}"
    );
}

pub(super) async fn revisions_are_compared_after_reopening<H: IndexHarness + Reopen>(h: H) {
    let index = TestIndex::open(&h).await;
    index.put(&titled("tee", "Tee"), Some(view("Tee"))).await;
    let (_h, index) = again(h, index).await;
    let loaded = index.load(&root("tee")).await;
    assert_ne!(loaded.revision, Revision::Absent);
    for (title, outcome) in [
        ("Next", WriteOutcome::Written),
        ("Late", WriteOutcome::Conflict),
    ] {
        let write = DocumentWrite {
            document: titled("tee", title),
            view: Some(view(title)),
            expected: loaded.revision.clone(),
        };
        assert_eq!(index.write(&write).await, outcome, "{title}");
    }
    let stored = index.load(&root("tee")).await.document;
    assert_eq!(stored, titled("tee", "Next"));
}
