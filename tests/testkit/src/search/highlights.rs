//! The places where a hit matches.

use stockade_search_sync::{FieldValue, Highlight, Hit, SearchQuery};

use super::SearchHarness;
use super::test_search::TestSearch;

/// The matching parts of a highlight.
fn matching(highlight: &Highlight) -> Vec<&str> {
    let mut end = 0;
    highlight
        .matches
        .iter()
        .map(|range| {
            assert!(
                range.start >= end,
                "ranges are ordered and do not overlap: {highlight:?}"
            );
            assert!(!range.is_empty(), "a match is not empty: {highlight:?}");
            end = range.end;
            let text = highlight.fragment.get(range.clone());
            text.unwrap_or_else(|| panic!("{range:?} is on character boundaries of {highlight:?}"))
        })
        .collect()
}

/// Whether the fragment is part of a value of the hit.
fn is_of(highlight: &Highlight, hit: &Hit) -> bool {
    let values = hit.view.fields.get(&highlight.field);
    values.into_iter().flatten().any(|value| match value {
        FieldValue::Text(text) => text.contains(&highlight.fragment),
        FieldValue::Number(_) => false,
    })
}

pub(super) async fn highlights_show_the_matching_words<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for (text, key, field, expected) in [
        ("hoodie", "grey-hoodie", "title", "Hoodie"),
        ("GREY", "grey-hoodie", "title", "Grey"),
        ("monospce", "mono-tee", "title", "Monospace"),
        ("pocket", "grey-hoodie", "description", "pocket"),
        ("crème", "creme", "title", "Crème"),
        ("helmets", "creme", "description", "helmets"),
    ] {
        let page = search.ask(&SearchQuery::text(text)).await;
        let hit = page.hits.iter().find(|hit| hit.key == key);
        let hit = hit.unwrap_or_else(|| panic!("{text:?} finds {key}"));
        let highlight = hit.highlights.iter().find(|found| found.field == field);
        let highlight = highlight
            .unwrap_or_else(|| panic!("{text:?} is in the {field} of {key}: {:?}", hit.highlights));
        let matching = matching(highlight);
        assert!(
            matching.contains(&expected),
            "{text:?} must highlight {expected:?}, not {matching:?} in {highlight:?}"
        );
    }
}

pub(super) async fn highlights_are_pieces_of_the_text<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
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
        let page = search.ask(&SearchQuery::text(text).with_size(100)).await;
        for hit in &page.hits {
            for highlight in &hit.highlights {
                let matching = matching(highlight);
                assert!(
                    !matching.is_empty(),
                    "{text:?}: a highlight without a match"
                );
                assert!(
                    is_of(highlight, hit),
                    "{text:?}: the fragment is not part of the value: {highlight:?}"
                );
            }
        }
    }
    let page = search.ask(&SearchQuery::default()).await;
    let shown = page.hits.iter().find(|hit| !hit.highlights.is_empty());
    assert_eq!(shown, None, "a query without text has no highlights");
}
