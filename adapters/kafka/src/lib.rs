//! x
mod backoff;
mod cluster;
mod config;
mod error;
mod fetch;
mod group;
mod offsets;
mod wire;
pub use cluster::KafkaClient;
pub use config::{BearerToken, KafkaConfig, Sasl, Tls, TokenSource};
pub use error::KafkaError;
pub use group::GroupProtocol;
pub use tokio_rustls::rustls;
