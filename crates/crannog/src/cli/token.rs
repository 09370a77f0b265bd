//! `crannog token`: create, list, revoke.
//!
//! A new token is printed alone on standard output. `--admin` goes without a server: who can write the data folder's
//! database owns the installation anyway, and this is the way back in when every token is lost.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::group::names;
use super::{ConnectArgs, Environment, Failure};
use crate::client::escaped;
use crate::output::{self, Column, Format};
use crate::server::offline;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Creates a token and prints it alone; it is not shown again.
    Create(Create),
    /// Lists your tokens, or everybody's.
    List(List),
    /// Revokes a token: it is refused at the next request.
    Revoke(Revoke),
}

#[derive(clap::Args)]
struct Create {
    #[command(flatten)]
    connect: ConnectArgs,
    /// For this user instead of yourself (administrators only).
    #[arg(long, value_name = "NAME", conflicts_with = "service_principal")]
    user: Option<String>,
    /// For the service principal of this application id (administrators only).
    #[arg(long, value_name = "APPLICATION_ID")]
    service_principal: Option<String>,
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Seconds until it ends; without it, it does not.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(1..))]
    lifetime: Option<i64>,
    /// For the administrator, written straight into the database of --data; a server may run on it meanwhile.
    #[arg(long, conflicts_with_all = ["user", "service_principal", "comment", "lifetime"])]
    admin: bool,
    /// The data folder of --admin.
    #[arg(long, value_name = "DIR", default_value = "./crannog-data", requires = "admin")]
    data: PathBuf,
    /// The server's configuration file, for --admin with a database of its own.
    #[arg(long, value_name = "FILE", requires = "admin")]
    config: Option<PathBuf>,
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Everybody's (administrators only).
    #[arg(long)]
    all: bool,
    /// How to print them.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

#[derive(clap::Args)]
struct Revoke {
    #[command(flatten)]
    connect: ConnectArgs,
    /// The token's id, as `crannog token list` shows it.
    id: String,
    /// A token of somebody else (administrators only).
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(args: Args, environment: &Environment) -> Result<(), Failure> {
    match args.what {
        What::Create(create) if create.admin => {
            let token = offline::admin_token(&create.data, create.config.as_deref(), environment).await?;
            output::say(token.reveal())
        }
        What::Create(create) => self::create(create, environment).await,
        What::List(list) => self::list(list, environment).await,
        What::Revoke(revoke) => {
            let client = revoke.connect.connect(environment).client()?;
            if revoke.all {
                client.delete(&format!("/api/2.0/token-management/tokens/{}", escaped(&revoke.id))).await?;
            } else {
                client.post("/api/2.0/token/delete", &json!({ "token_id": revoke.id })).await?;
            }
            Ok(())
        }
    }
}

async fn create(args: Create, environment: &Environment) -> Result<(), Failure> {
    let client = args.connect.connect(environment).client()?;
    let mut body = Map::new();
    let own = args.user.is_none() && args.service_principal.is_none();
    for (name, value) in
        [("user_name", args.user), ("application_id", args.service_principal), ("comment", args.comment)]
    {
        if let Some(value) = value {
            body.insert(name.to_owned(), Value::from(value));
        }
    }
    if let Some(seconds) = args.lifetime {
        body.insert("lifetime_seconds".to_owned(), Value::from(seconds));
    }
    let path = if own { "/api/2.0/token/create" } else { "/api/2.0/token-management/on-behalf-of/tokens" };
    let made = client.post(path, &Value::Object(body)).await?;
    match made.get("token_value").and_then(Value::as_str) {
        Some(token) => output::say(token),
        None => Err(Failure::new("the server answered without a token")),
    }
}

async fn list(args: List, environment: &Environment) -> Result<(), Failure> {
    let client = args.connect.connect(environment).client()?;
    let path = if args.all { "/api/2.0/token-management/tokens" } else { "/api/2.0/token/list" };
    let found = client.get(path).await?;
    let mut columns = vec!["token_id", "comment", "creation_time", "expiry_time"];
    let mut owners = BTreeMap::new();
    if args.all {
        // The API has ids of owners; people know each other by name.
        columns.extend(["owner", "created_by_username"]);
        owners = names(&client).await?;
    }
    let rows = found.get("token_infos").and_then(Value::as_array).into_iter().flatten().map(|token| {
        let cell = |name: &&str| match (*name, token.get(*name)) {
            ("creation_time" | "expiry_time", Some(millis)) => match millis.as_i64() {
                Some(-1) | None => None,
                Some(millis) => Some(crannog_types::Micros(millis.saturating_mul(1_000)).to_string()),
            },
            ("owner", _) => {
                let id = match token.get("owner_id") {
                    Some(Value::String(id)) => id.clone(),
                    other => other?.to_string(),
                };
                Some(owners.get(&id).cloned().unwrap_or(id))
            }
            (_, Some(Value::String(text))) => Some(text.clone()),
            (_, Some(Value::Null) | None) => None,
            (_, Some(other)) => Some(other.to_string()),
        };
        columns.iter().map(cell).collect()
    });
    let rows = rows.collect();
    output::rows(args.output, &columns.iter().map(|name| Column::text(name)).collect::<Vec<_>>(), &rows)
}
