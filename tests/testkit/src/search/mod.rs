//! Suites for what answers queries.

mod assortment;
mod facets;
mod filters;
mod highlights;
mod hostile;
mod pages;
mod shopper;
mod suggesting;
mod text;
mod visible;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_search_sync::SearchIndex;

use crate::index::IndexHarness;

/// Opens indexes that are searched. The suite writes what it searches for.
#[async_trait]
pub trait SearchHarness: IndexHarness {
    /// What searches the index that [`writer`](IndexHarness::writer) writes.
    fn search(&self) -> Arc<dyn SearchIndex>;

    /// The longest that a write may take to be found, 10 s by default.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}

suite! { $
    /// Tests a `SearchIndex`: `search_index_conformance!(module, Harness);` writes a module with
    /// a `#[test]` for each case. The harness implements
    /// [`SearchHarness`](crate::search::SearchHarness).
    search_index_conformance, search::search_cases: SearchHarness;
    text {
        a_word_finds_its_products,
        blank_text_finds_everything,
        what_is_nowhere_finds_nothing,
        typos_are_forgiven,
        a_word_that_products_have_is_no_typo,
        a_title_ranks_above_a_description,
        an_identifier_comes_first,
        the_last_word_may_be_unfinished,
        both_words_come_before_one,
        words_of_keywords_are_searched,
        what_is_only_stored_is_not_searched,
        a_hit_has_the_fields_of_its_product,
    }
    filters {
        terms_of_a_filter_are_alternatives,
        all_filters_have_to_hold,
        terms_are_compared_letter_for_letter,
        terms_of_numbers_and_booleans_are_written_as_in_json,
        ranges_include_their_ends,
        filters_narrow_the_text,
        stock_is_a_filter,
    }
    facets {
        facets_count_products,
        a_facet_leaves_its_own_filter_out,
        facets_heed_the_other_filters,
        facets_heed_the_text,
        facets_come_in_the_order_asked_and_no_larger,
    }
    pages {
        pages_neither_overlap_nor_leave_gaps,
        a_field_orders_both_ways,
        products_without_the_field_come_last,
        ties_are_broken_by_the_key,
        pages_go_on_while_products_come,
        words_are_read_on_the_first_page,
        totals_and_facets_are_of_the_whole_result,
    }
    visible {
        what_is_written_is_found_soon,
        what_changed_is_found_as_it_is,
        what_is_not_shown_is_never_found,
        what_is_hidden_is_found_no_more,
        a_deleted_product_is_not_found_when_older_rows_come_again,
        only_the_active_generation_is_searched,
        stock_of_unknown_skus_is_never_a_hit,
    }
    suggesting {
        titles_go_on_from_what_was_typed,
        an_empty_prefix_suggests_nothing,
        suggestions_are_limited,
        suggestions_out_of_limits_are_refused,
    }
    highlights {
        highlights_show_what_matches,
        highlights_are_sound,
    }
    hostile {
        query_syntax_is_plain_text,
        signs_alone_find_nothing,
        odd_text_never_fails,
        what_is_within_the_limits_is_answered,
        what_is_over_a_limit_is_named,
        unknown_fields_are_named,
        bad_cursors_are_refused,
    }
}
