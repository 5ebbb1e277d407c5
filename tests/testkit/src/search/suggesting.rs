//! Titles that go on from what somebody typed.

use stockade_search_sync::{SearchError, Suggestion};

use super::SearchHarness;
use super::shopper::Shopper;

async fn suggest(shopper: &Shopper, prefix: &str, limit: usize) -> Vec<Suggestion> {
    let suggested = shopper.index.suggest(prefix, limit).await;
    let suggested = suggested.unwrap_or_else(|error| panic!("suggesting for {prefix:?}: {error}"));
    assert!(suggested.len() <= limit, "no more than asked for");
    suggested
}

pub(super) async fn titles_go_on_from_what_was_typed<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    for (prefix, key, title) in [
        ("mono", "mono-tee", "Monospace Tee"),
        ("MONOSPACE t", "mono-tee", "Monospace Tee"),
        ("grey h", "grey-hoodie", "Grey Hoodie"),
        ("cam", "camping-kit", "Camping Kit"),
        ("Café Cr", "creme", "Café Crème Brûlée 🧢 Straße"),
    ] {
        let suggested = suggest(&shopper, prefix, 5).await;
        let expected = Suggestion::new(key.to_owned(), title.to_owned());
        assert_eq!(
            suggested.first(),
            Some(&expected),
            "{prefix:?}: {suggested:?}"
        );
    }
    assert_eq!(suggest(&shopper, "xylophonists", 5).await, []);
}

pub(super) async fn an_empty_prefix_suggests_nothing<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    for prefix in ["", "  "] {
        assert_eq!(suggest(&shopper, prefix, 5).await, []);
    }
}

pub(super) async fn suggestions_are_limited<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    for limit in [1, 3, 20] {
        let suggested = suggest(&shopper, "enamel", limit).await;
        assert!(!suggested.is_empty(), "at most {limit}, and not none");
        assert!(suggested.iter().all(|found| found.text == "Enamel Mug"));
    }
}

pub(super) async fn suggestions_out_of_limits_are_refused<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let long = "a".repeat(10_000);
    for (prefix, limit, part) in [
        ("mono", 0, "limit"),
        ("mono", 21, "limit"),
        (&long, 5, "prefix"),
    ] {
        let refused = shopper.index.suggest(prefix, limit).await;
        assert!(
            matches!(&refused, Err(SearchError::Invalid { field, .. }) if field == part),
            "{part} is to blame: {refused:?}"
        );
    }
}
