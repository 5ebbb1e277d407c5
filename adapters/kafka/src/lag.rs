//! How far a group is behind.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::try_join_all;
use stockade_change_feed::{FeedError, Group, PartitionLag, Timestamp, TopicPartition};

use crate::cluster::{KafkaClient, Topics};
use crate::error::{Effect, KafkaError};
use crate::fetch::{self, Bounds, Outcome, Wanted};
use crate::offsets::{self, Bound, Claim, Place};

/// Enough for the first record of many partitions.
const GLANCE: Bounds = Bounds {
    wait: Duration::ZERO,
    bytes: 8 << 20,
    partition_bytes: 64 << 10,
};

/// Where a group stands in a partition.
#[derive(Clone, Copy)]
struct Standing {
    next: i64,
    end: i64,
    leader: i32,
    wanted_epoch: i32,
}

/// For every partition of the topics.
pub(crate) async fn lag(
    client: &KafkaClient,
    group: &Group,
    topics: &Topics,
) -> Result<Vec<PartitionLag>, FeedError> {
    let names: Vec<_> = topics.keys().cloned().collect();
    let attempt = || async {
        let lags = async {
            let topics = client.topics(&names).await?;
            read(client, group, &topics).await
        };
        let lags = lags.await;
        if lags.is_err() {
            client.forget_coordinator(group);
        }
        lags
    };
    let lags = client
        .persist(client.config().request_timeout, attempt)
        .await;
    lags.map_err(|error| error.during("read lag", Effect::None))
}

async fn read(
    client: &KafkaClient,
    group: &Group,
    topics: &Topics,
) -> Result<Vec<PartitionLag>, KafkaError> {
    let partitions = offsets::partitions(topics);
    let coordinator = client.coordinator(group).await?;
    let claim = Claim::nobody(group);
    // The ends last: what is committed is never beyond them.
    let committed = offsets::committed(client, coordinator, &claim, &partitions).await?;
    let first = offsets::find(client, topics, &partitions, Place::First).await?;
    let end = offsets::find(client, topics, &partitions, Place::End).await?;

    let mut standings = BTreeMap::new();
    for at in &partitions {
        let info = topics
            .get(&at.topic)
            .and_then(|info| info.partition(at.partition));
        let (Some(first), Some(end), Some(info)) = (first.get(at), end.get(at), info) else {
            continue;
        };
        // What is gone can not be finished any more.
        let next = committed
            .get(at)
            .map_or(first.offset, |known| known.next.max(first.offset));
        let Bound { offset: end, .. } = *end;
        let (leader, wanted_epoch) = (info.leader, info.epoch);
        standings.insert(
            at.clone(),
            Standing {
                next,
                end,
                leader,
                wanted_epoch,
            },
        );
    }
    let oldest = oldest(client, topics, &standings).await?;
    let now = client.clock().now();
    let lag = |(at, standing): (TopicPartition, Standing)| {
        let records = standing
            .end
            .saturating_sub(standing.next)
            .max(0)
            .unsigned_abs();
        let age = match oldest.get(&at) {
            Some(Some(time)) => now.since(*time),
            // Markers at most.
            Some(None) => Some(Duration::ZERO),
            None if records == 0 => Some(Duration::ZERO),
            None => None,
        };
        PartitionLag::new(at, Some(records), age)
    };
    Ok(standings.into_iter().map(lag).collect())
}

/// The time of the first record that is not finished, where there are any that may be read.
async fn oldest(
    client: &KafkaClient,
    topics: &Topics,
    standings: &BTreeMap<TopicPartition, Standing>,
) -> Result<BTreeMap<TopicPartition, Option<Timestamp>>, KafkaError> {
    let mut leaders: BTreeMap<i32, BTreeMap<TopicPartition, Wanted>> = BTreeMap::new();
    for (at, standing) in standings {
        if standing.next < standing.end {
            let wanted = Wanted {
                id: topics
                    .get(&at.topic)
                    .map_or_else(uuid::Uuid::nil, |info| info.id),
                from: standing.next,
                leader_epoch: standing.wanted_epoch,
                last_epoch: -1,
            };
            leaders
                .entry(standing.leader)
                .or_default()
                .insert(at.clone(), wanted);
        }
    }
    let asked = leaders.into_iter();
    let asked = asked.map(|(leader, wanted)| oldest_of(client, leader, wanted));
    Ok(try_join_all(asked).await?.into_iter().flatten().collect())
}

/// A leader gives at least one batch of the first partition that it is asked for, whatever its
/// size, so each round learns of one partition or more.
async fn oldest_of(
    client: &KafkaClient,
    leader: i32,
    mut wanted: BTreeMap<TopicPartition, Wanted>,
) -> Result<BTreeMap<TopicPartition, Option<Timestamp>>, KafkaError> {
    let mut oldest = BTreeMap::new();
    while !wanted.is_empty() {
        let before: Vec<i64> = wanted.values().map(|wanted| wanted.from).collect();
        let known = oldest.len();
        for (at, outcome) in fetch::fetch(client, leader, &wanted, GLANCE).await? {
            let read = match outcome {
                Outcome::Read(read) => read,
                // Removed in the meantime.
                Outcome::OutOfRange | Outcome::Truncated(_) => {
                    wanted.remove(&at);
                    continue;
                }
                Outcome::Moved(error) | Outcome::Failed(error) => return Err(error),
            };
            if let Some(record) = read.records.first() {
                oldest.insert(at.clone(), Some(record.position.timestamp));
                wanted.remove(&at);
            } else if read.next >= read.end {
                oldest.insert(at.clone(), None);
                wanted.remove(&at);
            } else if let Some(wanted) = wanted.get_mut(&at) {
                wanted.from = read.next;
            }
        }
        let after: Vec<i64> = wanted.values().map(|wanted| wanted.from).collect();
        if oldest.len() == known && before == after {
            // A transaction is open, and nothing before its end can be read.
            break;
        }
    }
    Ok(oldest)
}
