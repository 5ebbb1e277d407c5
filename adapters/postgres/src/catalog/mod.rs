//! Products and their types.

mod json;
mod put;
mod rows;
mod statements;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use sqlx::types::Json;
use sqlx::{PgPool, SqlStr};
use stockade_catalog_core::{
    CatalogError, CatalogStore, Deleted, Expected, Product, ProductId, ProductKey, ProductQuery,
    ProductType, ProductTypeName, ProductWrite, Written,
};

use self::put::chunk_size;
use self::rows::{ProductRow, TypeRow, product_of, type_of};
use self::statements::Statements;
use crate::error::{PostgresError, committing, failed};
use crate::migrate::{Component, migrate};
use crate::names::Schema;
use crate::session::{Pooled, Sessions as _, Timeouts};

/// Products in Postgres. Clones share one store.
///
/// - A write locks the product's row in `product_ids`, which is never deleted, and then takes a
///   version. So writes of one product are made one after the other. When writes race for a slug or
///   a SKU, the later one is decided again.
/// - Many products are written in a few transactions, with a constant number of statements each.
/// - A product and its variants are read by one statement, and so from one snapshot.
/// - Attributes are JSONB, which keeps the value of a number but not its notation: see the crate's
///   README.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use stockade_catalog_core::{CatalogStore, ProductId, ProductKey};
/// use stockade_postgres::{PostgresCatalog, connect};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresCatalog::new(connect("postgres://shop@localhost/shop").await?);
/// store.migrate().await?;
/// // A backend writes through `Catalog`, which checks products against their types.
/// let found = store.get(&[ProductKey::Id(ProductId::new("desk-lamp")?)]).await?;
/// println!("{:?}", found[0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresCatalog {
    sessions: Pooled,
    schema: Schema,
    statements: Arc<Statements>,
}

impl PostgresCatalog {
    /// A store over a pool of the host, in the schema `catalog`.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let schema = Component::Catalog.schema();
        Self {
            sessions: Pooled::new(pool),
            statements: Arc::new(Statements::new(&schema)),
            schema,
        }
    }

    /// Sets the schema.
    #[must_use]
    pub fn with_schema(mut self, schema: Schema) -> Self {
        self.statements = Arc::new(Statements::new(&schema));
        self.schema = schema;
        self
    }

    /// Sets the timeouts.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.sessions.timeouts = timeouts;
        self
    }

    /// Brings the tables up to date; see [`migrate`](crate::migrate()).
    ///
    /// # Errors
    /// As for `migrate`.
    pub async fn migrate(&self) -> Result<(), PostgresError> {
        migrate(&self.sessions.pool, Component::Catalog, &self.schema).await
    }

    /// The schema of the tables.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Runs a statement that returns products.
    async fn products(
        &self,
        operation: &'static str,
        query: QueryAs<'_, sqlx::Postgres, ProductRow, PgArguments>,
    ) -> Result<Vec<Product>, PostgresError> {
        let reading = async {
            let mut connection = self.sessions.connection(operation).await?;
            let rows = query.fetch_all(&mut *connection).await;
            let rows = rows.map_err(failed(operation))?;
            rows.into_iter().map(product_of).collect()
        };
        self.sessions.in_time(operation, reading).await
    }

    /// Finds products by the index of attributes if the query has attributes, and in the order of
    /// ids if not.
    fn find_statement(&self, query: &ProductQuery) -> &SqlStr {
        match &query.product_type {
            _ if !query.attributes.is_empty() => &self.statements.find,
            Some(_) => &self.statements.list_type,
            None => &self.statements.list,
        }
    }

    /// The server's plan for a query: `EXPLAIN` of the statement that [`find`](CatalogStore::find)
    /// runs.
    ///
    /// # Errors
    /// As for `find`.
    pub async fn explain_find(&self, query: &ProductQuery) -> Result<String, PostgresError> {
        const OPERATION: &str = "explain";
        let statement = format!("EXPLAIN {}", self.find_statement(query).as_str());
        let explain = sqlx::query_as(sqlx::AssertSqlSafe(statement));
        let explain: QueryAs<'_, _, (String,), _> = bind_find(explain, query);
        let mut connection = self.sessions.connection(OPERATION).await?;
        let lines = explain.fetch_all(&mut *connection).await;
        let lines = lines.map_err(failed(OPERATION))?.into_iter();
        Ok(lines.map(|(line,)| line + "\n").collect())
    }

    async fn by_ids(&self, ids: &[&ProductId]) -> Result<Vec<Product>, PostgresError> {
        let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
        let query = sqlx::query_as(self.statements.get_ids.clone()).bind(ids);
        self.products("read products", query).await
    }

    async fn types(
        &self,
        query: QueryAs<'_, sqlx::Postgres, TypeRow, PgArguments>,
    ) -> Result<Vec<ProductType>, PostgresError> {
        const OPERATION: &str = "read product types";
        let reading = async {
            let mut connection = self.sessions.connection(OPERATION).await?;
            let rows = query.fetch_all(&mut *connection).await;
            let rows = rows.map_err(failed(OPERATION))?;
            rows.into_iter().map(type_of).collect()
        };
        self.sessions.in_time(OPERATION, reading).await
    }
}

#[async_trait]
impl CatalogStore for PostgresCatalog {
    async fn put(
        &self,
        writes: &[ProductWrite],
    ) -> Result<Vec<Result<Written, CatalogError>>, CatalogError> {
        let mut outcomes = Vec::with_capacity(writes.len());
        let mut rest = writes;
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(chunk_size(rest));
            rest = others;
            match self.put_chunk(chunk).await {
                Ok(chunk) => outcomes.extend(chunk),
                // The server refuses one of them: the others need not fail with it.
                Err(error) if chunk.len() > 1 && error.is_refusal() => {
                    for write in chunk {
                        let outcome = self.put_chunk(std::slice::from_ref(write)).await;
                        outcomes.extend(outcome.unwrap_or_else(|error| vec![Err(error.into())]));
                    }
                }
                Err(error) if chunk.len() == writes.len() => return Err(error.into()),
                Err(error) => outcomes.extend(chunk.iter().map(|_| Err(error.clone().into()))),
            }
        }
        Ok(outcomes)
    }

    async fn delete(&self, id: &ProductId, expected: Expected) -> Result<Deleted, CatalogError> {
        self.delete_one(id, expected).await
    }

    async fn get(&self, keys: &[ProductKey]) -> Result<Vec<Option<Product>>, CatalogError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (mut ids, mut slugs, mut skus) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            match key {
                ProductKey::Id(id) => ids.push(id.as_str()),
                ProductKey::Slug(slug) => slugs.push(slug.as_str()),
                ProductKey::Sku(sku) => skus.push(sku.as_str()),
            }
        }
        let query = match (ids.len(), slugs.len(), skus.len()) {
            // A page asks by one kind of key, and need not pay for the others.
            (_, 0, 0) => sqlx::query_as(self.statements.get_ids.clone()).bind(ids),
            (0, _, 0) => sqlx::query_as(self.statements.get_slugs.clone()).bind(slugs),
            (0, 0, _) => sqlx::query_as(self.statements.get_skus.clone()).bind(skus),
            _ => {
                let query = sqlx::query_as(self.statements.get.clone());
                query.bind(ids).bind(slugs).bind(skus)
            }
        };
        let found = self.products("read products", query).await?;

        let mut by_key: HashMap<ProductKey, usize> = HashMap::new();
        for (index, product) in found.iter().enumerate() {
            let content = &product.content;
            by_key.insert(ProductKey::Id(content.id.clone()), index);
            by_key.insert(ProductKey::Slug(content.slug.clone()), index);
            for variant in &content.variants {
                by_key.insert(ProductKey::Sku(variant.sku.clone()), index);
            }
        }
        let product = |key| by_key.get(key).map(|&index| found[index].clone());
        Ok(keys.iter().map(product).collect())
    }

    async fn find(&self, query: &ProductQuery) -> Result<Vec<Product>, CatalogError> {
        let statement = self.find_statement(query).clone();
        let found = bind_find(sqlx::query_as(statement), query);
        Ok(self.products("find products", found).await?)
    }

    async fn put_type(&self, product_type: &ProductType) -> Result<(), CatalogError> {
        const OPERATION: &str = "put product type";
        let ProductType {
            name,
            schema,
            variant_schema,
        } = product_type;
        let writing = async {
            let mut connection = self.sessions.connection(OPERATION).await?;
            let written = sqlx::query(self.statements.put_type.clone())
                .bind(name.as_str())
                .bind(Json(schema))
                .bind(Json(variant_schema))
                .execute(&mut *connection)
                .await;
            written.map(drop).map_err(committing(OPERATION))
        };
        Ok(self.sessions.in_time(OPERATION, writing).await?)
    }

    async fn get_types(
        &self,
        names: &[ProductTypeName],
    ) -> Result<Vec<Option<ProductType>>, CatalogError> {
        let wanted: Vec<&str> = names.iter().map(ProductTypeName::as_str).collect();
        let query = sqlx::query_as(self.statements.get_types.clone()).bind(wanted);
        let found = self.types(query).await?.into_iter();
        let found: HashMap<_, _> = found.map(|found| (found.name.clone(), found)).collect();
        Ok(names.iter().map(|name| found.get(name).cloned()).collect())
    }

    async fn all_types(&self) -> Result<Vec<ProductType>, CatalogError> {
        let query = sqlx::query_as(self.statements.all_types.clone());
        Ok(self.types(query).await?)
    }
}

/// Binds the parameters of the statement for this query.
fn bind_find<'q, T>(
    statement: QueryAs<'q, sqlx::Postgres, T, PgArguments>,
    query: &'q ProductQuery,
) -> QueryAs<'q, sqlx::Postgres, T, PgArguments> {
    let after = query.after.as_ref().map_or("", ProductId::as_str);
    let limit = i64::try_from(query.limit.get()).unwrap_or(i64::MAX);
    let of_type = query.product_type.as_ref().map(ProductTypeName::as_str);
    let bound = statement.bind(after).bind(limit);
    if !query.attributes.is_empty() {
        bound.bind(Json(&query.attributes)).bind(of_type)
    } else if of_type.is_some() {
        bound.bind(of_type)
    } else {
        bound
    }
}
