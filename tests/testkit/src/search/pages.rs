//! Pages of hits, in order.

use std::collections::BTreeSet;

use stockade_search_sync::{FacetRequest, Filter, Order, SearchPage, SearchQuery, Sort, Total};

use super::assortment::{MUGS, garment, item, variants};
use super::shopper::{Shopper, by, everything, keys};
use super::{SearchHarness, assortment};

/// All pages of a query.
async fn pages_of(shopper: &Shopper, query: &SearchQuery) -> Vec<SearchPage> {
    let mut all = Vec::new();
    let mut query = query.clone();
    loop {
        let page = shopper.ask(&query).await;
        let next = page.next.clone();
        all.push(page);
        match next {
            Some(next) => query.cursor = Some(next),
            None => return all,
        }
        assert!(all.len() < 200, "the pages of {query:?} have no end");
    }
}

/// The keys of all pages, each of which comes once.
async fn paged(shopper: &Shopper, query: &SearchQuery) -> Vec<String> {
    let pages = pages_of(shopper, query).await;
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
        "a page of nothing"
    );
    let all: Vec<String> = pages.iter().flat_map(keys).map(str::to_owned).collect();
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "pages overlap: {all:?}");
    all
}

pub(super) async fn pages_neither_overlap_nor_leave_gaps<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let queries = [
        everything(),
        SearchQuery::text("enamel mug").with_size(100),
        SearchQuery::text("tee").with_size(100),
        everything().with_sort(by("price", Order::Ascending)),
        everything().with_sort(by("price", Order::Descending)),
        everything().with_sort(by("brand", Order::Ascending)),
        everything().with_sort(by("attributes.diagonal", Order::Ascending)),
        everything().with_filter(Filter::terms("brand", ["Clay"])),
    ];
    for query in queries {
        let page = shopper.ask(&query).await;
        assert_eq!(page.next, None, "all of {query:?} is on one page");
        let whole = keys(&page);
        for size in [1, 3, 7, whole.len().max(1)] {
            let found = paged(&shopper, &query.clone().with_size(size)).await;
            assert_eq!(found, whole, "in pages of {size}: {query:?}");
        }
    }
}

pub(super) async fn a_field_orders_both_ways<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let clothes = everything().with_filter(Filter::terms(
        "attributes.material",
        ["cotton", "polyester"],
    ));
    let ordered = async |sort: Sort| {
        let page = shopper.ask(&clothes.clone().with_sort(sort)).await;
        keys(&page)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (tees, hoodies) = (["mono-tee", "polygon-tee"], ["grey-hoodie", "white-hoodie"]);
    assert_eq!(
        ordered(by("price", Order::Ascending)).await,
        [&["blue-hoodie"][..], &tees, &hoodies].concat(),
        "by the least price upwards"
    );
    assert_eq!(
        ordered(by("price", Order::Descending)).await,
        [&["blue-hoodie"][..], &hoodies, &tees].concat(),
        "by the greatest price downwards"
    );
    assert_eq!(
        ordered(by("attributes.color", Order::Descending)).await,
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
    let shopper = Shopper::open(&h).await;
    let all = assortment::shown().len();
    let televisions = ["borealis-43", "aurora-55", "aurora-65"];
    for order in [Order::Ascending, Order::Descending] {
        let query = everything().with_sort(by("attributes.diagonal", order));
        let page = shopper.ask(&query).await;
        let found = keys(&page);
        let mut first = televisions;
        if order == Order::Descending {
            first.reverse();
        }
        assert_eq!(found[..3], first, "those that have it, {order:?}");
        assert_eq!(found.len(), all, "and then the others");
    }
}

pub(super) async fn ties_are_broken_by_the_key<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let mugs: Vec<String> = (0..MUGS).map(|number| format!("mug-{number:02}")).collect();
    for order in [Order::Ascending, Order::Descending] {
        let query = everything()
            .with_filter(Filter::terms("brand", ["Clay"]))
            .with_sort(by("price", order))
            .with_size(5);
        let found = paged(&shopper, &query).await;
        assert_eq!(found, mugs, "all cost the same, {order:?}");
    }
}

pub(super) async fn pages_go_on_while_products_come<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let whole = everything().with_sort(by("price", Order::Ascending));
    let before: Vec<String> = keys(&shopper.ask(&whole).await)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut query = whole.with_size(4);
    let mut found: Vec<String> = Vec::new();
    let mut number = 0_u64;
    loop {
        let page = shopper.ask(&query).await;
        found.extend(keys(&page).into_iter().map(str::to_owned));
        let Some(next) = page.next else {
            break;
        };
        query.cursor = Some(next);
        // One that belongs before where the reader is.
        let key = format!("cheap-{number}");
        let mut cheap = item(&key, "Cheap", "", "Clay");
        cheap.variants = variants(&[(&key, "", 1 + number)]);
        shopper.put(&cheap, 1).await;
        let is_there = SearchQuery::text(&key);
        shopper
            .until("it came", &is_there, |page| {
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
        "there all the time, and missed: {missing:?}"
    );
}

pub(super) async fn words_are_read_on_the_first_page<H: SearchHarness>(h: H) {
    let shopper = Shopper::before_opening(&h).await;
    let put = async |number: usize, title: &str, version| {
        let key = format!("p-{number}");
        let mut content = garment(&key, title, "Loom");
        content.variants = variants(&[(&format!("SKU-{number}"), "", 1_000 + number as u64)]);
        shopper.put(&content, version).await;
    };
    let shirts = async |expected: usize| {
        let titled = |page: &SearchPage| {
            let hits = page.hits.iter();
            let titles = hits.filter(|hit| hit.view.fields["title"][0].to_string() == "Shirt");
            titles.count() == expected
        };
        shopper.until("it changed", &everything(), titled).await;
    };
    for number in 0..7 {
        put(number, if number < 4 { "Shirt" } else { "Skirt" }, 1).await;
    }
    shirts(4).await;
    let orders = [Sort::Relevance, by("price", Order::Ascending)];
    let first_pages = async || {
        let mut pages = Vec::new();
        for order in orders.clone() {
            let query = SearchQuery::text("shirt").with_size(2).with_sort(order);
            let page = shopper.ask(&query).await;
            let next = page.next.clone().expect("there is more");
            pages.push((page, query.with_cursor(next)));
        }
        pages
    };
    let both = async |pages: Vec<(SearchPage, SearchQuery)>, expected: usize, why: &str| {
        for (first, next) in pages {
            let rest = pages_of(&shopper, &next).await;
            let all = std::iter::once(&first).chain(&rest).flat_map(keys);
            let found: BTreeSet<_> = all.collect();
            assert_eq!(found.len(), expected, "{why}: {found:?}, {:?}", next.sort);
        }
    };
    // Shirts were rare, and by now they are not.
    let pages = first_pages().await;
    for number in 7..10 {
        put(number, "Shirt", 1).await;
    }
    shirts(7).await;
    both(pages, 10, "skirts were found on the first page").await;
    // And the other way round.
    let pages = first_pages().await;
    for number in 1..4 {
        put(number, "Blouse", 2).await;
    }
    shirts(4).await;
    both(pages, 5, "skirts were not found on the first page").await;
}

pub(super) async fn totals_and_facets_are_of_the_whole_result<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let query = SearchQuery::text("enamel")
        .with_size(5)
        .with_facet(FacetRequest::new("brand"));
    let pages = pages_of(&shopper, &query).await;
    assert_eq!(pages.len(), MUGS.div_ceil(5));
    for page in &pages {
        match page.total {
            Total::Exactly(total) => assert_eq!(total, MUGS as u64),
            Total::AtLeast(total) => assert!(total <= MUGS as u64),
        }
        assert_eq!(page.facets, pages[0].facets, "on every page the same");
    }
    assert_eq!(
        pages[0].facets[0].values,
        [("Clay".to_owned(), MUGS as u64)]
    );
}
