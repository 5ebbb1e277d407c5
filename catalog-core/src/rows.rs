//! The rows that a change feed sees of a catalogue: the columns of its two tables, as Debezium
//! renders them from Postgres.
//!
//! | `products` | |
//! |---|---|
//! | `product_id`, `slug`, `title`, `description`, `product_type`, `status` | text |
//! | `brand` | text or null |
//! | `category`, `media`, `attributes` | JSONB: a string that holds JSON |
//! | `version` | bigint |
//!
//! | `variants` | |
//! |---|---|
//! | `sku`, `product_id` | text |
//! | `position` | integer, from 0 |
//! | `name` | text or null |
//! | `options`, `attributes` | JSONB: a string that holds JSON |
//! | `price_minor`, `currency` | bigint and text, or null |
//! | `version` | bigint |
//!
//! Both are keyed by `product_id` in the feed, so that the rows of one product keep their order.
