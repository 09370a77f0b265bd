//! GRANT, REVOKE, SHOW GRANTS.

use super::Name;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecurableKind {
    Metastore,
    Catalog,
    Schema,
    Table,
    View,
    Volume,
    Function,
    Model,
    ExternalLocation,
    StorageCredential,
    Connection,
    Share,
}

/// What a privilege is about. `name` is absent for the metastore only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurableName {
    pub kind: SecurableKind,
    pub name: Option<Name>,
}

/// GRANT or REVOKE. Privileges are upper case with single spaces (`USE CATALOG`, `ALL PRIVILEGES`), as written: whether
/// they exist for this kind is governance's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub privileges: Vec<String>,
    pub on: SecurableName,
    pub principals: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowGrants {
    pub principal: Option<String>,
    pub on: SecurableName,
}
