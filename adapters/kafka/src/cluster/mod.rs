//! A cluster: its brokers, connections to them, and who leads what.

mod metadata;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockade_change_feed::time::{Backoff, Clock, Deadline, chance};
use stockade_change_feed::{FeedError, Group};

pub(crate) use self::metadata::{PartitionInfo, TopicInfo, Topics};
use crate::config::{Address, KafkaConfig};
use crate::error::{Effect, KafkaError};
use crate::wire::{Connection, Request, open};

/// Connections of one broker that are kept for later. More are opened where more are needed at
/// the same time.
const IDLE: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A cluster. Clones share its connections.
///
/// It starts no task: the callers that wait for the answers drive the requests.
#[derive(Clone)]
pub struct KafkaClient {
    shared: Arc<Shared>,
}

struct Shared {
    config: KafkaConfig,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    brokers: BTreeMap<i32, Address>,
    coordinators: BTreeMap<Group, i32>,
    idle: BTreeMap<Address, Vec<Connection>>,
}

/// Which broker is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// Whichever answers.
    Any,
    /// The one of this number.
    Node(i32),
}

impl KafkaClient {
    /// Knows where the cluster is, and connects once it is used.
    #[must_use]
    pub fn lazy(config: KafkaConfig) -> Self {
        let state = Mutex::default();
        Self {
            shared: Arc::new(Shared { config, state }),
        }
    }

    /// Connects, and returns an error that says why not if it can't: nobody listens there, TLS
    /// fails, or the credentials are refused.
    ///
    /// # Errors
    /// [`FeedError`] of the kind that may pass where nobody answers, else of the kind that won't.
    pub async fn connect(config: KafkaConfig) -> Result<Self, FeedError> {
        let client = Self::lazy(config);
        let asked = client.topics(&[]).await;
        asked.map_err(|error| error.during("connect", Effect::None))?;
        Ok(client)
    }

    pub(crate) fn config(&self) -> &KafkaConfig {
        &self.shared.config
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.shared.config.clock.as_ref()
    }

    /// Sends the request that `build` makes for the version agreed upon, and returns the answer.
    ///
    /// The answer may take the request's own waiting, `wait`, and the request timeout.
    pub(crate) async fn ask<R: Request>(
        &self,
        to: To,
        wait: Duration,
        build: impl FnOnce(i16) -> R + Send,
    ) -> Result<R::Response, KafkaError> {
        self.ask_up_to(to, wait, R::NEWEST, build).await
    }

    /// As [`ask`](Self::ask), in no newer version than `newest`.
    pub(crate) async fn ask_up_to<R: Request>(
        &self,
        to: To,
        wait: Duration,
        newest: i16,
        build: impl FnOnce(i16) -> R + Send,
    ) -> Result<R::Response, KafkaError> {
        let mut connection = self.connection(to).await?;
        let version = connection.version::<R>()?.min(newest);
        let request = build(version);
        let limit = self.config().request_timeout.saturating_add(wait);
        let answer = connection.call(&request, version, limit).await;
        self.keep(connection);
        answer
    }

    /// Whether a broker offers a request.
    pub(crate) async fn offers<R: Request>(&self, to: To) -> Result<bool, KafkaError> {
        let connection = self.connection(to).await?;
        let offers = connection.offers::<R>().is_some();
        self.keep(connection);
        Ok(offers)
    }

    /// Makes an attempt, and again, with growing pauses, while it fails in a way that may pass and
    /// there is time left. An attempt that has begun has the limits of its requests, so that the
    /// error says which broker did not answer.
    pub(crate) async fn persist<T, F>(
        &self,
        limit: Duration,
        attempt: impl Fn() -> F,
    ) -> Result<T, KafkaError>
    where
        F: Future<Output = Result<T, KafkaError>>,
    {
        let deadline = Deadline::after(self.clock(), "ask Kafka", limit);
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let error = match attempt().await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            let pause = backoff.pause();
            if !error.is_transient() || pause >= deadline.left() {
                return Err(error);
            }
            tracing::debug!(%error, ?pause, "to be tried again");
            self.clock().sleep(pause).await;
        }
    }

    async fn connection(&self, to: To) -> Result<Connection, KafkaError> {
        let addresses = self.addresses(to)?;
        if let Some(idle) = self.idle(&addresses) {
            return Ok(idle);
        }
        let mut failed = None;
        for address in addresses {
            match open(&address, self.config()).await {
                Ok(connection) => return Ok(connection),
                // Another broker would say the same.
                Err(error) if !error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, "a broker can not be reached");
                    failed = Some(error);
                }
            }
        }
        Err(failed.unwrap_or_else(|| unknown("a broker")))
    }

    /// Where to try, the best first.
    fn addresses(&self, to: To) -> Result<Vec<Address>, KafkaError> {
        let state = self.lock();
        match to {
            To::Node(id) => {
                let address = state.brokers.get(&id).cloned();
                let address = address.ok_or_else(|| unknown(&format!("broker {id}")))?;
                Ok(vec![address])
            }
            To::Any => {
                let mut known: Vec<Address> = state.brokers.values().cloned().collect();
                // So that not all clients ask the same one.
                let first = chance::below(known.len());
                known.rotate_left(first);
                let bootstrap = self.config().bootstrap.iter();
                let others: Vec<Address> = bootstrap
                    .filter(|address| !known.contains(address))
                    .cloned()
                    .collect();
                known.extend(others);
                Ok(known)
            }
        }
    }

    fn idle(&self, addresses: &[Address]) -> Option<Connection> {
        let mut state = self.lock();
        for address in addresses {
            let Some(idle) = state.idle.get_mut(address) else {
                continue;
            };
            while let Some(connection) = idle.pop() {
                if connection.is_usable() {
                    return Some(connection);
                }
            }
        }
        None
    }

    fn keep(&self, connection: Connection) {
        if !connection.is_usable() {
            return;
        }
        let mut state = self.lock();
        let idle = state.idle.entry(connection.address().clone()).or_default();
        if idle.len() < IDLE {
            idle.push(connection);
        }
    }

    fn learn(&self, brokers: BTreeMap<i32, Address>) {
        let mut state = self.lock();
        let bootstrap = &self.config().bootstrap;
        let known = |address: &Address| {
            bootstrap.contains(address) || brokers.values().any(|known| known == address)
        };
        state.idle.retain(|address, _| known(address));
        state.brokers = brokers;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics halfway through a change.
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(who: &str) -> KafkaError {
    let source = io::Error::new(
        io::ErrorKind::NotFound,
        "the cluster does not name its address",
    );
    KafkaError::Unreachable {
        address: who.to_owned(),
        source: Arc::new(source),
    }
}

impl fmt::Debug for KafkaClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaClient")
            .field("config", self.config())
            .finish_non_exhaustive()
    }
}
