//! The limits of a product, whatever its type: they bound pages, rows and search documents, and
//! exclude values that a store can not hold.

use serde::Serialize;
use serde_json::Value;

use crate::error::CatalogError;
use crate::product::{Attributes, Media, ProductContent, Variant};
use crate::rules::check_skus_differ;

const TITLE_CHARS: usize = 300;
const NAME_CHARS: usize = 300;
const DESCRIPTION_BYTES: usize = 20_000;
const CATEGORY_LEVELS: usize = 10;
const CATEGORY_CHARS: usize = 100;
const MEDIA: usize = 50;
const URL_BYTES: usize = 2_048;
const ALT_CHARS: usize = 500;
const VARIANTS: usize = 500;
const OPTIONS: usize = 20;
const OPTION_NAME_CHARS: usize = 100;
const OPTION_VALUE_CHARS: usize = 300;
const ATTRIBUTES_BYTES: usize = 64 << 10;
/// Most bytes of the attributes that a listing filters by, as JSON.
const WANTED_BYTES: usize = 1 << 10;
const ATTRIBUTES_DEPTH: usize = 16;
/// A row of this size still fits in the usual megabyte of a log's message, escaped as a string,
/// with its content before and after the change.
const PRODUCT_ROW_BYTES: usize = 224 << 10;
const PRODUCT_BYTES: usize = 1 << 20;
const PRICE_MINOR: u64 = (1 << 53) - 1;

/// Checks everything in a product except the attributes that its type checks.
pub(crate) fn check_product(content: &ProductContent) -> Result<(), CatalogError> {
    check_line("title", &content.title, TITLE_CHARS)?;
    check_description(&content.description)?;
    if let Some(brand) = &content.brand {
        check_line("brand", brand, NAME_CHARS)?;
    }
    check_count("category", content.category.len(), CATEGORY_LEVELS)?;
    for (level, name) in content.category.iter().enumerate() {
        check_line(&format!("category[{level}]"), name, CATEGORY_CHARS)?;
    }
    check_count("media", content.media.len(), MEDIA)?;
    for (position, media) in content.media.iter().enumerate() {
        check_media(&format!("media[{position}]"), media)?;
    }
    check_attributes("attributes", &content.attributes)?;
    check_count("variants", content.variants.len(), VARIANTS)?;
    for (position, variant) in content.variants.iter().enumerate() {
        check_variant(&format!("variants[{position}]"), variant)?;
    }
    check_skus_differ(content)?;
    check_sizes(content)
}

/// At most `most` levels of objects and arrays. Called before any recursion.
pub(crate) fn check_depth(field: &str, value: &Value, most: usize) -> Result<(), CatalogError> {
    if deeper_than(value, most) {
        let reason = format!("at most {most} levels of objects and arrays are allowed");
        return Err(CatalogError::invalid(field, "deeper", reason));
    }
    Ok(())
}

/// At most `most` bytes as JSON; returns the number of bytes.
pub(crate) fn check_json_bytes(
    field: &str,
    value: &impl Serialize,
    most: usize,
) -> Result<usize, CatalogError> {
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value)
        .expect("what is made of strings, numbers and JSON always serializes");
    if counter.0 > most {
        let value = format!("{} bytes", counter.0);
        let reason = format!("at most {most} bytes as JSON are allowed");
        return Err(CatalogError::invalid(field, value, reason));
    }
    Ok(counter.0)
}

fn check_description(description: &str) -> Result<(), CatalogError> {
    if description.len() > DESCRIPTION_BYTES {
        let reason = format!("at most {DESCRIPTION_BYTES} bytes are allowed");
        return Err(CatalogError::invalid("description", description, reason));
    }
    check_no_nul("description", description)
}

fn check_media(field: &str, media: &Media) -> Result<(), CatalogError> {
    let url = &media.url;
    if url.is_empty() || url.len() > URL_BYTES || url.chars().any(char::is_control) {
        let reason = format!("it has to be 1 to {URL_BYTES} bytes without control characters");
        return Err(CatalogError::invalid(format!("{field}.url"), url, reason));
    }
    if media.alt.is_empty() {
        return Ok(());
    }
    check_line(&format!("{field}.alt"), &media.alt, ALT_CHARS)
}

fn check_variant(field: &str, variant: &Variant) -> Result<(), CatalogError> {
    if let Some(name) = &variant.name {
        check_line(&format!("{field}.name"), name, NAME_CHARS)?;
    }
    check_count(&format!("{field}.options"), variant.options.len(), OPTIONS)?;
    for (name, value) in &variant.options {
        check_line(&format!("{field}.options"), name, OPTION_NAME_CHARS)?;
        check_line(
            &format!("{field}.options.{name}"),
            value,
            OPTION_VALUE_CHARS,
        )?;
    }
    if let Some(price) = variant
        .price
        .as_ref()
        .filter(|price| price.minor > PRICE_MINOR)
    {
        let field = format!("{field}.price.minor");
        let reason = format!("it has to be 0 to {PRICE_MINOR}");
        return Err(CatalogError::invalid(
            field,
            price.minor.to_string(),
            reason,
        ));
    }
    check_attributes(&format!("{field}.attributes"), &variant.attributes)
}

/// Limits and characters of an object of attributes.
pub(crate) fn check_attributes(field: &str, attributes: &Attributes) -> Result<(), CatalogError> {
    for (name, value) in attributes {
        check_depth(
            &format!("{field}.{}", shown(name)),
            value,
            ATTRIBUTES_DEPTH - 1,
        )?;
    }
    check_json_bytes(field, attributes, ATTRIBUTES_BYTES)?;
    check_object_without_nul(field, attributes)
}

/// The attributes that a listing filters by are compared with every product's attributes, element
/// by element, so their limit is much lower.
pub(super) fn check_wanted(attributes: &Attributes) -> Result<(), CatalogError> {
    check_attributes("attributes", attributes)?;
    check_json_bytes("attributes", attributes, WANTED_BYTES).map(drop)
}

fn check_sizes(content: &ProductContent) -> Result<(), CatalogError> {
    let mut row = content.clone();
    row.variants.clear();
    check_json_bytes("product", &row, PRODUCT_ROW_BYTES)?;
    check_json_bytes("product", content, PRODUCT_BYTES)?;
    Ok(())
}

/// One line of text that is not empty.
fn check_line(field: &str, text: &str, most: usize) -> Result<(), CatalogError> {
    let chars = text.chars().take(most + 1).count();
    let reason = if chars == 0 || chars > most {
        format!("it has to be 1 to {most} characters long")
    } else if text.chars().any(char::is_control) {
        "control characters are not allowed".to_owned()
    } else if text.trim().is_empty() {
        "white space alone is not allowed".to_owned()
    } else {
        return Ok(());
    };
    Err(CatalogError::invalid(field, text, reason))
}

fn check_count(field: &str, count: usize, most: usize) -> Result<(), CatalogError> {
    if count > most {
        let reason = format!("at most {most} are allowed");
        return Err(CatalogError::invalid(field, count.to_string(), reason));
    }
    Ok(())
}

/// Neither text nor JSONB of Postgres can hold the character 0.
fn check_no_nul(field: &str, text: &str) -> Result<(), CatalogError> {
    if text.contains('\0') {
        return Err(CatalogError::invalid(
            field,
            text,
            "the character 0 is not allowed",
        ));
    }
    Ok(())
}

/// No character 0 in names or values.
pub(crate) fn check_json_without_nul(field: &str, value: &Value) -> Result<(), CatalogError> {
    match value {
        Value::String(text) => check_no_nul(field, text),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            check_json_without_nul(&format!("{field}[{index}]"), item)
        }),
        Value::Object(members) => check_object_without_nul(field, members),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn check_object_without_nul(field: &str, members: &Attributes) -> Result<(), CatalogError> {
    members.iter().try_for_each(|(name, value)| {
        check_no_nul(field, name)?;
        check_json_without_nul(&format!("{field}.{}", shown(name)), value)
    })
}

/// A name as part of a path, shortened because a hostile one may be long.
fn shown(name: &str) -> String {
    stockade_change_feed::shorten(name)
}

fn deeper_than(value: &Value, most: usize) -> bool {
    let mut children: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => return false,
    };
    most == 0 || children.any(|child| deeper_than(child, most - 1))
}

struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
