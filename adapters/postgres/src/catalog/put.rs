//! Writes products: many in one transaction, each with its own outcome.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use stockade_catalog_core::rules::{CatalogState, Put};
use stockade_catalog_core::{
    CatalogError, Deleted, Expected, Product, ProductId, ProductTypeName, ProductWrite, Slug,
    WriteEffect, Written,
};
use stockade_inventory_core::Sku;

use super::PostgresCatalog;
use super::json::as_stored;
use super::rows::{ProductRow, damaged, product_of, version_of};
use super::write::Rows;
use crate::error::{PostgresError, failed};
use crate::session::Sessions as _;

/// Most products of one transaction.
const PRODUCTS: usize = 250;
/// Most variants of one transaction, in addition to those of the first product.
const VARIANTS: usize = 4_000;
/// How often a transaction may conflict with others before the caller gets the error.
const ATTEMPTS: usize = 20;

const PUT: &str = "put products";
const DELETE: &str = "delete product";

type Outcome = Result<Written, CatalogError>;

impl PostgresCatalog {
    /// Returns an outcome for each write of one transaction. Content that is stored already is
    /// found without a lock.
    pub(super) async fn put_chunk(
        &self,
        writes: &[ProductWrite],
    ) -> Result<Vec<Outcome>, PostgresError> {
        let ids: Vec<&ProductId> = writes.iter().map(|write| &write.content.id).collect();
        let stored = self.by_ids(&ids).await?.into_iter();
        let stored: HashMap<ProductId, Product> = stored
            .map(|product| (product.content.id.clone(), product))
            .collect();
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(writes.len());
        let mut differ = Vec::new();
        for ProductWrite { content, expected } in writes {
            let (content, expected) = (as_stored(content), *expected);
            let same = stored
                .get(&content.id)
                .filter(|stored| stored.content == content);
            outcomes.push(same.map(|same| Ok(Written::new(same.clone(), WriteEffect::Unchanged))));
            if same.is_none() {
                differ.push(ProductWrite { content, expected });
            }
        }
        if differ.is_empty() {
            return Ok(outcomes.into_iter().flatten().collect());
        }
        let mut attempt = 1;
        let changed = loop {
            let putting = async {
                let mut transaction = self.sessions.begin(PUT).await?;
                let put = self.put_locked(transaction.connection(), &differ).await;
                transaction.end(put).await
            };
            match self.sessions.in_time(PUT, putting).await {
                Err(error) if error.is_lost() && attempt < ATTEMPTS => attempt += 1,
                ended => break ended?,
            }
        };
        let mut changed = changed.into_iter();
        let outcome = |same: Option<Outcome>| same.or_else(|| changed.next());
        Ok(outcomes.into_iter().filter_map(outcome).collect())
    }

    /// Decides writes on locked rows, and writes the rows that differ.
    async fn put_locked(
        &self,
        connection: &mut PgConnection,
        writes: &[ProductWrite],
    ) -> Result<Vec<Outcome>, PostgresError> {
        let ids: Vec<&ProductId> = writes.iter().map(|write| &write.content.id).collect();
        self.register(connection, &ids).await?;
        let mut state = self.load(connection, writes, &ids).await?;
        let mut decisions = Vec::with_capacity(writes.len());
        for ProductWrite { content, expected } in writes {
            let decision = state.decide_put(content.clone(), *expected);
            if let Ok(Put::Change(change)) = &decision {
                // Versions are drawn for all of them together. No product is written twice here.
                state.apply(change, 0);
            }
            decisions.push(decision);
        }
        let changes = decisions.iter();
        let changes = changes.filter(|decision| matches!(decision, Ok(Put::Change(_))));
        let mut versions = self.draw(connection, changes.count()).await?.into_iter();
        let mut rows = Rows::default();
        let mut outcomes = Vec::with_capacity(decisions.len());
        for decision in decisions {
            outcomes.push(match decision {
                Ok(Put::Unchanged(product)) => Ok(Written::new(*product, WriteEffect::Unchanged)),
                Ok(Put::Change(change)) => {
                    let version = versions.next().unwrap_or_default();
                    rows.add(&change, version);
                    Ok(change.written(version_of(version)?))
                }
                Err(refusal) => Err(refusal),
            });
        }
        rows.write(connection, &self.statements).await?;
        Ok(outcomes)
    }

    pub(super) async fn delete_one(
        &self,
        id: &ProductId,
        expected: Expected,
    ) -> Result<Deleted, CatalogError> {
        let mut attempt = 1;
        loop {
            let deleting = async {
                let mut transaction = self.sessions.begin(DELETE).await?;
                let connection = transaction.connection();
                let deleted = self.delete_locked(connection, id, expected).await;
                transaction.end(deleted).await
            };
            match self.sessions.in_time(DELETE, deleting).await {
                Err(error) if error.is_lost() && attempt < ATTEMPTS => attempt += 1,
                ended => return ended?,
            }
        }
    }

    async fn delete_locked(
        &self,
        connection: &mut PgConnection,
        id: &ProductId,
        expected: Expected,
    ) -> Result<Result<Deleted, CatalogError>, PostgresError> {
        self.lock(connection, &[id]).await?;
        let mut state = CatalogState::default();
        for product in self.stored(connection, &[id]).await? {
            state.add_product(product);
        }
        match state.decide_delete(id, expected) {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(Ok(Deleted::Absent)),
            Err(conflict) => return Ok(Err(conflict)),
        }
        let statements = &self.statements;
        // Variants before what they belong to.
        for statement in [&statements.delete_variants_of, &statements.delete_product] {
            let delete = sqlx::query(statement.clone()).bind(id.as_str());
            let deleted = delete.execute(&mut *connection).await;
            deleted.map_err(failed(DELETE))?;
        }
        Ok(Ok(Deleted::Removed))
    }

    /// Locks the ids of products, including those that do not exist. All writers lock in the same
    /// order, so that they do not deadlock.
    async fn register(
        &self,
        connection: &mut PgConnection,
        ids: &[&ProductId],
    ) -> Result<(), PostgresError> {
        let names: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
        let registering = sqlx::query(self.statements.register.clone()).bind(names);
        let registered = registering.execute(&mut *connection).await;
        registered.map_err(failed(PUT))?;
        self.lock(connection, ids).await
    }

    async fn lock(
        &self,
        connection: &mut PgConnection,
        ids: &[&ProductId],
    ) -> Result<(), PostgresError> {
        let names: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
        let locking = sqlx::query(self.statements.lock.clone()).bind(names);
        let locked = locking.execute(&mut *connection).await;
        locked.map(drop).map_err(failed(PUT))
    }

    async fn stored(
        &self,
        connection: &mut PgConnection,
        ids: &[&ProductId],
    ) -> Result<Vec<Product>, PostgresError> {
        let names: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
        let query = sqlx::query_as::<_, ProductRow>(self.statements.get_ids.clone());
        let query = query.bind(names);
        let rows = query.fetch_all(&mut *connection).await;
        let rows = rows.map_err(failed(PUT))?;
        rows.into_iter().map(product_of).collect()
    }

    /// Loads the rows that the writes are decided on. Call it after their products are locked.
    async fn load(
        &self,
        connection: &mut PgConnection,
        writes: &[ProductWrite],
        ids: &[&ProductId],
    ) -> Result<CatalogState, PostgresError> {
        let mut state = CatalogState::default();
        for product in self.stored(connection, ids).await? {
            state.add_product(product);
        }
        let contents = writes.iter().map(|write| &write.content);
        let slugs: Vec<&str> = contents.clone().map(|c| c.slug.as_str()).collect();
        let types: HashSet<&str> = contents.clone().map(|c| c.product_type.as_str()).collect();
        let variants = contents.flat_map(|content| &content.variants);
        let skus: Vec<&str> = variants.map(|variant| variant.sku.as_str()).collect();
        let query = sqlx::query_as(self.statements.neighbours.clone());
        let query = query.bind(slugs).bind(skus);
        let query = query.bind(types.into_iter().collect::<Vec<_>>());
        let rows = query.fetch_all(&mut *connection).await;
        let rows: Vec<(String, String, String)> = rows.map_err(failed(PUT))?;
        for (kind, name, owner) in rows {
            if kind == "type" {
                state.add_type(ProductTypeName::new(name).map_err(damaged)?);
                continue;
            }
            let owner = ProductId::new(owner).map_err(damaged)?;
            if kind == "slug" {
                state.add_slug(Slug::new(name).map_err(damaged)?, owner);
            } else {
                state.add_sku(Sku::new(name).map_err(damaged)?, owner);
            }
        }
        Ok(state)
    }

    /// Takes this many rising versions.
    async fn draw(
        &self,
        connection: &mut PgConnection,
        count: usize,
    ) -> Result<Vec<i64>, PostgresError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let drawing = sqlx::query_scalar(self.statements.versions.clone()).bind(count);
        let drawn = drawing.fetch_all(&mut *connection).await;
        drawn.map_err(failed(PUT))
    }
}

/// How many of the next writes go into one transaction: no product twice, so that each write is
/// decided on the result of the one before.
pub(super) fn chunk_size(writes: &[ProductWrite]) -> usize {
    let mut ids = HashSet::new();
    let mut variants = 0;
    for write in writes.iter().take(PRODUCTS) {
        variants += write.content.variants.len();
        let room = ids.is_empty() || variants <= VARIANTS;
        if !room || !ids.insert(&write.content.id) {
            break;
        }
    }
    ids.len()
}
