//! Notifications of expired keys, from every primary.

use std::collections::BTreeSet;
use std::time::Duration;

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _};
use fred::types::config::{Options, PerformanceConfig, Server};
use fred::types::{Builder, KeyspaceEvent};
use tokio::sync::Mutex;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::client::Own;
use crate::error::{Effect, RedisError, failed};

/// Events that may wait for a listener. One that has missed some looks at the deadlines.
const EVENTS: usize = 1_024;

/// A client of its own, because a connection that has subscribed can do nothing else.
pub(super) struct Listener {
    client: Own,
    channel: String,
    connected: Mutex<Connected>,
}

/// Connections that were made, and on which nothing is subscribed to yet.
struct Connected {
    news: Receiver<Server>,
    silent: BTreeSet<Server>,
}

impl Listener {
    /// Connects as the given client does, and subscribes.
    pub(super) async fn start(like: &Client, patience: Duration) -> Result<Self, RedisError> {
        let error = |error| failed("listen for expired keys", Effect::None, error);
        let config = like.client_config();
        let channel = format!(
            "__keyevent@{}__:expired",
            config.database.unwrap_or_default()
        );
        let mut builder = Builder::from_config(config);
        builder.set_connection_config(like.connection_config().clone());
        builder.set_performance_config(PerformanceConfig {
            broadcast_channel_capacity: EVENTS,
            ..like.perf_config()
        });
        if let Some(policy) = like.client_reconnect_policy() {
            builder.set_policy(policy);
        }
        let client = builder.build().map_err(error)?;
        // Before it connects, so that the first connections are news as well.
        let news = client.reconnect_rx();
        let listener = Self {
            client: Own::connect(client, patience).await.map_err(error)?,
            channel,
            connected: Mutex::new(Connected {
                news,
                silent: BTreeSet::new(),
            }),
        };
        listener.subscribe_again(patience).await;
        Ok(listener)
    }

    /// Subscribes on connections that were made since the last time.
    pub(super) async fn subscribe_again(&self, patience: Duration) {
        // Where another caller is at it, one is enough.
        let Ok(mut connected) = self.connected.try_lock() else {
            return;
        };
        let active = self.client.active_connections();
        if connected.look() == Missed::Some {
            connected.silent.extend(active.iter().cloned());
        }
        for server in connected.silent.clone() {
            // One that is not ready yet is tried the next time.
            if active.contains(&server) && self.subscribe(&server, patience).await.is_ok() {
                connected.silent.remove(&server);
            }
        }
    }

    async fn subscribe(&self, server: &Server, patience: Duration) -> Result<(), Error> {
        let client = self.client.with_options(&Options {
            timeout: Some(patience),
            cluster_node: Some(server.clone()),
            ..Options::default()
        });
        let subscribed = client.subscribe(self.channel.as_str()).await;
        if let Err(error) = &subscribed {
            tracing::warn!(%server, %error, "expired keys can not be listened for");
        }
        subscribed
    }

    /// Where notifications come from.
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    /// The events from now on.
    pub(super) fn events(&self) -> Events {
        Events(self.client.keyspace_event_rx())
    }
}

#[derive(PartialEq, Eq)]
enum Missed {
    None,
    Some,
}

impl Connected {
    /// Notes the news.
    fn look(&mut self) -> Missed {
        let mut missed = Missed::None;
        loop {
            match self.news.try_recv() {
                Ok(server) => {
                    self.silent.insert(server);
                }
                Err(TryRecvError::Lagged(_)) => missed = Missed::Some,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return missed,
            }
        }
    }
}

/// Expired keys.
pub(super) struct Events(Receiver<KeyspaceEvent>);

impl Events {
    /// Waits for an expired key that begins like this, or until some events were missed.
    pub(super) async fn expired(&mut self, prefix: &str) {
        loop {
            match self.0.recv().await {
                Ok(event) if event.key.as_bytes().starts_with(prefix.as_bytes()) => return,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
