//! What a subscription has in flight. Each piece owns what it needs, so that a poll that is dropped
//! leaves it as it is, and the next one goes on with it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use stockade_change_feed::TopicPartition;
use uuid::Uuid;

use super::opening::{Opened, Stray, Way};
use crate::cluster::Topics;
use crate::error::KafkaError;
use crate::fetch::Outcome;
use crate::group::{Event, Member};
use crate::offsets::{Codes, Progress};

pub(super) type Work = FuturesUnordered<BoxFuture<'static, Done>>;

/// A piece of work that is done.
pub(super) enum Done {
    Membership {
        member: Box<Member>,
        action: Action,
        began: Duration,
        outcome: Result<Event, KafkaError>,
    },
    Leaders(Result<Topics, KafkaError>),
    Opened(Result<Vec<Opened>, KafkaError>),
    Way(Stray, Result<Way, KafkaError>),
    Fetched {
        leader: i32,
        /// What was asked for: the tag of each partition, and from where on.
        asked: BTreeMap<TopicPartition, (u64, i64)>,
        outcome: Result<Vec<(TopicPartition, Outcome)>, KafkaError>,
    },
    Committed {
        /// By which it is recognised.
        number: u64,
        /// The tag of each partition, and what was to be committed.
        progress: BTreeMap<TopicPartition, (u64, Progress)>,
        /// In which epoch of the group.
        epoch: i32,
        outcome: Result<Codes, KafkaError>,
    },
}

/// What a member says to its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Join,
    Beat,
    /// What it reads, having let go of everything else.
    Acknowledge(BTreeMap<TopicPartition, Uuid>),
}
