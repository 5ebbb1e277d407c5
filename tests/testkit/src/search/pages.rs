//! Pages of hits, in order.

use std::collections::BTreeSet;

use stockade_search_sync::{
    FacetRequest, Filter, SearchPage, SearchQuery, Sort, SortOrder, TotalHits,
};

use super::assortment::{MUGS, garment, item, variants};
use super::test_search::{TestSearch, by, everything, keys};
use super::{SearchHarness, assortment};

/// All pages of a query.
async fn pages_of(search: &TestSearch, query: &SearchQuery) -> Vec<SearchPage> {
    let mut all = Vec::new();
    let mut query = query.clone();
    loop {
        let page = search.ask(&query).await;
        let next = page.next.clone();
        all.push(page);
        match next {
            Some(next) => query.cursor = Some(next),
            None => return all,
        }
        assert!(all.len() < 200, "the pages of {query:?} have no end");
    }
}

/// The keys of all pages. Each key must occur once.
async fn paged(search: &TestSearch, query: &SearchQuery) -> Vec<String> {
    let pages = pages_of(search, query).await;
    let (last, full) = pages.split_last().expect("there is a first page");
    for page in full {
        assert_eq!(
            page.hits.len(),
            query.size,
            "only the last page may be short"
        );
    }
    assert!(
        full.is_empty() || !last.hits.is_empty(),
        "the last page is empty"
    );
    let all: Vec<String> = pages.iter().flat_map(keys).map(str::to_owned).collect();
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "pages overlap: {all:?}");
    all
}

pub(super) async fn pages_neither_overlap_nor_leave_gaps<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let queries = [
        everything(),
        SearchQuery::text("enamel mug").with_size(100),
        SearchQuery::text("tee").with_size(100),
        everything().with_sort(by("price", SortOrder::Ascending)),
        everything().with_sort(by("price", SortOrder::Descending)),
        everything().with_sort(by("brand", SortOrder::Ascending)),
        everything().with_sort(by("attributes.diagonal", SortOrder::Ascending)),
        everything().with_filter(Filter::terms("brand", ["Clay"])),
    ];
    for query in queries {
        let page = search.ask(&query).await;
        assert_eq!(page.next, None, "all of {query:?} is on one page");
        let whole = keys(&page);
        for size in [1, 3, 7, whole.len().max(1)] {
            let found = paged(&search, &query.clone().with_size(size)).await;
            assert_eq!(found, whole, "in pages of {size}: {query:?}");
        }
    }
}

pub(super) async fn hits_are_sorted_by_a_field_in_both_directions<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let clothes = everything().with_filter(Filter::terms(
        "attributes.material",
        ["cotton", "polyester"],
    ));
    let ordered = async |sort: Sort| {
        let page = search.ask(&clothes.clone().with_sort(sort)).await;
        keys(&page)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (tees, hoodies) = (["mono-tee", "polygon-tee"], ["grey-hoodie", "white-hoodie"]);
    assert_eq!(
        ordered(by("price", SortOrder::Ascending)).await,
        [&["blue-hoodie"][..], &tees, &hoodies].concat(),
        "ascending, by the smallest price"
    );
    assert_eq!(
        ordered(by("price", SortOrder::Descending)).await,
        [&["blue-hoodie"][..], &hoodies, &tees].concat(),
        "descending, by the largest price"
    );
    assert_eq!(
        ordered(by("attributes.color", SortOrder::Descending)).await,
        [
            "white-hoodie",
            "grey-hoodie",
            "blue-hoodie",
            "mono-tee",
            "polygon-tee"
        ],
        "by text"
    );
}

pub(super) async fn products_without_the_field_come_last<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let all = assortment::shown().len();
    let televisions = ["borealis-43", "aurora-55", "aurora-65"];
    for order in [SortOrder::Ascending, SortOrder::Descending] {
        let query = everything().with_sort(by("attributes.diagonal", order));
        let page = search.ask(&query).await;
        let found = keys(&page);
        let mut first = televisions;
        if order == SortOrder::Descending {
            first.reverse();
        }
        assert_eq!(found[..3], first, "products with the field, {order:?}");
        assert_eq!(found.len(), all, "then the others");
    }
}

pub(super) async fn equal_hits_are_ordered_by_key<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let mugs: Vec<String> = (0..MUGS).map(|number| format!("mug-{number:02}")).collect();
    for order in [SortOrder::Ascending, SortOrder::Descending] {
        let query = everything()
            .with_filter(Filter::terms("brand", ["Clay"]))
            .with_sort(by("price", order))
            .with_size(5);
        let found = paged(&search, &query).await;
        assert_eq!(found, mugs, "all have the same price, {order:?}");
    }
}

pub(super) async fn pages_continue_while_products_are_written<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let whole = everything().with_sort(by("price", SortOrder::Ascending));
    let before: Vec<String> = keys(&search.ask(&whole).await)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut query = whole.with_size(4);
    let mut found: Vec<String> = Vec::new();
    let mut number = 0_u64;
    loop {
        let page = search.ask(&query).await;
        found.extend(keys(&page).into_iter().map(str::to_owned));
        let Some(next) = page.next else {
            break;
        };
        query.cursor = Some(next);
        // A product that is sorted before the position of the reader.
        let key = format!("cheap-{number}");
        let mut cheap = item(&key, "Cheap", "", "Clay");
        cheap.variants = variants(&[(&key, "", 1 + number)]);
        search.put(&cheap, 1).await;
        let by_key = SearchQuery::text(&key);
        search
            .until("the new product is found", &by_key, |page| {
                keys(page).first() == Some(&key.as_str())
            })
            .await;
        number += 1;
    }
    let distinct: BTreeSet<&String> = found.iter().collect();
    assert_eq!(distinct.len(), found.len(), "pages overlap: {found:?}");
    let missing: Vec<_> = before.iter().filter(|key| !found.contains(key)).collect();
    assert!(
        missing.is_empty(),
        "these existed all the time: {missing:?}"
    );
}

pub(super) async fn all_pages_read_words_as_the_first_page_did<H: SearchHarness>(h: H) {
    let search = TestSearch::empty(&h).await;
    let put = async |number: usize, title: &str, version| {
        let key = format!("p-{number}");
        let mut content = garment(&key, title, "Loom");
        content.variants = variants(&[(&format!("SKU-{number}"), "", 1_000 + number as u64)]);
        search.put(&content, version).await;
    };
    let shirts = async |expected: usize| {
        let titled = |page: &SearchPage| {
            let hits = page.hits.iter();
            let titles = hits.filter(|hit| hit.view.fields["title"][0].to_string() == "Shirt");
            titles.count() == expected
        };
        search
            .until("the change is found", &everything(), titled)
            .await;
    };
    for number in 0..7 {
        put(number, if number < 4 { "Shirt" } else { "Skirt" }, 1).await;
    }
    shirts(4).await;
    let orders = [Sort::Relevance, by("price", SortOrder::Ascending)];
    let first_pages = async || {
        let mut pages = Vec::new();
        for order in orders.clone() {
            let query = SearchQuery::text("shirt").with_size(2).with_sort(order);
            let page = search.ask(&query).await;
            let next = page.next.clone().expect("there is another page");
            pages.push((page, query.with_cursor(next)));
        }
        pages
    };
    let both = async |pages: Vec<(SearchPage, SearchQuery)>, expected: usize, why: &str| {
        for (first, next) in pages {
            let rest = pages_of(&search, &next).await;
            let all = std::iter::once(&first).chain(&rest).flat_map(keys);
            let found: BTreeSet<_> = all.collect();
            assert_eq!(found.len(), expected, "{why}: {found:?}, {:?}", next.sort);
        }
    };
    // Shirts are rare on the first page, and common afterwards.
    let pages = first_pages().await;
    for number in 7..10 {
        put(number, "Shirt", 1).await;
    }
    shirts(7).await;
    both(pages, 10, "skirts were found on the first page").await;
    // Shirts are common on the first page, and rare afterwards.
    let pages = first_pages().await;
    for number in 1..4 {
        put(number, "Blouse", 2).await;
    }
    shirts(4).await;
    both(pages, 5, "skirts were not found on the first page").await;
}

pub(super) async fn totals_and_facets_describe_the_whole_result<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let query = SearchQuery::text("enamel")
        .with_size(5)
        .with_facet(FacetRequest::new("brand"));
    let pages = pages_of(&search, &query).await;
    assert_eq!(pages.len(), MUGS.div_ceil(5));
    for page in &pages {
        match page.total {
            TotalHits::Exactly(total) => assert_eq!(total, MUGS as u64),
            TotalHits::AtLeast(total) => assert!(total <= MUGS as u64),
        }
        assert_eq!(
            page.facets, pages[0].facets,
            "the facets of all pages are equal"
        );
    }
    assert_eq!(
        pages[0].facets[0].values,
        [("Clay".to_owned(), MUGS as u64)]
    );
}
