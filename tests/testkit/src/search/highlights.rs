//! Where a hit matches.

use stockade_search_sync::{FieldValue, Highlight, Hit, SearchQuery};

use super::SearchHarness;
use super::shopper::Shopper;

/// The texts of a highlight that match.
fn matching(highlight: &Highlight) -> Vec<&str> {
    let mut end = 0;
    highlight
        .matches
        .iter()
        .map(|range| {
            assert!(
                range.start >= end,
                "ranges are in order and apart: {highlight:?}"
            );
            assert!(!range.is_empty(), "a match is of something: {highlight:?}");
            end = range.end;
            let text = highlight.fragment.get(range.clone());
            text.unwrap_or_else(|| panic!("{range:?} is on character boundaries of {highlight:?}"))
        })
        .collect()
}

/// Whether the fragment is a piece of what the hit says.
fn is_of(highlight: &Highlight, hit: &Hit) -> bool {
    let values = hit.view.fields.get(&highlight.field);
    values.into_iter().flatten().any(|value| match value {
        FieldValue::Text(text) => text.contains(&highlight.fragment),
        FieldValue::Number(_) => false,
    })
}

pub(super) async fn highlights_show_what_matches<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    for (text, key, field, expected) in [
        ("hoodie", "grey-hoodie", "title", "Hoodie"),
        ("GREY", "grey-hoodie", "title", "Grey"),
        ("monospce", "mono-tee", "title", "Monospace"),
        ("pocket", "grey-hoodie", "description", "pocket"),
        ("crème", "creme", "title", "Crème"),
        ("helmets", "creme", "description", "helmets"),
    ] {
        let page = shopper.ask(&SearchQuery::text(text)).await;
        let hit = page.hits.iter().find(|hit| hit.key == key);
        let hit = hit.unwrap_or_else(|| panic!("{text:?} finds {key}"));
        let highlight = hit.highlights.iter().find(|found| found.field == field);
        let highlight = highlight
            .unwrap_or_else(|| panic!("{text:?} is in the {field} of {key}: {:?}", hit.highlights));
        let matching = matching(highlight);
        assert!(
            matching.contains(&expected),
            "{text:?} matches {expected:?}, and {matching:?} is shown of {highlight:?}"
        );
    }
}

pub(super) async fn highlights_are_sound<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    for text in [
        "hoodie",
        "enamel mug",
        "lantern",
        "café crème brûlée",
        "strasse",
        "straße",
        "帽子",
        "مقاس",
        "unicode",
        "ünïcødé",
        "cafe",
        "🧢",
        "👩‍🚀",
        "100% pure",
        "a",
        "forty hours stove pot",
        "MT-100-M",
        "<b>lantern</b>",
    ] {
        let page = shopper.ask(&SearchQuery::text(text).with_size(100)).await;
        for hit in &page.hits {
            for highlight in &hit.highlights {
                let matching = matching(highlight);
                assert!(!matching.is_empty(), "{text:?}: a highlight of nothing");
                assert!(
                    is_of(highlight, hit),
                    "{text:?}: as it was written, not {highlight:?}"
                );
            }
        }
    }
    let page = shopper.ask(&SearchQuery::default()).await;
    let shown = page.hits.iter().find(|hit| !hit.highlights.is_empty());
    assert_eq!(shown, None, "nothing was asked for");
}
