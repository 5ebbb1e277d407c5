//! Each flaw fails in the cases that name its rule, and for that reason.

use stockade_testkit::inventory::{
    damage_cases, epoch_cases, epoch_reopen_cases, outbox_cases, outbox_reopen_cases, reopen_cases,
    retention_cases, retention_reopen_cases, shared_cases, store_cases,
};
use stockade_testkit::{Case, Outcome, attempt_on};

use super::harness::Built;
use super::store::Flaw;

/// Expects these cases to fail on a store with this flaw, each with its phrase. Other cases may
/// fail as well.
fn assert_fails(flaw: Flaw, cases: &[Case<Built>], expected: &[(&str, &str)]) {
    for (name, phrase) in expected {
        let case = cases.iter().find(|case| case.name() == *name);
        let case = case.unwrap_or_else(|| panic!("there is no case {name}"));
        match attempt_on(case, async move { Ok(Built::with(flaw)) }) {
            Outcome::Failed(message) => {
                assert!(
                    message.contains(phrase),
                    "{name}: {phrase:?} is not in {message}"
                );
            }
            passed => panic!("{flaw:?} in {name}: {passed:?}"),
        }
    }
}

macro_rules! flaws {
    ($($test:ident: $flaw:ident, $cases:ident => { $($case:ident: $phrase:literal),+ $(,)? })+) => {
        $(
            #[test]
            fn $test() {
                let expected = [$((stringify!($case), $phrase)),+];
                assert_fails(Flaw::$flaw, &$cases(), &expected);
            }
        )+
    };
}

flaws! {
    oversells_under_concurrency: OversellsUnderConcurrency, store_cases => {
        many_writers_have_one_winner: "oversold",
        contention_never_oversells: "oversold",
    }
    forgets_ids: ForgetsIds, store_cases => {
        a_repeated_reserve_finds_the_first_grant: "a repeated reserve was granted a second time",
        a_reserve_whose_reply_is_lost_counts_once: "the repeated call failed",
    }
    refuses_the_winner_of_the_last_unit: RefusesTheWinner, store_cases => {
        the_winner_of_the_last_unit_may_repeat: "the owner of the last unit repeated its request",
        the_last_unit_is_kept_when_the_reply_is_lost: "the reply to the grant of the last unit was lost",
    }
    compensates_twice_on_expiry: CompensatesTwice, store_cases => {
        expiry_gives_units_back_once: "units came back twice",
        concurrent_expiry_gives_units_back_once: "",
    }
    expires_what_was_extended: ExpiresTheExtended, store_cases => {
        an_extended_reservation_is_not_expired: "a reservation that was extended by an hour was expired",
    }
    expires_what_is_released_late: ExpiresLateReleases, store_cases => {
        releasing_after_the_deadline_releases: "releasing after the deadline failed",
    }
    counts_a_repeated_receive_twice: ReceivesTwice, store_cases => {
        a_repeated_receive_counts_once: "50 units received again",
        an_adjustment_whose_reply_is_lost_counts_once: "was sent twice",
    }
    reads_the_clock_before_the_lock: ReadsTheClockFirst, store_cases => {
        times_of_movements_do_not_decrease: "the clock has to be read after the rows are locked",
    }
    keeps_milliseconds: KeepsMilliseconds, store_cases => {
        times_keep_their_microseconds: "to the microsecond",
    }
    sweeps_stale_rows: SweepsStaleRows, store_cases => {
        a_sweep_skips_reservations_that_change_meanwhile: "sweeps expired it",
    }
    keeps_old_deadlines: KeepsOldDeadlines, store_cases => {
        old_deadlines_hide_no_overdue_reservation: "hid the overdue one",
    }
    fails_after_the_commit: FailsAfterTheCommit, store_cases => {
        an_error_without_effect_changes_nothing: "says that nothing took effect",
    }
    takes_a_thousand_values: TakesAThousand, store_cases => {
        thousands_of_items_are_allowed_in_one_call: "in one call failed",
    }
    takes_ten_lines: TakesTenLines, store_cases => {
        twenty_lines_are_granted_together: "was not granted its request",
    }
    says_that_nothing_is_overdue: SaysNothingIsLeft, store_cases => {
        a_sweep_says_whether_there_is_more: "leaves some of 120",
    }
    always_says_that_more_is_overdue: AlwaysSaysMore, store_cases => {
        a_sweep_says_whether_there_is_more: "nothing is overdue",
    }

    damage_takes_places: DamageTakesPlaces, damage_cases => {
        a_damaged_reservation_does_not_count_towards_the_limit: "counted towards the limit",
    }
    damage_is_always_a_rest: AlwaysSaysMore, damage_cases => {
        a_damaged_reservation_is_reported_and_is_not_a_rest: "damaged reservations are not a rest",
    }
    damage_fails_a_batch: DamageFailsAll, damage_cases => {
        a_damaged_reservation_fails_alone_in_a_batch: "failed as a whole",
    }
    a_damaged_level_fails_a_batch: DamagedLevelsFailAll, damage_cases => {
        a_damaged_level_fails_only_the_reservations_that_need_it: "failed as a whole",
    }
    keeps_the_levels_it_has_read: KeepsLevels, shared_cases => {
        each_process_sees_what_the_other_changed: "",
        two_processes_never_oversell: "",
    }

    purges_what_is_confirmed: PurgesTheConfirmed, retention_cases => {
        held_and_confirmed_reservations_are_kept: "held or confirmed reservation was purged",
    }
    purges_by_the_age_of_the_grant: PurgesByTheGrant, retention_cases => {
        the_time_to_keep_a_reservation_starts_at_its_end: "it had just finished",
    }
    leaves_no_opening_balance: LeavesNoBalance, retention_cases => {
        old_movements_become_an_opening_balance: "one opening balance is left",
    }
    forgets_what_is_promised: ForgetsThePromised, retention_cases => {
        reserved_units_stay_when_their_movements_are_purged: "ledger: counts",
    }
    one_balance_for_all_locations: MixesLocations, retention_cases => {
        each_level_has_an_opening_balance_of_its_own: "left == right",
    }
    purges_more_than_the_limit: IgnoresTheLimit, retention_cases => {
        a_purge_keeps_to_its_limit: "the limit is 3",
    }
    a_purge_moves_cursors: MovesCursors, retention_cases => {
        a_reader_continues_after_a_purge: "a reader",
    }
    keeps_what_is_exactly_old_enough: KeepsTheExact, retention_cases => {
        a_reservation_is_purged_exactly_when_it_is_old_enough: "`at least` includes that time",
        a_movement_is_purged_exactly_when_it_is_old_enough: "`at least` includes that time",
    }
    numbers_movements_by_their_count: NumbersByCount, retention_reopen_cases => {
        movements_continue_after_a_purge_and_a_close: "after the purge and the close",
    }
    says_that_nothing_is_left_to_purge: SaysNothingIsLeft, retention_cases => {
        a_purge_of_reservations_says_whether_there_is_more: "leaves some of 120",
        a_purge_of_movements_says_whether_there_is_more: "leaves some of 120",
    }
    always_says_that_there_is_more_to_purge: AlwaysSaysMore, retention_cases => {
        a_purge_of_reservations_says_whether_there_is_more: "nothing is finished",
        a_purge_of_movements_says_whether_there_is_more: "there is no movement",
    }

    marks_versions_that_nobody_published: ForgetsVersions, outbox_cases => {
        an_older_mark_leaves_the_newer_version: "changed after the version that is marked",
    }
    marks_by_the_version_of_a_level: MarksByLevel, outbox_cases => {
        a_mark_covers_all_locations: "changed at another location",
    }
    takes_what_is_read: TakesWhatIsRead, outbox_cases => {
        reading_removes_nothing_from_the_outbox: "read but not marked",
    }
    reads_the_time_after_the_snapshot: CompleteAfterTheSnapshot, outbox_cases => {
        nothing_before_complete_as_of_is_missing: "has to be read before the snapshot",
    }
    stays_behind_by_more_than_its_margin: StaysBehind, outbox_cases => {
        complete_as_of_is_before_every_missing_change: "earlier by more than the margin",
    }
    has_clocks_that_differ_and_no_margin: ClocksDiffer, outbox_cases => {
        nothing_before_complete_as_of_is_missing: "has to be read before the snapshot",
    }
    marks_in_a_second_transaction: MarksInASecondTransaction, outbox_cases => {
        a_dropped_change_is_unpublished_or_undone: "in the transaction that changes its level",
    }
    keeps_nothing_on_its_disk: KeepsNothing, reopen_cases => {
        stock_and_movements_survive: "tee is unknown",
        operation_ids_survive: "",
        reservation_ids_survive: "",
    }
    empties_the_outbox: EmptiesTheOutbox, outbox_reopen_cases => {
        unpublished_skus_survive: "after it was opened again",
    }

    ignores_the_epoch: IgnoresTheEpoch, epoch_cases => {
        every_level_carries_the_raised_epoch: "after its epoch was raised",
        later_changes_carry_the_raised_epoch: "after a change in epoch 1",
    }
    raises_the_epoch_silently: RaisesSilently, epoch_cases => {
        every_sku_is_published_again_in_the_raised_epoch: "every SKU must be published again",
        heartbeats_carry_the_raised_epoch: "epochs of events",
    }
    raises_the_epoch_in_two_steps: RaisesInTwoSteps, epoch_cases => {
        a_page_of_the_raised_epoch_has_every_sku: "raising it must be one transaction",
    }
    publishes_epoch_zero: PublishesEpochZero, epoch_cases => {
        every_sku_is_published_again_in_the_raised_epoch: "the outbox's page names the epoch",
        heartbeats_carry_the_raised_epoch: "epochs of heartbeats",
    }
    marks_without_the_epoch: MarksIgnoreTheEpoch, epoch_cases => {
        marks_of_an_older_epoch_change_nothing: "the SKU must stay unpublished",
    }
    forgets_the_epoch: ForgetsTheEpoch, epoch_reopen_cases => {
        the_raised_epoch_survives: "after the store was opened again",
    }
}
