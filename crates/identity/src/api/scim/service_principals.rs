//! Service principals: programs that sign in. An application id is made when none is sent.

use std::sync::Arc;

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Method, NoContent, Registry, Route};
use crannog_security::actions::metastore::{Administer, Read};
use crannog_security::{Evidence, NameOf, Permit};
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::patch::PatchIn;
use super::wire::{Complex, IdIn, ListIn, ListOut, MADE, Meta, SERVICE_PRINCIPAL, Scim, ids};
use crate::Identity;
use crate::model::principals::{Principal, PrincipalKind};
use crate::service::principals::{Changes, Membership, NewPrincipal};

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(ListServicePrincipals(Arc::clone(identity)));
    registry.add(GetServicePrincipal(Arc::clone(identity)));
    registry.add(CreateServicePrincipal(Arc::clone(identity)));
    registry.add(ReplaceServicePrincipal(Arc::clone(identity)));
    registry.add(PatchServicePrincipal(Arc::clone(identity)));
    registry.add(DeleteServicePrincipal(Arc::clone(identity)));
}

/// A service principal.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ServicePrincipal {
    schemas: [&'static str; 1],
    id: String,
    application_id: String,
    display_name: String,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    groups: Vec<Complex>,
    meta: Meta,
}

fn service_principal(principal: &Principal, groups: Option<&Vec<Membership>>) -> ServicePrincipal {
    ServicePrincipal {
        schemas: [SERVICE_PRINCIPAL],
        id: principal.id.to_string(),
        application_id: principal.name.clone(),
        display_name: principal.shown().to_owned(),
        active: principal.active,
        external_id: principal.external_id.clone(),
        groups: groups.into_iter().flatten().map(|group| Complex::of(group, true)).collect(),
        meta: Meta::of(principal, "ServicePrincipal", "ServicePrincipals"),
    }
}

/// A service principal as it is sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ServicePrincipalIn {
    /// The decimal id, where one is replaced.
    id: Option<String>,
    /// A UUID; made when left out.
    application_id: Option<String>,
    /// What people call it.
    display_name: Option<String>,
    /// Whether it may sign in; true when left out.
    active: Option<bool>,
    /// The id in a directory.
    external_id: Option<String>,
    /// Groups to put a new one into.
    #[serde(default)]
    groups: Vec<Complex>,
}

async fn answer(identity: &Identity, permit: &dyn Evidence, principal: &Principal) -> Result<ServicePrincipal> {
    let groups = identity.groups_of(permit, Some(principal.id)).await?;
    Ok(service_principal(principal, groups.get(&principal.id)))
}

struct ListServicePrincipals(Arc<Identity>);

impl Endpoint for ListServicePrincipals {
    type Asks = Read;
    type In = ListIn;
    type Out = Scim<ListOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/preview/scim/v2/ServicePrincipals",
        Dialect::Scim,
        "Lists service principals",
    );

    fn asks(&self, _: &ListIn) -> Result<NameOf<Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Read>, input: ListIn) -> Result<Scim<ListOut>> {
        let attributes = input.attributes()?;
        let all = self.0.principals(&permit, PrincipalKind::ServicePrincipal).await?;
        let groups =
            if attributes.need("groups") { self.0.groups_of(&permit, None).await? } else { Default::default() };
        let found = all.iter().map(|one| service_principal(one, groups.get(&one.id))).collect();
        Ok(Scim::ok(input.page(&attributes, found)?))
    }

    fn example(_: &Fixture) -> Value {
        json!({ "startIndex": 1, "count": 100 })
    }
}

struct GetServicePrincipal(Arc<Identity>);

impl Endpoint for GetServicePrincipal {
    type Asks = Read;
    type In = IdIn;
    type Out = Scim<ServicePrincipal>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/preview/scim/v2/ServicePrincipals/{id}",
        Dialect::Scim,
        "Gets a service principal",
    );

    fn asks(&self, _: &IdIn) -> Result<NameOf<Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Read>, input: IdIn) -> Result<Scim<ServicePrincipal>> {
        let found = self.0.principal(&permit, PrincipalKind::ServicePrincipal, &input.id).await?;
        Ok(Scim::ok(answer(&self.0, &permit, &found).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "id": fixture.more.get("service_principal") })
    }
}

struct CreateServicePrincipal(Arc<Identity>);

impl Endpoint for CreateServicePrincipal {
    type Asks = Administer;
    type In = ServicePrincipalIn;
    type Out = Scim<ServicePrincipal>;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/preview/scim/v2/ServicePrincipals",
        Dialect::Scim,
        "Makes a service principal",
    )
    .answers(MADE);

    fn asks(&self, _: &ServicePrincipalIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(
        &self,
        _: &Cx,
        permit: Permit<Administer>,
        input: ServicePrincipalIn,
    ) -> Result<Scim<ServicePrincipal>> {
        let application_id = input.application_id.filter(|id| !id.is_empty());
        if let Some(id) = application_id.as_deref().filter(|id| Uuid::parse_str(id).is_err()) {
            return Err(Problem::invalid(format!("the applicationId {id:?} is not a UUID")));
        }
        let new = NewPrincipal {
            kind: PrincipalKind::ServicePrincipal,
            name: application_id,
            display_name: input.display_name,
            given_name: None,
            family_name: None,
            external_id: input.external_id,
            active: input.active.unwrap_or(true),
            members: Vec::new(),
            groups: ids(&input.groups)?,
        };
        let made = self.0.create_principal(&permit, new).await?;
        Ok(Scim::created(answer(&self.0, &permit, &made).await?))
    }

    fn example(_: &Fixture) -> Value {
        json!({ "displayName": "service_new", "active": true })
    }
}

struct ReplaceServicePrincipal(Arc<Identity>);

impl Endpoint for ReplaceServicePrincipal {
    type Asks = Administer;
    type In = ServicePrincipalIn;
    type Out = Scim<ServicePrincipal>;
    const ROUTE: Route = Route::new(
        Method::Put,
        "/api/2.0/preview/scim/v2/ServicePrincipals/{id}",
        Dialect::Scim,
        "Replaces what is known of a service principal; the application id stays",
    );

    fn asks(&self, _: &ServicePrincipalIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(
        &self,
        _: &Cx,
        permit: Permit<Administer>,
        input: ServicePrincipalIn,
    ) -> Result<Scim<ServicePrincipal>> {
        let changes = Changes {
            display_name: Some(input.display_name.unwrap_or_default()),
            active: Some(input.active.unwrap_or(true)),
            external_id: input.external_id,
            ..Changes::default()
        };
        let id = input.id.unwrap_or_default();
        let changed = self.0.change_principal(&permit, PrincipalKind::ServicePrincipal, &id, changes).await?;
        Ok(Scim::ok(answer(&self.0, &permit, &changed).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "id": fixture.more.get("service_principal"), "displayName": "renamed" })
    }
}

struct PatchServicePrincipal(Arc<Identity>);

impl Endpoint for PatchServicePrincipal {
    type Asks = Administer;
    type In = PatchIn;
    type Out = Scim<ServicePrincipal>;
    const ROUTE: Route = Route::new(
        Method::Patch,
        "/api/2.0/preview/scim/v2/ServicePrincipals/{id}",
        Dialect::Scim,
        "Changes a service principal",
    );

    fn asks(&self, _: &PatchIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: PatchIn) -> Result<Scim<ServicePrincipal>> {
        let changes = input.changes("applicationId")?;
        let changed = self.0.change_principal(&permit, PrincipalKind::ServicePrincipal, &input.id, changes).await?;
        Ok(Scim::ok(answer(&self.0, &permit, &changed).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "id": fixture.more.get("service_principal"),
            "Operations": [{ "op": "replace", "path": "active", "value": true }],
        })
    }
}

struct DeleteServicePrincipal(Arc<Identity>);

impl Endpoint for DeleteServicePrincipal {
    type Asks = Administer;
    type In = IdIn;
    type Out = NoContent;
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/api/2.0/preview/scim/v2/ServicePrincipals/{id}",
        Dialect::Scim,
        "Deletes a service principal",
    );

    fn asks(&self, _: &IdIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: IdIn) -> Result<NoContent> {
        self.0.delete_principal(&permit, PrincipalKind::ServicePrincipal, &input.id).await?;
        Ok(NoContent)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "id": fixture.more.get("service_principal") })
    }
}
