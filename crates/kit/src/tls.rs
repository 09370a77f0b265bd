//! HTTPS without a certificate from anybody: a local authority in the data folder, made at first start.
//!
//! Many clients speak https only, so TLS is there from the first minute. The authority's certificate is constrained to
//! this host's names: who trusts it (`crannog trust`) trusts it for nothing else. What it signs lasts a year and is renewed
//! when less than thirty days are left, without a restart. Private keys have mode 0600 and never leave the folder.
//!
//! Nothing here reads certificates back apart: what was issued, for which names and until when, stands in `issued.json`,
//! written after the certificates it speaks of. When the two do not fit, the server's certificate is made anew.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crannog_types::Micros;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::health::Pulse;

/// How long the server's certificate is good for, and the authority's, in seconds.
const LEAF_LASTS: i64 = 365 * 86_400;
const AUTHORITY_LASTS: i64 = 10 * 365 * 86_400;

/// With less than this left, in seconds, a certificate is made anew.
const RENEW_BEFORE: i64 = 30 * 86_400;

/// How often the task that renews looks at the certificate, and how often it shows that it goes on.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
pub const PULSE: Duration = Duration::from_secs(2);

/// The authority's certificate in the folder: what clients are to trust.
pub const AUTHORITY_FILE: &str = "ca.crt";

/// A failure to make or read certificates.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file of the folder.
    #[error("{file} cannot be used: {cause}")]
    File {
        /// Which.
        file: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
    /// A key and a certificate that do not fit, or that cannot be read.
    #[error("the certificates in {folder} cannot be used: {cause}")]
    Use {
        /// The folder.
        folder: PathBuf,
        /// What rustls says.
        cause: String,
    },
}

/// What was issued.
#[derive(Debug, Serialize, Deserialize)]
struct Issued {
    /// Names that the authority may sign for.
    authority_names: BTreeSet<String>,
    authority_until: Micros,
    /// Names in the server's certificate.
    names: BTreeSet<String>,
    until: Micros,
}

/// The server's certificate in force.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
    names: BTreeSet<String>,
    current: RwLock<Arc<CertifiedKey>>,
}

/// This host's names: localhost and its addresses, the host's own name, and those given.
pub fn names(hostname: Option<&str>, more: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    let fits = |name: &str| {
        let host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        name.parse::<IpAddr>().is_ok() || (!name.is_empty() && name.bytes().all(host) && !name.starts_with('.'))
    };
    names.extend(hostname.map(str::to_owned).into_iter().chain(more).map(|name| name.to_lowercase()));
    names.retain(|name| fits(name));
    names
}

impl Certificates {
    /// Opens the folder, making the authority and the certificate where they are missing, too old, or for other names.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn open(folder: &Path, names: BTreeSet<String>, now: Micros) -> Result<Arc<Self>, TlsError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|cause| TlsError::File { file: folder.to_owned(), cause })?;
        let current = match kept(folder, &names, now).map(|()| load(folder)) {
            Some(Ok(current)) => current,
            _ => {
                issue(folder, &names, now)?;
                load(folder)?
            }
        };
        Ok(Arc::new(Certificates { folder: folder.to_owned(), names, current: RwLock::new(current) }))
    }

    /// Makes a new certificate when the one in force has less than thirty days left; says whether it did.
    ///
    /// # Errors
    /// When the folder cannot be written; the old certificate stays in force.
    pub fn renew(&self, now: Micros) -> Result<bool, TlsError> {
        if kept(&self.folder, &self.names, now).is_some() {
            return Ok(false);
        }
        issue(&self.folder, &self.names, now)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = load(&self.folder)?;
        Ok(true)
    }

    /// Looks every hour whether the certificate is to be renewed, until told to stop.
    pub async fn keep_renewed(self: Arc<Self>, pulse: Pulse, stop: CancellationToken) {
        let (mut often, mut looked) = (tokio::time::interval(PULSE), None::<Instant>);
        loop {
            tokio::select! {
                _ = often.tick() => pulse.beat(),
                () = stop.cancelled() => return,
            }
            if looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
                continue;
            }
            looked = Some(Instant::now());
            let certificates = Arc::clone(&self);
            // A disk that hangs must not take a thread of the event loop with it.
            match tokio::task::spawn_blocking(move || certificates.renew(crate::clock::now())).await {
                Ok(Ok(true)) => tracing::info!("renewed the server's certificate"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::error!(%error, "the server's certificate could not be renewed"),
                Err(error) => tracing::error!(%error, "the server's certificate could not be renewed"),
            }
        }
    }

    /// What a listener serves with: TLS 1.2 and 1.3, HTTP/2 and 1.1.
    ///
    /// # Errors
    /// When no provider of cryptography was installed.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Use { folder: self.folder.clone(), cause: error.to_string() })?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Whether what was issued is for these names and lasts.
fn kept(folder: &Path, names: &BTreeSet<String>, now: Micros) -> Option<()> {
    let issued: Issued = serde_json::from_slice(&fs::read(folder.join("issued.json")).ok()?).ok()?;
    let lasts = now.plus_seconds(RENEW_BEFORE) < issued.until;
    (lasts && issued.names == *names).then_some(())
}

/// Makes the server's certificate, and the authority before it where that is missing or may not sign for these names.
fn issue(folder: &Path, names: &BTreeSet<String>, now: Micros) -> Result<(), TlsError> {
    let old: Option<Issued> =
        fs::read(folder.join("issued.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let authority = read_text(folder, "ca.key").and_then(|text| KeyPair::from_pem(&text).ok());
    let usable = old.as_ref().is_some_and(|old| {
        old.authority_names.is_superset(names) && now.plus_seconds(LEAF_LASTS) < old.authority_until
    }) && read_text(folder, AUTHORITY_FILE).is_some();
    let (key, authority_names, authority_until) = match (authority, old, usable) {
        (Some(key), Some(old), true) => (key, old.authority_names, old.authority_until),
        (_, old, _) => {
            if old.is_some() {
                tracing::warn!("the local authority is made anew for other names: clients have to trust it again");
            }
            let until = now.plus_seconds(AUTHORITY_LASTS);
            let key = KeyPair::generate()?;
            let certificate = authority_params(names, now, until).self_signed(&key)?;
            write_file(folder, "ca.key", key.serialize_pem().as_bytes(), 0o600)?;
            write_file(folder, AUTHORITY_FILE, certificate.pem().as_bytes(), 0o644)?;
            (key, names.clone(), until)
        }
    };
    let until = now.plus_seconds(LEAF_LASTS);
    let issuer = Issuer::new(authority_params(&authority_names, now, authority_until), key);
    let leaf = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    params.distinguished_name = named("Crannog server");
    lasting(&mut params, now, until);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&leaf, &issuer)?;
    write_file(folder, "server.key", leaf.serialize_pem().as_bytes(), 0o600)?;
    write_file(folder, "server.crt", certificate.pem().as_bytes(), 0o644)?;
    let issued = Issued { authority_names, authority_until, names: names.clone(), until };
    let text = serde_json::to_vec_pretty(&issued)
        .map_err(|error| TlsError::Use { folder: folder.to_owned(), cause: error.to_string() })?;
    write_file(folder, "issued.json", &text, 0o644)
}

fn authority_params(names: &BTreeSet<String>, now: Micros, until: Micros) -> CertificateParams {
    let permitted = names.iter().map(|name| match name.parse::<IpAddr>() {
        Ok(ip) => GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(ip, if ip.is_ipv4() { 32 } else { 128 })),
        Err(_) => GeneralSubtree::DnsName(name.clone()),
    });
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Crannog local authority");
    lasting(&mut params, now, until);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints =
        Some(NameConstraints { permitted_subtrees: permitted.collect(), excluded_subtrees: Vec::new() });
    params
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// Good from a day before `now`, for clients whose clocks are behind, until `until`.
fn lasting(params: &mut CertificateParams, now: Micros, until: Micros) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since = |at: Micros| Duration::from_secs(at.seconds().max(0).cast_unsigned());
    params.not_before = epoch + since(now.plus_seconds(-86_400));
    params.not_after = epoch + since(until);
}

fn load(folder: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let unusable = |cause: String| TlsError::Use { folder: folder.to_owned(), cause };
    let mut chain = Vec::new();
    for file in ["server.crt", AUTHORITY_FILE] {
        chain.push(CertificateDer::from_pem_file(folder.join(file)).map_err(|error| unusable(error.to_string()))?);
    }
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).map_err(|error| unusable(error.to_string()))?;
    let certified = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())
        .map_err(|error| unusable(error.to_string()))?;
    Ok(Arc::new(certified))
}

fn read_text(folder: &Path, name: &str) -> Option<String> {
    fs::read_to_string(folder.join(name)).ok()
}

/// Writes beside and renames, so that nobody reads half of it; a private file is never readable to others in between.
fn write_file(folder: &Path, name: &str, content: &[u8], mode: u32) -> Result<(), TlsError> {
    let (file, beside) = (folder.join(name), folder.join(format!(".{name}.new")));
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&beside);
        let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        out.write_all(content)?;
        out.sync_all()?;
        fs::rename(&beside, &file)
    };
    write().map_err(|cause| TlsError::File { file: file.clone(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{ServerName, UnixTime};
    use std::os::unix::fs::PermissionsExt;

    /// 2026-11-22.
    const NOW: Micros = Micros(1_795_305_600_000_000);

    fn certificate(folder: &Path, name: &str) -> Vec<u8> {
        CertificateDer::from_pem_file(folder.join(name)).unwrap().to_vec()
    }

    fn trusted(folder: &Path, name: &str, at: Micros) -> Result<(), rustls::Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate(folder, AUTHORITY_FILE).into()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at.seconds().cast_unsigned()));
        let leaf = certificate(folder, "server.crt").into();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(&leaf, &[], &name, &[], at).map(|_| ())
    }

    #[test]
    fn a_client_that_trusts_the_authority_trusts_this_host_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let names = names(Some("Loch-Tay"), ["lake.example.com".to_owned(), "not a name".to_owned()]);
        assert_eq!(names.len(), 5);
        Certificates::open(folder.path(), names, NOW).unwrap();
        for name in ["localhost", "127.0.0.1", "::1", "loch-tay", "lake.example.com"] {
            trusted(folder.path(), name, NOW).unwrap();
        }
        assert!(trusted(folder.path(), "other.example.com", NOW).is_err());
        assert!(trusted(folder.path(), "localhost", NOW.plus_seconds(366 * 86_400)).is_err());
        for key in ["ca.key", "server.key"] {
            let mode = fs::metadata(folder.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }

    #[test]
    fn the_authority_may_not_sign_for_other_names() {
        let folder = tempfile::tempdir().unwrap();
        Certificates::open(folder.path(), names(None, []), NOW).unwrap();
        // Somebody who has the authority's key makes a certificate for another site.
        let key = KeyPair::from_pem(&read_text(folder.path(), "ca.key").unwrap()).unwrap();
        let issuer = Issuer::new(authority_params(&names(None, []), NOW, NOW.plus_seconds(AUTHORITY_LASTS)), key);
        let leaf = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["bank.example.com".to_owned()]).unwrap();
        lasting(&mut params, NOW, NOW.plus_seconds(LEAF_LASTS));
        let forged = params.signed_by(&leaf, &issuer).unwrap();
        write_file(folder.path(), "server.crt", forged.pem().as_bytes(), 0o644).unwrap();
        assert!(trusted(folder.path(), "bank.example.com", NOW).is_err());
    }

    #[test]
    fn a_certificate_is_kept_while_it_lasts_and_renewed_by_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        let open = |at| Certificates::open(folder.path(), names(None, []), at).unwrap();
        let certificates = open(NOW);
        let (first, authority) = (certificate(folder.path(), "server.crt"), certificate(folder.path(), AUTHORITY_FILE));
        open(NOW.plus_seconds(300 * 86_400));
        assert_eq!(certificate(folder.path(), "server.crt"), first);
        let later = NOW.plus_seconds(336 * 86_400);
        assert!(!certificates.renew(NOW).unwrap());
        assert!(certificates.renew(later).unwrap());
        assert_ne!(certificate(folder.path(), "server.crt"), first);
        assert_eq!(certificate(folder.path(), AUTHORITY_FILE), authority);
        trusted(folder.path(), "localhost", later).unwrap();
    }

    #[test]
    fn a_damaged_folder_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Certificates::open(folder.path(), names(None, []), NOW).unwrap();
        open();
        for file in ["server.key", "server.crt", "issued.json", "ca.key", AUTHORITY_FILE] {
            fs::write(folder.path().join(file), "nothing").unwrap();
            open();
            trusted(folder.path(), "localhost", NOW).unwrap();
        }
    }
}
