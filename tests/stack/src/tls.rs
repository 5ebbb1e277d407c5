//! Certificates for servers that are reached by TLS.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// Certificates of an authority that only this server's clients know: PEM files, which are gone
/// with the server.
#[derive(Clone, Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes them in that folder.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        let made = Self {
            folder: folder.to_owned(),
        };
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        named(&mut authority, "stockade's authority for a test");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        fs::write(made.authority(), authority.pem())?;

        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut server = CertificateParams::new(names)?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Servers of a cluster are clients of each other.
        server
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ClientAuth);
        named(&mut server, "server");
        made.sign(&server, &authority, &made.server(), &made.server_key())?;
        let mut both = fs::read(made.server_key())?;
        both.extend(fs::read(made.server())?);
        fs::write(made.server_with_key(), both)?;

        let mut client = CertificateParams::default();
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        named(&mut client, "client");
        made.sign(&client, &authority, &made.client(), &made.client_key())?;
        Ok(made)
    }

    /// What clients have to trust.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// The server's certificate, for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn server(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    /// The server's key, as PKCS 8.
    #[must_use]
    pub fn server_key(&self) -> PathBuf {
        self.folder.join("server.key")
    }

    /// Both in one file, as Java takes them.
    #[must_use]
    pub fn server_with_key(&self) -> PathBuf {
        self.folder.join("server-with-key.pem")
    }

    /// A certificate that a client may show. Servers don't insist on it.
    #[must_use]
    pub fn client(&self) -> PathBuf {
        self.folder.join("client.pem")
    }

    /// The client's key, as PKCS 8.
    #[must_use]
    pub fn client_key(&self) -> PathBuf {
        self.folder.join("client.key")
    }

    fn sign(
        &self,
        params: &CertificateParams,
        authority: &CertifiedIssuer<'_, KeyPair>,
        certificate: &Path,
        key: &Path,
    ) -> anyhow::Result<()> {
        let own = KeyPair::generate()?;
        fs::write(certificate, params.signed_by(&own, authority)?.pem())?;
        Ok(fs::write(key, own.serialize_pem())?)
    }
}

fn named(params: &mut CertificateParams, name: &str) {
    params.distinguished_name.push(DnType::CommonName, name);
}
