//! Whom the client trusts.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use stockade_inventory_core::InventoryError;

/// Trusts the authorities that this machine trusts.
pub(super) fn system() -> Result<ClientConfig, InventoryError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let reason = "this machine has no certificates of authorities; install ca-certificates, or \
                      name whom to trust by HttpOptions::with_tls";
        return Err(InventoryError::invalid("tls", why.join("; "), reason));
    }
    trusting(roots)
}

/// Trusts these authorities. Without any, no connection by TLS succeeds.
pub(super) fn trusting(roots: RootCertStore) -> Result<ClientConfig, InventoryError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| InventoryError::invalid("tls", "", error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Whether the two sides do not trust each other, which no further attempt changes.
pub(super) fn is_distrust(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let tls = error.downcast_ref::<rustls::Error>();
        if let Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_)) = tls {
            return true;
        }
        // An error that is wrapped by one of I/O is not its source.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}
