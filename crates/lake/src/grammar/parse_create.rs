//! CREATE TABLE, VIEW, FUNCTION, SCHEMA, CATALOG, VOLUME.

use sqlparser::tokenizer::Token;

use super::{
    cursor::{Cursor, Result},
    error::SyntaxError,
    parse_columns::{cluster_by, column_rest, constraint, sees_constraint},
    statement::{
        CloneTable, CreateCatalog, CreateFunction, CreateSchema, CreateTable, CreateView, CreateVolume,
        FunctionParameter, Name, Properties, Statement, ViewColumn,
    },
};

/// After CREATE, or after REPLACE in `REPLACE TABLE`, which must find the table (`CREATE OR REPLACE` need not).
pub(super) fn create(cursor: &mut Cursor<'_>, replace_only: bool) -> Result<Statement> {
    if replace_only {
        return Err(cursor.unsupported("REPLACE without CREATE", "write CREATE OR REPLACE"));
    }
    let or_replace = cursor.eat("OR REPLACE");
    let external = cursor.eat("EXTERNAL");
    let temporary = !external && (cursor.eat("TEMPORARY") || cursor.eat("TEMP"));
    let header = Header { or_replace, temporary };
    if cursor.eat("VOLUME") {
        header.only(cursor, "VOLUME", false, false)?;
        return volume(cursor, external);
    }
    if cursor.eat("TABLE") {
        header.only(cursor, "TABLE", true, false)?;
        return table(cursor, or_replace, external);
    }
    if external {
        return Err(cursor.error("TABLE or VOLUME"));
    }
    if cursor.eat("VIEW") {
        return view(cursor, header);
    }
    if cursor.eat("FUNCTION") {
        return function(cursor, header);
    }
    if cursor.eat("SCHEMA") || cursor.eat("DATABASE") {
        header.only(cursor, "SCHEMA", false, false)?;
        return schema(cursor);
    }
    if cursor.eat("CATALOG") {
        header.only(cursor, "CATALOG", false, false)?;
        return catalog(cursor);
    }
    Err(cursor.error("TABLE, VIEW, FUNCTION, SCHEMA, CATALOG or VOLUME"))
}

/// The words between CREATE and the kind of object.
#[derive(Clone, Copy)]
struct Header {
    or_replace: bool,
    temporary: bool,
}

impl Header {
    fn only(self, cursor: &Cursor<'_>, kind: &str, or_replace: bool, temporary: bool) -> Result<()> {
        if self.or_replace && !or_replace {
            return Err(
                cursor.unsupported(&format!("CREATE OR REPLACE {kind}"), "use CREATE … IF NOT EXISTS, or DROP first")
            );
        }
        if self.temporary && !temporary {
            return Err(cursor.unsupported(
                &format!("CREATE TEMPORARY {kind}"),
                "use WITH inside the statement, or drop it afterwards",
            ));
        }
        Ok(())
    }
}

fn exclusive(cursor: &Cursor<'_>, or_replace: bool, if_not_exists: bool) -> Result<()> {
    if or_replace && if_not_exists {
        let error = SyntaxError::syntax("OR REPLACE and IF NOT EXISTS exclude each other");
        return Err(cursor.place(error, cursor.position().saturating_sub(1)));
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------- tables

fn table(cursor: &mut Cursor<'_>, or_replace: bool, external: bool) -> Result<Statement> {
    let if_not_exists = cursor.if_not_exists();
    exclusive(cursor, or_replace, if_not_exists)?;
    let name = cursor.name("the table's name")?;
    if let Some(shallow) = cursor.eat_one_of(&[("SHALLOW CLONE", true), ("DEEP CLONE", false), ("CLONE", false)]) {
        return clone_table(cursor, name, or_replace, if_not_exists, shallow);
    }
    let mut table = CreateTable {
        name,
        or_replace,
        if_not_exists,
        external,
        columns: Vec::new(),
        constraints: Vec::new(),
        using: None,
        partitioned_by: Vec::new(),
        cluster_by: None,
        location: None,
        comment: None,
        properties: Vec::new(),
        options: Vec::new(),
        query: None,
        like: None,
    };
    if cursor.eat("LIKE") {
        table.like = Some(cursor.name("the other table's name")?);
    } else if cursor.sees_token(&Token::LParen) && !cursor.sees_query() {
        columns_and_constraints(cursor, &mut table)?;
    }
    table_clauses(cursor, &mut table)?;
    let as_query = cursor.eat("AS");
    if as_query || cursor.sees_query() {
        if table.like.is_some() {
            return Err(cursor.error("the end of the statement (LIKE and a query exclude each other)"));
        }
        table.query = Some(cursor.query()?);
    }
    Ok(Statement::CreateTable(Box::new(table)))
}

fn clone_table(
    cursor: &mut Cursor<'_>,
    name: Name,
    or_replace: bool,
    if_not_exists: bool,
    shallow: bool,
) -> Result<Statement> {
    let source = cursor.name("the source table's name")?;
    let properties = if cursor.eat("TBLPROPERTIES") { cursor.properties()? } else { Vec::new() };
    let location = if cursor.eat("LOCATION") { Some(cursor.string("a path")?) } else { None };
    Ok(Statement::CloneTable(CloneTable { name, or_replace, if_not_exists, shallow, source, location, properties }))
}

fn columns_and_constraints(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Result<()> {
    cursor.expect_token(&Token::LParen)?;
    loop {
        if sees_constraint(cursor) {
            let constraint = constraint(cursor)?;
            table.constraints.push(constraint);
        } else {
            let name = cursor.ident("a column's name")?;
            let column = column_rest(cursor, name, Some(&mut table.constraints))?;
            table.columns.push(column);
        }
        if !cursor.eat_token(&Token::Comma) {
            return cursor.expect_token(&Token::RParen);
        }
    }
}

fn table_clauses(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Result<()> {
    let (mut partitioned_by, mut properties, mut options) = (None, None, None);
    loop {
        if cursor.eat("USING") {
            let value = cursor.ident("a table format")?.to_ascii_lowercase();
            cursor.once(&mut table.using, value, "USING")?;
        } else if cursor.eat("PARTITIONED BY") {
            let value = partition_columns(cursor, table)?;
            cursor.once(&mut partitioned_by, value, "PARTITIONED BY")?;
        } else if cursor.eat("CLUSTER BY") {
            let value = cluster_by(cursor)?;
            cursor.once(&mut table.cluster_by, value, "CLUSTER BY")?;
        } else if cursor.eat("LOCATION") {
            let value = cursor.string("a path")?;
            cursor.once(&mut table.location, value, "LOCATION")?;
            if cursor.sees("WITH") {
                return Err(cursor.unsupported(
                    "LOCATION … WITH CREDENTIAL",
                    "leave it out: the external location names its credential",
                ));
            }
        } else if cursor.eat("COMMENT") {
            let value = cursor.string("a comment")?;
            cursor.once(&mut table.comment, value, "COMMENT")?;
        } else if cursor.eat("TBLPROPERTIES") {
            let value = cursor.properties()?;
            cursor.once(&mut properties, value, "TBLPROPERTIES")?;
        } else if cursor.eat("OPTIONS") {
            let value = cursor.properties()?;
            cursor.once(&mut options, value, "OPTIONS")?;
        } else if cursor.sees("WITH ROW FILTER") {
            return Err(cursor.unsupported(
                "WITH ROW FILTER in CREATE TABLE",
                "row filters are not available yet; grant a view that leaves rows out",
            ));
        } else if cursor.sees("WITH TAGS") {
            return Err(cursor.unsupported(
                "WITH TAGS in CREATE TABLE",
                "tags are not available yet; write COMMENT or TBLPROPERTIES",
            ));
        } else {
            break;
        }
    }
    table.partitioned_by = partitioned_by.unwrap_or_default();
    table.properties = properties.unwrap_or_default();
    table.options = options.unwrap_or_default();
    if !table.partitioned_by.is_empty() && table.cluster_by.is_some() {
        let error = SyntaxError::syntax("PARTITIONED BY and CLUSTER BY exclude each other");
        return Err(cursor.place(error, cursor.position().saturating_sub(1)));
    }
    Ok(())
}

/// `(p, q)`, or `(p INT, q DATE)`, which adds the columns to the table as Hive's syntax did.
fn partition_columns(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Result<Vec<String>> {
    cursor.parens(|cursor| {
        let name = cursor.ident("a column")?;
        if cursor.sees_token(&Token::LParen) {
            return Err(cursor.unsupported(
                "a partition transform",
                "write the value into a column of its own, and partition by it",
            ));
        }
        if !matches!(cursor.peek(), Token::Comma | Token::RParen) {
            let column = column_rest(cursor, name.clone(), None)?;
            table.columns.push(column);
        }
        Ok(name)
    })
}

// ---------------------------------------------------------------------------------------------- the others

fn view(cursor: &mut Cursor<'_>, header: Header) -> Result<Statement> {
    let Header { or_replace, temporary } = header;
    let if_not_exists = cursor.if_not_exists();
    exclusive(cursor, or_replace, if_not_exists)?;
    let name = cursor.name("the view's name")?;
    let columns = if cursor.sees_token(&Token::LParen) { cursor.parens(view_column)? } else { Vec::new() };
    let (mut comment, mut properties) = (None, None);
    loop {
        if cursor.eat("COMMENT") {
            let value = cursor.string("a comment")?;
            cursor.once(&mut comment, value, "COMMENT")?;
        } else if cursor.eat("TBLPROPERTIES") {
            let value = cursor.properties()?;
            cursor.once(&mut properties, value, "TBLPROPERTIES")?;
        } else if cursor.eat("WITH SCHEMA") {
            // The view keeps its columns; a change underneath fails when the view is read.
            if !cursor.eat("BINDING") {
                return Err(cursor.unsupported(
                    "WITH SCHEMA other than BINDING",
                    "leave it out, and replace the view when its tables change",
                ));
            }
        } else if cursor.sees("WITH METRICS") || cursor.sees("LANGUAGE") {
            return Err(cursor.unsupported("a metric view", "use a plain view with the aggregates"));
        } else if cursor.sees("USING") {
            return Err(cursor.unsupported("CREATE TEMPORARY VIEW … USING", "write AS SELECT * FROM read_files(…)"));
        } else {
            break;
        }
    }
    cursor.expect("AS")?;
    let (query, text) = cursor.source_query()?;
    Ok(Statement::CreateView(Box::new(CreateView {
        name,
        or_replace,
        if_not_exists,
        temporary,
        columns,
        comment,
        properties: properties.unwrap_or_default(),
        query,
        text,
    })))
}

fn view_column(cursor: &mut Cursor<'_>) -> Result<ViewColumn> {
    let name = cursor.ident("a column's name")?;
    let comment = if cursor.eat("COMMENT") { Some(cursor.string("a comment")?) } else { None };
    Ok(ViewColumn { name, comment })
}

fn function(cursor: &mut Cursor<'_>, header: Header) -> Result<Statement> {
    let Header { or_replace, temporary } = header;
    let if_not_exists = cursor.if_not_exists();
    exclusive(cursor, or_replace, if_not_exists)?;
    let name = cursor.name("the function's name")?;
    cursor.expect_token(&Token::LParen)?;
    let parameters = if cursor.sees_token(&Token::RParen) { Vec::new() } else { cursor.list(function_parameter)? };
    cursor.expect_token(&Token::RParen)?;
    let (mut returns, mut comment, mut deterministic) = (None, None, None);
    loop {
        if cursor.eat("RETURNS") {
            if cursor.sees("TABLE") {
                return Err(cursor.unsupported("a function that returns a table", "use a view"));
            }
            let value = cursor.data_type()?;
            cursor.once(&mut returns, value, "RETURNS")?;
        } else if cursor.eat("COMMENT") {
            let value = cursor.string("a comment")?;
            cursor.once(&mut comment, value, "COMMENT")?;
        } else if let Some(value) = cursor.eat_one_of(&[("NOT DETERMINISTIC", false), ("DETERMINISTIC", true)]) {
            cursor.once(&mut deterministic, value, "DETERMINISTIC")?;
        } else if cursor.sees("LANGUAGE") && !cursor.sees("LANGUAGE SQL") {
            return Err(cursor.unsupported(
                "a function in another language",
                "write the function in SQL, or compute in a notebook or job",
            ));
        } else if !["LANGUAGE SQL", "CONTAINS SQL", "READS SQL DATA"].iter().any(|words| cursor.eat(words)) {
            break;
        }
    }
    if cursor.sees("AS") {
        return Err(
            cursor.unsupported("a function whose body is not RETURN expression", "write RETURN and one expression")
        );
    }
    cursor.expect("RETURN")?;
    let body = if cursor.sees("SELECT") || cursor.sees("WITH") {
        return Err(cursor.unsupported("RETURN with a bare query", "put the query into parentheses"));
    } else {
        cursor.source_expr()?
    };
    Ok(Statement::CreateFunction(Box::new(CreateFunction {
        name,
        or_replace,
        if_not_exists,
        temporary,
        parameters,
        returns,
        comment,
        deterministic,
        body,
    })))
}

fn function_parameter(cursor: &mut Cursor<'_>) -> Result<FunctionParameter> {
    let name = cursor.ident("a parameter's name")?;
    let data_type = cursor.data_type()?;
    let default = if cursor.eat("DEFAULT") { Some(cursor.source_expr()?) } else { None };
    let comment = if cursor.eat("COMMENT") { Some(cursor.string("a comment")?) } else { None };
    Ok(FunctionParameter { name, data_type, default, comment })
}

fn schema(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name("the schema's name")?;
    let (mut comment, mut managed_location, mut properties) = (None, None, None::<Properties>);
    loop {
        if cursor.eat("COMMENT") {
            let value = cursor.string("a comment")?;
            cursor.once(&mut comment, value, "COMMENT")?;
        } else if cursor.eat("MANAGED LOCATION") {
            let value = cursor.string("a path")?;
            cursor.once(&mut managed_location, value, "MANAGED LOCATION")?;
        } else if cursor.eat("WITH DBPROPERTIES") {
            let value = cursor.properties()?;
            cursor.once(&mut properties, value, "WITH DBPROPERTIES")?;
        } else if cursor.sees("LOCATION") {
            return Err(cursor.unsupported("LOCATION of a schema", "write MANAGED LOCATION"));
        } else {
            break;
        }
    }
    Ok(Statement::CreateSchema(CreateSchema {
        name,
        if_not_exists,
        comment,
        managed_location,
        properties: properties.unwrap_or_default(),
    }))
}

fn catalog(cursor: &mut Cursor<'_>) -> Result<Statement> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name("the catalog's name")?;
    let (mut comment, mut managed_location) = (None, None);
    loop {
        if cursor.eat("COMMENT") {
            let value = cursor.string("a comment")?;
            cursor.once(&mut comment, value, "COMMENT")?;
        } else if cursor.eat("MANAGED LOCATION") {
            let value = cursor.string("a path")?;
            cursor.once(&mut managed_location, value, "MANAGED LOCATION")?;
        } else if cursor.sees("USING SHARE") {
            return Err(
                cursor.unsupported("CREATE CATALOG … USING SHARE", "read the share with a Delta Sharing client")
            );
        } else {
            break;
        }
    }
    Ok(Statement::CreateCatalog(CreateCatalog { name, if_not_exists, comment, managed_location }))
}

fn volume(cursor: &mut Cursor<'_>, external: bool) -> Result<Statement> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name("the volume's name")?;
    let external_location = if external {
        cursor.expect("LOCATION")?;
        Some(cursor.string("a path")?)
    } else if cursor.sees("LOCATION") {
        return Err(cursor.error("COMMENT or the end (a LOCATION is for CREATE EXTERNAL VOLUME)"));
    } else {
        None
    };
    let comment = if cursor.eat("COMMENT") { Some(cursor.string("a comment")?) } else { None };
    Ok(Statement::CreateVolume(CreateVolume { name, if_not_exists, external_location, comment }))
}
