//! Importing a catalogue with its stock from newline-delimited JSON, one product a line.
//!
//! ```json
//! {"slug":"tee","name":"Tee","description":"Soft","product_type":"shirt","category":["Apparel"],
//!  "attributes":{"material":"Cotton"},"variants":[{"sku":"tee-m","name":"M",
//!  "options":{"size":"M"},"price":{"amount":"19.90","currency":"USD"},"stock":5}]}
//! ```
//!
//! A line fails for itself: the others are imported. Importing the same file again changes
//! nothing, because ids come from the lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use stockade_catalog_core::{
    Attributes, Currency, Expected, Money, ProductContent, ProductId, ProductType,
    ProductTypeName, ProductWrite, Slug, Variant, WriteEffect,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportLine {
    slug: Slug,
    name: String,
    #[serde(default)]
    description: String,
    product_type: ProductTypeName,
    #[serde(default)]
    category: Vec<String>,
    #[serde(default)]
    attributes: Attributes,
    #[serde(default)]
    variants: Vec<ImportVariant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportVariant {
    sku: Sku,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
    #[serde(default)]
    price: Option<ImportPrice>,
    #[serde(default)]
    stock: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportPrice {
    amount: String,
    currency: Currency,
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
            Line::Whole(bytes) => parse(number, &bytes),
            Line::TooLong => Err(format!("it is longer than {LINE_LIMIT} bytes")),
        };
        match parsed {
            Ok(parsed) => batch.push(parsed),
            Err(reason) => report.failures.push(Failure { line: number, reason }),
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
async fn next_line(
    input: &mut (impl AsyncBufReadExt + Unpin),
) -> std::io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    if (&mut *input).take(LINE_LIMIT).read_until(b'\n', &mut bytes).await? == 0 {
        return Ok(None);
    }
    if bytes.ends_with(b"\n") || (bytes.len() as u64) < LINE_LIMIT {
        return Ok(Some(Line::Whole(bytes)));
    }
    loop {
        bytes.clear();
        let read = (&mut *input).take(LINE_LIMIT).read_until(b'\n', &mut bytes).await?;
        if read == 0 || bytes.ends_with(b"\n") {
            return Ok(Some(Line::TooLong));
        }
    }
}

fn parse(number: usize, bytes: &[u8]) -> Result<Parsed, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let line: ImportLine = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| format!("{}: {}", error.path(), error.inner()))?;
    deserializer.end().map_err(|error| error.to_string())?;
    let id = ProductId::new(line.slug.as_str()).map_err(|error| error.to_string())?;
    let mut content = ProductContent::new(id, line.slug, line.name, line.product_type);
    content.description = line.description;
    content.category = line.category;
    content.brand = match line.attributes.get("brand") {
        Some(Value::String(brand)) => Some(brand.clone()),
        _ => None,
    };
    content.attributes = line.attributes;
    let mut stock = Vec::new();
    for (index, variant) in line.variants.into_iter().enumerate() {
        let field = |name: &str, reason: String| format!("variants[{index}].{name}: {reason}");
        stock.extend(variant.stock.map(|units| set_stock(&variant.sku, units)));
        let price = variant.price.map(|price| minor(&price.amount, price.currency)).transpose();
        content.variants.push(Variant {
            price: price.map_err(|reason| field("price.amount", reason))?,
            name: variant.name,
            options: variant.options,
            ..Variant::new(variant.sku)
        });
    }
    Ok(Parsed { line: number, content, stock })
}

/// Sets a SKU's stock under an id that the SKU and the count make, so that doing it again
/// changes nothing.
fn set_stock(sku: &Sku, units: u64) -> Adjustment {
    let id = Uuid::new_v5(&NAMESPACE, format!("{units}:{sku}").as_bytes());
    let operation = OperationId::new(format!("import-{id}")).expect("a UUID follows the rule");
    let reason = Reason::new("import").expect("the constant follows the rule");
    Adjustment::new(operation, sku.clone(), StockChange::Set(units), reason)
}

/// Turns `19.90` into 1990. More digits than the currency has are allowed if they are zeros.
fn minor(amount: &str, currency: Currency) -> Result<Money, String> {
    let refuse = || format!("{amount:?} is no amount of {currency}, such as \"19.90\"");
    let digits = minor_digits(currency);
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let (kept, cut) = fraction.split_at_checked(digits.min(fraction.len())).ok_or_else(refuse)?;
    let number = format!("{whole}{kept:0<digits$}");
    let plain = number.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain || !cut.bytes().all(|byte| byte == b'0') {
        return Err(refuse());
    }
    Ok(Money { minor: number.parse().map_err(|_| refuse())?, currency })
}

/// Decimal places of a currency, by ISO 4217, where they are not two.
fn minor_digits(currency: Currency) -> usize {
    match currency.as_str() {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX"
        | "UYI" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

async fn write(shop: &Shop, batch: Vec<Parsed>, report: &mut Report) {
    let failed = create_missing_types(shop, &batch).await;
    let writes = batch
        .iter()
        .map(|parsed| ProductWrite { content: parsed.content.clone(), expected: Expected::Any })
        .collect();
    let outcomes = shop.catalog.put(writes).await;
    let mut stock = Vec::new();
    for (parsed, outcome) in batch.into_iter().zip(outcomes) {
        match outcome {
            Ok(written) => {
                match written.effect {
                    WriteEffect::Created => report.created += 1,
                    WriteEffect::Updated => report.updated += 1,
                    WriteEffect::Unchanged => report.unchanged += 1,
                }
                stock.extend(parsed.stock.into_iter().map(|adjustment| (parsed.line, adjustment)));
            }
            Err(error) => {
                let reason = failed.get(&parsed.content.product_type).cloned().unwrap_or_else(|| error.to_string());
                report.failures.push(Failure { line: parsed.line, reason });
            }
        }
    }
    let (lines, adjustments): (Vec<_>, Vec<_>) = stock.into_iter().unzip();
    let outcomes = shop.inventory.adjust(&adjustments).await;
    for (line, outcome) in lines.into_iter().zip(outcomes) {
        if let Err(error) = outcome {
            report.failures.push(Failure { line, reason: error.to_string() });
        }
    }
}

/// Creates product types that nobody has defined as ones that allow everything. Returns why it
/// failed, by name.
async fn create_missing_types(
    shop: &Shop,
    batch: &[Parsed],
) -> BTreeMap<ProductTypeName, String> {
    let names: BTreeSet<_> =
        batch.iter().map(|parsed| parsed.content.product_type.clone()).collect();
    let names: Vec<_> = names.into_iter().collect();
    let found = match shop.catalog.get_types(&names).await {
        Ok(found) => found,
        Err(error) => return names.into_iter().map(|name| (name, error.to_string())).collect(),
    };
    let mut failed = BTreeMap::new();
    for (name, found) in names.into_iter().zip(found) {
        if found.is_none()
            && let Err(error) = shop.catalog.put_type(&ProductType::permissive(name.clone())).await
        {
            failed.insert(name, error.to_string());
        }
    }
    failed
}
