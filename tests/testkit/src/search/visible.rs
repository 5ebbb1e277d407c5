//! Which products are found, and how soon.

use stockade_catalog_core::ProductStatus;
use stockade_search_sync::{FacetRequest, Filter, SearchError, SearchQuery};

use super::assortment::{item, variants};
use super::test_search::{TestSearch, everything, keys};
use super::{SearchHarness, assortment};
use crate::index::test_index::{deletion, records, stock};

pub(super) async fn a_written_product_is_found_soon<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for number in 0..5 {
        let key = format!("kettle-{number}");
        let mut kettle = item(&key, "Copper Kettle", "", "Clay");
        kettle.variants = variants(&[(&format!("KT-{number}"), "", 100)]);
        search.put(&kettle, 1).await;
        let query = SearchQuery::text("copper kettle");
        search
            .until("the written product is found", &query, |page| {
                keys(page).contains(&key.as_str())
            })
            .await;
    }
}

pub(super) async fn a_changed_product_is_found_by_its_new_content<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let mut tee = assortment::shown().remove(0);
    tee.title = "Proportional Pullover".to_owned();
    search.put(&tee, 2).await;
    let query = SearchQuery::text("proportional pullover");
    let page = search
        .until("its new title is found", &query, |page| {
            keys(page) == ["mono-tee"]
        })
        .await;
    let shown = search.writer.view_of("mono-tee").await;
    assert_eq!(Some(&page.hits[0].view), shown.as_ref());
    let by_old = search.find("monospace").await;
    assert!(by_old.is_empty(), "found by its old title: {by_old:?}");
}

/// Searches for hidden products in every possible way.
async fn are_not_found(search: &TestSearch, what: &str) {
    for text in [
        "",
        "zeppelin",
        "zeppelin lantern",
        "ZEP-draft",
        "zepp",
        "archived",
    ] {
        let found = search.find(text).await;
        let hidden = found
            .iter()
            .find(|key| ["draft", "archived"].contains(&key.as_str()));
        assert_eq!(hidden, None, "{what}, by {text:?}");
    }
    for (field, value) in [
        ("brand", "Zeppelin"),
        ("sku", "ZEP-draft"),
        ("attributes.color", "zeppelin"),
        ("slug", "archived"),
    ] {
        let found = search.filtered([Filter::terms(field, [value])]).await;
        assert!(found.is_empty(), "{what}, by {field}: {found:?}");
        let facet = FacetRequest::new(field).with_size(1_000);
        let page = search.ask(&everything().with_facet(facet)).await;
        let counted = page.facets[0].values.iter().find(|(of, _)| of == value);
        assert_eq!(counted, None, "{what}, in a facet");
    }
    for prefix in ["zep", "zeppelin lan"] {
        let suggested = search.index.suggest(prefix, 20).await;
        assert!(
            suggested.as_ref().is_ok_and(Vec::is_empty),
            "{what}, as a suggestion: {suggested:?}"
        );
    }
}

pub(super) async fn a_product_that_is_not_shown_is_never_found<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    are_not_found(&search, "a draft and an archived product are found").await;
}

pub(super) async fn a_hidden_product_is_no_longer_found<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let mut contents = assortment::not_shown();
    for content in &mut contents {
        content.status = ProductStatus::Active;
        search.put(content, 2).await;
    }
    let query = SearchQuery::text("zeppelin");
    search
        .until("both are shown now", &query, |page| page.hits.len() == 2)
        .await;
    contents[0].status = ProductStatus::Archived;
    search.put(&contents[0], 3).await;
    search.writer.handle(&deletion(&contents[1], 2)).await;
    search
        .until("both are hidden again", &query, |page| page.hits.is_empty())
        .await;
    are_not_found(&search, "a hidden and a deleted product are found").await;
}

pub(super) async fn older_rows_do_not_restore_a_deleted_product<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let tee = assortment::shown().remove(0);
    search.writer.handle(&deletion(&tee, 1)).await;
    let query = SearchQuery::text("monospace tee");
    let gone = |page: &stockade_search_sync::SearchPage| !keys(page).contains(&"mono-tee");
    search.until("it was deleted", &query, gone).await;
    // A replay of its rows, and late stock events.
    let mut late = records(&tee, 1);
    late.extend([stock("MT-100-M", 5, 1), stock("MT-100-L", 0, 1)]);
    for record in late {
        search.writer.handle(&[record]).await;
    }
    // A later write is found, so the earlier ones would be found as well.
    search.put(&item("marker", "Marker", "", "Clay"), 1).await;
    let marker = SearchQuery::text("marker");
    search
        .until("the marker is found", &marker, |page| {
            keys(page) == ["marker"]
        })
        .await;
    let page = search.ask(&query).await;
    assert!(gone(&page), "an older row restored a deleted product");
}

pub(super) async fn only_the_active_generation_is_searched<H: SearchHarness>(h: H) {
    let search = TestSearch::without_generations(&h);
    let nothing = search.index.search(&everything()).await;
    assert!(
        matches!(nothing, Err(SearchError::NothingActive)),
        "no generation is active: {nothing:?}"
    );
    let suggested = search.index.suggest("tee", 5).await;
    assert!(matches!(suggested, Err(SearchError::NothingActive)));
    let (old, new) = (search.writer.with("old"), search.writer.with("new"));
    for (index, title) in [(&old, "Old Lamp"), (&new, "New Lamp")] {
        index.create().await;
        index
            .handle(&records(&item(title, title, "", "Clay"), 1))
            .await;
    }
    for (index, title) in [(&old, "Old Lamp"), (&new, "New Lamp"), (&old, "Old Lamp")] {
        index.activate().await;
        let query = SearchQuery::text("lamp");
        search
            .until("the active generation is searched", &query, |page| {
                keys(page) == [title]
            })
            .await;
        let suggested = search.index.suggest("lam", 5).await;
        let suggested = suggested.unwrap_or_else(|error| panic!("suggest failed: {error}"));
        let titles: Vec<_> = suggested.iter().map(|found| found.text.as_str()).collect();
        assert_eq!(titles, [title]);
    }
}

pub(super) async fn stock_of_unknown_skus_is_never_a_hit<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let all = search.find("").await;
    let events: Vec<_> = (0..10)
        .map(|n| stock(&format!("unknown-{n}"), 5, 1))
        .collect();
    search.writer.handle(&events).await;
    search.put(&item("marker", "Marker", "", "Clay"), 1).await;
    let marker = SearchQuery::text("marker");
    search
        .until("the marker is found", &marker, |page| {
            keys(page) == ["marker"]
        })
        .await;
    assert_eq!(search.find("").await.len(), all.len() + 1);
    assert!(search.find("unknown-3").await.is_empty());
}
