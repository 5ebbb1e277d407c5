//! How the partitions of a group change hands, and when.

use std::time::{Duration, Instant};

use stockade_change_feed::{PollLimits, Start, TopicPartition};

use super::FeedHarness;
use super::reader::{Reader, from, limits, number, numbers, settle_both, texts};
use crate::while_time_passes;

/// The longest time that a call may take which does not wait for a session timeout.
const LONG: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(50);

/// For polls that return at once and read nothing.
fn at_once() -> PollLimits {
    PollLimits {
        records: 0,
        wait: Duration::ZERO,
        ..PollLimits::default()
    }
}

pub(super) async fn members_with_different_topics_leave_no_partition_without_an_owner<
    H: FeedHarness,
>(
    h: H,
) {
    let topics = [h.create_topic(2).await, h.create_topic(2).await];
    let mut both = Reader::join(&h, "g", &topics).await;
    both.settle(4).await;
    let mut second = Reader::join(&h, "g", &topics[1..]).await;
    let short = PollLimits {
        wait: STEP,
        ..limits(0)
    };
    let mut complete = 0;
    for _ in 0..300 {
        both.poll(&short).await;
        second.poll(&short).await;
        let foreign = second.owned.iter().find(|at| at.topic != topics[1]);
        assert_eq!(foreign, None, "the member does not read this topic");
        let owned = both.owned.union(&second.owned).count();
        let shared = owned == 4 && !second.owned.is_empty();
        complete = if shared { complete + 1 } else { 0 };
        if complete == 5 {
            return;
        }
    }
    panic!(
        "the members of a group read all 4 partitions of two topics, but some are without an \
         owner: one that reads both topics has {:?}, and one that reads the second topic has {:?}",
        both.owned, second.owned
    );
}

pub(super) async fn members_start_by_their_own_options<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(2).await];
    let mut oldest = Reader::join_with(&h, "g", &topics, from(Start::Earliest)).await;
    oldest.settle(2).await;
    for partition in [0, 1] {
        number(&h, &topics[0], partition, 0..3).await;
    }
    let mut newest = Reader::join_with(&h, "g", &topics, from(Start::Latest)).await;
    settle_both(&mut oldest, &mut newest, 2).await;
    let gained: Vec<TopicPartition> = newest.owned.iter().cloned().collect();
    newest
        .expect_nothing("this member has `Start::Latest`, and the group has committed nothing")
        .await;
    number(&h, &topics[0], gained[0].partition, 3..5).await;
    assert_eq!(
        texts(&newest.read(2).await),
        numbers(3..5),
        "after the newest record that the member found"
    );
    assert_eq!(
        texts(&oldest.read(3).await),
        numbers(0..3),
        "the other member has `Start::Earliest`"
    );
}

pub(super) async fn a_close_releases_partitions_at_once<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(2).await];
    let mut a = Reader::join(&h, "g", &topics).await;
    let mut b = Reader::join(&h, "g", &topics).await;
    settle_both(&mut a, &mut b, 2).await;
    let before = Instant::now();
    a.poll(&at_once()).await;
    a.close().await;
    // No time passes on a clock that the harness moves.
    let patience = h.session_timeout() / 4 * 3;
    while before.elapsed() < patience {
        let polled = b.subscription.poll(&at_once()).await;
        b.note(polled.unwrap_or_else(|error| panic!("polling failed: {error}")));
        if b.owned.len() == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!(
        "a member closed, but {patience:?} later the other one has only {:?}: a close must not \
         leave partitions until the session timeout",
        b.owned
    );
}

pub(super) async fn a_poll_ends_with_a_changed_assignment<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(2).await];
    let mut a = Reader::join(&h, "g", &topics).await;
    let mut b = Reader::join(&h, "g", &topics).await;
    settle_both(&mut a, &mut b, 2).await;
    let patient = PollLimits {
        wait: Duration::from_secs(3600),
        ..limits(10)
    };
    let closing = async {
        tokio::time::sleep(STEP).await;
        a.close().await;
    };
    let waiting = async {
        while b.owned.len() < 2 {
            let polled = b.subscription.poll(&patient).await;
            b.note(polled.unwrap_or_else(|error| panic!("polling failed: {error}")));
        }
    };
    let waiting = tokio::time::timeout(LONG, waiting);
    let (ended, ()) = futures::join!(waiting, closing);
    assert!(
        ended.is_ok(),
        "the other member closed, but a poll still waits after {LONG:?}, and reports no partition"
    );
}

pub(super) async fn a_member_that_waits_in_a_poll_keeps_its_partitions<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    let mut waiting = Reader::join(&h, "g", &topics).await;
    waiting.settle(1).await;
    let mut other = Reader::join(&h, "g", &topics).await;
    let patient = PollLimits {
        wait: h.session_timeout() * 2,
        ..limits(10)
    };
    let polling = async {
        loop {
            let polled = other.subscription.poll(&at_once()).await;
            other.note(polled.unwrap_or_else(|error| panic!("polling failed: {error}")));
            assert_eq!(
                other.owned.iter().next(),
                None,
                "a member waits in one poll for twice the session timeout, and its partition was \
                 given to another member"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let both = async {
        tokio::select! {
            polled = waiting.subscription.poll(&patient) => polled,
            never = polling => never,
        }
    };
    let polled = while_time_passes(&h, STEP, both).await;
    waiting.note(polled.unwrap_or_else(|error| panic!("polling failed: {error}")));
    waiting.settle(1).await;
}
