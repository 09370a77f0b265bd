//! Parameters into both drivers, rows out of them.
//!
//! What only one of the databases would take is refused here for both, so that no caller depends on which one is
//! configured: a NUL in a text (PostgreSQL fails), NaN and infinities in a double (SQLite keeps NaN as NULL).

use sea_query::{PostgresQueryBuilder, SelectStatement, SqliteQueryBuilder};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Column, Executor, Postgres, Row as _, SqlSafeStr, Sqlite, TypeInfo, ValueRef};

use crate::StoreError;
use crate::value::{Row, Value};

pub(crate) async fn sqlite_rows<'e>(
    on: impl Executor<'e, Database = Sqlite>,
    sql: &'static str,
    params: Vec<Value>,
) -> Result<Vec<Row>, StoreError> {
    bind_sqlite(sql, params)?.fetch_all(on).await?.iter().map(sqlite_row).collect()
}

pub(crate) async fn postgres_rows<'e>(
    on: impl Executor<'e, Database = Postgres>,
    sql: &'static str,
    params: Vec<Value>,
) -> Result<Vec<Row>, StoreError> {
    bind_postgres(sql, params)?.fetch_all(on).await?.iter().map(postgres_row).collect()
}

/// Runs a query that was built from parts. Its text has no values in it: sea-query gives them beside it.
pub(crate) async fn sqlite_select<'e>(
    on: impl Executor<'e, Database = Sqlite>,
    select: &SelectStatement,
) -> Result<Vec<Row>, StoreError> {
    sqlite_built(select)?.fetch_all(on).await?.iter().map(sqlite_row).collect()
}

/// [`sqlite_select`] for PostgreSQL.
pub(crate) async fn postgres_select<'e>(
    on: impl Executor<'e, Database = Postgres>,
    select: &SelectStatement,
) -> Result<Vec<Row>, StoreError> {
    postgres_built(select)?.fetch_all(on).await?.iter().map(postgres_row).collect()
}

/// A built query with its values, ready to be run.
pub(crate) fn sqlite_built(select: &SelectStatement) -> Result<Query<'static, Sqlite, SqliteArguments>, StoreError> {
    let (sql, values) = select.build(SqliteQueryBuilder);
    let persistent = sql.len() < MAX_KEPT;
    Ok(bind_sqlite(AssertSqlSafe(sql), built(values)?)?.persistent(persistent))
}

/// [`sqlite_built`] for PostgreSQL.
pub(crate) fn postgres_built(select: &SelectStatement) -> Result<Query<'static, Postgres, PgArguments>, StoreError> {
    let (sql, values) = select.build(PostgresQueryBuilder);
    let persistent = sql.len() < MAX_KEPT;
    Ok(bind_postgres(AssertSqlSafe(sql), built(values)?)?.persistent(persistent))
}

/// Longer texts, in bytes, are prepared for one use: the connections keep some hundred of them, and hardly one comes again.
const MAX_KEPT: usize = 4096;

/// What a built query may have: SQLite takes 32,766.
const MAX_PARAMETERS: usize = 30_000;

/// sea-query's values as ours; those of other types are none that a column holds.
fn built(values: sea_query::Values) -> Result<Vec<Value>, StoreError> {
    use sea_query::Value as Built;
    let ours = |value| {
        Ok(match value {
            Built::Bool(value) => Value::Int(value.map(i64::from)),
            Built::Int(value) => Value::Int(value.map(i64::from)),
            Built::BigInt(value) => Value::Int(value),
            Built::BigUnsigned(value) => Value::Int(value.and_then(|value| i64::try_from(value).ok())),
            Built::Double(value) => Value::Real(value),
            Built::String(value) => Value::Text(value),
            Built::Bytes(value) => Value::Blob(value),
            _ => return Err(StoreError::Unstorable("a parameter of a type that no column has")),
        })
    };
    let found = values.0.len();
    if found > MAX_PARAMETERS {
        return Err(StoreError::TooManyParameters { found, most: MAX_PARAMETERS });
    }
    values.0.into_iter().map(ours).collect()
}

pub(crate) fn bind_sqlite(
    sql: impl SqlSafeStr,
    params: Vec<Value>,
) -> Result<Query<'static, Sqlite, SqliteArguments>, StoreError> {
    params.into_iter().try_fold(sqlx::query(sql), |query, value| {
        Ok(match storable(value)? {
            Value::Int(value) => query.bind(value),
            Value::Real(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Blob(value) => query.bind(value),
        })
    })
}

pub(crate) fn bind_postgres(
    sql: impl SqlSafeStr,
    params: Vec<Value>,
) -> Result<Query<'static, Postgres, PgArguments>, StoreError> {
    params.into_iter().try_fold(sqlx::query(sql), |query, value| {
        Ok(match storable(value)? {
            Value::Int(value) => query.bind(value),
            Value::Real(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Blob(value) => query.bind(value),
        })
    })
}

/// A value that both databases keep.
pub(crate) fn storable(value: Value) -> Result<Value, StoreError> {
    match &value {
        Value::Text(Some(text)) if text.contains('\0') => Err(StoreError::Unstorable("a text with a NUL character")),
        Value::Real(Some(number)) if !number.is_finite() => Err(StoreError::Unstorable("a number that is not finite")),
        _ => Ok(value),
    }
}

pub(crate) fn sqlite_row(row: &SqliteRow) -> Result<Row, StoreError> {
    let value = |column: usize| -> Result<Value, StoreError> {
        let raw = row.try_get_raw(column)?;
        if raw.is_null() {
            return Ok(Value::Text(None));
        }
        let kind = raw.type_info().name().to_owned();
        Ok(match kind.as_str() {
            "INTEGER" | "BOOLEAN" => Value::Int(row.try_get_unchecked(column)?),
            "REAL" => Value::Real(row.try_get_unchecked(column)?),
            "BLOB" => Value::Blob(row.try_get_unchecked(column)?),
            _ => Value::Text(row.try_get_unchecked(column)?),
        })
    };
    (0..row.len()).map(value).collect::<Result<_, _>>().map(Row)
}

pub(crate) fn postgres_row(row: &PgRow) -> Result<Row, StoreError> {
    let value = |column: usize| -> Result<Value, StoreError> {
        Ok(match row.column(column).type_info().name() {
            "INT8" => Value::Int(row.try_get(column)?),
            "INT4" => Value::Int(row.try_get::<Option<i32>, _>(column)?.map(i64::from)),
            "BOOL" => Value::Int(row.try_get::<Option<bool>, _>(column)?.map(i64::from)),
            "FLOAT8" => Value::Real(row.try_get(column)?),
            "BYTEA" => Value::Blob(row.try_get(column)?),
            "TEXT" | "VARCHAR" => Value::Text(row.try_get(column)?),
            // NUMERIC and the like: an expression that the statement forgot to cast.
            _ => {
                return Err(StoreError::Shape { column, wanted: "of one of our four types", found: "of another type" });
            }
        })
    };
    (0..row.len()).map(value).collect::<Result<_, _>>().map(Row)
}
