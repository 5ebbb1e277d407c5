//! HTTPS: whom the client trusts.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use stockade_change_feed::Retry;
use stockade_http::rustls::crypto::ring;
use stockade_http::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use stockade_http::rustls::{ClientConfig, RootCertStore, ServerConfig};
use stockade_http::{HttpOptions, HttpStockSource};
use stockade_inventory_core::StockSource;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::server::{listen, routes_over, sku, stocked};

/// The routes by TLS, and the certificate of the authority that signed the server's.
async fn encrypted() -> (SocketAddr, CertificateDer<'static>) {
    let plain = routes_over(Arc::new(stocked(&["tee"]).await)).await;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![server.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut plain = TcpStream::connect(plain).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut plain).await;
            });
        }
    });
    (address, authority.der().clone())
}

fn client(address: SocketAddr, host: &str, trusted: CertificateDer<'static>) -> HttpStockSource {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let options = HttpOptions::new(&format!("https://{host}:{}", address.port())).unwrap();
    HttpStockSource::new(options.with_tls(config)).unwrap()
}

#[tokio::test]
async fn a_trusted_server_is_asked() {
    let (address, authority) = encrypted().await;
    let stock = client(address, "localhost", authority)
        .stock(&[sku("tee")])
        .await;
    assert_eq!(stock.unwrap()[0].as_ref().unwrap().physical(), 1);
}

#[tokio::test]
async fn another_authority_or_another_name_is_refused() {
    let (address, authority) = encrypted().await;
    let (_, other) = encrypted().await;
    for (host, trusted) in [("localhost", other), ("127.0.0.1", authority)] {
        let error = client(address, host, trusted)
            .stock(&[sku("tee")])
            .await
            .unwrap_err();
        assert_eq!(error.retry(), Retry::Never, "{host}: {error}");
        assert!(error.to_string().contains("certificate"), "{host}: {error}");
    }
}

#[tokio::test]
async fn by_default_the_machines_authorities_are_trusted() {
    let (address, _) = encrypted().await;
    let options = HttpOptions::new(&format!("https://localhost:{}", address.port())).unwrap();
    // Where the machine has no authorities, the error says so.
    match HttpStockSource::new(options) {
        Ok(client) => {
            let error = client.stock(&[sku("tee")]).await.unwrap_err();
            assert_eq!(error.retry(), Retry::Never, "{error}");
        }
        Err(error) => assert!(error.to_string().contains("ca-certificates"), "{error}"),
    }
}
