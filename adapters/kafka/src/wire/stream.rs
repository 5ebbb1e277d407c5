//! Bytes to and from a broker, encrypted or not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsConnector, rustls};

use crate::config::{Address, Tls};

pub(super) enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) async fn open(address: &Address, tls: Option<&Tls>) -> io::Result<Self> {
        let tcp = TcpStream::connect((address.host.as_str(), address.port)).await?;
        // A request is written at once, so waiting for more only delays it.
        tcp.set_nodelay(true)?;
        let Some(Tls(config)) = tls else {
            return Ok(Self::Plain(tcp));
        };
        let name = ServerName::try_from(address.host.clone());
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let encrypted = TlsConnector::from(config.clone())
            .connect(name, tcp)
            .await?;
        Ok(Self::Encrypted(Box::new(encrypted)))
    }

    /// Whether the other side has not closed it, as far as is known here.
    pub(super) fn is_open(&self) -> bool {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Encrypted(encrypted) => encrypted.get_ref().0,
        };
        let mut byte = [0; 1];
        match tcp.peek(&mut byte).now_or_never() {
            // Nothing has come, which is as it should be.
            None => true,
            // TLS may send tickets at any time.
            Some(Ok(read)) => read > 0 && matches!(self, Self::Encrypted(_)),
            Some(Err(_)) => false,
        }
    }
}

/// Whether an error of making a connection is TLS's refusal, which another attempt won't change.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    let source = error.get_ref();
    source.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
        || error.kind() == io::ErrorKind::InvalidInput
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Encrypted(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
