//! A way to a server that can be disturbed.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The most bytes that are passed on at once.
const PIECE: usize = 16 * 1024;

/// Passes connections on to a server, and disturbs them when it is told to. All of its
/// connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: Arc<watch::Sender<Weather>>,
    task: JoinHandle<()>,
}

/// What happens to what passes.
#[derive(Clone, Debug, Default)]
struct Weather {
    /// Connections that were made before the last cut end.
    cuts: u64,
    refusing: bool,
    delay: Duration,
    bytes_per_second: Option<u32>,
    /// Ends the connection once the server has replied to a request with these bytes in it.
    losing: Option<Vec<u8>>,
    /// Keeps the next request with these bytes in it from the server.
    holding: Option<Vec<u8>>,
    /// Whether such a request is kept.
    held: bool,
}

impl Weather {
    /// The length of the longest text that is looked for.
    fn longest_sought(&self) -> usize {
        let sought = [&self.losing, &self.holding];
        sought
            .into_iter()
            .flatten()
            .map(Vec::len)
            .max()
            .unwrap_or_default()
    }
}

impl Proxy {
    /// Listens on a free port, and passes on to `server`.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let weather = Arc::new(watch::Sender::new(Weather::default()));
        let task = tokio::spawn(accept(listener, server, weather.clone()));
        Ok(Self {
            address,
            weather,
            task,
        })
    }

    /// Where it is reached in place of the server.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections that there are.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Ends all connections, and each new one as soon as it is made, until it is
    /// [clear](Proxy::clear) again.
    pub fn refuse(&self) {
        self.weather.send_modify(|weather| {
            weather.cuts += 1;
            weather.refusing = true;
        });
    }

    /// Holds what passes back for so long, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    /// Lets no more pass in each direction of a connection.
    ///
    /// # Panics
    /// For 0.
    pub fn throttle(&self, bytes_per_second: u32) {
        assert!(
            bytes_per_second > 0,
            "what is held back for ever is refused"
        );
        self.weather
            .send_modify(|weather| weather.bytes_per_second = Some(bytes_per_second));
    }

    /// Loses the reply to the next request that has these bytes in it, such as `COMMIT`: the
    /// server gets it and replies, and the connection ends without the reply. Happens once.
    pub fn lose_reply_to(&self, request: impl Into<Vec<u8>>) {
        let request = request.into();
        self.weather
            .send_modify(|weather| weather.losing = Some(request));
    }

    /// Holds back the next request that has these bytes in it, and what follows it on its
    /// connection, until the weather is [clear](Proxy::clear): then the server gets it late, even if
    /// the client is gone. Other connections pass.
    pub fn hold_request(&self, request: impl Into<Vec<u8>>) {
        let request = request.into();
        self.weather
            .send_modify(|weather| weather.holding = Some(request));
    }

    /// Waits until a request is [held back](Proxy::hold_request).
    pub async fn held(&self) {
        // This has the sender, so there is no end of it.
        let _ = self
            .weather
            .subscribe()
            .wait_for(|weather| weather.held)
            .await;
    }

    /// Passes everything on again, as at first.
    pub fn clear(&self) {
        self.weather.send_modify(|weather| {
            let cuts = weather.cuts;
            *weather = Weather {
                cuts,
                ..Weather::default()
            };
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, weather: Arc<watch::Sender<Weather>>) {
    // Dropped with this task, and its connections with it.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if !weather.borrow().refusing {
            connections.spawn(pass(client, server, weather.clone()));
        }
    }
}

async fn pass(client: TcpStream, server: SocketAddr, weather: Arc<watch::Sender<Weather>>) {
    let mut changes = weather.subscribe();
    let cuts = changes.borrow().cuts;
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let lost = watch::Sender::new(false);
    let requests = requests(from_client, to_server, &weather, &lost);
    let replies = replies(from_server, to_client, &weather, lost.subscribe());
    tokio::select! {
        () = requests => {}
        () = replies => {}
        _ = changes.wait_for(|weather| weather.cuts > cuts) => {}
    }
}

/// Passes requests on, holds back the one that shall be late, and notes when the one whose reply shall
/// be lost has gone by.
async fn requests(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    weather: &watch::Sender<Weather>,
    lost: &watch::Sender<bool>,
) {
    // What is looked for may stand across two pieces.
    let mut seen = Vec::new();
    let mut piece = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        seen.extend_from_slice(&piece[..length]);
        let here = |sought: &[u8]| seen.windows(sought.len()).any(|at| at == sought);
        if weather.send_if_modified(|weather| take(&mut weather.losing, here)) {
            lost.send_replace(true);
        }
        let holds = weather.send_if_modified(|weather| {
            let holds = take(&mut weather.holding, here);
            weather.held |= holds;
            holds
        });
        if holds {
            let mut changes = weather.subscribe();
            let _ = changes.wait_for(|weather| !weather.held).await;
        }
        let kept = weather.borrow().longest_sought().saturating_sub(1);
        seen.drain(..seen.len().saturating_sub(kept));
        hold_back(length, weather).await;
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

/// Takes what is looked for, if it is here.
fn take(sought: &mut Option<Vec<u8>>, here: impl Fn(&[u8]) -> bool) -> bool {
    let found = sought.as_deref().is_some_and(here);
    if found {
        *sought = None;
    }
    found
}

/// Passes replies on, up to the one that shall be lost.
async fn replies(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    weather: &watch::Sender<Weather>,
    lost: watch::Receiver<bool>,
) {
    let mut piece = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        hold_back(length, weather).await;
        if *lost.borrow() || to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

async fn hold_back(length: usize, weather: &watch::Sender<Weather>) {
    let (delay, rate) = {
        let weather = weather.borrow();
        (weather.delay, weather.bytes_per_second)
    };
    let transfer = rate.map_or(0.0, |rate| length as f64 / f64::from(rate));
    let wait = delay + Duration::from_secs_f64(transfer);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}
