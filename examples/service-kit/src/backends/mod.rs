//! The servers that a service runs over: their options, and how they are connected to.

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "kafka")]
pub use self::kafka::{KafkaBrokers, KafkaLog, KafkaSettings};
#[cfg(feature = "postgres")]
pub use self::postgres::{check_postgres, connect_postgres};
#[cfg(feature = "redis")]
pub use self::redis::{RedisSettings, check_redis};
