//! The JSON bodies of requests and answers.
//!
//! Every body has the version of its format in `v`. Readers ignore fields that they do not know, and
//! refuse a newer version.

use serde::{Deserialize, Serialize};
use stockade_change_feed::Timestamp;
use stockade_inventory_core::{
    Counts, Cursor, InventoryError, LocationId, Sku, SkuStock, StockLevel, StockPage, Version,
};

/// The version of all formats of this crate.
pub const FORMAT_VERSION: u32 = 1;

/// The path of the route that returns the stock of SKUs: `POST`.
pub const STOCK_PATH: &str = "/stock-source/stock";

/// The path of the route that returns all stock in pages: `POST`.
pub const SCAN_PATH: &str = "/stock-source/scan";

/// Asks for the stock of SKUs.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct StockRequest {
    pub(crate) v: u32,
    pub(crate) skus: Vec<Sku>,
}

/// The stock of each requested SKU, in the order of the request.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct StockAnswer {
    pub(crate) v: u32,
    pub(crate) stock: Vec<Option<Stock>>,
}

/// Asks for a page of stock.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ScanRequest {
    pub(crate) v: u32,
    #[serde(default)]
    pub(crate) after: Option<Cursor>,
    pub(crate) limit: u64,
}

/// A page of stock.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ScanAnswer {
    pub(crate) v: u32,
    pub(crate) stock: Vec<Stock>,
    #[serde(default)]
    pub(crate) next: Option<Cursor>,
}

/// The stock of one SKU at all its locations.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Stock {
    sku: Sku,
    levels: Vec<Level>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Level {
    location: LocationId,
    #[serde(flatten)]
    counts: Counts,
    version: Version,
    /// Microseconds since 1970-01-01T00:00:00Z.
    changed_at: Timestamp,
}

/// A refusal, by RFC 9457.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
}

impl From<SkuStock> for Stock {
    fn from(stock: SkuStock) -> Self {
        let sku = stock.sku().clone();
        let level = |level: StockLevel| Level {
            location: level.location,
            counts: level.counts,
            version: level.version,
            changed_at: level.changed_at,
        };
        let levels = Vec::from(stock).into_iter().map(level).collect();
        Self { sku, levels }
    }
}

impl TryFrom<Stock> for SkuStock {
    type Error = InventoryError;

    fn try_from(Stock { sku, levels }: Stock) -> Result<Self, InventoryError> {
        let level = |level: Level| {
            StockLevel::new(
                sku.clone(),
                level.location,
                level.counts,
                level.version,
                level.changed_at,
            )
        };
        Self::new(levels.into_iter().map(level).collect())
    }
}

impl From<StockPage> for ScanAnswer {
    fn from(page: StockPage) -> Self {
        Self {
            v: FORMAT_VERSION,
            stock: page.stock.into_iter().map(Stock::from).collect(),
            next: page.next,
        }
    }
}

impl TryFrom<ScanAnswer> for StockPage {
    type Error = InventoryError;

    fn try_from(answer: ScanAnswer) -> Result<Self, InventoryError> {
        let stock = answer.stock.into_iter().map(SkuStock::try_from);
        Ok(Self::new(stock.collect::<Result<_, _>>()?, answer.next))
    }
}

/// Reads a body of this version or an older one.
pub(crate) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Unreadable> {
    /// What all bodies have.
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }
    let Versioned { v } = serde_json::from_slice(body).map_err(Unreadable::of)?;
    if v > FORMAT_VERSION {
        let why = format!("its format {v} is newer than {FORMAT_VERSION}; upgrade its reader");
        return Err(Unreadable {
            field: Some("v"),
            why,
        });
    }
    serde_json::from_slice(body).map_err(Unreadable::of)
}

/// Why a body can not be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    #[cfg_attr(not(feature = "routes"), allow(dead_code))]
    pub(crate) field: Option<&'static str>,
    pub(crate) why: String,
}

impl Unreadable {
    #[allow(clippy::needless_pass_by_value, reason = "for map_err")]
    fn of(error: serde_json::Error) -> Self {
        Self {
            field: None,
            why: format!("it is not the expected JSON: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOCK: &str = r#"{"v":1,"stock":[{"sku":"tee","levels":[{"location":"main","physical":5,"reserved":2,"escrowed":1,"version":{"epoch":0,"number":7},"changed_at":1764000000000000}]},null]}"#;

    #[test]
    fn the_format_does_not_change() {
        let answer: StockAnswer = read(STOCK.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&answer).unwrap(), STOCK);
        let stock = answer.stock.into_iter().next().flatten().unwrap();
        let stock = SkuStock::try_from(stock).unwrap();
        assert_eq!(
            (stock.physical(), stock.reserved(), stock.escrowed()),
            (5, 2, 1)
        );
    }

    #[test]
    fn new_fields_are_ignored() {
        let newer = STOCK
            .replace(r#""v":1"#, r#""v":1,"region":"eu""#)
            .replace(r#""sku""#, r#""kind":"shirt","sku""#)
            .replace(r#""physical""#, r#""incoming":3,"physical""#)
            .replace(r#""epoch""#, r#""branch":{},"epoch""#);
        assert_eq!(
            newer.matches("eu").count() + newer.matches("branch").count(),
            2
        );
        let answer: StockAnswer = read(newer.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&answer).unwrap(), STOCK);
    }

    #[test]
    fn a_newer_format_is_refused_whatever_it_has() {
        let error = read::<StockAnswer>(br#"{"v":2,"levels":{}}"#).unwrap_err();
        assert_eq!(error.field, Some("v"));
        assert!(error.why.contains("newer"), "{}", error.why);
    }

    #[test]
    fn counts_that_contradict_each_other_are_refused() {
        let wrong = STOCK.replace(r#""reserved":2"#, r#""reserved":9"#);
        let error = read::<StockAnswer>(wrong.as_bytes()).unwrap_err();
        assert!(error.why.contains("reserved 9"), "{}", error.why);
    }
}
