//! SHOW, DESCRIBE, USE, SET, RESET.

use sqlparser::tokenizer::Token;

use super::{
    cursor::{Cursor, Result},
    error::SyntaxError,
    parse_access,
    statement::{Describe, FunctionScope, Name, Set, Show, Statement, TimeZone, Use},
};

pub(super) fn show(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.sees("GRANTS") || cursor.sees("GRANT") {
        return parse_access::show_grants(cursor);
    }
    let scope = match () {
        () if cursor.eat("USER FUNCTIONS") => Some(FunctionScope::User),
        () if cursor.eat("SYSTEM FUNCTIONS") => Some(FunctionScope::System),
        () if cursor.eat("ALL FUNCTIONS") || cursor.eat("FUNCTIONS") => Some(FunctionScope::All),
        () => None,
    };
    let show = if let Some(scope) = scope {
        let schema = in_name(cursor)?;
        Show::Functions { scope, schema, like: like(cursor)? }
    } else if cursor.eat("CATALOGS") {
        Show::Catalogs { like: like(cursor)? }
    } else if cursor.eat("SCHEMAS") || cursor.eat("DATABASES") {
        let catalog = in_name(cursor)?;
        Show::Schemas { catalog, like: like(cursor)? }
    } else if cursor.eat("TABLES") {
        let schema = in_name(cursor)?;
        Show::Tables { schema, like: like(cursor)? }
    } else if cursor.eat("TABLE EXTENDED") {
        let schema = in_name(cursor)?;
        cursor.expect("LIKE")?;
        let like = cursor.string("a pattern")?;
        if cursor.sees("PARTITION") {
            return Err(cursor.unsupported("SHOW TABLE EXTENDED … PARTITION", "use SHOW PARTITIONS"));
        }
        Show::TableExtended { schema, like }
    } else if cursor.eat("VIEWS") {
        let schema = in_name(cursor)?;
        Show::Views { schema, like: like(cursor)? }
    } else if cursor.eat("VOLUMES") {
        let schema = in_name(cursor)?;
        Show::Volumes { schema, like: like(cursor)? }
    } else if cursor.eat("COLUMNS") {
        Show::Columns { table: columns_of(cursor)? }
    } else if cursor.eat("TBLPROPERTIES") {
        let table = cursor.name("the table's name")?;
        let key = if cursor.eat_token(&Token::LParen) {
            let key = cursor.property_key()?;
            cursor.expect_token(&Token::RParen)?;
            Some(key)
        } else {
            None
        };
        Show::TableProperties { table, key }
    } else if cursor.eat("CREATE TABLE") || cursor.eat("CREATE VIEW") {
        let table = cursor.name("the table's name")?;
        if cursor.sees("AS SERDE") {
            return Err(cursor.unsupported("AS SERDE", "leave it out"));
        }
        Show::CreateTable { table }
    } else if cursor.eat("PARTITIONS") {
        let table = cursor.name("the table's name")?;
        if cursor.sees("PARTITION") {
            return Err(cursor.unsupported("SHOW PARTITIONS … PARTITION", "filter the result of SHOW PARTITIONS"));
        }
        Show::Partitions { table }
    } else {
        return Err(cursor.error("CATALOGS, SCHEMAS, TABLES, VIEWS, VOLUMES, FUNCTIONS, COLUMNS, TBLPROPERTIES, CREATE TABLE, PARTITIONS or GRANTS"));
    };
    Ok(Statement::Show(show))
}

fn in_name(cursor: &mut Cursor<'_>) -> Result<Option<Name>> {
    if cursor.eat("IN") || cursor.eat("FROM") { cursor.name("a name").map(Some) } else { Ok(None) }
}

/// `[LIKE] 'pattern'`
fn like(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if cursor.eat("LIKE") || matches!(cursor.peek(), Token::SingleQuotedString(_)) {
        return cursor.string("a pattern").map(Some);
    }
    Ok(None)
}

/// `{ IN | FROM } table [{ IN | FROM } schema]`
fn columns_of(cursor: &mut Cursor<'_>) -> Result<Name> {
    let start = cursor.position();
    let table = in_name(cursor)?.ok_or_else(|| cursor.error("IN table"))?;
    match in_name(cursor)? {
        None => Ok(table),
        Some(schema) if table.0.len() == 1 && schema.0.len() <= 2 => Ok(Name([schema.0, table.0].concat())),
        Some(schema) => {
            let error = SyntaxError::syntax(format!("table {table} and schema {schema} do not make one name"));
            Err(cursor.place(error, start))
        }
    }
}

pub(super) fn describe(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let extended = |cursor: &mut Cursor<'_>| cursor.eat("EXTENDED") || cursor.eat("FORMATTED");
    // `DESCRIBE history` is about a table of that name: the words below are keywords only when something follows.
    let keyword = matches!(cursor.peek_nth(1), Token::Word(_));
    let query_keyword =
        cursor.sees("QUERY") && !matches!(cursor.peek_nth(1), Token::EOF | Token::SemiColon | Token::Period);
    let describe = if query_keyword || cursor.sees_query() && !cursor.sees("TABLE") {
        cursor.eat("QUERY");
        Describe::Query(cursor.query()?)
    } else if !keyword {
        describe_table(cursor)?
    } else if cursor.eat("HISTORY") {
        let table = cursor.name("the table's name")?;
        let limit = if cursor.eat("LIMIT") { Some(cursor.whole_number("a limit")?) } else { None };
        Describe::History { table, limit }
    } else if cursor.eat("DETAIL") {
        Describe::Detail { table: cursor.name("the table's name")? }
    } else if cursor.eat("CATALOG") {
        let extended = extended(cursor);
        Describe::Catalog { catalog: cursor.name("the catalog's name")?, extended }
    } else if cursor.eat("SCHEMA") || cursor.eat("DATABASE") {
        let extended = extended(cursor);
        Describe::Schema { schema: cursor.name("the schema's name")?, extended }
    } else if cursor.eat("VOLUME") {
        Describe::Volume { volume: cursor.name("the volume's name")? }
    } else if cursor.eat("FUNCTION") {
        let extended = extended(cursor);
        Describe::Function { function: cursor.name("the function's name")?, extended }
    } else {
        describe_table(cursor)?
    };
    Ok(Statement::Describe(describe))
}

fn describe_table(cursor: &mut Cursor<'_>) -> Result<Describe> {
    cursor.eat("TABLE");
    let extended = cursor.eat("EXTENDED") || cursor.eat("FORMATTED");
    let table = cursor.name("the table's name")?;
    if cursor.sees("PARTITION") {
        return Err(cursor.unsupported("DESCRIBE … PARTITION", "use DESCRIBE DETAIL, or SHOW PARTITIONS"));
    }
    if cursor.eat("AS JSON") {
        if !extended {
            let error =
                SyntaxError::syntax("AS JSON goes with EXTENDED").with_hint("write DESCRIBE TABLE EXTENDED … AS JSON");
            return Err(cursor.place(error, cursor.position().saturating_sub(1)));
        }
        return Ok(Describe::Table { table, extended, as_json: true });
    }
    if matches!(cursor.peek(), Token::Word(_)) {
        let column = cursor.path("a column")?;
        return Ok(Describe::Column { table, column, extended });
    }
    Ok(Describe::Table { table, extended, as_json: false })
}

pub(super) fn use_(cursor: &mut Cursor<'_>) -> Result<Statement> {
    // A schema may be called "catalog" or "schema": then nothing follows.
    let keyword = *cursor.peek_nth(1) != Token::EOF && matches!(cursor.peek_nth(1), Token::Word(_));
    if keyword && cursor.eat("CATALOG") {
        return Ok(Statement::Use(Use::Catalog(cursor.ident("the catalog's name")?)));
    }
    if keyword && !cursor.eat("SCHEMA") {
        cursor.eat("DATABASE");
    }
    let start = cursor.position();
    let name = cursor.name("a schema")?;
    if name.0.len() > 2 {
        let error = SyntaxError::syntax(format!("{name} is no schema: it has more than two parts"));
        return Err(cursor.place(error, start));
    }
    Ok(Statement::Use(Use::Schema(name)))
}

pub(super) fn set(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.at_end() || cursor.sees_token(&Token::SemiColon) {
        return Ok(Statement::Set(Set::ShowAll));
    }
    if cursor.sees_token(&Token::Minus) {
        return Err(cursor.unsupported("SET -v", "write SET"));
    }
    if cursor.eat("TIME ZONE") {
        return time_zone(cursor).map(|zone| Statement::Set(Set::TimeZone(zone)));
    }
    if cursor.sees("CATALOG") && matches!(cursor.peek_nth(1), Token::Word(_) | Token::SingleQuotedString(_)) {
        cursor.skip(1);
        let catalog = match cursor.peek() {
            Token::SingleQuotedString(_) => cursor.string("the catalog's name")?,
            _ => cursor.ident("the catalog's name")?,
        };
        return Ok(Statement::Use(Use::Catalog(catalog)));
    }
    if cursor.sees("ROLE") {
        return Err(cursor.unsupported("SET ROLE", "sign in as the other principal"));
    }
    let key = setting_key(cursor)?;
    if !cursor.eat_token(&Token::Eq) {
        return Ok(Statement::Set(Set::Show(key)));
    }
    let value = setting_value(cursor)?;
    Ok(Statement::Set(Set::Value { key, value }))
}

/// `spark.sql.shuffle.partitions`, `use_cached_result`, `QUERY_TAGS['team']`, or anything between backticks.
fn setting_key(cursor: &mut Cursor<'_>) -> Result<String> {
    let mut key = cursor.path("a setting")?.join(".");
    if cursor.eat_token(&Token::LBracket) {
        let tag = cursor.string("a key")?;
        cursor.expect_token(&Token::RBracket)?;
        key = format!("{key}['{tag}']");
    }
    Ok(key)
}

fn setting_value(cursor: &mut Cursor<'_>) -> Result<String> {
    if let (Token::SingleQuotedString(text), Token::EOF | Token::SemiColon) =
        (cursor.peek().clone(), cursor.peek_nth(1))
    {
        cursor.skip(1);
        return Ok(text);
    }
    let start = cursor.position();
    while !cursor.at_end() && !cursor.sees_token(&Token::SemiColon) {
        cursor.skip(1);
    }
    if start == cursor.position() {
        return Err(cursor.error("a value"));
    }
    Ok(cursor.text(start..cursor.position()).to_owned())
}

fn time_zone(cursor: &mut Cursor<'_>) -> Result<TimeZone> {
    if cursor.eat("LOCAL") {
        return Ok(TimeZone::Local);
    }
    if cursor.sees("INTERVAL") {
        return cursor.expr().map(|offset| TimeZone::Offset(Box::new(offset)));
    }
    cursor.string("a time zone").map(TimeZone::Named)
}

pub(super) fn reset(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.at_end() || cursor.sees_token(&Token::SemiColon) {
        return Ok(Statement::Reset(None));
    }
    setting_key(cursor).map(|key| Statement::Reset(Some(key)))
}
