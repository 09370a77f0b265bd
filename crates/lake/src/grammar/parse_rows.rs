//! INSERT, COPY INTO, DELETE, UPDATE, MERGE, TRUNCATE.

use sqlparser::{
    ast::{
        Expr, GroupByExpr, ObjectName, Query, Select, SelectFlavor, SelectItem, SetExpr, TableFactor, TableWithJoins,
        WildcardAdditionalOptions, helpers::attached_token::AttachedToken,
    },
    tokenizer::Token,
};

use super::{
    cursor::{Cursor, Result},
    error::SyntaxError,
    statement::{
        Assignment, CopyInto, CopySource, Delete, Insert, Merge, MergeAction, MergeClause, MergeMatch, Name, Statement,
        Truncate, Update,
    },
};

/// `WITH q AS (…) INSERT INTO …`: Spark allows it; one way to write it is enough.
pub(super) fn with_before_insert(cursor: &Cursor<'_>) -> Option<SyntaxError> {
    if !cursor.sees("WITH") {
        return None;
    }
    let mut depth = 0_usize;
    for n in 0.. {
        match cursor.peek_nth(n) {
            Token::EOF => return None,
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 && n > 0 && word.quote_style.is_none() => {
                let after_query = *cursor.peek_nth(n - 1) == Token::RParen;
                let word = word.value.to_ascii_uppercase();
                if after_query && ["INSERT", "UPDATE", "DELETE", "MERGE"].contains(&word.as_str()) {
                    let hint = format!("put WITH into the query: {word} … WITH … SELECT");
                    return Some(
                        cursor.place(
                            SyntaxError::unsupported(format!("WITH before {word}"), hint),
                            cursor.position() + n,
                        ),
                    );
                }
            }
            _ => {}
        }
    }
    None
}

pub(super) fn insert(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.sees("WITH SCHEMA EVOLUTION") {
        return Err(cursor.error("INTO"));
    }
    let overwrite = cursor.eat("OVERWRITE");
    if overwrite && (cursor.sees("DIRECTORY") || cursor.sees("LOCAL DIRECTORY")) {
        return Err(cursor.unsupported("INSERT OVERWRITE DIRECTORY", "insert into a table with a LOCATION"));
    }
    if !overwrite {
        cursor.expect("INTO")?;
    }
    cursor.eat("TABLE");
    let table = cursor.name("the table's name")?;
    let partition = if cursor.eat("PARTITION") {
        cursor.parens(|cursor| {
            let column = cursor.ident("a partition column")?;
            let value = if cursor.eat_token(&Token::Eq) { Some(cursor.expr()?) } else { None };
            Ok((column, value))
        })?
    } else {
        Vec::new()
    };
    if cursor.sees("IF NOT EXISTS") {
        return Err(cursor
            .unsupported("IF NOT EXISTS after PARTITION", "use INSERT INTO, with WHERE NOT EXISTS (…) in the query"));
    }
    let mut by_name = cursor.eat("BY NAME");
    let mut columns = Vec::new();
    if !by_name && cursor.sees_token(&Token::LParen) && !cursor.sees_query() {
        columns = cursor.parens(|cursor| cursor.ident("a column"))?;
        by_name = cursor.eat("BY NAME");
        if by_name {
            return Err(cursor.error("VALUES or a query (a column list and BY NAME exclude each other)"));
        }
    }
    let mut replace_where = None;
    if cursor.eat("REPLACE WHERE") {
        if overwrite {
            return Err(cursor.error("a query (INSERT OVERWRITE and REPLACE WHERE exclude each other)"));
        }
        replace_where = Some(cursor.expr()?);
    } else if cursor.sees("REPLACE USING") || cursor.sees("REPLACE ON") {
        return Err(cursor.unsupported("INSERT … REPLACE USING or ON", "use REPLACE WHERE condition"));
    }
    if cursor.sees("TABLE") {
        return Err(cursor.unsupported("TABLE as a query", "write SELECT * FROM the table"));
    }
    if cursor.sees("DEFAULT VALUES") {
        return Err(cursor.unsupported("DEFAULT VALUES", "write VALUES (DEFAULT, …)"));
    }
    if !cursor.sees_query() {
        return Err(cursor.error("VALUES or a query"));
    }
    Ok(Statement::Insert(Insert {
        table,
        columns,
        overwrite,
        by_name,
        replace_where,
        partition,
        source: cursor.query()?,
    }))
}

pub(super) fn copy_into(cursor: &mut Cursor<'_>) -> Result<Statement> {
    cursor.expect("INTO")?;
    let table = cursor.name("the table's name")?;
    if cursor.sees("BY POSITION") {
        return Err(cursor.unsupported("BY POSITION", "name the columns: COPY INTO table (columns) FROM …"));
    }
    let columns =
        if cursor.sees_token(&Token::LParen) { cursor.parens(|cursor| cursor.ident("a column"))? } else { Vec::new() };
    cursor.expect("FROM")?;
    let source = if cursor.eat_token(&Token::LParen) {
        let source = copy_query(cursor)?;
        cursor.expect_token(&Token::RParen)?;
        source
    } else {
        CopySource::Path(cursor.string("a path")?)
    };
    for clause in ["WITH", "VALIDATE"] {
        if cursor.sees(clause) {
            return Err(cursor.unsupported(
                &format!("COPY INTO … {clause}"),
                "leave it out: the server's own credentials read the path, and loading checks the files",
            ));
        }
    }
    cursor.expect("FILEFORMAT")?;
    cursor.expect_token(&Token::Eq)?;
    let file_format = cursor.ident("a file format")?.to_ascii_uppercase();
    let (mut files, mut pattern, mut format_options, mut copy_options) = (None, None, None, None);
    loop {
        if cursor.sees("VALIDATE") {
            return Err(cursor.unsupported("COPY INTO … VALIDATE", "leave it out: loading checks the files"));
        } else if cursor.eat("FILES") {
            cursor.expect_token(&Token::Eq)?;
            let value = cursor.parens(|cursor| cursor.string("a file's name"))?;
            cursor.once(&mut files, value, "FILES")?;
        } else if cursor.eat("PATTERN") {
            cursor.expect_token(&Token::Eq)?;
            let value = cursor.string("a pattern")?;
            cursor.once(&mut pattern, value, "PATTERN")?;
        } else if cursor.eat("FORMAT_OPTIONS") {
            let value = cursor.properties()?;
            cursor.once(&mut format_options, value, "FORMAT_OPTIONS")?;
        } else if cursor.eat("COPY_OPTIONS") {
            let value = cursor.properties()?;
            cursor.once(&mut copy_options, value, "COPY_OPTIONS")?;
        } else {
            break;
        }
    }
    if files.is_some() && pattern.is_some() {
        return Err(SyntaxError::syntax("FILES and PATTERN exclude each other").at(1, 1));
    }
    Ok(Statement::CopyInto(CopyInto {
        table,
        columns,
        source,
        file_format,
        files: files.unwrap_or_default(),
        pattern,
        format_options: format_options.unwrap_or_default(),
        copy_options: copy_options.unwrap_or_default(),
    }))
}

/// `SELECT items FROM 'path' [alias]`: sqlparser has no paths in FROM, so it reads the query with the string made a
/// name, which `tokens` arranged (see `mod.rs`).
fn copy_query(cursor: &mut Cursor<'_>) -> Result<CopySource> {
    let start = cursor.position();
    let query = cursor.query()?;
    let path = match query.body.as_ref() {
        SetExpr::Select(select) => match select.from.as_slice() {
            [TableWithJoins { relation: TableFactor::Table { name, .. }, joins }] if joins.is_empty() => path_of(name),
            _ => None,
        },
        _ => None,
    };
    match path {
        Some(path) => Ok(CopySource::Query { query, path }),
        None => {
            let error = SyntaxError::syntax("the query of COPY INTO has the form SELECT … FROM 'path'");
            Err(cursor.place(error, start))
        }
    }
}

fn path_of(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [scheme, path] => {
            let (scheme, path) = (scheme.as_ident()?, path.as_ident()?);
            (scheme.value == super::PATH_SCHEME).then(|| path.value.clone())
        }
        _ => None,
    }
}

/// `[AS] alias`, when the next word is none of those that continue the statement.
fn alias(cursor: &mut Cursor<'_>, continuing: &[&str]) -> Result<Option<String>> {
    if cursor.eat("AS") {
        return cursor.ident("an alias").map(Some);
    }
    let continues = continuing.iter().any(|word| cursor.sees(word));
    if !continues && matches!(cursor.peek(), Token::Word(_)) {
        return cursor.ident("an alias").map(Some);
    }
    Ok(None)
}

const NO_CHANGE_OF_ROWS: &str =
    "MERGE, UPDATE and DELETE are not available yet; write the rows anew with INSERT OVERWRITE";

pub(super) fn delete(cursor: &mut Cursor<'_>) -> Result<Statement> {
    cursor.expect("FROM")?;
    let table = cursor.name("the table's name")?;
    let alias = alias(cursor, &["WHERE", "USING"])?;
    if cursor.sees("USING") {
        return Err(cursor.unsupported("DELETE … USING", NO_CHANGE_OF_ROWS));
    }
    let condition = if cursor.eat("WHERE") { Some(cursor.expr()?) } else { None };
    Ok(Statement::Delete(Delete { table, alias, condition }))
}

pub(super) fn update(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let table = cursor.name("the table's name")?;
    let alias = alias(cursor, &["SET"])?;
    cursor.expect("SET")?;
    let assignments = cursor.list(assignment)?;
    if cursor.sees("FROM") {
        return Err(cursor.unsupported("UPDATE … FROM", NO_CHANGE_OF_ROWS));
    }
    let condition = if cursor.eat("WHERE") { Some(cursor.expr()?) } else { None };
    Ok(Statement::Update(Update { table, alias, assignments, condition }))
}

fn assignment(cursor: &mut Cursor<'_>) -> Result<Assignment> {
    let column = cursor.path("a column")?;
    cursor.expect_token(&Token::Eq)?;
    Ok(Assignment { column, value: cursor.expr()? })
}

pub(super) fn merge(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let schema_evolution = cursor.eat("WITH SCHEMA EVOLUTION");
    cursor.expect("INTO")?;
    let target = cursor.name("the target table's name")?;
    let target_alias = alias(cursor, &["USING"])?;
    cursor.expect("USING")?;
    let start = cursor.position();
    let factor = cursor.table_factor()?;
    let Some(source_alias) = visible_name(&factor) else {
        let error = SyntaxError::syntax("the source of MERGE needs a name").with_hint("write USING (SELECT …) AS s");
        return Err(cursor.place(error, start));
    };
    cursor.expect("ON")?;
    let condition = cursor.expr()?;
    let mut clauses = Vec::new();
    while cursor.eat("WHEN") {
        clauses.push(merge_clause(cursor)?);
    }
    if clauses.is_empty() {
        return Err(cursor.error("WHEN MATCHED or WHEN NOT MATCHED"));
    }
    Ok(Statement::Merge(Box::new(Merge {
        target,
        target_alias,
        source: Box::new(select_all_from(factor)),
        source_alias,
        condition,
        clauses,
        schema_evolution,
    })))
}

fn visible_name(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { name, alias, .. } => match alias {
            Some(alias) => Some(alias.name.value.clone()),
            None => Some(name.0.last()?.as_ident()?.value.clone()),
        },
        TableFactor::Derived { alias, .. } => Some(alias.as_ref()?.name.value.clone()),
        _ => None,
    }
}

fn merge_clause(cursor: &mut Cursor<'_>) -> Result<MergeClause> {
    let when = if cursor.eat("MATCHED") {
        MergeMatch::Matched
    } else {
        cursor.expect("NOT MATCHED")?;
        if cursor.eat("BY SOURCE") {
            MergeMatch::NotMatchedBySource
        } else {
            cursor.eat("BY TARGET");
            MergeMatch::NotMatchedByTarget
        }
    };
    let condition = if cursor.eat("AND") { Some(cursor.expr()?) } else { None };
    cursor.expect("THEN")?;
    let action = match when {
        MergeMatch::NotMatchedByTarget => merge_insert(cursor)?,
        MergeMatch::Matched | MergeMatch::NotMatchedBySource if cursor.eat("DELETE") => MergeAction::Delete,
        MergeMatch::Matched | MergeMatch::NotMatchedBySource => {
            if !cursor.eat("UPDATE SET") {
                return Err(cursor.error("UPDATE SET or DELETE"));
            }
            if when == MergeMatch::Matched && cursor.eat_token(&Token::Mul) {
                MergeAction::UpdateAll
            } else {
                MergeAction::Update(cursor.list(assignment)?)
            }
        }
    };
    Ok(MergeClause { when, condition, action })
}

fn merge_insert(cursor: &mut Cursor<'_>) -> Result<MergeAction> {
    cursor.expect("INSERT")?;
    if cursor.eat_token(&Token::Mul) {
        return Ok(MergeAction::InsertAll);
    }
    let columns = cursor.parens(|cursor| cursor.path("a column"))?;
    cursor.expect("VALUES")?;
    let values: Vec<Expr> = cursor.parens(Cursor::expr)?;
    if columns.len() != values.len() {
        let error = SyntaxError::syntax(format!("INSERT names {} columns and {} values", columns.len(), values.len()));
        return Err(cursor.place(error, cursor.position().saturating_sub(1)));
    }
    Ok(MergeAction::Insert { columns, values })
}

pub(super) fn truncate(cursor: &mut Cursor<'_>) -> Result<Statement> {
    cursor.expect("TABLE")?;
    let table: Name = cursor.name("the table's name")?;
    if cursor.sees("PARTITION") {
        return Err(cursor.unsupported("TRUNCATE … PARTITION", super::refusals::NO_DELETE));
    }
    Ok(Statement::Truncate(Truncate { table }))
}

/// `SELECT * FROM factor`.
fn select_all_from(relation: TableFactor) -> Query {
    let all = SelectItem::Wildcard(WildcardAdditionalOptions::default());
    let select = Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: vec![all],
        exclude: None,
        into: None,
        from: vec![TableWithJoins { relation, joins: Vec::new() }],
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    };
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}
