//! Where a store's statements run: on connections of a pool, or inside the host's transaction.

use std::fmt;

use async_trait::async_trait;
use sqlx::PgConnection;
use tokio::sync::Mutex;

use crate::error::PostgresError;
use crate::session::{Connection, Sessions, Work};

/// Where statements run. It is implemented here only.
#[async_trait]
pub trait Place: Send + Sync {
    #[doc(hidden)]
    async fn begin(&self, operation: &'static str) -> Result<Work<'_>, PostgresError>;

    /// For statements that only read.
    #[doc(hidden)]
    async fn connection(&self, operation: &'static str) -> Result<Connection<'_>, PostgresError>;

    /// The pool; none inside a transaction of the host's, whose patience is its own.
    #[doc(hidden)]
    fn sessions(&self) -> Option<&Sessions>;
}

/// On connections of a pool, in transactions of our own.
#[derive(Clone, Debug)]
pub struct Pooled(pub(crate) Sessions);

/// Inside a transaction of the host's.
pub struct Within<'c>(pub(crate) Mutex<&'c mut PgConnection>);

impl fmt::Debug for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").finish_non_exhaustive()
    }
}

#[async_trait]
impl Place for Pooled {
    async fn begin(&self, operation: &'static str) -> Result<Work<'_>, PostgresError> {
        self.0.begin(operation).await
    }

    async fn connection(&self, operation: &'static str) -> Result<Connection<'_>, PostgresError> {
        self.0.connection(operation).await.map(Connection::Pooled)
    }

    fn sessions(&self) -> Option<&Sessions> {
        Some(&self.0)
    }
}

#[async_trait]
impl Place for Within<'_> {
    async fn begin(&self, operation: &'static str) -> Result<Work<'_>, PostgresError> {
        Work::within(operation, &self.0).await
    }

    async fn connection(&self, _: &'static str) -> Result<Connection<'_>, PostgresError> {
        Ok(Connection::within(&self.0).await)
    }

    fn sessions(&self) -> Option<&Sessions> {
        None
    }
}
