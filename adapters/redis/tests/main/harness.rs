//! Clients of the servers that tests share, and of those that a test has for itself.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::ClientLike as _;
use fred::types::config::{Config, TlsConnector};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use stack::Certificates;
use stockade_redis::Prefix;
use stockade_testkit::Absent;

/// Longer than anything takes on a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Where the server is that cases share, or how to get one.
pub(crate) fn url(variable: &str) -> Result<String, Absent> {
    let missing = format!("{variable} is not set; run the tests by `cargo stack test`");
    std::env::var(variable).map_err(|_| Absent::because(missing))
}

pub(crate) async fn client(url: &str) -> Client {
    client_trusting(url, None).await
}

pub(crate) async fn client_trusting(url: &str, certificates: Option<&Certificates>) -> Client {
    let mut config = Config::from_url(url).unwrap();
    if let Some(certificates) = certificates {
        config.tls = Some(trusting(certificates).into());
    }
    let client = stockade_redis::builder(config).build().unwrap();
    client.init().await.unwrap();
    client
}

fn trusting(certificates: &Certificates) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(certificates.authority()).unwrap();
    roots.add(authority).unwrap();
    let provider = rustls::crypto::ring::default_provider().into();
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
        .into()
}

/// A prefix that no other case has, of this run or another.
pub(crate) fn prefix() -> Prefix {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    Prefix::new(format!("case-{started}-{process}-{count}:")).unwrap()
}

/// What the README grants a user for one of the two.
pub(crate) fn documented_rights(of: &str) -> String {
    let begin = format!("ACL SETUSER {of} on >secret ");
    let (_, rest) = include_str!("../../README.md").split_once(&begin).unwrap();
    let (rights, _) = rest.split_once("```").unwrap();
    rights
        .split_whitespace()
        .filter(|word| *word != "\\")
        .collect::<Vec<_>>()
        .join(" ")
}
