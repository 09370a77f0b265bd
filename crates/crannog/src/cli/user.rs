//! `crannog user`: create, list, delete, over SCIM; and the link with which somebody sets their password.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{ConnectArgs, Environment, Failure};
use crate::client::{Client, escaped};
use crate::output::{self, Column, Format, Rows};

pub(super) const USERS: &str = "/api/2.0/preview/scim/v2/Users";

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Creates a user; `crannog user setup-link NAME` lets them sign in, `crannog token create --user NAME` gives them a token.
    Create {
        /// Their user name: an e-mail address.
        name: String,
        /// The name that people read.
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
    },
    /// Prints a one-time link with which a user sets their password, within a week, and gets a first token (administrators only).
    SetupLink {
        /// Their user name.
        name: String,
    },
    /// Lists users.
    List {
        /// How to print them.
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Deletes a user; their tokens end at once.
    Delete {
        /// Their user name.
        name: String,
    },
}

pub(super) async fn run(args: Args, environment: &Environment) -> Result<(), Failure> {
    let client = args.connect.connect(environment).client()?;
    match args.what {
        What::Create { name, display_name } => {
            let mut body = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name });
            if let (Some(display), Some(body)) = (display_name, body.as_object_mut()) {
                body.insert("displayName".to_owned(), Value::from(display));
            }
            client.post(USERS, &body).await?;
            Ok(())
        }
        What::SetupLink { name } => {
            let made = client.post("/api/2.0/crannog/setup-links", &json!({ "user_name": name })).await?;
            match made.get("setup_url").and_then(Value::as_str) {
                Some(link) => output::say(link),
                None => Err(Failure::new("the server answered without a link")),
            }
        }
        What::List { output } => {
            let rows: Rows = all(&client, USERS, None).await?.iter().map(|user| cells(user, &USER)).collect();
            output::rows(output, &USER.map(Column::text), &rows)
        }
        What::Delete { name } => {
            let id = user(&client, &name).await?;
            client.delete(&format!("{USERS}/{}", escaped(&id))).await?;
            Ok(())
        }
    }
}

const USER: [&str; 4] = ["userName", "displayName", "active", "id"];

/// Texts of a resource's fields.
pub(super) fn cells(resource: &Value, fields: &[&str]) -> Vec<Option<String>> {
    let cell = |field: &&str| match resource.get(*field) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Null) | None => None,
        Some(other) => Some(other.to_string()),
    };
    fields.iter().map(cell).collect()
}

/// Every resource, page by page.
pub(super) async fn all(client: &Client, path: &str, filter: Option<&str>) -> Result<Vec<Value>, Failure> {
    let mut found: Vec<Value> = Vec::new();
    loop {
        let filter = filter.map(|filter| format!("&filter={}", escaped(filter))).unwrap_or_default();
        let page = client.get(&format!("{path}?startIndex={}&count=100{filter}", found.len() + 1)).await?;
        let total = page.get("totalResults").and_then(Value::as_u64).unwrap_or(0);
        let resources = page.get("Resources").and_then(Value::as_array).cloned().unwrap_or_default();
        let came = resources.len();
        found.extend(resources);
        if came == 0 || found.len() as u64 >= total {
            return Ok(found);
        }
    }
}

/// The id of the user with this name.
async fn user(client: &Client, name: &str) -> Result<String, Failure> {
    let found = id_of(client, USERS, "userName", name).await?;
    found.ok_or_else(|| Failure::new(format!("there is no user {name:?}; `crannog user list` shows them")))
}

/// The id of the one resource with this name; `None`: there is none.
pub(super) async fn id_of(client: &Client, path: &str, field: &str, name: &str) -> Result<Option<String>, Failure> {
    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
    let found = all(client, path, Some(&format!("{field} eq \"{quoted}\""))).await?;
    Ok(found.first().and_then(|one| one.get("id")).and_then(Value::as_str).map(str::to_owned))
}
