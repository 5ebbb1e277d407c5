//! Each flaw fails in the cases that name it, and for its own reason.

use stockade_testkit::feed::{self, feed_cases, publisher_cases};

use crate::fails::{assert_fails, assert_fails_on};
use crate::flawed_feed::FeedFlaw;
use crate::harnesses::{FlawedMemory, Forgetful};

#[test]
fn finishes_what_is_fetched() {
    assert_fails_on(
        &feed_cases::<FlawedMemory>(),
        || FlawedMemory::with(FeedFlaw::FinishesWhatIsFetched),
        &[
            "unfinished_records_are_delivered_again_after_a_close",
            "unfinished_records_are_delivered_again_after_a_crash",
            "a_group_continues_after_its_commit",
            "a_commit_of_an_earlier_position_changes_nothing",
            "of_several_positions_the_furthest_counts",
            "a_commit_of_a_revoked_partition_is_refused",
            "a_dropped_commit_can_be_made_again",
            "an_expired_member_commits_nothing",
            "lag_counts_unfinished_records",
            "a_new_group_lags_by_all_records",
            "lag_has_every_partition",
            "the_age_of_the_lag_grows",
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
fn keeps_no_record_on_its_disk() {
    assert_fails(
        &feed::reopen_cases::<Forgetful>(),
        &["records_survive", "commits_survive", "offsets_continue"],
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
            "a_lost_offset_stops_only_its_partition",
            "a_poll_that_fails_loses_no_report",
            "a_lost_offset_continues_after_the_newest_record",
            "a_topic_created_again_is_noticed",
        ],
        "the committed offset is lost, but reading continued",
    );
}

#[test]
fn determines_the_newest_again_for_each_member() {
    assert_fails_on(
        &feed_cases::<FlawedMemory>(),
        || FlawedMemory::with(FeedFlaw::ForgetsTheStart),
        &["the_latest_start_is_determined_once"],
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
            "a_lost_offset_stops_only_its_partition",
        ],
        "a member should have 2 partitions",
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
            "a_member_that_never_polled_takes_no_partition",
            "the_latest_start_is_determined_once",
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
