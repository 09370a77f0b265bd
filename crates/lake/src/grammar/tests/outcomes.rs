//! The committed list of statements: each with its outcome; what is refused is refused by name, with what to do instead, and no
//! word is ignored.

use std::collections::BTreeSet;

use super::{listed, outcome, refusal};
use crate::grammar::{SyntaxErrorKind, parse, refusals, tokens};

#[test]
fn statements_have_their_committed_outcomes() {
    let wrong: Vec<String> = listed()
        .filter(|(expected, sql)| outcome(sql) != *expected)
        .map(|(expected, sql)| format!("{sql}\n  expected {expected}\n  found    {}", outcome(sql)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_list_is_broad_and_without_repetition() {
    let statements: BTreeSet<_> = listed().map(|(_, sql)| sql).collect();
    assert_eq!(statements.len(), listed().count());
    let kinds: BTreeSet<_> =
        listed().map(|(outcome, _)| outcome).filter(|outcome| !outcome.starts_with("refused")).collect();
    assert_eq!(kinds.len(), 31, "every variant of Statement has an example: {kinds:?}");
}

#[test]
fn every_refused_feature_in_the_list_says_what_to_do_and_where_it_stands() {
    for (_, sql) in listed() {
        let Err(error) = parse(sql) else { continue };
        assert!(error.line >= 1 && error.column >= 1, "{sql}: {error}");
        let code = match error.kind {
            SyntaxErrorKind::Unsupported | SyntaxErrorKind::DataType => "0A000",
            SyntaxErrorKind::NumberRange => "22003",
            _ => "42601",
        };
        assert_eq!(error.sqlstate(), code, "{sql}: {error}");
        if error.kind == SyntaxErrorKind::Unsupported {
            assert!(error.hint.is_some_and(|hint| !hint.is_empty()), "{sql}");
        }
    }
}

#[test]
fn every_refused_statement_is_named() {
    for (words, _) in refusals::STATEMENTS {
        let error = refusal(&format!("{words} x"));
        assert_eq!(error.message, format!("{words} is not supported"));
        assert!(error.hint.is_some());
    }
}

/// A clause of which the grammar knows nothing must never vanish: each is put behind a query and behind a table.
#[test]
fn every_refused_clause_is_named() {
    for (words, _) in refusals::CLAUSES {
        refusal(&format!("SELECT * FROM t AS a {words}"));
        refusal(&format!("SELECT * FROM t AS a {words} (b)"));
        let error = refusals::clause_at(&tokens::tokenize(words).unwrap().tokens, 0).unwrap();
        assert_eq!(error.message, format!("{words} is not supported"));
        assert!(error.hint.is_some());
    }
    for clause in [
        "FOR UPDATE",
        "FOR SHARE",
        "FETCH",
        "SORT BY",
        "DISTRIBUTE BY",
        "CLUSTER BY",
        "TABLESAMPLE",
        "PIVOT",
        "VERSION AS OF",
        "TIMESTAMP AS OF",
        "MATCH_RECOGNIZE",
        "TOP",
        "DISTINCT ON",
        "INTO",
        "WITH TOTALS",
        "MATERIALIZED",
    ] {
        let named = listed().any(|(outcome, _)| outcome.starts_with("refused: ") && outcome.contains(clause));
        assert!(named, "no statement in the list is refused for {clause}");
    }
}

/// The invariant itself: blank out one word of an accepted statement, and it is refused or means something else. The
/// words that may go are those that Databricks SQL itself has as optional or as the default.
#[test]
fn no_word_is_ignored() {
    let mut ignored = BTreeSet::new();
    for (_, sql) in listed() {
        let Ok(statement) = parse(sql) else { continue };
        let mut start = 0;
        for word in sql.split(' ') {
            let end = start + word.len();
            // As many blanks, so that all positions stay.
            let without = format!("{}{}{}", &sql[..start], " ".repeat(word.chars().count()), &sql[end..]);
            if parse(&without).is_ok_and(|other| other == statement) {
                ignored.insert(word.to_uppercase());
            }
            start = end + 1;
        }
    }
    let optional: BTreeSet<String> = OPTIONAL_WORDS.iter().map(|word| (*word).to_owned()).collect();
    assert_eq!(ignored, optional);
}

const OPTIONAL_WORDS: &[&str] = &[
    "AS",
    "COLUMN",   // ALTER [COLUMN]
    "DATABASE", // USE [DATABASE]
    "DEEP",     // [DEEP] CLONE
    "IS",       // a [IS] NOT NULL
    "LEFT",     // [LEFT] SEMI JOIN
    "LIKE",     // SHOW … [LIKE] 'pattern'
    "OUTER",    // FULL [OUTER] JOIN
    "QUERY",    // DESCRIBE [QUERY] SELECT
    "RESTRICT", // the default
    "SCHEMA",   // USE [SCHEMA]
    "SET",      // ALTER … [SET] OWNER TO
    "TABLE",    // INSERT INTO [TABLE]
    "TO",       // RESTORE t [TO] VERSION
    // Words inside comments and hints.
    "BROADCAST(T),",
    "COALESCE(3)",
    "COMMENT",
    "HERE",
    "NESTED",
];

#[test]
fn errors_read_like_sparks() {
    assert_eq!(
        refusal("SELECT a\n  FRO t WHERE").to_string(),
        "[PARSE_SYNTAX_ERROR] syntax error at or near 't': expected the end of the statement (line 2, column 7)"
    );
    assert_eq!(
        refusal("SELECT a FROM t SORT BY a").to_string(),
        "[UNSUPPORTED_FEATURE] SORT BY is not supported (line 1, column 17); sort with ORDER BY"
    );
    assert_eq!((refusal("SELECT 1,\n arr[1:2]").line, refusal("SELECT 1,\n arr[1:2]").column), (2, 2));
}
