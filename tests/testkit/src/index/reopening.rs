//! What was answered survives the end of the process.

use stockade_search_sync::{DocumentWrite, GenerationState, Revision, WriteOutcome};

use super::IndexHarness;
use super::shelf::{Shelf, generation, root, titled, view};
use crate::{Reopen, together};

/// Opens the data again.
async fn again<H: IndexHarness + Reopen>(h: H, shelf: Shelf) -> (H, Shelf) {
    drop(shelf);
    let h = h.reopen().await;
    let shelf = Shelf::new(h.writer());
    (h, shelf)
}

pub(super) async fn documents_survive<H: IndexHarness + Reopen>(h: H) {
    let shelf = Shelf::open(&h).await;
    together((0..16).map(|writer| {
        let shelf = shelf.clone();
        async move {
            let key = format!("tee-{writer}");
            let shown = (writer % 2 == 0).then(|| view(&key));
            shelf.put(&titled(&key, "First"), shown.clone()).await;
            shelf.put(&titled(&key, "Second"), shown).await;
        }
    }))
    .await;
    let (_h, shelf) = again(h, shelf).await;
    for writer in 0..16 {
        let key = format!("tee-{writer}");
        let loaded = shelf.load(&root(&key)).await;
        assert_eq!(loaded.document, titled(&key, "Second"), "it was durable");
    }
}

pub(super) async fn generations_and_the_active_one_survive<H: IndexHarness + Reopen>(h: H) {
    let shelf = Shelf::open(&h).await;
    for name in ["old", "new"] {
        shelf.with(name).create().await;
    }
    shelf.with("new").activate().await;
    let removed = shelf.writer.remove(&generation("old")).await;
    assert!(removed.is_ok(), "{removed:?}");
    let (_h, shelf) = again(h, shelf).await;
    let listed = shelf.writer.generations().await;
    let expected = [
        (generation("books-1"), GenerationState::Standby),
        (generation("new"), GenerationState::Active),
    ];
    assert!(
        listed.as_ref().is_ok_and(|listed| *listed == expected),
        "{listed:?}"
    );
}

pub(super) async fn documents_are_compared_after_reopening<H: IndexHarness + Reopen>(h: H) {
    let shelf = Shelf::open(&h).await;
    shelf.put(&titled("tee", "Tee"), Some(view("Tee"))).await;
    let (_h, shelf) = again(h, shelf).await;
    let loaded = shelf.load(&root("tee")).await;
    assert_ne!(loaded.revision, Revision::Absent);
    for (title, outcome) in [
        ("Next", WriteOutcome::Durable),
        ("Late", WriteOutcome::Conflict),
    ] {
        let write = DocumentWrite {
            document: titled("tee", title),
            view: Some(view(title)),
            expected: loaded.revision.clone(),
        };
        assert_eq!(shelf.write(&write).await, outcome, "{title}");
    }
    let stored = shelf.load(&root("tee")).await.document;
    assert_eq!(stored, titled("tee", "Next"));
}
