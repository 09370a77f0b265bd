//! Catalogs, schemas, tables, volumes and models as this program keeps them. How they look on a wire is for `api`.

use std::collections::BTreeMap;

use crannog_types::{FullName, Micros, PrincipalId, SecurableId};

/// Properties: texts by name.
pub type Properties = BTreeMap<String, String>;

/// What every governed object has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its id.
    pub id: SecurableId,
    /// Its full name, as it was written.
    pub name: FullName,
    /// The owner's id.
    pub owner_id: PrincipalId,
    /// The owner's name.
    pub owner: String,
    /// What people say of it.
    pub comment: Option<String>,
    /// When it was made.
    pub created_at: Micros,
    /// By whom.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: Micros,
    /// By whom.
    pub updated_by: String,
}

/// A catalog or a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// What it has as an object.
    pub object: Object,
    /// Its properties.
    pub properties: Properties,
    /// The folder of its managed data, when it has its own.
    pub storage_root: Option<String>,
}

/// What kind of table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableType {
    /// Its files are ours: dropped with it.
    Managed,
    /// Its files are somebody's: left alone.
    External,
    /// It has no files: a query.
    View,
}

impl TableType {
    /// The word of the wire and of the database.
    pub fn word(self) -> &'static str {
        match self {
            TableType::Managed => "MANAGED",
            TableType::External => "EXTERNAL",
            TableType::View => "VIEW",
        }
    }

    /// The type of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        [TableType::Managed, TableType::External, TableType::View].into_iter().find(|kind| kind.word() == word)
    }
}

/// A table or a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// What it has as an object.
    pub object: Object,
    /// Managed, external or a view.
    pub table_type: TableType,
    /// `DELTA`; none for a view.
    pub format: Option<String>,
    /// Where its files are, as a URL; none for a view.
    pub location: Option<String>,
    /// Its columns as Delta's schema JSON. A copy of the log's; see [`Table::version`].
    pub schema_json: String,
    /// The columns that it is partitioned by.
    pub partition_columns: Vec<String>,
    /// Its properties.
    pub properties: Properties,
    /// The version of the log that columns and properties were copied from.
    pub version: Option<i64>,
    /// What a view selects.
    pub view: Option<View>,
}

/// The query of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// As it was written.
    pub text: String,
    /// The catalog that its short names are completed with.
    pub catalog: String,
    /// The schema that its short names are completed with.
    pub schema: String,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// What it has as an object.
    pub object: Object,
    /// Whether its files are deleted with it.
    pub managed: bool,
    /// Where its files are, as a URL.
    pub location: String,
}

/// A registered model. Its versions, aliases and tags are `tracking`'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// What it has as an object.
    pub object: Object,
}

/// A change of a catalog, a schema, a table, a volume or a model; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Its new last part.
    pub new_name: Option<String>,
    /// Its new owner, by name.
    pub owner: Option<String>,
    /// Its new comment; an empty one removes it.
    pub comment: Option<String>,
    /// All of its properties, in place of those that it has.
    pub properties: Option<Properties>,
}
