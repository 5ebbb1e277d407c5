//! Mocks of the traits, by [`mockall`], for the tests of those who use them: what is called, with
//! what, how often, and what comes back.
//!
//! A mock knows no rule: it answers what it is told to. Where a test needs a catalogue that behaves, the
//! implementation in [`memory`](crate::memory) is shorter and right.
//!
//! ```
//! use std::sync::Arc;
//!
//! use stockade_catalog_core::mock::MockCatalogStore;
//! use stockade_catalog_core::{CatalogError, CatalogStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), CatalogError> {
//! let mut mock = MockCatalogStore::new();
//! mock.expect_all_types().times(1).returning(|| Ok(Vec::new()));
//! mock.expect_delete().never();
//!
//! let store: Arc<dyn CatalogStore> = Arc::new(mock);
//! assert!(store.all_types().await?.is_empty());
//! # Ok(())
//! # }
//! ```

pub use crate::availability::MockAvailabilityCache;
pub use crate::store::MockCatalogStore;
