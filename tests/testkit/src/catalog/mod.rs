//! Suites for what keeps products.

mod batches;
mod changes;
mod contents;
mod finding;
mod history;
mod races;
mod reading;
mod reopening;
mod rules;
pub(crate) mod shop;
mod types;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_catalog_core::{CatalogStore, rows};
use stockade_change_feed::{Feed, Topic};

pub(crate) use contents::ODD;

use crate::{Harness, Reopen};

/// Opens stores of products.
#[async_trait]
pub trait CatalogHarness: Harness {
    /// The store of this instance.
    fn store(&self) -> Arc<dyn CatalogStore>;
}

/// Opens stores of products whose row changes reach a feed.
#[async_trait]
pub trait ChangesHarness: CatalogHarness {
    /// The feed that the changes of this instance's rows reach, and of no other's.
    fn feed(&self) -> Arc<dyn Feed>;

    /// The topic that they reach.
    fn topic(&self) -> Topic {
        rows::catalog_changes()
    }

    /// The longest that a change may take to reach the feed, 30 s by default.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

suite! { $
    /// Tests a `CatalogStore`: `catalog_store_conformance!(module, Harness);` writes a module
    /// with a `#[test]` for each case. The harness implements
    /// [`CatalogHarness`](crate::catalog::CatalogHarness).
    catalog_store_conformance, catalog::store_cases: CatalogHarness;
    contents {
        every_field_comes_back,
        a_bare_product_comes_back,
        text_is_kept_as_it_is,
        the_longest_names_fit,
        attributes_keep_their_json,
        prices_are_exact,
        a_large_product_fits,
    }
    versions {
        a_write_returns_what_is_stored,
        every_change_raises_the_version,
        an_expected_version_is_compared,
        absent_is_compared,
        a_conflict_returns_the_current_product,
        a_repeated_write_changes_nothing,
        a_repeated_write_does_not_conflict_with_itself,
        a_write_repeated_too_late_conflicts,
        versions_rise_across_a_deletion,
        a_deletion_compares_the_version,
        deleting_what_is_not_there_succeeds,
        a_deleted_product_is_gone,
    }
    races {
        one_of_many_writers_wins,
        one_of_many_creators_wins,
        concurrent_repeats_agree,
        a_slug_has_one_winner,
        a_sku_has_one_winner,
        a_write_and_a_deletion_have_one_winner,
        opposite_orders_do_not_deadlock,
        readers_see_one_snapshot,
    }
    rules {
        a_slug_is_of_one_product,
        a_slug_that_was_given_up_is_free,
        a_sku_in_use_is_not_given_to_another_product,
        a_retired_sku_is_not_given_to_another_product,
        a_sku_of_a_deleted_product_is_not_given_to_another,
        a_product_may_bring_its_sku_back,
        an_unknown_product_type_is_refused,
        variants_are_replaced_whole,
        variants_keep_their_order,
        a_refused_write_changes_nothing,
    }
    batches {
        each_write_is_for_itself,
        a_batch_of_nothing_has_no_outcomes,
        many_writes_in_one_call,
    }
    reading {
        products_are_found_by_every_key_in_order,
        keys_are_compared_letter_for_letter,
        a_retired_sku_finds_nothing,
        many_keys_in_one_call,
    }
    finding {
        containment_is_that_of_jsonb,
        all_attributes_have_to_be_contained,
        odd_names_and_values_are_found,
        what_changed_is_found_as_it_is,
        a_type_is_a_condition,
        pages_are_in_order_and_whole,
        pages_miss_nothing_while_products_come,
    }
    types {
        a_type_comes_back,
        a_type_is_replaced,
        products_stay_when_their_type_changes,
        types_answer_in_the_order_asked,
        types_are_listed_by_name,
    }
}

suite! { $
    /// Tests that a durable `CatalogStore` keeps what it has answered:
    /// `catalog_reopen_conformance!(module, Harness);`. The harness implements
    /// [`CatalogHarness`](crate::catalog::CatalogHarness) and [`Reopen`](crate::Reopen).
    catalog_reopen_conformance, catalog::reopen_cases: CatalogHarness + Reopen;
    reopening {
        products_and_types_survive,
        versions_go_on_rising,
        retired_skus_stay_retired,
        what_was_answered_under_load_survives,
    }
}

suite! { $
    /// Tests that the row changes of a `CatalogStore` reach a feed:
    /// `catalog_changes_conformance!(module, Harness);`. The harness implements
    /// [`ChangesHarness`](crate::catalog::ChangesHarness).
    catalog_changes_conformance, catalog::changes_cases: ChangesHarness;
    changes {
        inserts_updates_and_deletes_are_told,
        only_rows_that_differ_are_told,
        what_changes_nothing_is_not_told,
        a_product_comes_before_its_variants_and_goes_after_them,
        records_are_keyed_by_product,
        a_product_that_comes_back_goes_on_rising,
        many_changes_add_up_to_the_state,
        concurrent_changes_add_up_to_the_state,
        the_rows_are_those_of_the_golden_file,
    }
}
