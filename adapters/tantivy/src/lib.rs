//! An embedded search index over tantivy.
