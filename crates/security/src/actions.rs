//! The whole vocabulary of what can be done, in one table: verb, securable, rule.
//!
//! Every door of the program (REST, SQL, files) asks for one of these. A new verb is a row here, and nowhere else.

use crate::privileges::Privilege;
use crate::securables::{Kind, Securable, kinds};

mod sealed {
    pub trait Sealed {}
}

/// One verb on one kind of securable. Sealed: the table below is complete.
pub trait Action: sealed::Sealed + Send + Sync + 'static {
    /// The kind of object it is done to.
    type On: Securable;
    /// `tables.select`: in the matrix, in audit rows, in `explain`.
    const NAME: &'static str;
    /// What must hold.
    const RULE: Rule;
}

/// What must hold for an action. Unity Catalog's decision rules, `docs/access.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anybody who is signed in.
    SignedIn,
    /// May know that it exists: owner, MANAGE, BROWSE, or any privilege on it with the gates above it.
    Visible,
    /// Holds the privilege on it or on a container of it, and the USE gates. Its owner holds every privilege.
    Holds(Privilege),
    /// Like [`Rule::Holds`] for both: writing a table needs to read it too when files are handed out.
    HoldsBoth(Privilege, Privilege),
    /// May grant on it, alter it, drop it: owner of it or of a container, or MANAGE with the USE gates.
    Manages,
    /// Owner of the metastore.
    Admin,
}

/// A row of the table, for the matrix, for `explain` and for tests.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// `tables.select`
    pub name: &'static str,
    /// The kind it is done to.
    pub on: Kind,
    /// What must hold.
    pub rule: Rule,
}

macro_rules! actions {
    ($($room:ident on $kind:ident { $($(#[$doc:meta])* $name:ident = $text:literal: $rule:expr;)* })*) => {
        $(
            #[doc = concat!("What can be done to a ", stringify!($kind), ".")]
            pub mod $room {
                use super::*;
                $(
                    $(#[$doc])*
                    #[derive(Debug)]
                    pub enum $name {}
                    impl sealed::Sealed for $name {}
                    impl Action for $name {
                        type On = kinds::$kind;
                        const NAME: &'static str = concat!(stringify!($room), ".", $text);
                        const RULE: Rule = $rule;
                    }
                )*
            }
        )*
        /// Every action.
        pub const ALL: &[Row] = &[$($(Row {
            name: concat!(stringify!($room), ".", $text),
            on: Kind::$kind,
            rule: $rule,
        }),*),*];
    };
}

actions! {
    metastore on Metastore {
        /// Read what everybody may know: the summary, one's own account.
        Read = "read": Rule::SignedIn;
        /// Run a statement or change one's own things; what they touch is asked for on its own.
        Work = "work": Rule::SignedIn;
        /// Make a catalog.
        CreateCatalog = "create_catalog": Rule::Holds(Privilege::CreateCatalog);
        /// Manage users, groups, tokens of others, warehouses, the whole audit.
        Administer = "administer": Rule::Admin;
    }
    catalogs on Catalog {
        /// See that it is there, and its properties.
        ReadMetadata = "read_metadata": Rule::Visible;
        /// Make a schema in it.
        CreateSchema = "create_schema": Rule::Holds(Privilege::CreateSchema);
        /// Alter, drop, transfer, grant.
        Manage = "manage": Rule::Manages;
    }
    schemas on Schema {
        /// See that it is there, and its properties.
        ReadMetadata = "read_metadata": Rule::Visible;
        /// Make a table or a view in it.
        CreateTable = "create_table": Rule::Holds(Privilege::CreateTable);
        /// Make a volume in it.
        CreateVolume = "create_volume": Rule::Holds(Privilege::CreateVolume);
        /// Register a model in it.
        CreateModel = "create_model": Rule::Holds(Privilege::CreateModel);
        /// Alter, drop, transfer, grant.
        Manage = "manage": Rule::Manages;
    }
    tables on Table {
        /// See that it is there, its columns and properties.
        ReadMetadata = "read_metadata": Rule::Visible;
        /// Read rows.
        Select = "select": Rule::Holds(Privilege::Select);
        /// Add, change and delete rows.
        Modify = "modify": Rule::Holds(Privilege::Modify);
        /// Be handed credentials that can read and write its files.
        ReadWriteFiles = "read_write_files": Rule::HoldsBoth(Privilege::Select, Privilege::Modify);
        /// Alter, drop, transfer, grant.
        Manage = "manage": Rule::Manages;
    }
    volumes on Volume {
        /// See that it is there.
        ReadMetadata = "read_metadata": Rule::Visible;
        /// List and read its files.
        Read = "read": Rule::Holds(Privilege::ReadVolume);
        /// Write and delete its files.
        Write = "write": Rule::Holds(Privilege::WriteVolume);
        /// Alter, drop, transfer, grant.
        Manage = "manage": Rule::Manages;
    }
    models on Model {
        /// See that it is there, its versions and aliases.
        ReadMetadata = "read_metadata": Rule::Visible;
        /// Load it: read the files of its versions.
        Execute = "execute": Rule::Holds(Privilege::Execute);
        /// Make a version, and write its files until it is ready.
        CreateVersion = "create_version": Rule::Holds(Privilege::CreateModelVersion);
        /// Set and delete tags, of it and of its versions.
        Tag = "tag": Rule::Holds(Privilege::ApplyTag);
        /// Alter, drop, transfer, grant; move aliases; change and delete versions.
        Manage = "manage": Rule::Manages;
    }
    warehouses on Warehouse {
        /// See that it is there.
        View = "view": Rule::Holds(Privilege::CanView);
        /// Run statements on it.
        Use = "use": Rule::Holds(Privilege::CanUse);
        /// Edit, start, stop, delete, grant.
        Manage = "manage": Rule::Holds(Privilege::CanManage);
    }
    secret_scopes on SecretScope {
        /// List keys and read values.
        Read = "read": Rule::Holds(Privilege::SecretRead);
        /// Put and delete values.
        Write = "write": Rule::Holds(Privilege::SecretWrite);
        /// Delete the scope and change who may use it.
        Manage = "manage": Rule::Holds(Privilege::SecretManage);
    }
    experiments on Experiment {
        /// See it, its runs and their files.
        Read = "read": Rule::Holds(Privilege::CanRead);
        /// Log runs in it, tag it.
        Edit = "edit": Rule::Holds(Privilege::CanEdit);
        /// Rename, delete, restore, share.
        Manage = "manage": Rule::Holds(Privilege::CanManage);
    }
    runs on Run {
        /// See it, what it logged, and its files.
        Read = "read": Rule::Holds(Privilege::CanRead);
        /// Log to it, end it, tag it, delete and restore it.
        Edit = "edit": Rule::Holds(Privilege::CanEdit);
    }
    logged_models on LoggedModel {
        /// See it, what is said of it, and its files.
        Read = "read": Rule::Holds(Privilege::CanRead);
        /// Finalize, tag and delete it, log metrics of it, write its files.
        Edit = "edit": Rule::Holds(Privilege::CanEdit);
    }
    securables on Any {
        /// See the grants on an object of any kind.
        ReadGrants = "read_grants": Rule::Visible;
        /// Grant and revoke on an object of any kind.
        Grant = "grant": Rule::Manages;
    }
}
