//! Mocks of the traits, made by [`mockall`], for tests of code that calls them.
//!
//! A mock keeps no rules: it returns what the test tells it to. For a test that needs a catalogue
//! that keeps the rules, use the implementation in [`memory`](crate::memory).
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
