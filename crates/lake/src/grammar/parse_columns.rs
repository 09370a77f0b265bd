//! What tables are made of, in CREATE TABLE and in ALTER: columns, their masks, constraints, CLUSTER BY.

use sqlparser::tokenizer::Token;

use super::{
    cursor::{Cursor, Result},
    error::SyntaxError,
    statement::{ClusterBy, ColumnDefinition, ColumnMask, ConstraintKind, Generated, MaskArgument, TableConstraint},
};

/// After CLUSTER BY: `(columns)`, `AUTO` or `NONE`.
pub(super) fn cluster_by(cursor: &mut Cursor<'_>) -> Result<ClusterBy> {
    if cursor.eat("AUTO") {
        return Ok(ClusterBy::Auto);
    }
    if cursor.eat("NONE") {
        return Ok(ClusterBy::None);
    }
    cursor.parens(|cursor| cursor.path("a column")).map(ClusterBy::Columns)
}

/// A column from its type on. PRIMARY KEY and REFERENCES behind a column become constraints of the table, if it can
/// have any here.
pub(super) fn column_rest(
    cursor: &mut Cursor<'_>,
    name: String,
    mut constraints: Option<&mut Vec<TableConstraint>>,
) -> Result<ColumnDefinition> {
    let data_type = cursor.data_type()?;
    let (mut not_null, mut comment, mut default, mut generated, mut mask) = (None, None, None, None, None);
    loop {
        if cursor.eat("NOT NULL") {
            cursor.once(&mut not_null, true, "NOT NULL")?;
        } else if cursor.eat("COMMENT") {
            let value = cursor.string("a comment")?;
            cursor.once(&mut comment, value, "COMMENT")?;
        } else if cursor.eat("DEFAULT") {
            let value = cursor.source_expr()?;
            cursor.once(&mut default, value, "DEFAULT")?;
        } else if cursor.eat("GENERATED") {
            let value = self::generated(cursor)?;
            cursor.once(&mut generated, value, "GENERATED")?;
        } else if cursor.eat("MASK") {
            let value = column_mask(cursor)?;
            cursor.once(&mut mask, value, "MASK")?;
        } else if sees_constraint(cursor) {
            let Some(constraints) = constraints.as_deref_mut() else {
                return Err(cursor.unsupported(
                    "a constraint here",
                    "leave it out: constraints besides NOT NULL are not available yet",
                ));
            };
            constraints.push(column_constraint(cursor, &name)?);
        } else {
            break;
        }
    }
    if default.is_some() && generated.is_some() {
        let error = SyntaxError::syntax(format!("column {name} has both DEFAULT and GENERATED"));
        return Err(cursor.place(error, cursor.position().saturating_sub(1)));
    }
    Ok(ColumnDefinition { name, data_type, not_null: not_null.unwrap_or(false), comment, default, generated, mask })
}

fn generated(cursor: &mut Cursor<'_>) -> Result<Generated> {
    let always = cursor.eat("ALWAYS");
    if !always {
        cursor.expect("BY DEFAULT")?;
    }
    cursor.expect("AS")?;
    if cursor.eat("IDENTITY") {
        let (mut start, mut increment) = (None, None);
        if cursor.eat_token(&Token::LParen) {
            while !cursor.eat_token(&Token::RParen) {
                if cursor.eat("START WITH") {
                    let value = cursor.signed_number("the first value")?;
                    cursor.once(&mut start, value, "START WITH")?;
                } else if cursor.eat("INCREMENT BY") {
                    let value = cursor.signed_number("the step")?;
                    cursor.once(&mut increment, value, "INCREMENT BY")?;
                } else {
                    return Err(cursor.error("START WITH, INCREMENT BY or ')'"));
                }
                cursor.eat_token(&Token::Comma);
            }
        }
        if increment == Some(0) {
            let error = SyntaxError::syntax("the step of an identity column must not be 0");
            return Err(cursor.place(error, cursor.position().saturating_sub(1)));
        }
        return Ok(Generated::Identity { always, start: start.unwrap_or(1), increment: increment.unwrap_or(1) });
    }
    if !always {
        return Err(cursor.error("IDENTITY (BY DEFAULT is for identity columns)"));
    }
    cursor.expect_token(&Token::LParen)?;
    let expression = cursor.source_expr()?;
    cursor.expect_token(&Token::RParen)?;
    Ok(Generated::Expression(expression))
}

/// After MASK: `function [USING COLUMNS (…)]`.
pub(super) fn column_mask(cursor: &mut Cursor<'_>) -> Result<ColumnMask> {
    let function = cursor.name("the mask function's name")?;
    let using_columns = if cursor.eat("USING COLUMNS") { cursor.parens(mask_argument)? } else { Vec::new() };
    Ok(ColumnMask { function, using_columns })
}

pub(super) fn mask_argument(cursor: &mut Cursor<'_>) -> Result<MaskArgument> {
    let literal_word = ["TRUE", "FALSE", "NULL"].iter().any(|word| cursor.sees(word));
    let followed_by_end = matches!(cursor.peek_nth(1), Token::Comma | Token::RParen);
    match cursor.peek() {
        Token::Word(_) if !literal_word && followed_by_end => cursor.ident("a column").map(MaskArgument::Column),
        _ => cursor.expr().map(MaskArgument::Literal),
    }
}

pub(super) fn sees_constraint(cursor: &Cursor<'_>) -> bool {
    ["PRIMARY KEY", "FOREIGN KEY", "REFERENCES"].iter().any(|words| cursor.sees(words))
        || (cursor.sees("CHECK") && *cursor.peek_nth(1) == Token::LParen)
        || (cursor.sees("CONSTRAINT") && !sees_type_after_name(cursor))
}

/// `constraint STRING` defines a column of that name.
fn sees_type_after_name(cursor: &Cursor<'_>) -> bool {
    !matches!(cursor.peek_nth(2), Token::Word(word) if ["PRIMARY", "FOREIGN", "CHECK", "REFERENCES", "NOT"]
        .iter().any(|keyword| word.value.eq_ignore_ascii_case(keyword)))
}

/// `[CONSTRAINT name] { CHECK (…) | PRIMARY KEY (…) | FOREIGN KEY (…) REFERENCES … }`
pub(super) fn constraint(cursor: &mut Cursor<'_>) -> Result<TableConstraint> {
    let name = if cursor.eat("CONSTRAINT") { Some(cursor.ident("the constraint's name")?) } else { None };
    let kind = if cursor.eat("CHECK") {
        cursor.expect_token(&Token::LParen)?;
        let expression = cursor.source_expr()?;
        cursor.expect_token(&Token::RParen)?;
        cursor.eat("ENFORCED");
        ConstraintKind::Check(expression)
    } else if cursor.eat("PRIMARY KEY") {
        let columns = cursor.parens(key_column)?;
        let rely = key_options(cursor)?;
        ConstraintKind::PrimaryKey { columns, rely }
    } else if cursor.eat("FOREIGN KEY") {
        let columns = cursor.parens(key_column)?;
        references(cursor, columns)?
    } else {
        return Err(cursor.error("CHECK, PRIMARY KEY or FOREIGN KEY"));
    };
    Ok(TableConstraint { name, kind })
}

fn column_constraint(cursor: &mut Cursor<'_>, column: &str) -> Result<TableConstraint> {
    let name = if cursor.eat("CONSTRAINT") { Some(cursor.ident("the constraint's name")?) } else { None };
    let columns = vec![column.to_owned()];
    let kind = if cursor.eat("PRIMARY KEY") {
        let rely = key_options(cursor)?;
        ConstraintKind::PrimaryKey { columns, rely }
    } else if cursor.sees("CHECK") {
        return Err(cursor
            .unsupported("CHECK behind a column", "write it behind the last column, as CONSTRAINT name CHECK (…)"));
    } else {
        cursor.eat("FOREIGN KEY");
        references(cursor, columns)?
    };
    Ok(TableConstraint { name, kind })
}

fn key_column(cursor: &mut Cursor<'_>) -> Result<String> {
    let column = cursor.ident("a column")?;
    if cursor.sees("TIMESERIES") {
        return Err(cursor.unsupported("TIMESERIES", "leave it out"));
    }
    Ok(column)
}

fn references(cursor: &mut Cursor<'_>, columns: Vec<String>) -> Result<ConstraintKind> {
    cursor.expect("REFERENCES")?;
    let references = cursor.name("the other table's name")?;
    let referenced_columns =
        if cursor.sees_token(&Token::LParen) { cursor.parens(|cursor| cursor.ident("a column"))? } else { Vec::new() };
    let rely = key_options(cursor)?;
    Ok(ConstraintKind::ForeignKey { columns, references, referenced_columns, rely })
}

/// Whether RELY was said. The other options only say what is so anyway: keys are not enforced, and nothing cascades.
fn key_options(cursor: &mut Cursor<'_>) -> Result<bool> {
    const AS_IT_IS: &[&str] = &[
        "NOT ENFORCED",
        "NOT DEFERRABLE",
        "INITIALLY DEFERRED",
        "NORELY",
        "MATCH FULL",
        "ON UPDATE NO ACTION",
        "ON DELETE NO ACTION",
    ];
    let mut rely = false;
    loop {
        if cursor.eat("RELY") {
            rely = true;
        } else if cursor.sees("ENFORCED") {
            return Err(cursor.unsupported(
                "ENFORCED keys",
                "leave it out: keys inform, they are not checked; INSERT … WHERE NOT EXISTS avoids duplicates",
            ));
        } else if !AS_IT_IS.iter().any(|words| cursor.eat(words)) {
            return Ok(rely);
        }
    }
}
