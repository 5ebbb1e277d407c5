//! Generations are complete copies, of which one is searched.

use stockade_search_sync::{
    DocumentWrite, GenerationState, IndexWriter, Revision, SearchError, WriteOutcome,
};

use super::IndexHarness;
use super::shelf::{Shelf, generation, root, titled, view};
use crate::together;

/// The generations by name, and which of them are active.
async fn listed(writer: &dyn IndexWriter) -> (Vec<String>, Vec<String>) {
    let listed = writer.generations().await;
    let listed = listed.unwrap_or_else(|error| panic!("generations failed: {error}"));
    let name = |(generation, _): &(stockade_search_sync::Generation, _)| generation.to_string();
    let active = listed
        .iter()
        .filter(|(_, state)| *state == GenerationState::Active);
    (
        listed.iter().map(name).collect(),
        active.map(name).collect(),
    )
}

pub(super) async fn generations_are_listed_by_name<H: IndexHarness>(h: H) {
    let shelf = Shelf::new(h.writer());
    let (all, active) = listed(shelf.writer.as_ref()).await;
    assert!(
        all.is_empty() && active.is_empty(),
        "a fresh index has none"
    );
    let longest = "g".repeat(64);
    let mut names = ["b", "a", "a-1", "a_1", "a1", "ab", &longest];
    for name in names {
        shelf.with(name).create().await;
    }
    names.sort_unstable();
    let (all, active) = listed(shelf.writer.as_ref()).await;
    assert_eq!(all, names);
    assert!(active.is_empty(), "nobody activated {active:?}");
}

pub(super) async fn creating_again_changes_nothing<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let tee = titled("tee", "Tee");
    let revision = shelf.put(&tee, Some(view("Tee"))).await;
    shelf.create().await;
    let loaded = shelf.load(&root("tee")).await;
    assert_eq!((loaded.document, loaded.revision), (tee, revision));
    let (all, active) = listed(shelf.writer.as_ref()).await;
    assert_eq!((all.len(), active.len()), (1, 1), "it is active as before");
    together((0..8).map(|_| {
        let shelf = shelf.with("other");
        async move { shelf.create().await }
    }))
    .await;
    let (all, _) = listed(shelf.writer.as_ref()).await;
    assert_eq!(all, ["books-1", "other"]);
}

pub(super) async fn one_generation_is_active<H: IndexHarness>(h: H) {
    let shelf = Shelf::new(h.writer());
    for name in ["a", "b", "c"] {
        shelf.with(name).create().await;
    }
    for name in ["a", "b", "b", "c", "a"] {
        shelf.with(name).activate().await;
        let (all, active) = listed(shelf.writer.as_ref()).await;
        assert_eq!(active, [name], "the one that was activated, and no other");
        assert_eq!(all, ["a", "b", "c"]);
    }
}

pub(super) async fn concurrent_activations_leave_one_active<H: IndexHarness>(h: H) {
    let shelf = Shelf::new(h.writer());
    let names = ["a", "b", "c", "d"];
    for name in names {
        shelf.with(name).create().await;
    }
    shelf.with("a").activate().await;
    together((0..8).map(|caller| {
        let shelf = shelf.with(names[caller % 4]);
        async move {
            for _ in 0..4 {
                if caller < 4 {
                    shelf.activate().await;
                }
                let (_, active) = listed(shelf.writer.as_ref()).await;
                assert_eq!(active.len(), 1, "active while others activate: {active:?}");
            }
        }
    }))
    .await;
}

fn assert_unknown<T: std::fmt::Debug>(outcome: &Result<T, SearchError>) {
    assert!(
        matches!(outcome, Err(SearchError::UnknownGeneration { generation: of })
            if *of == generation("never")),
        "a generation that nobody created: {outcome:?}"
    );
}

pub(super) async fn an_unknown_generation_is_an_error<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let (writer, never) = (&shelf.writer, generation("never"));
    assert_unknown(&writer.activate(&never).await);
    assert_unknown(&writer.load(&never, &[root("tee")]).await);
    assert_unknown(&writer.scan(&never, None, 10).await);
    let write = DocumentWrite {
        document: titled("tee", "Tee"),
        view: None,
        expected: Revision::Absent,
    };
    let outcomes = writer.write(&never, vec![write]).await;
    assert_eq!(outcomes.len(), 1);
    assert_ne!(outcomes, [WriteOutcome::Durable]);
    let (all, active) = listed(writer.as_ref()).await;
    assert_eq!(
        (all, active),
        (vec!["books-1".to_owned()], vec!["books-1".to_owned()])
    );
}

pub(super) async fn removing_removes_the_documents<H: IndexHarness>(h: H) {
    let shelf = Shelf::new(h.writer()).with("old");
    shelf.create().await;
    shelf.put(&titled("tee", "Tee"), Some(view("Tee"))).await;
    for _ in 0..2 {
        let removed = shelf.writer.remove(&shelf.generation).await;
        assert!(removed.is_ok(), "also of what is not there: {removed:?}");
        let (all, _) = listed(shelf.writer.as_ref()).await;
        assert!(all.is_empty(), "removed, and listed: {all:?}");
    }
    shelf.create().await;
    let loaded = shelf.load(&root("tee")).await;
    assert_eq!(loaded.revision, Revision::Absent, "it was removed");
}

pub(super) async fn the_active_generation_is_not_removed<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let tee = titled("tee", "Tee");
    shelf.put(&tee, Some(view("Tee"))).await;
    let refused = shelf.writer.remove(&shelf.generation).await;
    assert!(
        matches!(refused, Err(SearchError::Invalid { .. })),
        "removing what is searched: {refused:?}"
    );
    assert_eq!(shelf.load(&root("tee")).await.document, tee);
    let other = shelf.with("other");
    other.create().await;
    other.activate().await;
    let removed = shelf.writer.remove(&shelf.generation).await;
    assert!(removed.is_ok(), "it is no longer active: {removed:?}");
}

pub(super) async fn removing_leaves_generations_of_similar_names<H: IndexHarness>(h: H) {
    let shelf = Shelf::new(h.writer());
    let names = ["a", "a-1", "a1", "a_1", "ab", "b"];
    for name in names {
        let shelf = shelf.with(name);
        shelf.create().await;
        shelf.put(&titled("tee", name), Some(view(name))).await;
    }
    for removed in ["a", "a_1"] {
        let outcome = shelf.writer.remove(&generation(removed)).await;
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    let (all, _) = listed(shelf.writer.as_ref()).await;
    assert_eq!(all, ["a-1", "a1", "ab", "b"]);
    for name in all {
        let loaded = shelf.with(&name).load(&root("tee")).await;
        assert_eq!(loaded.document, titled("tee", &name), "of {name}");
    }
}

pub(super) async fn generations_are_isolated<H: IndexHarness>(h: H) {
    let shelf = Shelf::open(&h).await;
    let other = shelf.with("other");
    other.create().await;
    shelf.put(&titled("tee", "One"), Some(view("One"))).await;
    assert_eq!(other.load(&root("tee")).await.revision, Revision::Absent);
    other.put(&titled("tee", "Other"), None).await;
    other.put(&titled("cap", "Cap"), Some(view("Cap"))).await;
    other.activate().await;
    for (shelf, title) in [(&shelf, "One"), (&other, "Other")] {
        let loaded = shelf.load(&root("tee")).await.document;
        assert_eq!(loaded, titled("tee", title));
    }
    assert_eq!(shelf.load(&root("cap")).await.revision, Revision::Absent);
}
