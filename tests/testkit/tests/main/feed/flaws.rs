//! Each flaw fails in the cases that name it, and for its own reason.

use stockade_testkit::feed::{
    self, feed_cases, feed_topics_cases, publisher_cases, publisher_topics_cases,
};

use super::FeedFlaw;
use crate::fails::{assert_fails, assert_fails_on};
use crate::harnesses::{FlawedMemory, Forgetful, Memory};

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

/// A test for each flaw: its cases fail, the first of them with this phrase.
macro_rules! flaws {
    ($($test:ident: $flaw:ident, $($cases:ident)::+ => { $($case:ident),+ }: $phrase:literal;)+) => {
        $(
            #[test]
            fn $test() {
                assert_fails_on(
                    &$($cases)::+::<FlawedMemory>(),
                    || FlawedMemory::with(FeedFlaw::$flaw),
                    &[$(stringify!($case)),+],
                    $phrase,
                );
            }
        )+
    };
}

flaws! {
    shares_as_if_all_read_the_same_topics: SharesByOwnTopics, feed_cases => {
        members_with_different_topics_leave_no_partition_without_an_owner
    }: "some are without an owner";
    reads_before_it_fails: LosesRecordsOfFailures, feed::retention_cases => {
        a_poll_that_fails_loses_no_record
    }: "which were there when polls failed";
    counts_only_values: CountsOnlyValues, feed_cases => {
        keys_and_headers_count_as_bytes
    }: "a poll for at most 2500 bytes returned 3 records";
    closes_silently: ClosesSilently, feed_cases => {
        a_close_releases_partitions_at_once, a_poll_ends_with_a_changed_assignment
    }: "a close must not leave partitions";
    reports_only_with_records: WaitsForRecords, feed_cases => {
        a_poll_ends_with_a_changed_assignment
    }: "but a poll still waits";
    skips_what_was_removed: SkipsWhatIsRemoved, feed::retention_cases => {
        records_removed_ahead_of_a_member_are_not_skipped_silently
    }: "without a report";
    commits_by_the_offset: CommitsByOffset, feed::retention_cases => {
        a_position_in_a_deleted_topic_commits_nothing
    }: "records that came";
    has_the_age_of_the_oldest_record: AgeOfTheOldest, feed_cases => {
        the_age_of_the_lag_is_that_of_the_first_unfinished_record
    }: "after the finished one, but the age is";
    uses_the_options_of_the_first_member: FirstOptions, feed_cases => {
        members_start_by_their_own_options
    }: "this member has `Start::Latest`";
    waits_without_a_heartbeat: WaitsSilently, feed_cases => {
        a_member_that_waits_in_a_poll_keeps_its_partitions
    }: "was given to another member";
    counts_what_was_removed: CountsRemoved, feed::retention_cases => {
        lag_counts_no_removed_records
    }: "the oldest 6 were removed";
}

#[test]
fn creates_topics_on_demand() {
    assert_fails(
        &publisher_topics_cases::<Memory>(),
        &[
            "an_unknown_topic_takes_no_message",
            "an_unknown_topic_has_no_partitions",
        ],
        "a message was published to a topic that does not exist",
    );
    assert_fails(
        &feed_topics_cases::<Memory>(),
        &[
            "an_unknown_topic_has_no_members",
            "an_unknown_topic_has_no_lag",
        ],
        "a member subscribed to a topic that does not exist",
    );
}
