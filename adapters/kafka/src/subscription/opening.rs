//! Where reading a partition begins, and where it goes on when the log does not have what follows.

use std::collections::BTreeMap;
use std::time::Duration;

use stockade_change_feed::{
    Group, Offset, OffsetReset, OnLostOffset, Record, Start, Topic, TopicPartition,
};
use uuid::Uuid;

use super::held::{Astray, Former};
use crate::cluster::{KafkaClient, Topics};
use crate::error::KafkaError;
use crate::fetch::{self, Bounds, Outcome, Wanted};
use crate::offsets::{self, Claim, Note, Place, Progress, before, feed_offset};

/// A partition whose beginning is looked up.
#[derive(Clone, Debug)]
pub(super) struct Unopened {
    pub(super) at: TopicPartition,
    pub(super) tag: u64,
    /// What this member knows of it from before.
    pub(super) former: Option<Former>,
}

/// Where reading begins.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) at: TopicPartition,
    pub(super) tag: u64,
    pub(super) id: Uuid,
    pub(super) from: Progress,
    /// The last offset that the group has finished.
    pub(super) committed: Option<Offset>,
    /// Whether the group's progress says so.
    pub(super) saved: bool,
    /// Whether the topic is another one than that which was read.
    pub(super) recreated: bool,
}

/// Looks up where reading begins. Where the group has committed nothing and is to start after the
/// newest record, that is committed at once: otherwise whoever reads the partition next would
/// start later, and miss what came in between.
pub(super) async fn open(
    client: &KafkaClient,
    claim: &Claim,
    start: Start,
    partitions: &[Unopened],
) -> Result<Vec<Opened>, KafkaError> {
    let names: Vec<TopicPartition> = partitions.iter().map(|new| new.at.clone()).collect();
    let topics = client.topics(&topics_of(&names)).await?;
    let coordinator = client.coordinator(&claim.group).await?;
    let committed = offsets::committed(client, coordinator, claim, &names).await?;

    // A topic may be gone again; its partitions are revoked soon.
    let exists = |at: &&TopicPartition| {
        topics
            .get(&at.topic)
            .is_some_and(|info| info.partition(at.partition).is_some())
    };
    let fresh = names
        .iter()
        .filter(exists)
        .filter(|at| !committed.contains_key(at));
    let fresh: Vec<TopicPartition> = fresh.cloned().collect();
    let place = match start {
        Start::Earliest => Place::First,
        Start::Latest => Place::Stable,
    };
    let begin = offsets::find(client, &topics, &fresh, place).await?;
    let new_progress = |at: &TopicPartition| {
        let id = topics.get(&at.topic).map_or(Uuid::nil(), |info| info.id);
        let next = begin.get(at).map_or(0, |bound| bound.offset);
        let note = Some(Note::new(id, None));
        Progress {
            next,
            epoch: -1,
            note,
        }
    };
    let started: BTreeMap<TopicPartition, Progress> = fresh
        .iter()
        .map(|at| (at.clone(), new_progress(at)))
        .collect();
    let save = start == Start::Latest && !started.is_empty();
    if save {
        let codes = offsets::commit(client, coordinator, claim, &started).await?;
        offsets::all_committed(&codes)?;
    }

    let mut opened = Vec::new();
    for Unopened { at, tag, former } in partitions {
        let Some(info) = topics.get(&at.topic) else {
            continue;
        };
        let known = committed.get(at);
        let Some(from) = known.or_else(|| started.get(at)).cloned() else {
            continue;
        };
        let recreated = match (known, former) {
            (Some(progress), _) => is_another(client, &topics, at, progress).await?,
            (None, Some(former)) => differ(former.id, info.id),
            (None, None) => false,
        };
        let from = match (known, former) {
            // What was read of the topic before is what is lost.
            (None, Some(former)) if recreated => Progress {
                next: former.cursor,
                ..from
            },
            _ => from,
        };
        opened.push(Opened {
            at: at.clone(),
            tag: *tag,
            id: info.id,
            committed: known
                .or_else(|| started.get(at).filter(|_| save))
                .filter(|committed| committed.next > 0)
                .map(|committed| before(committed.next)),
            saved: known.is_some() || save,
            from,
            recreated,
        });
    }
    Ok(opened)
}

/// Whether the topic that there is now is another one than that which the group has read.
async fn is_another(
    client: &KafkaClient,
    topics: &Topics,
    at: &TopicPartition,
    progress: &Progress,
) -> Result<bool, KafkaError> {
    let (Some(info), Some(note)) = (topics.get(&at.topic), &progress.note) else {
        return Ok(false);
    };
    if !note.topic.is_nil() && !info.id.is_nil() {
        return Ok(note.topic != info.id);
    }
    // Without ids the time of the last record that was finished tells, where it still is there.
    let (Some(last), Some(partition)) = (note.last, info.partition(at.partition)) else {
        return Ok(false);
    };
    let wanted = Wanted {
        id: info.id,
        from: i64::try_from(last.offset.0).unwrap_or(i64::MAX),
        leader_epoch: partition.epoch,
        last_epoch: -1,
    };
    let wanted = BTreeMap::from([(at.clone(), wanted)]);
    let outcomes = fetch::fetch(client, partition.leader, &wanted, GLANCE).await?;
    match outcomes.into_iter().next() {
        Some((_, Outcome::Read(read))) => {
            let same = |record: &&Record| record.position.offset == last.offset;
            let found = read.records.iter().find(same);
            Ok(found.is_some_and(|found| found.position.timestamp != last.timestamp))
        }
        // What follows is looked for anyway, and found to be lost then.
        Some((_, Outcome::OutOfRange | Outcome::Truncated(_))) | None => Ok(false),
        Some((_, Outcome::Moved(error) | Outcome::Failed(error))) => Err(error),
    }
}

/// One batch.
const GLANCE: Bounds = Bounds {
    wait: Duration::ZERO,
    bytes: 1,
    partition_bytes: 1,
};

fn differ(one: Uuid, other: Uuid) -> bool {
    !one.is_nil() && !other.is_nil() && one != other
}

fn topics_of(partitions: &[TopicPartition]) -> Vec<Topic> {
    let mut topics: Vec<Topic> = partitions.iter().map(|at| at.topic.clone()).collect();
    topics.dedup();
    topics
}

/// A partition of which the log does not have what follows.
#[derive(Clone, Debug)]
pub(super) struct Stray {
    pub(super) at: TopicPartition,
    pub(super) tag: u64,
    pub(super) wanted: i64,
    pub(super) astray: Astray,
}

/// Where it goes on.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// Where it was: the log has it after all.
    On,
    /// Elsewhere.
    At {
        id: Uuid,
        reset: OffsetReset,
        from: i64,
    },
    /// Nowhere, before somebody decides.
    Nowhere { earliest: i64 },
}

/// Finds out where to go on, by the group's policy.
pub(super) async fn find_way(
    client: &KafkaClient,
    policy: OnLostOffset,
    stray: &Stray,
) -> Result<Way, KafkaError> {
    let Stray {
        at, wanted, astray, ..
    } = stray;
    let topics = client.topics(std::slice::from_ref(&at.topic)).await?;
    let partitions = std::slice::from_ref(at);
    let first = offsets::find(client, &topics, partitions, Place::First).await?;
    let end = offsets::find(client, &topics, partitions, Place::Stable).await?;
    let bound = |found: &BTreeMap<TopicPartition, offsets::Bound>| {
        found.get(at).map_or(0, |bound| bound.offset)
    };
    let (first, end) = (bound(&first), bound(&end));
    if *astray == Astray::OutOfRange && (first..=end).contains(wanted) {
        return Ok(Way::On);
    }
    let from = match (policy, astray) {
        (OnLostOffset::Fail, _) => return Ok(Way::Nowhere { earliest: first }),
        (OnLostOffset::Latest, _) => end,
        // Everything before it was read, and is as it was.
        (OnLostOffset::Earliest, Astray::Truncated(at)) => (*at).max(first),
        (OnLostOffset::Earliest, _) => first,
    };
    let id = topics.get(&at.topic).map_or(Uuid::nil(), |info| info.id);
    let reset = OffsetReset::new(at.clone(), before(*wanted), feed_offset(from));
    Ok(Way::At { id, reset, from })
}

/// Commits, and looks for the group's coordinator again where it has moved, until `limit`.
pub(super) async fn commit(
    client: &KafkaClient,
    claim: &Claim,
    limit: Duration,
    progress: &BTreeMap<TopicPartition, Progress>,
) -> Result<offsets::Codes, KafkaError> {
    let group: &Group = &claim.group;
    let once = || async {
        let coordinator = client.coordinator(group).await?;
        let codes = offsets::commit(client, coordinator, claim, progress).await?;
        offsets::coordinated(&codes)?;
        Ok(codes)
    };
    let attempt = || async {
        let codes = once().await;
        if codes.is_err() {
            client.forget_coordinator(group);
        }
        codes
    };
    client.persist(limit, attempt).await
}
