//! The catalogue, inventory and a change feed in Postgres.
