//! Suites for caches of availability.

mod absences;
mod advances;
mod desk;
mod emptying;
mod entries;
mod epochs;
mod fills;
mod marks;
mod races;
mod restoring;

use std::sync::Arc;

use async_trait::async_trait;
use stockade_catalog_core::AvailabilityCache;

use crate::Harness;

/// Opens caches of availability.
#[async_trait]
pub trait CacheHarness: Harness {
    /// The cache of this instance.
    fn cache(&self) -> Arc<dyn AvailabilityCache>;
}

/// Opens caches that can be emptied from outside.
#[async_trait]
pub trait EmptyingHarness: CacheHarness {
    /// Removes everything from the cache, as an operator or a restart of its server does.
    async fn empty(&self);
}

/// Opens caches that can fall back to an earlier state, such as a server that restarts from an old
/// snapshot, or a replica that takes over without the last writes.
#[async_trait]
pub trait RestoringHarness: CacheHarness {
    /// A copy of the cache's content.
    type Copy: Send;

    /// Copies the content of the cache. The copy is from one moment, even during writes.
    async fn save(&self) -> Self::Copy;

    /// Replaces the content of the cache by a copy.
    async fn restore(&self, copy: Self::Copy);
}

suite! { $
    /// Tests an `AvailabilityCache`: `availability_cache_conformance!(module, Harness);` writes a
    /// module with a `#[test]` for each case. The harness implements
    /// [`CacheHarness`](crate::cache::CacheHarness).
    availability_cache_conformance, cache::cache_cases: CacheHarness;
    entries {
        a_fresh_cache_knows_nothing,
        entries_are_read_in_the_requested_order,
        a_newer_version_is_stored,
        an_older_or_equal_version_is_not_stored,
        each_entry_has_its_own_outcome,
        one_call_may_hold_a_sku_twice,
        numbers_are_exact,
        odd_skus_are_kept_apart,
        a_thousand_skus_in_one_call,
    }
    epochs {
        an_older_epoch_is_refused_and_reported,
        a_newer_epoch_wins_with_a_lower_number,
    }
    absences {
        an_absence_expires_after_its_time,
        an_absence_may_be_renewed,
        a_known_sku_replaces_an_absence,
        a_known_sku_does_not_expire_with_its_absence,
        an_absence_never_replaces_a_known_sku,
    }
    marks {
        heartbeats_are_kept_by_partition,
        an_older_heartbeat_changes_nothing,
        a_heartbeat_of_an_older_epoch_is_refused_and_reported,
        a_newer_heartbeat_says_how_many_partitions_there_are,
        marks_come_with_every_read,
    }
    advances {
        continuous_records_keep_the_cache_filled,
        records_that_are_not_continuous_are_a_gap,
        a_partition_that_begins_is_a_gap,
        entries_are_stored_with_their_advance,
        heartbeats_count_at_a_gap,
        offsets_are_exact,
        one_call_may_hold_many_partitions,
    }
    fills {
        a_filled_cache_says_so,
        a_page_stores_what_is_newer,
        a_page_may_be_repeated,
        a_fill_with_a_missing_page_does_not_end,
        a_gap_ends_the_fills_in_progress,
        an_old_token_changes_nothing,
        a_filled_cache_may_be_filled_again,
        several_fills_may_be_in_progress,
    }
    races {
        concurrent_writers_never_go_backwards,
        one_of_many_writers_of_a_version_stores_it,
        concurrent_epochs_never_go_backwards,
        a_known_sku_survives_racing_absences,
        concurrent_marks_never_go_backwards,
        a_fill_that_races_a_gap_does_not_count,
        every_fill_has_its_own_id,
    }
}

suite! { $
    /// Tests an `AvailabilityCache` that is emptied: `cache_emptying_conformance!(module,
    /// Harness);`. The harness implements [`EmptyingHarness`](crate::cache::EmptyingHarness).
    cache_emptying_conformance, cache::emptying_cases: EmptyingHarness;
    emptying {
        an_emptied_cache_is_no_longer_filled,
        an_emptied_cache_can_be_filled_again,
        records_after_it_was_emptied_are_a_gap,
        a_fill_of_a_cache_that_was_emptied_does_not_count,
    }
}

suite! { $
    /// Tests an `AvailabilityCache` that falls back to an earlier state:
    /// `cache_restoring_conformance!(module, Harness);`. The harness implements
    /// [`RestoringHarness`](crate::cache::RestoringHarness).
    cache_restoring_conformance, cache::restoring_cases: RestoringHarness;
    restoring {
        a_cache_restored_to_an_old_state_notices_lost_records,
        a_cache_without_its_last_record_notices_the_loss,
        a_fill_that_lost_a_page_does_not_count,
        a_fill_id_is_not_reused,
        no_copy_has_an_advance_without_its_entries,
        no_copy_has_a_page_counted_without_its_entries,
        no_page_shows_old_stock_as_fresh,
    }
}
