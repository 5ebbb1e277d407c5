//! Each flaw fails in the cases that name it, and for its own reason.

use stockade_testkit::feed::{self, feed_cases, publisher_cases};
use stockade_testkit::inventory::{self, outbox_cases, retention_cases, store_cases, timer_cases};

use crate::fails::{assert_fails, assert_fails_on};
use crate::flawed_feed::FeedFlaw;
use crate::flawed_store::Flaw;
use crate::harnesses::{Built, FlawedMemory, Forgetful};

#[test]
fn oversells_under_concurrency() {
    assert_fails_on(
        &store_cases::<Built>(),
        || Built::with(Flaw::OversellsUnderConcurrency),
        &[
            "many_writers_have_one_winner",
            "contention_never_oversells",
            "concurrent_repeats_of_the_winner_agree",
            "opposite_orders_do_not_deadlock",
            "churn_keeps_the_ledger",
            "one_id_with_two_contents_has_one_winner",
            "the_levels_of_a_sku_are_one_snapshot",
        ],
        "oversold",
    );
}

#[test]
fn forgets_ids() {
    assert_fails_on(
        &store_cases::<Built>(),
        || Built::with(Flaw::ForgetsIds),
        &[
            "a_repeated_reserve_finds_the_first_grant",
            "the_winner_of_the_last_unit_may_repeat",
            "concurrent_repeats_of_the_winner_agree",
            "a_repeat_finds_the_grant_where_it_was_made",
            "a_repeat_finds_every_later_state",
            "other_content_with_the_same_id_conflicts",
            "a_batch_may_hold_one_id_twice",
            "remaining_time_falls_on_the_stores_clock",
            "expired_units_can_be_reserved_again",
            "one_id_with_two_contents_has_one_winner",
            "a_dropped_call_took_effect_whole_or_not_at_all",
            "a_reserve_whose_reply_is_lost_counts_once",
            "the_last_unit_is_kept_when_the_reply_is_lost",
            "a_batch_whose_reply_is_lost_counts_once",
        ],
        "a repeated reserve was granted anew",
    );
}

#[test]
fn refuses_the_winner_of_the_last_unit() {
    assert_fails_on(
        &store_cases::<Built>(),
        || Built::with(Flaw::RefusesTheWinner),
        &[
            "the_winner_of_the_last_unit_may_repeat",
            "concurrent_repeats_of_the_winner_agree",
            "other_content_with_the_same_id_conflicts",
            "expired_units_can_be_reserved_again",
            "the_last_unit_is_kept_when_the_reply_is_lost",
            "a_batch_whose_reply_is_lost_counts_once",
        ],
        "the winner of the last unit repeated its request and was told",
    );
}

#[test]
fn compensates_twice_on_expire() {
    assert_fails_on(
        &store_cases::<Built>(),
        || Built::with(Flaw::CompensatesTwice),
        &[
            "expiry_gives_units_back_once",
            "concurrent_expiry_gives_units_back_once",
            "confirming_after_the_deadline_expires",
            "extending_after_the_deadline_expires",
            "expire_tells_what_became_of_each",
            "confirm_and_expire_have_one_winner",
            "an_expiry_whose_reply_is_lost_counts_once",
        ],
        "units came back again",
    );
}

#[test]
fn expires_what_was_extended() {
    assert_fails_on(
        &store_cases::<Built>(),
        || Built::with(Flaw::ExpiresTheExtended),
        &[
            "extended_is_not_expired",
            "an_extension_whose_reply_is_lost_holds",
        ],
        "it was expired although it was extended",
    );
}

#[test]
fn counts_a_repeated_receive_twice() {
    assert_fails_on(
        &store_cases::<Built>(),
        || Built::with(Flaw::ReceivesTwice),
        &[
            "a_repeated_receive_counts_once",
            "concurrent_repeats_of_a_receive_count_once",
            "other_adjustments_with_the_same_id_conflict",
            "an_adjustment_whose_reply_is_lost_counts_once",
        ],
        "50 units received again",
    );
}

#[test]
fn finishes_what_is_fetched() {
    assert_fails_on(
        &feed_cases::<FlawedMemory>(),
        || FlawedMemory::with(FeedFlaw::FinishesWhatIsFetched),
        &[
            "what_is_unfinished_comes_again_after_a_close",
            "what_is_unfinished_comes_again_after_a_crash",
            "a_group_goes_on_after_what_is_finished",
            "a_commit_behind_changes_nothing",
            "of_several_positions_the_furthest_counts",
            "a_commit_of_a_lost_partition_is_refused",
            "a_dropped_commit_can_be_made_again",
            "who_was_silent_finishes_nothing",
            "lag_is_what_is_unfinished",
            "a_new_group_is_behind_by_everything",
            "lag_tells_of_every_partition",
            "lag_grows_old",
        ],
        "records that came",
    );
}

#[test]
fn loses_the_records_of_a_dropped_poll() {
    assert_fails_on(
        &feed_cases::<FlawedMemory>(),
        || FlawedMemory::with(FeedFlaw::LosesWhatIsDropped),
        &["a_dropped_poll_loses_nothing"],
        "records that came",
    );
}

#[test]
fn returns_what_is_paused() {
    assert_fails_on(
        &feed_cases::<FlawedMemory>(),
        || FlawedMemory::with(FeedFlaw::IgnoresPauses),
        &["paused_partitions_are_left_out_and_kept"],
        "partition 0 is paused",
    );
}

#[test]
fn publishes_without_headers() {
    assert_fails_on(
        &feed_cases::<FlawedMemory>(),
        || FlawedMemory::with(FeedFlaw::DropsHeaders),
        &["records_come_back_as_they_were"],
        "Headers",
    );
}

#[test]
fn marks_versions_that_nobody_published() {
    assert_fails(
        &outbox_cases::<FlawedMemory>(),
        &[
            "an_older_mark_leaves_the_newer_version",
            "nothing_is_lost_while_stock_changes",
        ],
        "changed after the version that is marked",
    );
}

#[test]
fn keeps_the_first_timer() {
    assert_fails(
        &timer_cases::<FlawedMemory>(),
        &["arming_again_replaces_the_timer"],
        "put-off",
    );
}

#[test]
fn purges_what_is_confirmed() {
    assert_fails_on(
        &retention_cases::<Built>(),
        || Built::with(Flaw::PurgesTheConfirmed),
        &[
            "what_is_live_is_kept",
            "a_purge_changes_no_level",
            "what_is_finished_is_purged",
        ],
        "what is held or confirmed was purged",
    );
}

#[test]
fn purges_by_the_age_of_the_grant() {
    assert_fails_on(
        &retention_cases::<Built>(),
        || Built::with(Flaw::PurgesByTheGrant),
        &[
            "a_reservation_is_kept_from_its_end_on",
            "the_longest_finished_go_first",
        ],
        "it had just come to its end",
    );
}

#[test]
fn leaves_no_opening_balance() {
    assert_fails_on(
        &retention_cases::<Built>(),
        || Built::with(Flaw::LeavesNoBalance),
        &[
            "old_movements_become_an_opening_balance",
            "a_purge_changes_no_level",
            "a_purge_keeps_to_its_limit",
            "a_reader_goes_on_after_a_purge",
            "an_opening_balance_goes_into_the_next",
            "concurrent_purges_share_the_movements",
            "each_level_has_an_opening_balance_of_its_own",
            "purged_operations_are_decided_afresh",
            "stock_changes_while_movements_are_purged",
            "what_is_reserved_outlives_its_movements",
            "young_movements_stay",
        ],
        "one opening balance is left",
    );
}

#[test]
fn forgets_what_is_promised() {
    assert_fails_on(
        &retention_cases::<Built>(),
        || Built::with(Flaw::ForgetsThePromised),
        &[
            "what_is_reserved_outlives_its_movements",
            "a_purge_changes_no_level",
            "old_movements_become_an_opening_balance",
        ],
        "ledger: counts",
    );
}

#[test]
fn one_balance_for_all_locations() {
    assert_fails_on(
        &retention_cases::<Built>(),
        || Built::with(Flaw::MixesLocations),
        &["each_level_has_an_opening_balance_of_its_own"],
        "left == right",
    );
}

#[test]
fn purges_more_than_the_limit() {
    assert_fails_on(
        &retention_cases::<Built>(),
        || Built::with(Flaw::IgnoresTheLimit),
        &[
            "a_purge_keeps_to_its_limit",
            "a_reader_goes_on_after_a_purge",
            "the_longest_finished_go_first",
        ],
        "the limit is 3",
    );
}

#[test]
fn a_purge_moves_cursors() {
    assert_fails_on(
        &retention_cases::<Built>(),
        || Built::with(Flaw::MovesCursors),
        &["a_reader_goes_on_after_a_purge"],
        "a reader",
    );
}

#[test]
fn keeps_nothing_on_its_disk() {
    assert_fails(
        &inventory::reopen_cases::<Forgetful>(),
        &[
            "stock_and_movements_survive",
            "deadlines_survive",
            "every_state_survives",
            "operation_ids_survive",
            "reservation_ids_survive",
            "what_was_answered_under_load_survives",
        ],
        "nothing is known of tee",
    );
}

#[test]
fn keeps_no_record_on_its_disk() {
    assert_fails(
        &feed::reopen_cases::<Forgetful>(),
        &["records_survive", "commits_survive", "offsets_go_on"],
        "",
    );
}

#[test]
fn goes_on_where_it_should_stop() {
    assert_fails_on(
        &feed::retention_cases::<FlawedMemory>(),
        || FlawedMemory::with(FeedFlaw::GoesOnAtTheOldest),
        &[
            "a_lost_offset_stops_the_group",
            "a_lost_offset_stops_only_what_reads_it",
            "a_poll_that_fails_loses_no_report",
            "a_lost_offset_goes_on_after_the_newest",
            "a_topic_created_anew_is_noticed",
        ],
        "the committed offset is lost, and reading went on",
    );
}

#[test]
fn determines_the_newest_again_for_each_member() {
    assert_fails_on(
        &feed_cases::<FlawedMemory>(),
        || FlawedMemory::with(FeedFlaw::ForgetsTheStart),
        &["the_newest_is_determined_once"],
        "records that came",
    );
}

#[test]
fn forgets_what_it_would_have_reported() {
    assert_fails_on(
        &feed::retention_cases::<FlawedMemory>(),
        || FlawedMemory::with(FeedFlaw::LosesReportsOfFailures),
        &[
            "a_poll_that_fails_loses_no_report",
            "a_lost_offset_stops_only_what_reads_it",
        ],
        "a member should read 2 partitions",
    );
}

#[test]
fn reads_one_partition_for_as_long_as_it_can() {
    assert_fails_on(
        &feed_cases::<FlawedMemory>(),
        || FlawedMemory::with(FeedFlaw::StarvesPartitions),
        &["no_partition_starves"],
        "of two partitions with 100 records each",
    );
}

#[test]
fn joins_before_it_is_polled() {
    assert_fails_on(
        &feed_cases::<FlawedMemory>(),
        || FlawedMemory::with(FeedFlaw::JoinsUnpolled),
        &[
            "who_never_polled_takes_nothing",
            "the_newest_is_determined_once",
        ],
        "the other one has not polled yet",
    );
}

#[test]
fn spreads_messages_without_a_key() {
    assert_fails_on(
        &publisher_cases::<FlawedMemory>(),
        || FlawedMemory::with(FeedFlaw::SpreadsTheKeyless),
        &["messages_without_a_key_share_a_partition"],
        "where the empty key goes",
    );
}
