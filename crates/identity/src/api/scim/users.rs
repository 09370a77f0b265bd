//! Users, and the caller's own account.
//!
//! Everybody who is signed in may read names and memberships, as on Databricks: whoever grants must find people. Only
//! administrators change them.

use std::sync::Arc;

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Method, NoContent, Nothing, Registry, Route};
use crannog_security::actions::metastore::{Administer, Read};
use crannog_security::{NameOf, Permit};
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::patch::PatchIn;
use super::wire::{Complex, IdIn, ListIn, ListOut, MADE, Meta, Name, Scim, USER, ids};
use crate::Identity;
use crate::model::principals::{Principal, PrincipalKind};
use crate::service::principals::{Changes, Membership, NewPrincipal};

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(GetMe(Arc::clone(identity)));
    registry.add(ListUsers(Arc::clone(identity)));
    registry.add(GetUser(Arc::clone(identity)));
    registry.add(CreateUser(Arc::clone(identity)));
    registry.add(ReplaceUser(Arc::clone(identity)));
    registry.add(PatchUser(Arc::clone(identity)));
    registry.add(DeleteUser(Arc::clone(identity)));
}

/// A user.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct User {
    schemas: [&'static str; 1],
    id: String,
    user_name: String,
    display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    emails: Vec<Complex>,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    groups: Vec<Complex>,
    meta: Meta,
}

fn user(principal: &Principal, groups: &[Membership]) -> User {
    User {
        schemas: [USER],
        id: principal.id.to_string(),
        user_name: principal.name.clone(),
        display_name: principal.shown().to_owned(),
        name: Name::of(principal),
        emails: vec![Complex {
            value: Some(principal.name.clone()),
            kind: Some("work".to_owned()),
            primary: Some(true),
            ..Complex::default()
        }],
        active: principal.active,
        external_id: principal.external_id.clone(),
        groups: groups.iter().map(|group| Complex::of(group, true)).collect(),
        meta: Meta::of(principal, "User", "Users"),
    }
}

/// A user as it is sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct UserIn {
    /// The decimal id, where one is replaced.
    id: Option<String>,
    /// The e-mail address.
    user_name: Option<String>,
    /// What people call them.
    display_name: Option<String>,
    /// The name in parts; it is the display name too, where none is sent.
    name: Option<Name>,
    /// Whether they may sign in; true when left out.
    active: Option<bool>,
    /// The id in a directory.
    external_id: Option<String>,
    /// Groups to put a new user into.
    #[serde(default)]
    groups: Vec<Complex>,
}

impl UserIn {
    fn shown(&self) -> Option<String> {
        self.display_name.clone().or_else(|| self.name.as_ref().and_then(Name::whole))
    }

    fn part(&self, of: fn(&Name) -> &Option<String>) -> Option<String> {
        self.name.as_ref().and_then(|name| of(name).clone())
    }
}

async fn answer(identity: &Identity, permit: &Permit<Administer>, principal: &Principal) -> Result<User> {
    let groups = identity.groups_of(permit, Some(principal.id)).await?;
    Ok(user(principal, groups.get(&principal.id).map_or(&[], Vec::as_slice)))
}

struct GetMe(Arc<Identity>);

impl Endpoint for GetMe {
    type Asks = Read;
    type In = Nothing;
    type Out = Scim<User>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.0/preview/scim/v2/Me", Dialect::Scim, "The caller's own account");

    fn asks(&self, _: &Nothing) -> Result<NameOf<Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Read>, _: Nothing) -> Result<Scim<User>> {
        let id = permit.who().id;
        let me = self.0.principal_of_id(&permit, id).await?;
        let me = me.ok_or_else(|| Problem::not_found("your account is not there any more"))?;
        let groups = self.0.groups_of(&permit, Some(id)).await?;
        Ok(Scim::ok(user(&me, groups.get(&id).map_or(&[], Vec::as_slice))))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

struct ListUsers(Arc<Identity>);

impl Endpoint for ListUsers {
    type Asks = Read;
    type In = ListIn;
    type Out = Scim<ListOut>;
    const ROUTE: Route = Route::new(Method::Get, "/api/2.0/preview/scim/v2/Users", Dialect::Scim, "Lists users");

    fn asks(&self, _: &ListIn) -> Result<NameOf<Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Read>, input: ListIn) -> Result<Scim<ListOut>> {
        let attributes = input.attributes()?;
        let all = self.0.principals(&permit, PrincipalKind::User).await?;
        let groups =
            if attributes.need("groups") { self.0.groups_of(&permit, None).await? } else { Default::default() };
        let users = all.iter().map(|one| user(one, groups.get(&one.id).map_or(&[], Vec::as_slice))).collect();
        Ok(Scim::ok(input.page(&attributes, users)?))
    }

    fn example(_: &Fixture) -> Value {
        json!({ "startIndex": 1, "count": 100, "filter": "userName co \"a\"", "attributes": "id,userName" })
    }
}

struct GetUser(Arc<Identity>);

impl Endpoint for GetUser {
    type Asks = Read;
    type In = IdIn;
    type Out = Scim<User>;
    const ROUTE: Route = Route::new(Method::Get, "/api/2.0/preview/scim/v2/Users/{id}", Dialect::Scim, "Gets a user");

    fn asks(&self, _: &IdIn) -> Result<NameOf<Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Read>, input: IdIn) -> Result<Scim<User>> {
        let found = self.0.principal(&permit, PrincipalKind::User, &input.id).await?;
        let groups = self.0.groups_of(&permit, Some(found.id)).await?;
        Ok(Scim::ok(user(&found, groups.get(&found.id).map_or(&[], Vec::as_slice))))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "id": fixture.user })
    }
}

struct CreateUser(Arc<Identity>);

impl Endpoint for CreateUser {
    type Asks = Administer;
    type In = UserIn;
    type Out = Scim<User>;
    const ROUTE: Route =
        Route::new(Method::Post, "/api/2.0/preview/scim/v2/Users", Dialect::Scim, "Makes a user").answers(MADE);

    fn asks(&self, _: &UserIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: UserIn) -> Result<Scim<User>> {
        let new = NewPrincipal {
            kind: PrincipalKind::User,
            display_name: input.shown(),
            given_name: input.part(|name| &name.given_name),
            family_name: input.part(|name| &name.family_name),
            external_id: input.external_id,
            active: input.active.unwrap_or(true),
            members: Vec::new(),
            groups: ids(&input.groups)?,
            name: Some(input.user_name.ok_or_else(|| Problem::invalid("a user needs a userName"))?),
        };
        let made = self.0.create_principal(&permit, new).await?;
        Ok(Scim::created(answer(&self.0, &permit, &made).await?))
    }

    fn example(_: &Fixture) -> Value {
        json!({ "userName": "user_new@example.com", "displayName": "New User", "active": true })
    }
}

struct ReplaceUser(Arc<Identity>);

impl Endpoint for ReplaceUser {
    type Asks = Administer;
    type In = UserIn;
    type Out = Scim<User>;
    const ROUTE: Route = Route::new(
        Method::Put,
        "/api/2.0/preview/scim/v2/Users/{id}",
        Dialect::Scim,
        "Replaces what is known of a user; the user name stays",
    );

    fn asks(&self, _: &UserIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: UserIn) -> Result<Scim<User>> {
        let changes = Changes {
            display_name: Some(input.shown().unwrap_or_default()),
            given_name: Some(input.part(|name| &name.given_name).unwrap_or_default()),
            family_name: Some(input.part(|name| &name.family_name).unwrap_or_default()),
            active: Some(input.active.unwrap_or(true)),
            external_id: input.external_id,
            ..Changes::default()
        };
        let id = input.id.unwrap_or_default();
        let changed = self.0.change_principal(&permit, PrincipalKind::User, &id, changes).await?;
        Ok(Scim::ok(answer(&self.0, &permit, &changed).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "id": fixture.user, "userName": "ana@example.com", "displayName": "Ana" })
    }
}

struct PatchUser(Arc<Identity>);

impl Endpoint for PatchUser {
    type Asks = Administer;
    type In = PatchIn;
    type Out = Scim<User>;
    const ROUTE: Route =
        Route::new(Method::Patch, "/api/2.0/preview/scim/v2/Users/{id}", Dialect::Scim, "Changes a user");

    fn asks(&self, _: &PatchIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: PatchIn) -> Result<Scim<User>> {
        let changes = input.changes("userName")?;
        let changed = self.0.change_principal(&permit, PrincipalKind::User, &input.id, changes).await?;
        Ok(Scim::ok(answer(&self.0, &permit, &changed).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "id": fixture.user, "Operations": [{ "op": "replace", "path": "displayName", "value": "Ana" }] })
    }
}

struct DeleteUser(Arc<Identity>);

impl Endpoint for DeleteUser {
    type Asks = Administer;
    type In = IdIn;
    type Out = NoContent;
    const ROUTE: Route =
        Route::new(Method::Delete, "/api/2.0/preview/scim/v2/Users/{id}", Dialect::Scim, "Deletes a user");

    fn asks(&self, _: &IdIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: IdIn) -> Result<NoContent> {
        self.0.delete_principal(&permit, PrincipalKind::User, &input.id).await?;
        Ok(NoContent)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "id": fixture.user })
    }
}
