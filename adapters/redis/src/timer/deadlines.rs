//! The deadlines: sorted sets of ids, of which whoever removes an id acts on it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fred::types::Value;
use futures::future::{join_all, try_join_all};
use stockade_inventory_core::ReservationId;

use crate::client::RedisClient;
use crate::error::{Effect, RedisError};
use crate::keys::{Prefix, Spread};
use crate::script::{Calls, Script};

/// Sets on a cluster, evenly spread over its slots, so that no server has all timers.
const ON_A_CLUSTER: usize = 8;
/// The most ids that one call of a script is given, or takes.
const CHUNK: usize = 1_000;

static ARM: LazyLock<Script> = LazyLock::new(|| {
    let lua = concat!(include_str!("../now.lua"), include_str!("lua/arm.lua"));
    Script::new("arm timers", Effect::Write, lua)
});
static DISARM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "disarm timers",
        Effect::Write,
        include_str!("lua/disarm.lua"),
    )
});
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    let lua = concat!(include_str!("../now.lua"), include_str!("lua/take.lua"));
    Script::new("take due timers", Effect::Write, lua)
});

/// The sorted sets.
#[derive(Debug)]
pub(super) struct Deadlines {
    sets: Spread,
    /// Where the next look begins.
    turn: AtomicUsize,
}

/// What a look for due timers found.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// They are in no set any more.
    pub(super) ids: Vec<ReservationId>,
    /// How long until the next one is due, as far as is known.
    pub(super) next: Option<Duration>,
}

impl Deadlines {
    pub(super) fn new(prefix: &Prefix, client: &RedisClient) -> Self {
        let sets = if client.is_clustered() {
            ON_A_CLUSTER
        } else {
            1
        };
        Self {
            sets: Spread::new(&format!("{prefix}reservation_timeouts"), sets),
            turn: AtomicUsize::new(0),
        }
    }

    /// Sets the deadlines of these ids, from now on by the server's clock.
    pub(super) async fn arm(
        &self,
        calls: &Calls<'_>,
        timers: &[(ReservationId, Duration)],
    ) -> Result<(), RedisError> {
        let mut shares = vec![Vec::new(); self.sets.len()];
        for (id, after) in timers {
            let pair = [text(id), Value::Integer(millis(*after))];
            shares[self.sets.number(id.as_str())].push(pair);
        }
        let calls = shares.iter().enumerate().flat_map(|(number, share)| {
            let chunks = share.chunks(CHUNK);
            chunks.map(move |chunk| {
                let pairs = chunk.iter().flatten().cloned();
                calls.run(&ARM, self.sets.key(number), pairs)
            })
        });
        try_join_all(calls).await.map(drop)
    }

    /// Removes the deadlines of these ids.
    pub(super) async fn disarm(
        &self,
        calls: &Calls<'_>,
        ids: &[ReservationId],
    ) -> Result<(), RedisError> {
        let mut shares = vec![Vec::new(); self.sets.len()];
        for id in ids {
            shares[self.sets.number(id.as_str())].push(text(id));
        }
        let calls = shares.iter().enumerate().flat_map(|(number, share)| {
            let chunks = share.chunks(CHUNK);
            chunks
                .map(move |chunk| calls.run(&DISARM, self.sets.key(number), chunk.iter().cloned()))
        });
        try_join_all(calls).await.map(drop)
    }

    /// Takes ids whose deadlines have passed, at most `limit`, which is at least 1. Fails only
    /// where no set could be asked: a server of a cluster that is down keeps only its own timers.
    pub(super) async fn take(&self, calls: &Calls<'_>, limit: usize) -> Result<Taken, RedisError> {
        let count = self.sets.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let sets: Vec<usize> = (0..count)
            .map(|n| (first.wrapping_add(n)) % count)
            .collect();
        let at_once = limit.min(count);
        let share = (limit / at_once).min(CHUNK);
        let mut taken = Taken::default();
        let mut failed = Vec::new();
        for sets in sets.chunks(at_once) {
            let looks = sets.iter().map(|set| self.look(calls, *set, share));
            for look in join_all(looks).await {
                match look {
                    Ok(look) => taken.add(look),
                    Err(error) => failed.push(error),
                }
            }
            if !taken.ids.is_empty() {
                return Ok(taken);
            }
        }
        match failed.pop() {
            Some(error) if failed.len() + 1 == count => Err(error),
            Some(error) => {
                tracing::warn!(%error, "timers on some servers of Redis can not be taken");
                Ok(taken)
            }
            None => Ok(taken),
        }
    }

    async fn look(&self, calls: &Calls<'_>, set: usize, limit: usize) -> Result<Taken, RedisError> {
        let limit = Value::from(limit.to_string());
        let key = self.sets.key(set);
        let mut reply = calls.run(&TAKE, key, [limit]).await?.into_iter();
        let ids = match reply.next() {
            Some(Value::Array(ids)) => ids.into_iter().filter_map(|value| id(&value)).collect(),
            _ => Vec::new(),
        };
        let next = reply.next().and_then(|next| next.as_u64());
        Ok(Taken {
            ids,
            next: next.map(Duration::from_millis),
        })
    }
}

impl Taken {
    fn add(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.next = self.next.into_iter().chain(other.next).min();
    }
}

fn text(id: &ReservationId) -> Value {
    id.as_str().into()
}

fn id(value: &Value) -> Option<ReservationId> {
    let text = value.as_bytes_str();
    let id = text.and_then(|text| ReservationId::new(&*text).ok());
    if id.is_none() {
        tracing::warn!(
            ?value,
            "a timer in Redis was dropped: it is of no reservation"
        );
    }
    id
}

/// Whole milliseconds, rounded up so that no timer is early, and at most 100,000 years.
pub(super) fn millis(duration: Duration) -> i64 {
    const MOST: u128 = 100_000 * 365 * 86_400_000;
    let up = duration.as_nanos().div_ceil(1_000_000).clamp(1, MOST);
    i64::try_from(up).unwrap_or(i64::MAX)
}
