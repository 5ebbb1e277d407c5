//! Suites for what is written for search: indexes and their generations.

mod conditions;
mod documents;
mod following;
mod generations;
mod reopening;
mod scanning;
pub(crate) mod shelf;

use std::sync::Arc;

use async_trait::async_trait;
use stockade_search_sync::IndexWriter;

use crate::{Harness, Reopen};

/// Opens indexes for writing.
#[async_trait]
pub trait IndexHarness: Harness {
    /// The index of this instance, without generations.
    fn writer(&self) -> Arc<dyn IndexWriter>;
}

suite! { $
    /// Tests an `IndexWriter`: `index_writer_conformance!(module, Harness);` writes a module with
    /// a `#[test]` for each case. The harness implements
    /// [`IndexHarness`](crate::index::IndexHarness).
    index_writer_conformance, index::writer_cases: IndexHarness;
    generations {
        generations_are_listed_by_name,
        creating_again_changes_nothing,
        one_generation_is_active,
        concurrent_activations_leave_one_active,
        an_unknown_generation_is_an_error,
        removing_removes_the_documents,
        the_active_generation_is_not_removed,
        removing_leaves_generations_of_similar_names,
        generations_are_isolated,
    }
    documents {
        a_missing_document_is_empty_and_absent,
        a_document_comes_back_exactly,
        documents_load_in_the_order_asked,
        ids_are_kept_apart,
        a_hidden_document_comes_back_too,
        a_view_may_come_and_go,
        a_load_sees_every_write_that_was_answered,
        a_large_document_is_whole_or_refused,
        many_documents_in_one_call,
    }
    scanning {
        a_scan_returns_every_root_once,
        a_scan_of_nothing_is_empty,
        a_scan_misses_nothing_while_documents_come,
    }
    following {
        rows_in_any_order_make_the_same_document,
        rows_that_come_again_change_nothing,
        a_deleted_product_stays_deleted,
        stock_does_not_bring_a_deleted_product_back,
        stock_that_comes_first_is_kept_for_its_product,
    }
}

suite! { $
    /// Tests an `IndexWriter` that any number of workers may write:
    /// `index_concurrency_conformance!(module, Harness);`. The harness implements
    /// [`IndexHarness`](crate::index::IndexHarness).
    index_concurrency_conformance, index::concurrency_cases: IndexHarness;
    conditions {
        it_says_that_it_compares,
        a_stale_revision_conflicts,
        absent_conflicts_with_what_is_there,
        a_revision_of_what_is_not_there_conflicts,
        a_revision_does_not_come_back_with_its_content,
        a_hidden_document_is_compared_too,
        each_write_has_its_own_outcome,
        one_document_twice_in_a_call_has_one_winner,
        one_of_many_writers_wins,
        concurrent_merges_lose_nothing,
        concurrent_workers_make_one_document,
    }
}

suite! { $
    /// Tests that a durable `IndexWriter` keeps what it has answered:
    /// `index_reopen_conformance!(module, Harness);`. The harness implements
    /// [`IndexHarness`](crate::index::IndexHarness) and [`Reopen`](crate::Reopen).
    index_reopen_conformance, index::reopen_cases: IndexHarness + Reopen;
    reopening {
        documents_survive,
        generations_and_the_active_one_survive,
        documents_are_compared_after_reopening,
    }
}
