//! A connection, and one request after the other on it.
//!
//! A broker answers the requests of a connection one by one, in their order. So what may wait
//! there on purpose, a fetch or a join, has a connection of its own.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, HeaderVersion, encode_request_header_into_buffer};
use metrics::{counter, histogram};
use stockade_change_feed::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::request::{Request, text};
use super::stream::{Stream, is_refusal};
use crate::config::{Address, KafkaConfig};
use crate::error::{KafkaError, check};

const CONNECTIONS: &str = "stockade_kafka_connections_opened_total";
const SECONDS: &str = "stockade_kafka_request_seconds";

/// More than any broker sends: what it takes and gives in one piece is at most 100 MiB by default.
const LONGEST_ANSWER: u32 = 1 << 28;

/// A connection to a broker.
pub(crate) struct Connection {
    stream: Stream,
    address: Address,
    client_id: String,
    clock: Arc<dyn Clock>,
    /// What the broker offers, by the request's number: its oldest version and its newest.
    versions: BTreeMap<i16, (i16, i16)>,
    correlation: i32,
    received: BytesMut,
    /// Whether a request was begun and its answer not read to the end.
    busy: bool,
    /// From when on, by the monotonic clock, the broker may end it because the credentials are too
    /// old.
    worn_at: Option<Duration>,
}

impl Connection {
    /// Connects, encrypts, and asks which versions there are.
    pub(super) async fn connect(
        address: &Address,
        config: &KafkaConfig,
    ) -> Result<Self, KafkaError> {
        let stream = Stream::open(address, config.tls.as_ref()).await;
        let stream = stream.map_err(|error| match is_refusal(&error) {
            true => KafkaError::Untrusted {
                address: address.to_string(),
                reason: error.to_string(),
            },
            false => unreachable(address, error),
        })?;
        counter!(CONNECTIONS).increment(1);
        let mut connection = Self {
            stream,
            address: address.clone(),
            client_id: config.client_id.clone(),
            clock: config.clock.clone(),
            versions: BTreeMap::new(),
            correlation: 0,
            received: BytesMut::new(),
            busy: false,
            worn_at: None,
        };
        connection.negotiate(config.connect_timeout).await?;
        Ok(connection)
    }

    /// Uses the connection no longer than this from now.
    pub(super) fn wear_out_in(&mut self, worn: Duration) {
        self.worn_at = Some(self.clock.monotonic().saturating_add(worn));
    }

    async fn negotiate(&mut self, limit: Duration) -> Result<(), KafkaError> {
        type Hello = ApiVersionsRequest;
        let hello = Hello::default()
            .with_client_software_name(text(env!("CARGO_PKG_NAME")))
            .with_client_software_version(text(env!("CARGO_PKG_VERSION")));
        // Nothing is known yet, and every broker in the range has this one.
        let answer = self.call(&hello, Hello::OLDEST, limit).await?;
        check(Hello::NAME, answer.error_code)?;
        let offered = answer.api_keys.iter();
        self.versions = offered
            .map(|api| (api.api_key, (api.min_version, api.max_version)))
            .collect();
        Ok(())
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Whether another request may be sent on it.
    pub(crate) fn is_usable(&self) -> bool {
        let fresh = self
            .worn_at
            .is_none_or(|worn| self.clock.monotonic() < worn);
        !self.busy && fresh && self.stream.is_open()
    }

    /// The newest version of a request that both sides know, if there is one.
    pub(crate) fn offers<R: Request>(&self) -> Option<i16> {
        let (oldest, newest) = *self.versions.get(&R::KEY)?;
        let version = newest.min(R::NEWEST);
        (version >= oldest.max(R::OLDEST)).then_some(version)
    }

    /// The version that a request will be sent in.
    pub(crate) fn version<R: Request>(&self) -> Result<i16, KafkaError> {
        let (oldest, newest) = (R::OLDEST, R::NEWEST);
        self.offers::<R>().ok_or_else(|| KafkaError::Unsupported {
            api: R::NAME,
            address: self.address.to_string(),
            oldest,
            newest,
        })
    }

    /// Sends a request and returns the answer. If it fails or is dropped, the connection is not to
    /// be used again.
    pub(crate) async fn call<R: Request>(
        &mut self,
        request: &R,
        version: i16,
        limit: Duration,
    ) -> Result<R::Response, KafkaError> {
        let started = self.clock.monotonic();
        let clock = self.clock.clone();
        self.busy = true;
        let answer = within(clock.as_ref(), limit, self.exchange(request, version)).await;
        let Some(answer) = answer else {
            return Err(KafkaError::NoAnswer {
                api: R::NAME,
                address: self.address.to_string(),
                after: limit,
            });
        };
        let answer = answer?;
        self.busy = false;
        histogram!(SECONDS, "api" => R::NAME).record(clock.monotonic().saturating_sub(started));
        Ok(answer)
    }

    async fn exchange<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, KafkaError> {
        self.correlation = self.correlation.wrapping_add(1);
        let frame = self.frame(request, version);
        let frame = frame.map_err(|error| KafkaError::malformed(R::NAME, error))?;
        let received = self.pass(&frame).await;
        let mut bytes = received.map_err(|source| KafkaError::Lost {
            api: R::NAME,
            address: self.address.to_string(),
            source: Arc::new(source),
        })?;
        let malformed = |error| KafkaError::malformed(format!("answer to {}", R::NAME), error);
        let header = ResponseHeader::decode(&mut bytes, R::Response::header_version(version));
        let header = header.map_err(|error| malformed(error.to_string()))?;
        if header.correlation_id != self.correlation {
            let reason = format!(
                "it belongs to request {} and not to {}",
                header.correlation_id, self.correlation
            );
            return Err(malformed(reason));
        }
        let answer = R::Response::decode(&mut bytes, version);
        let answer = answer.map_err(|error| malformed(error.to_string()))?;
        if bytes.has_remaining() {
            return Err(malformed(format!(
                "{} bytes are left over",
                bytes.remaining()
            )));
        }
        Ok(answer)
    }

    fn frame<R: Request>(&self, request: &R, version: i16) -> Result<BytesMut, String> {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(text(&self.client_id)));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        encode_request_header_into_buffer(&mut frame, &header)
            .and_then(|()| request.encode(&mut frame, version))
            .map_err(|error| format!("version {version} can not be written: {error}"))?;
        let length = i32::try_from(frame.len() - 4);
        let length = length.map_err(|_| format!("{} bytes are too many", frame.len()))?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame)
    }

    /// Writes a frame and reads one.
    async fn pass(&mut self, frame: &[u8]) -> io::Result<Bytes> {
        self.stream.write_all(frame).await?;
        self.stream.flush().await?;
        self.fill(4).await?;
        let length = self.received.get_u32();
        if length > LONGEST_ANSWER {
            let reason = format!("an answer of {length} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        // It fits, as it was just bounded.
        let length = usize::try_from(length).unwrap_or_default();
        self.fill(length).await?;
        Ok(self.received.split_to(length).freeze())
    }

    async fn fill(&mut self, length: usize) -> io::Result<()> {
        while self.received.len() < length {
            self.received.reserve(length - self.received.len());
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

pub(super) fn unreachable(address: &Address, source: io::Error) -> KafkaError {
    KafkaError::Unreachable {
        address: address.to_string(),
        source: Arc::new(source),
    }
}

/// The output of `work`, if it is there in time.
pub(super) async fn within<T>(
    clock: &dyn Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        output = work => Some(output),
        () = clock.sleep(limit) => None,
    }
}
