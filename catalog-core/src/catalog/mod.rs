//! The catalogue that a backend holds: a store, with checks of everything that is written.

mod cost;
mod limits;
mod schema;
mod telemetry;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, histogram};
use stockade_change_feed::time::{Deadline, one_for_each};
use stockade_change_feed::{Clock, SystemClock};

use self::limits::{check_product, check_wanted};
use self::schema::CompiledType;
use crate::error::CatalogError;
use crate::product::{Product, ProductId, ProductType, ProductTypeName};
use crate::store::{
    CatalogStore, Deleted, Expected, ProductKey, ProductQuery, ProductWrite, WriteEffect, Written,
};

/// Most items of one call.
const BATCH: usize = 1_000;
/// Most compiled product types that are kept.
const COMPILED: usize = 256;
/// Most memory of those, about.
const COMPILED_BYTES: usize = 16 << 20;
/// Products of a type that are read in one call.
const PAGE: NonZeroUsize = NonZeroUsize::new(200).unwrap();
/// Most products of a type that are checked when it has changed.
const SCANNED: usize = 10_000;
/// Most products that are named when a type has changed.
const NAMED: usize = 20;

/// A product catalogue: checks every write, and calls a store with a deadline.
///
/// A call of the store with a temporary error is repeated until the deadline, with growing pauses.
/// Repeating a write is safe: content that is stored already changes nothing. With
/// [`Expected::Any`], a repeated write may replace what another caller wrote in between.
///
/// Every text, list and number of a product has a limit, and its attributes must follow the JSON
/// Schema of its type. An error names the path of the field.
///
/// The work of checking is limited too. The values of a product times those of its type's schemas,
/// plus the bytes of its texts times 10 for each of their patterns, may be at most 5,000,000. A
/// reference counts as its target; a long text and a schema with `unevaluatedProperties` count as
/// several values. A product above the limit is refused. If attributes do not follow their schema,
/// and their values times the schema's are above 50,000, the error has one violation for all of
/// them.
///
/// ```
/// use std::sync::Arc;
///
/// use serde_json::json;
/// use stockade_catalog_core::memory::MemoryCatalog;
/// use stockade_catalog_core::{
///     Catalog, CatalogError, Expected, ProductContent, ProductId, ProductKey, ProductType,
///     ProductTypeName, ProductWrite, Slug,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), CatalogError> {
/// let catalog = Catalog::new(Arc::new(MemoryCatalog::new()));
/// let lamps = ProductTypeName::new("lamp")?;
/// let schema = json!({"properties": {"watts": {"type": "integer"}}});
/// catalog.put_type(ProductType::permissive(lamps.clone()).with_schema(schema)).await?;
///
/// let id = ProductId::new("desk-lamp")?;
/// let mut content = ProductContent::new(id.clone(), Slug::new("desk-lamp")?, "Desk lamp", lamps);
/// content.attributes.insert("watts".to_owned(), json!("forty"));
/// let write = ProductWrite { content: content.clone(), expected: Expected::Absent };
/// let refused = catalog.put(write).await.unwrap_err();
/// assert!(refused.to_string().contains("attributes.watts"));
///
/// content.attributes.insert("watts".to_owned(), json!(40));
/// catalog.put(ProductWrite { content, expected: Expected::Absent }).await?;
/// let found = catalog.get(&[ProductKey::Id(id)]).await?;
/// assert!(found[0].is_some());
/// # Ok(())
/// # }
/// ```
pub struct Catalog {
    store: Arc<dyn CatalogStore>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    compiled: Mutex<HashMap<ProductTypeName, Arc<CompiledType>>>,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Catalog {
    /// A catalogue over a store, with a timeout of 5 s for each operation, retries included.
    #[must_use]
    pub fn new(store: Arc<dyn CatalogStore>) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock::new()),
            timeout: Duration::from_secs(5),
            compiled: Mutex::default(),
        }
    }

    /// Sets the clock for pauses and deadlines.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the deadline for each operation of the store.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Writes a whole product; see [`CatalogStore::put`] for repeated writes.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] and [`CatalogError::SchemaViolated`] with the paths of fields;
    /// the outcomes of [`CatalogStore::put`]; [`CatalogError::Failed`].
    pub async fn put(&self, write: ProductWrite) -> Result<Written, CatalogError> {
        self.put_many(vec![write]).await?.remove(0)
    }

    /// Writes at most 1,000 products, each on its own, and returns an outcome for each. A refused
    /// product does not keep the others from being written.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for more than 1,000; [`CatalogError::Failed`] when the store
    /// failed as a whole.
    pub async fn put_many(
        &self,
        writes: Vec<ProductWrite>,
    ) -> Result<Vec<Result<Written, CatalogError>>, CatalogError> {
        check_batch("writes", writes.len())?;
        let checked = self.check_writes(&writes).await?;
        let sound: Vec<ProductWrite> = writes
            .into_iter()
            .zip(&checked)
            .filter(|(_, checked)| checked.is_ok())
            .map(|(write, _)| write)
            .collect();
        let mut stored = self.store_writes(&sound).await?.into_iter();
        let outcomes = checked.into_iter().filter_map(|checked| {
            let outcome = match checked {
                Ok(()) => stored.next()?,
                Err(error) => Err(error),
            };
            count("put", &outcome);
            Some(outcome)
        });
        Ok(outcomes.collect())
    }

    /// Deletes a product with its variants. Succeeds if there is no such product.
    ///
    /// # Errors
    /// [`CatalogError::VersionConflict`] with the current product; [`CatalogError::Failed`].
    pub async fn delete(
        &self,
        id: &ProductId,
        expected: Expected,
    ) -> Result<Deleted, CatalogError> {
        self.ask("delete", || self.store.delete(id, expected)).await
    }

    /// The product of each key, in their order; `None` when there is no such product. At most
    /// 1,000.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for more than 1,000; [`CatalogError::Failed`] and similar errors.
    pub async fn get(&self, keys: &[ProductKey]) -> Result<Vec<Option<Product>>, CatalogError> {
        check_batch("keys", keys.len())?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.ask("get", || self.store.get(keys)).await
    }

    /// A page of matching products, in the order of their ids. For the next page, set `after` to
    /// the last id of this one.
    ///
    /// The attributes of the query are at most 1 KiB as JSON.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for a limit over 1,000, and for attributes that no product can
    /// have; [`CatalogError::Failed`] and similar errors.
    pub async fn find(&self, query: &ProductQuery) -> Result<Vec<Product>, CatalogError> {
        check_batch("limit", query.limit.get())?;
        check_wanted(&query.attributes)?;
        self.ask("find", || self.store.find(query)).await
    }

    /// Creates a product type, or replaces the one with its name, and returns how many existing
    /// products do not follow it. Existing products stay as they are; their next write must follow
    /// the new schemas. They are checked within the deadline of one call, at most 10,000 of them.
    /// If there are more, the number is unknown; the type is stored in any case.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for a schema that is not a JSON Schema of draft 6 or later, is
    /// over 64 KiB or nested too deeply, has over 10,000 values or 50 patterns with its references
    /// replaced, has a pattern that is large or can not be matched in linear time, or has
    /// references that leave the schema or refer to themselves; [`CatalogError::Failed`] and
    /// similar errors. Repeating the call after an unknown outcome is safe.
    pub async fn put_type(&self, product_type: ProductType) -> Result<TypeChange, CatalogError> {
        self.compiled(&product_type)?;
        let before = self
            .types_named(std::slice::from_ref(&product_type.name))
            .await?;
        let effect = match before.into_iter().next().flatten() {
            None => WriteEffect::Created,
            Some(before) if before == product_type => WriteEffect::Unchanged,
            Some(_) => WriteEffect::Updated,
        };
        if effect != WriteEffect::Unchanged {
            self.ask("put_type", || self.store.put_type(&product_type))
                .await?;
        }
        let mut change = TypeChange {
            effect,
            nonconforming: Some(0),
            examples: Vec::new(),
        };
        if effect != WriteEffect::Created {
            // The type is stored: what is not known about products is no failure of that.
            let compiled = self.compiled(&product_type)?;
            let scan = self.nonconforming(&compiled, &product_type.name, &mut change.examples);
            let counted = self.deadline("find").bound(scan).await;
            change.nonconforming = counted.unwrap_or_else(|error| {
                tracing::warn!(%error, "products that do not follow a changed type were not counted");
                None
            });
        }
        Ok(change)
    }

    /// All product types, by name.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and similar errors.
    pub async fn types(&self) -> Result<Vec<ProductType>, CatalogError> {
        self.ask("all_types", || self.store.all_types()).await
    }
}

impl Catalog {
    /// Calls the store within the deadline.
    async fn ask<T, F>(
        &self,
        operation: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, CatalogError>
    where
        F: Future<Output = Result<T, CatalogError>>,
    {
        let deadline = self.deadline(operation);
        let outcome = self.timed(operation, deadline.repeat(call)).await;
        count(operation, &outcome);
        outcome
    }

    fn deadline(&self, operation: &'static str) -> Deadline<'_> {
        Deadline::after(self.clock.as_ref(), operation, self.timeout)
    }

    async fn timed<T>(&self, operation: &'static str, answer: impl Future<Output = T>) -> T {
        let started = self.clock.monotonic();
        let answer = answer.await;
        let took = self.clock.monotonic().saturating_sub(started);
        histogram!(telemetry::OPERATION_SECONDS, "operation" => operation).record(took);
        answer
    }

    async fn check_writes(
        &self,
        writes: &[ProductWrite],
    ) -> Result<Vec<Result<(), CatalogError>>, CatalogError> {
        let mut names: Vec<_> = writes.iter().map(|w| &w.content.product_type).collect();
        names.sort_unstable();
        names.dedup();
        let names: Vec<_> = names.into_iter().cloned().collect();
        let types = self.types_named(&names).await?;
        let types: HashMap<_, _> = names.into_iter().zip(types).collect();
        let mut checked = Vec::with_capacity(writes.len());
        for write in writes {
            checked.push(self.check_write(write, &types));
            // Checks take a while: others run between them.
            tokio::task::yield_now().await;
        }
        Ok(checked)
    }

    fn check_write(
        &self,
        write: &ProductWrite,
        types: &HashMap<ProductTypeName, Option<ProductType>>,
    ) -> Result<(), CatalogError> {
        let content = &write.content;
        check_product(content)?;
        let Some(Some(product_type)) = types.get(&content.product_type) else {
            let name = content.product_type.clone();
            return Err(CatalogError::UnknownProductType { name });
        };
        self.compiled(product_type)?.check(content)
    }

    async fn store_writes(
        &self,
        writes: &[ProductWrite],
    ) -> Result<Vec<Result<Written, CatalogError>>, CatalogError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let all: Vec<usize> = (0..writes.len()).collect();
        let put = |open: Vec<usize>| async move {
            if open.len() == writes.len() {
                return self.store.put(writes).await;
            }
            let open = open.into_iter().map(|index| writes[index].clone());
            self.store.put(&open.collect::<Vec<_>>()).await
        };
        let deadline = self.deadline("put");
        self.timed("put", deadline.repeat_each(&all, put)).await
    }

    async fn types_named(
        &self,
        names: &[ProductTypeName],
    ) -> Result<Vec<Option<ProductType>>, CatalogError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        const GET_TYPES: &str = "get_types";
        let get = || async {
            let types = self.store.get_types(names).await?;
            Ok(one_for_each(GET_TYPES, names.len(), types)?)
        };
        self.ask(GET_TYPES, get).await
    }

    /// The compiled form of a type as the store has it now, because another process may have
    /// changed it.
    fn compiled(&self, product_type: &ProductType) -> Result<Arc<CompiledType>, CatalogError> {
        let lock = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = lock().get(&product_type.name)
            && compiled.is_of(product_type)
        {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Arc::new(CompiledType::new(product_type)?);
        let mut cache = lock();
        let bytes: usize = cache.values().map(|kept| kept.bytes()).sum();
        if cache.len() >= COMPILED || bytes + compiled.bytes() > COMPILED_BYTES {
            cache.clear();
        }
        cache.insert(product_type.name.clone(), Arc::clone(&compiled));
        Ok(compiled)
    }

    /// How many products of a type do not follow it, and the first of them; `None` when there are
    /// too many to check.
    async fn nonconforming(
        &self,
        compiled: &CompiledType,
        name: &ProductTypeName,
        examples: &mut Vec<ProductId>,
    ) -> Result<Option<u64>, CatalogError> {
        let mut query = ProductQuery::first(PAGE);
        query.product_type = Some(name.clone());
        let (mut seen, mut found) = (0, 0);
        loop {
            let page = self.store.find(&query).await?;
            let Some(last) = page.last() else {
                return Ok(Some(found));
            };
            seen += page.len();
            if seen > SCANNED {
                return Ok(None);
            }
            query.after = Some(last.content.id.clone());
            for product in page {
                if compiled.check(&product.content).is_err() {
                    found += 1;
                    if examples.len() < NAMED {
                        examples.push(product.content.id);
                    }
                }
                // Checks take a while: others run between them, and the deadline is looked at.
                tokio::task::yield_now().await;
            }
        }
    }
}

/// The result of writing a product type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TypeChange {
    /// What the write did.
    pub effect: WriteEffect,
    /// How many products of the type do not follow its schemas. They stay as they are; their next
    /// write must follow the schemas. `None` when the number is unknown, because the type has over
    /// 10,000 products or the store could not list them within the deadline. Putting the type again
    /// counts them again.
    pub nonconforming: Option<u64>,
    /// The first of those products, at most 20, in the order of their ids. Only some of them when
    /// the number is unknown.
    pub examples: Vec<ProductId>,
}

fn count<T>(operation: &'static str, outcome: &Result<T, CatalogError>) {
    let outcome = telemetry::outcome(outcome);
    counter!(telemetry::OPERATIONS, "operation" => operation, "outcome" => outcome).increment(1);
}

fn check_batch(field: &str, count: usize) -> Result<(), CatalogError> {
    if count > BATCH {
        let reason = format!("at most {BATCH} products in one call are allowed");
        return Err(CatalogError::invalid(field, count.to_string(), reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
