//! A question to Postgres, in its own protocol.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::bail;

const PATIENCE: Duration = Duration::from_secs(5);

/// Of the protocol: 3.0.
const VERSION: i32 = 3 << 16;

/// The largest message that is read: those that come first are much smaller.
const LARGEST: i32 = 1 << 16;

/// Whether the server lets the superuser in and is ready for queries.
pub(crate) fn answers(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let who = b"user\0postgres\0database\0postgres\0\0";
    let length = i32::try_from(8 + who.len())?;
    let mut startup = length.to_be_bytes().to_vec();
    startup.extend(VERSION.to_be_bytes());
    startup.extend(who);
    stream.write_all(&startup)?;
    loop {
        let mut header = [0; 5];
        stream.read_exact(&mut header)?;
        let [kind, length @ ..] = header;
        let length = i32::from_be_bytes(length);
        anyhow::ensure!(
            (4..=LARGEST).contains(&length),
            "a message of {length} bytes"
        );
        let mut message = vec![0; usize::try_from(length - 4)?];
        stream.read_exact(&mut message)?;
        match kind {
            // It waits for a query: it is told that none comes.
            b'Z' => {
                stream.write_all(&[b'X', 0, 0, 0, 4])?;
                return Ok(());
            }
            b'E' => bail!(
                "it says {}",
                String::from_utf8_lossy(&message).replace('\0', " ")
            ),
            _ => {}
        }
    }
}
