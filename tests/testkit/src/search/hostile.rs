//! Every query succeeds, or its error names the wrong part.

use stockade_search_sync::{FacetRequest, Filter, SearchQuery, SortOrder};

use super::SearchHarness;
use super::test_search::{TestSearch, by, everything, keys, range};

pub(super) async fn query_syntax_is_plain_text<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for text in [
        "-grey hoodie",
        "+grey -hoodie",
        "!grey hoodie",
        "(grey hoodie",
        "grey) hoodie]}",
        "\"hoodie grey\"",
        "\"hoodie \"grey",
        "'grey' /hoodie/",
        "grey && hoodie ||",
        "grey* hoodie?",
        "grey~ hoodie^",
        "<grey> hoodie;",
        "grey\\ hoodie\\",
        "{\"grey\": \"hoodie\"}",
        "grey:hoodie",
    ] {
        let found = search.find(text).await;
        let best = found.first().map(String::as_str);
        assert_eq!(
            best,
            Some("grey-hoodie"),
            "the words of {text:?} are grey and hoodie, and find {found:?}"
        );
    }
    for text in [
        "title:hoodie",
        "NOT hoodie",
        "hoodie OR lantern",
        "hoodie AND",
        "AND OR NOT",
        "_exists_:title",
        "brand:[a TO z]",
        "_all:*",
        "price:>10",
        "/.*.*.*.*hoodie/",
        "hoodie~99 grey^99999999",
        "{!func}1",
        "id:1 UNION SELECT 1",
        "%",
        "a\" OR \"1\"=\"1",
    ] {
        search.find(text).await;
    }
}

pub(super) async fn a_text_of_signs_finds_nothing<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for text in ["*", "?", "*:*", "...", "\"\"", "-", "()", "\\", "~^"] {
        let found = search.find(text).await;
        assert!(found.is_empty(), "{text:?} is not a wildcard: {found:?}");
    }
}

pub(super) async fn unusual_text_never_fails<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let combining = format!("e{}", "\u{301}".repeat(400));
    let words = "tee ".repeat(240);
    let long_word = "t".repeat(1_000);
    for text in [
        "\0",
        "\u{1}\u{7f}",
        "\u{feff}tee",
        "t\0ee",
        "\u{202e}eet",
        "\u{200b}\u{200d}",
        "ﬁ",
        "İı",
        "ß",
        "Ⅷ½",
        "𝕿𝖊𝖊",
        "🧢",
        "👩‍👩‍👧‍👦",
        "帽子",
        "مقاس كبير",
        "ไทย",
        "\u{fffd}\u{ffff}\u{10ffff}",
        "e\u{301}",
        &combining,
        &words,
        &long_word,
        "tee\r\ntee\u{2028}tee",
    ] {
        search.find(text).await;
        let suggested = search.index.suggest(text, 5).await;
        assert!(suggested.is_ok(), "suggesting for {text:?}: {suggested:?}");
        let value = Filter::terms("attributes.color", [text]);
        let query = everything().with_filter(value);
        assert_eq!(keys(&search.ask(&query).await), Vec::<&str>::new());
        let filter = Filter::terms(format!("attributes.x{text}"), ["x"]);
        // The field may be refused. If not, it finds nothing.
        let page = search.index.search(&everything().with_filter(filter)).await;
        match page {
            Ok(page) => assert_eq!(keys(&page), Vec::<&str>::new()),
            Err(stockade_search_sync::SearchError::Invalid { .. }) => {}
            Err(other) => panic!("a filter on {text:?} failed: {other}"),
        }
    }
}

fn many(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("value-{number}"))
}

pub(super) async fn a_query_within_the_limits_is_answered<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let text = format!("tee {}", "x".repeat(996));
    let filters = (0..50).fold(SearchQuery::text(text), |query, number| {
        let field = format!("attributes.name-{number}");
        query.with_filter(Filter::terms(field, many(100)))
    });
    let query = (0..30).fold(filters.with_size(100), |query, number| {
        let field = format!("attributes.name-{number}");
        query.with_facet(FacetRequest::new(field).with_size(1_000))
    });
    search.ask(&query).await;
    search.ask(&everything().with_size(1)).await;
}

pub(super) async fn the_error_names_the_part_over_its_limit<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let query = SearchQuery::default;
    let brand = || Filter::terms("brand", ["Loom"]);
    for (query, part) in [
        (SearchQuery::text("a".repeat(10_000)), "text"),
        (SearchQuery::text("é".repeat(501)), "text"),
        (query().with_size(0), "size"),
        (query().with_size(101), "size"),
        (query().with_size(usize::MAX), "size"),
        (
            many(51).fold(query(), |query, _| query.with_filter(brand())),
            "filters",
        ),
        (
            query().with_filter(Filter::terms("brand", many(0))),
            "filters[0]",
        ),
        (
            query().with_filter(Filter::terms("brand", many(101))),
            "filters[0]",
        ),
        (
            many(31).fold(query(), |query, _| {
                query.with_facet(FacetRequest::new("brand"))
            }),
            "facets",
        ),
        (
            query().with_facet(FacetRequest::new("brand").with_size(0)),
            "facets[0]",
        ),
        (
            query().with_facet(FacetRequest::new("brand").with_size(1_001)),
            "facets[0]",
        ),
        (
            query()
                .with_filter(brand())
                .with_filter(range("price", Some(f64::NAN), None)),
            "filters[1]",
        ),
        (
            query().with_filter(range("price", None, Some(f64::INFINITY))),
            "filters[0]",
        ),
        (
            query().with_filter(range("price", Some(2.0), Some(1.0))),
            "filters[0]",
        ),
        (
            query().with_filter(range("price", None, None)),
            "filters[0]",
        ),
    ] {
        search.refuses(&query, part).await;
    }
}

pub(super) async fn the_error_names_an_unknown_field<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let query = SearchQuery::default;
    let longest = "x".repeat(10_000);
    for field in [
        "colour",
        "",
        "_id",
        "_score",
        "title.keyword",
        "Brand",
        "attributes",
        &longest,
    ] {
        let filter = Filter::terms(field, ["a"]);
        search
            .refuses(&query().with_filter(filter), "filters[0]")
            .await;
        let filter = range(field, Some(1.0), None);
        search
            .refuses(&query().with_filter(filter), "filters[0]")
            .await;
        let facet = FacetRequest::new(field);
        search
            .refuses(&query().with_facet(facet), "facets[0]")
            .await;
        let sorted = query().with_sort(by(field, SortOrder::Ascending));
        search.refuses(&sorted, "sort").await;
    }
    // These fields exist, and can not be filtered or sorted by.
    for field in ["title", "description", "media"] {
        let filter = Filter::terms(field, ["a"]);
        search
            .refuses(&query().with_filter(filter), "filters[0]")
            .await;
        let sorted = query().with_sort(by(field, SortOrder::Ascending));
        search.refuses(&sorted, "sort").await;
    }
    let filter = range("brand", Some(1.0), None);
    search
        .refuses(&query().with_filter(filter), "filters[0]")
        .await;
}

pub(super) async fn bad_cursors_are_refused<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let sorted = everything()
        .with_sort(by("price", SortOrder::Ascending))
        .with_size(3);
    let first = search.ask(&sorted).await;
    let good = first.next.expect("there is another page");
    let half = good.chars().take(good.chars().count() / 2).collect();
    let long = "0".repeat(200_000);
    let garbage = [
        "", "x", "00", "-1", "null", "{}", "帽子", "../..", "AAAA", "[1]",
    ];
    let garbage = garbage.map(str::to_owned).into_iter();
    for bad in garbage.chain([half, long, format!("{good}00"), format!(" {good}")]) {
        search
            .refuses(&sorted.clone().with_cursor(bad), "cursor")
            .await;
    }
    let other = everything().with_sort(by("price", SortOrder::Descending));
    search.refuses(&other.with_cursor(&good), "cursor").await;
    search
        .refuses(&everything().with_cursor(&good), "cursor")
        .await;
    // A forged cursor is accepted or refused. Nothing else may happen.
    for at in 0..good.len().min(200) {
        let mut forged = good.clone().into_bytes();
        forged[at] = if forged[at] == b'1' { b'2' } else { b'1' };
        let Ok(forged) = String::from_utf8(forged) else {
            continue;
        };
        match search
            .index
            .search(&sorted.clone().with_cursor(forged))
            .await
        {
            Ok(_) | Err(stockade_search_sync::SearchError::Invalid { .. }) => {}
            Err(other) => panic!("a forged cursor failed: {other}"),
        }
    }
    let second = search.ask(&sorted.with_cursor(good)).await;
    assert!(!second.hits.is_empty(), "the unchanged cursor is accepted");
}
