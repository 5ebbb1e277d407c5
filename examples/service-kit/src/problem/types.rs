//! The types of problems.

use axum::http::StatusCode;

/// A type of problem. Its `uri` is stable; clients decide by it, not by the words of `title` and
/// `detail`.
///
/// A service may define its own types:
///
/// ```
/// use axum::http::StatusCode;
/// use service_kit::ProblemType;
///
/// const PRINTER_JAMMED: ProblemType = ProblemType::new(
///     "urn:example:problem:printer-jammed",
///     StatusCode::CONFLICT,
///     "The printer is jammed",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProblemType {
    /// The member `type`: a URI that names the type. It is not the address of a page.
    pub uri: &'static str,
    /// The HTTP status of all problems of this type.
    pub status: StatusCode,
    /// The member `title`: the type in words.
    pub title: &'static str,
}

impl ProblemType {
    /// A type.
    #[must_use]
    pub const fn new(uri: &'static str, status: StatusCode, title: &'static str) -> Self {
        Self { uri, status, title }
    }
}

macro_rules! problem_types {
    ($($constant:ident $name:literal $status:ident $title:literal;)*) => {
        impl ProblemType {
            $(
                #[doc = concat!("`urn:stockade:problem:", $name, "`: ", $title, ".")]
                pub const $constant: Self = Self::new(
                    concat!("urn:stockade:problem:", $name),
                    StatusCode::$status,
                    $title,
                );
            )*

            /// All types of this crate.
            pub const ALL: &[Self] = &[$(Self::$constant),*];
        }
    };
}

problem_types! {
    INVALID_VALUE "invalid-value" BAD_REQUEST "A value is not allowed";
    UNAUTHORIZED "unauthorized" UNAUTHORIZED "A valid bearer token is required";
    NOT_FOUND "not-found" NOT_FOUND "The resource does not exist";
    METHOD_NOT_ALLOWED "method-not-allowed" METHOD_NOT_ALLOWED "The path does not support this method";
    BODY_TIMEOUT "body-timeout" REQUEST_TIMEOUT "The request body took too long to arrive";
    BODY_TOO_LARGE "body-too-large" PAYLOAD_TOO_LARGE "The request body is too large";
    UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE "The request body must be JSON";
    INTERNAL "internal" INTERNAL_SERVER_ERROR "The server failed";
    NOT_SUPPORTED "not-supported" NOT_IMPLEMENTED "The server does not support this";
    OVERLOADED "overloaded" SERVICE_UNAVAILABLE "The server is overloaded";
    UNAVAILABLE "unavailable" SERVICE_UNAVAILABLE "A backend is unavailable";
    TRANSACTION_LOST "transaction-lost" SERVICE_UNAVAILABLE "A concurrent request changed the same data";
    OUTCOME_UNKNOWN "outcome-unknown" GATEWAY_TIMEOUT "It is unknown whether the request took effect";
    REQUEST_TIMEOUT "request-timeout" GATEWAY_TIMEOUT "The request took too long";

    UNKNOWN_SKU "unknown-sku" UNPROCESSABLE_ENTITY "No stock is kept of the SKU";
    INSUFFICIENT_STOCK "insufficient-stock" CONFLICT "There is too little stock";
    UNKNOWN_RESERVATION "unknown-reservation" NOT_FOUND "The reservation does not exist";
    IDEMPOTENCY_CONFLICT "idempotency-conflict" UNPROCESSABLE_ENTITY "The idempotency key was used for another request";
    OPERATION_CONFLICT "operation-conflict" UNPROCESSABLE_ENTITY "The operation id was used for another adjustment";
    WRONG_STATE "wrong-state" CONFLICT "The state of the reservation does not allow this";
    NOT_OWNER "not-owner" FORBIDDEN "The reservation belongs to another owner";
    BELOW_PROMISED "below-promised" CONFLICT "More units are promised than would be left";

    SCHEMA_VIOLATED "schema-violated" UNPROCESSABLE_ENTITY "The product does not follow the schema of its type";
    UNKNOWN_PRODUCT_TYPE "unknown-product-type" UNPROCESSABLE_ENTITY "The product type does not exist";
    VERSION_CONFLICT "version-conflict" CONFLICT "The product has another version";
    SLUG_TAKEN "slug-taken" CONFLICT "The slug belongs to another product";
    SKU_TAKEN "sku-taken" CONFLICT "The SKU belongs to another product";
}
