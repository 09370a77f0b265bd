//! GRANT, REVOKE, SHOW GRANTS.

use crannog_governance::model::grants::{GrantChange, privilege_on};
use crannog_governance::service::grants::{self, Seen};
use crannog_security::actions::securables;
use crannog_security::{Decision, Kind, NameOf, Reference, Rule};
use crannog_types::{Code, FullName, Problem, Result};

use super::Run;
use super::answer::{Answer, Type};
use crate::grammar::Name;
use crate::grammar::statement::{Grant, SecurableKind, SecurableName, ShowGrants};

impl Run {
    pub(super) async fn grant(&self, grant: &Grant, add: bool) -> Result<Answer> {
        let (kind, name) = self.securable(&grant.on)?;
        let mut privileges = Vec::with_capacity(grant.privileges.len());
        for word in &grant.privileges {
            privileges.push(privilege_on(kind, word)?);
        }
        let permit = self.caller.ask::<securables::Grant>(NameOf::of_kind(kind, name)).await?;
        let changes: Vec<GrantChange> = grant
            .principals
            .iter()
            .map(|principal| {
                let (given, taken) =
                    if add { (privileges.clone(), Vec::new()) } else { (Vec::new(), privileges.clone()) };
                GrantChange { principal: principal.clone(), add: given, remove: taken }
            })
            .collect();
        grants::change(&self.lake.governance.db, &permit, &changes).await?;
        Ok(Answer::nothing())
    }

    pub(super) async fn show_grants(&self, show: &ShowGrants) -> Result<Answer> {
        let (kind, name) = self.securable(&show.on)?;
        let permit = self.caller.ask::<securables::ReadGrants>(NameOf::of_kind(kind, name)).await?;
        let reference = Reference::Id(permit.target().kind, permit.target().id);
        let (_, decision) = self.caller.explain(Rule::Manages, &reference).await?;
        let seen = if matches!(decision, Decision::Allowed(_)) { Seen::All } else { Seen::Own };
        let found = grants::effective(&self.lake.governance.db, &permit, seen, show.principal.as_deref()).await?;
        let rows: Vec<_> = found
            .into_iter()
            .map(|assignment| {
                let (kind, key) =
                    assignment.inherited_from.unwrap_or_else(|| (permit.target().kind, permit.target().name.clone()));
                vec![
                    assignment.principal.into(),
                    assignment.privilege.sql().into(),
                    kind.word().to_uppercase().into(),
                    key.to_string().into(),
                ]
            })
            .collect();
        let columns = [
            ("Principal", Type::Text),
            ("ActionType", Type::Text),
            ("ObjectType", Type::Text),
            ("ObjectKey", Type::Text),
        ];
        Answer::table(&columns, &rows)
    }

    fn securable(&self, on: &SecurableName) -> Result<(Kind, FullName)> {
        let none = || FullName::of(Vec::<String>::new());
        let name = on.name.as_ref();
        Ok(match (on.kind, name) {
            (SecurableKind::Metastore, _) | (_, None) => (Kind::Metastore, none()),
            (SecurableKind::Catalog, Some(Name(parts))) => (Kind::Catalog, FullName::of(parts.clone())),
            (SecurableKind::Schema, Some(name)) => (Kind::Schema, self.schema_name(Some(name))?),
            (SecurableKind::Table | SecurableKind::View, Some(name)) => (Kind::Table, self.full_name(name)?),
            (SecurableKind::Volume, Some(name)) => (Kind::Volume, self.full_name(name)?),
            (SecurableKind::Function | SecurableKind::Model, Some(name)) => (Kind::Model, self.full_name(name)?),
            (
                SecurableKind::ExternalLocation
                | SecurableKind::StorageCredential
                | SecurableKind::Connection
                | SecurableKind::Share,
                Some(name),
            ) => {
                return Err(Problem::new(Code::Unimplemented, format!("there is no {:?} {name} to grant on", on.kind))
                    .reason("UNSUPPORTED_FEATURE")
                    .sql_state("0A000")
                    .hint("grants are given on METASTORE, CATALOG, SCHEMA, TABLE, VIEW, VOLUME and MODEL"));
            }
        })
    }
}
