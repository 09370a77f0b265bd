//! Kinds of governed objects, and how a request refers to one.

use std::fmt;
use std::marker::PhantomData;

use crannog_types::{FullName, SecurableId};

use crate::actions::Action;

/// What a securable is. The text forms are Unity Catalog's, in the wire's `securable_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The root: the account and workspace of this installation.
    Metastore,
    /// A catalog.
    Catalog,
    /// A schema (database).
    Schema,
    /// A table or a view: they share names and privileges.
    Table,
    /// A volume of files.
    Volume,
    /// A registered model, with its versions.
    Model,
    /// An SQL warehouse.
    Warehouse,
    /// A scope of secrets.
    SecretScope,
    /// An experiment of MLflow.
    Experiment,
    /// A run: a part of its experiment, without grants of its own.
    Run,
    /// A model that was logged: a part of its experiment, like a run.
    LoggedModel,
    /// Of any kind, known only when the request is read.
    Any,
}

impl Kind {
    /// Every kind that objects with grants have.
    pub const ALL: [Kind; 9] = [
        Kind::Metastore,
        Kind::Catalog,
        Kind::Schema,
        Kind::Table,
        Kind::Volume,
        Kind::Model,
        Kind::Warehouse,
        Kind::SecretScope,
        Kind::Experiment,
    ];

    /// The word of the wire and of the database.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Metastore => "metastore",
            Kind::Catalog => "catalog",
            Kind::Schema => "schema",
            Kind::Table => "table",
            Kind::Volume => "volume",
            Kind::Model => "registered_model",
            Kind::Warehouse => "warehouse",
            Kind::SecretScope => "secret_scope",
            Kind::Experiment => "experiment",
            Kind::Run => "run",
            Kind::LoggedModel => "logged_model",
            Kind::Any => "securable",
        }
    }

    /// The kind of a word of the wire; `None` for words of other products.
    pub fn of_word(word: &str) -> Option<Kind> {
        let word = word.to_ascii_lowercase().replace([' ', '-'], "_");
        match word.as_str() {
            "view" | "materialized_view" | "streaming_table" => Some(Kind::Table),
            "database" => Some(Kind::Schema),
            // Databricks takes models for functions.
            "model" | "function" => Some(Kind::Model),
            "warehouses" => Some(Kind::Warehouse),
            "experiments" => Some(Kind::Experiment),
            _ => Kind::ALL.into_iter().find(|kind| kind.word() == word),
        }
    }

    /// How many parts a full name of this kind has.
    pub fn name_parts(self) -> usize {
        match self {
            Kind::Metastore | Kind::Any => 0,
            Kind::Catalog | Kind::Warehouse | Kind::SecretScope | Kind::Experiment | Kind::Run | Kind::LoggedModel => 1,
            Kind::Schema => 2,
            Kind::Table | Kind::Volume | Kind::Model => 3,
        }
    }

    /// The kind whose grants decide about this one: its own, or that of the object which it is a part of.
    pub fn governed(self) -> Kind {
        match self {
            Kind::Run | Kind::LoggedModel => Kind::Experiment,
            kind => kind,
        }
    }

    /// The kind of the object that holds objects of this kind.
    pub fn parent(self) -> Option<Kind> {
        match self {
            Kind::Metastore | Kind::Any => None,
            Kind::Catalog | Kind::Warehouse | Kind::SecretScope | Kind::Experiment => Some(Kind::Metastore),
            Kind::Run | Kind::LoggedModel => Some(Kind::Experiment),
            Kind::Schema => Some(Kind::Catalog),
            Kind::Table | Kind::Volume | Kind::Model => Some(Kind::Schema),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A kind of securable as a type, so that a permit for a table cannot stand where one for a schema is wanted.
pub trait Securable: Send + Sync + 'static {
    /// The kind that this type stands for.
    const KIND: Kind;
}

/// The kinds as types.
pub mod kinds {
    use super::{Kind, Securable};

    macro_rules! kinds {
        ($($name:ident),*) => {$(
            #[doc = concat!("The type that stands for [`Kind::", stringify!($name), "`].")]
            #[derive(Debug)]
            pub enum $name {}
            impl Securable for $name { const KIND: Kind = Kind::$name; }
        )*};
    }
    kinds!(Metastore, Catalog, Schema, Table, Volume, Model, Warehouse, SecretScope, Experiment, Run, LoggedModel, Any);
}

/// How a component finds the governed object behind a word that is neither its name nor its id: a run's id, a title. Each is
/// a `static` of the component whose tables it reads.
#[derive(Debug)]
pub struct Finder {
    /// What the word means: the object itself, or a part of it.
    pub kind: Kind,
    /// Reads the object's id for the word `$1`. For a part of an object this never changes.
    pub sql: &'static str,
    /// What `$1` is of the word as it was written: the word itself, or as it is compared.
    pub key: fn(&str) -> String,
    /// What is said of a word that finds nothing; `{}` is the word.
    pub missing: &'static str,
}

impl PartialEq for Finder {
    fn eq(&self, other: &Self) -> bool {
        self.sql == other.sql
    }
}

impl Eq for Finder {}

impl std::hash::Hash for Finder {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.sql.hash(state);
    }
}

/// How a request names the object that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The root.
    Root,
    /// By kind and full name, as the caller wrote it.
    Named(Kind, FullName),
    /// By id, of any kind that the action allows.
    Id(Kind, SecurableId),
    /// By a word that its component understands.
    Found(&'static Finder, String),
}

impl Reference {
    /// The kind that is asked for.
    pub fn kind(&self) -> Kind {
        match self {
            Reference::Root => Kind::Metastore,
            Reference::Named(kind, _) | Reference::Id(kind, _) => *kind,
            Reference::Found(finder, _) => finder.kind,
        }
    }

    /// The object in words, from what the caller wrote alone: safe in answers about what the caller may not see.
    pub fn as_written(&self) -> String {
        match self {
            Reference::Root => "the metastore".to_owned(),
            Reference::Named(kind, name) => format!("{kind} '{name}'"),
            Reference::Id(kind, id) => format!("{kind} with id '{id}'"),
            Reference::Found(finder, word) => format!("{} '{word}'", finder.kind),
        }
    }
}

/// What an action is asked about.
pub struct NameOf<A: Action> {
    pub(crate) reference: Reference,
    of: PhantomData<fn() -> A>,
}

impl<A: Action> NameOf<A> {
    /// By full name.
    pub fn named(name: FullName) -> Self {
        Self::from(Reference::Named(A::On::KIND, name))
    }

    /// By id.
    pub fn id(id: SecurableId) -> Self {
        Self::from(Reference::Id(A::On::KIND, id))
    }

    /// Of a kind that only the request knows. Ends as "not found" when the action is not for that kind.
    pub fn of_kind(kind: Kind, name: FullName) -> Self {
        Self::from(if kind == Kind::Metastore { Reference::Root } else { Reference::Named(kind, name) })
    }

    /// By a word that its component understands.
    pub fn found(finder: &'static Finder, word: impl Into<String>) -> Self {
        Self::from(Reference::Found(finder, word.into()))
    }

    /// The root of everything.
    pub fn root() -> Self {
        Self::from(Reference::Root)
    }

    /// How it was written.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    fn from(reference: Reference) -> Self {
        NameOf { reference, of: PhantomData }
    }
}

/// The container whose children a list is asked for.
pub struct ScopeOf<A: Action> {
    pub(crate) reference: Reference,
    of: PhantomData<fn() -> A>,
}

impl<A: Action> ScopeOf<A> {
    /// All objects of the action's kind directly below the container of this name (empty: below the root).
    pub fn under(name: FullName) -> Self {
        let reference = match A::On::KIND.parent() {
            Some(parent) if !name.parts().is_empty() => Reference::Named(parent, name),
            _ => Reference::Root,
        };
        ScopeOf { reference, of: PhantomData }
    }

    /// All objects of the action's kind directly below the root.
    pub fn root() -> Self {
        ScopeOf { reference: Reference::Root, of: PhantomData }
    }
}
