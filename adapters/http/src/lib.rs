#![doc = include_str!("../README.md")]

#[cfg(feature = "client")]
mod client;
#[cfg(any(feature = "client", feature = "routes"))]
mod format;
#[cfg(feature = "routes")]
mod routes;
#[cfg(any(feature = "client", feature = "routes"))]
mod telemetry;

#[cfg(feature = "client")]
pub use client::{HttpOptions, HttpStockSource};
#[cfg(any(feature = "client", feature = "routes"))]
pub use format::{FORMAT_VERSION, SCAN_PATH, STOCK_PATH};
#[cfg(feature = "routes")]
pub use routes::{MAX_BODY_BYTES, MAX_SKUS, StockRoutes, stock_routes};
#[cfg(feature = "client")]
pub use rustls;
