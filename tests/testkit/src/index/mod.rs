//! Suites for writing an index: its generations and documents.

mod documents;
mod generations;
mod ingesting;
mod reopening;
mod revisions;
mod scanning;
pub(crate) mod test_index;

use std::sync::Arc;

use async_trait::async_trait;
use stockade_search_sync::IndexWriter;

use crate::{Harness, Reopen};

/// Opens indexes that are written.
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
        an_unusable_projection_is_refused,
        generations_are_listed_by_name,
        creating_a_generation_again_changes_nothing,
        one_generation_is_active,
        concurrent_activations_leave_one_active,
        an_unknown_generation_is_an_error,
        removing_a_generation_removes_its_documents,
        the_active_generation_can_not_be_removed,
        removing_keeps_generations_with_similar_names,
        generations_are_isolated,
    }
    documents {
        a_missing_document_is_empty_and_absent,
        a_loaded_document_equals_the_written_one,
        documents_are_loaded_in_the_requested_order,
        similar_ids_are_different_documents,
        a_hidden_document_is_kept,
        a_view_can_be_added_and_removed,
        a_load_returns_every_finished_write,
        a_large_document_is_stored_whole_or_refused,
        many_documents_are_written_in_one_call,
        an_error_without_effect_leaves_the_document_unchanged,
    }
    scanning {
        a_scan_returns_every_root_document_once,
        a_scan_of_an_empty_generation_is_empty,
        a_scan_finds_every_finished_write,
        a_scan_misses_nothing_while_documents_are_written,
    }
    ingesting {
        rows_in_any_order_make_the_same_document,
        repeated_rows_change_nothing,
        a_deleted_product_stays_deleted,
        stock_does_not_restore_a_deleted_product,
        stock_that_arrives_first_is_kept_for_its_product,
    }
}

suite! { $
    /// Tests an `IndexWriter` that any number of workers may write at the same time:
    /// `index_concurrency_conformance!(module, Harness);`. The harness implements
    /// [`IndexHarness`](crate::index::IndexHarness).
    index_concurrency_conformance, index::concurrency_cases: IndexHarness;
    revisions {
        it_declares_compare_and_set,
        a_stale_revision_conflicts,
        absent_conflicts_with_an_existing_document,
        a_revision_conflicts_with_an_absent_document,
        a_revision_is_not_reused_for_the_same_content,
        the_revision_of_a_hidden_document_is_compared,
        each_write_has_its_own_outcome,
        one_document_twice_in_a_call_has_one_winner,
        concurrent_writers_with_one_revision_have_one_winner,
        concurrent_merges_lose_nothing,
        concurrent_workers_build_one_document,
    }
}

suite! { $
    /// Tests that a durable `IndexWriter` keeps every finished write:
    /// `index_reopen_conformance!(module, Harness);`. The harness implements
    /// [`IndexHarness`](crate::index::IndexHarness) and [`Reopen`](crate::Reopen).
    index_reopen_conformance, index::reopen_cases: IndexHarness + Reopen;
    reopening {
        documents_survive,
        a_write_just_before_the_end_survives,
        generations_and_the_active_one_survive,
        revisions_are_compared_after_reopening,
    }
}
