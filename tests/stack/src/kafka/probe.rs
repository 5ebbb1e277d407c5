//! A question to a broker, in its own protocol.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;

const PATIENCE: Duration = Duration::from_secs(5);

/// The largest answer that is read: that of three brokers is much smaller.
const LARGEST: u32 = 1 << 20;

/// How many brokers that broker knows of: `Metadata` of version 1, about no topic.
pub(super) fn brokers(address: SocketAddr) -> anyhow::Result<usize> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (metadata, version, correlation, no_client, no_topics) =
        (3_i16, 1_i16, 0_i32, -1_i16, 0_i32);
    let mut request = Vec::new();
    request.extend(metadata.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(correlation.to_be_bytes());
    request.extend(no_client.to_be_bytes());
    request.extend(no_topics.to_be_bytes());
    let length = u32::try_from(request.len())?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&request)?;

    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    anyhow::ensure!(length <= LARGEST, "an answer of {length} bytes");
    let mut answer = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut answer)?;
    // After the correlation id comes the length of the list.
    let count = answer.get(4..8).context("the answer is too short")?;
    Ok(usize::try_from(i32::from_be_bytes(count.try_into()?))?)
}
