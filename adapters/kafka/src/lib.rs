#![doc = include_str!("../README.md")]

mod cluster;
mod config;
mod error;
mod feed;
mod fetch;
mod group;
mod lag;
mod offsets;
mod publish;
mod reset;
mod subscription;
mod topics;
mod wire;

pub use cluster::KafkaClient;
pub use config::{BearerToken, KafkaConfig, Sasl, Tls, TokenSource};
pub use error::KafkaError;
pub use feed::KafkaFeed;
pub use group::GroupProtocol;
#[cfg(feature = "rskafka")]
pub use publish::RskafkaPublisher;
pub use publish::{Compression, KafkaPublisher};
pub use reset::ResetTo;
pub use tokio_rustls::rustls;
pub use topics::{TopicProblem, TopicSettings};
