//! Databricks' permissions on `authorization/tokens` and `authorization/passwords`: who may prove who they are in that way.

use std::sync::Arc;

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Json, Method, Registry, Route};
use crannog_security::actions::metastore::{Administer, Read};
use crannog_security::{NameOf, Permit};
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::permissions::{AclIn, LevelOut, LevelsOut, PermissionsOut, shown};
use crate::Identity;
use crate::model::principals::Principal;
use crate::service::permissions::{Level, ObjectAcl};
use crate::service::ways::Way;

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(GetAuthorizationPermissions(Arc::clone(identity)));
    registry.add(SetAuthorizationPermissions(Arc::clone(identity)));
    registry.add(UpdateAuthorizationPermissions(Arc::clone(identity)));
    registry.add(GetAuthorizationPermissionLevels);
}

fn way(word: &str) -> Result<Way> {
    Way::of_word(word).ok_or_else(|| {
        Problem::not_found(format!("there is no authorization {word:?}")).hint("use tokens or passwords")
    })
}

fn out(way: Way, users: Vec<(Principal, bool)>) -> Json<PermissionsOut> {
    let acl = |(principal, fixed)| shown(ObjectAcl { principal, levels: vec![(Level::Use, fixed)] }, "/authorization");
    Json(PermissionsOut {
        object_id: format!("/authorization/{}", way.word()),
        object_type: way.word(),
        access_control_list: users.into_iter().map(acl).collect(),
    })
}

/// One way.
#[derive(Debug, Deserialize, JsonSchema)]
struct WayIn {
    /// `tokens` or `passwords`.
    way: String,
}

struct GetAuthorizationPermissions(Arc<Identity>);

impl Endpoint for GetAuthorizationPermissions {
    type Asks = Read;
    type In = WayIn;
    type Out = Json<PermissionsOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/permissions/authorization/{way}",
        Dialect::Databricks,
        "Lists who may use personal access tokens, or passwords",
    );

    fn asks(&self, _: &WayIn) -> Result<NameOf<Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Read>, input: WayIn) -> Result<Json<PermissionsOut>> {
        let way = way(&input.way)?;
        Ok(out(way, self.0.users_of_way(&permit, way).await?))
    }

    fn example(_: &Fixture) -> Value {
        json!({ "way": "tokens" })
    }
}

/// Who may.
#[derive(Debug, Deserialize, JsonSchema)]
struct ChangeIn {
    /// `tokens` or `passwords`.
    way: String,
    /// One entry a principal, each with the level `CAN_USE`.
    #[serde(default)]
    access_control_list: Vec<AclIn>,
}

impl ChangeIn {
    fn names(&self) -> Result<Vec<String>> {
        let one = |acl: &AclIn| match acl.permission_level.as_str() {
            "CAN_USE" => Ok(acl.name()?.clone()),
            other => Err(Problem::invalid(format!("authorization has no level {other:?}"))
                .hint("the level is CAN_USE; administrators always have it")),
        };
        self.access_control_list.iter().map(one).collect()
    }
}

struct SetAuthorizationPermissions(Arc<Identity>);

impl Endpoint for SetAuthorizationPermissions {
    type Asks = Administer;
    type In = ChangeIn;
    type Out = Json<PermissionsOut>;
    const ROUTE: Route = Route::new(
        Method::Put,
        "/api/2.0/permissions/authorization/{way}",
        Dialect::Databricks,
        "Lets these use tokens or passwords, and nobody else but administrators",
    );

    fn asks(&self, _: &ChangeIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: ChangeIn) -> Result<Json<PermissionsOut>> {
        let way = way(&input.way)?;
        Ok(out(way, self.0.change_users_of_way(&permit, way, &input.names()?, true).await?))
    }

    fn example(_: &Fixture) -> Value {
        json!({
            "way": "passwords",
            "access_control_list": [{ "group_name": "account users", "permission_level": "CAN_USE" }],
        })
    }
}

struct UpdateAuthorizationPermissions(Arc<Identity>);

impl Endpoint for UpdateAuthorizationPermissions {
    type Asks = Administer;
    type In = ChangeIn;
    type Out = Json<PermissionsOut>;
    const ROUTE: Route = Route::new(
        Method::Patch,
        "/api/2.0/permissions/authorization/{way}",
        Dialect::Databricks,
        "Lets these use tokens or passwords too",
    );

    fn asks(&self, _: &ChangeIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: ChangeIn) -> Result<Json<PermissionsOut>> {
        let way = way(&input.way)?;
        Ok(out(way, self.0.change_users_of_way(&permit, way, &input.names()?, false).await?))
    }

    fn example(_: &Fixture) -> Value {
        json!({
            "way": "tokens",
            "access_control_list": [{ "group_name": "account users", "permission_level": "CAN_USE" }],
        })
    }
}

struct GetAuthorizationPermissionLevels;

impl Endpoint for GetAuthorizationPermissionLevels {
    type Asks = Read;
    type In = WayIn;
    type Out = Json<LevelsOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/permissions/authorization/{way}/permissionLevels",
        Dialect::Databricks,
        "Lists the levels that the use of tokens and passwords has",
    );

    fn asks(&self, _: &WayIn) -> Result<NameOf<Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, _: Permit<Read>, input: WayIn) -> Result<Json<LevelsOut>> {
        let description = match way(&input.way)? {
            Way::Tokens => "Can make and use personal access tokens",
            Way::Passwords => "Can sign in with a password",
        };
        let permission_levels = vec![LevelOut { permission_level: Level::Use.word(), description }];
        Ok(Json(LevelsOut { permission_levels }))
    }

    fn example(_: &Fixture) -> Value {
        json!({ "way": "tokens" })
    }
}
