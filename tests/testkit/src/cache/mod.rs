//! Suites for what keeps availability for pages.

mod absences;
mod desk;
mod emptying;
mod entries;
mod epochs;
mod marks;
mod races;

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
    /// Removes all that is in the cache, as an operator or a restart of its server does.
    async fn empty(&self);
}

suite! { $
    /// Tests an `AvailabilityCache`: `availability_cache_conformance!(module, Harness);` writes a
    /// module with a `#[test]` for each case. The harness implements
    /// [`CacheHarness`](crate::cache::CacheHarness).
    availability_cache_conformance, cache::cache_cases: CacheHarness;
    entries {
        a_fresh_cache_knows_nothing,
        what_is_written_is_read_in_the_order_asked,
        a_newer_version_is_stored,
        an_older_or_equal_version_is_not_stored,
        each_entry_has_its_own_outcome,
        one_call_may_hold_a_sku_twice,
        numbers_are_exact,
        odd_skus_are_kept_apart,
        a_thousand_skus_in_one_call,
    }
    epochs {
        an_older_epoch_is_refused_and_told,
        a_newer_epoch_wins_with_a_lower_number,
    }
    absences {
        an_absence_is_remembered_for_its_time,
        an_absence_may_be_renewed,
        a_known_sku_replaces_an_absence,
        a_known_sku_stays_when_its_absence_would_have_ended,
        an_absence_never_replaces_a_known_sku,
    }
    marks {
        marks_are_kept_by_partition,
        an_older_mark_changes_nothing,
        a_mark_of_an_older_epoch_is_refused_and_told,
        a_newer_mark_tells_how_many_partitions_there_are,
        marks_come_with_every_read,
        a_filled_cache_says_so,
    }
    races {
        concurrent_writers_never_go_backwards,
        one_of_many_writers_of_a_version_stores_it,
        concurrent_epochs_never_go_backwards,
        a_known_sku_survives_racing_absences,
        concurrent_marks_never_go_backwards,
    }
}

suite! { $
    /// Tests an `AvailabilityCache` that is emptied: `cache_emptying_conformance!(module,
    /// Harness);`. The harness implements [`EmptyingHarness`](crate::cache::EmptyingHarness).
    cache_emptying_conformance, cache::emptying_cases: EmptyingHarness;
    emptying {
        an_emptied_cache_is_no_longer_filled,
        an_emptied_cache_is_filled_anew,
        a_fill_of_a_cache_that_was_emptied_does_not_count,
    }
}
