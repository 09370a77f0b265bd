//! `crannog status`: whether the server lives and is ready, and who the token belongs to.
//!
//! A probe needs no token: without one the health alone decides. A token that was given and is not accepted is a failure.

use serde_json::{Value, json};

use super::{ConnectArgs, Environment, Failure};
use crate::client::Asked;
use crate::output::{self, Column, Format, shown};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(args: Args, environment: &Environment) -> Result<(), Failure> {
    let client = args.connect.connect(environment).client()?;
    let (live_status, live) = client.look("/livez").await?;
    let (ready_status, ready) = client.look("/readyz").await?;
    let mut accepted = true;
    let who = match client.get("/api/2.0/preview/scim/v2/Me").await {
        Ok(me) => me.get("userName").and_then(Value::as_str).unwrap_or("?").to_owned(),
        Err(Asked::Refused(refused)) if refused.status == 401 => match client.token_from() {
            None => "nobody: no token was given; set CRANNOG_TOKEN or --token".to_owned(),
            Some(from) => {
                accepted = false;
                format!("nobody: the token of {from} is not accepted")
            }
        },
        Err(other) => return Err(other.into()),
    };
    let mut rows = vec![line("address", client.address()), line("you", &who)];
    for (part, answer) in [("live", &live), ("ready", &ready)] {
        rows.push(line(part, answer.get("status").and_then(Value::as_str).unwrap_or("?")));
        for check in answer.get("checks").and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| check.get(name).and_then(Value::as_str).unwrap_or_default();
            if text("status") != "ok" {
                let words = format!("{} {}: {}; {}", text("status"), text("code"), text("message"), text("next_step"));
                rows.push(line(&format!("  {}", text("name")), &words));
            }
        }
    }
    match args.output {
        Format::Json => {
            let whole = json!({ "address": client.address(), "you": who, "live": live, "ready": ready });
            output::say(&serde_json::to_string_pretty(&whole).map_err(|error| Failure::new(error.to_string()))?)?;
        }
        format => output::rows(format, &[Column::text("what"), Column::text("is")], &rows)?,
    }
    if live_status == 200 && ready_status == 200 && accepted { Ok(()) } else { Err(Failure::quiet(1)) }
}

fn line(what: &str, is: &str) -> Vec<Option<String>> {
    vec![Some(what.to_owned()), Some(shown(is))]
}
