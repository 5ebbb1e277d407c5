//! Timers of reservations.

mod deadlines;
mod listen;
mod probe;

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fred::interfaces::KeysInterface as _;
use fred::types::{Expiration, Key};
use futures::future::{join_all, try_join_all};
use metrics::counter;
use stockade_inventory_core::{InventoryError, ReservationId, ReservationTimer};
use tokio::time::Instant;

use crate::client::RedisClient;
use crate::error::{Effect, RedisError};
use crate::keys::Prefix;
use crate::script::Calls;
use crate::server::ServerSettings;
use crate::telemetry;

use deadlines::{Deadlines, Taken, millis};
use listen::{Events, Listener};

/// The longest pause between looks at the deadlines.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest.
const PACE: Duration = Duration::from_millis(50);
/// How long after its timer was taken a key is touched. It is set a moment after its deadline, and
/// expires that much later.
const SETTLED: Duration = Duration::from_millis(100);
/// The most keys that wait to be touched. Redis announces the others by itself, if late.
const UNTOUCHED: usize = 10_000;

/// Reservation timers in Redis: `SET reservation_timeout:<id> 1 PX …`, with a sorted set of
/// deadlines beside the keys.
///
/// The set decides. Whoever removes an id from it acts on the timer, so any number of workers share
/// the due ones, and each timer comes once. Deadlines are on the clock of the server that has the
/// set. Redis announces an expired key only when it removes it, which may be half a minute late; so
/// due ids are taken from the set, at their deadline or at most a second after it. Their keys are
/// touched then, and Redis announces them to everybody else who listens.
///
/// Notifications wake workers that wait. What is lost with a server (a restart, a flush, a failover)
/// is found by the sweep of the [`ExpiryWorker`](stockade_inventory_core::workers::ExpiryWorker).
///
/// Clones share the connections.
#[derive(Clone)]
pub struct RedisTimers {
    inner: Arc<Inner>,
}

struct Inner {
    client: RedisClient,
    timeout: Duration,
    /// What keys of timers begin with.
    keys: String,
    deadlines: Deadlines,
    /// None if nobody listens for expired keys here.
    listener: Option<Listener>,
    settings: ServerSettings,
    /// Keys whose timers were taken, and when.
    untouched: Mutex<VecDeque<(Instant, Key)>>,
}

/// How timers are kept.
#[derive(Clone, Debug)]
pub struct TimerOptions {
    prefix: Prefix,
    timeout: Duration,
}

impl Default for TimerOptions {
    /// No prefix, and 2 seconds for each call.
    fn default() -> Self {
        Self {
            prefix: Prefix::default(),
            timeout: Duration::from_secs(2),
        }
    }
}

impl TimerOptions {
    /// Lets all keys begin with this.
    #[must_use]
    pub fn with_prefix(mut self, prefix: Prefix) -> Self {
        self.prefix = prefix;
        self
    }

    /// Gives each call this long, waiting for due timers left out.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl RedisTimers {
    /// Timers over a client or pool that is connected.
    ///
    /// Connects once more to each primary, to listen for expired keys; these connections end with
    /// the last clone of this. Reads the servers' settings, replicas included, and lets a key expire
    /// on each primary to see that its notification arrives. What can't be read is in
    /// [`settings`](Self::settings), and is logged.
    ///
    /// # Errors
    /// [`RedisError::Settings`] where a server does not announce expired keys, with the command that
    /// mends it. [`RedisError::Failed`] where a primary is not reached.
    pub async fn start(
        client: impl Into<RedisClient>,
        options: TimerOptions,
    ) -> Result<Self, RedisError> {
        let TimerOptions { prefix, timeout } = options;
        let client = client.into();
        let listener = Listener::start(client.next(), timeout).await?;
        let settings = ServerSettings::read(&client).await?;
        settings.report();
        let problems = settings.silent();
        if !problems.is_empty() {
            return Err(RedisError::Settings { problems });
        }
        probe::announced(&client, &listener, &prefix, timeout).await?;
        Ok(Self::over(
            client,
            &prefix,
            timeout,
            Some(listener),
            settings,
        ))
    }

    /// Timers over a client that may not be connected yet, for a process that sets and removes
    /// timers and must start while Redis is down. Another process waits for due timers, and
    /// [starts](Self::start) them.
    ///
    /// No server is asked anything: [`settings`](Self::settings) are unchecked. Nothing listens for
    /// expired keys, so [`due`](ReservationTimer::due) returns timers up to a second late.
    #[must_use]
    pub fn unchecked(client: impl Into<RedisClient>, options: TimerOptions) -> Self {
        let TimerOptions { prefix, timeout } = options;
        let settings = ServerSettings {
            servers: Vec::new(),
            unchecked: vec!["the servers were not asked".to_owned()],
        };
        Self::over(client.into(), &prefix, timeout, None, settings)
    }

    fn over(
        client: RedisClient,
        prefix: &Prefix,
        timeout: Duration,
        listener: Option<Listener>,
        settings: ServerSettings,
    ) -> Self {
        let inner = Inner {
            deadlines: Deadlines::new(prefix, &client),
            keys: format!("{prefix}reservation_timeout:"),
            client,
            timeout,
            listener,
            settings,
            untouched: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What the servers were set to at the start, as far as it could be read.
    #[must_use]
    pub fn settings(&self) -> &ServerSettings {
        &self.inner.settings
    }
}

#[async_trait]
impl ReservationTimer for RedisTimers {
    async fn arm(&self, timers: &[(ReservationId, Duration)]) -> Result<(), InventoryError> {
        Ok(self.inner.arm(timers).await?)
    }

    async fn disarm(&self, ids: &[ReservationId]) -> Result<(), InventoryError> {
        Ok(self.inner.disarm(ids).await?)
    }

    async fn due(
        &self,
        limit: NonZeroUsize,
        wait: Duration,
    ) -> Result<Vec<ReservationId>, InventoryError> {
        Ok(self.inner.due(limit.get(), wait).await?)
    }
}

impl Inner {
    fn calls(&self) -> Calls<'_> {
        Calls::within(self.timeout, &self.client)
    }

    fn key(&self, id: &ReservationId) -> Key {
        format!("{}{id}", self.keys).into()
    }

    /// The deadline first: a key whose deadline is not there would expire for nothing.
    async fn arm(&self, timers: &[(ReservationId, Duration)]) -> Result<(), RedisError> {
        let calls = self.calls();
        self.deadlines.arm(&calls, timers).await?;
        let client = calls.client();
        let set = timers.iter().map(|(id, after)| {
            let expires = Some(Expiration::PX(millis(*after)));
            client.set::<(), _, _>(self.key(id), 1, expires, None, false)
        });
        let set = try_join_all(set).await;
        set.map(drop)
            .map_err(|error| calls.failed("arm timers", Effect::Write, error))
    }

    /// The deadline first, because it decides.
    async fn disarm(&self, ids: &[ReservationId]) -> Result<(), RedisError> {
        let calls = self.calls();
        self.deadlines.disarm(&calls, ids).await?;
        let client = calls.client();
        let removed = ids.iter().map(|id| client.unlink::<(), _>(self.key(id)));
        let removed = try_join_all(removed).await;
        removed
            .map(drop)
            .map_err(|error| calls.failed("disarm timers", Effect::Write, error))
    }

    async fn due(&self, limit: usize, wait: Duration) -> Result<Vec<ReservationId>, RedisError> {
        // Before the first look, so that what expires meanwhile wakes.
        let mut events = self.listener.as_ref().map(Listener::events);
        let begun = Instant::now();
        loop {
            let looked = Instant::now();
            if let Some(listener) = &self.listener {
                listener.subscribe_again(self.timeout).await;
            }
            self.touch().await;
            let Taken { ids, next } = self.deadlines.take(&self.calls(), limit).await?;
            let left = wait.saturating_sub(begun.elapsed());
            if !ids.is_empty() || left.is_zero() {
                self.note(&ids);
                return Ok(ids);
            }
            let pause = next.unwrap_or(LOOK).clamp(PACE, LOOK).min(left);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = expired(events.as_mut(), &self.keys) => {
                    tokio::time::sleep_until(looked + PACE.min(left)).await;
                }
            }
        }
    }

    /// Notes keys whose timers were taken.
    fn note(&self, ids: &[ReservationId]) {
        counter!(telemetry::TIMERS).increment(ids.len() as u64);
        let mut untouched = self.untouched();
        let room = UNTOUCHED.saturating_sub(untouched.len());
        let now = Instant::now();
        untouched.extend(ids.iter().take(room).map(|id| (now, self.key(id))));
    }

    /// Lets Redis announce the keys whose timers were taken: it looks whether a key has expired
    /// when somebody asks for it. Nothing depends on it here, so a failure is only noted.
    async fn touch(&self) {
        let keys: Vec<Key> = {
            let mut untouched = self.untouched();
            let settled = untouched
                .iter()
                .take_while(|(since, _)| since.elapsed() >= SETTLED);
            let settled = settled.count();
            untouched.drain(..settled).map(|(_, key)| key).collect()
        };
        if keys.is_empty() {
            return;
        }
        let client = self.calls().client();
        let touches = keys.into_iter().map(|key| client.exists::<i64, _>(key));
        let touched = join_all(touches).await;
        if let Some(error) = touched.into_iter().find_map(Result::err) {
            tracing::debug!(%error, "expired keys were not touched; Redis announces them later");
        }
    }

    fn untouched(&self) -> std::sync::MutexGuard<'_, VecDeque<(Instant, Key)>> {
        let untouched = self.untouched.lock();
        untouched.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for an expired key that begins like this; for ever where nobody listens.
async fn expired(events: Option<&mut Events>, prefix: &str) {
    match events {
        Some(events) => events.expired(prefix).await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for RedisTimers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTimers")
            .field("keys", &self.inner.keys)
            .field("timeout", &self.inner.timeout)
            .finish_non_exhaustive()
    }
}
