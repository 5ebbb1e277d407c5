//! How a Redis is set.

use std::fmt::Write as _;

use crate::port::Port;
use crate::redis::{Redis, RedisCluster};
use crate::server::Kind;
use crate::tls::Certificates;

/// Who may do everything where there are users: replicas, and [`Redis::cli`].
const ADMIN: &str = "stack";

/// Settings of the server beside its defaults.
const SETTINGS: &[(&str, &str)] = &[
    ("bind", "127.0.0.1"),
    ("save", ""),
    ("notify-keyspace-events", "Ex"),
    ("maxmemory-policy", "noeviction"),
    // A replica has what its primary has at once, instead of after five seconds.
    ("repl-diskless-sync-delay", "0"),
];

/// How a [`Redis`] or each of a [`RedisCluster`] is set.
///
/// ```no_run
/// # fn main() -> anyhow::Result<()> {
/// let options = stack::RedisOptions::new()
///     .tls()
///     .user("shop", "secret", "~stock:* +@all -@admin")
///     .set("notify-keyspace-events", "");
/// let redis = options.start()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    pub(super) tls: bool,
    settings: Vec<(String, String)>,
    users: Vec<User>,
}

#[derive(Clone, Debug)]
struct User {
    name: String,
    password: String,
    rules: String,
}

impl RedisOptions {
    /// Without TLS or passwords.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a line of `redis.conf`, such as `appendonly` and `yes`, beside its own and before
    /// them.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Reached by TLS, and not without.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// With a user who has these rules of Redis's access lists, such as `~* &* +@all`. Nobody gets
    /// in without a password then. The first one named is in the URL.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str, rules: &str) -> Self {
        self.users.push(User {
            name: name.to_owned(),
            password: password.to_owned(),
            rules: rules.to_owned(),
        });
        self
    }

    /// Starts one by itself, on a free port.
    ///
    /// # Errors
    /// Where Redis is not installed, with the command that mends it, or does not start, with the
    /// end of its log.
    pub fn start(self) -> anyhow::Result<Redis> {
        let mut redis = Redis::new(self, None)?;
        redis.restart()?;
        Ok(redis)
    }

    /// Starts three primaries with a replica each.
    ///
    /// # Errors
    /// As for [`start`](RedisOptions::start).
    pub fn start_cluster(self) -> anyhow::Result<RedisCluster> {
        RedisCluster::start_with(&self)
    }

    /// As [`Redis::for_test`].
    ///
    /// # Panics
    /// Where it is required and does not start.
    #[must_use]
    pub fn for_test(self) -> Option<Redis> {
        Kind::Redis.for_test(self.start())
    }

    /// As [`RedisCluster::for_test`].
    ///
    /// # Panics
    /// Where it is required and does not start.
    #[must_use]
    pub fn cluster_for_test(self) -> Option<RedisCluster> {
        Kind::RedisCluster.for_test(self.start_cluster())
    }

    /// What stands before the host in a URL.
    pub(super) fn credentials(&self) -> String {
        let user = self.users.first();
        user.map_or(String::new(), |user| {
            format!("{}:{}@", user.name, user.password)
        })
    }

    /// Arguments of `redis-cli`.
    pub(super) fn login(&self) -> &[&str] {
        match self.users.is_empty() {
            true => &[],
            false => &["--no-auth-warning", "--user", ADMIN, "--pass", ADMIN],
        }
    }

    /// The text of `redis.conf`.
    pub(super) fn config(&self, port: &Port, certificates: Option<&Certificates>) -> String {
        let mut lines: Vec<(&str, String)> = SETTINGS
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        match certificates {
            None => lines.push(("port", port.number().to_string())),
            Some(certificates) => lines.extend([
                ("port", "0".to_owned()),
                ("tls-port", port.number().to_string()),
                ("tls-replication", "yes".to_owned()),
                ("tls-cluster", "yes".to_owned()),
                ("tls-auth-clients", "optional".to_owned()),
                (
                    "tls-ca-cert-file",
                    certificates.authority().display().to_string(),
                ),
                ("tls-cert-file", certificates.server().display().to_string()),
                (
                    "tls-key-file",
                    certificates.server_key().display().to_string(),
                ),
            ]),
        }
        if !self.users.is_empty() {
            lines.push(("masteruser", ADMIN.to_owned()));
            lines.push(("masterauth", ADMIN.to_owned()));
        }
        let own = self.settings.iter();
        lines.extend(own.map(|(name, value)| (name.as_str(), value.clone())));
        let mut text = String::new();
        // The last one of a name counts.
        for (name, value) in lines {
            let _ = writeln!(text, "{name} \"{}\"", value.replace('"', "\\\""));
        }
        if !self.users.is_empty() {
            let _ = writeln!(text, "user default off");
            let _ = writeln!(text, "user {ADMIN} on >{ADMIN} ~* &* +@all");
        }
        for User {
            name,
            password,
            rules,
        } in &self.users
        {
            let _ = writeln!(text, "user {name} on >{password} {rules}");
        }
        text
    }
}
