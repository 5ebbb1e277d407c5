#![doc = include_str!("../README.md")]

pub mod consumer;
mod dead_letter;
pub mod debezium;
mod error;
mod feed;
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
mod record;
pub mod sharing;
mod text;
mod time;

pub use consumer::{Consumer, Disposition, Handler};
pub use dead_letter::{DeadLetter, DeadLetters};
pub use error::{Cause, FeedError, Retry, shorten};
pub use feed::{
    Feed, Group, OffsetReset, OnLostOffset, PartitionLag, PollLimits, Polled, Publisher, Start,
    SubscribeOptions, Subscription,
};
pub use record::{
    Headers, Message, Offset, Position, Published, Record, Route, Topic, TopicPartition,
};
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
