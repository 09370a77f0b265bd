//! Groups. `admins` owns the metastore; `account users` has every active user and service principal in it.

use std::sync::Arc;

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Method, NoContent, Registry, Route};
use crannog_security::actions::metastore::{Administer, Read};
use crannog_security::{Evidence, NameOf, Permit};
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::patch::PatchIn;
use super::wire::{Complex, GROUP, IdIn, ListIn, ListOut, MADE, Meta, Scim, ids};
use crate::Identity;
use crate::model::principals::{Principal, PrincipalKind};
use crate::service::principals::{Changes, Membership, NewPrincipal};

/// A group of ten thousand, with a name for each, fits.
const MEMBERS_LIMIT: usize = 4 << 20;

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(ListGroups(Arc::clone(identity)));
    registry.add(GetGroup(Arc::clone(identity)));
    registry.add(CreateGroup(Arc::clone(identity)));
    registry.add(ReplaceGroup(Arc::clone(identity)));
    registry.add(PatchGroup(Arc::clone(identity)));
    registry.add(DeleteGroup(Arc::clone(identity)));
}

/// A group.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Group {
    schemas: [&'static str; 1],
    id: String,
    display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    members: Vec<Complex>,
    groups: Vec<Complex>,
    meta: Meta,
}

fn group(principal: &Principal, members: Option<&Vec<Membership>>, groups: Option<&Vec<Membership>>) -> Group {
    let list = |memberships: Option<&Vec<Membership>>, with_type| {
        memberships.into_iter().flatten().map(|one| Complex::of(one, with_type)).collect()
    };
    Group {
        schemas: [GROUP],
        id: principal.id.to_string(),
        display_name: principal.name.clone(),
        external_id: principal.external_id.clone(),
        members: list(members, false),
        groups: list(groups, true),
        meta: Meta::of(principal, "Group", "Groups"),
    }
}

/// A group as it is sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GroupIn {
    /// The decimal id, where one is replaced.
    id: Option<String>,
    /// The name.
    display_name: Option<String>,
    /// The id in a directory.
    external_id: Option<String>,
    /// All members.
    #[serde(default)]
    members: Vec<Complex>,
    /// Groups to put a new group into.
    #[serde(default)]
    groups: Vec<Complex>,
}

async fn answer(identity: &Identity, permit: &dyn Evidence, principal: &Principal) -> Result<Group> {
    let members = identity.members_of(permit, Some(principal.id)).await?;
    let groups = identity.groups_of(permit, Some(principal.id)).await?;
    Ok(group(principal, members.get(&principal.id), groups.get(&principal.id)))
}

struct ListGroups(Arc<Identity>);

impl Endpoint for ListGroups {
    type Asks = Read;
    type In = ListIn;
    type Out = Scim<ListOut>;
    const ROUTE: Route = Route::new(Method::Get, "/api/2.0/preview/scim/v2/Groups", Dialect::Scim, "Lists groups");

    fn asks(&self, _: &ListIn) -> Result<NameOf<Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Read>, input: ListIn) -> Result<Scim<ListOut>> {
        let attributes = input.attributes()?;
        let all = self.0.principals(&permit, PrincipalKind::Group).await?;
        let members =
            if attributes.need("members") { self.0.members_of(&permit, None).await? } else { Default::default() };
        let groups =
            if attributes.need("groups") { self.0.groups_of(&permit, None).await? } else { Default::default() };
        let found = all.iter().map(|one| group(one, members.get(&one.id), groups.get(&one.id))).collect();
        Ok(Scim::ok(input.page(&attributes, found)?))
    }

    fn example(_: &Fixture) -> Value {
        json!({ "startIndex": 1, "count": 100, "filter": "displayName eq \"admins\"" })
    }
}

struct GetGroup(Arc<Identity>);

impl Endpoint for GetGroup {
    type Asks = Read;
    type In = IdIn;
    type Out = Scim<Group>;
    const ROUTE: Route = Route::new(Method::Get, "/api/2.0/preview/scim/v2/Groups/{id}", Dialect::Scim, "Gets a group");

    fn asks(&self, _: &IdIn) -> Result<NameOf<Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Read>, input: IdIn) -> Result<Scim<Group>> {
        let found = self.0.principal(&permit, PrincipalKind::Group, &input.id).await?;
        Ok(Scim::ok(answer(&self.0, &permit, &found).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "id": fixture.more.get("group") })
    }
}

struct CreateGroup(Arc<Identity>);

impl Endpoint for CreateGroup {
    type Asks = Administer;
    type In = GroupIn;
    type Out = Scim<Group>;
    const ROUTE: Route = Route::new(Method::Post, "/api/2.0/preview/scim/v2/Groups", Dialect::Scim, "Makes a group")
        .body_limit(MEMBERS_LIMIT)
        .answers(MADE);

    fn asks(&self, _: &GroupIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: GroupIn) -> Result<Scim<Group>> {
        let new = NewPrincipal {
            kind: PrincipalKind::Group,
            name: Some(input.display_name.ok_or_else(|| Problem::invalid("a group needs a displayName"))?),
            display_name: None,
            given_name: None,
            family_name: None,
            external_id: input.external_id,
            active: true,
            members: ids(&input.members)?,
            groups: ids(&input.groups)?,
        };
        let made = self.0.create_principal(&permit, new).await?;
        Ok(Scim::created(answer(&self.0, &permit, &made).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "displayName": "group_new", "members": [{ "value": fixture.user }] })
    }
}

struct ReplaceGroup(Arc<Identity>);

impl Endpoint for ReplaceGroup {
    type Asks = Administer;
    type In = GroupIn;
    type Out = Scim<Group>;
    const ROUTE: Route = Route::new(
        Method::Put,
        "/api/2.0/preview/scim/v2/Groups/{id}",
        Dialect::Scim,
        "Replaces a group's name and members",
    )
    .body_limit(MEMBERS_LIMIT);

    fn asks(&self, _: &GroupIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: GroupIn) -> Result<Scim<Group>> {
        let changes = Changes {
            name: input.display_name,
            external_id: input.external_id,
            members: Some(ids(&input.members)?),
            ..Changes::default()
        };
        let id = input.id.unwrap_or_default();
        let changed = self.0.change_principal(&permit, PrincipalKind::Group, &id, changes).await?;
        Ok(Scim::ok(answer(&self.0, &permit, &changed).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "id": fixture.more.get("group"), "displayName": "group_renamed", "members": [{ "value": fixture.user }] })
    }
}

struct PatchGroup(Arc<Identity>);

impl Endpoint for PatchGroup {
    type Asks = Administer;
    type In = PatchIn;
    type Out = Scim<Group>;
    const ROUTE: Route = Route::new(
        Method::Patch,
        "/api/2.0/preview/scim/v2/Groups/{id}",
        Dialect::Scim,
        "Adds and removes members, renames a group",
    )
    .body_limit(MEMBERS_LIMIT);

    fn asks(&self, _: &PatchIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: PatchIn) -> Result<Scim<Group>> {
        let changes = input.changes("displayName")?;
        let changed = self.0.change_principal(&permit, PrincipalKind::Group, &input.id, changes).await?;
        Ok(Scim::ok(answer(&self.0, &permit, &changed).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "id": fixture.more.get("group"),
            "Operations": [{ "op": "add", "value": { "members": [{ "value": fixture.user }] } }],
        })
    }
}

struct DeleteGroup(Arc<Identity>);

impl Endpoint for DeleteGroup {
    type Asks = Administer;
    type In = IdIn;
    type Out = NoContent;
    const ROUTE: Route =
        Route::new(Method::Delete, "/api/2.0/preview/scim/v2/Groups/{id}", Dialect::Scim, "Deletes a group");

    fn asks(&self, _: &IdIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: IdIn) -> Result<NoContent> {
        self.0.delete_principal(&permit, PrincipalKind::Group, &input.id).await?;
        Ok(NoContent)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "id": fixture.more.get("group") })
    }
}
