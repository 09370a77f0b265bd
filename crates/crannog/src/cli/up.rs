//! `crannog up`: its flags come from the table of options, so none can be missing there or here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use crannog_kit::config::{Config, File, Kind, OPTIONS};

use super::{Environment, Failure};
use crate::output::watched;
use crate::server::{self, Manager};

/// The flags that were given, by option.
pub(super) struct Args {
    config: Option<PathBuf>,
    given: BTreeMap<String, String>,
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let text = |key: &str| matches.get_one::<String>(key).cloned();
        let given = OPTIONS.iter().filter_map(|option| Some((option.key.to_owned(), text(option.key)?))).collect();
        Ok(Args { config: text("config").map(PathBuf::from), given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Args::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Args {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .help("A TOML file of options; they are named as below, with dots for tables [env: CRANNOG_CONFIG]");
        OPTIONS.iter().fold(command.arg(config), |command, option| {
            let default =
                if option.default.is_empty() { String::new() } else { format!(" [default: {}]", option.default) };
            let arg = Arg::new(option.key)
                .long(option.flag())
                .help(format!("{} [env: {}]{default}", option.about.trim_end_matches('.'), option.variable()))
                .action(ArgAction::Set);
            command.arg(match option.kind {
                Kind::Switch => {
                    arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("true|false")
                }
                Kind::Path => arg.value_name(if option.key.ends_with("_file") { "FILE" } else { "DIR" }),
                Kind::Address => arg.value_name("ADDRESS"),
                Kind::List => arg.value_name("LIST"),
                Kind::Bytes => arg.value_name("SIZE"),
                Kind::Count => arg.value_name("NUMBER"),
                Kind::Word(words) => arg.value_name(words.join("|")),
                Kind::Text => arg.value_name("TEXT"),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Args::augment_args(command)
    }
}

/// Flags, environment and file as one configuration.
pub(crate) fn configuration(
    file: Option<PathBuf>,
    given: &BTreeMap<String, String>,
    environment: &Environment,
) -> Result<Config, Failure> {
    let file = file.or_else(|| environment.get("CRANNOG_CONFIG").map(PathBuf::from));
    let read = match &file {
        Some(file) => Some((
            file.display().to_string(),
            std::fs::read_to_string(file)
                .map_err(|error| Failure::new(format!("{} cannot be read: {error}", file.display())))?,
        )),
        None => None,
    };
    let file = read.as_ref().map(|(name, text)| File { name, text });
    Config::read(given, environment, file).map_err(|error| Failure::new(error.to_string()))
}

pub(super) async fn run(args: Args, environment: &Environment) -> Result<(), Failure> {
    let config = configuration(args.config, &args.given, environment)?;
    crannog_kit::telemetry::start(&config.log, config.log_json.unwrap_or(!watched())).map_err(Failure::new)?;
    server::up(config, &Manager::at(environment.get("NOTIFY_SOCKET"))).await
}
