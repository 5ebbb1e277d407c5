//! Titles that complete what a user typed.

use stockade_search_sync::{SearchError, Suggestion};

use super::SearchHarness;
use super::test_search::TestSearch;

async fn suggest(search: &TestSearch, prefix: &str, limit: usize) -> Vec<Suggestion> {
    let suggested = search.index.suggest(prefix, limit).await;
    let suggested = suggested.unwrap_or_else(|error| panic!("suggesting for {prefix:?}: {error}"));
    assert!(suggested.len() <= limit, "no more than requested");
    suggested
}

pub(super) async fn suggestions_complete_the_prefix<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for (prefix, key, title) in [
        ("mono", "mono-tee", "Monospace Tee"),
        ("MONOSPACE t", "mono-tee", "Monospace Tee"),
        ("grey h", "grey-hoodie", "Grey Hoodie"),
        ("cam", "camping-kit", "Camping Kit"),
        ("Café Cr", "creme", "Café Crème Brûlée 🧢 Straße"),
    ] {
        let suggested = suggest(&search, prefix, 5).await;
        let expected = Suggestion::new(key.to_owned(), title.to_owned());
        assert_eq!(
            suggested.first(),
            Some(&expected),
            "{prefix:?}: {suggested:?}"
        );
    }
    assert_eq!(suggest(&search, "xylophonists", 5).await, []);
}

pub(super) async fn an_empty_prefix_suggests_nothing<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for prefix in ["", "  "] {
        assert_eq!(suggest(&search, prefix, 5).await, []);
    }
}

pub(super) async fn suggestions_are_limited<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for limit in [1, 3, 20] {
        let suggested = suggest(&search, "enamel", limit).await;
        assert!(
            !suggested.is_empty(),
            "at least one, with a limit of {limit}"
        );
        assert!(suggested.iter().all(|found| found.text == "Enamel Mug"));
    }
}

pub(super) async fn suggestions_beyond_the_limits_are_refused<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let long = "a".repeat(10_000);
    for (prefix, limit, part) in [
        ("mono", 0, "limit"),
        ("mono", 21, "limit"),
        (&long, 5, "prefix"),
    ] {
        let refused = search.index.suggest(prefix, limit).await;
        assert!(
            matches!(&refused, Err(SearchError::Invalid { field, .. }) if field == part),
            "the error must name {part}: {refused:?}"
        );
    }
}
