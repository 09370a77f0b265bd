//! `/permissions` and `/effective-permissions`
//!
//! Those who manage an object see all grants on it; everybody else who may see the object sees their own.

use std::collections::BTreeMap;

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Json, Method, Route, SPELLING, Spelling};
use crannog_security::actions::securables as actions;
use crannog_security::{Decision, Kind, NameOf, Permit, Privilege, Reference, Rule};
use crannog_types::{FullName, Problem, Result, SecurableId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::names::full_name;
use crate::Governance;
use crate::model::grants::{GrantChange, privilege_on};
use crate::service::grants::{self, Seen};

/// Which object, and whose grants.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct PermissionsOf {
    /// `metastore`, `catalog`, `schema`, `table`, `volume` or `registered_model`, which is called `function` too.
    securable_type: String,
    /// Its full name; for the metastore its id, or `metastore`.
    full_name: String,
    /// Of this user, service principal or group alone.
    principal: Option<String>,
}

/// Grants on one object, by principal.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PermissionsList {
    privilege_assignments: Vec<PrivilegeAssignment>,
    next_page_token: Option<String>,
}

/// What one principal was granted on the object itself.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PrivilegeAssignment {
    principal: String,
    privileges: Vec<String>,
}

/// Whether Unity Catalog's grants are for objects of this kind.
fn of_catalog(kind: Kind) -> bool {
    matches!(kind, Kind::Metastore | Kind::Catalog | Kind::Schema | Kind::Table | Kind::Volume | Kind::Model)
}

/// The object of a request, of whichever kind it is.
fn object<A: crannog_security::Action>(securable_type: &str, name: &str) -> Result<NameOf<A>> {
    let kind = Kind::of_word(securable_type).filter(|kind| of_catalog(*kind));
    let Some(kind) = kind else {
        return Err(Problem::invalid(format!("there are no objects of type {securable_type:?} here"))
            .hint("use metastore, catalog, schema, table, volume or registered_model"));
    };
    if kind == Kind::Metastore {
        if name != SecurableId::METASTORE.to_string() && !name.eq_ignore_ascii_case("metastore") {
            return Err(Problem::not_found(format!("metastore '{name}' does not exist, or you may not see it"))
                .hint("GET metastore_summary says its id"));
        }
        return Ok(NameOf::root());
    }
    Ok(NameOf::of_kind(kind, full_name(name, kind.name_parts())?))
}

/// What this caller may see of an object's grants.
async fn seen(cx: &Cx, permit: &Permit<actions::ReadGrants>) -> Result<Seen> {
    let about = Reference::Id(permit.target().kind, permit.target().id);
    Ok(match cx.caller()?.explain(Rule::Manages, &about).await? {
        (_, Decision::Allowed(_)) => Seen::All,
        _ => Seen::Own,
    })
}

/// A privilege as this client spells it; `None` for one whose word the open-source client fails on. Whoever asks for
/// spaces by header reads words, not that client's fixed list.
fn spelled(cx: &Cx, privilege: Privilege) -> Option<String> {
    const OPEN_SOURCE: [Privilege; 11] = [
        Privilege::CreateCatalog,
        Privilege::UseCatalog,
        Privilege::CreateSchema,
        Privilege::UseSchema,
        Privilege::CreateTable,
        Privilege::Select,
        Privilege::Modify,
        Privilege::CreateFunction,
        Privilege::Execute,
        Privilege::CreateVolume,
        Privilege::ReadVolume,
    ];
    match cx.spelling() {
        Spelling::Underscores => Some(privilege.underscored()),
        Spelling::Spaces => {
            let known = OPEN_SOURCE.contains(&privilege)
                || privilege == Privilege::CreateModel
                || cx.header("x-crannog-privileges").is_some();
            known.then(|| privilege.sql().to_owned())
        }
    }
}

async fn direct(
    governance: &Governance,
    cx: &Cx,
    permit: &Permit<actions::ReadGrants>,
    principal: Option<&str>,
) -> Result<PermissionsList> {
    let seen = seen(cx, permit).await?;
    let mut by: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for assignment in grants::direct(&governance.db, permit, seen, principal).await? {
        if let Some(word) = spelled(cx, assignment.privilege) {
            by.entry(assignment.principal).or_default().push(word);
        }
    }
    let privilege_assignments =
        by.into_iter().map(|(principal, privileges)| PrivilegeAssignment { principal, privileges }).collect();
    Ok(PermissionsList { privilege_assignments, next_page_token: None })
}

/// Reads the grants on an object.
pub(crate) struct GetPermissions(pub(super) Governance);

impl Endpoint for GetPermissions {
    type Asks = actions::ReadGrants;
    type In = PermissionsOf;
    type Out = Json<PermissionsList>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.1/unity-catalog/permissions/{securable_type}/{full_name}",
        Dialect::Unity,
        "Get the grants on an object.",
    )
    .headers(&[SPELLING]);

    fn asks(&self, input: &PermissionsOf) -> Result<NameOf<actions::ReadGrants>> {
        object(&input.securable_type, &input.full_name)
    }

    async fn run(
        &self,
        cx: &Cx,
        permit: Permit<actions::ReadGrants>,
        input: PermissionsOf,
    ) -> Result<Json<PermissionsList>> {
        Ok(Json(direct(&self.0, cx, &permit, input.principal.as_deref()).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "securable_type": "catalog", "full_name": fixture.catalog })
    }
}

/// Grants and revokes.
pub(crate) struct UpdatePermissions(pub(super) Governance);

/// Which object, and what changes on it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct UpdatePermissionsIn {
    /// `metastore`, `catalog`, `schema`, `table`, `volume` or `registered_model`, which is called `function` too.
    securable_type: String,
    /// Its full name; for the metastore its id, or `metastore`.
    full_name: String,
    /// What changes, for each principal.
    changes: Option<Vec<PermissionsChange>>,
}

/// What one principal gets and loses.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct PermissionsChange {
    /// A user, a service principal or a group.
    principal: String,
    /// Privileges to grant: `USE CATALOG` or `USE_CATALOG`.
    add: Option<Vec<String>>,
    /// Privileges to revoke.
    remove: Option<Vec<String>>,
}

impl Endpoint for UpdatePermissions {
    type Asks = actions::Grant;
    type In = UpdatePermissionsIn;
    type Out = Json<PermissionsList>;
    const ROUTE: Route = Route::new(
        Method::Patch,
        "/api/2.1/unity-catalog/permissions/{securable_type}/{full_name}",
        Dialect::Unity,
        "Grant and revoke on an object.",
    )
    .headers(&[SPELLING]);

    fn asks(&self, input: &UpdatePermissionsIn) -> Result<NameOf<actions::Grant>> {
        object(&input.securable_type, &input.full_name)
    }

    async fn run(
        &self,
        cx: &Cx,
        permit: Permit<actions::Grant>,
        input: UpdatePermissionsIn,
    ) -> Result<Json<PermissionsList>> {
        let target = permit.target();
        let privileges = |words: Option<Vec<String>>| -> Result<Vec<Privilege>> {
            words.unwrap_or_default().iter().map(|word| privilege_on(target.kind, word)).collect()
        };
        let mut changes = Vec::new();
        for change in input.changes.unwrap_or_default() {
            changes.push(GrantChange {
                principal: change.principal,
                add: privileges(change.add)?,
                remove: privileges(change.remove)?,
            });
        }
        grants::change(&self.0.db, &permit, &changes).await?;
        // The caller may have revoked what let them see it: then there is nothing to show, and that is no failure.
        match cx.caller()?.ask(object::<actions::ReadGrants>(&input.securable_type, &input.full_name)?).await {
            Ok(permit) => Ok(Json(direct(&self.0, cx, &permit, None).await?)),
            Err(_) => Ok(Json(PermissionsList { privilege_assignments: Vec::new(), next_page_token: None })),
        }
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "securable_type": "catalog",
            "full_name": fixture.catalog,
            "changes": [{ "principal": "account users", "add": ["USE_CATALOG"] }],
        })
    }
}

/// Reads the grants that reach an object, from itself and its containers.
pub(crate) struct GetEffectivePermissions(pub(super) Governance);

/// Grants that reach one object, by principal.
#[derive(Serialize, JsonSchema)]
pub(crate) struct EffectivePermissionsList {
    privilege_assignments: Vec<EffectivePrivilegeAssignment>,
    next_page_token: Option<String>,
}

/// What reaches one principal.
#[derive(Serialize, JsonSchema)]
pub(crate) struct EffectivePrivilegeAssignment {
    principal: String,
    privileges: Vec<EffectivePrivilege>,
}

/// One privilege, and the container that it was granted on when it was not the object itself.
#[derive(Serialize, JsonSchema)]
pub(crate) struct EffectivePrivilege {
    privilege: String,
    inherited_from_type: Option<String>,
    inherited_from_name: Option<String>,
}

impl Endpoint for GetEffectivePermissions {
    type Asks = actions::ReadGrants;
    type In = PermissionsOf;
    type Out = Json<EffectivePermissionsList>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.1/unity-catalog/effective-permissions/{securable_type}/{full_name}",
        Dialect::Unity,
        "Get the grants that reach an object.",
    )
    .headers(&[SPELLING]);

    fn asks(&self, input: &PermissionsOf) -> Result<NameOf<actions::ReadGrants>> {
        object(&input.securable_type, &input.full_name)
    }

    async fn run(
        &self,
        cx: &Cx,
        permit: Permit<actions::ReadGrants>,
        input: PermissionsOf,
    ) -> Result<Json<EffectivePermissionsList>> {
        let seen = seen(cx, &permit).await?;
        let mut by: BTreeMap<String, Vec<EffectivePrivilege>> = BTreeMap::new();
        for assignment in grants::effective(&self.0.db, &permit, seen, input.principal.as_deref()).await? {
            let Some(privilege) = spelled(cx, assignment.privilege) else { continue };
            let from: Option<(Kind, FullName)> = assignment.inherited_from;
            by.entry(assignment.principal).or_default().push(EffectivePrivilege {
                privilege,
                inherited_from_type: from.as_ref().map(|(kind, _)| kind.word().to_uppercase()),
                inherited_from_name: from.map(|(_, name)| name.to_string()),
            });
        }
        let privilege_assignments = by
            .into_iter()
            .map(|(principal, privileges)| EffectivePrivilegeAssignment { principal, privileges })
            .collect();
        Ok(Json(EffectivePermissionsList { privilege_assignments, next_page_token: None }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "securable_type": "table",
            "full_name": format!("{}.{}.{}", fixture.catalog, fixture.schema, fixture.table),
        })
    }
}
