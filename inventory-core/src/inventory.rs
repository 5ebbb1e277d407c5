//! What an embedding backend holds.

/// Stock and reservations behind one API.
#[derive(Debug)]
pub struct Inventory {}
