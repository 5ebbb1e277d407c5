//! The suites of a store of products.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgPool;
use stockade_catalog_core::CatalogStore;
use stockade_postgres::PostgresCatalog;
use stockade_testkit::catalog::CatalogHarness;
use stockade_testkit::{Absent, Harness, Reopen};

use crate::harness::{OwnSchema, pool, url};

/// Products in a schema of their own.
pub(crate) struct Postgres {
    pub(crate) pool: PgPool,
    pub(crate) store: Arc<PostgresCatalog>,
    schema: OwnSchema,
}

#[async_trait]
impl Harness for Postgres {
    const BACKEND: &'static str = "postgres";

    async fn open() -> Result<Self, Absent> {
        Ok(Self::over(OwnSchema::new(url()?)).await)
    }
}

impl Postgres {
    async fn over(schema: OwnSchema) -> Self {
        let pool = pool(&schema.url).await;
        let store = PostgresCatalog::new(pool.clone()).with_schema(schema.name.clone());
        store.migrate().await.unwrap();
        let store = Arc::new(store);
        Self {
            pool,
            store,
            schema,
        }
    }
}

impl CatalogHarness for Postgres {
    fn store(&self) -> Arc<dyn CatalogStore> {
        self.store.clone()
    }
}

#[async_trait]
impl Reopen for Postgres {
    async fn reopen(self) -> Self {
        let Self {
            pool,
            store,
            schema,
        } = self;
        drop(store);
        pool.close().await;
        Self::over(schema).await
    }
}

stockade_testkit::catalog_store_conformance!(postgres, Postgres);
stockade_testkit::catalog_reopen_conformance!(postgres_reopened, Postgres);
