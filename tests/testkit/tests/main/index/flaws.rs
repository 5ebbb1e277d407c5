//! Each flawed index fails in the cases that name its flaw.

use stockade_testkit::index::{concurrency_cases, reopen_cases, writer_cases};
use stockade_testkit::search::search_cases;

use super::flawed::{Flaw, Flawed};
use crate::fails::assert_fails_on;

#[test]
fn forgets_the_hidden() {
    assert_fails_on(
        &writer_cases(),
        || Flawed::with(Flaw::ForgetsTheHidden),
        &[
            "a_deleted_product_stays_deleted",
            "a_hidden_document_is_kept",
        ],
        "an older row restored a deleted product",
    );
    assert_fails_on(
        &concurrency_cases(),
        || Flawed::with(Flaw::ForgetsTheHidden),
        &["the_revision_of_a_hidden_document_is_compared"],
        "another write was lost: it is hidden, not absent",
    );
    assert_fails_on(
        &search_cases(),
        || Flawed::with(Flaw::ForgetsTheHidden),
        &["older_rows_do_not_restore_a_deleted_product"],
        "an older row restored a deleted product",
    );
}

#[test]
fn ignores_revisions() {
    assert_fails_on(
        &concurrency_cases(),
        || Flawed::with(Flaw::IgnoresRevisions),
        &[
            "a_stale_revision_conflicts",
            "absent_conflicts_with_an_existing_document",
            "a_revision_conflicts_with_an_absent_document",
            "a_revision_is_not_reused_for_the_same_content",
            "concurrent_merges_lose_nothing",
        ],
        "another write was lost: a stale revision",
    );
}

#[test]
fn compares_before_the_write() {
    assert_fails_on(
        &concurrency_cases(),
        || Flawed::with(Flaw::ComparesBeforeTheWrite),
        &[
            "concurrent_writers_with_one_revision_have_one_winner",
            "concurrent_merges_lose_nothing",
        ],
        "of writers with the same revision exactly one succeeds",
    );
}

#[test]
fn denies_its_writes() {
    assert_fails_on(
        &writer_cases(),
        || Flawed::with(Flaw::DeniesItsWrites),
        &["an_error_without_effect_leaves_the_document_unchanged"],
        "the document was written, but the error says that it was not",
    );
}

#[test]
fn answers_before_it_is_durable() {
    assert_fails_on(
        &reopen_cases(),
        || Flawed::with(Flaw::AnswersBeforeItIsDurable),
        &["a_write_just_before_the_end_survives"],
        "a write returned before it was durable",
    );
}

#[test]
fn loads_late() {
    assert_fails_on(
        &writer_cases(),
        || Flawed::with(Flaw::LoadsLate),
        &["a_load_returns_every_finished_write"],
        "a load misses a finished write",
    );
}

#[test]
fn scans_late() {
    assert_fails_on(
        &writer_cases(),
        || Flawed::with(Flaw::ScansLate),
        &["a_scan_finds_every_finished_write"],
        "a scan misses a finished write",
    );
}

#[test]
fn shows_the_hidden() {
    assert_fails_on(
        &search_cases(),
        || Flawed::with(Flaw::ShowsTheHidden),
        &[
            "a_hidden_product_is_no_longer_found",
            "older_rows_do_not_restore_a_deleted_product",
        ],
        "both are hidden again: not within",
    );
}

#[test]
fn facets_keep_their_filter() {
    assert_fails_on(
        &search_cases(),
        || Flawed::with(Flaw::FacetsKeepTheirFilter),
        &[
            "a_facet_ignores_its_own_filter",
            "a_facet_applies_the_other_filters",
        ],
        "a facet ignores the filter on its own field",
    );
}

#[test]
fn reads_the_last_words() {
    assert_fails_on(
        &search_cases(),
        || Flawed::with(Flaw::ReadsTheLastWords),
        &["words_after_the_20th_are_ignored"],
        "finds",
    );
}
