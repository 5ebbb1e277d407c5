//! The work of checking a value against a schema, computed from the schema and the value alone.

use std::collections::HashMap;

use serde_json::Value;
use stockade_change_feed::shorten;

use crate::error::CatalogError;
use crate::product::Attributes;

pub(crate) const SCHEMA_DEPTH: usize = 64;
const SCHEMA_NODES: usize = 10_000;
const PATTERNS: usize = 50;
/// The cost of matching one byte against one pattern: a hard pattern takes that long.
const MATCHED_BYTE: usize = 10;
/// How often a schema with `unevaluated` keywords is evaluated; nested ones multiply.
const AGAIN: usize = 3;
/// How many bytes of a text count as one value.
const TEXT_BYTES: usize = 64;

/// How many values a schema is applied to. Long texts count for more, because checks of length and
/// equality read all of them.
fn values(attributes: &Attributes) -> usize {
    1 + attributes.iter().map(member).sum::<usize>()
}

fn member((name, value): (&String, &Value)) -> usize {
    name.len() / TEXT_BYTES + value_and_below(value)
}

fn value_and_below(value: &Value) -> usize {
    1 + match value {
        Value::String(text) => text.len() / TEXT_BYTES,
        Value::Array(items) => items.iter().map(value_and_below).sum(),
        Value::Object(members) => members.iter().map(member).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// The bytes that patterns may be matched against: texts, and the names of members.
fn text_bytes(attributes: &Attributes) -> usize {
    let member = |(name, value): (&String, &Value)| name.len() + text_bytes_of(value);
    attributes.iter().map(member).sum()
}

fn text_bytes_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_bytes_of).sum(),
        Value::Object(members) => text_bytes(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// The cost of a schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// How much it checks for each value.
    pub(crate) nodes: usize,
    /// How many patterns it has, with references replaced.
    pub(crate) patterns: usize,
}

impl Cost {
    /// The work of finding out whether attributes follow the schema.
    pub(crate) fn work(self, attributes: &Attributes) -> usize {
        let matched = self.patterns.saturating_mul(text_bytes(attributes));
        self.listing(attributes)
            .saturating_add(matched.saturating_mul(MATCHED_BYTE))
    }

    /// The work of listing where they do not.
    pub(crate) fn listing(self, attributes: &Attributes) -> usize {
        self.nodes.saturating_mul(values(attributes))
    }
}

/// Checks that references stay within the schema, and computes how large it becomes when each of
/// them is replaced by its target: that bounds the work for each attribute.
pub(crate) struct References<'a> {
    field: &'a str,
    root: &'a Value,
    /// The size of the target of each reference; none while it is being measured.
    sizes: HashMap<&'a str, Option<Size>>,
}

/// The size of a schema with its references replaced.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    levels: usize,
    patterns: usize,
}

impl<'a> References<'a> {
    /// Returns what the schema costs.
    pub(crate) fn check(field: &'a str, root: &'a Value) -> Result<Cost, CatalogError> {
        let mut references = Self {
            field,
            root,
            sizes: HashMap::new(),
        };
        let size = references.measure(root, field, 0)?;
        Ok(Cost {
            nodes: size.nodes,
            patterns: size.patterns,
        })
    }

    fn measure(&mut self, node: &'a Value, at: &str, level: usize) -> Result<Size, CatalogError> {
        if level > SCHEMA_DEPTH {
            return Err(self.too_large());
        }
        let mut size = Size::default();
        let mut add = |part: Size| {
            size.nodes = size.nodes.saturating_add(part.nodes);
            size.levels = size.levels.max(part.levels);
            size.patterns = size.patterns.saturating_add(part.patterns);
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
                    add(Size {
                        patterns: patterns(name, value),
                        ..Size::default()
                    });
                    if let Value::String(text) = value {
                        add(self.keyword(name, text, &at, level)?);
                    }
                }
            }
            _ => {}
        }
        let times = if evaluates_again(node) { AGAIN } else { 1 };
        let size = Size {
            nodes: size.nodes.saturating_mul(times).saturating_add(1),
            levels: size.levels + 1,
            patterns: size.patterns,
        };
        if size.patterns > PATTERNS {
            let reason = format!(
                "with references replaced by what they refer to, at most {PATTERNS} patterns are \
                 allowed"
            );
            return Err(CatalogError::invalid(self.field, "more", reason));
        }
        if size.nodes > SCHEMA_NODES || level + size.levels > SCHEMA_DEPTH + 1 {
            return Err(self.too_large());
        }
        Ok(size)
    }

    /// The cost of a keyword that refers to other places or changes what references mean.
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
                refuse("use $ref: the target of a reference must not depend on the value")
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
                "a reference must point into the schema, such as #/$defs/size; nothing is fetched",
            );
        };
        let size = match self.sizes.get(text) {
            Some(Some(size)) => *size,
            Some(None) => return refuse("a reference must not lead to itself"),
            None => {
                let Some(target) = self.root.pointer(pointer) else {
                    return refuse("the reference points to a place that the schema does not have");
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

/// How many patterns a keyword itself has.
fn patterns(name: &str, value: &Value) -> usize {
    match (name, value) {
        ("pattern", Value::String(_)) => 1,
        ("patternProperties", Value::Object(members)) => members.len(),
        _ => 0,
    }
}

fn evaluates_again(node: &Value) -> bool {
    node.get("unevaluatedProperties").is_some() || node.get("unevaluatedItems").is_some()
}
