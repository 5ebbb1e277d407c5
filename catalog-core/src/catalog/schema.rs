//! The JSON Schemas of product types: which schemas are allowed, and which attributes they refuse.
//!
//! A schema comes from outside, so the cost of checking a product against it is bounded: patterns
//! are few, small and matched in linear time; references stay within the schema and are not
//! recursive; a product that has too many values for its schema is refused.

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;
use stockade_change_feed::shorten;

use crate::catalog::cost::{Cost, References, SCHEMA_DEPTH};
use crate::catalog::limits::{check_depth, check_json_bytes, check_json_without_nul};
use crate::error::{CatalogError, Violation};
use crate::product::{Attributes, ProductContent, ProductType};

const SCHEMA_BYTES: usize = 64 << 10;
/// Most bytes of a compiled pattern, and of the memory for matching it.
const PATTERN_BYTES: usize = 64 << 10;
const VIOLATIONS: usize = 20;
/// Most work for the check of a product; see [`Cost::work`].
const WORK: usize = 5_000_000;
/// Most work for listing all violations, which takes much time and memory; see [`Cost::listing`].
const DETAILED_WORK: usize = 50_000;

/// A product type, ready to check products.
#[derive(Debug)]
pub(crate) struct CompiledType {
    product_type: ProductType,
    product: Compiled,
    variant: Compiled,
}

/// A schema with its cost.
#[derive(Debug)]
struct Compiled {
    validator: Validator,
    cost: Cost,
    /// Its size in memory, approximately.
    bytes: usize,
}

impl CompiledType {
    /// Checks and compiles the schemas of a type.
    pub(crate) fn new(product_type: &ProductType) -> Result<Self, CatalogError> {
        Ok(Self {
            product: compile("schema", &product_type.schema)?,
            variant: compile("variant_schema", &product_type.variant_schema)?,
            product_type: product_type.clone(),
        })
    }

    /// Whether it was made from exactly this type.
    pub(crate) fn is_of(&self, product_type: &ProductType) -> bool {
        self.product_type == *product_type
    }

    /// Its size in memory, approximately.
    pub(crate) fn bytes(&self) -> usize {
        self.product.bytes + self.variant.bytes
    }

    /// Checks the attributes of a product and its variants.
    pub(crate) fn check(&self, content: &ProductContent) -> Result<(), CatalogError> {
        let mut work = self.product.work("attributes", &content.attributes, 0)?;
        for (position, variant) in content.variants.iter().enumerate() {
            let field = variant_field(position);
            work = self.variant.work(&field, &variant.attributes, work)?;
        }
        let mut violations = self.product.violations("attributes", &content.attributes);
        for (position, variant) in content.variants.iter().enumerate() {
            if violations.len() >= VIOLATIONS {
                break;
            }
            let field = variant_field(position);
            violations.extend(self.variant.violations(&field, &variant.attributes));
        }
        if violations.is_empty() {
            return Ok(());
        }
        violations.truncate(VIOLATIONS);
        Err(CatalogError::SchemaViolated {
            product: content.id.clone(),
            product_type: content.product_type.clone(),
            violations,
        })
    }
}

fn variant_field(position: usize) -> String {
    format!("variants[{position}].attributes")
}

fn compile(field: &str, schema: &Value) -> Result<Compiled, CatalogError> {
    check_depth(field, schema, SCHEMA_DEPTH)?;
    let bytes = check_json_bytes(field, schema, SCHEMA_BYTES)?;
    check_json_without_nul(field, schema)?;
    let cost = References::check(field, schema)?;
    let validator = jsonschema::options()
        .offline()
        .with_pattern_options(
            PatternOptions::regex()
                .size_limit(PATTERN_BYTES)
                .dfa_size_limit(PATTERN_BYTES),
        )
        .build(schema)
        .map_err(|error| {
            let reason = format!(
                "it is not a usable JSON Schema: {}",
                shorten(&error.to_string())
            );
            let field = path(field, error.instance_path().iter());
            CatalogError::invalid(field, error.instance().to_string(), reason)
        })?;
    Ok(Compiled {
        validator,
        cost,
        bytes: bytes + cost.patterns * PATTERN_BYTES,
    })
}

impl Compiled {
    /// Adds the work of checking these attributes to the work for the product.
    fn work(
        &self,
        field: &str,
        attributes: &Attributes,
        before: usize,
    ) -> Result<usize, CatalogError> {
        let work = before.saturating_add(self.cost.work(attributes));
        if work > WORK {
            let reason = format!(
                "the values of a product times those of its type's schemas, and the bytes of its \
                 texts times 10 for each pattern, may be at most {WORK} together; shorten the \
                 attributes or simplify the type"
            );
            return Err(CatalogError::invalid(field, work.to_string(), reason));
        }
        Ok(work)
    }

    fn violations(&self, field: &str, attributes: &Attributes) -> Vec<Violation> {
        let instance = Value::Object(attributes.clone());
        if self.validator.is_valid(&instance) {
            return Vec::new();
        }
        if self.cost.listing(attributes) > DETAILED_WORK {
            let reason = "they do not follow the schema; they are too large to list where";
            return vec![Violation::new(field, reason)];
        }
        self.validator
            .iter_errors(&instance)
            .take(VIOLATIONS)
            .map(|error| violation(field, &error))
            .collect()
    }
}

fn violation(field: &str, error: &ValidationError<'_>) -> Violation {
    let mut field = path(field, error.instance_path().iter());
    // Where members are missing or too many, the place that needs mending is the member.
    let member = match error.kind() {
        ValidationErrorKind::Required { property } => property.as_str(),
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            unexpected.first().map(String::as_str)
        }
        _ => None,
    };
    if let Some(member) = member {
        field = format!("{field}.{}", shorten(member));
    }
    Violation::new(field, shorten(&error.masked().to_string()))
}

fn path<'a>(root: &str, segments: impl Iterator<Item = LocationSegment<'a>>) -> String {
    segments.fold(root.to_owned(), |path, segment| match segment {
        LocationSegment::Property(name) => format!("{path}.{}", shorten(&name)),
        LocationSegment::Index(index) => format!("{path}[{index}]"),
    })
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
