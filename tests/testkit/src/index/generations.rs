//! Generations are separate copies of the documents, and one of them is searched.

use std::num::NonZeroUsize;

use stockade_search_sync::{
    DocumentWrite, Generation, GenerationState, IndexWriter, Projection, Revision, SearchError,
};

use super::IndexHarness;
use super::test_index::{TestIndex, generation, root, titled, view};
use crate::together;

/// The names of all generations, and of the active ones.
async fn listed(writer: &dyn IndexWriter) -> (Vec<String>, Vec<String>) {
    let listed = writer.generations().await;
    let listed = listed.unwrap_or_else(|error| panic!("generations failed: {error}"));
    let name = |(generation, _): &(Generation, _)| generation.to_string();
    let active = listed
        .iter()
        .filter(|(_, state)| *state == GenerationState::Active);
    (
        listed.iter().map(name).collect(),
        active.map(name).collect(),
    )
}

pub(super) async fn generations_are_listed_by_name<H: IndexHarness>(h: H) {
    let index = TestIndex::new(h.writer());
    let (all, active) = listed(index.writer.as_ref()).await;
    assert!(
        all.is_empty() && active.is_empty(),
        "a new index has no generations"
    );
    let longest = "g".repeat(64);
    let mut names = ["b", "a", "a-1", "a_1", "a1", "ab", &longest];
    for name in names {
        index.with(name).create().await;
    }
    names.sort_unstable();
    let (all, active) = listed(index.writer.as_ref()).await;
    assert_eq!(all, names);
    assert!(active.is_empty(), "no generation was activated: {active:?}");
}

pub(super) async fn an_unusable_projection_is_refused<H: IndexHarness>(h: H) {
    let writer = h.writer();
    let mut projection = Projection::catalog();
    projection.title = "price".to_owned();
    let refused = writer.create(&generation("bad"), &projection).await;
    assert!(
        matches!(&refused, Err(SearchError::Invalid { field, .. }) if field == "projection.title"),
        "the title is not a text field: {refused:?}"
    );
    let (all, _) = listed(writer.as_ref()).await;
    assert!(all.is_empty(), "a refused generation is listed: {all:?}");
}

pub(super) async fn creating_a_generation_again_changes_nothing<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let tee = titled("tee", "Tee");
    let revision = index.put(&tee, Some(view("Tee"))).await;
    index.create().await;
    let loaded = index.load(&root("tee")).await;
    assert_eq!((loaded.document, loaded.revision), (tee, revision));
    let (all, active) = listed(index.writer.as_ref()).await;
    assert_eq!((all.len(), active.len()), (1, 1), "it stays active");
    together((0..8).map(|_| {
        let index = index.with("other");
        async move { index.create().await }
    }))
    .await;
    let (all, _) = listed(index.writer.as_ref()).await;
    assert_eq!(all, ["books-1", "other"]);
}

pub(super) async fn one_generation_is_active<H: IndexHarness>(h: H) {
    let index = TestIndex::new(h.writer());
    for name in ["a", "b", "c"] {
        index.with(name).create().await;
    }
    for name in ["a", "b", "b", "c", "a"] {
        index.with(name).activate().await;
        let (all, active) = listed(index.writer.as_ref()).await;
        assert_eq!(active, [name], "only the activated one is active");
        assert_eq!(all, ["a", "b", "c"]);
    }
}

pub(super) async fn concurrent_activations_leave_one_active<H: IndexHarness>(h: H) {
    let index = TestIndex::new(h.writer());
    let names = ["a", "b", "c", "d"];
    for name in names {
        index.with(name).create().await;
    }
    index.with("a").activate().await;
    together((0..8).map(|caller| {
        let index = index.with(names[caller % 4]);
        async move {
            for _ in 0..4 {
                if caller < 4 {
                    index.activate().await;
                }
                let (_, active) = listed(index.writer.as_ref()).await;
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
        "the generation was never created: {outcome:?}"
    );
}

pub(super) async fn an_unknown_generation_is_an_error<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let (writer, never) = (&index.writer, generation("never"));
    assert_unknown(&writer.activate(&never).await);
    assert_unknown(&writer.load(&never, &[root("tee")]).await);
    assert_unknown(&writer.scan(&never, None, NonZeroUsize::MIN).await);
    let write = DocumentWrite {
        document: titled("tee", "Tee"),
        view: None,
        expected: Revision::Absent,
    };
    assert_unknown(&writer.write(&never, vec![write]).await);
    let (all, active) = listed(writer.as_ref()).await;
    assert_eq!(
        (all, active),
        (vec!["books-1".to_owned()], vec!["books-1".to_owned()])
    );
}

pub(super) async fn removing_a_generation_removes_its_documents<H: IndexHarness>(h: H) {
    let index = TestIndex::new(h.writer()).with("old");
    index.create().await;
    index.put(&titled("tee", "Tee"), Some(view("Tee"))).await;
    for _ in 0..2 {
        let removed = index.writer.remove(&index.generation).await;
        assert!(
            removed.is_ok(),
            "removing succeeds, also the second time: {removed:?}"
        );
        let (all, _) = listed(index.writer.as_ref()).await;
        assert!(all.is_empty(), "a removed generation is listed: {all:?}");
    }
    index.create().await;
    let loaded = index.load(&root("tee")).await;
    assert_eq!(
        loaded.revision,
        Revision::Absent,
        "the document was removed"
    );
}

pub(super) async fn the_active_generation_can_not_be_removed<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let tee = titled("tee", "Tee");
    index.put(&tee, Some(view("Tee"))).await;
    let refused = index.writer.remove(&index.generation).await;
    assert!(
        matches!(refused, Err(SearchError::Invalid { .. })),
        "the active generation can't be removed: {refused:?}"
    );
    assert_eq!(index.load(&root("tee")).await.document, tee);
    let other = index.with("other");
    other.create().await;
    other.activate().await;
    let removed = index.writer.remove(&index.generation).await;
    assert!(removed.is_ok(), "it is no longer active: {removed:?}");
}

pub(super) async fn removing_keeps_generations_with_similar_names<H: IndexHarness>(h: H) {
    let index = TestIndex::new(h.writer());
    let names = ["a", "a-1", "a1", "a_1", "ab", "b"];
    for name in names {
        let index = index.with(name);
        index.create().await;
        index.put(&titled("tee", name), Some(view(name))).await;
    }
    for removed in ["a", "a_1"] {
        let outcome = index.writer.remove(&generation(removed)).await;
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    let (all, _) = listed(index.writer.as_ref()).await;
    assert_eq!(all, ["a-1", "a1", "ab", "b"]);
    for name in all {
        let loaded = index.with(&name).load(&root("tee")).await;
        assert_eq!(loaded.document, titled("tee", &name), "of {name}");
    }
}

pub(super) async fn generations_are_isolated<H: IndexHarness>(h: H) {
    let index = TestIndex::open(&h).await;
    let other = index.with("other");
    other.create().await;
    index.put(&titled("tee", "One"), Some(view("One"))).await;
    assert_eq!(other.load(&root("tee")).await.revision, Revision::Absent);
    other.put(&titled("tee", "Other"), None).await;
    other.put(&titled("cap", "Cap"), Some(view("Cap"))).await;
    other.activate().await;
    for (index, title) in [(&index, "One"), (&other, "Other")] {
        let loaded = index.load(&root("tee")).await.document;
        assert_eq!(loaded, titled("tee", title));
    }
    assert_eq!(index.load(&root("cap")).await.revision, Revision::Absent);
}
