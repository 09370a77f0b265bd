//! `crannog trust`: a bundle of certificates for clients, and how each client is told of it.
//!
//! Clients take one file in the place of the one they had, so the bundle is the one in force with our authority's
//! certificate behind it. It never changes the system's own store.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Environment, Failure};
use crate::output::say;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The data folder of the server.
    #[arg(long, value_name = "DIR", default_value = "./crannog-data")]
    data: PathBuf,
    /// The authority's certificate, copied from another machine, instead of the data folder's.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Where to write the bundle [default: crannog-bundle.pem beside the certificate]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Where systems keep the certificates they trust.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Variables that name a bundle in force, the one that most clients read first.
const IN_FORCE: [&str; 3] = ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"];

pub(super) fn run(args: Args, environment: &Environment) -> Result<(), Failure> {
    let authority = args.ca_file.unwrap_or_else(|| args.data.join("tls").join(crannog_kit::tls::AUTHORITY_FILE));
    let ours = fs::read_to_string(&authority).map_err(|error| {
        Failure::new(format!(
            "{} cannot be read: {error}; run this where the server's data folder is, or copy that file here and name it \
             with --ca-file",
            authority.display()
        ))
    })?;
    if !ours.contains("-----BEGIN CERTIFICATE-----") {
        return Err(Failure::new(format!("{} holds no certificate", authority.display())));
    }
    let out = args.out.unwrap_or_else(|| authority.with_file_name("crannog-bundle.pem"));
    let named = IN_FORCE.iter().filter_map(|name| environment.get(*name)).map(PathBuf::from);
    let base = named.chain(SYSTEM.iter().map(PathBuf::from)).find(|file| file.is_file() && !same(file, &out));
    let mut bundle = match &base {
        Some(file) => fs::read_to_string(file)
            .map_err(|error| Failure::new(format!("{} cannot be read: {error}", file.display())))?,
        None => String::new(),
    };
    if !bundle.contains(ours.trim()) {
        if !bundle.is_empty() && !bundle.ends_with('\n') {
            bundle.push('\n');
        }
        bundle.push_str(&ours);
    }
    fs::write(&out, bundle).map_err(|error| Failure::new(format!("{} cannot be written: {error}", out.display())))?;
    let full = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let (bundle, authority) = (quoted(&full(&out)), quoted(&full(&authority)));
    let of = base.map_or_else(
        || "our certificate alone: no other bundle was found".to_owned(),
        |base| format!("the certificates of {} and ours", base.display()),
    );
    say(&format!(
        "# {of}\n\
         # Python (requests, databricks-sdk, mlflow) and most others:\n\
         export REQUESTS_CA_BUNDLE={bundle}\n\
         export SSL_CERT_FILE={bundle}\n\
         # curl:\n\
         export CURL_CA_BUNDLE={bundle}\n\
         # databricks-sql-connector: sql.connect(..., _tls_trusted_ca_file=...) with this file:\n\
         #   {bundle}\n\
         # Node, which adds to what it trusts:\n\
         export NODE_EXTRA_CA_CERTS={authority}\n\
         # Java (once, then name the store to the JVM):\n\
         #   keytool -importcert -noprompt -alias crannog -file {authority} -keystore crannog.p12 -storetype PKCS12 -storepass changeit\n\
         #   export JAVA_TOOL_OPTIONS=\"-Djavax.net.ssl.trustStore=$PWD/crannog.p12 -Djavax.net.ssl.trustStorePassword=changeit\"\n\
         # the crannog commands:\n\
         export CRANNOG_CA_FILE={authority}"
    ))
}

fn same(a: &Path, b: &Path) -> bool {
    match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// A path as a shell reads it back.
pub(crate) fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_holds_what_was_in_force_and_ours_once() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            file
        };
        let ours = "-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n";
        let ca_file = write("ca.crt", ours);
        let system = write("system.pem", "-----BEGIN CERTIFICATE-----\nsystem\n-----END CERTIFICATE-----");
        let bundle = folder.path().join("crannog-bundle.pem");
        for in_force in [&system, &bundle] {
            // The second time the bundle itself is in force: it is not taken as its own base.
            let environment = [
                ("REQUESTS_CA_BUNDLE".to_owned(), in_force.display().to_string()),
                ("SSL_CERT_FILE".to_owned(), system.display().to_string()),
            ];
            let args = Args { data: folder.path().into(), ca_file: Some(ca_file.clone()), out: None };
            run(args, &environment.into()).unwrap();
            let text = fs::read_to_string(&bundle).unwrap();
            assert!(text.starts_with("-----BEGIN CERTIFICATE-----\nsystem"), "{text}");
            assert_eq!(text.matches("ours").count(), 1);
        }
    }

    #[test]
    fn a_path_is_quoted_for_a_shell() {
        assert_eq!(quoted("/a/b-c.pem"), "/a/b-c.pem");
        assert_eq!(quoted("/it's here"), "'/it'\\''s here'");
    }
}
