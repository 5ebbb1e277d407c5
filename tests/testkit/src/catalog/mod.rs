//! Suites for stores of products.

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
    /// The feed that the changes of this instance's rows reach. It contains no other changes.
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
        an_expected_absence_is_compared,
        a_conflict_returns_the_current_product,
        a_repeated_write_changes_nothing,
        a_repeated_write_does_not_conflict_with_itself,
        a_write_repeated_too_late_conflicts,
        versions_rise_across_a_deletion,
        a_deletion_compares_the_version,
        deleting_an_absent_product_succeeds,
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
        a_slug_belongs_to_one_product,
        a_slug_that_was_given_up_is_free,
        a_sku_in_use_is_not_given_to_another_product,
        a_retired_sku_is_not_given_to_another_product,
        a_sku_of_a_deleted_product_is_not_given_to_another,
        a_product_may_use_its_retired_sku_again,
        an_unknown_product_type_is_refused,
        variants_are_replaced_whole,
        variants_keep_their_order,
        a_refused_write_changes_nothing,
    }
    batches {
        a_refused_write_does_not_affect_others,
        an_empty_batch_has_no_outcomes,
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
        a_changed_product_is_found_by_its_new_attributes,
        products_are_found_by_type,
        pages_are_in_order_and_whole,
        pages_miss_nothing_while_products_are_added,
    }
    types {
        a_type_comes_back,
        a_type_is_replaced,
        products_stay_when_their_type_changes,
        types_are_returned_in_the_requested_order,
        types_are_listed_by_name,
    }
}

suite! { $
    /// Tests that a durable `CatalogStore` keeps its data:
    /// `catalog_reopen_conformance!(module, Harness);`. The harness implements
    /// [`CatalogHarness`](crate::catalog::CatalogHarness) and [`Reopen`](crate::Reopen).
    catalog_reopen_conformance, catalog::reopen_cases: CatalogHarness + Reopen;
    reopening {
        products_and_types_survive,
        versions_continue_to_rise,
        retired_skus_stay_retired,
        writes_under_load_survive,
    }
}

suite! { $
    /// Tests that the row changes of a `CatalogStore` reach a feed:
    /// `catalog_changes_conformance!(module, Harness);`. The harness implements
    /// [`ChangesHarness`](crate::catalog::ChangesHarness).
    catalog_changes_conformance, catalog::changes_cases: ChangesHarness;
    changes {
        inserts_updates_and_deletes_are_published,
        only_changed_rows_are_published,
        a_write_without_a_change_publishes_nothing,
        a_product_row_is_inserted_first_and_deleted_last,
        records_are_keyed_by_product,
        versions_rise_when_a_deleted_product_is_put_again,
        many_changes_add_up_to_the_state,
        concurrent_changes_add_up_to_the_state,
        the_rows_equal_the_golden_file,
    }
}
