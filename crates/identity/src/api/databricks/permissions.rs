//! Databricks' generic permissions: levels on warehouses and experiments.

use std::sync::Arc;

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Json, Method, Registry, Route};
use crannog_security::actions::{experiments, warehouses};
use crannog_security::{Action, Kind, NameOf, Permit};
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
    registry.add(GetExperimentPermissions(Arc::clone(identity)));
    registry.add(SetExperimentPermissions(Arc::clone(identity)));
    registry.add(UpdateExperimentPermissions(Arc::clone(identity)));
    registry.add(GetExperimentPermissionLevels);
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

/// A level for one principal.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct AclIn {
    /// A user's name.
    user_name: Option<String>,
    /// A group's name.
    group_name: Option<String>,
    /// A service principal's application id.
    service_principal_name: Option<String>,
    /// A level that objects of its kind have: `permissionLevels` lists them.
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

/// One object.
#[derive(Debug, Deserialize, JsonSchema)]
struct ObjectIn {
    /// The object's id.
    object_id: String,
}

/// Levels to give.
#[derive(Debug, Deserialize, JsonSchema)]
struct ChangeIn {
    /// The object's id.
    object_id: String,
    /// One entry a principal.
    #[serde(default)]
    access_control_list: Vec<AclIn>,
}

/// Objects are named by their id, or by the name that clients use as one.
fn named<A: Action>(id: &str) -> NameOf<A> {
    match id.parse() {
        Ok(id) => NameOf::id(id),
        Err(_) => NameOf::named(FullName::of([id])),
    }
}

/// Reads the levels to give on an object of a kind.
fn wanted(kind: Kind, given: &[AclIn]) -> Result<Vec<(String, Level)>> {
    let one = |acl: &AclIn| {
        let level = Level::of_word(kind, &acl.permission_level).ok_or_else(|| {
            let levels: Vec<&str> = Level::of(kind).iter().map(|(level, _)| level.word()).collect();
            let article = if kind == Kind::Experiment { "an" } else { "a" };
            Problem::invalid(format!("{article} {kind} has no level {:?}", acl.permission_level))
                .hint(format!("levels are {}", levels.join(", ")))
        })?;
        Ok((acl.name()?.clone(), level))
    };
    given.iter().map(one).collect()
}

fn of_object(above: &'static str, object_type: &'static str, id: &str, acls: Vec<ObjectAcl>) -> Json<PermissionsOut> {
    Json(PermissionsOut {
        object_id: format!("{above}/{id}"),
        object_type,
        access_control_list: acls.into_iter().map(|acl| shown(acl, above)).collect(),
    })
}

/// The routes of a kind of object.
macro_rules! permissions {
    ($get:ident, $set:ident, $update:ident, $levels:ident: $kind:ident, $see:ty, $manage:ty,
     $path:literal $(or $also:literal)?, $above:literal, $object_type:literal, $example:expr, $level:literal) => {
        struct $get(Arc<Identity>);

        impl Endpoint for $get {
            type Asks = $see;
            type In = ObjectIn;
            type Out = Json<PermissionsOut>;
            const ROUTE: Route = Route::new(
                Method::Get,
                concat!("/api/2.0/permissions/", $path, "/{object_id}"),
                Dialect::Databricks,
                concat!("Lists who has which level on one of the ", $object_type),
            )
            .also(&[$(concat!("/api/2.0/permissions/", $also, "/{object_id}"))?]);

            fn asks(&self, input: &ObjectIn) -> Result<NameOf<$see>> {
                Ok(named(&input.object_id))
            }

            async fn run(&self, _: &Cx, permit: Permit<$see>, input: ObjectIn) -> Result<Json<PermissionsOut>> {
                Ok(of_object($above, $object_type, &input.object_id, self.0.levels(&permit).await?))
            }

            fn example(fixture: &Fixture) -> Value {
                json!({ "object_id": $example(fixture) })
            }
        }

        permissions!(change $set, Put, true, "Replaces everybody's levels on one of the ": $kind, $manage,
            $path $(or $also)?, $above, $object_type, $example, $level);
        permissions!(change $update, Patch, false, "Changes the levels of some on one of the ": $kind, $manage,
            $path $(or $also)?, $above, $object_type, $example, $level);

        struct $levels;

        impl Endpoint for $levels {
            type Asks = $see;
            type In = ObjectIn;
            type Out = Json<LevelsOut>;
            const ROUTE: Route = Route::new(
                Method::Get,
                concat!("/api/2.0/permissions/", $path, "/{object_id}/permissionLevels"),
                Dialect::Databricks,
                concat!("Lists the levels that ", $object_type, " have"),
            )
            .also(&[$(concat!("/api/2.0/permissions/", $also, "/{object_id}/permissionLevels"))?]);

            fn asks(&self, input: &ObjectIn) -> Result<NameOf<$see>> {
                Ok(named(&input.object_id))
            }

            async fn run(&self, _: &Cx, _: Permit<$see>, _: ObjectIn) -> Result<Json<LevelsOut>> {
                let levels = Level::of(Kind::$kind).iter();
                let levels =
                    levels.map(|(level, description)| LevelOut { permission_level: level.word(), description });
                Ok(Json(LevelsOut { permission_levels: levels.collect() }))
            }

            fn example(fixture: &Fixture) -> Value {
                json!({ "object_id": $example(fixture) })
            }
        }
    };
    (change $name:ident, $method:ident, $replace:literal, $about:literal: $kind:ident, $manage:ty,
     $path:literal $(or $also:literal)?, $above:literal, $object_type:literal, $example:expr, $level:literal) => {
        struct $name(Arc<Identity>);

        impl Endpoint for $name {
            type Asks = $manage;
            type In = ChangeIn;
            type Out = Json<PermissionsOut>;
            const ROUTE: Route = Route::new(
                Method::$method,
                concat!("/api/2.0/permissions/", $path, "/{object_id}"),
                Dialect::Databricks,
                concat!($about, $object_type),
            )
            .also(&[$(concat!("/api/2.0/permissions/", $also, "/{object_id}"))?]);

            fn asks(&self, input: &ChangeIn) -> Result<NameOf<$manage>> {
                Ok(named(&input.object_id))
            }

            async fn run(&self, _: &Cx, permit: Permit<$manage>, input: ChangeIn) -> Result<Json<PermissionsOut>> {
                let wanted = wanted(Kind::$kind, &input.access_control_list)?;
                let acls = self.0.change_levels(&permit, &wanted, $replace).await?;
                Ok(of_object($above, $object_type, &input.object_id, acls))
            }

            fn example(fixture: &Fixture) -> Value {
                json!({
                    "object_id": $example(fixture),
                    "access_control_list": [{ "group_name": "account users", "permission_level": $level }],
                })
            }
        }
    };
}

permissions!(
    GetWarehousePermissions, SetWarehousePermissions, UpdateWarehousePermissions, GetWarehousePermissionLevels:
    Warehouse, warehouses::View, warehouses::Manage, "warehouses" or "sql/warehouses", "/sql/warehouses", "warehouses",
    |fixture: &Fixture| fixture.warehouse.clone(), "CAN_USE"
);
permissions!(
    GetExperimentPermissions, SetExperimentPermissions, UpdateExperimentPermissions, GetExperimentPermissionLevels:
    Experiment, experiments::Read, experiments::Manage, "experiments", "/experiments", "experiments",
    |fixture: &Fixture| fixture.text("experiment").to_owned(), "CAN_READ"
);
