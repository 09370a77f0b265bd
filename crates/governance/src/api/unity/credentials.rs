//! `/temporary-*-credentials`
//!
//! Clients write `/api/2.0` or `/api/2.1`, as they please. Spark and deltalake ask for READ_WRITE first and for READ when
//! that is refused: a 403 here is everyday life.

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Json, Method, Route};
use crannog_security::actions::{metastore, tables, volumes};
use crannog_security::{Either, Kind, NameOf, Permit};
use crannog_storage::{Location, StorageError};
use crannog_types::{Code, Problem, Result, SecurableId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Governance;
use crate::service::locations::owner_of_path;
use crate::service::vending::{self, Vended};

/// What is handed out: where, until when, and no cloud's credential for a place on this machine.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TemporaryCredentials {
    url: String,
    /// Until when it is good, in milliseconds since 1970.
    expiration_time: i64,
    aws_temp_credentials: Option<String>,
    azure_aad: Option<String>,
    azure_user_delegation_sas: Option<String>,
    gcp_oauth_token: Option<String>,
    r2_temp_credentials: Option<String>,
}

impl From<Vended> for TemporaryCredentials {
    fn from(vended: Vended) -> Self {
        TemporaryCredentials {
            url: vended.url,
            expiration_time: vended.expires_at.millis(),
            aws_temp_credentials: None,
            azure_aad: None,
            azure_user_delegation_sas: None,
            gcp_oauth_token: None,
            r2_temp_credentials: None,
        }
    }
}

fn id(what: &str, text: &str) -> Result<SecurableId> {
    text.parse().map_err(|_| {
        Problem::invalid(format!("{what} is {text:?}, which is no id")).hint(format!("GET the object for its {what}"))
    })
}

fn unknown(operation: &str, known: &str) -> Problem {
    Problem::invalid(format!("operation is {operation:?}")).hint(format!("use {known}"))
}

/// Hands out access to a table's files.
pub(crate) struct GenerateTemporaryTableCredential(pub(super) Governance);

/// Which table, and what for.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TableCredentialIn {
    /// `table_id` of the table's answer.
    table_id: String,
    /// `READ`, the default, or `READ_WRITE`.
    operation: Option<String>,
}

impl Endpoint for GenerateTemporaryTableCredential {
    type Asks = Either<tables::Select, tables::ReadWriteFiles>;
    type In = TableCredentialIn;
    type Out = Json<TemporaryCredentials>;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.1/unity-catalog/temporary-table-credentials",
        Dialect::Unity,
        "Hand out access to a table's files.",
    )
    .also(&["/api/2.0/unity-catalog/temporary-table-credentials"]);

    fn asks(
        &self,
        input: &TableCredentialIn,
    ) -> Result<Either<NameOf<tables::Select>, NameOf<tables::ReadWriteFiles>>> {
        let table = id("table_id", &input.table_id)?;
        match input.operation.as_deref().unwrap_or("READ") {
            "READ" => Ok(Either::Left(NameOf::id(table))),
            "READ_WRITE" => Ok(Either::Right(NameOf::id(table))),
            other => Err(unknown(other, "READ or READ_WRITE")),
        }
    }

    async fn run(
        &self,
        _: &Cx,
        permit: Either<Permit<tables::Select>, Permit<tables::ReadWriteFiles>>,
        _: TableCredentialIn,
    ) -> Result<Json<TemporaryCredentials>> {
        let vended = match &permit {
            Either::Left(permit) => vending::table(&self.0.db, permit, "READ").await?,
            Either::Right(permit) => vending::table(&self.0.db, permit, "READ_WRITE").await?,
        };
        Ok(Json(vended.into()))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "table_id": fixture.table_id, "operation": "READ" })
    }
}

/// Hands out access to a volume's files.
pub(crate) struct GenerateTemporaryVolumeCredential(pub(super) Governance);

/// Which volume, and what for.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct VolumeCredentialIn {
    /// `volume_id` of the volume's answer.
    volume_id: String,
    /// `READ_VOLUME`, the default, or `WRITE_VOLUME`.
    operation: Option<String>,
}

impl Endpoint for GenerateTemporaryVolumeCredential {
    type Asks = Either<volumes::Read, volumes::Write>;
    type In = VolumeCredentialIn;
    type Out = Json<TemporaryCredentials>;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.1/unity-catalog/temporary-volume-credentials",
        Dialect::Unity,
        "Hand out access to a volume's files.",
    )
    .also(&["/api/2.0/unity-catalog/temporary-volume-credentials"]);

    fn asks(&self, input: &VolumeCredentialIn) -> Result<Either<NameOf<volumes::Read>, NameOf<volumes::Write>>> {
        let volume = id("volume_id", &input.volume_id)?;
        match input.operation.as_deref().unwrap_or("READ_VOLUME") {
            "READ_VOLUME" => Ok(Either::Left(NameOf::id(volume))),
            "WRITE_VOLUME" => Ok(Either::Right(NameOf::id(volume))),
            other => Err(unknown(other, "READ_VOLUME or WRITE_VOLUME")),
        }
    }

    async fn run(
        &self,
        _: &Cx,
        permit: Either<Permit<volumes::Read>, Permit<volumes::Write>>,
        _: VolumeCredentialIn,
    ) -> Result<Json<TemporaryCredentials>> {
        let vended = match &permit {
            Either::Left(permit) => vending::volume(&self.0.db, permit, "READ_VOLUME").await?,
            Either::Right(permit) => vending::volume(&self.0.db, permit, "WRITE_VOLUME").await?,
        };
        Ok(Json(vended.into()))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "volume_id": fixture.volume_id, "operation": "READ_VOLUME" })
    }
}

/// Hands out access to a path, which is some table's or volume's.
pub(crate) struct GenerateTemporaryPathCredential(pub(super) Governance);

/// Which path, and what for.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct PathCredentialIn {
    /// `file:///…`: the location of a table or a volume, or a place under it.
    url: String,
    /// `PATH_READ`, the default, `PATH_READ_WRITE` or `PATH_CREATE_TABLE`.
    operation: Option<String>,
}

impl Endpoint for GenerateTemporaryPathCredential {
    // Whose the path is has to be looked up before it is known what to ask: `run` asks for it.
    type Asks = metastore::Work;
    type In = PathCredentialIn;
    type Out = Json<TemporaryCredentials>;
    const ROUTE: Route = Route::new(
        Method::Post,
        "/api/2.1/unity-catalog/temporary-path-credentials",
        Dialect::Unity,
        "Hand out access to a path that belongs to a table or a volume.",
    )
    .also(&["/api/2.0/unity-catalog/temporary-path-credentials"]);

    fn asks(&self, _: &PathCredentialIn) -> Result<NameOf<metastore::Work>> {
        Ok(NameOf::root())
    }

    async fn run(
        &self,
        cx: &Cx,
        permit: Permit<metastore::Work>,
        input: PathCredentialIn,
    ) -> Result<Json<TemporaryCredentials>> {
        let writes = match input.operation.as_deref().unwrap_or("PATH_READ") {
            "PATH_READ" => false,
            "PATH_READ_WRITE" | "PATH_CREATE_TABLE" => true,
            other => return Err(unknown(other, "PATH_READ, PATH_READ_WRITE or PATH_CREATE_TABLE")),
        };
        let location = Location::parse(&input.url).map_err(|error| match error {
            // A place of a kind that is not kept here is certainly nobody's.
            StorageError::Scheme { .. } => nobodys(&input.url),
            other => other.into(),
        })?;
        let (db, caller) = (&self.0.db, cx.caller()?);
        let owner = owner_of_path(db, &permit, &location).await?;
        let kind = match owner {
            Some(owner) => vending::kind_of(db, &permit, owner).await?,
            None => None,
        };
        let vended = match (owner, kind, writes) {
            (Some(owner), Some(Kind::Table), false) => {
                let permit = caller.ask::<tables::Select>(NameOf::id(owner)).await;
                vending::table(db, &hidden(permit, &input.url)?, "PATH_READ").await?
            }
            (Some(owner), Some(Kind::Table), true) => {
                let permit = caller.ask::<tables::ReadWriteFiles>(NameOf::id(owner)).await;
                vending::table(db, &hidden(permit, &input.url)?, "PATH_READ_WRITE").await?
            }
            (Some(owner), Some(Kind::Volume), false) => {
                let permit = caller.ask::<volumes::Read>(NameOf::id(owner)).await;
                vending::volume(db, &hidden(permit, &input.url)?, "PATH_READ").await?
            }
            (Some(owner), Some(Kind::Volume), true) => {
                let permit = caller.ask::<volumes::Write>(NameOf::id(owner)).await;
                vending::volume(db, &hidden(permit, &input.url)?, "PATH_READ_WRITE").await?
            }
            _ => return Err(nobodys(&input.url)),
        };
        Ok(Json(TemporaryCredentials { url: location.to_string(), ..vended.into() }))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({ "url": fixture.more.get("volume_url").cloned().unwrap_or_default(), "operation": "PATH_READ" })
    }
}

/// A path of what the caller may not see answers like one that is nobody's.
fn hidden<T>(asked: Result<T>, path: &str) -> Result<T> {
    asked.map_err(|problem| if problem.code() == Code::NotFound { nobodys(path) } else { problem })
}

fn nobodys(path: &str) -> Problem {
    Problem::not_found(format!("the path {path:?} belongs to no table or volume that you may see"))
        .hint("register it as an external table or volume first; an administrator can")
}
