//! Points in time, and the clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use auto_impl::auto_impl;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
///
/// Microseconds are what Postgres and Debezium keep; as JSON it is a plain integer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);
    /// The latest time.
    pub const MAX: Self = Self(i64::MAX);

    /// The time `micros` microseconds after the Unix epoch (before it, if negative).
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The time `millis` milliseconds after the Unix epoch; saturates.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// How long ago `earlier` was, or `None` when it lies after `self`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Duration> {
        let micros = self.0.checked_sub(earlier.0)?;
        u64::try_from(micros).ok().map(Duration::from_micros)
    }

    /// The time `duration` later; saturates at [`Timestamp::MAX`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// The time `duration` earlier; saturates.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self::EPOCH.plus(after),
            Err(before) => Self::EPOCH.minus(before.duration()),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}us", self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} microseconds since 1970", self.0)
    }
}

/// The source of time, so that a test can set it.
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock. It may be set forward or back.
    fn now(&self) -> Timestamp;

    /// Time since a fixed moment of this process. It never runs backwards.
    fn monotonic(&self) -> Duration;

    /// Returns once `duration` has passed on the monotonic clock.
    async fn sleep(&self, duration: Duration);
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: tokio::time::Instant,
}

impl SystemClock {
    /// The machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: tokio::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that moves only when a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    hands: watch::Sender<Hands>,
}

#[derive(Clone, Copy, Debug)]
struct Hands {
    now: Timestamp,
    monotonic: Duration,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            hands: watch::Sender::new(Hands {
                now,
                monotonic: Duration::ZERO,
            }),
        }
    }

    /// Advances both clocks by `duration`, and wakes the sleepers whose time is over.
    pub fn advance(&self, duration: Duration) {
        self.hands.send_modify(|hands| {
            hands.now = hands.now.plus(duration);
            hands.monotonic += duration;
        });
    }

    /// Sets the wall clock to `now`, as an operator or NTP does. The monotonic clock stays.
    pub fn step_to(&self, now: Timestamp) {
        self.hands.send_modify(|hands| hands.now = now);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.hands.borrow().now
    }

    fn monotonic(&self) -> Duration {
        self.hands.borrow().monotonic
    }

    async fn sleep(&self, duration: Duration) {
        let mut hands = self.hands.subscribe();
        let until = hands.borrow().monotonic.saturating_add(duration);
        // The sender lives in `self`, so waiting ends only by time.
        let _ = hands.wait_for(|hands| hands.monotonic >= until).await;
    }
}
