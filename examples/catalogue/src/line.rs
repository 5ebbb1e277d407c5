//! A catalogue as newline-delimited JSON, one product with its stock a line.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use stockade_catalog_core::{
    Attributes, Currency, Money, ProductContent, ProductId, ProductTypeName, Slug, Variant,
};
use stockade_inventory_core::Sku;

/// A product, and the stock of its variants.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The product. Its id is its slug.
    pub content: ProductContent,
    /// Units of the variants for which they are known.
    pub stock: Vec<(Sku, u64)>,
}

/// Why a line is not an [`Entry`]: it names the member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LineError(String);

impl Entry {
    /// Reads a line.
    ///
    /// ```
    /// # fn main() -> Result<(), sample_catalogue::LineError> {
    /// let line = br#"{"slug":"tee","name":"Tee","description":"Soft","product_type":"shirt",
    ///     "category":["Apparel"],"attributes":{"material":"Cotton"},"variants":[{"sku":"tee-m",
    ///     "name":"M","options":{"size":"M"},"price":{"amount":"19.90","currency":"USD"},"stock":5}]}"#;
    /// let entry = sample_catalogue::Entry::parse(line)?;
    /// assert_eq!(entry.content.title, "Tee");
    /// assert_eq!(entry.stock[0].1, 5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Naming the member that is wrong.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        let line: ProductLine = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| LineError(format!("{}: {}", error.path(), error.inner())))?;
        let ended = deserializer.end();
        ended.map_err(|error| LineError(error.to_string()))?;
        line.entry()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductLine {
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
    variants: Vec<VariantLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantLine {
    sku: Sku,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
    #[serde(default)]
    price: Option<PriceLine>,
    #[serde(default)]
    stock: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceLine {
    amount: String,
    currency: Currency,
}

impl ProductLine {
    fn entry(self) -> Result<Entry, LineError> {
        let id =
            ProductId::new(self.slug.as_str()).map_err(|error| LineError(error.to_string()))?;
        let mut content = ProductContent::new(id, self.slug, self.name, self.product_type);
        content.description = self.description;
        content.category = self.category;
        content.brand = match self.attributes.get("brand") {
            Some(Value::String(brand)) => Some(brand.clone()),
            _ => None,
        };
        content.attributes = self.attributes;
        let mut stock = Vec::new();
        for (at, variant) in self.variants.into_iter().enumerate() {
            stock.extend(variant.stock.map(|units| (variant.sku.clone(), units)));
            let price = variant.price.map(PriceLine::money).transpose();
            content.variants.push(Variant {
                price: price.map_err(|why| LineError(format!("variants[{at}].{why}")))?,
                name: variant.name,
                options: variant.options,
                ..Variant::new(variant.sku)
            });
        }
        Ok(Entry { content, stock })
    }
}

impl PriceLine {
    /// Turns `19.90` into 1990. More digits than the currency has are allowed if they are zeros.
    fn money(self) -> Result<Money, String> {
        let Self { amount, currency } = self;
        let refuse =
            || format!("price.amount: {amount:?} is no amount of {currency}, such as \"19.90\"");
        let digits = minor_digits(currency);
        let (whole, fraction) = amount.split_once('.').unwrap_or((&amount, ""));
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
