//! Addresses of single files, as MLflow's client asks for them: whoever has one may send or fetch this file, for an hour at most,
//! and while who asked for it may.
//!
//! An address is a secret of this process. After a restart it is gone, and the client asks for another.

use std::sync::Arc;

use crannog_governance::api::files::serving::{RANGED, SERVED, received};
use crannog_kit::{
    Addresses, Answer, Body, Cx, Dialect, Endpoint, Fixture, Json, Method, Registry, Reply, ReplyBody, Route,
    StatusCode,
};
use crannog_security::actions::models as actions;
use crannog_security::{Lease, NameOf, Permit, Public};
use crannog_types::{Code, Micros, Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::paths::ModelPath;
use super::serving::{give, version_path};
use crate::Tracking;
use crate::service::registry::{files, versions};

/// What an address is for.
enum Use {
    Send(Permit<actions::CreateVersion>),
    Fetch(Permit<actions::Execute>),
}

/// What an address leads to.
pub(super) struct Place {
    at: ModelPath,
    to: Use,
    /// What it was made by.
    lease: Lease,
}

/// The addresses that are out.
pub(super) type Out = Addresses<Place>;

/// # Errors
/// When the address is none of ours, or too old.
fn find(addresses: &Out, secret: &str, now: Micros) -> Result<Arc<Place>> {
    addresses.find(secret, now).ok_or_else(|| {
        Problem::new(Code::PermissionDenied, "the address is none of ours, or has expired").hint("ask for another one")
    })
}

pub(super) fn endpoints(registry: &mut Registry, tracking: &Tracking, addresses: &Arc<Out>) {
    registry.add(CreateUploadUrl(tracking.clone(), Arc::clone(addresses)));
    registry.add(CreateDownloadUrl(tracking.clone(), Arc::clone(addresses)));
    registry.add(PutAtAddress(tracking.clone(), Arc::clone(addresses)));
    registry.add(GetAtAddress(tracking.clone(), Arc::clone(addresses)));
}

/// Which file.
#[derive(Deserialize, JsonSchema)]
pub(super) struct AddressIn {
    /// `/Models/catalog/schema/model/version/…`
    path: String,
}

/// An address.
#[derive(Serialize, JsonSchema)]
pub(super) struct AddressOut {
    /// A secret.
    url: String,
    headers: Vec<AddressHeader>,
}

/// A header that must come with the request: none.
#[derive(Serialize, JsonSchema)]
pub(super) struct AddressHeader {
    name: String,
    value: String,
}

/// The secret of an address.
#[derive(Deserialize, JsonSchema)]
pub(super) struct SecretIn {
    /// The secret of the address.
    secret: String,
}

impl AddressOut {
    fn of(cx: &Cx, secret: &str) -> Json<Self> {
        Json(AddressOut { url: format!("{}/api/2.0/fs/model-files/{secret}", cx.base_url()), headers: Vec::new() })
    }
}

struct CreateUploadUrl(Tracking, Arc<Out>);

impl Endpoint for CreateUploadUrl {
    type Asks = actions::CreateVersion;
    type In = AddressIn;
    type Out = Json<AddressOut>;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/fs/create-upload-url",
        Dialect::Databricks,
        "Make an address to which a file of a version of a model can be sent.",
    );

    fn asks(&self, input: &AddressIn) -> Result<NameOf<actions::CreateVersion>> {
        Ok(NameOf::named(ModelPath::parse(&input.path)?.model))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::CreateVersion>, input: AddressIn) -> Result<Json<AddressOut>> {
        let (at, now) = (ModelPath::parse(&input.path)?, self.0.db.now());
        versions::vend(&self.0.db, &permit, at.number, "createUploadUrl").await?;
        let lease = Lease::of(cx.caller()?, &permit);
        let owner = permit.who().id;
        Ok(AddressOut::of(cx, &self.1.add(owner, Place { at, to: Use::Send(permit), lease }, now)?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("/Models/{}", version_path(fixture, "2/file_new.txt")) })
    }
}

struct CreateDownloadUrl(Tracking, Arc<Out>);

impl Endpoint for CreateDownloadUrl {
    type Asks = actions::Execute;
    type In = AddressIn;
    type Out = Json<AddressOut>;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.0/fs/create-download-url",
        Dialect::Databricks,
        "Make an address from which a file of a version of a model can be fetched.",
    );

    fn asks(&self, input: &AddressIn) -> Result<NameOf<actions::Execute>> {
        Ok(NameOf::named(ModelPath::parse(&input.path)?.model))
    }

    async fn run(&self, cx: &Cx, permit: Permit<actions::Execute>, input: AddressIn) -> Result<Json<AddressOut>> {
        let (at, now) = (ModelPath::parse(&input.path)?, self.0.db.now());
        files::find(&self.0.artifacts, &permit, at.number, &at.rest).await.map_err(|_| at.missing())?;
        versions::vend(&self.0.db, &permit, at.number, "createDownloadUrl").await?;
        let lease = Lease::of(cx.caller()?, &permit);
        let owner = permit.who().id;
        Ok(AddressOut::of(cx, &self.1.add(owner, Place { at, to: Use::Fetch(permit), lease }, now)?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "path": format!("/Models/{}", version_path(fixture, "1/MLmodel")) })
    }
}

struct PutAtAddress(Tracking, Arc<Out>);

impl Endpoint for PutAtAddress {
    type Asks = Public;
    type In = SecretIn;
    type Out = Reply;
    const ROUTE: Route = Route::new(
        Method::Put,
        "/api/2.0/fs/model-files/{secret}",
        Dialect::Databricks,
        "Take a file of a version of a model, at an address that was made for it.",
    )
    .body(Body::Stream)
    .answers(&[Answer::bare(200, "the file is kept")]);

    fn asks(&self, _: &SecretIn) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), input: SecretIn) -> Result<Reply> {
        let place = find(&self.1, &input.secret, self.0.db.now())?;
        let Use::Send(permit) = &place.to else {
            return Err(Problem::new(Code::PermissionDenied, "files are fetched from this address, not sent to it"));
        };
        cx.writable()?;
        // The address outlives the permit that it was made with.
        place.lease.renew().await?;
        let body = received(cx, place.lease.clone());
        files::put(&self.0.artifacts, permit, &place.lease, place.at.number, &place.at.rest, body).await?;
        Ok(Reply::new(StatusCode::OK, ReplyBody::Empty))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "secret": fixture.text("model_upload") })
    }
}

struct GetAtAddress(Tracking, Arc<Out>);

impl Endpoint for GetAtAddress {
    type Asks = Public;
    type In = SecretIn;
    type Out = Reply;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/fs/model-files/{secret}",
        Dialect::Databricks,
        "Give a file of a version of a model, at an address that was made for it.",
    )
    .answers(SERVED)
    .headers(RANGED);

    fn asks(&self, _: &SecretIn) -> Result<()> {
        Ok(())
    }

    async fn run(&self, cx: &Cx, (): (), input: SecretIn) -> Result<Reply> {
        let place = find(&self.1, &input.secret, self.0.db.now())?;
        let Use::Fetch(permit) = &place.to else {
            return Err(Problem::new(Code::PermissionDenied, "files are sent to this address, not fetched from it"));
        };
        place.lease.renew().await?;
        give(&self.0, cx, permit, place.lease.clone(), &place.at).await
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "secret": fixture.text("model_download") })
    }
}
