//! `crannog sql`: statements from -e, a file, standard input, or a person at a terminal.
//!
//! A script is cut at its semicolons by the server's own grammar. Each statement goes through the Statement Execution API.

mod prompt;
mod statement;

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use crannog_lake::grammar;
use serde_json::Value;

use self::statement::{Outcome, Session};
use super::{ConnectArgs, Environment, Failure};
use crate::client::Client;
use crate::output::{self, Format};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Runs this instead of asking; several statements are separated by semicolons.
    #[arg(short = 'e', long = "execute", value_name = "SQL", conflicts_with = "file")]
    execute: Vec<String>,
    /// Runs the statements of a file; - is standard input.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The warehouse, by name or id.
    #[arg(long, value_name = "NAME", default_value = "default")]
    warehouse: String,
    /// The current catalog.
    #[arg(long, value_name = "NAME")]
    catalog: Option<String>,
    /// The current schema.
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// How to print rows.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(args: Args, environment: &Environment) -> Result<(), Failure> {
    let client = args.connect.connect(environment).client()?;
    let warehouse = warehouse(&client, &args.warehouse).await?;
    let mut session = Session::new(client, warehouse, args.catalog, args.schema)?;
    let mut source = None;
    let script = if !args.execute.is_empty() {
        args.execute.join(";\n")
    } else {
        source = Some(match args.file.as_deref() {
            Some(file) if file.as_os_str() != "-" => file.display().to_string(),
            _ => "standard input".to_owned(),
        });
        match args.file.as_deref() {
            Some(file) if file.as_os_str() != "-" => {
                std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?
            }
            None if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() => {
                return prompt::run(&mut session, args.output, environment).await;
            }
            _ => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
                text
            }
        }
    };
    let statements = grammar::split(&script);
    if statements.is_empty() {
        return Err(Failure::new("there is no statement to run"));
    }
    for (number, (range, text)) in statements.iter().enumerate() {
        one(&mut session, text, args.output).await.map_err(|failure| {
            let line = script.get(..range.start).unwrap_or_default().matches('\n').count() + 1;
            located(failure, source.as_deref(), line, number + 1, statements.len())
        })?;
    }
    Ok(())
}

/// A file that cannot be read; what looks like a statement is no name of a file.
fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    let name = file.to_string_lossy();
    let step = if name.contains(char::is_whitespace) {
        "; a statement goes behind -e: crannog sql -e \"SELECT 1\""
    } else {
        ""
    };
    Failure::new(format!("{name} cannot be read: {error}{step}"))
}

/// A failure with the place of its statement in a script of several: the server counts lines from the statement's start.
fn located(failure: Failure, source: Option<&str>, line: usize, number: usize, of: usize) -> Failure {
    match source {
        _ if failure.is_quiet() || of == 1 => failure,
        Some(source) => {
            Failure::new(format!("{source}, statement {number} of {of}, which begins in line {line}: {failure}"))
        }
        None => Failure::new(format!("statement {number} of {of}: {failure}")),
    }
}

/// Runs one statement and prints what it gave: its rows are counted, if it gives rows. A failure is told by the caller.
async fn one(session: &mut Session, text: &str, format: Format) -> Result<Option<usize>, Failure> {
    match session.run(text).await? {
        Outcome::Rows { columns, rows } => {
            if columns.is_empty() {
                return Ok(None);
            }
            output::rows(format, &columns, &rows)?;
            Ok(Some(rows.len()))
        }
        Outcome::Failed(message) => Err(Failure::new(message)),
        Outcome::Interrupted => Err(Failure::quiet(130)),
    }
}

async fn warehouse(client: &Client, wanted: &str) -> Result<String, Failure> {
    let found = client.get("/api/2.0/sql/warehouses").await?;
    let list = found.get("warehouses").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |warehouse: &Value, field: &str| warehouse.get(field).and_then(Value::as_str).map(str::to_owned);
    let matching =
        list.iter().find(|one| ["name", "id"].iter().any(|field| text(one, field).as_deref() == Some(wanted)));
    matching.and_then(|one| text(one, "id")).ok_or_else(|| {
        let names: Vec<String> = list.iter().filter_map(|one| text(one, "name")).collect();
        Failure::new(match names.is_empty() {
            true => "there is no warehouse that you may use; an administrator can grant CAN_USE on one".to_owned(),
            false => format!("there is no warehouse {wanted:?}; --warehouse takes one of: {}", names.join(", ")),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_in_a_script_says_where() {
        let said = |source, of| located(Failure::new("no"), source, 7, 2, of).to_string();
        assert_eq!(said(Some("a.sql"), 3), "a.sql, statement 2 of 3, which begins in line 7: no");
        assert_eq!(said(None, 3), "statement 2 of 3: no");
        assert_eq!(said(Some("a.sql"), 1), "no");
        assert_eq!(located(Failure::quiet(130), None, 1, 1, 2).code(), 130);
    }
}
