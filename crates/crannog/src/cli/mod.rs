//! The command line: one file for each command, named like it.
//!
//! Answers go to standard output, everything else to standard error, so that `TOKEN=$(crannog token create …)` works. A
//! failed command exits with 1, a command line that cannot be read with 2, an interrupted statement with 130.

mod endpoints;
mod explain;
mod files;
mod group;
mod import;
mod purge;
mod sql;
mod status;
mod token;
mod trust;
mod ui;
pub(crate) mod up;
mod user;
mod version;

use std::collections::BTreeMap;

use clap::{Parser, Subcommand};
use crannog_types::Problem;
use thiserror::Error;

pub(crate) use self::trust::quoted;
pub(crate) use self::up::configuration;
use crate::client::Connect;

/// Why a command failed.
#[derive(Debug, Error)]
#[error("{message}")]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// With what failed and the next step.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure { message: message.into(), code: 1 }
    }

    /// Nothing is left to say.
    pub(crate) fn quiet(code: u8) -> Self {
        Failure { message: String::new(), code }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.message.is_empty()
    }

    /// The process's exit code.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem.next_step() {
            Some(hint) => Failure::new(format!("{}; {hint}", problem.chain())),
            None => Failure::new(problem.chain()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // Whoever reads our output has gone, as `crannog sql … | head` does: no reason to complain.
        if error.kind() == std::io::ErrorKind::BrokenPipe { Failure::quiet(0) } else { Failure::new(error.to_string()) }
    }
}

/// What a command is given besides its arguments.
pub(crate) type Environment = BTreeMap<String, String>;

/// A governed catalog, Delta tables and SQL in one program.
#[derive(Parser)]
#[command(name = "crannog", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the server; the first start makes everything that it needs.
    Up(up::Args),
    /// Says whether a server lives and is ready, and who you are to it.
    Status(status::Args),
    /// Runs SQL: interactively, from -e, a file, or standard input.
    Sql(sql::Args),
    /// Creates, lists and revokes access tokens.
    Token(token::Args),
    /// Creates, lists and deletes users.
    User(user::Args),
    /// Creates, lists and deletes groups, and changes their members.
    Group(group::Args),
    /// Uploads, downloads, lists and deletes files of volumes.
    Files(files::Args),
    /// Brings what another tracker has to a running server, with its ids.
    Import(import::Args),
    /// Deletes runs of experiments for good, with all that they logged.
    Purge(purge::Args),
    /// Says why somebody may do something, or which grant is missing.
    Explain(explain::Args),
    /// Lists the routes that the server answers and what each asks for.
    Endpoints(endpoints::Args),
    /// Writes a bundle of certificates that clients trust this server by, and says how to set it.
    Trust(trust::Args),
    /// Adds, lists and removes the pages of others that the server shows: MLflow's own.
    Ui(ui::Args),
    /// Prints the version.
    Version,
}

/// Reads the command line and does it.
pub(crate) async fn run(environment: Environment) -> Result<(), Failure> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _ = error.print();
            return if code == 0 { Ok(()) } else { Err(Failure::quiet(code)) };
        }
    };
    match cli.command {
        Command::Up(args) => up::run(args, &environment).await,
        Command::Status(args) => status::run(args, &environment).await,
        Command::Sql(args) => sql::run(args, &environment).await,
        Command::Token(args) => token::run(args, &environment).await,
        Command::User(args) => user::run(args, &environment).await,
        Command::Group(args) => group::run(args, &environment).await,
        Command::Files(args) => files::run(args, &environment).await,
        Command::Import(args) => import::run(args, &environment).await,
        Command::Purge(args) => purge::run(args, &environment).await,
        Command::Explain(args) => explain::run(args, &environment).await,
        Command::Endpoints(args) => endpoints::run(&args),
        Command::Trust(args) => trust::run(args, &environment),
        Command::Ui(args) => ui::run(args).await,
        Command::Version => version::run(),
    }
}

/// Where a server is and who asks, for every command that talks to one.
#[derive(clap::Args)]
pub(crate) struct ConnectArgs {
    /// The server's address [env: CRANNOG_HOST or DATABRICKS_HOST] [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    host: Option<String>,
    /// An access token [env: CRANNOG_TOKEN or DATABRICKS_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// A file of certificates to trust besides the system's [env: CRANNOG_CA_FILE]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<std::path::PathBuf>,
}

impl ConnectArgs {
    pub(crate) fn connect(self, environment: &Environment) -> Connect {
        // An empty variable is one that is not set.
        let set = |name: &'static str| Some((environment.get(name).filter(|value| !value.is_empty())?.clone(), name));
        let first = |names: [&'static str; 2]| names.into_iter().find_map(set);
        Connect {
            host: self.host.or_else(|| Some(first(["CRANNOG_HOST", "DATABRICKS_HOST"])?.0)),
            token: self.token.map(|token| (token, "--token")).or_else(|| first(["CRANNOG_TOKEN", "DATABRICKS_TOKEN"])),
            ca_file: self.ca_file.or_else(|| Some(set("CRANNOG_CA_FILE")?.0.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn an_empty_variable_is_no_variable() {
        let environment = [("CRANNOG_TOKEN", ""), ("DATABRICKS_TOKEN", "t"), ("CRANNOG_CA_FILE", "")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let connect = super::ConnectArgs { host: None, token: None, ca_file: None }.connect(&environment);
        assert_eq!(connect.token, Some(("t".to_owned(), "DATABRICKS_TOKEN")));
        assert_eq!(connect.ca_file, None);
    }

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
