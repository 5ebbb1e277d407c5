//! What pages ask.

use fred::types::Value;
use futures::future::try_join_all;
use stockade_catalog_core::{CacheRead, Coverage};
use stockade_inventory_core::Sku;

use crate::error::RedisError;
use crate::script::Calls;

use super::scripts::READ;
use super::{CHUNK, RedisAvailability, merge, text};

/// The fields that say how far a bucket is.
const STATE: [&str; 2] = [" marks", " filled"];

impl RedisAvailability {
    pub(super) async fn read_all(&self, skus: &[Sku]) -> Result<CacheRead, RedisError> {
        let calls = self.calls();
        let shares = self.shares(skus.iter());
        let reads = shares.iter().enumerate().flat_map(|(bucket, places)| {
            let chunks: Vec<&[usize]> = match (skus.is_empty(), places.is_empty()) {
                // Who asks for nothing gets the state of all.
                (true, _) => vec![&[][..]],
                (false, true) => Vec::new(),
                (false, false) => places.chunks(CHUNK).collect(),
            };
            chunks.into_iter().map(move |places| (bucket, places))
        });
        let reads = reads.map(async |(bucket, places)| {
            let asked = places.iter().map(|place| skus[*place].as_str());
            let reply = self.read_bucket(&calls, bucket, asked).await?;
            Ok::<_, RedisError>((bucket, places, reply))
        });
        let mut entries = vec![None; skus.len()];
        let mut state = merge::State::default();
        for (bucket, places, reply) in try_join_all(reads).await? {
            let damaged = || self.damaged(bucket);
            let ([marks, filled], found) = reply.split_first_chunk().ok_or_else(damaged)?;
            state.add(
                text::read_marks(marks).ok_or_else(damaged)?,
                coverage(filled),
            );
            for (place, found) in places.iter().zip(found) {
                entries[*place] = text::read_entry(found).ok_or_else(damaged)?;
            }
        }
        let coverage = state.coverage();
        Ok(CacheRead::new(entries, state.into_marks(), coverage))
    }

    /// The marks, whether the bucket is filled, and entries. On one server that is a plain read. A
    /// script reads where an entry says that inventory does not know a SKU, because that ends by the
    /// clock of the server, and on a cluster, where its reply has to show whose it is.
    async fn read_bucket<'a>(
        &self,
        calls: &Calls<'_>,
        bucket: usize,
        skus: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Vec<Value>, RedisError> {
        let key = self.buckets.key(bucket);
        if !self.client.is_clustered() {
            let fields = STATE.into_iter().chain(skus.clone()).map(Value::from);
            let found = calls.fields(READ.operation(), key, fields).await?;
            if !found.iter().skip(STATE.len()).any(text::is_absence) {
                return Ok(found);
            }
        }
        calls.run(&READ, key, skus.map(Value::from)).await
    }
}

fn coverage(filled: &Value) -> Coverage {
    match filled {
        Value::Null => Coverage::Unfilled,
        _ => Coverage::Filled,
    }
}
