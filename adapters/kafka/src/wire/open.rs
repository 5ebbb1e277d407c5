//! Opens connections.

use std::io;

use super::connection::{Connection, unreachable, within};
use super::sasl;
use crate::config::{Address, KafkaConfig};
use crate::error::KafkaError;

/// Connects, encrypts, asks which versions there are, and says who this is.
pub(crate) async fn open(
    address: &Address,
    config: &KafkaConfig,
) -> Result<Connection, KafkaError> {
    let limit = config.connect_timeout;
    let opened = within(config.clock.as_ref(), limit, open_slowly(address, config)).await;
    let late = || unreachable(address, io::ErrorKind::TimedOut.into());
    opened.unwrap_or_else(|| Err(late()))
}

async fn open_slowly(address: &Address, config: &KafkaConfig) -> Result<Connection, KafkaError> {
    let mut connection = Connection::connect(address, config).await?;
    if let Some(sasl) = &config.sasl {
        let lifetime = sasl::authenticate(&mut connection, sasl, config.connect_timeout).await?;
        if let Some(lifetime) = lifetime {
            // Early enough for a request that is begun just before.
            let worn = lifetime.saturating_sub(config.request_timeout);
            connection.wear_out_in(worn.max(lifetime / 2));
        }
    }
    Ok(connection)
}
