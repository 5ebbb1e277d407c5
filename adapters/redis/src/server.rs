//! What the servers are set to, as far as a client can read it.

use std::collections::HashMap;
use std::time::Duration;

use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike as _, ClusterInterface as _, ConfigInterface as _};
use fred::types::config::{Config, Server, ServerConfig};
use fred::types::{ClusterHash, CustomCommand, Value};
use futures::future::join_all;
use tokio::time::timeout;

use crate::client::{self, Own, RedisClient};
use crate::error::{Effect, RedisError};
use crate::script::Calls;

/// How long one server may take to say its settings.
const PATIENCE: Duration = Duration::from_secs(3);

/// What each server is set to, replicas included: one of them is the primary after a failover.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerSettings {
    /// In no order.
    pub servers: Vec<ServerSetting>,
    /// What could not be found out about the servers together, such as which replicas there are.
    pub unchecked: Vec<String>,
}

/// What one server is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerSetting {
    /// Its host and port.
    pub address: String,
    /// Whether it takes writes.
    pub role: Role,
    /// Its settings, or why they could not be read.
    pub settings: Result<Settings, String>,
}

/// Whether a server takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It does.
    Primary,
    /// It follows a primary.
    Replica,
}

/// The settings that guarantees rest on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// `notify-keyspace-events`: which events are announced, such as `xE`.
    pub notify_keyspace_events: String,
    /// `maxmemory-policy`: what goes when memory is full, such as `noeviction`.
    pub maxmemory_policy: String,
}

impl ServerSettings {
    /// Reads them from each server, over connections that are made for this.
    ///
    /// # Errors
    /// Where it is not known which servers there are. A server that does not answer or forbids
    /// `CONFIG` is no error: see [`unchecked`](Self::unchecked).
    pub async fn read(client: &RedisClient) -> Result<Self, RedisError> {
        let (servers, unchecked) = if client.is_clustered() {
            (of_cluster(client).await?, Vec::new())
        } else {
            with_replicas(client).await
        };
        let config = client.next().client_config();
        let read = servers
            .into_iter()
            .map(async |(server, role)| ServerSetting {
                address: server.to_string(),
                role,
                settings: settings(&config, server).await,
            });
        Ok(Self {
            servers: join_all(read).await,
            unchecked,
        })
    }

    /// What of it breaks a promise, and what mends it.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.silent();
        for (address, settings) in self.known() {
            let policy = &settings.maxmemory_policy;
            if policy != "noeviction" {
                problems.push(format!(
                    "{address} removes keys when its memory is full (maxmemory-policy {policy}): \
                     run CONFIG SET maxmemory-policy noeviction there and write it into redis.conf"
                ));
            }
        }
        problems
    }

    /// What no client can read, or this one must not.
    #[must_use]
    pub fn unchecked(&self) -> Vec<String> {
        let servers = self.servers.iter().filter_map(|server| {
            let why = server.settings.as_ref().err()?;
            Some(format!("the settings of {}: {why}", server.address))
        });
        self.unchecked.iter().cloned().chain(servers).collect()
    }

    /// Which servers do not announce expired keys, and the command that mends it.
    pub(crate) fn silent(&self) -> Vec<String> {
        let silent = self.known().filter(|(_, settings)| {
            let flags = &settings.notify_keyspace_events;
            !(flags.contains('E') && (flags.contains('x') || flags.contains('A')))
        });
        silent
            .map(|(address, settings)| {
                let flags = &settings.notify_keyspace_events;
                format!(
                    "{address} does not announce expired keys (notify-keyspace-events \
                     {flags:?}): run CONFIG SET notify-keyspace-events {flags}Ex there and write \
                     it into redis.conf"
                )
            })
            .collect()
    }

    /// Logs the problems, and what is unchecked.
    #[cfg(feature = "timer")]
    pub(crate) fn report(&self) {
        for problem in self.problems() {
            tracing::warn!("Redis: {problem}");
        }
        for unchecked in self.unchecked() {
            tracing::warn!("Redis: unchecked: {unchecked}");
        }
    }

    fn known(&self) -> impl Iterator<Item = (&str, &Settings)> {
        let servers = self.servers.iter();
        servers.filter_map(|server| Some((&*server.address, server.settings.as_ref().ok()?)))
    }
}

async fn settings(like: &Config, server: Server) -> Result<Settings, String> {
    let mut config = like.clone();
    config.server = ServerConfig::Centralized { server };
    config.fail_fast = true;
    let client = client::builder(config)
        .build()
        .map_err(|error| error.details().to_owned())?;
    let read = async {
        let client = Own::connect(client, PATIENCE).await?;
        let events: HashMap<String, String> = client.config_get("notify-keyspace-events").await?;
        let policy: HashMap<String, String> = client.config_get("maxmemory-policy").await?;
        let first = |of: HashMap<String, String>| of.into_values().next().unwrap_or_default();
        Ok::<_, Error>(Settings {
            notify_keyspace_events: first(events),
            maxmemory_policy: first(policy),
        })
    };
    let read = timeout(PATIENCE, read).await;
    let silent = |_| Error::new(ErrorKind::Timeout, format!("no answer within {PATIENCE:?}"));
    read.map_err(silent)
        .flatten()
        .map_err(|error| error.details().to_owned())
}

/// The members of a cluster.
async fn of_cluster(client: &RedisClient) -> Result<Vec<(Server, Role)>, RedisError> {
    let calls = Calls::within(PATIENCE, client);
    let nodes: Result<String, Error> = calls.client().cluster_nodes().await;
    let nodes = nodes.map_err(|error| calls.failed("list the cluster", Effect::None, error))?;
    Ok(nodes.lines().filter_map(member).collect())
}

/// `<id> <ip:port@bus,host> <flags> <primary> …`
fn member(line: &str) -> Option<(Server, Role)> {
    let mut fields = line.split(' ');
    let address = fields.nth(1)?;
    let flags: Vec<&str> = fields.next()?.split(',').collect();
    if flags
        .iter()
        .any(|flag| matches!(*flag, "noaddr" | "handshake" | "fail"))
    {
        return None;
    }
    let (address, _) = address.split_once('@')?;
    let (host, port) = address.rsplit_once(':')?;
    let role = match flags.contains(&"master") {
        true => Role::Primary,
        false => Role::Replica,
    };
    Some((Server::new(host, port.parse().ok()?), role))
}

/// A server and those that follow it, as far as it says who they are.
async fn with_replicas(client: &RedisClient) -> (Vec<(Server, Role)>, Vec<String>) {
    let calls = Calls::within(PATIENCE, client);
    let role = CustomCommand::new_static("ROLE", ClusterHash::Random, false);
    let said: Result<Value, Error> = calls.client().custom(role, Vec::<Value>::new()).await;
    let one = client.next().active_connections().into_iter();
    let one = one
        .chain(client.next().client_config().server.hosts())
        .next();
    let mut servers: Vec<_> = one
        .map(|server| (server, Role::Primary))
        .into_iter()
        .collect();
    match said {
        Ok(said) => {
            let (role, replicas) = roles(said);
            servers.iter_mut().for_each(|(_, of)| *of = role);
            servers.extend(replicas.into_iter().map(|replica| (replica, Role::Replica)));
            (servers, Vec::new())
        }
        Err(error) => {
            let unchecked = format!("whether there are replicas: {}", error.details());
            (servers, vec![unchecked])
        }
    }
}

/// `master`, an offset, and for each replica its host, port and offset; or `slave` and others.
fn roles(said: Value) -> (Role, Vec<Server>) {
    let Value::Array(said) = said else {
        return (Role::Primary, Vec::new());
    };
    let mut said = said.into_iter();
    if said.next().and_then(|role| role.as_bytes_str()).as_deref() != Some("master") {
        return (Role::Replica, Vec::new());
    }
    let Some(Value::Array(replicas)) = said.nth(1) else {
        return (Role::Primary, Vec::new());
    };
    let replicas = replicas.into_iter().filter_map(|replica| {
        let Value::Array(replica) = replica else {
            return None;
        };
        let host = replica.first()?.as_bytes_str()?;
        let port = u16::try_from(replica.get(1)?.as_u64()?).ok()?;
        Some(Server::new(host, port))
    });
    (Role::Primary, replicas.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(events: &str, policy: &str) -> ServerSettings {
        let settings = Settings {
            notify_keyspace_events: events.to_owned(),
            maxmemory_policy: policy.to_owned(),
        };
        ServerSettings {
            servers: vec![ServerSetting {
                address: "cache-2:6379".to_owned(),
                role: Role::Replica,
                settings: Ok(settings),
            }],
            unchecked: Vec::new(),
        }
    }

    #[test]
    fn servers_that_do_not_announce_expired_keys_are_found() {
        for (flags, announces) in [
            ("", false),
            ("x", false),
            ("E", false),
            ("Kx", false),
            ("AK", false),
            ("xE", true),
            ("AE", true),
            ("AKE", true),
        ] {
            let problems = settings(flags, "noeviction").problems();
            assert_eq!(problems.is_empty(), announces, "{flags}: {problems:?}");
            let command = format!("CONFIG SET notify-keyspace-events {flags}Ex");
            assert!(problems.iter().all(|problem| problem.contains(&command)));
        }
    }

    #[test]
    fn eviction_is_a_problem() {
        let problems = settings("xE", "allkeys-lru").problems();
        let [problem] = &problems[..] else {
            panic!("{problems:?}");
        };
        for word in [
            "cache-2:6379",
            "allkeys-lru",
            "CONFIG SET maxmemory-policy noeviction",
        ] {
            assert!(problem.contains(word), "{word}: {problem}");
        }
    }

    #[test]
    fn what_was_not_read_is_unchecked() {
        let mut settings = settings("", "");
        settings.servers[0].settings = Err("NOPERM".to_owned());
        assert!(settings.problems().is_empty());
        assert_eq!(
            settings.unchecked(),
            ["the settings of cache-2:6379: NOPERM"]
        );
    }

    #[test]
    fn members_of_a_cluster_are_read() {
        let line = "07c3 127.0.0.1:30004@31004,host slave e7d1 0 1426238317239 4 connected";
        let replica = (Server::new("127.0.0.1", 30_004), Role::Replica);
        assert_eq!(member(line), Some(replica));
        let line = "67ed ::1:30002@31002 myself,master - 0 0 2 connected 5461-10922";
        assert_eq!(
            member(line),
            Some((Server::new("::1", 30_002), Role::Primary))
        );
        assert_eq!(member("67ed :0@0 master,noaddr - 0 0 2 disconnected"), None);
    }
}
