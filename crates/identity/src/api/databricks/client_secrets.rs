//! Client secrets of service principals, for OAuth between machines.

use std::sync::Arc;

use crannog_kit::{Cx, Dialect, Empty, Endpoint, Fixture, Json, Method, Registry, Route};
use crannog_security::actions::metastore::Administer;
use crannog_security::{NameOf, Permit};
use crannog_types::{Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Identity;
use crate::service::clients::ClientSecret;

pub(super) fn endpoints(registry: &mut Registry, identity: &Arc<Identity>) {
    registry.add(CreateClientSecret(Arc::clone(identity)));
    registry.add(ListClientSecrets(Arc::clone(identity)));
    registry.add(DeleteClientSecret(Arc::clone(identity)));
}

/// A client secret; its text only when it is new.
#[derive(Serialize, JsonSchema)]
struct SecretInfo {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    secret_hash: String,
    status: &'static str,
    create_time: String,
    update_time: String,
    expire_time: String,
}

fn shown(secret: ClientSecret, text: Option<String>, now: crannog_types::Micros) -> SecretInfo {
    SecretInfo {
        id: secret.id,
        secret: text,
        secret_hash: secret.hash,
        status: if secret.expires_at > now { "ACTIVE" } else { "EXPIRED" },
        create_time: secret.created_at.to_string(),
        update_time: secret.created_at.to_string(),
        expire_time: secret.expires_at.to_string(),
    }
}

struct CreateClientSecret(Arc<Identity>);

/// A client secret to make.
#[derive(Debug, Deserialize, JsonSchema)]
struct CreateIn {
    /// The decimal id of the service principal.
    service_principal_id: String,
    /// Seconds until it ends, as `3600s`; two years when left out.
    lifetime: Option<String>,
}

impl Endpoint for CreateClientSecret {
    type Asks = Administer;
    type In = CreateIn;
    type Out = Json<SecretInfo>;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/accounts/servicePrincipals/{service_principal_id}/credentials/secrets",
        Dialect::Databricks,
        "Makes a client secret of a service principal",
    );

    fn asks(&self, _: &CreateIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: CreateIn) -> Result<Json<SecretInfo>> {
        let seconds = |text: &str| {
            let digits = text.strip_suffix('s').unwrap_or(text);
            digits.parse().map_err(|_| Problem::invalid(format!("lifetime is {text:?}, not of the form 3600s")))
        };
        let lifetime = input.lifetime.as_deref().map(seconds).transpose()?;
        let (secret, made) = self.0.create_client_secret(&permit, &input.service_principal_id, lifetime).await?;
        Ok(Json(shown(made, Some(secret.reveal().to_owned()), self.0.now())))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "service_principal_id": fixture.more.get("service_principal"), "lifetime": "3600s" })
    }
}

struct ListClientSecrets(Arc<Identity>);

/// Whose client secrets.
#[derive(Debug, Deserialize, JsonSchema)]
struct ListIn {
    /// The decimal id of the service principal.
    service_principal_id: String,
}

/// Client secrets.
#[derive(Serialize, JsonSchema)]
struct ListOut {
    secrets: Vec<SecretInfo>,
}

impl Endpoint for ListClientSecrets {
    type Asks = Administer;
    type In = ListIn;
    type Out = Json<ListOut>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/accounts/servicePrincipals/{service_principal_id}/credentials/secrets",
        Dialect::Databricks,
        "Lists the client secrets of a service principal",
    );

    fn asks(&self, _: &ListIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: ListIn) -> Result<Json<ListOut>> {
        let secrets = self.0.client_secrets(&permit, &input.service_principal_id).await?;
        let now = self.0.now();
        Ok(Json(ListOut { secrets: secrets.into_iter().map(|secret| shown(secret, None, now)).collect() }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "service_principal_id": fixture.more.get("service_principal") })
    }
}

struct DeleteClientSecret(Arc<Identity>);

/// A client secret to delete.
#[derive(Debug, Deserialize, JsonSchema)]
struct DeleteIn {
    /// The decimal id of the service principal.
    service_principal_id: String,
    /// The secret's id.
    secret_id: String,
}

impl Endpoint for DeleteClientSecret {
    type Asks = Administer;
    type In = DeleteIn;
    type Out = Empty;
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/api/2.0/accounts/servicePrincipals/{service_principal_id}/credentials/secrets/{secret_id}",
        Dialect::Databricks,
        "Deletes a client secret of a service principal",
    );

    fn asks(&self, _: &DeleteIn) -> Result<NameOf<Administer>> {
        Ok(NameOf::root())
    }

    async fn run(&self, _: &Cx, permit: Permit<Administer>, input: DeleteIn) -> Result<Empty> {
        self.0.delete_client_secret(&permit, &input.service_principal_id, &input.secret_id).await?;
        Ok(Empty)
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "service_principal_id": fixture.more.get("service_principal"),
            "secret_id": fixture.more.get("client_secret"),
        })
    }
}
