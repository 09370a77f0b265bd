//! ALTER and COMMENT ON. Each kind of object accepts only the changes that it can have.

use sqlparser::tokenizer::Token;

use super::{
    cursor::{Cursor, Result},
    parse_columns::{cluster_by, column_mask, column_rest, constraint, mask_argument, sees_constraint},
    parse_statement::OBJECT_KINDS,
    statement::{
        AddColumn, Alter, Change, ColumnChange, ColumnPosition, CommentOn, CommentTarget, Name, ObjectKind, Properties,
        RowFilter, Statement,
    },
};

pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let kind = cursor.eat_one_of(OBJECT_KINDS).filter(|kind| *kind != ObjectKind::Function);
    let kind = kind.ok_or_else(|| cursor.error("TABLE, VIEW, SCHEMA, CATALOG or VOLUME"))?;
    if cursor.sees("IF EXISTS") {
        return Err(cursor.unsupported("ALTER … IF EXISTS", "leave it out, and handle the error"));
    }
    let name = cursor.name("the name")?;
    if cursor.sees("PARTITION") {
        return Err(cursor.unsupported("ALTER TABLE … PARTITION", "partitions of Delta tables follow from their rows"));
    }
    let change = match common_change(cursor, kind)? {
        Some(change) => change,
        None => match kind {
            ObjectKind::Table => table_change(cursor)?,
            ObjectKind::View => view_change(cursor)?,
            ObjectKind::Schema | ObjectKind::Catalog => location_change(cursor)?,
            ObjectKind::Volume | ObjectKind::Function => {
                return Err(cursor.error("RENAME TO, OWNER TO, SET TAGS or UNSET TAGS"));
            }
        },
    };
    Ok(Statement::Alter(Alter { kind, name, change }))
}

/// What every kind of object can have: another name, owner, tags; tables, views and schemas also properties.
fn common_change(cursor: &mut Cursor<'_>, kind: ObjectKind) -> Result<Option<Change>> {
    let properties = match kind {
        ObjectKind::Schema => Some(("SET DBPROPERTIES", "UNSET DBPROPERTIES")),
        ObjectKind::Table | ObjectKind::View => Some(("SET TBLPROPERTIES", "UNSET TBLPROPERTIES")),
        _ => None,
    };
    if let Some((set, unset)) = properties {
        if cursor.eat(set) {
            return cursor.properties().map(Change::SetProperties).map(Some);
        }
        if cursor.eat(unset) {
            let if_exists = cursor.if_exists();
            let keys = cursor.parens(Cursor::property_key)?;
            return Ok(Some(Change::UnsetProperties { keys, if_exists }));
        }
    }
    Ok(Some(if cursor.eat("RENAME TO") {
        Change::RenameTo(cursor.name("the new name")?)
    } else if cursor.eat("SET OWNER TO") || cursor.eat("OWNER TO") {
        Change::SetOwner(cursor.ident("the new owner (an e-mail address between backticks)")?)
    } else if cursor.eat("SET TAGS") {
        Change::SetTags(tags(cursor)?)
    } else if cursor.eat("UNSET TAGS") {
        Change::UnsetTags(cursor.parens(|cursor| cursor.string("a tag"))?)
    } else {
        return Ok(None);
    }))
}

/// `('key' = 'value', 'key only')`
fn tags(cursor: &mut Cursor<'_>) -> Result<Properties> {
    cursor.parens(|cursor| {
        let key = cursor.string("a tag")?;
        let value = if cursor.eat_token(&Token::Eq) { cursor.string("a value")? } else { String::new() };
        Ok((key, value))
    })
}

fn location_change(cursor: &mut Cursor<'_>) -> Result<Change> {
    if cursor.eat("SET MANAGED LOCATION") {
        return cursor.string("a path").map(Change::SetManagedLocation);
    }
    for clause in ["ENABLE PREDICTIVE", "DISABLE PREDICTIVE", "INHERIT PREDICTIVE"] {
        if cursor.sees(clause) {
            return Err(cursor
                .unsupported("PREDICTIVE OPTIMIZATION", "leave it out: managed tables are maintained by the server"));
        }
    }
    Err(cursor.error("RENAME TO, OWNER TO, SET TAGS, UNSET TAGS or SET MANAGED LOCATION"))
}

fn view_change(cursor: &mut Cursor<'_>) -> Result<Change> {
    if !cursor.eat("AS") {
        return Err(cursor.error("AS query, RENAME TO, OWNER TO, SET TAGS or SET TBLPROPERTIES"));
    }
    let (query, text) = cursor.source_query()?;
    Ok(Change::ViewQuery { query, text })
}

/// Changes that exist at Databricks only.
const REFUSED_TABLE_CHANGES: &[(&str, &str)] = &[
    ("DROP FEATURE", "features cannot be taken away yet; copy the table with CREATE TABLE … AS SELECT"),
    ("SET LOCATION", "create a table at the new place"),
    ("SET SERDE", "write USING DELTA when creating the table"),
    ("SET MANAGED", "create a managed table with CREATE TABLE … AS SELECT"),
    ("REPLACE COLUMNS", "use ADD COLUMNS, or CREATE OR REPLACE TABLE … AS SELECT"),
    ("ADD PARTITION", "partitions of Delta tables follow from their rows"),
    ("DROP PARTITION", super::refusals::NO_DELETE),
    ("RECOVER PARTITIONS", "partitions of Delta tables follow from their rows"),
    ("ENABLE PREDICTIVE", "leave it out: managed tables are maintained by the server"),
    ("DISABLE PREDICTIVE", "leave it out: managed tables are maintained by the server"),
];

fn table_change(cursor: &mut Cursor<'_>) -> Result<Change> {
    if let Some((words, hint)) = REFUSED_TABLE_CHANGES.iter().find(|(words, _)| cursor.sees(words)) {
        return Err(cursor.unsupported(&format!("ALTER TABLE … {words}"), hint));
    }
    Ok(if cursor.eat("ADD COLUMNS") || cursor.eat("ADD COLUMN") {
        let if_not_exists = cursor.if_not_exists();
        let columns =
            if cursor.sees_token(&Token::LParen) { cursor.parens(add_column)? } else { cursor.list(add_column)? };
        Change::AddColumns { columns, if_not_exists }
    } else if cursor.eat("DROP COLUMNS") || cursor.eat("DROP COLUMN") {
        let if_exists = cursor.if_exists();
        let columns = if cursor.sees_token(&Token::LParen) {
            cursor.parens(|cursor| cursor.path("a column"))?
        } else {
            cursor.list(|cursor| cursor.path("a column"))?
        };
        Change::DropColumns { columns, if_exists }
    } else if cursor.eat("RENAME COLUMN") {
        let column = cursor.path("a column")?;
        cursor.expect("TO")?;
        Change::RenameColumn { column, to: cursor.ident("the new name")? }
    } else if cursor.eat("ALTER COLUMN") || cursor.eat("CHANGE COLUMN") || cursor.eat("ALTER") || cursor.eat("CHANGE") {
        let column = cursor.path("a column")?;
        let change = column_change(cursor)?;
        if cursor.sees_token(&Token::Comma) {
            return Err(
                cursor.unsupported("several columns in one ALTER COLUMN", "write one ALTER TABLE for each column")
            );
        }
        Change::AlterColumn { column, change }
    } else if cursor.eat("CLUSTER BY") {
        Change::ClusterBy(cluster_by(cursor)?)
    } else if cursor.eat("ADD") {
        if !sees_constraint(cursor) {
            return Err(cursor.error("COLUMN, CONSTRAINT, PRIMARY KEY or FOREIGN KEY"));
        }
        Change::AddConstraint(constraint(cursor)?)
    } else if cursor.eat("DROP CONSTRAINT") {
        let if_exists = cursor.if_exists();
        let name = cursor.ident("the constraint's name")?;
        Change::DropConstraint { name, if_exists, cascade: cascade(cursor) }
    } else if cursor.eat("DROP PRIMARY KEY") {
        let if_exists = cursor.if_exists();
        Change::DropPrimaryKey { if_exists, cascade: cascade(cursor) }
    } else if cursor.sees("DROP FOREIGN KEY") {
        return Err(cursor.unsupported("DROP FOREIGN KEY", "use DROP CONSTRAINT with its name"));
    } else if cursor.eat("SET ROW FILTER") {
        let function = cursor.name("the filter function's name")?;
        cursor.expect("ON")?;
        Change::SetRowFilter(RowFilter { function, on: row_filter_columns(cursor)? })
    } else if cursor.eat("DROP ROW FILTER") {
        Change::DropRowFilter
    } else {
        return Err(cursor.error("ADD, DROP, RENAME, ALTER COLUMN, SET, UNSET, OWNER TO or CLUSTER BY"));
    })
}

/// `(columns)`, which may be empty: a filter that looks at the caller only.
fn row_filter_columns(cursor: &mut Cursor<'_>) -> Result<Vec<super::statement::MaskArgument>> {
    if *cursor.peek_nth(1) == Token::RParen && cursor.eat_token(&Token::LParen) {
        cursor.expect_token(&Token::RParen)?;
        return Ok(Vec::new());
    }
    cursor.parens(mask_argument)
}

fn cascade(cursor: &mut Cursor<'_>) -> bool {
    let cascade = cursor.eat("CASCADE");
    if !cascade {
        cursor.eat("RESTRICT");
    }
    cascade
}

fn add_column(cursor: &mut Cursor<'_>) -> Result<AddColumn> {
    let path = cursor.path("a column")?;
    let name = path.last().cloned().unwrap_or_default();
    let definition = column_rest(cursor, name, None)?;
    let position = position(cursor)?;
    Ok(AddColumn { path, definition, position })
}

fn position(cursor: &mut Cursor<'_>) -> Result<Option<ColumnPosition>> {
    if cursor.eat("FIRST") {
        return Ok(Some(ColumnPosition::First));
    }
    if cursor.eat("AFTER") {
        return Ok(Some(ColumnPosition::After(cursor.ident("a column")?)));
    }
    Ok(None)
}

fn column_change(cursor: &mut Cursor<'_>) -> Result<ColumnChange> {
    if let Some(position) = position(cursor)? {
        return Ok(ColumnChange::Move(position));
    }
    Ok(if cursor.eat("TYPE") || cursor.eat("SET DATA TYPE") {
        ColumnChange::SetType(cursor.data_type()?)
    } else if cursor.eat("SET NOT NULL") {
        ColumnChange::SetNotNull
    } else if cursor.eat("DROP NOT NULL") {
        ColumnChange::DropNotNull
    } else if cursor.eat("COMMENT") {
        ColumnChange::SetComment(cursor.string("a comment")?)
    } else if cursor.eat("SET DEFAULT") {
        ColumnChange::SetDefault(cursor.source_expr()?)
    } else if cursor.eat("DROP DEFAULT") {
        ColumnChange::DropDefault
    } else if cursor.eat("SET MASK") {
        ColumnChange::SetMask(column_mask(cursor)?)
    } else if cursor.eat("DROP MASK") {
        ColumnChange::DropMask
    } else if cursor.eat("SET TAGS") {
        ColumnChange::SetTags(tags(cursor)?)
    } else if cursor.eat("UNSET TAGS") {
        ColumnChange::UnsetTags(cursor.parens(|cursor| cursor.string("a tag"))?)
    } else if cursor.eat("SYNC IDENTITY") {
        ColumnChange::SyncIdentity
    } else {
        return Err(cursor.error("TYPE, COMMENT, SET, DROP, FIRST, AFTER or SYNC IDENTITY"));
    })
}

/// `COMMENT ON { kind name | COLUMN table.column } IS { 'text' | NULL }`
pub(super) fn comment_on(cursor: &mut Cursor<'_>) -> Result<Statement> {
    cursor.expect("ON")?;
    let target = if cursor.eat("COLUMN") {
        let start = cursor.position();
        let mut path = cursor.path("a column")?;
        let column = path.pop().unwrap_or_default();
        if path.is_empty() || path.len() > 3 {
            let error = super::error::SyntaxError::syntax("a column's full name has the form table.column");
            return Err(cursor.place(error, start));
        }
        CommentTarget::Column(Name(path), column)
    } else {
        let kind = cursor.eat_one_of(OBJECT_KINDS);
        let kind = kind.ok_or_else(|| cursor.error("TABLE, VIEW, COLUMN, SCHEMA, CATALOG, VOLUME or FUNCTION"))?;
        CommentTarget::Object(kind, cursor.name("the name")?)
    };
    cursor.expect("IS")?;
    let comment = if cursor.eat("NULL") { None } else { Some(cursor.string("a comment")?) };
    Ok(Statement::CommentOn(CommentOn { target, comment }))
}
