//! Who reads which partition.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use stockade_change_feed::sharing::assign;
use stockade_change_feed::{FeedError, Group, Start, Topic, TopicPartition};

use super::PostgresFeed;
use super::subscription::PostgresSubscription;
use crate::error::{PostgresError, failed};
use crate::session::Sessions as _;

const OPERATION: &str = "share partitions";

impl PostgresFeed {
    /// Locks a group, which there is from now on; says its generation.
    pub(super) async fn enter_group(
        &self,
        connection: &mut PgConnection,
        group: &Group,
    ) -> Result<i64, PostgresError> {
        let (statements, failed) = (&self.shared.statements, failed(OPERATION));
        let enter = sqlx::query(statements.enter_group.clone()).bind(group.as_str());
        enter.execute(&mut *connection).await.map_err(failed)?;
        let lock = sqlx::query_scalar(statements.lock_group.clone()).bind(group.as_str());
        lock.fetch_one(connection).await.map_err(failed)
    }

    /// Gives up the members that were silent for the session timeout, but for one; says how many.
    pub(super) async fn forget_silent(
        &self,
        connection: &mut PgConnection,
        group: &Group,
        but: Option<i64>,
    ) -> Result<i64, PostgresError> {
        let forget = sqlx::query_scalar(self.shared.statements.forget_silent.clone())
            .bind(group.as_str())
            .bind(but)
            .bind(self.shared.session_timeout.as_secs_f64());
        let silent = forget.fetch_one(connection).await;
        silent.map_err(failed(OPERATION))
    }

    /// Lets all members look again who reads what, and from where.
    pub(super) async fn raise_generation(
        &self,
        connection: &mut PgConnection,
        group: &Group,
    ) -> Result<i64, PostgresError> {
        let raise = self.shared.statements.raise_generation.clone();
        let raise = sqlx::query_scalar(raise).bind(group.as_str());
        let raised = raise.fetch_one(connection).await;
        raised.map_err(failed(OPERATION))
    }
}

/// A partition that a member reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    /// How often it has changed hands: by that a member sees that it was somebody else's in
    /// between, and a commit that it is too late.
    pub(super) epoch: i64,
    pub(super) topic: i64,
    pub(super) next: i64,
}

/// What a member reads, and the generation of the group in which that was so.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) generation: i64,
    pub(super) owned: BTreeMap<TopicPartition, Owned>,
}

impl PostgresSubscription {
    /// Is heard of, gives up members that are silent, lets go of what others should read, and
    /// takes what is free and meant for this one.
    pub(super) async fn share(&self) -> Result<Share, PostgresError> {
        let sessions = &self.feed.shared.sessions;
        let sharing = async {
            let mut work = sessions.begin(OPERATION).await?;
            let shared = self.share_within(work.connection()).await;
            work.end(shared).await
        };
        sessions.in_time(OPERATION, sharing).await
    }

    async fn share_within(&self, connection: &mut PgConnection) -> Result<Share, PostgresError> {
        let statements = &self.feed.shared.statements;
        let group = self.group.as_str();
        let failed = failed(OPERATION);
        let mut generation = self.feed.enter_group(connection, &self.group).await?;

        let topics: Vec<&str> = self.topics.iter().map(Topic::as_str).collect();
        let hear = sqlx::query_scalar(statements.hear.clone())
            .bind(group)
            .bind(self.member)
            .bind(topics);
        let new: bool = hear.fetch_one(&mut *connection).await.map_err(failed)?;
        let forget = self
            .feed
            .forget_silent(connection, &self.group, Some(self.member));
        let silent = forget.await?;
        let know = sqlx::query(statements.know_partitions.clone()).bind(group);
        know.execute(&mut *connection).await.map_err(failed)?;

        let moved = self.hand_over(connection).await?;
        if new || silent > 0 || moved {
            generation = self.feed.raise_generation(connection, &self.group).await?;
        }
        let owned = self.owned(connection).await?;
        Ok(Share { generation, owned })
    }

    /// Says whether something changed hands.
    async fn hand_over(&self, connection: &mut PgConnection) -> Result<bool, PostgresError> {
        let statements = &self.feed.shared.statements;
        let group = self.group.as_str();
        let members = sqlx::query_as(statements.members.clone()).bind(group);
        let members = members.fetch_all(&mut *connection).await;
        let members: Vec<(i64, Vec<String>)> = members.map_err(failed(OPERATION))?;
        let owners = sqlx::query_as(statements.owners.clone()).bind(group);
        let owners = owners.fetch_all(&mut *connection).await;
        let owners: Vec<(String, i32, Option<i64>)> = owners.map_err(failed(OPERATION))?;

        let mut readers: BTreeMap<u64, Vec<Topic>> = BTreeMap::new();
        for (member, topics) in members {
            let topics: Result<_, _> = topics.into_iter().map(Topic::new).collect();
            readers.insert(
                member.unsigned_abs(),
                topics.map_err(|error| damaged(&error))?,
            );
        }
        let (mut partitions, mut before) = (Vec::new(), BTreeMap::new());
        for (topic, partition, owner) in owners {
            let at = partition_at(topic, partition)?;
            if let Some(owner) = owner {
                before.insert(at.clone(), owner.unsigned_abs());
            }
            partitions.push(at);
        }
        let readers = readers.iter().map(|(id, topics)| (*id, topics.as_slice()));
        let wanted = assign(&readers.collect(), &partitions, &before);

        let me = self.member.unsigned_abs();
        let mine = |owners: &BTreeMap<TopicPartition, u64>, at| owners.get(at) == Some(&me);
        let drop = partitions
            .iter()
            .filter(|at| mine(&before, at) && !mine(&wanted, at));
        let drop: Vec<&TopicPartition> = drop.collect();
        let take = partitions
            .iter()
            .filter(|at| mine(&wanted, at) && !before.contains_key(at));
        let take: Vec<&TopicPartition> = take.collect();
        let latest = self.options.start == Start::Latest;
        let dropped = self.give(connection, &drop, None).await?;
        let taken = self.give(connection, &take, Some(latest)).await?;
        Ok(dropped + taken > 0)
    }

    /// Lets go of partitions, or takes them; says how many.
    async fn give(
        &self,
        connection: &mut PgConnection,
        partitions: &[&TopicPartition],
        take_at_latest: Option<bool>,
    ) -> Result<u64, PostgresError> {
        if partitions.is_empty() {
            return Ok(0);
        }
        let statements = &self.feed.shared.statements;
        let topics: Vec<&str> = partitions.iter().map(|at| at.topic.as_str()).collect();
        let numbers: Vec<i32> = partitions.iter().map(|at| number(at)).collect();
        let statement = match take_at_latest {
            Some(_) => &statements.take,
            None => &statements.drop_owned,
        };
        let mut query = sqlx::query(statement.clone())
            .bind(self.group.as_str())
            .bind(self.member)
            .bind(topics)
            .bind(numbers);
        if let Some(latest) = take_at_latest {
            query = query.bind(latest);
        }
        let given = query.execute(&mut *connection).await;
        Ok(given.map_err(failed(OPERATION))?.rows_affected())
    }

    async fn owned(
        &self,
        connection: &mut PgConnection,
    ) -> Result<BTreeMap<TopicPartition, Owned>, PostgresError> {
        let query = sqlx::query_as(self.feed.shared.statements.owned.clone())
            .bind(self.group.as_str())
            .bind(self.member);
        let rows = query.fetch_all(&mut *connection).await;
        let rows: Vec<(String, i32, i64, i64, i64)> = rows.map_err(failed(OPERATION))?;
        let owned = rows
            .into_iter()
            .map(|(name, partition, epoch, topic, next)| {
                Ok((partition_at(name, partition)?, Owned { epoch, topic, next }))
            });
        owned.collect()
    }
}

pub(super) fn number(at: &TopicPartition) -> i32 {
    i32::try_from(at.partition).unwrap_or(i32::MAX)
}

fn partition_at(topic: String, partition: i32) -> Result<TopicPartition, PostgresError> {
    let topic = Topic::new(topic).map_err(|error| damaged(&error))?;
    Ok(TopicPartition::new(topic, partition.unsigned_abs()))
}

fn damaged(error: &FeedError) -> PostgresError {
    let what = error.to_string();
    PostgresError::Damaged { what }
}
