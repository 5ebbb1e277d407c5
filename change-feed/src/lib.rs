#![doc = include_str!("../README.md")]

pub mod coalesce;
pub mod consumer;
mod dead_letter;
pub mod debezium;
mod error;
mod failure;
mod feed;
mod lag;
pub mod membership;
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
mod record;
mod route;
mod text;
pub mod time;
pub mod trace;

pub use consumer::{Batch, Beginning, Consumer, Disposition, Handler, ReadFrom};
pub use dead_letter::{DeadLetter, DeadLetterQueue, DeadLetters, Decision, Settled, Waiting};
pub use error::FeedError;
pub use failure::{Failing, Failure, Retry};
pub use feed::{
    Feed, Gained, Group, OffsetReset, OnLostOffset, PartitionLag, PollLimits, Polled, Publisher,
    Start, SubscribeOptions, Subscription,
};
pub use lag::LagReport;
pub use record::{
    Headers, Message, Offset, Position, Published, Record, Route, Topic, TopicPartition,
};
pub use route::partition_of;
pub use text::shorten;
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
pub use trace::TraceContext;
