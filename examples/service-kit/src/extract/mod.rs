//! Reads requests. A value that can not be read is refused with a [`Problem`](crate::Problem) that
//! names the field, parameter or header.

mod body;
mod headers;
mod query;
mod segment;

pub(crate) use self::body::BodyLimits;
pub use self::body::{Body, RawBody, from_object};
pub use self::headers::{Headers, IdempotencyKey};
pub use self::query::Query;
pub use self::segment::Segment;
