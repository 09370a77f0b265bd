//! CREATE TABLE, VIEW, FUNCTION, SCHEMA, CATALOG, VOLUME, and the columns and constraints that ALTER shares.

use sqlparser::tokenizer::Token;

use super::{
    cursor::{Cursor, Result},
    error::SyntaxError,
    statement::{
        CloneTable, ClusterBy, ColumnDefinition, ColumnMask, ConstraintKind, CreateCatalog, CreateFunction,
        CreateSchema, CreateTable, CreateView, CreateVolume, FunctionParameter, Generated, MaskArgument, Name,
        Properties, Statement, TableConstraint, ViewColumn,
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
            return Err(cursor.unsupported(&format!("CREATE TEMPORARY {kind}"), "use CREATE TEMPORARY VIEW"));
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
            return Err(
                cursor.unsupported("WITH ROW FILTER in CREATE TABLE", "use ALTER TABLE … SET ROW FILTER afterwards")
            );
        } else if cursor.sees("WITH TAGS") {
            return Err(cursor.unsupported("WITH TAGS in CREATE TABLE", "use ALTER TABLE … SET TAGS afterwards"));
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
                "add a generated column and partition by it, or use CLUSTER BY",
            ));
        }
        if !matches!(cursor.peek(), Token::Comma | Token::RParen) {
            let column = column_rest(cursor, name.clone(), None)?;
            table.columns.push(column);
        }
        Ok(name)
    })
}

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
                return Err(cursor.unsupported("a constraint here", "use ALTER TABLE … ADD CONSTRAINT"));
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
                "leave it out: keys inform, they are not checked; use MERGE to avoid duplicates",
            ));
        } else if !AS_IT_IS.iter().any(|words| cursor.eat(words)) {
            return Ok(rely);
        }
    }
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
