#![doc = include_str!("../README.md")]

#[cfg(feature = "cache")]
mod cache;
mod client;
mod error;
#[cfg(any(feature = "cache", feature = "timer"))]
mod keys;
#[cfg(any(feature = "cache", feature = "timer"))]
mod script;
#[cfg(any(feature = "cache", feature = "timer"))]
mod server;
#[cfg(any(feature = "cache", feature = "timer"))]
mod telemetry;
#[cfg(feature = "timer")]
mod timer;

#[cfg(feature = "cache")]
pub use cache::RedisAvailability;
pub use client::{RedisClient, builder, connect, connect_in_background};
pub use error::RedisError;
#[cfg(any(feature = "cache", feature = "timer"))]
pub use keys::Prefix;
#[cfg(any(feature = "cache", feature = "timer"))]
pub use server::{Role, ServerSetting, ServerSettings, Settings};
#[cfg(feature = "timer")]
pub use timer::{RedisTimers, TimerOptions};
