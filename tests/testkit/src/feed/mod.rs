//! Suites for ordered logs: publishing to them, and reading from them in groups.

mod crashes;
mod groups;
mod lag;
mod members;
mod publishing;
mod reader;
mod reading;
mod reopening;
mod retention;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{Feed, Offset, Publisher, Topic, TopicPartition};

use crate::{Crash, Harness, Reopen};

/// Opens publishers.
#[async_trait]
pub trait PublisherHarness: Harness {
    /// The publisher of this instance.
    fn publisher(&self) -> Arc<dyn Publisher>;

    /// Creates an empty topic with this many partitions (at most 4), under a name that no other
    /// case uses, and no other process of a crash suite.
    async fn create_topic(&self, partitions: u32) -> Topic;
}

/// Opens feeds with publishers.
#[async_trait]
pub trait FeedHarness: PublisherHarness {
    /// The feed of this instance.
    fn feed(&self) -> Arc<dyn Feed>;

    /// The session timeout of its members: from 2 to 10 seconds.
    fn session_timeout(&self) -> Duration;
}

/// For logs that create no topic on demand.
pub trait AbsentTopicHarness: PublisherHarness {
    /// The name of a topic that does not exist, and that no case and no other process creates.
    fn absent_topic(&self) -> Topic;
}

/// For logs that lose old records, or whole topics.
#[async_trait]
pub trait RetentionHarness: FeedHarness {
    /// Whether a commit compares the position with the record that is in the log, so that a member
    /// which reads a new topic commits nothing by a position that it read in the deleted one. A log
    /// that can not compare them sets it to false, and its documentation must say so.
    const COMPARES_POSITIONS: bool = true;

    /// Removes the records of a partition before `before`.
    async fn trim(&self, partition: &TopicPartition, before: Offset);

    /// Deletes the topic and creates it again, with the same name and number of partitions. The
    /// commits of groups stay: a log that deletes them together with the topic restores them here,
    /// as restoring a backup does.
    async fn recreate(&self, topic: &Topic);
}

suite! { $
    /// Tests a `Publisher`: `publisher_conformance!(module, Harness);` writes a module with a
    /// `#[test]` for each case. The harness implements
    /// [`PublisherHarness`](crate::feed::PublisherHarness).
    publisher_conformance, feed::publisher_cases: PublisherHarness;
    publishing {
        outcomes_are_in_order,
        equal_keys_share_a_partition,
        messages_without_a_key_share_a_partition,
        a_named_partition_is_kept,
        an_unknown_partition_is_refused_alone,
        partitions_are_counted,
        publishing_nothing_has_no_outcomes,
        concurrent_publishers_keep_their_order,
    }
}

suite! { $
    /// Tests that a `Publisher` refuses topics that do not exist:
    /// `publisher_topics_conformance!(module, Harness);`. The harness implements
    /// [`AbsentTopicHarness`](crate::feed::AbsentTopicHarness).
    publisher_topics_conformance, feed::publisher_topics_cases: AbsentTopicHarness;
    topics {
        an_unknown_topic_takes_no_message,
        an_unknown_topic_has_no_partitions,
    }
}

suite! { $
    /// Tests that a `Feed` refuses topics that do not exist:
    /// `feed_topics_conformance!(module, Harness);`. The harness implements
    /// [`FeedHarness`](crate::feed::FeedHarness) and
    /// [`AbsentTopicHarness`](crate::feed::AbsentTopicHarness).
    feed_topics_conformance, feed::feed_topics_cases: FeedHarness + AbsentTopicHarness;
    topics {
        an_unknown_topic_has_no_members,
        an_unknown_topic_has_no_lag,
    }
}

suite! { $
    /// Tests a `Feed`, filled by a `Publisher`: `feed_conformance!(module, Harness);`. The
    /// harness implements [`FeedHarness`](crate::feed::FeedHarness).
    feed_conformance, feed::feed_cases: FeedHarness;
    reading {
        records_come_back_as_they_were,
        records_are_in_order_within_a_partition,
        several_topics_are_read_together,
        a_poll_keeps_to_its_number_of_records,
        a_poll_keeps_to_its_bytes,
        keys_and_headers_count_as_bytes,
        a_poll_for_no_records_fetches_nothing,
        paused_partitions_are_left_out_and_kept,
        no_partition_starves,
        a_topic_named_twice_is_read_once,
        a_poll_ends_after_its_wait,
        a_poll_ends_with_the_first_record,
        a_dropped_poll_loses_nothing,
        a_new_group_starts_at_its_start_option,
    }
    groups {
        each_group_reads_everything,
        members_share_the_partitions,
        a_group_continues_after_its_commit,
        the_start_option_is_only_for_new_groups,
        the_latest_start_is_determined_once,
        a_member_that_never_polled_takes_no_partition,
        unfinished_records_are_delivered_again_after_a_close,
        unfinished_records_are_delivered_again_after_a_crash,
        each_commit_has_its_own_outcome,
        a_commit_of_an_earlier_position_changes_nothing,
        of_several_positions_the_furthest_counts,
        a_commit_of_a_revoked_partition_is_refused,
        a_dropped_commit_can_be_made_again,
        an_expired_member_commits_nothing,
    }
    members {
        members_with_different_topics_leave_no_partition_without_an_owner,
        members_start_by_their_own_options,
        a_close_releases_partitions_at_once,
        a_poll_ends_with_a_changed_assignment,
        a_member_that_waits_in_a_poll_keeps_its_partitions,
    }
    lag {
        lag_counts_unfinished_records,
        a_new_group_lags_by_all_records,
        lag_has_every_partition,
        the_age_of_the_lag_grows,
        the_age_of_the_lag_is_that_of_the_first_unfinished_record,
    }
}

suite! { $
    /// Tests that a durable feed keeps its records and commits:
    /// `feed_reopen_conformance!(module, Harness);`. The harness implements
    /// [`FeedHarness`](crate::feed::FeedHarness) and [`Reopen`](crate::Reopen).
    feed_reopen_conformance, feed::reopen_cases: FeedHarness + Reopen;
    reopening {
        records_survive,
        commits_survive,
        offsets_continue,
    }
}

suite! { $
    /// Tests the policies for a committed offset that is no longer in the log:
    /// `feed_retention_conformance!(module, Harness);`. The harness implements
    /// [`RetentionHarness`](crate::feed::RetentionHarness).
    feed_retention_conformance, feed::retention_cases: RetentionHarness;
    retention {
        removing_finished_records_loses_nothing,
        a_lost_offset_stops_the_group,
        a_lost_offset_stops_only_its_partition,
        a_poll_that_fails_loses_no_report,
        a_poll_that_fails_loses_no_record,
        records_removed_ahead_of_a_member_are_not_skipped_silently,
        a_lost_offset_continues_at_the_oldest_record,
        a_lost_offset_continues_after_the_newest_record,
        a_topic_created_again_is_noticed,
        a_position_in_a_deleted_topic_commits_nothing,
        a_position_in_a_deleted_topic_commits_nothing_after_a_reset,
        lag_counts_no_removed_records,
    }
}

suite! { $
    /// Tests that removed records stay removed when a durable feed is opened again:
    /// `feed_retention_reopen_conformance!(module, Harness);`. The harness implements
    /// [`RetentionHarness`](crate::feed::RetentionHarness) and [`Reopen`](crate::Reopen).
    feed_retention_reopen_conformance, feed::retention_reopen_cases: RetentionHarness + Reopen;
    reopening {
        removed_records_stay_removed,
    }
}

crash_suite! { $
    /// Tests that publishes and commits which returned survive a kill of the process or of the
    /// server during calls: `feed_crash_conformance!(module, Harness);`. The harness implements
    /// [`FeedHarness`](crate::feed::FeedHarness) and [`Crash`](crate::Crash).
    feed_crash_conformance, feed::crash_cases: FeedHarness + Crash;
    crashes {
        returned_publishes_and_commits_survive_a_kill,
    }
}
