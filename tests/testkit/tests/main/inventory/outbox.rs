//! The outbox of the store of the self-tests, and its epoch.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use stockade_inventory_core::{
    Cursor, InventoryError, OutboxPage, Sku, StockChanged, StockOutbox, Version,
};

use super::rows::Rows;
use super::store::{Flaw, FlawedStore};

#[async_trait]
impl StockOutbox for FlawedStore {
    async fn unpublished(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<OutboxPage, InventoryError> {
        let mut complete_as_of = self.clock.now();
        let (changes, epoch, more) = {
            let mut rows = self.rows();
            let following = rows
                .unpublished
                .iter()
                .filter(|sku| after.is_none_or(|last| sku.as_str() > last.0.as_str()));
            let mut following = following.cloned().collect::<Vec<Sku>>().into_iter();
            let page: Vec<Sku> = following.by_ref().take(limit.get()).collect();
            let stock = page.iter().filter_map(|sku| rows.stock(sku));
            let changes: Vec<_> = stock.map(|stock| StockChanged::from(&stock)).collect();
            if self.flaw == Flaw::TakesWhatIsRead {
                rows.unpublished.retain(|sku| !page.contains(sku));
            }
            let epoch = match self.flaw {
                Flaw::PublishesEpochZero => 0,
                _ => rows.epoch,
            };
            (changes, epoch, following.next().is_some())
        };
        if self.flaw == Flaw::CompleteAfterTheSnapshot {
            tokio::time::sleep(Duration::from_millis(1)).await;
            complete_as_of = self.clock.now();
        }
        let last = changes.last().filter(|_| more);
        let next = last.map(|last| Cursor(last.sku.to_string()));
        let complete_as_of = complete_as_of.minus(self.margin);
        Ok(OutboxPage::new(changes, epoch, complete_as_of, next))
    }

    async fn mark_published(&self, published: &[(Sku, Version)]) -> Result<(), InventoryError> {
        let mut rows = self.rows();
        for (sku, marked) in published {
            let newest = rows.stock(sku).map(|stock| stock.version());
            let is_newest = |newest: Version| match self.flaw {
                Flaw::ForgetsVersions => true,
                Flaw::MarksByLevel => {
                    let levels = rows.levels[sku].values();
                    levels.map(|level| level.version).max() <= Some(*marked)
                }
                Flaw::MarksIgnoreTheEpoch => newest.number <= marked.number,
                _ => newest <= *marked,
            };
            if newest.is_some_and(is_newest) {
                rows.unpublished.remove(sku);
            }
        }
        self.save(&rows);
        Ok(())
    }
}

impl FlawedStore {
    pub(super) fn raise_epoch(&self) {
        let mut rows = self.rows();
        rows.epoch += 1;
        let Rows { epoch, levels, .. } = &mut *rows;
        if self.flaw != Flaw::IgnoresTheEpoch {
            for level in levels.values_mut().flat_map(BTreeMap::values_mut) {
                level.version.epoch = *epoch;
            }
        }
        if !matches!(self.flaw, Flaw::RaisesSilently | Flaw::RaisesInTwoSteps) {
            rows.unpublished = rows.levels.keys().cloned().collect();
        }
        self.save(&rows);
    }

    /// Puts every SKU into the outbox.
    pub(super) fn publish_again(&self) {
        let mut rows = self.rows();
        rows.unpublished = rows.levels.keys().cloned().collect();
        self.save(&rows);
    }
}
