//! What workers write, and fills.

use std::time::Duration;

use fred::types::Value;
use futures::future::{join_all, try_join_all};
use stockade_catalog_core::{Advance, Applied, CacheWrite, Coverage, FillStep, FillToken};
use stockade_change_feed::time::chance;
use stockade_inventory_core::{Sku, StockChanged};

use crate::error::RedisError;
use crate::script::{Calls, Script};

use super::scripts::{ABSENT, APPLY, BEGIN, END, FILL, WRITE};
use super::{CHUNK, RedisAvailability, merge, text};

/// Fills that may be under way.
const FILLS: usize = 16;
/// The most absences that are remembered, in all buckets together.
const ABSENCES: usize = 100_000;
/// The longest time that an absence is remembered, in milliseconds: a century.
const LONGEST: u128 = 100 * 365 * 86_400_000;

/// A bucket, and what it answers.
type Answer = (usize, Value);

impl RedisAvailability {
    /// Writes entries to their buckets, and lets a script with something behind the entries run in
    /// every bucket, in one step with the last of its entries. Returns what became of the entries, and
    /// what each bucket answers besides.
    pub(super) async fn write_all(
        &self,
        entries: &[StockChanged],
        last: Option<(&Script, &[Value])>,
    ) -> Result<(Vec<CacheWrite>, Vec<Answer>), RedisError> {
        let calls = self.calls();
        let shares = self.shares(entries.iter().map(|entry| &entry.sku));
        let writes = shares.iter().enumerate();
        let writes = writes.filter(|(_, places)| last.is_some() || !places.is_empty());
        let writes = writes.map(async |(bucket, places)| {
            let chunks: Vec<&[usize]> = places.chunks(CHUNK).collect();
            let (end, before): (&[usize], &[&[usize]]) = match chunks.split_last() {
                Some((end, before)) => (*end, before),
                None => (&[], &[]),
            };
            let mut outcomes = Vec::with_capacity(places.len());
            for places in before {
                let written = self.write_some(&calls, bucket, entries, places, (&*WRITE, &[]));
                outcomes.extend(written.await?.0);
            }
            let last = last.unwrap_or((&*WRITE, &[]));
            let (written, answer) = self.write_some(&calls, bucket, entries, end, last).await?;
            outcomes.extend(written);
            let answer = answer.map(|answer| (bucket, answer));
            Ok::<_, RedisError>((places, outcomes, answer))
        });
        let mut all = vec![CacheWrite::NotNewer; entries.len()];
        let mut answers = Vec::new();
        // All of them are waited for, so that a failure leaves no other half-way.
        for written in join_all(writes).await {
            let (places, outcomes, answer) = written?;
            for (place, outcome) in places.iter().zip(outcomes) {
                all[*place] = outcome;
            }
            answers.extend(answer);
        }
        Ok((all, answers))
    }

    async fn write_some(
        &self,
        calls: &Calls<'_>,
        bucket: usize,
        entries: &[StockChanged],
        places: &[usize],
        (script, behind): (&Script, &[Value]),
    ) -> Result<(Vec<CacheWrite>, Option<Value>), RedisError> {
        let count = [Value::from(places.len().to_string())];
        let given = places
            .iter()
            .flat_map(|place| text::entry(&entries[*place]));
        let arguments = count.into_iter().chain(given).chain(behind.iter().cloned());
        let reply = calls
            .run(script, self.buckets.key(bucket), arguments)
            .await?;
        let mut reply = reply.into_iter();
        let outcomes = match reply.next() {
            Some(Value::Array(outcomes)) if outcomes.len() == places.len() => {
                outcomes.iter().map(text::read_write).collect()
            }
            _ => None,
        };
        let outcomes: Vec<CacheWrite> = outcomes.ok_or_else(|| self.damaged(bucket))?;
        Ok((outcomes, reply.next()))
    }

    pub(super) async fn apply_all(
        &self,
        entries: &[StockChanged],
        advances: &[Advance],
    ) -> Result<Applied, RedisError> {
        if advances.is_empty() {
            let (entries, _) = self.write_all(entries, None).await?;
            return Ok(Applied::new(entries, Vec::new()));
        }
        let behind: Vec<Value> = advances.iter().flat_map(text::advance).collect();
        let (entries, answers) = self
            .write_all(entries, Some((&*APPLY, &behind[..])))
            .await?;
        let mut merged: Option<Vec<_>> = None;
        for (bucket, answer) in answers {
            let advanced = text::read_advances(&answer);
            let advanced = advanced.filter(|advanced| advanced.len() == advances.len());
            let advanced = advanced.ok_or_else(|| self.damaged(bucket))?;
            merged = Some(match merged {
                Some(merged) => {
                    let both = merged.into_iter().zip(advanced);
                    both.map(|(one, other)| merge::advanced(one, other))
                        .collect()
                }
                None => advanced,
            });
        }
        Ok(Applied::new(entries, merged.unwrap_or_default()))
    }

    pub(super) async fn absent_all(&self, skus: &[Sku], ttl: Duration) -> Result<(), RedisError> {
        let calls = self.calls();
        let millis = ttl.as_millis().min(LONGEST).to_string();
        let most = (ABSENCES / self.buckets.len()).max(1).to_string();
        let shares = self.shares(skus.iter());
        let writes = shares
            .iter()
            .enumerate()
            .flat_map(|(bucket, places)| places.chunks(CHUNK).map(move |places| (bucket, places)));
        let writes = writes.map(|(bucket, places)| {
            let limits = [Value::from(millis.clone()), Value::from(most.clone())];
            let asked = places.iter().map(|place| skus[*place].as_str().into());
            let arguments: Vec<Value> = limits.into_iter().chain(asked).collect();
            calls.run(&ABSENT, self.buckets.key(bucket), arguments)
        });
        try_join_all(writes).await.map(drop)
    }

    /// Runs a script in every bucket, and returns the first thing that each answers.
    async fn in_every_bucket(
        &self,
        script: &Script,
        arguments: &[Value],
    ) -> Result<Vec<Option<Value>>, RedisError> {
        let calls = self.calls();
        let runs = (0..self.buckets.len()).map(async |bucket| {
            let arguments = arguments.iter().cloned();
            let reply = calls
                .run(script, self.buckets.key(bucket), arguments)
                .await?;
            Ok::<_, RedisError>(reply.into_iter().next())
        });
        try_join_all(runs).await
    }

    pub(super) async fn begin(&self) -> Result<FillToken, RedisError> {
        let token = FillToken::first(format!("{:032x}", chance::bits()));
        let arguments = [token.id.clone().into(), FILLS.to_string().into()];
        self.in_every_bucket(&BEGIN, &arguments).await?;
        Ok(token)
    }

    pub(super) async fn fill_all(
        &self,
        token: &FillToken,
        entries: &[StockChanged],
    ) -> Result<FillStep, RedisError> {
        let next = token.step.saturating_add(1);
        let behind = [
            token.id.clone().into(),
            token.step.to_string().into(),
            next.to_string().into(),
        ];
        let (outcomes, answers) = self.write_all(entries, Some((&*FILL, &behind[..]))).await?;
        let under_way = answers
            .iter()
            .all(|(_, answer)| *answer == Value::Integer(1));
        Ok(FillStep::new(outcomes, under_way.then(|| token.next())))
    }

    pub(super) async fn end(&self, token: &FillToken) -> Result<Coverage, RedisError> {
        let arguments = [token.id.clone().into(), token.step.to_string().into()];
        let filled = self.in_every_bucket(&END, &arguments).await?;
        let filled = filled
            .iter()
            .all(|filled| *filled == Some(Value::Integer(1)));
        Ok(match filled {
            true => Coverage::Filled,
            false => Coverage::Unfilled,
        })
    }
}
