//! Writing products: many in one transaction, each for itself.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use stockade_catalog_core::{
    CatalogError, Deleted, Expected, Product, ProductId, ProductTypeName, ProductWrite, Slug,
    WriteEffect, Written,
};
use stockade_inventory_core::Sku;

use super::PostgresCatalog;
use super::decide::{Decision, Known, check_expected, unchanged};
use super::json::as_stored;
use super::rows::{ProductRow, damaged, product_of, version_of};
use super::write::Rows;
use crate::error::{PostgresError, failed};
use crate::session::Sessions as _;

/// Most products of one transaction.
const PRODUCTS: usize = 250;
/// Most variants of one transaction, past the first product.
const VARIANTS: usize = 4_000;
/// How often a transaction may lose against others before the caller is told.
const ATTEMPTS: usize = 20;

const PUT: &str = "put products";
const DELETE: &str = "delete product";

type Outcome = Result<Written, CatalogError>;

impl PostgresCatalog {
    pub(super) async fn put_all(
        &self,
        writes: &[ProductWrite],
    ) -> Result<Vec<Outcome>, CatalogError> {
        let mut outcomes = Vec::with_capacity(writes.len());
        let mut rest = writes;
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(chunk_size(rest));
            match self.put_chunk(chunk).await {
                Ok(chunk) => outcomes.extend(chunk),
                Err(error) if chunk.len() == writes.len() => return Err(error.into()),
                Err(error) => outcomes.extend(chunk.iter().map(|_| Err(error.clone().into()))),
            }
            rest = others;
        }
        Ok(outcomes)
    }

    async fn put_chunk(&self, writes: &[ProductWrite]) -> Result<Vec<Outcome>, PostgresError> {
        let failure = match self.try_chunk(writes).await {
            Ok(outcomes) => return Ok(outcomes),
            Err(failure) => failure,
        };
        let refused = matches!(&failure, PostgresError::Failed(why) if why.retry() == stockade_change_feed::Retry::Never);
        if writes.len() == 1 || !refused {
            return Err(failure);
        }
        // The server refuses one of them: the others need not fail with it.
        let mut outcomes = Vec::with_capacity(writes.len());
        for write in writes {
            let outcome = self.try_chunk(std::slice::from_ref(write)).await;
            outcomes.extend(outcome.unwrap_or_else(|error| vec![Err(error.into())]));
        }
        Ok(outcomes)
    }

    /// An outcome for each write. What is stored already is found without a lock.
    async fn try_chunk(&self, writes: &[ProductWrite]) -> Result<Vec<Outcome>, PostgresError> {
        let ids: Vec<&ProductId> = writes.iter().map(|write| &write.content.id).collect();
        let stored = by_id(self.by_ids(&ids).await?);
        let mut same: Vec<Option<Product>> = Vec::with_capacity(writes.len());
        for ProductWrite { content, .. } in writes {
            let stored = stored.get(&content.id);
            same.push(stored.and_then(|stored| unchanged(Some(stored), &as_stored(content))));
        }
        let differ = writes.iter().zip(&same);
        let differ: Vec<&ProductWrite> = differ
            .filter(|(_, same)| same.is_none())
            .map(|(write, _)| write)
            .collect();
        let mut changed = self.put_changed(&differ).await?.into_iter();
        let outcome = |same: Option<Product>| match same {
            Some(product) => Some(Ok(Written::new(product, WriteEffect::Unchanged))),
            None => changed.next(),
        };
        Ok(same.into_iter().filter_map(outcome).collect())
    }

    async fn put_changed(&self, writes: &[&ProductWrite]) -> Result<Vec<Outcome>, PostgresError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let mut attempt = 1;
        loop {
            let put = self.sessions.in_time(PUT, self.put_once(writes)).await;
            match put {
                Err(error) if error.is_lost() && attempt < ATTEMPTS => attempt += 1,
                ended => return ended,
            }
        }
    }

    async fn put_once(&self, writes: &[&ProductWrite]) -> Result<Vec<Outcome>, PostgresError> {
        let mut work = self.sessions.begin(PUT).await?;
        let done = self.put_within(work.connection(), writes).await;
        work.end(done).await
    }

    async fn put_within(
        &self,
        connection: &mut PgConnection,
        writes: &[&ProductWrite],
    ) -> Result<Vec<Outcome>, PostgresError> {
        let ids: Vec<&ProductId> = writes.iter().map(|write| &write.content.id).collect();
        self.register(connection, &ids).await?;
        let known = self.known(connection, writes, &ids).await?;
        let decisions = known.decide(writes);
        let changes = decisions
            .iter()
            .filter(|decision| matches!(decision, Decision::Change(_)))
            .count();
        let versions = self.draw(connection, changes).await?;

        let mut versions = versions.into_iter();
        let mut rows = Rows::default();
        let mut outcomes = Vec::with_capacity(decisions.len());
        for decision in decisions {
            outcomes.push(match decision {
                Decision::Unchanged(product) => Ok(Written::new(*product, WriteEffect::Unchanged)),
                Decision::Refused(refusal) => Err(refusal),
                Decision::Change(change) => {
                    let version = versions.next().unwrap_or_default();
                    rows.add(&change, version);
                    Ok(change.written(version_of(version)?))
                }
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
                let mut work = self.sessions.begin(DELETE).await?;
                let done = self.delete_within(work.connection(), id, expected).await;
                work.end(done).await
            };
            match self.sessions.in_time(DELETE, deleting).await {
                Err(error) if error.is_lost() && attempt < ATTEMPTS => attempt += 1,
                ended => return ended?,
            }
        }
    }

    async fn delete_within(
        &self,
        connection: &mut PgConnection,
        id: &ProductId,
        expected: Expected,
    ) -> Result<Result<Deleted, CatalogError>, PostgresError> {
        self.lock(connection, &[id]).await?;
        let Some(stored) = self.stored(connection, &[id]).await?.pop() else {
            return Ok(Ok(Deleted::Absent));
        };
        if let Err(conflict) = check_expected(id, Some(&stored), expected) {
            return Ok(Err(conflict));
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

    /// Locks products, whether they are there or not: in one order, so that nobody waits in a
    /// circle.
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

    /// What the writes will be held against. To be read after their products are locked.
    async fn known(
        &self,
        connection: &mut PgConnection,
        writes: &[&ProductWrite],
        ids: &[&ProductId],
    ) -> Result<Known, PostgresError> {
        let mut known = Known {
            products: by_id(self.stored(connection, ids).await?),
            ..Known::default()
        };
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
                let name = ProductTypeName::new(name).map_err(damaged)?;
                known.types.insert(name);
                continue;
            }
            let owner = ProductId::new(owner).map_err(damaged)?;
            if kind == "slug" {
                known.slugs.insert(Slug::new(name).map_err(damaged)?, owner);
            } else {
                let sku = Sku::new(name).map_err(damaged)?;
                known.sku_owners.insert(sku, owner);
            }
        }
        Ok(known)
    }

    /// So many versions, rising.
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

/// How many of the next writes go into one transaction: no product twice, so that each is decided
/// on what the one before left.
fn chunk_size(writes: &[ProductWrite]) -> usize {
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

fn by_id(stored: Vec<Product>) -> HashMap<ProductId, Product> {
    let stored = stored.into_iter();
    stored
        .map(|product| (product.content.id.clone(), product))
        .collect()
}
