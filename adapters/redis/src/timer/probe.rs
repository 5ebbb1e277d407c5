//! Whether notifications of expired keys arrive here, tried with keys that expire at once.

use std::time::{Duration, Instant};

use fred::interfaces::{ClientLike as _, ClusterInterface as _, KeysInterface as _};
use fred::types::Expiration;
use fred::util::redis_keyslot;
use stockade_change_feed::time::chance;

use crate::client::RedisClient;
use crate::error::{Effect, RedisError};
use crate::keys::Prefix;
use crate::script::Calls;

use super::listen::Listener;

/// The pause between looks at a key that is about to expire.
const LOOK: Duration = Duration::from_millis(20);

/// Lets a key expire on each primary, and waits until all were announced.
pub(super) async fn announced(
    client: &RedisClient,
    listener: &Listener,
    prefix: &Prefix,
    timeout: Duration,
) -> Result<(), RedisError> {
    let mut problems = Vec::new();
    for (server, key) in probes(client, prefix) {
        let calls = Calls::within(timeout, client);
        if !is_announced(&calls, listener, &key, timeout).await? {
            let channel = listener.channel();
            problems.push(format!(
                "{server} does not announce expired keys: run CONFIG SET notify-keyspace-events Ex \
                 there and write it into redis.conf; a user with restricted channels needs \
                 ACL SETUSER … &{channel}"
            ));
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(RedisError::Settings { problems }),
    }
}

async fn is_announced(
    calls: &Calls<'_>,
    listener: &Listener,
    key: &str,
    timeout: Duration,
) -> Result<bool, RedisError> {
    let error = |error| calls.failed("let a key expire", Effect::Write, error);
    let mut events = listener.events();
    let begun = Instant::now();
    let client = calls.client();
    let expires = Some(Expiration::PX(1));
    let set = client.set::<(), _, _>(key, 1, expires, None, false).await;
    set.map_err(error)?;
    // The first notification may come before the server has subscribed this client.
    while begun.elapsed() + LOOK < timeout {
        if tokio::time::timeout(LOOK, events.expired(key))
            .await
            .is_ok()
        {
            return Ok(true);
        }
        let exists: i64 = calls.client().exists(key).await.map_err(error)?;
        if exists == 0 && begun.elapsed() > timeout / 2 {
            let again = Some(Expiration::PX(1));
            let set = client.set::<(), _, _>(key, 1, again, None, false).await;
            set.map_err(error)?;
        }
    }
    Ok(false)
}

/// A key for each primary, with the primary's name.
fn probes(client: &RedisClient, prefix: &Prefix) -> Vec<(String, String)> {
    // Nobody else waits for this one.
    let name = format!("{prefix}reservation_timeout_probe:{:x}", chance::bits());
    let client = client.next();
    match client.cached_cluster_state() {
        Some(state) if client.is_clustered() => {
            let slots = state.unique_hash_slots().into_iter();
            slots
                .map(|slot| {
                    let server = state.get_server(slot).map(ToString::to_string);
                    (server.unwrap_or_default(), in_slot(&name, slot))
                })
                .collect()
        }
        _ => vec![("Redis".to_owned(), name)],
    }
}

/// The name with something behind it that puts it into that slot.
fn in_slot(name: &str, slot: u16) -> String {
    let names = (0..).map(|number: u32| format!("{name}:{number}"));
    let mut names = names.filter(|name| redis_keyslot(name.as_bytes()) == slot);
    names.next().unwrap_or_default()
}
