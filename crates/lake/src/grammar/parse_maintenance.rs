//! VACUUM, OPTIMIZE, RESTORE, ANALYZE, REFRESH TABLE.

use sqlparser::tokenizer::Token;

use super::{
    cursor::{Cursor, Result},
    statement::{Analyze, AnalyzeColumns, Optimize, Restore, Statement, TableVersion, Vacuum},
};

pub(super) fn vacuum(cursor: &mut Cursor<'_>) -> Result<Statement> {
    cursor.eat("TABLE");
    let table = cursor.name("the table's name")?;
    let (mut retain_hours, mut dry_run, mut lite) = (None, None, None);
    loop {
        if cursor.eat("RETAIN") {
            let value = hours(cursor)?;
            cursor.once(&mut retain_hours, value, "RETAIN")?;
        } else if cursor.eat("DRY RUN") {
            cursor.once(&mut dry_run, true, "DRY RUN")?;
        } else if let Some(value) = cursor.eat_one_of(&[("LITE", true), ("FULL", false)]) {
            cursor.once(&mut lite, value, "LITE or FULL")?;
        } else if cursor.sees("USING INVENTORY") {
            return Err(cursor.unsupported("USING INVENTORY", "leave it out, or write LITE"));
        } else {
            break;
        }
    }
    Ok(Statement::Vacuum(Vacuum {
        table,
        retain_hours,
        dry_run: dry_run.unwrap_or(false),
        lite: lite.unwrap_or(false),
    }))
}

fn hours(cursor: &mut Cursor<'_>) -> Result<f64> {
    let hours = match cursor.peek() {
        Token::Number(digits, _) => digits.parse::<f64>().ok().filter(|hours| hours.is_finite()),
        _ => None,
    };
    let hours = hours.ok_or_else(|| cursor.error("a number of hours"))?;
    cursor.skip(1);
    cursor.expect("HOURS")?;
    Ok(hours)
}

pub(super) fn optimize(cursor: &mut Cursor<'_>) -> Result<Statement> {
    cursor.eat("TABLE");
    let table = cursor.name("the table's name")?;
    let full = cursor.eat("FULL");
    let condition = if cursor.eat("WHERE") { Some(cursor.expr()?) } else { None };
    let zorder_by = if cursor.eat("ZORDER BY") {
        let column = |cursor: &mut Cursor<'_>| cursor.path("a column");
        if cursor.sees_token(&Token::LParen) { cursor.parens(column)? } else { cursor.list(column)? }
    } else {
        Vec::new()
    };
    Ok(Statement::Optimize(Optimize { table, full, condition, zorder_by }))
}

pub(super) fn restore(cursor: &mut Cursor<'_>) -> Result<Statement> {
    cursor.eat("TABLE");
    let table = cursor.name("the table's name")?;
    cursor.eat("TO");
    let to = if cursor.eat("VERSION AS OF") {
        TableVersion::Version(cursor.whole_number("a version")?)
    } else if cursor.eat("TIMESTAMP AS OF") {
        TableVersion::Timestamp(cursor.expr()?)
    } else {
        let error = super::error::SyntaxError::syntax("RESTORE needs VERSION AS OF or TIMESTAMP AS OF");
        return Err(cursor.place(error, cursor.position()));
    };
    Ok(Statement::Restore(Restore { table, to }))
}

pub(super) fn analyze(cursor: &mut Cursor<'_>) -> Result<Statement> {
    if cursor.sees("TABLES") {
        return Err(cursor.unsupported("ANALYZE TABLES", "analyze one table at a time"));
    }
    cursor.expect("TABLE")?;
    let table = cursor.name("the table's name")?;
    if cursor.sees("PARTITION") {
        return Err(cursor.unsupported("ANALYZE … PARTITION", "analyze the whole table"));
    }
    cursor.expect("COMPUTE")?;
    let delta = cursor.eat("DELTA");
    cursor.expect("STATISTICS")?;
    let mut columns = if delta { AnalyzeColumns::Delta } else { AnalyzeColumns::None };
    let no_scan = !delta && cursor.eat("NOSCAN");
    if !delta && !no_scan {
        if cursor.eat("FOR ALL COLUMNS") {
            columns = AnalyzeColumns::All;
        } else if cursor.eat("FOR COLUMNS") {
            columns = AnalyzeColumns::These(cursor.list(|cursor| cursor.ident("a column"))?);
        }
    }
    Ok(Statement::Analyze(Analyze { table, columns, no_scan }))
}

pub(super) fn refresh(cursor: &mut Cursor<'_>) -> Result<Statement> {
    cursor.eat("TABLE");
    cursor.name("the table's name").map(Statement::RefreshTable)
}
