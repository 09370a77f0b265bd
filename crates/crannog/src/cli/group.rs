//! `crannog group`: create, list, delete, and who is in them, over SCIM.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde_json::{Value, json};

use super::user::{USERS, all, cells, id_of};
use super::{ConnectArgs, Environment, Failure};
use crate::client::{Client, escaped};
use crate::output::{self, Column, Format, Rows};

const GROUPS: &str = "/api/2.0/preview/scim/v2/Groups";
const SERVICE_PRINCIPALS: &str = "/api/2.0/preview/scim/v2/ServicePrincipals";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Creates a group.
    Create {
        /// Its name.
        name: String,
    },
    /// Adds users, service principals or groups to a group.
    Add {
        /// The group.
        group: String,
        /// Their names.
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Removes users, service principals or groups from a group.
    Remove {
        /// The group.
        group: String,
        /// Their names.
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Lists groups with their members.
    List {
        /// How to print them.
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Deletes a group; its members stay.
    Delete {
        /// Its name.
        name: String,
    },
}

pub(super) async fn run(args: Args, environment: &Environment) -> Result<(), Failure> {
    let client = args.connect.connect(environment).client()?;
    match args.what {
        What::Create { name } => {
            let body = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name });
            client.post(GROUPS, &body).await?;
        }
        What::Add { group, members } => {
            let id = self::group(&client, &group).await?;
            let mut value = Vec::with_capacity(members.len());
            for member in &members {
                value.push(json!({ "value": principal(&client, member).await? }));
            }
            let operation = json!({ "op": "add", "path": "members", "value": value });
            change(&client, &id, vec![operation]).await?;
        }
        What::Remove { group, members } => {
            let id = self::group(&client, &group).await?;
            let mut operations = Vec::with_capacity(members.len());
            for member in &members {
                let path = format!("members[value eq \"{}\"]", principal(&client, member).await?);
                operations.push(json!({ "op": "remove", "path": path }));
            }
            change(&client, &id, operations).await?;
        }
        What::List { output } => {
            // SCIM shows members by their display names; `add`, `remove` and GRANT take these.
            let names = names(&client).await?;
            let rows: Rows = all(&client, GROUPS, None).await?.iter().map(|group| row(group, &names)).collect();
            output::rows(output, &["displayName", "members", "id"].map(Column::text), &rows)?;
        }
        What::Delete { name } => {
            let id = self::group(&client, &name).await?;
            client.delete(&format!("{GROUPS}/{}", escaped(&id))).await?;
        }
    }
    Ok(())
}

/// The names of users and service principals by id.
pub(super) async fn names(client: &Client) -> Result<BTreeMap<String, String>, Failure> {
    let mut names = BTreeMap::new();
    for (path, field) in [(USERS, "userName"), (SERVICE_PRINCIPALS, "applicationId")] {
        for one in all(client, path, None).await? {
            if let [Some(id), Some(name)] = ["id", field].map(|key| one.get(key).and_then(Value::as_str)) {
                names.insert(id.to_owned(), name.to_owned());
            }
        }
    }
    Ok(names)
}

async fn change(client: &Client, id: &str, operations: Vec<Value>) -> Result<(), Failure> {
    let body = json!({ "schemas": [PATCH], "Operations": operations });
    client.patch(&format!("{GROUPS}/{}", escaped(id)), &body).await?;
    Ok(())
}

/// The id of a user, a group or a service principal: names are unique over all of them.
async fn principal(client: &Client, name: &str) -> Result<String, Failure> {
    for (path, field) in [(USERS, "userName"), (GROUPS, "displayName"), (SERVICE_PRINCIPALS, "applicationId")] {
        if let Some(id) = id_of(client, path, field, name).await? {
            return Ok(id);
        }
    }
    Err(Failure::new(format!(
        "there is no user, group or service principal {name:?}; users have their e-mail addresses as names, service \
         principals their application ids"
    )))
}

/// The id of the group with this name.
async fn group(client: &Client, name: &str) -> Result<String, Failure> {
    let found = id_of(client, GROUPS, "displayName", name).await?;
    found.ok_or_else(|| Failure::new(format!("there is no group {name:?}; `crannog group list` shows them")))
}

fn row(group: &Value, names: &BTreeMap<String, String>) -> Vec<Option<String>> {
    let members: Vec<&str> = group
        .get("members")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|member| {
            let text = |key: &str| member.get(key).and_then(Value::as_str);
            text("value")
                .and_then(|id| names.get(id))
                .map(String::as_str)
                .or_else(|| text("display"))
                .or_else(|| text("value"))
        })
        .collect();
    let mut cells = cells(group, &["displayName", "id"]);
    cells.insert(1, Some(members.join(", ")));
    cells
}
