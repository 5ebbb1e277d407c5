//! What a line of a catalogue says.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use stockade_catalog_core::{
    Attributes, Currency, Money, ProductContent, ProductId, ProductTypeName, Slug, Variant,
};
use stockade_inventory_core::Sku;
use tokio::io::{AsyncBufReadExt, AsyncReadExt as _};

/// The longest line that is read, in bytes.
const LIMIT: u64 = 1 << 20;

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
pub(super) struct Parsed {
    pub(super) content: ProductContent,
    /// The stock of each variant that has any said of it, by its place among the variants.
    pub(super) stock: Vec<(usize, Sku, u64)>,
}

/// A line as it was read.
pub(super) enum Line {
    Whole(Vec<u8>),
    TooLong,
}

impl Line {
    /// What it says; none where it is blank.
    pub(super) fn parse(&self) -> Result<Option<Parsed>, String> {
        match self {
            Self::Whole(bytes) if bytes.trim_ascii().is_empty() => Ok(None),
            Self::Whole(bytes) => parse(bytes).map(Some),
            Self::TooLong => Err(format!("it is longer than {LIMIT} bytes")),
        }
    }
}

/// Reads a line within the limit, and skips the rest of one that is over it.
///
/// Adds what it read to `total`.
pub(super) async fn next(
    input: &mut (impl AsyncBufReadExt + Unpin),
    total: &mut u64,
) -> std::io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    let mut whole = true;
    loop {
        bytes.clear();
        let read = (&mut *input)
            .take(LIMIT)
            .read_until(b'\n', &mut bytes)
            .await? as u64;
        *total += read;
        if read == LIMIT && !bytes.ends_with(b"\n") {
            whole = false;
            continue;
        }
        return Ok(match (whole, read) {
            (true, 0) => None,
            (true, _) => Some(Line::Whole(bytes)),
            (false, _) => Some(Line::TooLong),
        });
    }
}

fn parse(bytes: &[u8]) -> Result<Parsed, String> {
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
        stock.extend(
            variant
                .stock
                .map(|units| (index, variant.sku.clone(), units)),
        );
        let price = variant
            .price
            .map(|price| minor(&price.amount, price.currency))
            .transpose();
        content.variants.push(Variant {
            price: price.map_err(|reason| format!("variants[{index}].price.amount: {reason}"))?,
            name: variant.name,
            options: variant.options,
            ..Variant::new(variant.sku)
        });
    }
    Ok(Parsed { content, stock })
}

/// Turns `19.90` into 1990. More digits than the currency has are allowed if they are zeros.
fn minor(amount: &str, currency: Currency) -> Result<Money, String> {
    let refuse = || format!("{amount:?} is no amount of {currency}, such as \"19.90\"");
    let digits = minor_digits(currency);
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let (kept, cut) = fraction
        .split_at_checked(digits.min(fraction.len()))
        .ok_or_else(refuse)?;
    let number = format!("{whole}{kept:0<digits$}");
    let plain = number.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain || !cut.bytes().all(|byte| byte == b'0') {
        return Err(refuse());
    }
    Ok(Money {
        minor: number.parse().map_err(|_| refuse())?,
        currency,
    })
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
