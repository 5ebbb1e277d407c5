//! The suite for searching an index.

mod assortment;
mod facets;
mod filters;
mod highlights;
mod hostile;
mod pages;
mod suggesting;
mod test_search;
mod text;
mod visible;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_search_sync::SearchIndex;

use crate::index::IndexHarness;

/// Opens indexes that are searched. The suite writes the products that it searches for.
#[async_trait]
pub trait SearchHarness: IndexHarness {
    /// Searches the index that [`writer`](IndexHarness::writer) writes.
    fn search(&self) -> Arc<dyn SearchIndex>;

    /// How long after a write a search must find it, 10 s by default.
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
        an_unknown_word_finds_nothing,
        typos_are_tolerated,
        a_word_of_several_products_is_not_a_typo,
        a_title_ranks_above_a_description,
        an_equal_identifier_comes_first,
        the_last_word_may_be_unfinished,
        a_hit_with_both_words_comes_first,
        words_of_keywords_are_searched,
        stored_fields_are_not_searched,
        a_hit_has_the_fields_of_its_product,
        words_after_the_20th_are_ignored,
    }
    filters {
        terms_of_a_filter_are_alternatives,
        all_filters_must_hold,
        terms_must_be_exactly_equal,
        terms_of_numbers_and_booleans_are_written_as_in_json,
        ranges_include_their_ends,
        filters_apply_to_the_hits_of_a_text,
        stock_can_be_filtered,
    }
    facets {
        facets_count_products,
        a_facet_ignores_its_own_filter,
        a_facet_applies_the_other_filters,
        a_facet_counts_the_hits_of_the_text,
        facets_have_the_requested_order_and_size,
    }
    pages {
        pages_neither_overlap_nor_leave_gaps,
        hits_are_sorted_by_a_field_in_both_directions,
        products_without_the_field_come_last,
        equal_hits_are_ordered_by_key,
        pages_continue_while_products_are_written,
        all_pages_read_words_as_the_first_page_did,
        totals_and_facets_describe_the_whole_result,
    }
    visible {
        a_written_product_is_found_soon,
        a_changed_product_is_found_by_its_new_content,
        a_product_that_is_not_shown_is_never_found,
        a_hidden_product_is_no_longer_found,
        older_rows_do_not_restore_a_deleted_product,
        only_the_active_generation_is_searched,
        stock_of_unknown_skus_is_never_a_hit,
    }
    suggesting {
        suggestions_complete_the_prefix,
        an_empty_prefix_suggests_nothing,
        suggestions_are_limited,
        suggestions_beyond_the_limits_are_refused,
    }
    highlights {
        highlights_show_the_matching_words,
        highlights_are_pieces_of_the_text,
    }
    hostile {
        query_syntax_is_plain_text,
        a_text_of_signs_finds_nothing,
        unusual_text_never_fails,
        a_query_within_the_limits_is_answered,
        the_error_names_the_part_over_its_limit,
        the_error_names_an_unknown_field,
        bad_cursors_are_refused,
    }
}
