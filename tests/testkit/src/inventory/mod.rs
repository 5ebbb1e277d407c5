//! Suites for stores of stock: the store, its outbox, its retention, and reservation timers.

mod adjustments;
mod clock;
mod crashes;
mod damage;
mod deadlines;
mod epochs;
mod faults;
mod grants;
mod harnesses;
mod ledger;
mod life;
mod names;
mod outbox;
mod outbox_races;
mod outbox_reopening;
mod persistent;
mod purge;
mod purge_movements;
mod purge_reservations;
mod races;
mod reading;
mod reopening;
mod repeats;
mod reply_lost;
mod sharing;
mod shop;
mod source;
mod sweeps;
mod timers;

pub use harnesses::{
    DamageHarness, EpochHarness, InventoryHarness, OutboxHarness, SharedHarness, SourceHarness,
    StockRetentionHarness, TimerHarness,
};
pub use ledger::{check_ledger, check_purged_ledger};
pub use reply_lost::ReplyLost;

use crate::{Crash, Reopen};

suite! { $
    /// Tests an `InventoryStore`: `inventory_store_conformance!(module, Harness);` writes a
    /// module with a `#[test]` for each case. The harness implements
    /// [`InventoryHarness`](crate::inventory::InventoryHarness).
    inventory_store_conformance, inventory::store_cases: InventoryHarness;
    grants {
        grants_open_units,
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
        each_request_of_a_batch_has_its_own_outcome,
        one_id_may_come_twice_in_a_batch,
        an_empty_batch_has_no_outcomes,
        counts_the_deadline_from_the_grant,
        twenty_lines_are_granted_together,
    }
    repeats {
        a_repeated_reserve_finds_the_first_grant,
        the_winner_of_the_last_unit_may_repeat,
        concurrent_repeats_of_the_winner_agree,
        a_repeat_finds_the_grant_where_it_was_made,
        a_repeat_finds_every_later_state,
        other_content_with_the_same_id_conflicts,
        a_refused_request_may_be_repeated,
        a_repeated_receive_counts_once,
        concurrent_repeats_of_a_receive_count_once,
        other_adjustments_with_the_same_id_conflict,
        a_refused_adjustment_may_be_repeated,
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
        a_reservation_does_not_expire_before_its_deadline,
        expiry_gives_units_back_once,
        concurrent_expiry_gives_units_back_once,
        an_overdue_reservation_is_held_until_it_is_expired,
        a_confirmed_reservation_does_not_expire,
        confirming_after_the_deadline_expires,
        releasing_after_the_deadline_releases,
        extending_after_the_deadline_expires,
        an_extended_reservation_is_not_expired,
        extending_never_moves_the_deadline_back,
        extending_is_bounded_by_30_days,
        expire_reports_on_each_id,
        expired_units_can_be_reserved_again,
    }
    sweeps {
        concurrent_sweeps_share_the_overdue_reservations,
        a_sweep_says_whether_there_is_more,
        the_longest_overdue_expire_first,
        old_deadlines_hide_no_overdue_reservation,
        a_sweep_skips_reservations_that_change_meanwhile,
    }
    clock {
        times_of_movements_do_not_decrease,
        times_keep_their_microseconds,
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
        adjustments_fail_one_by_one,
        adjustments_of_one_call_are_in_order,
        many_adjustments_in_one_call,
        every_change_raises_the_version,
    }
    reading {
        stock_is_returned_in_the_requested_order,
        scan_returns_every_sku_whole_and_once,
        scan_misses_nothing_while_stock_changes,
        movements_have_their_cause,
        movements_come_in_pages,
        movements_in_pages_miss_nothing_while_stock_changes,
        a_foreign_cursor_is_refused,
        thousands_of_items_are_allowed_in_one_call,
    }
    names {
        text_is_kept_unchanged,
        similar_names_are_different,
        names_are_compared_by_their_bytes,
        the_longest_names_fit,
    }
    faults {
        a_reserve_whose_reply_is_lost_counts_once,
        the_last_unit_is_kept_when_the_reply_is_lost,
        a_batch_whose_reply_is_lost_counts_once,
        an_adjustment_whose_reply_is_lost_counts_once,
        a_step_whose_reply_is_lost_counts_once,
        an_extension_whose_reply_is_lost_takes_effect,
        an_expiry_whose_reply_is_lost_counts_once,
        an_error_without_effect_changes_nothing,
    }
}

suite! { $
    /// Tests that a durable `InventoryStore` keeps the effects that it has returned:
    /// `inventory_reopen_conformance!(module, Harness);`. The harness implements
    /// [`InventoryHarness`](crate::inventory::InventoryHarness) and [`Reopen`](crate::Reopen).
    inventory_reopen_conformance, inventory::reopen_cases: InventoryHarness + Reopen;
    reopening {
        stock_and_movements_survive,
        every_state_survives,
        reservation_ids_survive,
        operation_ids_survive,
        deadlines_survive,
        writes_under_load_survive,
    }
}

suite! { $
    /// Tests an `InventoryStore` whose data several processes can open:
    /// `inventory_shared_conformance!(module, Harness);`. The harness implements
    /// [`SharedHarness`](crate::inventory::SharedHarness).
    inventory_shared_conformance, inventory::shared_cases: SharedHarness;
    sharing {
        each_process_sees_what_the_other_changed,
        two_processes_never_oversell,
        ids_are_known_to_both_processes,
    }
}

suite! { $
    /// Tests an `InventoryStore` with rows that can not be read:
    /// `inventory_damage_conformance!(module, Harness);`. The harness implements
    /// [`DamageHarness`](crate::inventory::DamageHarness).
    inventory_damage_conformance, inventory::damage_cases: DamageHarness;
    damage {
        a_damaged_reservation_does_not_count_towards_the_limit,
        a_damaged_reservation_is_reported_and_is_not_a_rest,
        a_damaged_reservation_fails_alone_in_a_batch,
        a_damaged_level_fails_only_the_reservations_that_need_it,
    }
}

crash_suite! { $
    /// Tests that the calls of an `InventoryStore` return after the data has left the process:
    /// `inventory_crash_conformance!(module, Harness);`. The harness implements
    /// [`InventoryHarness`](crate::inventory::InventoryHarness) and [`Crash`](crate::Crash), which
    /// says what this proves.
    inventory_crash_conformance, inventory::crash_cases: InventoryHarness + Crash;
    crashes { returned_effects_survive_a_kill }
}

suite! { $
    /// Tests a `StockOutbox`: `stock_outbox_conformance!(module, Harness);`. The harness
    /// implements [`OutboxHarness`](crate::inventory::OutboxHarness).
    stock_outbox_conformance, inventory::outbox_cases: OutboxHarness;
    outbox {
        the_outbox_has_the_newest_state,
        a_marked_sku_is_not_in_the_outbox_until_it_changes,
        every_kind_of_change_is_unpublished,
        the_outbox_is_bounded_by_the_number_of_skus,
        pages_have_every_unpublished_sku,
        reading_removes_nothing_from_the_outbox,
        an_older_mark_leaves_the_newer_version,
        a_mark_covers_all_locations,
        repeated_and_late_marks_change_nothing,
        complete_as_of_is_before_every_missing_change,
    }
    outbox_races {
        nothing_is_lost_while_stock_changes,
        nothing_before_complete_as_of_is_missing,
        a_dropped_change_is_unpublished_or_undone,
    }
}

suite! { $
    /// Tests that the outbox of a durable store survives a close:
    /// `stock_outbox_reopen_conformance!(module, Harness);`. The harness implements
    /// [`OutboxHarness`](crate::inventory::OutboxHarness) and [`Reopen`](crate::Reopen).
    stock_outbox_reopen_conformance, inventory::outbox_reopen_cases: OutboxHarness + Reopen;
    outbox_reopening {
        unpublished_skus_survive,
        marks_survive,
    }
}

crash_suite! { $
    /// Tests that a change comes into the outbox in its own transaction, even if the process is
    /// killed: `stock_outbox_crash_conformance!(module, Harness);`. The harness implements
    /// [`OutboxHarness`](crate::inventory::OutboxHarness) and [`Crash`](crate::Crash).
    stock_outbox_crash_conformance, inventory::outbox_crash_cases: OutboxHarness + Crash;
    crashes { changes_before_a_kill_are_unpublished }
}

suite! { $
    /// Tests a store whose epoch an operator raises after a restore:
    /// `stock_epoch_conformance!(module, Harness);`. The harness implements
    /// [`EpochHarness`](crate::inventory::EpochHarness). A store that is never restored stays in
    /// epoch 0 and does not claim this suite.
    stock_epoch_conformance, inventory::epoch_cases: EpochHarness;
    epochs {
        every_level_carries_the_raised_epoch,
        later_changes_carry_the_raised_epoch,
        every_sku_is_published_again_in_the_raised_epoch,
        marks_of_an_older_epoch_change_nothing,
        a_page_of_the_raised_epoch_has_every_sku,
        heartbeats_carry_the_raised_epoch,
    }
}

suite! { $
    /// Tests that the epoch of a durable store survives a close:
    /// `stock_epoch_reopen_conformance!(module, Harness);`. The harness implements
    /// [`EpochHarness`](crate::inventory::EpochHarness) and [`Reopen`](crate::Reopen).
    stock_epoch_reopen_conformance, inventory::epoch_reopen_cases: EpochHarness + Reopen;
    outbox_reopening { the_raised_epoch_survives }
}

suite! { $
    /// Tests a `StockRetention`: `stock_retention_conformance!(module, Harness);`. The harness
    /// implements [`StockRetentionHarness`](crate::inventory::StockRetentionHarness).
    stock_retention_conformance, inventory::retention_cases: StockRetentionHarness;
    purge_reservations {
        finished_reservations_are_purged,
        held_and_confirmed_reservations_are_kept,
        the_time_to_keep_a_reservation_starts_at_its_end,
        the_longest_finished_go_first,
        a_purged_id_can_be_used_again,
        concurrent_purges_share_the_reservations,
        a_purge_of_reservations_says_whether_there_is_more,
        a_reservation_is_purged_exactly_when_it_is_old_enough,
    }
    purge_movements {
        old_movements_become_an_opening_balance,
        young_movements_are_kept,
        each_level_has_an_opening_balance_of_its_own,
        an_opening_balance_is_merged_into_the_next,
        a_purge_keeps_to_its_limit,
        a_purge_of_movements_says_whether_there_is_more,
        a_movement_is_purged_exactly_when_it_is_old_enough,
        a_purge_changes_no_level,
        a_purged_operation_id_can_be_used_again,
        reserved_units_stay_when_their_movements_are_purged,
        a_reader_continues_after_a_purge,
        concurrent_purges_share_the_movements,
        stock_changes_while_movements_are_purged,
    }
}

suite! { $
    /// Tests that a durable store continues correctly when it was purged and closed:
    /// `stock_retention_reopen_conformance!(module, Harness);`. The harness implements
    /// [`StockRetentionHarness`](crate::inventory::StockRetentionHarness) and
    /// [`Reopen`](crate::Reopen).
    stock_retention_reopen_conformance, inventory::retention_reopen_cases:
        StockRetentionHarness + Reopen;
    purge_movements { movements_continue_after_a_purge_and_a_close }
}

suite! { $
    /// Tests a `ReservationTimer`: `reservation_timer_conformance!(module, Harness);`. The
    /// harness implements [`TimerHarness`](crate::inventory::TimerHarness).
    reservation_timer_conformance, inventory::timer_cases: TimerHarness;
    timers {
        a_timer_is_due_after_its_time_and_not_before,
        a_returned_timer_is_removed,
        arming_again_replaces_the_timer,
        a_disarmed_timer_does_not_fire,
        a_wait_without_due_timers_ends,
        waiting_ends_when_a_timer_is_due,
        a_limit_leaves_the_others,
        two_callers_miss_nothing,
        a_dropped_wait_does_not_hinder_others,
        ids_are_kept_unchanged,
    }
}

suite! { $
    /// Tests a `StockSource` by itself: `stock_source_conformance!(module, Harness);`. The harness
    /// implements [`SourceHarness`](crate::inventory::SourceHarness).
    stock_source_conformance, inventory::source_cases: SourceHarness;
    source {
        stock_has_the_requested_order,
        no_skus_have_no_stock,
        levels_have_all_their_counts,
        counts_over_32_bits_are_exact,
        every_change_is_seen_by_the_next_call,
        names_are_returned_unchanged,
        thousands_of_skus_are_allowed,
        calls_at_once_have_their_own_answers,
        the_levels_of_a_sku_are_one_moment,
        a_scan_of_nothing_is_empty,
        a_scan_has_every_sku_whole_and_once,
        a_scan_misses_nothing_while_stock_changes,
        a_cursor_from_elsewhere_is_refused,
    }
}
