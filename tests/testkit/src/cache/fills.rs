//! A cache is filled page by page, and a fill counts only if none of its pages is lost.

use stockade_catalog_core::{CacheWrite, Coverage, FillToken};

use super::CacheHarness;
use super::desk::{Desk, entry, following, known, start};

pub(super) async fn a_filled_cache_says_so<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.advance(&[start(0, 0)]).await;
    let mut token = desk.begin_fill().await;
    for number in 1..=3 {
        let page = [entry(&format!("tee-{number}"), number, 1)];
        token = desk.page(&token, &page).await;
        assert_eq!(desk.coverage().await, Coverage::Unfilled, "not at its end");
    }
    assert_eq!(desk.end_fill(&token).await, Coverage::Filled);
    let read = desk.entries(&["tee-1", "tee-2", "tee-3"]).await;
    assert_eq!(read, [known(1, 1), known(2, 1), known(3, 1)]);
    assert_eq!(desk.coverage().await, Coverage::Filled);
    desk.apply(&[entry("tee-1", 4, 4)], &[following(0, 0, 1)])
        .await;
    assert_eq!(desk.coverage().await, Coverage::Filled, "nothing was lost");
}

pub(super) async fn a_page_stores_what_is_newer<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write_one(entry("tee", 5, 10)).await;
    let token = desk.begin_fill().await;
    let page = [entry("tee", 9, 9), entry("cap", 1, 1)];
    let step = desk.fill(&token, &page).await;
    assert_eq!(step.entries, [CacheWrite::NotNewer, CacheWrite::Stored]);
    assert_eq!(
        desk.entries(&["tee", "cap"]).await,
        [known(5, 10), known(1, 1)]
    );
}

pub(super) async fn a_page_may_be_repeated<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    let first = desk.begin_fill().await;
    let second = desk.page(&first, &[entry("tee", 5, 1)]).await;
    let again = desk.fill(&first, &[entry("tee", 5, 1)]).await;
    assert_eq!(
        again.next,
        Some(second.clone()),
        "a page whose reply was lost may be repeated"
    );
    let third = desk.page(&second, &[]).await;
    assert_eq!(desk.end_fill(&third).await, Coverage::Filled);
    assert_eq!(desk.end_fill(&third).await, Coverage::Filled, "repeated");
}

pub(super) async fn a_fill_with_a_missing_page_does_not_end<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    let first = desk.begin_fill().await;
    let second = desk.page(&first, &[]).await;
    // As if the cache had lost the second page.
    let lost = second.next();
    assert_eq!(desk.fill(&lost, &[]).await.next, None, "a page is missing");
    assert_eq!(desk.end_fill(&lost).await, Coverage::Unfilled);
    assert_eq!(
        desk.end_fill(&first).await,
        Coverage::Unfilled,
        "not the last"
    );
}

pub(super) async fn a_gap_ends_the_fills_in_progress<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(1).await;
    let first = desk.begin_fill().await;
    let second = desk.page(&first, &[entry("tee", 5, 1)]).await;
    desk.advance(&[following(0, 7, 8)]).await;
    assert_eq!(
        desk.end_fill(&second).await,
        Coverage::Unfilled,
        "a fill that began before the gap counted"
    );
    assert_eq!(desk.fill(&second, &[]).await.next, None);
    let again = desk.begin_fill().await;
    assert_eq!(desk.end_fill(&second).await, Coverage::Unfilled);
    assert_eq!(desk.end_fill(&again).await, Coverage::Filled);
}

pub(super) async fn an_old_token_changes_nothing<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    let old = desk.begin_fill().await;
    let foreign = FillToken::first("never-given");
    assert_eq!(desk.end_fill(&foreign).await, Coverage::Unfilled);
    assert_eq!(desk.fill(&foreign, &[]).await.next, None);
    desk.filled().await;
    for token in [&old, &foreign] {
        let step = desk.fill(token, &[entry("tee", 5, 1)]).await;
        assert_eq!(step.next, None, "another fill has finished");
        assert_eq!(
            desk.end_fill(token).await,
            Coverage::Filled,
            "it stays filled"
        );
    }
    let stored = desk.entry("tee").await;
    assert_eq!(stored, known(5, 1), "versions are still compared");
    desk.advance(&[following(0, 7, 8)]).await;
    for token in [&old, &foreign] {
        assert_eq!(desk.end_fill(token).await, Coverage::Unfilled);
    }
}

pub(super) async fn a_filled_cache_may_be_filled_again<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(1).await;
    let token = desk.begin_fill().await;
    assert_eq!(
        desk.coverage().await,
        Coverage::Filled,
        "it stays filled during the second fill"
    );
    let token = desk.page(&token, &[entry("tee", 5, 1)]).await;
    assert_eq!(desk.end_fill(&token).await, Coverage::Filled);
}

pub(super) async fn several_fills_may_be_in_progress<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(desk.begin_fill().await);
    }
    for round in 0..3 {
        for token in &mut tokens {
            *token = desk.page(token, &[entry("tee", 5, round)]).await;
        }
    }
    let last = tokens.pop().expect("there are four");
    assert_eq!(desk.end_fill(&last).await, Coverage::Filled);
    for other in &tokens {
        assert_eq!(
            desk.fill(other, &[]).await.next,
            None,
            "other fills have ended"
        );
    }
}
