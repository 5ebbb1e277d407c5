//! A connection, of the pool or the host's.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tokio::time::timeout;

/// A connection of the pool, or that of the host's transaction.
pub struct Connection<'a>(Link<'a>);

enum Link<'a> {
    Pooled {
        /// Present until the drop.
        connection: Option<PoolConnection<Postgres>>,
        closing: bool,
    },
    Host(MappedMutexGuard<'a, PgConnection>),
}

const THERE: &str = "a connection is taken only when it is dropped";

impl<'a> Connection<'a> {
    /// Healthy servers answer within this time; only abandoned statements take longer.
    const ANSWER: Duration = Duration::from_secs(1);

    pub(super) fn pooled(connection: PoolConnection<Postgres>) -> Self {
        Self(Link::Pooled {
            connection: Some(connection),
            closing: false,
        })
    }

    pub(super) async fn of_host(connection: &'a Mutex<&mut PgConnection>) -> Self {
        let connection = connection.lock().await;
        Self(Link::Host(MutexGuard::map(connection, |held| &mut **held)))
    }

    pub(super) fn is_of_host(&self) -> bool {
        matches!(self.0, Link::Host(_))
    }

    /// Whether to close the connection when it is dropped, instead of returning it to the pool. The
    /// host's connection stays open.
    pub(super) fn close(&mut self, close: bool) {
        if let Link::Pooled { closing, .. } = &mut self.0 {
            *closing = close;
        }
    }
}

/// The driver returns a connection to the pool after the server has answered. Without a deadline it
/// would wait for ever, and the pool would have one connection less.
impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let Link::Pooled {
            connection,
            closing,
        } = &mut self.0
        else {
            return;
        };
        let Some(mut connection) = connection.take() else {
            return;
        };
        if *closing {
            connection.close_on_drop();
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(timeout(Self::ANSWER, connection.return_to_pool()));
        }
    }
}

impl Deref for Connection<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match &self.0 {
            Link::Pooled { connection, .. } => connection.as_ref().expect(THERE),
            Link::Host(connection) => connection,
        }
    }
}

impl DerefMut for Connection<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match &mut self.0 {
            Link::Pooled { connection, .. } => connection.as_mut().expect(THERE),
            Link::Host(connection) => connection,
        }
    }
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
