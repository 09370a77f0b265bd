//! `crannog explain`: why somebody may do something, or what is missing.

use serde_json::Value;

use super::{ConnectArgs, Environment, Failure};
use crate::client::escaped;
use crate::output::{self, Column, Format, shown};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    /// About this user, group or service principal instead of yourself.
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// A privilege (SELECT, USE_CATALOG) or an action (tables.select).
    action: String,
    /// metastore, catalog, schema, table, view, volume, model, warehouse, secret_scope or experiment.
    kind: String,
    /// The object's full name; none for the metastore.
    name: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(args: Args, environment: &Environment) -> Result<(), Failure> {
    let metastore = args.kind.eq_ignore_ascii_case("metastore");
    match &args.name {
        None if !metastore => {
            return Err(Failure::new(format!(
                "which {kind}? its full name is missing: crannog explain {} {kind} NAME",
                args.action,
                kind = args.kind
            )));
        }
        Some(name) if metastore => {
            return Err(Failure::new(format!("there is one metastore, and it has no name; leave {name:?} out")));
        }
        _ => {}
    }
    let client = args.connect.connect(environment).client()?;
    let mut path = format!(
        "/api/2.0/crannog/explain?action={}&securable_type={}",
        escaped(&args.action),
        escaped(&args.kind.to_lowercase())
    );
    for (name, value) in [("full_name", &args.name), ("principal", &args.principal)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    let found = client.get(&path).await?;
    let allowed = found.get("allowed").and_then(Value::as_bool).unwrap_or(false);
    match args.output {
        Format::Json => {
            output::say(&serde_json::to_string_pretty(&found).map_err(|error| Failure::new(error.to_string()))?)?;
        }
        Format::Table => {
            output::say(&shown(found.get("text").and_then(Value::as_str).unwrap_or_default()))?;
            for lack in found.get("missing").and_then(Value::as_array).into_iter().flatten() {
                if let Some(grant) = lack.get("grant").and_then(Value::as_str) {
                    output::say(&format!("  {}", shown(grant)))?;
                }
            }
        }
        Format::Csv => {
            let text = found.get("text").and_then(Value::as_str).map(str::to_owned);
            output::rows(
                args.output,
                &[Column::text("allowed"), Column::text("text")],
                &vec![vec![Some(allowed.to_string()), text]],
            )?;
        }
    }
    if allowed { Ok(()) } else { Err(Failure::quiet(1)) }
}
