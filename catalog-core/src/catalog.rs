//! The catalogue as an embedding backend holds it: a store behind the rules for what is written.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stockade_change_feed::Cause;

use crate::deadline::within;
use crate::error::CatalogError;
use crate::limits::{check_attributes, check_product};
use crate::product::{Product, ProductId, ProductType, ProductTypeName};
use crate::schema::CompiledType;
use crate::store::{
    CatalogStore, Deleted, Expected, ProductKey, ProductQuery, ProductWrite, WriteEffect, Written,
};

/// Most items of one call.
const BATCH: usize = 1_000;
/// Most compiled product types that are kept.
const COMPILED: usize = 256;
/// Products of a type that are looked at in one call.
const PAGE: usize = 200;
/// Most products named where a type has changed.
const NAMED: usize = 20;

/// A product catalogue: checks what is written, and asks a store within a deadline.
///
/// Every text, list and number of a product is bounded, and its attributes follow the JSON Schema
/// of its type. What is refused is refused with the path of the field.
pub struct Catalog {
    store: Arc<dyn CatalogStore>,
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
    /// A catalogue over a store, which is given 5 s for each call.
    #[must_use]
    pub fn new(store: Arc<dyn CatalogStore>) -> Self {
        Self {
            store,
            timeout: Duration::from_secs(5),
            compiled: Mutex::default(),
        }
    }

    /// With another deadline for each call of the store.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Writes a product whole; see [`CatalogStore::put`] for what repeating it does.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] and [`CatalogError::SchemaViolated`] with the paths of fields;
    /// the outcomes of [`CatalogStore::put`]; [`CatalogError::Timeout`].
    pub async fn put(&self, write: ProductWrite) -> Result<Written, CatalogError> {
        let mut outcomes = self.put_many(vec![write]).await;
        outcomes.pop().unwrap_or_else(|| Err(no_outcome("put")))
    }

    /// Writes at most 1,000 products, each for itself, and returns an outcome for each. Those
    /// that are refused keep no other from being written.
    pub async fn put_many(&self, writes: Vec<ProductWrite>) -> Vec<Result<Written, CatalogError>> {
        if let Err(error) = check_batch("writes", writes.len()) {
            return writes.iter().map(|_| Err(error.clone())).collect();
        }
        let checked = self.check_writes(&writes).await;
        let sound: Vec<ProductWrite> = writes
            .into_iter()
            .zip(&checked)
            .filter(|(_, checked)| checked.is_ok())
            .map(|(write, _)| write)
            .collect();
        let mut stored = self.store_writes(&sound).await.into_iter();
        checked
            .into_iter()
            .map(|checked| {
                checked?;
                stored.next().unwrap_or_else(|| Err(no_outcome("put")))
            })
            .collect()
    }

    /// Deletes a product with its variants; what is not there is deleted already.
    ///
    /// # Errors
    /// [`CatalogError::VersionConflict`] with the current product; [`CatalogError::Timeout`].
    pub async fn delete(
        &self,
        id: &ProductId,
        expected: Expected,
    ) -> Result<Deleted, CatalogError> {
        within("delete", self.timeout, self.store.delete(id, expected)).await
    }

    /// The product of each key, in their order; `None` for what is not there. At most 1,000.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for more; [`CatalogError::Unavailable`] and the like.
    pub async fn get(&self, keys: &[ProductKey]) -> Result<Vec<Option<Product>>, CatalogError> {
        check_batch("keys", keys.len())?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        within("get", self.timeout, self.store.get(keys)).await
    }

    /// A page of products that match, in the order of their ids. The next page comes after the
    /// last id of this one.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for a limit that is not 1 to 1,000, and for attributes that no
    /// product can have; [`CatalogError::Unavailable`] and the like.
    pub async fn find(&self, query: &ProductQuery) -> Result<Vec<Product>, CatalogError> {
        if query.limit == 0 || query.limit > BATCH {
            let reason = format!("it has to be 1 to {BATCH}");
            return Err(CatalogError::invalid(
                "limit",
                query.limit.to_string(),
                reason,
            ));
        }
        check_attributes("attributes", &query.attributes)?;
        within("find", self.timeout, self.store.find(query)).await
    }

    /// Writes a product type in place of the one of its name, and says what that means for the
    /// products there are: they stay as they are, and their next write has to follow the new
    /// schemas.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for a schema that is no JSON Schema of draft 6 or later, is over
    /// 64 KiB or nested too deeply, has a pattern that can't be matched in linear time, or has
    /// references that leave the schema or lead back to themselves;
    /// [`CatalogError::Unavailable`] and the like. Repeating it after an unknown outcome is safe.
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
            within("put_type", self.timeout, self.store.put_type(&product_type)).await?;
        }
        self.nonconforming(&product_type, effect).await
    }

    /// All product types, by name.
    ///
    /// # Errors
    /// [`CatalogError::Unavailable`] and the like.
    pub async fn types(&self) -> Result<Vec<ProductType>, CatalogError> {
        within("all_types", self.timeout, self.store.all_types()).await
    }
}

impl Catalog {
    async fn check_writes(&self, writes: &[ProductWrite]) -> Vec<Result<(), CatalogError>> {
        let mut names: Vec<_> = writes.iter().map(|w| &w.content.product_type).collect();
        names.sort_unstable();
        names.dedup();
        let names: Vec<_> = names.into_iter().cloned().collect();
        let types = match self.types_named(&names).await {
            Ok(types) => names.into_iter().zip(types).collect::<HashMap<_, _>>(),
            Err(error) => return writes.iter().map(|_| Err(error.clone())).collect(),
        };
        writes
            .iter()
            .map(|write| self.check_write(write, &types))
            .collect()
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

    async fn store_writes(&self, writes: &[ProductWrite]) -> Vec<Result<Written, CatalogError>> {
        if writes.is_empty() {
            return Vec::new();
        }
        let call = async { Ok(self.store.put(writes).await) };
        match within("put", self.timeout, call).await {
            Ok(outcomes) => outcomes,
            Err(error) => writes.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn types_named(
        &self,
        names: &[ProductTypeName],
    ) -> Result<Vec<Option<ProductType>>, CatalogError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        within("get_types", self.timeout, self.store.get_types(names)).await
    }

    /// The compiled form of a type as the store has it now: another process may have changed it.
    fn compiled(&self, product_type: &ProductType) -> Result<Arc<CompiledType>, CatalogError> {
        let lock = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = lock().get(&product_type.name)
            && compiled.is_of(product_type)
        {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Arc::new(CompiledType::new(product_type)?);
        let mut cache = lock();
        if cache.len() >= COMPILED {
            cache.clear();
        }
        cache.insert(product_type.name.clone(), Arc::clone(&compiled));
        Ok(compiled)
    }

    async fn nonconforming(
        &self,
        product_type: &ProductType,
        effect: WriteEffect,
    ) -> Result<TypeChange, CatalogError> {
        let mut change = TypeChange {
            effect,
            nonconforming: 0,
            examples: Vec::new(),
        };
        if effect == WriteEffect::Created {
            return Ok(change);
        }
        let compiled = self.compiled(product_type)?;
        let mut query = ProductQuery::first(PAGE);
        query.product_type = Some(product_type.name.clone());
        loop {
            let page = within("find", self.timeout, self.store.find(&query)).await?;
            for product in &page {
                if compiled.check(&product.content).is_err() {
                    change.nonconforming += 1;
                    if change.examples.len() < NAMED {
                        change.examples.push(product.content.id.clone());
                    }
                }
            }
            match page.last() {
                Some(last) => query.after = Some(last.content.id.clone()),
                None => return Ok(change),
            }
        }
    }
}

/// What a new product type, or a new version of one, means for the products there are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TypeChange {
    /// What the write did.
    pub effect: WriteEffect,
    /// How many products of the type do not follow its schemas. They stay as they are, and their
    /// next write has to follow them.
    pub nonconforming: u64,
    /// The first of those, at most 20, in the order of their ids.
    pub examples: Vec<ProductId>,
}

fn check_batch(field: &str, count: usize) -> Result<(), CatalogError> {
    if count > BATCH {
        let reason = format!("at most {BATCH} at once are allowed");
        return Err(CatalogError::invalid(field, count.to_string(), reason));
    }
    Ok(())
}

/// A store that returns fewer outcomes than writes breaks its trait's rule.
fn no_outcome(operation: &'static str) -> CatalogError {
    CatalogError::Backend {
        operation,
        source: Cause::new("the store returned fewer outcomes than it was given items"),
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
