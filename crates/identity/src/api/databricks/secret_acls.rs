//! Who may read, write and manage a secret scope.

use std::sync::Arc;

use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Registry, Route};
use crannog_security::actions::secret_scopes::Manage;
use crannog_security::{NameOf, Permit, Privilege};
use crannog_types::{Problem, Result, fold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::secrets::scope_name;
use crate::Identity;
use crate::service::secrets::{ScopeAcl, level_word};

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(PutAcl(Arc::clone(identity)));
    registry.add(GetAcl(Arc::clone(identity)));
    registry.add(ListAcls(Arc::clone(identity)));
    registry.add(DeleteAcl(Arc::clone(identity)));
}

/// A principal's level.
#[derive(Debug, Serialize, JsonSchema)]
struct AclItem {
    principal: String,
    permission: &'static str,
}

impl From<ScopeAcl> for AclItem {
    fn from(acl: ScopeAcl) -> Self {
        AclItem { principal: acl.principal, permission: level_word(acl.level) }
    }
}

struct PutAcl(Arc<Identity>);

/// The level to give.
#[derive(Debug, Deserialize, JsonSchema)]
struct PutAclIn {
    /// The scope's name.
    scope: String,
    /// The name of a user, a group or a service principal.
    principal: String,
    /// `READ`, `WRITE` or `MANAGE`.
    permission: String,
}

impl Endpoint for PutAcl {
    type Asks = Manage;
    type In = PutAclIn;
    type Out = Empty;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/secrets/acls/put",
        Dialect::Databricks,
        "Gives a principal a level on a secret scope",
    );

    fn asks(&self, input: &PutAclIn) -> Result<NameOf<Manage>> {
        Ok(NameOf::named(scope_name(&input.scope)))
    }

    async fn run(&self, _: &Cx, permit: Permit<Manage>, input: PutAclIn) -> Result<Empty> {
        let level = match input.permission.to_ascii_uppercase().as_str() {
            "READ" => Privilege::SecretRead,
            "WRITE" => Privilege::SecretWrite,
            "MANAGE" => Privilege::SecretManage,
            other => return Err(Problem::invalid(format!("permission is {other:?}, not READ, WRITE or MANAGE"))),
        };
        self.0.put_acl(&permit, &input.principal, level).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "scope": fixture.scope, "principal": "account users", "permission": "READ" })
    }
}

/// A principal on a scope.
#[derive(Debug, Deserialize, JsonSchema)]
struct AclIn {
    /// The scope's name.
    scope: String,
    /// The principal's name.
    principal: String,
}

struct GetAcl(Arc<Identity>);

impl Endpoint for GetAcl {
    type Asks = Manage;
    type In = AclIn;
    type Out = Json<AclItem>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/secrets/acls/get",
        Dialect::Databricks,
        "Gets the level of a principal on a secret scope",
    );

    fn asks(&self, input: &AclIn) -> Result<NameOf<Manage>> {
        Ok(NameOf::named(scope_name(&input.scope)))
    }

    async fn run(&self, _: &Cx, permit: Permit<Manage>, input: AclIn) -> Result<Json<AclItem>> {
        let acls = self.0.acls(&permit).await?;
        let found = acls.into_iter().find(|acl| fold(&acl.principal) == fold(&input.principal));
        let none = || Problem::not_found(format!("{} has no level of its own on this scope", input.principal));
        Ok(Json(found.ok_or_else(none)?.into()))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "scope": fixture.scope, "principal": fixture.more.get("scope_reader") })
    }
}

struct ListAcls(Arc<Identity>);

/// One scope.
#[derive(Debug, Deserialize, JsonSchema)]
struct ScopeIn {
    /// Its name.
    scope: String,
}

/// Levels.
#[derive(Debug, Serialize, JsonSchema)]
struct ListAclsOut {
    items: Vec<AclItem>,
}

impl Endpoint for ListAcls {
    type Asks = Manage;
    type In = ScopeIn;
    type Out = Json<ListAclsOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/secrets/acls/list",
        Dialect::Databricks,
        "Lists everybody's level on a secret scope",
    );

    fn asks(&self, input: &ScopeIn) -> Result<NameOf<Manage>> {
        Ok(NameOf::named(scope_name(&input.scope)))
    }

    async fn run(&self, _: &Cx, permit: Permit<Manage>, _: ScopeIn) -> Result<Json<ListAclsOut>> {
        let items = self.0.acls(&permit).await?.into_iter().map(Into::into).collect();
        Ok(Json(ListAclsOut { items }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "scope": fixture.scope })
    }
}

struct DeleteAcl(Arc<Identity>);

impl Endpoint for DeleteAcl {
    type Asks = Manage;
    type In = AclIn;
    type Out = Empty;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/secrets/acls/delete",
        Dialect::Databricks,
        "Takes a principal's level on a secret scope away",
    );

    fn asks(&self, input: &AclIn) -> Result<NameOf<Manage>> {
        Ok(NameOf::named(scope_name(&input.scope)))
    }

    async fn run(&self, _: &Cx, permit: Permit<Manage>, input: AclIn) -> Result<Empty> {
        self.0.delete_acl(&permit, &input.principal).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "scope": fixture.scope, "principal": fixture.more.get("scope_reader") })
    }
}
