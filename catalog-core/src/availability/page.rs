//! The availability that a page shows, collected from several sources.

use std::collections::HashMap;
use std::time::Duration;

use stockade_inventory_core::Sku;

use crate::availability::cache::{CacheEntry, CacheRead};
use crate::availability::circuit::CircuitState;
use crate::availability::freshness::Freshness;
use crate::availability::stock::Answers;

/// The availability of the SKUs of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageAvailability {
    /// One item for each requested SKU, in their order.
    pub items: Vec<SkuAvailability>,
    /// Whether the cache was trusted.
    pub circuit: CircuitState,
}

/// The availability of one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkuAvailability {
    /// The SKU.
    pub sku: Sku,
    /// How many units there are.
    pub stock: Stock,
    /// The source of the answer.
    pub origin: Origin,
    /// The maximum age of the answer, if it is known.
    pub age: Option<Duration>,
}

/// How many units of a SKU there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stock {
    /// This many units are not promised to a reservation; may be 0.
    Available(u64),
    /// Inventory does not know the SKU.
    NotStocked,
    /// No source answered.
    Unknown,
}

/// The source of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The cache, which was fresh.
    Cache,
    /// Inventory, in this call.
    Inventory,
    /// The cache, which may be stale, because inventory did not answer.
    LastKnown,
    /// No source: the stock is [`Stock::Unknown`].
    Nowhere,
}

impl Origin {
    /// The name in metrics, such as `last_known`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Inventory => "inventory",
            Self::LastKnown => "last_known",
            Self::Nowhere => "nowhere",
        }
    }
}

/// Collects the answers for a page: the first answer for each SKU counts.
#[derive(Debug, Default)]
pub(crate) struct Page {
    answers: HashMap<Sku, (Stock, Origin, Option<Duration>)>,
}

impl Page {
    pub(crate) fn cached(
        &mut self,
        skus: &[Sku],
        read: &CacheRead,
        origin: Origin,
        freshness: Freshness,
    ) {
        for (sku, entry) in skus.iter().zip(&read.entries) {
            let stock = match entry {
                Some(CacheEntry::Known { available, .. }) => Stock::Available(*available),
                Some(CacheEntry::Absent) => Stock::NotStocked,
                None => continue,
            };
            self.answers
                .entry(sku.clone())
                .or_insert((stock, origin, freshness.age()));
        }
    }

    pub(crate) fn answered(&mut self, answers: Answers) {
        for (sku, answer) in answers {
            let stock = match answer {
                Some(changed) => Stock::Available(changed.new_stock_count),
                None => Stock::NotStocked,
            };
            self.answers
                .entry(sku)
                .or_insert((stock, Origin::Inventory, Some(Duration::ZERO)));
        }
    }

    pub(crate) fn unanswered(&self, skus: &[Sku]) -> Vec<Sku> {
        let unanswered = skus.iter().filter(|sku| !self.answers.contains_key(*sku));
        unanswered.cloned().collect()
    }

    pub(crate) fn item(&self, sku: &Sku) -> SkuAvailability {
        let nobody = (Stock::Unknown, Origin::Nowhere, None);
        let (stock, origin, age) = self.answers.get(sku).copied().unwrap_or(nobody);
        SkuAvailability {
            sku: sku.clone(),
            stock,
            origin,
            age,
        }
    }
}
