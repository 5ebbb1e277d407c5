//! Letting a group begin again elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, DescribeGroupsRequest};
use stockade_change_feed::{FeedError, Group, Timestamp, Topic, TopicPartition};

use crate::cluster::{KafkaClient, To, Topics};
use crate::error::{Effect, KafkaError};
use crate::feed::KafkaFeed;
use crate::offsets::{self, Claim, Codes, Note, Place, Progress};
use crate::wire::text;

const RESET: &str = "reset group";

/// Where a group begins again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// At the oldest record.
    Earliest,
    /// At the first record of that time or later, by the time that the topic keeps.
    Since(Timestamp),
    /// After the newest record.
    Latest,
}

impl KafkaFeed {
    /// Lets a group begin again elsewhere in these topics, to read once more what it has finished
    /// or to pass over what it has not. A group that is new begins there.
    ///
    /// It is what `kafka-consumer-groups --reset-offsets` does as well.
    ///
    /// # Errors
    /// [`FeedError::GroupActive`] while the group has members, a crashed one until the session
    /// timeout is over among them; [`FeedError::UnknownTopic`]; [`FeedError::Failed`].
    pub async fn reset_group(
        &self,
        group: &Group,
        topics: &[Topic],
        to: ResetTo,
    ) -> Result<(), FeedError> {
        let client = &self.client;
        let found = self.existing(RESET, topics).await?;
        let failed = |error: KafkaError| error.during(RESET, Effect::None);
        let limit = client.config().request_timeout;
        let progress = client.persist(limit, || places(client, &found, to)).await;
        let progress = progress.map_err(failed)?;
        let codes = client
            .persist(limit, || commit(client, group, &progress))
            .await;
        let codes = codes.map_err(failed)?;
        let active = ResponseError::UnknownMemberId.code();
        if codes.values().any(|code| *code == active) {
            let members = client.persist(limit, || count(client, group)).await;
            let members = members.map_err(failed)?;
            return Err(FeedError::GroupActive {
                group: group.clone(),
                members,
            });
        }
        offsets::all_committed(&codes).map_err(failed)
    }
}

async fn places(
    client: &KafkaClient,
    topics: &Topics,
    to: ResetTo,
) -> Result<BTreeMap<TopicPartition, Progress>, KafkaError> {
    let partitions = offsets::partitions(topics);
    let end = offsets::find(client, topics, &partitions, Place::Stable).await?;
    let found = match to {
        ResetTo::Earliest => offsets::find(client, topics, &partitions, Place::First).await?,
        ResetTo::Since(time) => {
            offsets::find(client, topics, &partitions, Place::Since(time)).await?
        }
        ResetTo::Latest => BTreeMap::new(),
    };
    let place = |at: TopicPartition| {
        // Where no record is of that time or later, it is after the newest.
        let bound = found.get(&at).or_else(|| end.get(&at))?;
        let id = topics.get(&at.topic)?.id;
        let note = Some(Note::new(id, None));
        let progress = Progress {
            next: bound.offset,
            epoch: -1,
            note,
        };
        Some((at, progress))
    };
    Ok(partitions.into_iter().filter_map(place).collect())
}

async fn commit(
    client: &KafkaClient,
    group: &Group,
    progress: &BTreeMap<TopicPartition, Progress>,
) -> Result<Codes, KafkaError> {
    let coordinator = client.coordinator(group).await?;
    let codes = offsets::commit(client, coordinator, &Claim::nobody(group), progress).await;
    let codes = codes.and_then(|codes| offsets::coordinated(&codes).map(|()| codes));
    if codes.is_err() {
        client.forget_coordinator(group);
    }
    codes
}

/// How many members a group has, by whichever protocol it is.
async fn count(client: &KafkaClient, group: &Group) -> Result<usize, KafkaError> {
    let to = client.coordinator(group).await?;
    if client.offers::<ConsumerGroupDescribeRequest>(to).await? {
        let members = count_newest(client, to, group).await?;
        if members > 0 {
            return Ok(members);
        }
    }
    let name = text(group.as_str()).into();
    let request = DescribeGroupsRequest::default().with_groups(vec![name]);
    let answer = client.ask(to, Duration::ZERO, |_| request).await?;
    Ok(answer.groups.first().map_or(0, |group| group.members.len()))
}

/// 0 where it is a classic group.
async fn count_newest(client: &KafkaClient, to: To, group: &Group) -> Result<usize, KafkaError> {
    let name = text(group.as_str()).into();
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![name]);
    let answer = client.ask(to, Duration::ZERO, |_| request).await?;
    Ok(answer.groups.first().map_or(0, |group| group.members.len()))
}
