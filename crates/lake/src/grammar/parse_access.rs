//! GRANT, REVOKE, SHOW GRANTS.

use sqlparser::tokenizer::Token;

use super::{
    cursor::{Cursor, Result},
    error::SyntaxError,
    statement::{Grant, SecurableKind, SecurableName, ShowGrants, Statement},
};

const SECURABLE_KINDS: &[(&str, SecurableKind)] = &[
    ("METASTORE", SecurableKind::Metastore),
    ("CATALOG", SecurableKind::Catalog),
    ("SCHEMA", SecurableKind::Schema),
    ("DATABASE", SecurableKind::Schema),
    ("TABLE", SecurableKind::Table),
    ("VIEW", SecurableKind::View),
    ("VOLUME", SecurableKind::Volume),
    ("FUNCTION", SecurableKind::Function),
    ("MODEL", SecurableKind::Model),
    ("EXTERNAL LOCATION", SecurableKind::ExternalLocation),
    ("STORAGE CREDENTIAL", SecurableKind::StorageCredential),
    ("CONNECTION", SecurableKind::Connection),
    ("SHARE", SecurableKind::Share),
];

pub(super) fn grant(cursor: &mut Cursor<'_>) -> Result<Grant> {
    let (privileges, on) = privileges_on(cursor)?;
    cursor.expect("TO")?;
    let principals = cursor.list(principal)?;
    Ok(Grant { privileges, on, principals })
}

pub(super) fn revoke(cursor: &mut Cursor<'_>) -> Result<Grant> {
    if cursor.sees("GRANT OPTION") {
        return Err(cursor.unsupported("GRANT OPTION", "revoke MANAGE"));
    }
    let (privileges, on) = privileges_on(cursor)?;
    cursor.expect("FROM")?;
    let principals = cursor.list(principal)?;
    Ok(Grant { privileges, on, principals })
}

fn privileges_on(cursor: &mut Cursor<'_>) -> Result<(Vec<String>, SecurableName)> {
    let privileges = cursor.list(privilege)?;
    cursor.expect("ON")?;
    Ok((privileges, securable(cursor)?))
}

/// Words up to a comma or ON: `USE CATALOG`.
fn privilege(cursor: &mut Cursor<'_>) -> Result<String> {
    let mut words = Vec::new();
    while !cursor.sees("ON") && matches!(cursor.peek(), Token::Word(word) if word.quote_style.is_none()) {
        words.push(cursor.ident("a privilege")?.to_ascii_uppercase());
    }
    if words.is_empty() {
        return Err(cursor.error("a privilege"));
    }
    if cursor.sees_token(&Token::LParen) {
        return Err(
            cursor.unsupported("a privilege on single columns", "grant on a view, or mask the column with SET MASK")
        );
    }
    Ok(words.join(" "))
}

fn securable(cursor: &mut Cursor<'_>) -> Result<SecurableName> {
    if cursor.sees("ANY FILE") || cursor.sees("ANONYMOUS FUNCTION") {
        return Err(cursor.unsupported(
            "a privilege of the old table access control",
            "grant on an external location, volume or function",
        ));
    }
    // A table may be called like a kind: `ON share TO …`.
    let is_name = matches!(cursor.peek_nth(1), Token::Period)
        || (!cursor.sees("METASTORE")
            && matches!(cursor.peek_nth(1), Token::Word(word) if word.quote_style.is_none()
            && ["TO", "FROM"].iter().any(|next| word.value.eq_ignore_ascii_case(next))));
    let kind = if is_name { None } else { cursor.eat_one_of(SECURABLE_KINDS) };
    let kind = kind.unwrap_or(SecurableKind::Table);
    let name = if kind == SecurableKind::Metastore { None } else { Some(cursor.name("the object's name")?) };
    Ok(SecurableName { kind, name })
}

/// A bare name, an e-mail address between backticks, or a string.
fn principal(cursor: &mut Cursor<'_>) -> Result<String> {
    let name = match cursor.peek() {
        Token::SingleQuotedString(_) => return cursor.string("a principal"),
        _ => cursor.ident("a principal (an e-mail address between backticks)")?,
    };
    // Without backticks an address is several tokens.
    if matches!(cursor.peek(), Token::AtSign | Token::Minus | Token::Period | Token::Plus) {
        let message = format!("syntax error at or near '{}': the name of a principal ended before it", cursor.peek());
        let error =
            SyntaxError::syntax(message).with_hint("write an e-mail address between backticks: `ana@example.com`");
        return Err(cursor.place(error, cursor.position()));
    }
    Ok(name)
}

/// After SHOW: `GRANTS [principal] ON securable`.
pub(super) fn show_grants(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if !cursor.eat("GRANTS") {
        cursor.expect("GRANT")?;
    }
    if cursor.sees("TO") || cursor.sees("FOR") {
        let hint = "name an object: SHOW GRANTS `ana@example.com` ON CATALOG main; the grants of one person on all tables \
             are in system.information_schema.table_privileges";
        return Err(cursor.unsupported("SHOW GRANTS without an object", hint));
    }
    let principal = if cursor.sees("ON") { None } else { Some(principal(cursor)?) };
    cursor.expect("ON")?;
    Ok(Statement::ShowGrants(ShowGrants { principal, on: securable(cursor)? }))
}
