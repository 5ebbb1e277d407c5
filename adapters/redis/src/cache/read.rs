//! What pages ask.

use fred::types::Value;
use futures::future::try_join_all;
use stockade_catalog_core::{CacheRead, Coverage};
use stockade_inventory_core::Sku;

use crate::error::RedisError;

use super::scripts::READ;
use super::{CHUNK, RedisAvailability, merge, text};

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
            let asked = places.iter().map(|place| skus[*place].as_str().into());
            let reply = calls.run(&READ, self.buckets.key(bucket), asked).await?;
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
}

fn coverage(filled: &Value) -> Coverage {
    match filled {
        Value::Null => Coverage::Unfilled,
        _ => Coverage::Filled,
    }
}
