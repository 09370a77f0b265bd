//! What a server is told: one table of options, read from flags, the environment, a TOML file, or left at their defaults.
//!
//! [`OPTIONS`] is the whole list; the flags of `crannog up`, its `--help`, the names in the environment and in the file all
//! come from it, so that none of them can say something else. A flag goes before `CRANNOG_*`, that before the file, that
//! before the default. A name that is not in the table is an error, never ignored; the values of the environment are given
//! in by the binary, which alone reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::disk::Limits;

/// How the text of an option is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file or a folder.
    Path,
    /// `127.0.0.1:8080`, `[::1]:8080`, or `off`.
    Address,
    /// `true` or `false`; the flag alone means `true`.
    Switch,
    /// Any text.
    Text,
    /// Texts: a TOML list, or with commas between them.
    List,
    /// A number of bytes: `200MiB`, `1GiB`.
    Bytes,
    /// A number, 1 or more.
    Count,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Its name in the file, with dots for tables: `database.url`.
    pub key: &'static str,
    /// How its text is read.
    pub kind: Kind,
    /// What it is when nobody says anything; empty: nothing.
    pub default: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
}

impl Opt {
    /// `database-url`, of the flag `--database-url`.
    pub fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }

    /// `CRANNOG_DATABASE_URL`.
    pub fn variable(&self) -> String {
        format!("CRANNOG_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }

    fn check(&self, text: &str, given_in: &str) -> Result<(), ConfigError> {
        let wrong = |wanted: &str| ConfigError::Value {
            key: self.key,
            given_in: given_in.to_owned(),
            value: text.to_owned(),
            wanted: wanted.to_owned(),
        };
        match self.kind {
            Kind::Address if text != "off" && text.parse::<SocketAddr>().is_err() => {
                Err(wrong("an address such as 127.0.0.1:8080, or off"))
            }
            Kind::Switch if !matches!(text, "true" | "false") => Err(wrong("true or false")),
            Kind::Word(words) if !words.contains(&text) => Err(wrong(&words.join(" or "))),
            Kind::Bytes if bytes(text).is_none() => Err(wrong("a size such as 200MiB or 1GiB")),
            Kind::Count if count(text).is_none() && (!text.is_empty() || !self.default.is_empty()) => {
                Err(wrong("a number, 1 or more"))
            }
            Kind::Path if text.is_empty() && !self.default.is_empty() => Err(wrong("a path")),
            _ => Ok(()),
        }
    }
}

const fn opt(key: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Opt {
    Opt { key, kind, default, about }
}

/// Every option of a server.
pub const OPTIONS: &[Opt] = &[
    opt(
        "data",
        Kind::Path,
        "./crannog-data",
        "The data folder: made when it is not there, used by one server at a time.",
    ),
    opt("listen", Kind::Address, "127.0.0.1:8080", "Where to serve HTTP; off serves HTTPS only."),
    opt(
        "listen_tls",
        Kind::Address,
        "127.0.0.1:8443",
        "Where to serve HTTPS, with a certificate of the data folder's own authority; off serves HTTP only.",
    ),
    opt(
        "allow_plain_http",
        Kind::Switch,
        "false",
        "Allows HTTP without TLS beyond this machine: tokens then cross the network in the clear.",
    ),
    opt("public_url", Kind::Text, "", "The address that people use, with its base path: every link starts with it."),
    opt(
        "allowed_hosts",
        Kind::List,
        "",
        "Names that this server may be called by, besides localhost and IP addresses.",
    ),
    opt("trusted_proxies", Kind::List, "", "IP addresses of proxies whose X-Forwarded-For and -Proto are believed."),
    opt(
        "connections_per_address",
        Kind::Count,
        "512",
        "How many connections one address may have at a time; trusted proxies may have any number.",
    ),
    opt("database.url", Kind::Text, "", "postgres://… for the metadata; without it, SQLite in the data folder."),
    opt(
        "external_locations",
        Kind::List,
        "",
        "Folders outside the data folder in which external tables and volumes may lie; without it, none.",
    ),
    opt(
        "root_key_file",
        Kind::Path,
        "",
        "The key that stored secrets are encrypted under; without it, a file beside the data folder, named like it with \
         .root.key at the end.",
    ),
    opt("query_memory", Kind::Bytes, "1GiB", "What all queries together may use before they spill to disk."),
    opt("result_memory", Kind::Bytes, "1GiB", "What all results together may take in memory; the oldest go first."),
    opt(
        "statements.running",
        Kind::Count,
        "128",
        "Statements that run at a time, half of them of one person; others wait.",
    ),
    opt(
        "statements.per_person",
        Kind::Count,
        "200",
        "Statements of one person that run or wait; more are refused with 429.",
    ),
    opt(
        "tracking.keep_deleted_days",
        Kind::Count,
        "",
        "After how many days deleted runs, logged models and experiments are purged; without it, they are kept.",
    ),
    opt("disk.warn_below", Kind::Bytes, "1GiB", "With less than this free on the data folder's disk, /readyz warns."),
    opt("disk.refuse_below", Kind::Bytes, "200MiB", "With less than this free, changes are refused; reading goes on."),
    opt(
        "log",
        Kind::Text,
        "info",
        "What is logged: error, warn, info, debug, or a list such as warn,crannog_lake=debug.",
    ),
    opt(
        "log_format",
        Kind::Word(&["auto", "json", "text"]),
        "auto",
        "How log lines on standard error are written; auto: text on a terminal, JSON elsewhere.",
    ),
];

/// A server's configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// Where HTTP is served.
    pub listen: Option<SocketAddr>,
    /// Where HTTPS is served.
    pub listen_tls: Option<SocketAddr>,
    /// Whether HTTP may be served beyond loopback.
    pub allow_plain_http: bool,
    /// What links start with, without a slash at the end.
    pub public_url: Option<String>,
    /// Names that the server may be called by, in lower case; the one of `public_url` is among them.
    pub allowed_hosts: BTreeSet<String>,
    /// Proxies that are believed.
    pub trusted_proxies: BTreeSet<IpAddr>,
    /// Connections of one address at a time.
    pub connections_per_address: usize,
    /// `postgres://…`
    pub database_url: Option<String>,
    /// Folders that external tables and volumes may lie in.
    pub external_locations: Vec<PathBuf>,
    /// The file of the root key, where it is not the one beside the data folder.
    pub root_key_file: Option<PathBuf>,
    /// Bytes that all queries together may use.
    pub query_memory: u64,
    /// Bytes that all results together may take.
    pub result_memory: u64,
    /// Statements that run at a time.
    pub statements_running: usize,
    /// Statements of one person that run or wait.
    pub statements_per_person: usize,
    /// For how long deleted runs, logged models and experiments are kept; `None`: for good.
    pub keep_deleted: Option<Duration>,
    /// When the disk is low, and when it is full.
    pub disk: Limits,
    /// The log's filter.
    pub log: String,
    /// Whether log lines are JSON; `None`: unless a person looks at them.
    pub log_json: Option<bool>,
}

/// What is wrong with a configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A value that cannot be read.
    #[error("{key} is {value:?} ({given_in}), not {wanted}")]
    Value {
        /// The option.
        key: &'static str,
        /// Flag, variable or file.
        given_in: String,
        /// What was given.
        value: String,
        /// What would do.
        wanted: String,
    },
    /// A name in the file that is not an option.
    #[error("{file} sets {key:?}, which is not an option; known are: {known}")]
    Unknown {
        /// The file.
        file: String,
        /// The name.
        key: String,
        /// Every option.
        known: String,
    },
    /// The file is not TOML.
    #[error("{file} is not TOML: {cause}")]
    File {
        /// The file.
        file: String,
        /// What the reader says.
        cause: String,
    },
    /// HTTP beyond loopback was not allowed.
    #[error(
        "listen is {0}, beyond this machine, and HTTP carries tokens in the clear; serve HTTPS there (--listen-tls) or \
         say --allow-plain-http"
    )]
    PlainHttp(SocketAddr),
    /// Nothing to serve on.
    #[error("listen and listen_tls are both off: there is nothing to serve on")]
    Nowhere,
}

/// The texts of a configuration file by option, and its name for errors.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// For errors.
    pub name: &'a str,
    /// TOML.
    pub text: &'a str,
}

impl Config {
    /// Puts flags (by [`Opt::key`]), environment and file together.
    ///
    /// # Errors
    /// The first value that cannot be used, with where it was given.
    pub fn read(
        flags: &BTreeMap<String, String>,
        environment: &BTreeMap<String, String>,
        file: Option<File<'_>>,
    ) -> Result<Self, ConfigError> {
        let in_file = file.map_or_else(|| Ok(BTreeMap::new()), |file| read_file(&file))?;
        let mut found: BTreeMap<&'static str, String> = BTreeMap::new();
        for option in OPTIONS {
            let (text, given_in) = if let Some(text) = flags.get(option.key) {
                (text.clone(), format!("--{}", option.flag()))
            } else if let Some(text) = environment.get(&option.variable()) {
                (text.clone(), option.variable())
            } else if let Some(text) = in_file.get(option.key) {
                (text.clone(), file.map_or("", |file| file.name).to_owned())
            } else {
                (option.default.to_owned(), "default".to_owned())
            };
            option.check(&text, &given_in)?;
            found.insert(option.key, text);
        }
        let text = |key: &str| found.get(key).cloned().unwrap_or_default();
        let some = |key: &str| Some(text(key)).filter(|text| !text.is_empty());
        let list = |key: &str| -> Vec<String> {
            text(key).split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        let mut allowed_hosts: BTreeSet<String> =
            list("allowed_hosts").iter().map(|host| host.to_ascii_lowercase()).collect();
        let public_url = some("public_url").map(|url| url.trim_end_matches('/').to_owned());
        if let Some(url) = &public_url {
            allowed_hosts.insert(host_of(url).ok_or_else(|| ConfigError::Value {
                key: "public_url",
                given_in: "public_url".to_owned(),
                value: url.clone(),
                wanted: "an address such as https://lake.example.com/base".to_owned(),
            })?);
        }
        let mut trusted_proxies = BTreeSet::new();
        for item in list("trusted_proxies") {
            trusted_proxies.insert(item.parse().map_err(|_| ConfigError::Value {
                key: "trusted_proxies",
                given_in: "trusted_proxies".to_owned(),
                value: item.clone(),
                wanted: "IP addresses".to_owned(),
            })?);
        }
        let config = Config {
            data: text("data").into(),
            listen: text("listen").parse().ok(),
            listen_tls: text("listen_tls").parse().ok(),
            allow_plain_http: text("allow_plain_http") == "true",
            public_url,
            allowed_hosts,
            trusted_proxies,
            connections_per_address: text("connections_per_address").parse().unwrap_or(usize::MAX),
            database_url: some("database.url"),
            external_locations: list("external_locations").into_iter().map(PathBuf::from).collect(),
            root_key_file: some("root_key_file").map(PathBuf::from),
            query_memory: bytes(&text("query_memory")).unwrap_or_default(),
            result_memory: bytes(&text("result_memory")).unwrap_or_default(),
            statements_running: count(&text("statements.running")).unwrap_or(1),
            statements_per_person: count(&text("statements.per_person")).unwrap_or(1),
            keep_deleted: count(&text("tracking.keep_deleted_days"))
                .map(|days| Duration::from_secs(u64::try_from(days).unwrap_or(u64::MAX).saturating_mul(86_400))),
            disk: Limits {
                warn_below: bytes(&text("disk.warn_below")).unwrap_or_default(),
                refuse_below: bytes(&text("disk.refuse_below")).unwrap_or_default(),
            },
            log: text("log"),
            log_json: match text("log_format").as_str() {
                "json" => Some(true),
                "text" => Some(false),
                _ => None,
            },
        };
        match config.listen {
            Some(address) if !address.ip().is_loopback() && !config.allow_plain_http => {
                Err(ConfigError::PlainHttp(address))
            }
            None if config.listen_tls.is_none() => Err(ConfigError::Nowhere),
            _ => Ok(config),
        }
    }
}

fn count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count >= 1)
}

/// `200MiB` and `1GiB` in bytes; a number alone is bytes.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << unit)
}

/// The host of `https://host:port/base`, in lower case; `None` when that is not what it is.
fn host_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next().unwrap_or_default();
    let host = if authority.starts_with('[') {
        authority.split_once(']')?.0.trim_start_matches('[')
    } else {
        authority.split(':').next().unwrap_or_default()
    };
    // The base path becomes part of every route, where braces would mean something.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let base = &rest[authority.len()..];
    let usable = matches!(scheme, "http" | "https") && !host.is_empty() && !authority.contains('@');
    (usable && base.bytes().all(plain) && !base.contains("//")).then(|| host.to_lowercase())
}

/// The options of a file by key, as texts.
fn read_file(file: &File<'_>) -> Result<BTreeMap<String, String>, ConfigError> {
    let table: toml::Table = toml::from_str(file.text)
        .map_err(|error| ConfigError::File { file: file.name.to_owned(), cause: error.message().to_owned() })?;
    let mut found = BTreeMap::new();
    flatten("", &table, file, &mut found)?;
    Ok(found)
}

fn flatten(
    prefix: &str,
    table: &toml::Table,
    file: &File<'_>,
    found: &mut BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let option = OPTIONS.iter().find(|option| option.key == key);
        let text = match (option, value) {
            (None, toml::Value::Table(inner)) => {
                flatten(&key, inner, file, found)?;
                continue;
            }
            (None, _) => {
                let known = OPTIONS.iter().map(|option| option.key).collect::<Vec<_>>().join(", ");
                return Err(ConfigError::Unknown { file: file.name.to_owned(), key, known });
            }
            (Some(_), toml::Value::String(text)) => text.clone(),
            (Some(_), toml::Value::Boolean(value)) => value.to_string(),
            (Some(Opt { kind: Kind::Count, .. }), toml::Value::Integer(value)) => value.to_string(),
            (Some(Opt { kind: Kind::List, .. }), toml::Value::Array(items)) => {
                items.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
            }
            (Some(option), other) => {
                return Err(ConfigError::Value {
                    key: option.key,
                    given_in: file.name.to_owned(),
                    value: other.to_string(),
                    wanted: "a text".to_owned(),
                });
            }
        };
        found.insert(key, text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn read(flags: &[(&str, &str)], environment: &[(&str, &str)], file: &str) -> Result<Config, ConfigError> {
        Config::read(&map(flags), &map(environment), Some(File { name: "c.toml", text: file }))
    }

    #[test]
    fn a_flag_goes_before_the_environment_before_the_file_before_the_default() {
        let file = "data = '/file'\nlog = 'file'\nlisten = '127.0.0.1:1'\n[database]\nurl = 'postgres://h/d'";
        let config = read(&[("data", "/flag")], &[("CRANNOG_DATA", "/env"), ("CRANNOG_LOG", "env")], file).unwrap();
        assert_eq!(config.data, PathBuf::from("/flag"));
        assert_eq!(config.log, "env");
        assert_eq!(config.listen, Some("127.0.0.1:1".parse().unwrap()));
        assert_eq!(config.listen_tls, Some("127.0.0.1:8443".parse().unwrap()));
        assert_eq!(config.database_url.as_deref(), Some("postgres://h/d"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_where_it_was_said() {
        let said = |flags: &[(&str, &str)], environment: &[(&str, &str)], file: &str| {
            read(flags, environment, file).unwrap_err().to_string()
        };
        assert!(said(&[("listen", "nine")], &[], "").contains("--listen"));
        assert!(said(&[], &[("CRANNOG_ALLOW_PLAIN_HTTP", "yes")], "").contains("CRANNOG_ALLOW_PLAIN_HTTP"));
        assert!(said(&[], &[], "lisen = 'x'").contains("\"lisen\", which is not an option"));
        assert!(said(&[], &[], "[database]\nurll = 'x'").contains("database.urll"));
        assert!(said(&[], &[], "= 1").contains("is not TOML"));
        assert!(said(&[("disk-warn-below", "x"), ("disk.warn_below", "1GB")], &[], "").contains("200MiB or 1GiB"));
        assert!(said(&[("listen", "0.0.0.0:80")], &[], "").contains("--allow-plain-http"));
        assert!(said(&[], &[], "connections_per_address = 0").contains("a number, 1 or more"));
        assert_eq!(read(&[], &[], "connections_per_address = 9").unwrap().connections_per_address, 9);
        assert!(said(&[("listen", "off"), ("listen_tls", "off")], &[], "").contains("nothing to serve on"));
        for url in ["lake.example.com", "https://x/{base}", "https://x/a?b=c", "https://x/a//b", "https://a@x"] {
            assert!(said(&[("public_url", url)], &[], "").contains("public_url"), "{url}");
        }
        assert!(said(&[("trusted_proxies", "proxy")], &[], "").contains("IP addresses"));
        assert!(read(&[("listen", "0.0.0.0:80"), ("allow_plain_http", "true")], &[], "").is_ok());
    }

    #[test]
    fn the_public_name_is_an_allowed_one() {
        let config = read(&[("public_url", "https://Lake.example.com:8443/base/")], &[], "allowed_hosts = ['a', 'B']");
        let config = config.unwrap();
        assert_eq!(config.public_url.as_deref(), Some("https://Lake.example.com:8443/base"));
        assert_eq!(config.allowed_hosts, ["a", "b", "lake.example.com"].map(str::to_owned).into());
    }

    #[test]
    fn flags_and_variables_come_from_the_key() {
        let option = OPTIONS.iter().find(|option| option.key == "database.url").unwrap();
        assert_eq!((option.flag().as_str(), option.variable().as_str()), ("database-url", "CRANNOG_DATABASE_URL"));
        for option in OPTIONS {
            assert!(option.default.is_empty() || option.check(option.default, "default").is_ok(), "{}", option.key);
        }
    }
}
