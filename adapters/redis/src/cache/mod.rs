//! Availability for pages.

mod merge;
mod read;
mod scripts;
mod text;
mod write;

use std::num::NonZeroU16;
use std::time::Duration;

use async_trait::async_trait;
use stockade_catalog_core::{
    Advance, Applied, AvailabilityCache, CacheRead, CacheWrite, CatalogError, Coverage, FillStep,
    FillToken,
};
use stockade_inventory_core::{Sku, StockChanged};

use crate::client::RedisClient;
use crate::error::RedisError;
use crate::keys::{Prefix, Spread};
use crate::script::Calls;

/// Buckets on a cluster, unless another number is asked for.
const ON_A_CLUSTER: u16 = 32;
/// The most buckets.
const MOST_BUCKETS: usize = 1_024;
/// The most SKUs that one call of a script is given: a script keeps others waiting while it runs.
const CHUNK: usize = 1_000;

/// The format of what is stored. A newer one gets keys of its own, so that old and new processes run
/// beside each other.
const FORMAT: u32 = 1;

/// Availability in Redis.
///
/// On one server all entries are in one hash, with the marks and the coverage beside them, so a page
/// is one command, and every write is one step. On a cluster there are 32 such buckets, evenly spread
/// over the slots: each has the entries of its SKUs, and marks and coverage of its own, which move with
/// it to another server and are lost with it. A page reads the buckets of its SKUs, in parallel on all
/// servers, and gets the oldest of their marks; stock events are applied to every bucket.
///
/// A bucket decides by itself whether records follow what it has. One that has fallen back (a
/// failover, an old dump) finds a gap, is unfilled, and is filled again.
///
/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct RedisAvailability {
    client: RedisClient,
    timeout: Duration,
    prefix: Prefix,
    count: usize,
    buckets: Spread,
}

impl RedisAvailability {
    /// Availability over a client or pool that is connected. Each call may take a second.
    #[must_use]
    pub fn new(client: impl Into<RedisClient>) -> Self {
        let client = client.into();
        let count = if client.is_clustered() {
            ON_A_CLUSTER
        } else {
            1
        };
        Self {
            client,
            timeout: Duration::from_secs(1),
            prefix: Prefix::default(),
            count: count.into(),
            buckets: Spread::new("", 1),
        }
        .named()
    }

    /// Lets all keys begin with this.
    #[must_use]
    pub fn with_prefix(mut self, prefix: Prefix) -> Self {
        self.prefix = prefix;
        self.named()
    }

    /// Gives each call this long.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Spreads the entries over this many buckets, at most 1,024: several for each primary of a
    /// cluster, and one where there is no cluster. All processes have to agree; with another number
    /// the cache is another one, and empty.
    #[must_use]
    pub fn with_buckets(mut self, buckets: NonZeroU16) -> Self {
        self.count = usize::from(buckets.get()).min(MOST_BUCKETS);
        self.named()
    }

    fn named(mut self) -> Self {
        let name = format!("{}availability:{FORMAT}", self.prefix);
        self.buckets = Spread::new(&name, self.count);
        self
    }

    fn calls(&self) -> Calls<'_> {
        Calls::within(self.timeout, &self.client)
    }

    /// The places of items by their buckets.
    fn shares<'a>(&self, skus: impl Iterator<Item = &'a Sku>) -> Vec<Vec<usize>> {
        let mut shares = vec![Vec::new(); self.buckets.len()];
        for (place, sku) in skus.enumerate() {
            shares[self.buckets.number(sku.as_str())].push(place);
        }
        shares
    }

    fn damaged(&self, bucket: usize) -> RedisError {
        let key = self.buckets.key(bucket).as_str_lossy();
        RedisError::damaged(format!(
            "{key} has what this version does not write; delete it, and it is filled again"
        ))
    }
}

#[async_trait]
impl AvailabilityCache for RedisAvailability {
    async fn read(&self, skus: &[Sku]) -> Result<CacheRead, CatalogError> {
        Ok(self.read_all(skus).await?)
    }

    async fn apply(
        &self,
        entries: &[StockChanged],
        advances: &[Advance],
    ) -> Result<Applied, CatalogError> {
        Ok(self.apply_all(entries, advances).await?)
    }

    async fn write(&self, entries: &[StockChanged]) -> Result<Vec<CacheWrite>, CatalogError> {
        Ok(self.write_all(entries, None).await?.0)
    }

    async fn write_absent(&self, skus: &[Sku], ttl: Duration) -> Result<(), CatalogError> {
        Ok(self.absent_all(skus, ttl).await?)
    }

    async fn begin_fill(&self) -> Result<FillToken, CatalogError> {
        Ok(self.begin().await?)
    }

    async fn fill(
        &self,
        token: &FillToken,
        entries: &[StockChanged],
    ) -> Result<FillStep, CatalogError> {
        Ok(self.fill_all(token, entries).await?)
    }

    async fn end_fill(&self, token: &FillToken) -> Result<Coverage, CatalogError> {
        Ok(self.end(token).await?)
    }
}
