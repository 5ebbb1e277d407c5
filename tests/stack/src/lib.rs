//! Real servers for tests, trials and benchmarks.
//!
//! A server is started on a free port with its data in a temporary folder, and is ready when it
//! has answered a request. It ends with its handle, and also when the process that holds the
//! handle is killed. Tests can hurt it on purpose: kill and restart it with its data kept, pause
//! it, or put a [`Proxy`] before it that cuts and slows connections and loses replies.
//!
//! Each server is one file, and implements [`Server`].

mod cache;
#[cfg(feature = "collector")]
mod collector;
mod daemon;
mod java;
mod kafka;
mod maven;
mod port;
mod postgres;
mod process;
mod programs;
mod proxy;
mod redis;
mod server;
mod tls;
mod user;
mod watchdog;

#[cfg(feature = "collector")]
pub use collector::{Collector, Span};
pub use kafka::{Kafka, KafkaCluster, KafkaOptions, KafkaTool, Listener, RunningTool};
pub use port::Port;
pub use postgres::{Postgres, PostgresOptions};
pub use process::{Process, keep, notes};
pub use proxy::Proxy;
pub use redis::{Redis, RedisCluster, RedisOptions};
pub use server::{Kind, Left, LeftProcess, Server, start_all};
pub use tls::Certificates;
pub use watchdog::Watchdog;
