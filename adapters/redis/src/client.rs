//! The driver's clients: one of the host, or one that is made of a URL.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fred::clients::{Client, Pool};
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike as _;
use fred::types::config::{Config, ReconnectPolicy, UnresponsiveConfig};
use fred::types::{Builder, ConnectHandle};
use futures::FutureExt as _;
use tokio::time::timeout;

use crate::error::{Effect, RedisError, failed};

/// How long a server is waited for at first.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection or the driver's own commands may take.
const CONNECTING: Duration = Duration::from_secs(2);
/// A server that has not answered for this long is connected to again.
const SILENCE: Duration = Duration::from_secs(3);
/// How often the driver looks for silent connections.
const LOOK: Duration = Duration::from_millis(500);
/// Commands that wait in the driver, at most. Further ones are refused at once.
const QUEUE: usize = 10_000;

/// Connections to a server that takes no writes are made again this often at most.
const CONNECT_AGAIN: Duration = Duration::from_secs(1);

/// A fred client, or a pool of them, that is connected.
#[derive(Clone, Debug)]
pub struct RedisClient {
    kind: Kind,
    connected_again: Arc<Mutex<Option<Instant>>>,
}

#[derive(Clone, Debug)]
enum Kind {
    Client(Client),
    Pool(Pool),
}

impl From<Client> for RedisClient {
    fn from(client: Client) -> Self {
        Self::new(Kind::Client(client))
    }
}

impl From<Pool> for RedisClient {
    fn from(pool: Pool) -> Self {
        Self::new(Kind::Pool(pool))
    }
}

impl RedisClient {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            connected_again: Arc::default(),
        }
    }

    /// The client whose turn it is.
    pub(crate) fn next(&self) -> &Client {
        match &self.kind {
            Kind::Client(client) => client,
            Kind::Pool(pool) => pool.next(),
        }
    }

    pub(crate) fn is_clustered(&self) -> bool {
        self.next().is_clustered()
    }

    /// Lets a client connect again, because the server has become a replica: its address may lead
    /// to the new primary by now.
    pub(crate) fn connect_again(&self, client: &Client) {
        let again = self.connected_again.lock();
        let mut again = again.unwrap_or_else(PoisonError::into_inner);
        if again.is_some_and(|last| last.elapsed() < CONNECT_AGAIN) {
            return;
        }
        *again = Some(Instant::now());
        tracing::warn!("a server of Redis takes no writes; connecting again");
        // The driver is told at once, and its answer is not waited for.
        let _ = client.force_reconnection().now_or_never();
    }
}

/// A builder of clients with the settings that this crate is at its best with: see the README. Use
/// it where a URL does not say enough, such as for certificates of your own.
#[must_use]
pub fn builder(config: Config) -> Builder {
    let mut builder = Builder::from_config(config);
    builder.with_connection_config(|connection| {
        connection.connection_timeout = CONNECTING;
        connection.internal_command_timeout = CONNECTING;
        connection.max_command_buffer_len = QUEUE;
        // The driver follows ASK wrongly: on a connection in use. Calls repeat themselves instead.
        connection.max_redirections = 0;
        connection.tcp.nodelay = Some(true);
        connection.unresponsive = UnresponsiveConfig {
            max_timeout: Some(SILENCE),
            interval: LOOK,
        };
    });
    builder.set_policy(ReconnectPolicy::new_exponential(0, 50, 1_000, 2));
    builder
}

/// A connected client, for who has none yet: `redis://USER:PASSWORD@HOST:PORT/DATABASE`, `rediss://`
/// with TLS, and `redis-cluster://HOST:PORT?node=HOST:PORT` for a cluster.
///
/// The server is asked once, so that what keeps it from being used is told at once. From then on
/// the client connects again by itself.
///
/// # Errors
/// [`RedisError::Invalid`] where the URL can't be read, which is not shown: it may hold a
/// password. [`RedisError::Failed`] names the server where it is not reached, refuses, or has not
/// answered within 5 seconds.
pub async fn connect(url: &str) -> Result<Client, RedisError> {
    let mut config = Config::from_url(url).map_err(invalid)?;
    config.fail_fast = true;
    let hosts: Vec<_> = config
        .server
        .hosts()
        .iter()
        .map(ToString::to_string)
        .collect();
    let client = builder(config).build().map_err(invalid)?;
    let connected = timeout(PATIENCE, client.init()).await;
    let connected = connected.unwrap_or_else(|_| {
        let silent = format!("no answer within {PATIENCE:?}");
        Err(Error::new(ErrorKind::Timeout, silent))
    });
    match connected {
        Ok(_) => Ok(client),
        Err(error) => {
            let said = format!("{}: {}", hosts.join(", "), error.details());
            let error = Error::new(error.kind().clone(), said);
            Err(failed("connect", Effect::None, error))
        }
    }
}

/// A client that connects in the background, for a process that also works without Redis: the server
/// may be down when the process starts. The URL is that of [`connect`].
///
/// Until the client is connected, calls fail after their timeouts, as they do while a connection is
/// lost. The driver tries again at most a second after each attempt, also where the server refuses
/// the password: listen to `error_rx` of the client to know why it is not connected.
///
/// ```no_run
/// use fred::interfaces::EventInterface as _;
/// use stockade_redis::{RedisAvailability, connect_in_background};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = connect_in_background("redis://localhost:6379")?;
/// let mut errors = client.error_rx();
/// let cache = RedisAvailability::new(client);
/// while let Ok((error, _)) = errors.recv().await {
///     eprintln!("Redis can not be reached: {error}");
/// }
/// # drop(cache);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`RedisError::Invalid`] where the URL can't be read, which is not shown: it may hold a
/// password.
///
/// # Panics
/// Outside of a runtime of tokio.
pub fn connect_in_background(url: &str) -> Result<Client, RedisError> {
    let mut config = Config::from_url(url).map_err(invalid)?;
    config.fail_fast = false;
    let client = builder(config).build().map_err(invalid)?;
    // The driver goes on by itself.
    drop(client.connect());
    Ok(client)
}

#[allow(clippy::needless_pass_by_value, reason = "`map_err` passes it so")]
fn invalid(error: Error) -> RedisError {
    RedisError::Invalid {
        field: "the URL of Redis",
        value: "a text that is not shown".to_owned(),
        reason: format!("{error}; write redis://USER:PASSWORD@HOST:PORT/DATABASE"),
    }
}

/// A client of this crate's own, whose connections end with it.
#[derive(Debug)]
pub(crate) struct Own {
    client: Client,
    task: ConnectHandle,
}

impl Own {
    /// Connects a client.
    pub(crate) async fn connect(client: Client, patience: Duration) -> Result<Self, Error> {
        let connected = client.wait_for_connect();
        tokio::pin!(connected);
        // It begins to wait first, so that it does not miss the connection.
        let _ = futures::poll!(&mut connected);
        let own = Self {
            task: client.connect(),
            client: client.clone(),
        };
        match timeout(patience, connected).await {
            Ok(connected) => connected.map(|()| own),
            Err(_) => {
                let silent = format!("no answer within {patience:?}");
                Err(Error::new(ErrorKind::Timeout, silent))
            }
        }
    }
}

impl Deref for Own {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // The driver goes on by itself for a client that is gone.
        self.task.abort();
    }
}
