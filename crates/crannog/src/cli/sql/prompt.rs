//! The prompt: many lines until a semicolon, and a history that stays.
//!
//! rustyline, not reedline: both edit lines and keep a history, and this one costs five small crates where the other brings
//! a terminal stack of its own. The history may hold what people typed by mistake, so only they can read it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crannog_lake::grammar;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Editor, Helper};
use tokio::time::Instant;

use super::statement::Session;
use crate::cli::{Environment, Failure};
use crate::output::Format;

const HELP: &str = "statements end with a semicolon and may span lines\n\
     Ctrl-C clears the line or cancels what runs; quit, exit or Ctrl-D leaves";

/// Tells the editor when Enter ends a statement.
struct Statements;

/// Whether the text is a word for the prompt itself, blank, or ends with a statement's semicolon.
fn complete(text: &str) -> bool {
    let trimmed = text.trim();
    if trimmed.is_empty() || command(trimmed).is_some() {
        return true;
    }
    match grammar::split(text).last() {
        None => true,
        Some((range, _)) => text.get(range.end..).is_some_and(|rest| rest.trim_start().starts_with(';')),
    }
}

enum Command {
    Quit,
    Help,
}

fn command(text: &str) -> Option<Command> {
    match text.trim().trim_end_matches(';').trim_end().to_ascii_lowercase().as_str() {
        "quit" | "exit" | "\\q" => Some(Command::Quit),
        "help" | "\\?" | "?" => Some(Command::Help),
        _ => None,
    }
}

impl Validator for Statements {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if complete(context.input()) { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Completer for Statements {
    type Candidate = String;
}

impl Hinter for Statements {
    type Hint = String;
}

impl Highlighter for Statements {}

impl Helper for Statements {}

pub(super) async fn run(session: &mut Session, format: Format, environment: &Environment) -> Result<(), Failure> {
    let broken = |error: ReadlineError| Failure::new(format!("the terminal cannot be read: {error}"));
    let config = Config::builder().auto_add_history(true).build();
    let mut editor: Editor<Statements, FileHistory> = Editor::with_config(config).map_err(broken)?;
    editor.set_helper(Some(Statements));
    let history = history(environment);
    if let Some(file) = &history {
        // A first session has none.
        let _ = editor.load_history(file);
    }
    eprintln!("connected to {}\n{HELP}", session.client.address());
    loop {
        let prompt = match (&session.catalog, &session.schema) {
            (Some(catalog), Some(schema)) => format!("{catalog}.{schema}> "),
            (Some(name), None) | (None, Some(name)) => format!("{name}> "),
            (None, None) => "crannog> ".to_owned(),
        };
        // The editor waits for keys on this thread; nothing else is under way meanwhile.
        let text = match editor.readline(prompt.as_str()) {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(broken(error)),
        };
        match command(&text) {
            Some(Command::Quit) => break,
            Some(Command::Help) => eprintln!("{HELP}"),
            None => {
                session.forget_interrupts().await;
                for (_, statement) in grammar::split(&text) {
                    let began = Instant::now();
                    match super::one(session, statement, format).await {
                        Ok(rows) => {
                            let what = match rows {
                                None => "done".to_owned(),
                                Some(1) => "1 row".to_owned(),
                                Some(rows) => format!("{rows} rows"),
                            };
                            eprintln!("{what}, {:.2} s", began.elapsed().as_secs_f64());
                        }
                        Err(failure) if failure.is_quiet() => break,
                        Err(failure) => {
                            eprintln!("{failure}");
                            break;
                        }
                    }
                }
            }
        }
        if let Some(file) = &history {
            let _ = editor.append_history(file);
        }
    }
    Ok(())
}

/// The file of the history, made for its owner alone.
fn history(environment: &Environment) -> Option<PathBuf> {
    let state = match environment.get("XDG_STATE_HOME").filter(|folder| Path::new(folder).is_absolute()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(environment.get("HOME")?).join(".local/state"),
    };
    let folder = state.join("crannog");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    let file = folder.join("sql_history");
    fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&file).ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enter_ends_a_statement_only_after_its_semicolon() {
        for (text, ends) in [
            ("", true),
            ("quit", true),
            ("select 1", false),
            ("select 1;", true),
            ("select 1; select 2", false),
            ("select ';'", false),
            ("select 1 -- ;", false),
            ("select 1 -- why\n;", true),
            ("select 'open;", false),
            ("-- only a comment", true),
        ] {
            assert_eq!(complete(text), ends, "{text:?}");
        }
    }
}
