//! Scripts, each on one key, and calls of them within a deadline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fred::bytes_utils::Str;
use fred::clients::{Client, WithOptions};
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike as _;
use fred::types::config::Options;
use fred::types::{ClusterHash, CustomCommand, Key, Value};
use metrics::counter;

use crate::client::RedisClient;
use crate::error::{Class, Effect, RedisError, failed};
use crate::telemetry;

/// The pause before a command is sent again whose key is on its way to another server.
const MOVING: Duration = Duration::from_millis(10);

/// A script in Lua. It gets the number of the call as its first argument, and returns a list that
/// ends with that number.
#[derive(Debug)]
pub(crate) struct Script {
    lua: Str,
    sha: Str,
    operation: &'static str,
    effect: Effect,
}

impl Script {
    pub(crate) fn new(operation: &'static str, effect: Effect, lua: &str) -> Self {
        Self {
            lua: lua.into(),
            sha: sha1_smol::Sha1::from(lua).digest().to_string().into(),
            operation,
            effect,
        }
    }

    /// The name of the operation that it is a part of.
    #[cfg(feature = "cache")]
    pub(crate) fn operation(&self) -> &'static str {
        self.operation
    }
}

/// Numbers the calls of this process.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// The commands of one operation: the client that sends them, and the time for all of them.
#[derive(Clone, Debug)]
pub(crate) struct Calls<'a> {
    clients: &'a RedisClient,
    client: Client,
    end: Instant,
    timeout: Duration,
}

impl<'a> Calls<'a> {
    /// From now on, the commands together may take this long.
    pub(crate) fn within(timeout: Duration, clients: &'a RedisClient) -> Self {
        Self {
            clients,
            client: clients.next().clone(),
            end: Instant::now() + timeout,
            timeout,
        }
    }

    /// The client, for a command that ends at the deadline.
    pub(crate) fn client(&self) -> WithOptions<Client> {
        let left = self.end.saturating_duration_since(Instant::now());
        self.client.with_options(&Options {
            // The driver takes 0 for no deadline.
            timeout: Some(left.max(Duration::from_millis(1))),
            ..Options::default()
        })
    }

    /// Runs a script on a key, and returns its list without the number of the call.
    pub(crate) async fn run(
        &self,
        script: &Script,
        key: &Key,
        arguments: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Value>, RedisError> {
        let number = CALLS.fetch_add(1, Ordering::Relaxed).to_string();
        let first = [Value::from(number.clone())];
        let arguments: Vec<Value> = first.into_iter().chain(arguments).collect();
        loop {
            let evaluated = self.evaluate(script, key, &arguments).await;
            let error = match evaluated.and_then(|reply| answer_to(&number, reply)) {
                Ok(list) => return Ok(list),
                Err(error) => error,
            };
            let class = Class::of(&error);
            let again = matches!(class, Class::Moving | Class::Misread);
            if !again || Instant::now() + MOVING >= self.end {
                return Err(self.failed(script.operation, script.effect, error));
            }
            // Then the driver knows the key's new server, or the key is there.
            tokio::time::sleep(MOVING).await;
        }
    }

    /// Reads fields of a hash, on a server that is no cluster: the reply has no number that shows
    /// whose it is.
    #[cfg(feature = "cache")]
    pub(crate) async fn fields(
        &self,
        operation: &'static str,
        key: &Key,
        fields: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Value>, RedisError> {
        let arguments: Vec<Value> = std::iter::once(key.clone().into()).chain(fields).collect();
        let expected = arguments.len() - 1;
        let read = match self.send("HMGET", key, arguments).await {
            Ok(Value::Array(values)) if values.len() == expected => Ok(values),
            Ok(_) => Err(misread()),
            Err(error) => Err(error),
        };
        read.map_err(|error| self.failed(operation, Effect::None, error))
    }

    /// Reads the driver's error of a command, and counts it.
    pub(crate) fn failed(
        &self,
        operation: &'static str,
        effect: Effect,
        error: Error,
    ) -> RedisError {
        let error = match error.kind() {
            ErrorKind::Timeout => {
                let silent = format!("no answer within {:?}", self.timeout);
                Error::new(ErrorKind::Timeout, silent)
            }
            _ => error,
        };
        if Class::of(&error) == Class::ReadOnly {
            self.clients.connect_again(&self.client);
        }
        let error = failed(operation, effect, error);
        let outcome = match &error {
            RedisError::Failed(failure) => failure.outcome(),
            _ => "failed",
        };
        counter!(telemetry::FAILURES, "operation" => operation, "outcome" => outcome).increment(1);
        error
    }

    async fn evaluate(
        &self,
        script: &Script,
        key: &Key,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        let with = |script: &Str| -> Vec<Value> {
            let fixed = [script.clone().into(), 1.into(), key.clone().into()];
            fixed.into_iter().chain(arguments.iter().cloned()).collect()
        };
        let ran = self.send("EVALSHA", key, with(&script.sha)).await;
        match ran {
            // A new server, or one whose scripts were flushed. It keeps what it evaluates.
            Err(error) if Class::of(&error) == Class::NoScript => {
                self.send("EVAL", key, with(&script.lua)).await
            }
            ran => ran,
        }
    }

    /// Sends a command on one key.
    ///
    /// The driver's own commands for scripts let nothing follow on their connection before they are
    /// answered, which costs throughput, and wait for a server that hangs whatever their timeout. So
    /// commands are sent as ones that the driver does not know, and within a timeout of ours.
    async fn send(
        &self,
        command: &'static str,
        key: &Key,
        arguments: Vec<Value>,
    ) -> Result<Value, Error> {
        let slot = ClusterHash::Custom(key.cluster_hash());
        let command = CustomCommand::new_static(command, slot, false);
        let client = self.client();
        let sending = client.custom(command, arguments);
        let sent = tokio::time::timeout_at(self.end.into(), sending).await;
        sent.unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "no answer in time")))
    }
}

/// The list of a reply, if it is the reply to this call.
///
/// While a slot of a cluster moves, fred 10.1 can hand a call the reply to another one: it sends
/// `ASKING` on a connection that is in use, and takes the next reply for its own.
fn answer_to(number: &str, reply: Value) -> Result<Vec<Value>, Error> {
    let list = match reply {
        Value::Array(mut list) => match list.pop() {
            Some(Value::String(last)) if *last == *number => Some(list),
            _ => None,
        },
        _ => None,
    };
    list.ok_or_else(misread)
}

/// Counts a reply to another command.
fn misread() -> Error {
    counter!(telemetry::MISREAD).increment(1);
    Error::new(ErrorKind::Protocol, "got the reply to another command")
}
