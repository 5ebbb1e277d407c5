//! Importing a catalogue with its stock from newline-delimited JSON, one product a line.
//!
//! ```json
//! {"slug":"tee","name":"Tee","description":"Soft","product_type":"shirt","category":["Apparel"],
//!  "attributes":{"material":"Cotton"},"variants":[{"sku":"tee-m","name":"M",
//!  "options":{"size":"M"},"price":{"amount":"19.90","currency":"USD"},"stock":5}]}
//! ```
//!
//! A line that fails does not affect the others. Importing the same file again changes nothing and
//! undoes no sale. Another file takes effect, whatever its content.

mod line;
mod progress;
mod stock;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sample_catalogue::Entry;
use stockade_catalog_core::{
    Expected, ProductContent, ProductType, ProductTypeName, ProductWrite, WriteEffect,
};
use tokio::io::{AsyncRead, AsyncSeek, BufReader};

use self::stock::{SetStock, Source};
use crate::shop::Shop;

pub(crate) use self::progress::AboveBars;
pub use self::progress::Progress;

/// Products that are written in one batch, unless they have more than [`BATCH_VARIANTS`] variants.
const BATCH: usize = 256;
/// Variants that are written in one batch.
const BATCH_VARIANTS: usize = 1000;
/// The seed of generated products.
const SEED: u64 = 1;
/// Failures that a report keeps; more are only counted.
const KEPT_FAILURES: usize = 1000;

/// The outcome of an import.
#[derive(Debug, Default)]
pub struct Report {
    /// Products that were created.
    pub created: usize,
    /// Products that existed and were changed.
    pub updated: usize,
    /// Products that existed and were not changed.
    pub unchanged: usize,
    /// Lines that were not imported completely.
    pub failed: usize,
    /// The first 1000 failures, by line.
    pub failures: Vec<Failure>,
}

/// A line that was not imported completely.
#[derive(Debug)]
pub struct Failure {
    /// Its number, from 1.
    pub line: usize,
    /// The reason.
    pub reason: String,
}

impl Report {
    fn fail(&mut self, line: usize, reason: impl Into<String>) {
        self.failed += 1;
        if self.failures.len() < KEPT_FAILURES {
            let reason = reason.into();
            self.failures.push(Failure { line, reason });
        }
    }

    fn products(&self) -> usize {
        self.created + self.updated + self.unchanged
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} products created, {} updated, {} unchanged, {} lines failed",
            self.created, self.updated, self.unchanged, self.failed,
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Imports all lines of `input`. It reads `input` twice: first to compute its digest.
///
/// Memory is bounded whatever the size, and the import waits while search is far behind.
///
/// # Errors
/// Only if `input` can't be read or rewound. A line that can't be imported is in the report.
pub async fn import(
    shop: &Shop,
    mut input: impl AsyncRead + AsyncSeek + Unpin,
    progress: &mut Progress,
) -> std::io::Result<Report> {
    let source = Source::of(&mut input).await?;
    let mut input = BufReader::new(input);
    let mut import = Import::new(shop, source);
    let (mut number, mut bytes) = (0, 0);
    while let Some(line) = line::next(&mut input, &mut bytes).await? {
        number += 1;
        import.add(number, line.parse()).await;
        progress.reached(bytes, import.report.products(), import.report.failed);
    }
    Ok(import.finish().await)
}

/// Imports this many generated products, always the same ones.
pub async fn import_generated(shop: &Shop, products: usize, progress: &mut Progress) -> Report {
    let mut import = Import::new(shop, Source::generated());
    for (number, entry) in (1..).zip(sample_catalogue::generate(products, SEED)) {
        import.add(number, Ok(Some(entry))).await;
        progress.reached(
            number as u64,
            import.report.products(),
            import.report.failed,
        );
    }
    import.finish().await
}

/// An import in progress.
struct Import<'a> {
    shop: &'a Shop,
    source: Source,
    /// Product types that are known to exist.
    types: BTreeSet<ProductTypeName>,
    products: Vec<(usize, ProductContent)>,
    variants: usize,
    stock: Vec<SetStock>,
    report: Report,
}

impl<'a> Import<'a> {
    fn new(shop: &'a Shop, source: Source) -> Self {
        Self {
            shop,
            source,
            types: BTreeSet::new(),
            products: Vec::new(),
            variants: 0,
            stock: Vec::new(),
            report: Report::default(),
        }
    }

    async fn add(&mut self, number: usize, parsed: Result<Option<Entry>, String>) {
        match parsed {
            Ok(None) => {}
            Ok(Some(entry)) => {
                self.variants += entry.content.variants.len();
                self.products.push((number, entry.content));
                let set = |(index, (sku, units))| SetStock {
                    line: number,
                    index,
                    sku,
                    units,
                };
                self.stock
                    .extend(entry.stock.into_iter().enumerate().map(set));
            }
            Err(reason) => self.report.fail(number, reason),
        }
        if self.products.len() >= BATCH || self.variants >= BATCH_VARIANTS {
            self.write().await;
        }
    }

    async fn finish(mut self) -> Report {
        self.write().await;
        self.report.failures.sort_by_key(|failure| failure.line);
        self.report
    }

    /// Writes the batch: first the products, then the stock of those that were written.
    async fn write(&mut self) {
        self.shop.room_for_rows().await;
        let without_type = self.create_missing_types().await;
        self.variants = 0;
        let (lines, contents): (Vec<_>, Vec<_>) = self.products.drain(..).unzip();
        let types: Vec<_> = contents
            .iter()
            .map(|content| content.product_type.clone())
            .collect();
        let expected = Expected::Any;
        let writes = contents
            .into_iter()
            .map(|content| ProductWrite { content, expected })
            .collect();
        let outcomes = match self.shop.catalog.put_many(writes).await {
            Ok(outcomes) => outcomes,
            Err(error) => lines.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut refused = BTreeSet::new();
        for ((line, product_type), outcome) in lines.into_iter().zip(types).zip(outcomes) {
            match outcome.map(|written| written.effect) {
                Ok(WriteEffect::Created) => self.report.created += 1,
                Ok(WriteEffect::Updated) => self.report.updated += 1,
                Ok(WriteEffect::Unchanged) => self.report.unchanged += 1,
                Err(error) => {
                    refused.insert(line);
                    let reason = without_type.get(&product_type).cloned();
                    self.report
                        .fail(line, reason.unwrap_or_else(|| error.to_string()));
                }
            }
        }
        let mut stock = std::mem::take(&mut self.stock);
        stock.retain(|set| !refused.contains(&set.line));
        for (line, error) in stock::set(self.shop, &self.source, &stock).await {
            self.report.fail(line, error.to_string());
        }
    }

    /// Creates missing product types, which allow everything. Returns those that failed, and why.
    async fn create_missing_types(&mut self) -> BTreeMap<ProductTypeName, String> {
        let named = self
            .products
            .iter()
            .map(|(_, product)| &product.product_type);
        let unknown = named.filter(|name| !self.types.contains(*name));
        let unknown: BTreeSet<_> = unknown.cloned().collect();
        if unknown.is_empty() {
            return BTreeMap::new();
        }
        match self.shop.catalog.types().await {
            Ok(types) => self.types.extend(types.into_iter().map(|known| known.name)),
            Err(error) => {
                let failed = unknown.into_iter().map(|name| (name, error.to_string()));
                return failed.collect();
            }
        }
        let mut failed = BTreeMap::new();
        for name in unknown {
            if self.types.contains(&name) {
                continue;
            }
            let permissive = ProductType::permissive(name.clone());
            match self.shop.catalog.put_type(permissive).await {
                Ok(_) => drop(self.types.insert(name)),
                Err(error) => drop(failed.insert(name, error.to_string())),
            }
        }
        failed
    }
}
