//! Topics that do not exist, in logs that create none on demand.

use stockade_change_feed::{FeedError, Message, SubscribeOptions, Topic};

use super::reader::group;
use super::{AbsentTopicHarness, FeedHarness};

pub(super) async fn an_unknown_topic_takes_no_message<H: AbsentTopicHarness>(h: H) {
    let topic = h.absent_topic();
    // The second time as well: publishing does not create it.
    for _ in 0..2 {
        let messages = vec![Message::keyed("a", "v"), Message::keyed("b", "v")];
        match h.publisher().publish(&topic, messages).await {
            Err(error) => assert_unknown(&error, &topic),
            Ok(outcomes) => {
                for outcome in outcomes {
                    let published = "a message was published to a topic that does not exist";
                    assert_unknown(&outcome.expect_err(published), &topic);
                }
            }
        }
    }
}

pub(super) async fn an_unknown_topic_has_no_partitions<H: AbsentTopicHarness>(h: H) {
    let topic = h.absent_topic();
    for _ in 0..2 {
        let counted = h.publisher().partitions(&topic).await;
        let error = counted.expect_err("a topic that does not exist has no partitions");
        assert_unknown(&error, &topic);
    }
}

pub(super) async fn an_unknown_topic_has_no_members<H>(h: H)
where
    H: FeedHarness + AbsentTopicHarness,
{
    let topic = h.absent_topic();
    let topics = [h.create_topic(1).await, topic.clone()];
    for _ in 0..2 {
        let options = SubscribeOptions::default();
        let joined = h.feed().subscribe(&group("g"), &topics, options).await;
        let error = joined.map(drop);
        let error = error.expect_err("a member subscribed to a topic that does not exist");
        assert_unknown(&error, &topic);
    }
}

pub(super) async fn an_unknown_topic_has_no_lag<H>(h: H)
where
    H: FeedHarness + AbsentTopicHarness,
{
    let topic = h.absent_topic();
    let topics = [h.create_topic(1).await, topic.clone()];
    for _ in 0..2 {
        let lag = h.feed().lag(&group("g"), &topics).await;
        let error = lag.expect_err("a topic that does not exist has no lag");
        assert_unknown(&error, &topic);
    }
}

fn assert_unknown(error: &FeedError, topic: &Topic) {
    assert!(
        matches!(error, FeedError::UnknownTopic { topic: named } if named == topic),
        "the error is UnknownTopic, and names {topic}; it is {error:?}"
    );
}
