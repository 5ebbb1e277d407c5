//! Suites for what keeps stock: stores, their outbox, and reservation timers.

mod adjustments;
mod deadlines;
mod faults;
mod grants;
mod ledger;
mod life;
mod names;
mod outbox;
mod persistent;
mod races;
mod reading;
mod reopening;
mod repeats;
mod reply_lost;
mod retention;
mod shop;
mod timers;

use std::sync::Arc;

use async_trait::async_trait;
use stockade_inventory_core::{
    InventoryStore, LocationId, ReservationTimer, StockOutbox, StockRetention,
};

pub use ledger::{check_ledger, check_purged_ledger};
pub use reply_lost::ReplyLost;

use crate::{Harness, Reopen};

/// Opens stores of stock.
#[async_trait]
pub trait InventoryHarness: Harness {
    /// The store of this instance.
    fn store(&self) -> Arc<dyn InventoryStore>;

    /// Two locations, in the order in which the store tries them where a line names none. They
    /// are in the order of their names, unless the harness gives its store other priorities.
    fn locations(&self) -> [LocationId; 2] {
        ["amsterdam", "berlin"].map(shop::place)
    }
}

/// Opens stores that tell what is to be published.
#[async_trait]
pub trait OutboxHarness: InventoryHarness {
    /// The outbox of the instance's store.
    fn outbox(&self) -> Arc<dyn StockOutbox>;
}

/// Opens stores that forget what is long over.
#[async_trait]
pub trait StockRetentionHarness: InventoryHarness {
    /// The retention of the instance's store.
    fn retention(&self) -> Arc<dyn StockRetention>;
}

/// Opens reservation timers.
#[async_trait]
pub trait TimerHarness: Harness {
    /// The timer of this instance.
    fn timer(&self) -> Arc<dyn ReservationTimer>;
}

suite! { $
    /// Tests an `InventoryStore`: `inventory_store_conformance!(module, Harness);` writes a
    /// module with a `#[test]` for each case. The harness implements
    /// [`InventoryHarness`](crate::inventory::InventoryHarness).
    inventory_store_conformance, inventory::store_cases: InventoryHarness;
    grants {
        grants_what_is_open,
        grants_the_last_unit_and_no_more,
        refuses_more_than_there_is_and_changes_nothing,
        grants_all_lines_or_none,
        names_every_short_line,
        adds_up_lines_of_one_sku,
        names_every_unknown_sku,
        takes_the_first_location_that_holds_all,
        takes_from_a_named_location_only,
        takes_one_sku_from_two_named_locations,
        a_batch_is_decided_one_by_one,
        a_batch_gives_each_its_own_outcome,
        a_batch_may_hold_one_id_twice,
        a_batch_of_nothing_has_no_outcomes,
        counts_the_deadline_from_the_grant,
    }
    repeats {
        a_repeated_reserve_finds_the_first_grant,
        the_winner_of_the_last_unit_may_repeat,
        concurrent_repeats_of_the_winner_agree,
        a_repeat_finds_the_grant_where_it_was_made,
        a_repeat_finds_every_later_state,
        other_content_with_the_same_id_conflicts,
        a_refusal_may_be_tried_afresh,
        a_repeated_receive_counts_once,
        concurrent_repeats_of_a_receive_count_once,
        other_adjustments_with_the_same_id_conflict,
        a_refused_adjustment_may_be_tried_afresh,
        a_repeated_step_changes_nothing,
        concurrent_repeats_of_a_step_take_effect_once,
    }
    life {
        held_may_be_confirmed_released_or_extended,
        confirmed_may_be_fulfilled_or_cancelled,
        fulfilled_is_final,
        released_is_final,
        expired_is_final,
        cancelled_is_final,
        each_step_moves_the_counts_that_it_should,
        a_step_moves_all_lines,
        an_unknown_reservation_is_an_error,
        only_the_named_owner_may_act,
    }
    deadlines {
        remaining_time_falls_on_the_stores_clock,
        what_is_not_due_does_not_expire,
        expiry_gives_units_back_once,
        concurrent_expiry_gives_units_back_once,
        sweeps_share_the_overdue,
        overdue_is_still_held_until_it_expires,
        confirmed_does_not_expire,
        confirming_after_the_deadline_expires,
        extending_after_the_deadline_expires,
        extended_is_not_expired,
        extending_never_moves_the_deadline_back,
        extending_is_bounded_by_30_days,
        the_longest_overdue_expire_first,
        expire_tells_what_became_of_each,
        expired_units_can_be_reserved_again,
    }
    races {
        many_writers_have_one_winner,
        contention_never_oversells,
        opposite_orders_do_not_deadlock,
        concurrent_receives_all_count,
        churn_keeps_the_ledger,
        confirm_and_release_have_one_winner,
        confirm_and_expire_have_one_winner,
        one_id_with_two_contents_has_one_winner,
        the_levels_of_a_sku_are_one_snapshot,
        a_dropped_call_took_effect_whole_or_not_at_all,
    }
    adjustments {
        receive_correct_and_set_change_the_physical_count,
        the_first_adjustment_begins_a_level,
        levels_are_kept_by_location,
        below_promised_is_refused_with_the_shortage,
        counts_stay_in_their_bounds,
        each_adjustment_is_for_itself,
        adjustments_of_one_call_are_in_order,
        many_adjustments_in_one_call,
        every_change_raises_the_version,
    }
    reading {
        stock_answers_in_the_order_asked,
        scan_returns_every_sku_whole_and_once,
        scan_misses_nothing_while_stock_changes,
        movements_tell_what_happened_and_why,
        movements_come_in_pages,
        movements_in_pages_miss_nothing_while_stock_changes,
        a_foreign_cursor_is_refused,
    }
    names {
        text_is_kept_as_it_is,
        similar_names_are_different,
        names_are_told_apart_by_their_bytes,
        the_longest_names_fit,
    }
    faults {
        a_reserve_whose_reply_is_lost_counts_once,
        the_last_unit_is_kept_when_the_reply_is_lost,
        a_batch_whose_reply_is_lost_counts_once,
        an_adjustment_whose_reply_is_lost_counts_once,
        a_step_whose_reply_is_lost_counts_once,
        an_extension_whose_reply_is_lost_holds,
        an_expiry_whose_reply_is_lost_counts_once,
    }
}

suite! { $
    /// Tests that a durable `InventoryStore` keeps what it has answered:
    /// `inventory_reopen_conformance!(module, Harness);`. The harness implements
    /// [`InventoryHarness`](crate::inventory::InventoryHarness) and [`Reopen`](crate::Reopen).
    inventory_reopen_conformance, inventory::reopen_cases: InventoryHarness + Reopen;
    reopening {
        stock_and_movements_survive,
        every_state_survives,
        reservation_ids_survive,
        operation_ids_survive,
        deadlines_survive,
        what_was_answered_under_load_survives,
    }
}

suite! { $
    /// Tests a `StockOutbox`: `stock_outbox_conformance!(module, Harness);`. The harness
    /// implements [`OutboxHarness`](crate::inventory::OutboxHarness).
    stock_outbox_conformance, inventory::outbox_cases: OutboxHarness;
    outbox {
        the_newest_state_is_to_be_published,
        what_is_published_is_gone_until_it_changes,
        every_kind_of_change_is_to_be_published,
        it_is_bounded_by_the_number_of_skus,
        pages_are_whole,
        an_older_mark_leaves_the_newer_version,
        marks_may_be_repeated_and_late,
        nothing_is_lost_while_stock_changes,
        complete_as_of_is_before_what_is_missing,
    }
}

suite! { $
    /// Tests a `ReservationTimer`: `reservation_timer_conformance!(module, Harness);`. The
    /// harness implements [`TimerHarness`](crate::inventory::TimerHarness).
    reservation_timer_conformance, inventory::timer_cases: TimerHarness;
    timers {
        a_timer_is_due_after_its_time_and_not_before,
        a_timer_that_was_taken_is_gone,
        arming_again_replaces_the_timer,
        a_disarmed_timer_does_not_come,
        waiting_ends_with_nothing,
        waiting_ends_when_a_timer_is_due,
        a_limit_leaves_the_others,
        two_callers_miss_nothing,
        a_dropped_wait_is_in_nobodys_way,
        ids_come_back_as_they_are,
    }
}

suite! { $
    /// Tests a `StockRetention`: `stock_retention_conformance!(module, Harness);`. The harness
    /// implements [`StockRetentionHarness`](crate::inventory::StockRetentionHarness).
    stock_retention_conformance, inventory::retention_cases: StockRetentionHarness;
    retention {
        what_is_finished_is_purged,
        what_is_live_is_kept,
        a_reservation_is_kept_from_its_end_on,
        the_longest_finished_go_first,
        a_purged_id_is_decided_afresh,
        concurrent_purges_share_the_reservations,
        old_movements_become_an_opening_balance,
        young_movements_stay,
        each_level_has_an_opening_balance_of_its_own,
        an_opening_balance_goes_into_the_next,
        a_purge_keeps_to_its_limit,
        a_purge_changes_no_level,
        purged_operations_are_decided_afresh,
        what_is_reserved_outlives_its_movements,
        a_reader_goes_on_after_a_purge,
        concurrent_purges_share_the_movements,
        stock_changes_while_movements_are_purged,
        a_purge_of_nothing_is_refused,
    }
}
