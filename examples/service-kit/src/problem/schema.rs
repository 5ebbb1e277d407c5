//! The schema of problems in OpenAPI.

#![allow(dead_code, reason = "only the schemas are used")]

use serde::Serialize;
use utoipa::ToSchema;

/// An error, by RFC 9457. Which of the optional members are present depends on `type`.
///
/// This is the schema `Problem` of every [`Service`](crate::Service). A service whose problems have
/// more members, such as `current` of a product, defines a schema with the same name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Names the type of problem. It is stable: clients decide by it.
    #[schema(example = "urn:stockade:problem:insufficient-stock")]
    r#type: String,
    /// The type of problem in words.
    #[schema(example = "There is too little stock")]
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 409)]
    status: u16,
    /// What was wrong, with which value, and what the client can do.
    detail: String,
    /// The field, parameter or header that was wrong.
    #[schema(example = "lines")]
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The lines for which there is too little stock.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortages: Option<Vec<ShortageBody>>,
    /// The unknown SKUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    skus: Option<Vec<String>>,
    /// The SKU that belongs to another product.
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<String>,
    /// The state of the reservation.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// Units that are promised to reservations. Stock can't be set below this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    promised: Option<u64>,
    /// How many of the promised units would be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    short: Option<u64>,
    /// The values that do not follow the schema of the product type.
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<Vec<ViolationBody>>,
}

/// A line for which there is too little stock.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shortage)]
struct ShortageBody {
    sku: String,
    /// The location that the line named; null if it named none.
    location: Option<String>,
    /// Units that the line requested.
    requested: u64,
    /// Units that can be reserved.
    open: u64,
}

/// A value that does not follow its schema.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Violation)]
struct ViolationBody {
    /// The path of the value.
    field: String,
    /// What the schema requires.
    reason: String,
}
