//! HTTP to a server, for the commands: a token, JSON both ways, errors in the server's own words.
//!
//! The certificates it trusts are the system's, and a file's when one is named. A token goes only to the host that was named,
//! never along a redirect.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Certificate, Method, RequestBuilder, Response, Url};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::cli::Failure;

/// How long a file may take: the server ends an upload that stands still.
const UPLOAD: Duration = Duration::from_secs(24 * 3600);

/// Where a server is, and who asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connect {
    /// As it was written; none: this machine's default.
    pub(crate) host: Option<String>,
    /// A bearer token, and the flag or the variable that it came from.
    pub(crate) token: Option<(String, &'static str)>,
    /// Certificates to trust besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
}

/// A server that answers.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<(String, &'static str)>,
}

/// An answer that is not a success.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The HTTP status.
    pub(crate) status: u16,
    /// What failed.
    pub(crate) message: String,
}

/// What asking a server can end with.
#[derive(Debug)]
pub(crate) enum Asked {
    /// It said no.
    Refused(Refused),
    /// It was not reached, or does not speak our language.
    Failed(Failure),
}

impl From<Asked> for Failure {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Failed(failure) => failure,
            Asked::Refused(refused) => Failure::new(refused.message),
        }
    }
}

/// A text as one segment of a path or one value of a query.
pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The address of a server: without a scheme, http on this machine and https elsewhere, as databricks-sdk has it.
fn address(host: &str) -> Result<Url, Failure> {
    let host = host.trim();
    let text = if host.contains("://") {
        host.to_owned()
    } else {
        let name = host.split('/').next().unwrap_or(host);
        let here = name == "localhost"
            || name.starts_with("localhost:")
            || name.starts_with("127.")
            || name.starts_with("[::1]");
        format!("{}://{host}", if here { "http" } else { "https" })
    };
    let url = Url::parse(&text).map_err(|error| Failure::new(format!("the host {host:?} is no address: {error}")))?;
    match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(_)) => Ok(url),
        _ => Err(Failure::new(format!("the host {host:?} is no http or https address"))),
    }
}

impl Connect {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// When the host is no address or the file holds no certificates.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let base = address(self.host.as_deref().unwrap_or("http://127.0.0.1:8080"))?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("crannog/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(120));
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        if let Some(file) = &self.ca_file {
            let step = "`crannog trust` on the server's machine writes one";
            let pem = std::fs::read(file)
                .map_err(|error| Failure::new(format!("{} cannot be read: {error}; {step}", file.display())))?;
            let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if certificates.is_empty() {
                return Err(Failure::new(format!("{} holds no certificate in PEM; {step}", file.display())));
            }
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let http = builder.build().map_err(|error| Failure::new(format!("no HTTP client: {}", root_cause(&error))))?;
        Ok(Client { http, base, token: self.token.clone() })
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// What it all comes from, without the layers that passed it on: `connection refused`.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    let text = root.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

impl Client {
    /// The server's address, without a slash at the end.
    pub(crate) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The flag or the variable that the token came from; `None`: there is no token.
    pub(crate) fn token_from(&self) -> Option<&'static str> {
        self.token.as_ref().map(|(_, from)| *from)
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Asked> {
        self.ask(Method::GET, path, None).await
    }

    /// Does something.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Asked> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Changes parts of something.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value, Asked> {
        self.ask(Method::PATCH, path, Some(body)).await
    }

    /// Removes.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Asked> {
        self.ask(Method::DELETE, path, None).await
    }

    /// Sends a file, in pieces.
    pub(crate) async fn put_file(&self, path: &str, file: tokio::fs::File) -> Result<(), Asked> {
        let length = file.metadata().await.map_err(|error| Asked::Failed(error.into()))?.len();
        let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::with_capacity(file, 256 << 10));
        let request = self.request(Method::PUT, path).timeout(UPLOAD).header("content-length", length).body(body);
        let (status, body) = self.sent(request).await.map_err(Asked::Failed)?;
        self.answered(status, body).map(|_| ())
    }

    /// Writes a file that is there into one here, in pieces.
    pub(crate) async fn get_file(&self, path: &str, into: &mut tokio::fs::File) -> Result<(), Asked> {
        let request = self.request(Method::GET, path).timeout(UPLOAD);
        let mut response = request.send().await.map_err(|error| Asked::Failed(self.unreachable(error)))?;
        if !response.status().is_success() {
            let (status, body) = self.read(response).await.map_err(Asked::Failed)?;
            return self.answered(status, body).map(|_| ());
        }
        let broken = |error: std::io::Error| Asked::Failed(error.into());
        while let Some(piece) = response.chunk().await.map_err(|error| Asked::Failed(self.unreachable(error)))? {
            into.write_all(&piece).await.map_err(broken)?;
        }
        into.flush().await.map_err(broken)
    }

    /// Status and body, whatever the status is.
    pub(crate) async fn look(&self, path: &str) -> Result<(u16, Value), Failure> {
        self.send(Method::GET, path, None).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Asked> {
        let (status, body) = self.send(method, path, body).await.map_err(Asked::Failed)?;
        self.answered(status, body)
    }

    fn answered(&self, status: u16, body: Value) -> Result<Value, Asked> {
        if (200..300).contains(&status) {
            return Ok(body);
        }
        if status == 401 {
            return Err(Asked::Refused(Refused { status, message: self.not_signed_in() }));
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let message = text("message").or_else(|| text("detail")).or_else(|| text("error_description"));
        let message = message.map_or_else(|| format!("{} answered {status}", self.address()), str::to_owned);
        Err(Asked::Refused(Refused { status, message }))
    }

    /// What a 401 means to whoever typed the command.
    fn not_signed_in(&self) -> String {
        match self.token_from() {
            None => format!(
                "{} needs a token and none was given; set CRANNOG_TOKEN or --token (the first start wrote one to \
                 admin.token in the data folder)",
                self.address()
            ),
            Some(from) => format!(
                "{} does not accept the token of {from}: it is mistyped, ended or revoked, its owner is not active, or it \
                 is another server's; where every token is lost, `crannog token create --admin --data DIR` on the \
                 server's machine makes one",
                self.address()
            ),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value), Failure> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        self.sent(request).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.address());
        let request = self.http.request(method, &url).header("accept", "application/json");
        match &self.token {
            Some((token, _)) => request.bearer_auth(token),
            None => request,
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        let cause = root_cause(&error.without_url());
        let hint = if cause.contains("UnknownIssuer") {
            "`crannog trust` on the server's machine gives the file for --ca-file or CRANNOG_CA_FILE"
        } else if cause.contains("certificate") {
            "is it this server's name? its certificate is for this machine's names and `allowed_hosts`"
        } else if cause.contains("InvalidContentType") {
            "this port does not speak TLS: write http:// for it, or give the address of HTTPS that `crannog up` printed"
        } else if cause.contains("invalid HTTP version") {
            "does this port speak TLS? write https:// then"
        } else {
            "is `crannog up` running there? --host or CRANNOG_HOST names another address"
        };
        Failure::new(format!("{} was not reached: {cause}; {hint}", self.address()))
    }

    async fn sent(&self, request: RequestBuilder) -> Result<(u16, Value), Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        self.read(response).await
    }

    async fn read(&self, response: Response) -> Result<(u16, Value), Failure> {
        let status = response.status().as_u16();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(error))?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok((status, Value::Null));
        }
        match serde_json::from_slice(&bytes) {
            Ok(body) => Ok((status, body)),
            Err(_) if status < 300 => {
                Err(Failure::new(format!("{} did not answer in JSON: is it this server's address?", self.address())))
            }
            Err(_) => Ok((status, Value::Null)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_completed_as_the_sdk_completes_it() {
        for (host, url) in [
            ("127.0.0.1:9", "http://127.0.0.1:9/"),
            ("localhost:8080", "http://localhost:8080/"),
            ("lake.example.com", "https://lake.example.com/"),
            ("https://lake.example.com/base", "https://lake.example.com/base"),
        ] {
            assert_eq!(address(host).unwrap().as_str(), url);
        }
        assert!(address("ftp://x").is_err());
        assert!(address("http://").is_err());
    }

    #[test]
    fn a_loopback_address_is_known() {
        for (host, here) in [("http://[::1]:1", true), ("http://localhost", true), ("https://10.0.0.1", false)] {
            assert_eq!(is_loopback(&address(host).unwrap()), here, "{host}");
        }
    }

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(escaped("a/b c"), "a%2Fb%20c");
    }

    #[test]
    fn a_cause_is_told_without_its_layers() {
        let refused = std::io::Error::from_raw_os_error(111);
        assert_eq!(root_cause(&refused), "connection refused");
    }
}
