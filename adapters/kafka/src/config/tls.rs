//! Whom this client trusts.

use std::fmt;
use std::sync::Arc;

use stockade_change_feed::FeedError;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How connections are encrypted, and whom this client trusts.
///
/// A [`rustls`](crate::rustls) configuration of your own becomes one by `Tls::from`.
#[derive(Clone)]
pub struct Tls(pub(crate) Arc<ClientConfig>);

impl Tls {
    /// Trusts the authorities that this machine trusts.
    ///
    /// # Errors
    /// [`FeedError::Invalid`] where the machine has none.
    pub fn system() -> Result<Self, FeedError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            let reason = "this machine has no certificates of authorities; install \
                          ca-certificates, or name the authority with Tls::trusting";
            return Err(FeedError::invalid("tls", &why.join("; "), reason));
        }
        Self::build(roots, None)
    }

    /// Trusts these authorities only: one or more certificates in PEM.
    ///
    /// # Errors
    /// [`FeedError::Invalid`] where there is none.
    pub fn trusting(authorities: &[u8]) -> Result<Self, FeedError> {
        Self::build(roots(authorities)?, None)
    }

    /// Trusts these authorities only, and proves itself by a certificate and its private key: all
    /// in PEM.
    ///
    /// # Errors
    /// [`FeedError::Invalid`] where one is missing, or the key is another certificate's.
    pub fn mutual(
        authorities: &[u8],
        certificate: &[u8],
        private_key: &[u8],
    ) -> Result<Self, FeedError> {
        let chain = certificates("certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_slice(private_key);
        let key = key.map_err(|error| invalid("private key", &error))?;
        Self::build(roots(authorities)?, Some((chain, key)))
    }

    fn build(
        roots: RootCertStore,
        identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    ) -> Result<Self, FeedError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid("tls", &error))?
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| invalid("private key", &error))?,
        };
        Ok(Self(Arc::new(config)))
    }
}

impl From<Arc<ClientConfig>> for Tls {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self(config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

fn roots(authorities: &[u8]) -> Result<RootCertStore, FeedError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("authorities", authorities)? {
        let added = roots.add(certificate);
        added.map_err(|error| invalid("authorities", &error))?;
    }
    Ok(roots)
}

fn certificates(
    field: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, FeedError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| invalid(field, &error))?;
    if certificates.is_empty() {
        let reason = "it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)";
        return Err(FeedError::invalid(field, "", reason));
    }
    Ok(certificates)
}

/// Never with the value, which may be a key.
fn invalid(field: &'static str, why: &dyn fmt::Display) -> FeedError {
    FeedError::invalid(field, "", why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_has_to_be_named() {
        let error = Tls::trusting(b"not a certificate").unwrap_err();
        assert!(error.to_string().contains("authorities"), "{error}");
        let error = Tls::mutual(b"", b"", b"").unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}
