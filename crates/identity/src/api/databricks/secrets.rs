//! Secret scopes and secrets.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Nothing, Registry, Route};
use crannog_security::actions::metastore::Work;
use crannog_security::actions::secret_scopes::{Manage, Read, Write};
use crannog_security::{List, NameOf, Permit, ScopeOf, Visible};
use crannog_types::{Code, FullName, Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Identity;

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(CreateScope(Arc::clone(identity)));
    registry.add(DeleteScope(Arc::clone(identity)));
    registry.add(ListScopes(Arc::clone(identity)));
    registry.add(PutSecret(Arc::clone(identity)));
    registry.add(GetSecret(Arc::clone(identity)));
    registry.add(ListSecrets(Arc::clone(identity)));
    registry.add(DeleteSecret(Arc::clone(identity)));
}

pub(super) fn scope_name(name: &str) -> FullName {
    FullName::of([name])
}

struct CreateScope(Arc<Identity>);

/// A scope to make.
#[derive(Debug, Deserialize, JsonSchema)]
struct CreateScopeIn {
    /// Its name.
    scope: String,
    /// `users`: everybody may manage it.
    initial_manage_principal: Option<String>,
    /// `DATABRICKS`: nothing else is there.
    scope_backend_type: Option<String>,
}

impl Endpoint for CreateScope {
    type Asks = Work;
    type In = CreateScopeIn;
    type Out = Empty;
    const ROUTE: Route =
        Route::new(Method::Post, "/api/2.0/secrets/scopes/create", Dialect::Databricks, "Makes a secret scope");

    fn asks(&self, _: &CreateScopeIn) -> Result<NameOf<Work>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Work>, input: CreateScopeIn) -> Result<Empty> {
        if input.scope_backend_type.as_deref().is_some_and(|backend| !backend.eq_ignore_ascii_case("databricks")) {
            return Err(Problem::new(Code::Unimplemented, "secret scopes are kept in this server alone")
                .hint("leave scope_backend_type out"));
        }
        let everybody = match input.initial_manage_principal.as_deref() {
            None | Some("") => false,
            Some("users" | "account users") => true,
            Some(other) => {
                return Err(Problem::invalid(format!("initial_manage_principal is {other:?}, not users"))
                    .hint("make the scope, then put an ACL"));
            }
        };
        self.0.create_scope(&permit, &input.scope, everybody).await?;
        Ok(Empty)
    }

    fn example(_: &Fixture) -> Value {
        json!({ "scope": "scope_new" })
    }
}

/// One scope.
#[derive(Debug, Deserialize, JsonSchema)]
struct ScopeIn {
    /// Its name.
    scope: String,
}

struct DeleteScope(Arc<Identity>);

impl Endpoint for DeleteScope {
    type Asks = Manage;
    type In = ScopeIn;
    type Out = Empty;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/secrets/scopes/delete",
        Dialect::Databricks,
        "Deletes a secret scope with its secrets",
    );

    fn asks(&self, input: &ScopeIn) -> Result<NameOf<Manage>> {
        Ok(NameOf::named(scope_name(&input.scope)))
    }

    async fn run(&self, _: &Cx, permit: Permit<Manage>, _: ScopeIn) -> Result<Empty> {
        self.0.delete_scope(&permit).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "scope": fixture.scope })
    }
}

struct ListScopes(Arc<Identity>);

/// A scope.
#[derive(Debug, Serialize, JsonSchema)]
struct ScopeInfo {
    name: String,
    backend_type: &'static str,
}

/// Scopes.
#[derive(Debug, Serialize, JsonSchema)]
struct ListScopesOut {
    scopes: Vec<ScopeInfo>,
}

impl Endpoint for ListScopes {
    type Asks = List<Read>;
    type In = Nothing;
    type Out = Json<ListScopesOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/secrets/scopes/list",
        Dialect::Databricks,
        "Lists the secret scopes that the caller may use",
    );

    fn asks(&self, _: &Nothing) -> Result<ScopeOf<Read>> {
        Ok(ScopeOf::root())
    }

    async fn run(&self, _: &Cx, visible: Visible<Read>, _: Nothing) -> Result<Json<ListScopesOut>> {
        let names = self.0.scopes(&visible).await?;
        let scopes = names.into_iter().map(|name| ScopeInfo { name, backend_type: "DATABRICKS" }).collect();
        Ok(Json(ListScopesOut { scopes }))
    }

    fn example(_: &Fixture) -> Value {
        json!({})
    }
}

struct PutSecret(Arc<Identity>);

/// A value to store.
#[derive(Deserialize, JsonSchema)]
struct PutSecretIn {
    /// The scope's name.
    scope: String,
    /// The secret's key.
    key: String,
    /// The value as text.
    string_value: Option<String>,
    /// The value as base64.
    bytes_value: Option<String>,
}

impl Endpoint for PutSecret {
    type Asks = Write;
    type In = PutSecretIn;
    type Out = Empty;
    const ROUTE: Route = Route::new(Method::Post, "/api/2.0/secrets/put", Dialect::Databricks, "Stores a secret");

    fn asks(&self, input: &PutSecretIn) -> Result<NameOf<Write>> {
        Ok(NameOf::named(scope_name(&input.scope)))
    }

    async fn run(&self, _: &Cx, permit: Permit<Write>, input: PutSecretIn) -> Result<Empty> {
        let value = match (input.string_value, input.bytes_value) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(encoded)) => {
                STANDARD.decode(encoded).map_err(|_| Problem::invalid("bytes_value is not base64"))?
            }
            _ => return Err(Problem::invalid("give either string_value or bytes_value").reason("MALFORMED_REQUEST")),
        };
        let value = zeroize::Zeroizing::new(value);
        self.0.put_secret(&permit, &input.key, &value).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "scope": fixture.scope, "key": "key_new", "string_value": "value" })
    }
}

/// One secret.
#[derive(Debug, Deserialize, JsonSchema)]
struct SecretIn {
    /// The scope's name.
    scope: String,
    /// The secret's key.
    key: String,
}

struct GetSecret(Arc<Identity>);

/// A value.
#[derive(Serialize, JsonSchema)]
struct GetSecretOut {
    key: String,
    /// In base64.
    value: String,
}

impl Endpoint for GetSecret {
    type Asks = Read;
    type In = SecretIn;
    type Out = Json<GetSecretOut>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.0/secrets/get", Dialect::Databricks, "Gets the value of a secret in base64");

    fn asks(&self, input: &SecretIn) -> Result<NameOf<Read>> {
        Ok(NameOf::named(scope_name(&input.scope)))
    }

    async fn run(&self, _: &Cx, permit: Permit<Read>, input: SecretIn) -> Result<Json<GetSecretOut>> {
        let (key, value) = self.0.secret(&permit, &input.key).await?;
        Ok(Json(GetSecretOut { key, value: STANDARD.encode(&*value) }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "scope": fixture.scope, "key": fixture.more.get("secret_key") })
    }
}

struct ListSecrets(Arc<Identity>);

/// A secret without its value.
#[derive(Debug, Serialize, JsonSchema)]
struct SecretMetadata {
    key: String,
    /// Milliseconds since the epoch.
    last_updated_timestamp: i64,
}

/// Secrets of a scope.
#[derive(Debug, Serialize, JsonSchema)]
struct ListSecretsOut {
    secrets: Vec<SecretMetadata>,
}

impl Endpoint for ListSecrets {
    type Asks = Read;
    type In = ScopeIn;
    type Out = Json<ListSecretsOut>;
    const ROUTE: Route =
        Route::new(Method::Get, "/api/2.0/secrets/list", Dialect::Databricks, "Lists the keys of a secret scope");

    fn asks(&self, input: &ScopeIn) -> Result<NameOf<Read>> {
        Ok(NameOf::named(scope_name(&input.scope)))
    }

    async fn run(&self, _: &Cx, permit: Permit<Read>, _: ScopeIn) -> Result<Json<ListSecretsOut>> {
        let secrets = self.0.secrets(&permit).await?.into_iter();
        let secrets = secrets
            .map(|secret| SecretMetadata { key: secret.key, last_updated_timestamp: secret.updated_at.millis() });
        Ok(Json(ListSecretsOut { secrets: secrets.collect() }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "scope": fixture.scope })
    }
}

struct DeleteSecret(Arc<Identity>);

impl Endpoint for DeleteSecret {
    type Asks = Write;
    type In = SecretIn;
    type Out = Empty;
    const ROUTE: Route = Route::new(Method::Post, "/api/2.0/secrets/delete", Dialect::Databricks, "Deletes a secret");

    fn asks(&self, input: &SecretIn) -> Result<NameOf<Write>> {
        Ok(NameOf::named(scope_name(&input.scope)))
    }

    async fn run(&self, _: &Cx, permit: Permit<Write>, input: SecretIn) -> Result<Empty> {
        self.0.delete_secret(&permit, &input.key).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "scope": fixture.scope, "key": fixture.more.get("secret_key") })
    }
}
