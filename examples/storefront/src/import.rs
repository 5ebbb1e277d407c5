//! Importing a catalogue with its stock from newline-delimited JSON, one product a line.
//!
//! A line fails for itself: the others are imported. Importing the same file again changes
//! nothing, because ids come from the lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sample_catalogue::Entry;
use stockade_catalog_core::{
    Expected, ProductContent, ProductType, ProductTypeName, ProductWrite, WriteEffect,
};
use stockade_inventory_core::{Adjustment, OperationId, Reason, Sku, StockChange};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use uuid::Uuid;

use crate::shop::Shop;

/// The longest line that is read, in bytes.
const LINE_LIMIT: u64 = 1 << 20;
/// Lines that are read before they are written together.
const BATCH: usize = 256;
/// Separates operation ids of imports from everybody else's.
const NAMESPACE: Uuid = Uuid::from_u128(0x0d1f_6b4e_7a40_4d0b_8f8e_21c6_35a9_77d3);

/// What an import did.
#[derive(Debug, Default)]
pub struct Report {
    /// Products that are there since.
    pub created: usize,
    /// Products that were there and changed.
    pub updated: usize,
    /// Products that were already so.
    pub unchanged: usize,
    /// Lines that were not imported, or not wholly.
    pub failures: Vec<Failure>,
}

/// A line that was not imported, or not wholly.
#[derive(Debug)]
pub struct Failure {
    /// Its number, from 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// A line that was understood.
struct Parsed {
    line: usize,
    content: ProductContent,
    stock: Vec<Adjustment>,
}

/// Imports all lines of `input`.
///
/// # Errors
/// Only where `input` itself can't be read.
pub async fn import(
    shop: &Shop,
    input: impl tokio::io::AsyncRead + Unpin,
) -> std::io::Result<Report> {
    let mut input = BufReader::new(input);
    let mut report = Report::default();
    let mut batch = Vec::new();
    let mut number = 0;
    while let Some(line) = next_line(&mut input).await? {
        number += 1;
        let parsed = match line {
            Line::Whole(bytes) if bytes.trim_ascii().is_empty() => continue,
            Line::Whole(bytes) => Parsed::new(number, &bytes),
            Line::TooLong => Err(format!("it is longer than {LINE_LIMIT} bytes")),
        };
        match parsed {
            Ok(parsed) => batch.push(parsed),
            Err(reason) => report.failures.push(Failure {
                line: number,
                reason,
            }),
        }
        if batch.len() == BATCH {
            write(shop, std::mem::take(&mut batch), &mut report).await;
        }
    }
    write(shop, batch, &mut report).await;
    report.failures.sort_by_key(|failure| failure.line);
    Ok(report)
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// Reads a line within the limit, and skips the rest of one that is over it.
async fn next_line(input: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    if (&mut *input)
        .take(LINE_LIMIT)
        .read_until(b'\n', &mut bytes)
        .await?
        == 0
    {
        return Ok(None);
    }
    if bytes.ends_with(b"\n") || (bytes.len() as u64) < LINE_LIMIT {
        return Ok(Some(Line::Whole(bytes)));
    }
    loop {
        bytes.clear();
        let read = (&mut *input)
            .take(LINE_LIMIT)
            .read_until(b'\n', &mut bytes)
            .await?;
        if read == 0 || bytes.ends_with(b"\n") {
            return Ok(Some(Line::TooLong));
        }
    }
}

impl Parsed {
    fn new(line: usize, bytes: &[u8]) -> Result<Self, String> {
        let entry = Entry::parse(bytes).map_err(|error| error.to_string())?;
        let stock = entry.stock.iter();
        let stock = stock.map(|(sku, units)| set_stock(sku, *units)).collect();
        Ok(Self {
            line,
            content: entry.content,
            stock,
        })
    }
}

/// Sets a SKU's stock under an id that the SKU and the count make, so that doing it again
/// changes nothing.
fn set_stock(sku: &Sku, units: u64) -> Adjustment {
    let id = Uuid::new_v5(&NAMESPACE, format!("{units}:{sku}").as_bytes());
    let operation = OperationId::new(format!("import-{id}")).expect("a UUID follows the rule");
    let reason = Reason::new("import").expect("the constant follows the rule");
    Adjustment::new(operation, sku.clone(), StockChange::Set(units), reason)
}

async fn write(shop: &Shop, batch: Vec<Parsed>, report: &mut Report) {
    let failed = create_missing_types(shop, &batch).await;
    let writes = batch
        .iter()
        .map(|parsed| ProductWrite {
            content: parsed.content.clone(),
            expected: Expected::Any,
        })
        .collect();
    let outcomes = shop.catalog.put_many(writes).await;
    let mut stock = Vec::new();
    for (parsed, outcome) in batch.into_iter().zip(outcomes) {
        match outcome {
            Ok(written) => {
                match written.effect {
                    WriteEffect::Created => report.created += 1,
                    WriteEffect::Updated => report.updated += 1,
                    WriteEffect::Unchanged => report.unchanged += 1,
                }
                stock.extend(
                    parsed
                        .stock
                        .into_iter()
                        .map(|adjustment| (parsed.line, adjustment)),
                );
            }
            Err(error) => {
                let reason = failed
                    .get(&parsed.content.product_type)
                    .cloned()
                    .unwrap_or_else(|| error.to_string());
                report.failures.push(Failure {
                    line: parsed.line,
                    reason,
                });
            }
        }
    }
    let (lines, adjustments): (Vec<_>, Vec<_>) = stock.into_iter().unzip();
    let outcomes = shop.inventory.adjust(&adjustments).await;
    for (line, outcome) in lines.into_iter().zip(outcomes) {
        if let Err(error) = outcome {
            report.failures.push(Failure {
                line,
                reason: error.to_string(),
            });
        }
    }
}

/// Creates product types that nobody has defined as ones that allow everything. Returns why it
/// failed, by name.
async fn create_missing_types(shop: &Shop, batch: &[Parsed]) -> BTreeMap<ProductTypeName, String> {
    let named = batch.iter().map(|parsed| &parsed.content.product_type);
    let mut missing: BTreeSet<_> = named.cloned().collect();
    match shop.catalog.types().await {
        Ok(types) => missing.retain(|name| types.iter().all(|known| known.name != *name)),
        Err(error) => {
            return missing
                .into_iter()
                .map(|name| (name, error.to_string()))
                .collect();
        }
    }
    let mut failed = BTreeMap::new();
    for name in missing {
        if let Err(error) = shop
            .catalog
            .put_type(ProductType::permissive(name.clone()))
            .await
        {
            failed.insert(name, error.to_string());
        }
    }
    failed
}
