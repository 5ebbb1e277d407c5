//! The loops that run beside a store.
