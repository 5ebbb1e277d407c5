//! JSON Schemas of product types: what they may be, and what attributes they refuse.
//!
//! A schema comes from outside, so the cost of checking a product against it is bounded: patterns
//! are matched in linear time, and references stay within the schema and don't recurse.

use std::collections::HashMap;

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;
use stockade_change_feed::shorten;

use crate::error::{CatalogError, Violation};
use crate::limits::{check_depth, check_json_bytes, check_json_without_nul};
use crate::product::{Attributes, ProductContent, ProductType};

const SCHEMA_BYTES: usize = 64 << 10;
const SCHEMA_DEPTH: usize = 64;
const SCHEMA_NODES: usize = 10_000;
const PATTERN_BYTES: usize = 1 << 20;
const VIOLATIONS: usize = 20;

/// A product type, ready to check products.
#[derive(Debug)]
pub(crate) struct CompiledType {
    product_type: ProductType,
    product: Validator,
    variant: Validator,
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

    /// Checks the attributes of a product and its variants.
    pub(crate) fn check(&self, content: &ProductContent) -> Result<(), CatalogError> {
        let mut violations = violations(&self.product, "attributes", &content.attributes);
        for (position, variant) in content.variants.iter().enumerate() {
            if violations.len() >= VIOLATIONS {
                break;
            }
            let field = format!("variants[{position}].attributes");
            violations.extend(self::violations(&self.variant, &field, &variant.attributes));
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

fn compile(field: &str, schema: &Value) -> Result<Validator, CatalogError> {
    check_depth(field, schema, SCHEMA_DEPTH)?;
    check_json_bytes(field, schema, SCHEMA_BYTES)?;
    check_json_without_nul(field, schema)?;
    References::check(field, schema)?;
    jsonschema::options()
        .offline()
        .with_pattern_options(
            PatternOptions::regex()
                .size_limit(PATTERN_BYTES)
                .dfa_size_limit(PATTERN_BYTES),
        )
        .build(schema)
        .map_err(|error| {
            let reason = format!(
                "it is no usable JSON Schema: {}",
                shorten(&error.to_string())
            );
            let field = path(field, error.instance_path().iter());
            CatalogError::invalid(field, error.instance().to_string(), reason)
        })
}

fn violations(validator: &Validator, field: &str, attributes: &Attributes) -> Vec<Violation> {
    let instance = Value::Object(attributes.clone());
    validator
        .iter_errors(&instance)
        .take(VIOLATIONS)
        .map(|error| violation(field, &error))
        .collect()
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

/// Finds out whether references stay within the schema, and how large it becomes when each of
/// them is replaced by what it refers to: that bounds the work for each attribute.
struct References<'a> {
    field: &'a str,
    root: &'a Value,
    /// The size of what each reference stands for; none while it is being measured.
    sizes: HashMap<&'a str, Option<Size>>,
}

/// The size of a schema whose references were replaced.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    levels: usize,
}

impl<'a> References<'a> {
    fn check(field: &'a str, root: &'a Value) -> Result<(), CatalogError> {
        let mut references = Self {
            field,
            root,
            sizes: HashMap::new(),
        };
        references.measure(root, field, 0).map(|_| ())
    }

    fn measure(&mut self, node: &'a Value, at: &str, level: usize) -> Result<Size, CatalogError> {
        if level > SCHEMA_DEPTH {
            return Err(self.too_large());
        }
        let mut size = Size::default();
        let mut add = |part: Size| {
            size.nodes = size.nodes.saturating_add(part.nodes);
            size.levels = size.levels.max(part.levels);
        };
        match node {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    add(self.measure(item, &format!("{at}[{index}]"), level + 1)?);
                }
            }
            Value::Object(members) => {
                for (name, value) in members {
                    let at = format!("{at}.{}", shorten(name));
                    add(self.measure(value, &at, level + 1)?);
                    if let Value::String(text) = value {
                        add(self.keyword(name, text, &at, level)?);
                    }
                }
            }
            _ => {}
        }
        let size = Size {
            nodes: size.nodes.saturating_add(1),
            levels: size.levels + 1,
        };
        if size.nodes > SCHEMA_NODES || level + size.levels > SCHEMA_DEPTH + 1 {
            return Err(self.too_large());
        }
        Ok(size)
    }

    /// What a keyword adds that refers to other places or changes what references mean.
    fn keyword(
        &mut self,
        name: &str,
        text: &'a str,
        at: &str,
        level: usize,
    ) -> Result<Size, CatalogError> {
        let refuse = |reason| Err(CatalogError::invalid(at, text, reason));
        match name {
            "$ref" => self.reference(text, at, level),
            "$dynamicRef" | "$recursiveRef" => {
                refuse("use $ref: what a reference stands for has to be known beforehand")
            }
            "$id" if level > 0 => refuse("only the root of a schema may have an $id"),
            "$schema" if level > 0 => refuse("only the root of a schema may name its draft"),
            "$schema" if text.contains("draft-03") || text.contains("draft-04") => {
                refuse("use draft 6 or later")
            }
            _ => Ok(Size::default()),
        }
    }

    fn reference(&mut self, text: &'a str, at: &str, level: usize) -> Result<Size, CatalogError> {
        let refuse = |reason| Err(CatalogError::invalid(at, text, reason));
        let Some(pointer) = text
            .strip_prefix('#')
            .filter(|pointer| !pointer.contains('%'))
        else {
            return refuse(
                "a reference has to stay within the schema, such as #/$defs/size; nothing is fetched",
            );
        };
        let size = match self.sizes.get(text) {
            Some(Some(size)) => *size,
            Some(None) => return refuse("a reference must not lead back to itself"),
            None => {
                let Some(target) = self.root.pointer(pointer) else {
                    return refuse("there is nothing at that place of the schema");
                };
                self.sizes.insert(text, None);
                let size = self.measure(target, at, level + 1)?;
                self.sizes.insert(text, Some(size));
                size
            }
        };
        Ok(size)
    }

    fn too_large(&self) -> CatalogError {
        let reason = format!(
            "with references replaced by what they refer to, at most {SCHEMA_NODES} values in \
             {SCHEMA_DEPTH} levels are allowed"
        );
        CatalogError::invalid(self.field, "larger", reason)
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
