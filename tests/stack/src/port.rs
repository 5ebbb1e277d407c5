//! Ports that no other server takes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{self, UnixListener};

/// Below those that Linux gives to clients: a client that connects again and again to a server
/// that is down would be given the server's own port some day, and be connected with itself.
const RANGE: Range<u16> = 20_000..32_000;

/// How many are tried.
const TRIES: usize = 1000;

/// A free port of 127.0.0.1, kept for a server while this lives: who takes a port here gets
/// another, in this process and in others, also while the server is down.
#[derive(Debug)]
pub struct Port {
    number: u16,
    // A name without a file, which ends with this process.
    _kept: UnixListener,
}

impl Port {
    /// Takes one.
    ///
    /// # Errors
    /// Where none is free.
    pub fn take() -> io::Result<Self> {
        for _ in 0..TRIES {
            let number = fastrand::u16(RANGE);
            let name = format!("stockade-port-{number}");
            let name = net::SocketAddr::from_abstract_name(name)?;
            let Ok(kept) = UnixListener::bind_addr(&name) else {
                continue;
            };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self {
                    number,
                    _kept: kept,
                });
            }
        }
        let message = format!("{TRIES} ports of {RANGE:?} were tried, and none is free");
        Err(io::Error::new(io::ErrorKind::AddrInUse, message))
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_port_is_taken_once_until_it_is_let_go() {
        let ports: Vec<_> = (0..500).map(|_| Port::take().unwrap()).collect();
        let numbers: HashSet<_> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
        let name = format!("stockade-port-{}", ports[0].number());
        let name = net::SocketAddr::from_abstract_name(name).unwrap();
        assert!(UnixListener::bind_addr(&name).is_err(), "it is kept");
        drop(ports);
        UnixListener::bind_addr(&name).unwrap();
    }
}
