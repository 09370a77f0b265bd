//! Databricks' generic permissions: levels on warehouses.

use std::sync::Arc;

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Json, Method, Registry, Route};
use crannog_security::actions::warehouses::{Manage, View};
use crannog_security::{Action, NameOf, Permit};
use crannog_types::{FullName, Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Identity;
use crate::model::principals::PrincipalKind;
use crate::service::permissions::{Level, ObjectAcl};

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(GetWarehousePermissions(Arc::clone(identity)));
    registry.add(SetWarehousePermissions(Arc::clone(identity)));
    registry.add(UpdateWarehousePermissions(Arc::clone(identity)));
    registry.add(GetWarehousePermissionLevels);
}

/// One level.
#[derive(Debug, Serialize, JsonSchema)]
struct PermissionOut {
    permission_level: &'static str,
    inherited: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    inherited_from_object: Vec<&'static str>,
}

/// Levels of a principal.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct AclOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_principal_name: Option<String>,
    display_name: String,
    all_permissions: Vec<PermissionOut>,
}

/// Levels of everybody.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PermissionsOut {
    pub(super) object_id: String,
    pub(super) object_type: &'static str,
    pub(super) access_control_list: Vec<AclOut>,
}

pub(super) fn shown(acl: ObjectAcl, inherited_from: &'static str) -> AclOut {
    let all_permissions = acl.levels.iter().map(|(level, inherited)| PermissionOut {
        permission_level: level.word(),
        inherited: *inherited,
        inherited_from_object: if *inherited { vec![inherited_from] } else { Vec::new() },
    });
    let mut out = AclOut {
        display_name: acl.principal.shown().to_owned(),
        all_permissions: all_permissions.collect(),
        ..AclOut::default()
    };
    match acl.principal.kind {
        PrincipalKind::User => out.user_name = Some(acl.principal.name),
        PrincipalKind::Group => out.group_name = Some(acl.principal.name),
        PrincipalKind::ServicePrincipal => out.service_principal_name = Some(acl.principal.name),
    }
    out
}

fn of_warehouse(id: &str, acls: Vec<ObjectAcl>) -> Json<PermissionsOut> {
    Json(PermissionsOut {
        object_id: format!("/sql/warehouses/{id}"),
        object_type: "warehouses",
        access_control_list: acls.into_iter().map(|acl| shown(acl, "/sql/warehouses")).collect(),
    })
}

/// Warehouses are named by their id; their name is taken too.
fn warehouse<A: Action>(id: &str) -> NameOf<A> {
    match id.parse() {
        Ok(id) => NameOf::id(id),
        Err(_) => NameOf::named(FullName::of([id])),
    }
}

/// One warehouse.
#[derive(Debug, Deserialize, JsonSchema)]
struct WarehouseIn {
    /// The warehouse's id.
    warehouse_id: String,
}

struct GetWarehousePermissions(Arc<Identity>);

impl Endpoint for GetWarehousePermissions {
    type Asks = View;
    type In = WarehouseIn;
    type Out = Json<PermissionsOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/permissions/warehouses/{warehouse_id}",
        Dialect::Databricks,
        "Lists who has which level on a warehouse",
    )
    .also(&["/api/2.0/permissions/sql/warehouses/{warehouse_id}"]);

    fn asks(&self, input: &WarehouseIn) -> Result<NameOf<View>> {
        Ok(warehouse(&input.warehouse_id))
    }

    async fn run(&self, _: &Cx, permit: Permit<View>, input: WarehouseIn) -> Result<Json<PermissionsOut>> {
        Ok(of_warehouse(&input.warehouse_id, self.0.warehouse_acls(&permit).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "warehouse_id": fixture.warehouse })
    }
}

/// Levels to give.
#[derive(Debug, Deserialize, JsonSchema)]
struct ChangeIn {
    /// The warehouse's id.
    warehouse_id: String,
    /// One entry a principal.
    #[serde(default)]
    access_control_list: Vec<AclIn>,
}

/// A level for one principal.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct AclIn {
    /// A user's name.
    user_name: Option<String>,
    /// A group's name.
    group_name: Option<String>,
    /// A service principal's application id.
    service_principal_name: Option<String>,
    /// `CAN_VIEW`, `CAN_USE`, `CAN_MONITOR`, `CAN_MANAGE` or `IS_OWNER`.
    pub(super) permission_level: String,
}

impl AclIn {
    /// The one principal that is named.
    pub(super) fn name(&self) -> Result<&String> {
        let names: Vec<&String> =
            [&self.user_name, &self.group_name, &self.service_principal_name].into_iter().flatten().collect();
        match names[..] {
            [name] => Ok(name),
            _ => Err(Problem::invalid("give one of user_name, group_name and service_principal_name for each level")),
        }
    }
}

impl ChangeIn {
    fn wanted(&self) -> Result<Vec<(String, Level)>> {
        let one = |acl: &AclIn| {
            let level = Level::of_word(&acl.permission_level).ok_or_else(|| {
                Problem::invalid(format!("a warehouse has no level {:?}", acl.permission_level))
                    .hint("levels are CAN_VIEW, CAN_USE, CAN_MONITOR, CAN_MANAGE and IS_OWNER")
            })?;
            Ok((acl.name()?.clone(), level))
        };
        self.access_control_list.iter().map(one).collect()
    }
}

struct SetWarehousePermissions(Arc<Identity>);

impl Endpoint for SetWarehousePermissions {
    type Asks = Manage;
    type In = ChangeIn;
    type Out = Json<PermissionsOut>;
    const ROUTE: Route = Route::new(
        Method::Put,
        "/api/2.0/permissions/warehouses/{warehouse_id}",
        Dialect::Databricks,
        "Replaces everybody's levels on a warehouse",
    )
    .also(&["/api/2.0/permissions/sql/warehouses/{warehouse_id}"]);

    fn asks(&self, input: &ChangeIn) -> Result<NameOf<Manage>> {
        Ok(warehouse(&input.warehouse_id))
    }

    async fn run(&self, _: &Cx, permit: Permit<Manage>, input: ChangeIn) -> Result<Json<PermissionsOut>> {
        let acls = self.0.change_warehouse_acls(&permit, &input.wanted()?, true).await?;
        Ok(of_warehouse(&input.warehouse_id, acls))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "warehouse_id": fixture.warehouse,
            "access_control_list": [{ "group_name": "account users", "permission_level": "CAN_USE" }],
        })
    }
}

struct UpdateWarehousePermissions(Arc<Identity>);

impl Endpoint for UpdateWarehousePermissions {
    type Asks = Manage;
    type In = ChangeIn;
    type Out = Json<PermissionsOut>;
    const ROUTE: Route = Route::new(
        Method::Patch,
        "/api/2.0/permissions/warehouses/{warehouse_id}",
        Dialect::Databricks,
        "Changes the levels of some on a warehouse",
    )
    .also(&["/api/2.0/permissions/sql/warehouses/{warehouse_id}"]);

    fn asks(&self, input: &ChangeIn) -> Result<NameOf<Manage>> {
        Ok(warehouse(&input.warehouse_id))
    }

    async fn run(&self, _: &Cx, permit: Permit<Manage>, input: ChangeIn) -> Result<Json<PermissionsOut>> {
        let acls = self.0.change_warehouse_acls(&permit, &input.wanted()?, false).await?;
        Ok(of_warehouse(&input.warehouse_id, acls))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "warehouse_id": fixture.warehouse,
            "access_control_list": [{ "group_name": "account users", "permission_level": "CAN_MONITOR" }],
        })
    }
}

/// A level that can be given.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LevelOut {
    pub(super) permission_level: &'static str,
    pub(super) description: &'static str,
}

/// Levels that can be given.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LevelsOut {
    pub(super) permission_levels: Vec<LevelOut>,
}

struct GetWarehousePermissionLevels;

impl Endpoint for GetWarehousePermissionLevels {
    type Asks = View;
    type In = WarehouseIn;
    type Out = Json<LevelsOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/permissions/warehouses/{warehouse_id}/permissionLevels",
        Dialect::Databricks,
        "Lists the levels that warehouses have",
    )
    .also(&["/api/2.0/permissions/sql/warehouses/{warehouse_id}/permissionLevels"]);

    fn asks(&self, input: &WarehouseIn) -> Result<NameOf<View>> {
        Ok(warehouse(&input.warehouse_id))
    }

    async fn run(&self, _: &Cx, _: Permit<View>, _: WarehouseIn) -> Result<Json<LevelsOut>> {
        let levels = Level::ALL.map(|level| LevelOut { permission_level: level.word(), description: level.describe() });
        Ok(Json(LevelsOut { permission_levels: levels.into() }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "warehouse_id": fixture.warehouse })
    }
}
