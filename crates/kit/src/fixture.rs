//! The objects that examples of requests are about.
//!
//! [`Fixture::documented`] is what the OpenAPI document shows. The generated tests make real objects, and put their names
//! and ids in the place of these; so every text here is one that occurs nowhere else in an example.

use std::collections::BTreeMap;

/// Objects that are there when the generated tests run. Names that end in `_new` are free.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// A catalog.
    pub catalog: String,
    /// A schema in it.
    pub schema: String,
    /// A managed table in that.
    pub table: String,
    /// Its id.
    pub table_id: String,
    /// A managed volume in that, with a file `file.csv` and an empty directory `directory`.
    pub volume: String,
    /// Its id.
    pub volume_id: String,
    /// A warehouse's id.
    pub warehouse: String,
    /// A secret scope.
    pub scope: String,
    /// A user's id.
    pub user: String,
    /// Further values by name, for routes that need what the fixture does not name: [`MORE`].
    pub more: BTreeMap<String, String>,
}

/// The names of [`Fixture::more`], what each is, and its text in the OpenAPI document.
pub const MORE: &[(&str, &str, &str)] = &[
    ("user_name", "the user's name", "ana@example.com"),
    ("password", "the user's password", "correct horse battery staple"),
    ("setup_code", "a one-time code with which the user sets a password", "crs_0a1b2c3d4e5f"),
    ("group", "a group's id", "100000000000002"),
    ("service_principal", "a service principal's id", "100000000000003"),
    ("application_id", "its application id", "0198a000-0000-7000-8000-0000000000a1"),
    ("client_secret", "the id of a client secret of it", "0198a000-0000-7000-8000-0000000000a2"),
    ("client_secret_text", "that secret", "crs_secret_of_the_client"),
    ("token", "the id of a token of the caller", "0198a000-0000-7000-8000-0000000000a3"),
    ("secret_key", "the key of a secret in the scope", "api-key"),
    ("scope_reader", "the name of a user with READ on the scope", "ben@example.com"),
    ("external_location", "a folder that external tables may be under", "file:///srv/lake"),
    ("volume_url", "where the volume's files are", "file:///var/lib/crannog/volumes/landing-files"),
    (
        "upload_session",
        "an upload of `large.csv` to the volume, under way",
        "0198a000-0000-7000-8000-0000000000a4.replace",
    ),
    ("part_secret", "the secret of an address for its first part", "5f0c6a1e9d3b4c72"),
    ("statement", "a statement that the caller ran, with EXTERNAL_LINKS", "0198a000-0000-7000-8000-0000000000a5"),
    ("link_secret", "the secret of a link to its result", "d41d8cd98f00b204"),
    ("experiment", "an experiment's id, with a tag `color`", "738291005518"),
    ("experiment_name", "its name", "late-flights"),
    ("deleted_experiment", "a deleted experiment's id", "738291005519"),
    (
        "run",
        "a run in it, with a tag `color`, a metric `accuracy` and a file `notes.txt`",
        "c0ffee00c0ffee00c0ffee00c0ffee00",
    ),
    (
        "logged_model",
        "a logged model in it, with a tag `color` and a file `MLmodel`",
        "m-feed0123feed0123feed0123feed0123",
    ),
    (
        "model",
        "a registered model in the schema, with tags `color`, the alias `champion`, a version 1 with the file `MLmodel`, and a \
         version 2 whose files are to come",
        "delays",
    ),
    ("model_upload", "the secret of an address to send a file of version 2 to", "a1d0c6e85f3b4c72a1d0c6e85f3b4c72"),
    (
        "model_download",
        "the secret of an address to fetch a file of version 1 from",
        "b2e1d7f96a4c5d83b2e1d7f96a4c5d83",
    ),
    ("link_expires", "when that link expires, in seconds since 1970", "1799999999"),
];

impl Fixture {
    /// The objects that the OpenAPI document speaks of.
    pub fn documented() -> Self {
        Fixture {
            catalog: "analytics".to_owned(),
            schema: "sales".to_owned(),
            table: "orders".to_owned(),
            table_id: "0198a000-0000-7000-8000-000000000001".to_owned(),
            volume: "landing".to_owned(),
            volume_id: "0198a000-0000-7000-8000-000000000002".to_owned(),
            warehouse: "0198a00000007003".to_owned(),
            scope: "vendor-keys".to_owned(),
            user: "100000000000001".to_owned(),
            more: MORE.iter().map(|(name, _, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        }
    }

    /// Every value with its name: `catalog`, `schema`, …, and those of [`Fixture::more`].
    pub fn values(&self) -> BTreeMap<&str, &str> {
        let named = [
            ("catalog", &self.catalog),
            ("schema", &self.schema),
            ("table", &self.table),
            ("table_id", &self.table_id),
            ("volume", &self.volume),
            ("volume_id", &self.volume_id),
            ("warehouse", &self.warehouse),
            ("scope", &self.scope),
            ("user", &self.user),
        ];
        let named = named.into_iter().map(|(name, value)| (name, value.as_str()));
        named.chain(self.more.iter().map(|(name, value)| (name.as_str(), value.as_str()))).collect()
    }

    /// One of [`Fixture::more`]; a name that is not there gives an empty text, which no test passes with.
    pub fn text(&self, name: &str) -> &str {
        self.more.get(name).map_or("", String::as_str)
    }
}
