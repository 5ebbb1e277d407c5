//! The rows of a group: its members, and the owners of partitions. The changes are decided by
//! [`membership`](stockade_change_feed::membership).

use std::collections::BTreeMap;

use sqlx::PgConnection;
use stockade_change_feed::membership::{
    Changes, Generation, GroupState, Member, MemberId, MemberPoll, Ownership,
};
use stockade_change_feed::{FeedError, Group, Offset, Start, Timestamp, Topic, TopicPartition};

use super::PostgresFeed;
use super::topics::number;
use crate::error::{PostgresError, failed};

const POLL: &str = "share partitions";
const LEAVE: &str = "leave group";

/// Where reading continues in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The number of the topic. A topic that was created again has another number.
    pub(super) topic: i64,
    /// The first offset that is not read.
    pub(super) next: i64,
}

/// The state of a group after a member polled.
#[derive(Debug)]
pub(super) struct PolledGroup {
    /// The version of the group: it rises when members should check which partitions they own.
    pub(super) version: i64,
    pub(super) owned: BTreeMap<TopicPartition, Generation>,
    pub(super) progress: BTreeMap<TopicPartition, Progress>,
}

/// The progress of a group in a partition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    topic: i64,
    /// The oldest record.
    first: i64,
    /// The first offset that is not finished; none when nothing is finished.
    next: Option<i64>,
}

impl Progress {
    pub(super) fn cursor(self) -> Cursor {
        Cursor {
            topic: self.topic,
            next: self.next.unwrap_or(self.first),
        }
    }

    /// The last offset that is finished.
    pub(super) fn committed(self) -> Option<Offset> {
        let last = self.next?.checked_sub(1)?;
        u128::try_from(last).ok().map(Offset)
    }
}

/// A group whose row is locked until the end of the transaction.
pub(super) struct LockedGroup {
    version: i64,
    /// The server's clock, read after the row was locked.
    pub(super) now: Timestamp,
    pub(super) state: GroupState,
    partitions: BTreeMap<Topic, u32>,
    progress: BTreeMap<TopicPartition, Progress>,
}

type MemberRow = (i64, Option<i64>, Option<Vec<String>>, Option<i64>);
type OwnerRow = (String, i32, Option<i64>, i64, i64, i64, Option<i64>);

impl PostgresFeed {
    /// A member polls.
    pub(super) async fn poll_group(
        &self,
        group: &Group,
        id: MemberId,
        topics: &[Topic],
        start: Start,
    ) -> Result<PolledGroup, PostgresError> {
        let polling = async |connection: &mut PgConnection| {
            let mut locked = self.lock_group(connection, group, topics, POLL).await?;
            let changes = locked.state.poll(&MemberPoll {
                id,
                topics,
                partitions: &locked.partitions,
                now: locked.now,
                session_timeout: self.shared.session_timeout,
            });
            self.write_group(connection, group, &mut locked, changes, start)
                .await?;
            Ok(PolledGroup {
                version: locked.version,
                owned: locked.state.owned_by(id),
                progress: locked.progress,
            })
        };
        self.transact(POLL, polling).await
    }

    /// A member leaves.
    pub(super) async fn leave_group(
        &self,
        group: &Group,
        id: MemberId,
    ) -> Result<(), PostgresError> {
        let leaving = async |connection: &mut PgConnection| {
            let mut locked = self.lock_group(connection, group, &[], LEAVE).await?;
            let changes = locked.state.leave(id);
            self.write_group(connection, group, &mut locked, changes, Start::Earliest)
                .await
        };
        self.transact(LEAVE, leaving).await
    }

    /// Locks a group, which is created if it does not exist, and loads its members and the owners
    /// of the partitions of `topics` and of the members' topics.
    pub(super) async fn lock_group(
        &self,
        connection: &mut PgConnection,
        group: &Group,
        topics: &[Topic],
        operation: &'static str,
    ) -> Result<LockedGroup, PostgresError> {
        let (statements, failed) = (&self.shared.statements, failed(operation));
        let version = loop {
            let lock = sqlx::query_scalar(statements.lock_group.clone()).bind(group.as_str());
            let locked = lock.fetch_optional(&mut *connection).await;
            if let Some(version) = locked.map_err(failed)? {
                break version;
            }
            let enter = sqlx::query(statements.enter_group.clone()).bind(group.as_str());
            enter.execute(&mut *connection).await.map_err(failed)?;
        };

        let members = sqlx::query_as(statements.members.clone()).bind(group.as_str());
        let rows: Vec<MemberRow> = members.fetch_all(&mut *connection).await.map_err(failed)?;
        let now = rows
            .first()
            .map_or(Timestamp::EPOCH, |row| Timestamp::from_micros(row.0));
        let members: Result<Vec<Member>, _> = rows.into_iter().filter_map(member).collect();
        let members = members?;

        let of_members = members.iter().flat_map(|member| &member.topics);
        let topics: Vec<&str> = of_members.chain(topics).map(Topic::as_str).collect();
        let owners = sqlx::query_as(statements.owners.clone())
            .bind(group.as_str())
            .bind(topics);
        let rows: Vec<OwnerRow> = owners.fetch_all(&mut *connection).await.map_err(failed)?;
        let (mut owners, mut partitions) = (BTreeMap::new(), BTreeMap::new());
        let mut progress = BTreeMap::new();
        for (name, partition, owner, generation, topic, first, next) in rows {
            let at = partition_at(name, partition)?;
            *partitions.entry(at.topic.clone()).or_default() += 1;
            progress.insert(at.clone(), Progress { topic, first, next });
            let ownership = Ownership {
                owner: owner.map(|owner| MemberId(owner.unsigned_abs())),
                generation: Generation(generation.unsigned_abs()),
            };
            owners.insert(at, ownership);
        }
        Ok(LockedGroup {
            version,
            now,
            state: GroupState::new(members, owners),
            partitions,
            progress,
        })
    }

    /// Writes the changes. A partition without a commit starts at `start` as soon as it has an
    /// owner.
    pub(super) async fn write_group(
        &self,
        connection: &mut PgConnection,
        group: &Group,
        locked: &mut LockedGroup,
        changes: Changes,
        start: Start,
    ) -> Result<(), PostgresError> {
        let Changes {
            member,
            removed,
            partitions,
            others_should_poll,
        } = changes;
        locked.version += i64::from(others_should_poll);
        let topics = member.iter().flat_map(|member| &member.topics);
        let topics: Vec<&str> = topics.map(Topic::as_str).collect();
        let last_heard = member.as_ref().map(|member| member.last_heard.as_micros());
        let removed: Vec<i64> = removed.into_iter().map(stored_id).collect();
        let names: Vec<&str> = partitions.keys().map(|at| at.topic.as_str()).collect();
        let numbers: Vec<i32> = partitions.keys().map(number).collect();
        let rows = partitions.values();
        let owners: Vec<Option<i64>> = rows.clone().map(|row| row.owner.map(stored_id)).collect();
        let generations: Vec<i64> = rows.map(|row| stored_generation(row.generation)).collect();
        let write = sqlx::query_as(self.shared.statements.write_group.clone())
            .bind(group.as_str())
            .bind(member.as_ref().map(|member| stored_id(member.id)))
            .bind(topics)
            .bind(last_heard)
            .bind(removed)
            .bind(locked.version)
            .bind(names)
            .bind(numbers)
            .bind(owners)
            .bind(generations)
            .bind(start == Start::Latest);
        let rows: Vec<(String, i32, i64, i64)> =
            write.fetch_all(connection).await.map_err(failed(POLL))?;
        for (name, partition, topic, next) in rows {
            let progress = locked.progress.entry(partition_at(name, partition)?);
            let progress = progress.or_default();
            (progress.topic, progress.next) = (topic, Some(next));
        }
        Ok(())
    }
}

fn member(row: MemberRow) -> Option<Result<Member, PostgresError>> {
    let (_, Some(id), topics, last_heard) = row else {
        return None;
    };
    let topics = topics.unwrap_or_default().into_iter().map(Topic::new);
    let topics: Result<Vec<Topic>, _> = topics.collect();
    let member = topics.map(|topics| Member {
        id: MemberId(id.unsigned_abs()),
        topics,
        last_heard: Timestamp::from_micros(last_heard.unwrap_or_default()),
    });
    Some(member.map_err(|error| damaged(&error)))
}

fn partition_at(topic: String, partition: i32) -> Result<TopicPartition, PostgresError> {
    let topic = Topic::new(topic).map_err(|error| damaged(&error))?;
    Ok(TopicPartition::new(topic, partition.unsigned_abs()))
}

pub(super) fn stored_id(id: MemberId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

pub(super) fn stored_generation(generation: Generation) -> i64 {
    i64::try_from(generation.0).unwrap_or(i64::MAX)
}

fn damaged(error: &FeedError) -> PostgresError {
    let what = error.to_string();
    PostgresError::Damaged { what }
}
