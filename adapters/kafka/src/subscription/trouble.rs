//! What goes wrong for a while, and whether that is worth telling.

use std::collections::BTreeMap;
use std::time::Duration;

use stockade_change_feed::FeedError;

use crate::error::{Effect, KafkaError};

/// What goes wrong now, by what was tried.
#[derive(Debug, Default)]
pub(super) struct Trouble(BTreeMap<&'static str, (Duration, KafkaError)>);

impl Trouble {
    /// Notes an error: since when things go wrong, and how they did last.
    pub(super) fn note(&mut self, kind: &'static str, now: Duration, error: KafkaError) {
        let since = self.0.get(kind).map_or(now, |(since, _)| *since);
        self.0.insert(kind, (since, error));
    }

    /// Notes that things go well.
    pub(super) fn over(&mut self, kind: &'static str) {
        self.0.remove(kind);
    }

    /// An error where something has gone wrong for longer than `patience`.
    pub(super) fn check(&self, now: Duration, patience: Duration) -> Result<(), FeedError> {
        let long = |(_, (since, _)): &(&&str, &(Duration, KafkaError))| {
            now.saturating_sub(*since) >= patience
        };
        match self.0.iter().find(long) {
            Some((kind, (_, error))) => Err(error.clone().during(kind, Effect::None)),
            None => Ok(()),
        }
    }
}
