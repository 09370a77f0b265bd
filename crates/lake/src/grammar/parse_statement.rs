//! Which statement is it? The first words decide; the parts are read by the `parse_*` files beside this one.

use sqlparser::tokenizer::Token;

use super::{
    cursor::{Cursor, Result},
    parse_access, parse_alter, parse_create, parse_look, parse_maintenance, parse_rows, refusals,
    statement::{Drop, Explain, ExplainMode, ObjectKind, Statement},
};

/// Reads one statement up to the end of the text; one final semicolon is allowed.
pub(super) fn whole_statement(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let statement = statement(cursor)?;
    cursor.eat_token(&Token::SemiColon);
    if cursor.at_end() {
        return Ok(statement);
    }
    let error = cursor.error("the end of the statement");
    let position = cursor.position();
    let after_semicolon =
        cursor.tokens().get(position.wrapping_sub(1)).is_some_and(|token| token.token == Token::SemiColon);
    Err(if after_semicolon { error.with_hint("send one statement at a time") } else { error })
}

fn statement(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if let Some(refusal) = refusals::statement(&cursor.tokens()[cursor.position()..]) {
        return Err(refusal);
    }
    if let Some(insert_first) = parse_rows::with_before_insert(cursor) {
        return Err(insert_first);
    }
    if cursor.sees_query() {
        return Ok(Statement::Query(cursor.query()?));
    }
    let start = cursor.position();
    let Token::Word(word) = cursor.peek().clone() else {
        return Err(cursor.error("a statement"));
    };
    cursor.skip(1);
    match word.value.to_ascii_uppercase().as_str() {
        _ if word.quote_style.is_some() => {}
        "EXPLAIN" => return explain(cursor),
        "INSERT" => return parse_rows::insert(cursor),
        "COPY" => return parse_rows::copy_into(cursor),
        "DELETE" => return parse_rows::delete(cursor),
        "UPDATE" => return parse_rows::update(cursor),
        "MERGE" => return parse_rows::merge(cursor),
        "TRUNCATE" => return parse_rows::truncate(cursor),
        "CREATE" | "REPLACE" => return parse_create::create(cursor, word.value.eq_ignore_ascii_case("REPLACE")),
        "DROP" => return drop(cursor),
        "ALTER" => return parse_alter::alter(cursor),
        "COMMENT" => return parse_alter::comment_on(cursor),
        "GRANT" => return parse_access::grant(cursor).map(Statement::Grant),
        "REVOKE" => return parse_access::revoke(cursor).map(Statement::Revoke),
        "SHOW" => return parse_look::show(cursor),
        "DESCRIBE" | "DESC" => return parse_look::describe(cursor),
        "USE" => return parse_look::use_(cursor),
        "SET" => return parse_look::set(cursor),
        "RESET" => return parse_look::reset(cursor),
        "VACUUM" => return parse_maintenance::vacuum(cursor),
        "OPTIMIZE" => return parse_maintenance::optimize(cursor),
        "RESTORE" => return parse_maintenance::restore(cursor),
        "ANALYZE" => return parse_maintenance::analyze(cursor),
        "REFRESH" => return parse_maintenance::refresh(cursor),
        _ => {}
    }
    let error = super::error::SyntaxError::syntax(format!("syntax error at or near '{word}': expected a statement"));
    Err(cursor.place(error, start).with_hint("statements begin with SELECT, INSERT, CREATE, ALTER, SHOW, …"))
}

fn explain(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.sees("CODEGEN") {
        return Err(cursor.unsupported("EXPLAIN CODEGEN", "use EXPLAIN EXTENDED: no code is generated"));
    }
    let mode = cursor.eat_one_of(&[
        ("EXTENDED", ExplainMode::Extended),
        ("FORMATTED", ExplainMode::Formatted),
        ("COST", ExplainMode::Cost),
    ]);
    if cursor.sees("EXPLAIN") {
        return Err(cursor.error("a statement to explain"));
    }
    Ok(Statement::Explain(Explain {
        mode: mode.unwrap_or(ExplainMode::Simple),
        statement: Box::new(statement(cursor)?),
    }))
}

/// The word for an object after CREATE, DROP, ALTER, DESCRIBE or COMMENT ON.
pub(super) const OBJECT_KINDS: &[(&str, ObjectKind)] = &[
    ("TABLE", ObjectKind::Table),
    ("VIEW", ObjectKind::View),
    ("SCHEMA", ObjectKind::Schema),
    ("DATABASE", ObjectKind::Schema),
    ("CATALOG", ObjectKind::Catalog),
    ("VOLUME", ObjectKind::Volume),
    ("FUNCTION", ObjectKind::Function),
];

fn drop(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let kind = cursor.eat_one_of(OBJECT_KINDS);
    let kind = kind.ok_or_else(|| cursor.error("TABLE, VIEW, SCHEMA, CATALOG, VOLUME or FUNCTION"))?;
    let if_exists = cursor.if_exists();
    let name = cursor.name("the name to drop")?;
    if cursor.sees("PURGE") {
        return Err(cursor.unsupported("PURGE", "leave it out: files go when their retention ends"));
    }
    let may_cascade = matches!(kind, ObjectKind::Schema | ObjectKind::Catalog);
    let cascade = may_cascade && cursor.eat("CASCADE");
    if may_cascade && !cascade {
        cursor.eat("RESTRICT");
    }
    Ok(Statement::Drop(Drop { kind, name, if_exists, cascade }))
}
