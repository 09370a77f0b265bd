//! Privileges: the words of GRANT, in both spellings of the wire.

use std::fmt;

use crate::securables::Kind;

macro_rules! privileges {
    ($($name:ident = $text:literal on $($kind:ident)|+;)*) => {
        /// One privilege. Unity Catalog's set as far as this program has objects for it, and the permission levels of
        /// workspace objects (`CAN_USE` and the like), which are granted and checked the same way.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Privilege {
            $(
                #[doc = concat!("`", $text, "`")]
                $name,
            )*
        }

        impl Privilege {
            /// Every privilege.
            pub const ALL: &'static [Privilege] = &[$(Privilege::$name),*];

            /// SQL's spelling, with spaces.
            pub fn sql(self) -> &'static str {
                match self { $(Privilege::$name => $text),* }
            }

            /// Whether GRANT takes this privilege on objects of a kind, for itself or for what is below.
            pub fn applies_to(self, kind: Kind) -> bool {
                match self { $(Privilege::$name => matches!(kind, $(Kind::$kind)|+)),* }
            }
        }
    };
}

privileges! {
    AllPrivileges = "ALL PRIVILEGES" on Catalog | Schema | Table | Volume | Model;
    Manage = "MANAGE" on Catalog | Schema | Table | Volume | Model;
    Browse = "BROWSE" on Catalog;
    UseCatalog = "USE CATALOG" on Catalog;
    UseSchema = "USE SCHEMA" on Catalog | Schema;
    CreateCatalog = "CREATE CATALOG" on Metastore;
    CreateSchema = "CREATE SCHEMA" on Catalog;
    CreateTable = "CREATE TABLE" on Catalog | Schema;
    CreateVolume = "CREATE VOLUME" on Catalog | Schema;
    CreateFunction = "CREATE FUNCTION" on Catalog | Schema;
    CreateModel = "CREATE MODEL" on Catalog | Schema;
    Select = "SELECT" on Catalog | Schema | Table;
    Modify = "MODIFY" on Catalog | Schema | Table;
    ReadVolume = "READ VOLUME" on Catalog | Schema | Volume;
    WriteVolume = "WRITE VOLUME" on Catalog | Schema | Volume;
    Execute = "EXECUTE" on Catalog | Schema | Model;
    CreateModelVersion = "CREATE MODEL VERSION" on Catalog | Schema | Model;
    ApplyTag = "APPLY TAG" on Catalog | Schema | Table | Volume | Model;
    ExternalUseSchema = "EXTERNAL USE SCHEMA" on Catalog | Schema;
    CanView = "CAN_VIEW" on Warehouse;
    CanUse = "CAN_USE" on Warehouse;
    CanMonitor = "CAN_MONITOR" on Warehouse;
    CanManage = "CAN_MANAGE" on Warehouse | Experiment;
    CanRead = "CAN_READ" on Experiment;
    CanEdit = "CAN_EDIT" on Experiment;
    SecretRead = "READ" on SecretScope;
    SecretWrite = "WRITE" on SecretScope;
    SecretManage = "MANAGE ACL" on SecretScope;
}

impl Privilege {
    /// The spelling of databricks-sdk and Terraform, with underscores.
    pub fn underscored(self) -> String {
        self.sql().replace(' ', "_")
    }

    /// Reads either spelling in any case; `None` for a word that is no privilege here.
    pub fn parse(text: &str) -> Option<Privilege> {
        let wanted = text.trim().to_ascii_uppercase().replace('_', " ");
        Privilege::ALL.iter().copied().find(|privilege| privilege.sql().replace('_', " ") == wanted)
    }

    /// Whether ALL PRIVILEGES stands for this one too (Unity Catalog: never MANAGE nor EXTERNAL USE).
    pub fn in_all_privileges(self) -> bool {
        !matches!(self, Privilege::Manage | Privilege::ExternalUseSchema)
    }

    /// The weakest to the strongest level that includes this one, for kinds whose permissions are levels.
    pub fn implied_by(self) -> &'static [Privilege] {
        use Privilege::{
            CanEdit, CanManage, CanMonitor, CanRead, CanUse, CanView, SecretManage, SecretRead, SecretWrite,
        };
        match self {
            CanView => &[CanView, CanUse, CanMonitor, CanManage],
            CanUse => &[CanUse, CanMonitor, CanManage],
            CanMonitor => &[CanMonitor, CanManage],
            CanRead => &[CanRead, CanEdit, CanManage],
            CanEdit => &[CanEdit, CanManage],
            CanManage => &[CanManage],
            SecretRead => &[SecretRead, SecretWrite, SecretManage],
            SecretWrite => &[SecretWrite, SecretManage],
            SecretManage => &[SecretManage],
            _ => &[],
        }
    }

    const fn bit(self) -> u64 {
        1 << self as u64
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sql())
    }
}

/// A set of privileges, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PrivilegeSet(u64);

impl PrivilegeSet {
    /// No privilege.
    pub const EMPTY: PrivilegeSet = PrivilegeSet(0);

    /// This set with one more.
    #[must_use]
    pub fn with(self, privilege: Privilege) -> Self {
        PrivilegeSet(self.0 | privilege.bit())
    }

    /// Whether the privilege itself is in the set (ALL PRIVILEGES is not expanded).
    pub fn contains(self, privilege: Privilege) -> bool {
        self.0 & privilege.bit() != 0
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The privileges, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Privilege> {
        Privilege::ALL.iter().copied().filter(move |privilege| self.contains(*privilege))
    }
}

impl FromIterator<Privilege> for PrivilegeSet {
    fn from_iter<I: IntoIterator<Item = Privilege>>(privileges: I) -> Self {
        privileges.into_iter().fold(PrivilegeSet::EMPTY, PrivilegeSet::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read() {
        assert_eq!(Privilege::parse("use catalog"), Some(Privilege::UseCatalog));
        assert_eq!(Privilege::parse("USE_CATALOG"), Some(Privilege::UseCatalog));
        assert_eq!(Privilege::parse("CAN_USE"), Some(Privilege::CanUse));
        assert_eq!(Privilege::parse("OWN"), None);
        for privilege in Privilege::ALL {
            assert_eq!(Privilege::parse(&privilege.underscored()), Some(*privilege));
        }
        assert!(Privilege::ALL.len() <= 64);
    }
}
