//! `information_schema` of every catalog, and of all of them in `system`: what the caller may see, as tables.
//!
//! Columns and values are Databricks'. The rows are governed objects; the views do not list themselves. Objects that this
//! server does not have (functions, tags, keys, row filters, masks) have empty views, so that the tools that look for them
//! find none.
//!
//! Columns and properties are the catalog's copy of each table's log. One query per schema, never one per table.

mod privileges;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use crannog_governance::model::objects::{Container, Object, Table, TableType};
use crannog_governance::service::{catalogs as catalog_verbs, volumes as volume_verbs};
use crannog_security::actions::catalogs;
use crannog_security::{Decision, Kind, NameOf, Privilege, Reference, Rule};
use crannog_types::{Code, FullName, Result};
use serde_json::Value as Json;

use self::privileges::{Grants, metastore_privileges};
use super::Run;
use super::answer::{Cell, Columns, Type, batch};
use super::show::CHECK;
use crate::model::schema::{DataType, StructField, StructType};

type Rows = Vec<Vec<Cell>>;

macro_rules! columns {
    ($($kind:ident: $($name:ident)*;)*) => { &[$($((stringify!($name), Type::$kind)),*),*] };
}

/// The views and their columns.
pub(super) const VIEWS: &[(&str, Columns)] = &[
    ("catalog_privileges", columns! { Text: grantor grantee catalog_name privilege_type is_grantable inherited_from; }),
    ("catalog_tags", columns! { Text: catalog_name tag_name tag_value; }),
    (
        "catalogs",
        columns! {
            Text: catalog_name catalog_owner comment; Timestamp: created; Text: created_by; Timestamp: last_altered;
            Text: last_altered_by;
        },
    ),
    (
        "check_constraints",
        columns! {
            Text: constraint_catalog constraint_schema constraint_name check_clause sql_path comment;
        },
    ),
    ("column_masks", columns! { Text: table_catalog table_schema table_name column_name mask_name using_columns; }),
    ("column_tags", columns! { Text: catalog_name schema_name table_name column_name tag_name tag_value; }),
    (
        "columns",
        columns! {
            Text: table_catalog table_schema table_name column_name; Int: ordinal_position;
            Text: column_default is_nullable full_data_type data_type;
            Long: character_maximum_length character_octet_length;
            Int: numeric_precision numeric_precision_radix numeric_scale datetime_precision;
            Text: interval_type; Int: interval_precision; Long: maximum_cardinality;
            Text: is_identity identity_generation identity_start identity_increment identity_maximum identity_minimum
                identity_cycle is_generated generation_expression is_system_time_period_start is_system_time_period_end
                system_time_period_timestamp_generation is_updatable;
            Int: partition_index; Text: comment collation_catalog collation_schema collation_name;
        },
    ),
    (
        "constraint_column_usage",
        columns! {
            Text: table_catalog table_schema table_name column_name constraint_catalog constraint_schema constraint_name;
        },
    ),
    (
        "constraint_table_usage",
        columns! {
            Text: constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name;
        },
    ),
    ("information_schema_catalog_name", columns! { Text: catalog_name; }),
    (
        "key_column_usage",
        columns! {
            Text: constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name column_name;
            Int: ordinal_position position_in_unique_constraint;
        },
    ),
    (
        "metastore_privileges",
        columns! { Text: grantor grantee metastore_id privilege_type is_grantable inherited_from; },
    ),
    (
        "parameters",
        columns! {
            Text: specific_catalog specific_schema specific_name; Int: ordinal_position;
            Text: parameter_mode is_result as_locator parameter_name data_type full_data_type;
            Long: character_maximum_length character_octet_length;
            Int: numeric_precision numeric_precision_radix numeric_scale datetime_precision;
            Text: interval_type; Int: interval_precision; Long: maximum_cardinality; Text: parameter_default comment;
        },
    ),
    (
        "referential_constraints",
        columns! {
            Text: constraint_catalog constraint_schema constraint_name unique_constraint_catalog unique_constraint_schema
                unique_constraint_name match_option update_rule delete_rule;
        },
    ),
    (
        "routine_privileges",
        columns! {
            Text: grantor grantee specific_catalog specific_schema specific_name routine_catalog routine_schema routine_name
                privilege_type is_grantable inherited_from;
        },
    ),
    (
        "routines",
        columns! {
            Text: specific_catalog specific_schema specific_name routine_catalog routine_schema routine_name routine_owner
                routine_type data_type full_data_type;
            Long: character_maximum_length character_octet_length;
            Int: numeric_precision numeric_precision_radix numeric_scale datetime_precision;
            Text: interval_type; Int: interval_precision; Long: maximum_cardinality;
            Text: routine_body routine_definition external_name external_language parameter_style is_deterministic
                sql_data_access is_null_call security_type sql_path comment;
            Timestamp: created; Text: created_by; Timestamp: last_altered; Text: last_altered_by;
        },
    ),
    ("row_filters", columns! { Text: table_catalog table_schema table_name filter_name target_columns; }),
    (
        "schema_privileges",
        columns! {
            Text: grantor grantee catalog_name schema_name privilege_type is_grantable inherited_from;
        },
    ),
    ("schema_tags", columns! { Text: catalog_name schema_name tag_name tag_value; }),
    (
        "schemata",
        columns! {
            Text: catalog_name schema_name schema_owner comment; Timestamp: created; Text: created_by;
            Timestamp: last_altered; Text: last_altered_by;
        },
    ),
    (
        "table_constraints",
        columns! {
            Text: constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name constraint_type
                is_deferrable initially_deferred enforced;
        },
    ),
    (
        "table_privileges",
        columns! {
            Text: grantor grantee table_catalog table_schema table_name privilege_type is_grantable inherited_from;
        },
    ),
    ("table_tags", columns! { Text: catalog_name schema_name table_name tag_name tag_value; }),
    (
        "tables",
        columns! {
            Text: table_catalog table_schema table_name table_type is_insertable_into commit_action table_owner comment;
            Timestamp: created; Text: created_by; Timestamp: last_altered;
            Text: last_altered_by data_source_format storage_sub_directory storage_path;
        },
    ),
    (
        "views",
        columns! {
            Text: table_catalog table_schema table_name view_definition check_option is_updatable is_insertable_into sql_path
                is_materialized;
        },
    ),
    (
        "volume_privileges",
        columns! {
            Text: grantor grantee volume_catalog volume_schema volume_name privilege_type is_grantable inherited_from;
        },
    ),
    ("volume_tags", columns! { Text: catalog_name schema_name volume_name tag_name tag_value; }),
    (
        "volumes",
        columns! {
            Text: volume_catalog volume_schema volume_name volume_type volume_owner comment storage_location;
            Timestamp: created; Text: created_by; Timestamp: last_altered; Text: last_altered_by;
        },
    ),
];

/// The columns of a view; `None` when there is no such view. The name is folded.
pub(super) fn columns(view: &str) -> Option<Columns> {
    VIEWS.iter().find(|(name, _)| *name == view).map(|(_, columns)| *columns)
}

/// The rows of a view that the caller may see, of one catalog or of all; `None` when there is no such view.
///
/// # Errors
/// "Not found" for a catalog that is not there or not visible.
pub(super) async fn relation(
    run: &Run,
    catalog: Option<&str>,
    view: &str,
) -> Result<Option<(SchemaRef, Vec<RecordBatch>)>> {
    let Some(columns) = columns(view) else { return Ok(None) };
    let seen = match catalog {
        None => run.seen_catalogs().await?,
        Some(name) => {
            let permit = run.caller.ask::<catalogs::ReadMetadata>(NameOf::named(FullName::of([name]))).await?;
            vec![catalog_verbs::get(&run.lake.governance.db, &permit).await?]
        }
    };
    let mut rows = Rows::new();
    match view {
        "information_schema_catalog_name" => rows.push(vec![catalog.unwrap_or("system").into()]),
        "metastore_privileges" => metastore_privileges(run, &mut rows).await?,
        "catalogs" => rows.extend(seen.iter().map(|catalog| made(&catalog.object, Vec::new()))),
        _ => {
            for catalog in &seen {
                of_catalog(run, catalog, view, &mut rows).await?;
            }
        }
    }
    let (schema, batch) = batch(columns, &rows)?;
    Ok(Some((schema, vec![batch])))
}

async fn of_catalog(run: &Run, catalog: &Container, view: &str, rows: &mut Rows) -> Result<()> {
    let in_schemas = matches!(
        view,
        "schema_privileges"
            | "schemata"
            | "tables"
            | "columns"
            | "views"
            | "table_privileges"
            | "table_constraints"
            | "check_constraints"
            | "volumes"
            | "volume_privileges"
            | "constraint_table_usage"
    );
    if !in_schemas && view != "catalog_privileges" {
        return Ok(());
    }
    let grants = match view {
        "catalog_privileges" | "schema_privileges" | "table_privileges" | "volume_privileges" | "views" => {
            let Some(grants) = there(Grants::of_catalog(run, catalog).await)? else { return Ok(()) };
            Some(grants)
        }
        _ => None,
    };
    if view == "catalog_privileges" {
        rows.extend(grants.iter().flat_map(|grants| grants.rows(&catalog.object, Kind::Catalog, true)));
        return Ok(());
    }
    for schema in there(run.seen_schemas(&catalog.object.name).await)?.unwrap_or_default() {
        let name = &schema.object.name;
        match view {
            "schemata" => rows.push(made(&schema.object, Vec::new())),
            "schema_privileges" => {
                let gate = gate(run, Privilege::UseCatalog, Kind::Catalog, &catalog.object.name).await?;
                rows.extend(
                    grants.iter().flat_map(|grants| grants.under(None).rows(&schema.object, Kind::Schema, gate)),
                );
            }
            "volumes" => {
                for volume in there(run.seen_volumes(name).await)?.unwrap_or_default() {
                    let about = Reference::Id(Kind::Volume, volume.object.id);
                    let may_open = volume_verbs::may_open(&run.caller, &about).await?;
                    let kind = if volume.managed { "MANAGED" } else { "EXTERNAL" };
                    let mut cells = parts(&volume.object);
                    cells.extend([kind.into(), volume.object.owner.as_str().into()]);
                    cells.extend([volume.object.comment.clone().into(), may_open.then_some(volume.location).into()]);
                    rows.push(made(&volume.object, cells));
                }
            }
            "volume_privileges" => {
                let gate = gate(run, Privilege::UseSchema, Kind::Schema, name).await?;
                for volume in there(run.seen_volumes(name).await)?.unwrap_or_default() {
                    let of = grants
                        .iter()
                        .flat_map(|all| all.under(Some(&schema.object)).rows(&volume.object, Kind::Volume, gate));
                    rows.extend(of);
                }
            }
            _ => {
                let gate = grants.is_some() && gate(run, Privilege::UseSchema, Kind::Schema, name).await?;
                for table in there(run.seen_tables(name).await)?.unwrap_or_default() {
                    match (view, &grants) {
                        ("tables", _) => rows.push(table_cells(&table)),
                        ("columns", _) => column_rows(&table, rows)?,
                        ("views", Some(grants)) => {
                            let managed = grants.under(Some(&schema.object)).manages(&table.object, gate);
                            rows.extend(view_cells(&table, managed));
                        }
                        ("table_privileges", Some(grants)) => {
                            rows.extend(grants.under(Some(&schema.object)).rows(&table.object, Kind::Table, gate));
                        }
                        _ => constraint_rows(&table, view, rows),
                    }
                }
            }
        }
    }
    Ok(())
}

/// What was dropped between two looks, or was never visible, has no rows.
fn there<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(problem) if problem.code() == Code::NotFound => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Whether the caller passes a USE gate and those above it.
async fn gate(run: &Run, privilege: Privilege, kind: Kind, name: &FullName) -> Result<bool> {
    let (_, decision) = run.caller.explain(Rule::Holds(privilege), &Reference::Named(kind, name.clone())).await?;
    Ok(matches!(decision, Decision::Allowed(_)))
}

/// The parts of a name, each a cell.
fn parts(object: &Object) -> Vec<Cell> {
    object.name.parts().iter().map(|part| part.as_str().into()).collect()
}

/// The given cells (of a container: its name, owner and comment), then when and by whom it was made and changed.
fn made(object: &Object, mut cells: Vec<Cell>) -> Vec<Cell> {
    if cells.is_empty() {
        cells = parts(object);
        cells.extend([object.owner.as_str().into(), object.comment.clone().into()]);
    }
    cells.extend([object.created_at.into(), object.created_by.as_str().into()]);
    cells.extend([object.updated_at.into(), object.updated_by.as_str().into()]);
    cells
}

fn yes_no(flag: bool) -> Cell {
    if flag { "YES".into() } else { "NO".into() }
}

fn table_cells(table: &Table) -> Vec<Cell> {
    let mut cells = parts(&table.object);
    cells.extend([table.table_type.word().into(), yes_no(table.table_type != TableType::View), "PRESERVE".into()]);
    cells.extend([table.object.owner.as_str().into(), table.object.comment.clone().into()]);
    let mut cells = made(&table.object, cells);
    let format = table.format.clone().unwrap_or_else(|| "UNKNOWN_DATA_SOURCE_FORMAT".to_owned());
    // Where the files are is for DESCRIBE to tell, to those who may read them.
    cells.extend([format.into(), Cell::Null, Cell::Null]);
    cells
}

/// A view's row; its text is for those who manage it.
fn view_cells(table: &Table, managed: bool) -> Option<Vec<Cell>> {
    let view = table.view.as_ref()?;
    let text = Some(view.text.clone()).filter(|_| managed);
    let path = FullName::of([&view.catalog, &view.schema]).quoted();
    let mut cells = parts(&table.object);
    cells.extend([text.into(), "NONE".into(), "NO".into(), "NO".into(), path.into(), "NO".into()]);
    Some(cells)
}

/// The CHECK constraints of tables that another engine made.
fn constraint_rows(table: &Table, view: &str, rows: &mut Rows) {
    let [catalog, schema] = [0, 1].map(|at| Cell::from(table.object.name.parts().get(at).cloned()));
    for (key, expression) in &table.properties {
        let Some(name) = key.strip_prefix(CHECK) else { continue };
        let mut cells = vec![catalog.clone(), schema.clone(), name.into()];
        match view {
            "table_constraints" => {
                cells.extend(parts(&table.object));
                cells.extend(["CHECK".into(), "NO".into(), "NO".into(), "YES".into()]);
            }
            "check_constraints" => cells.extend([expression.as_str().into(), Cell::Null, Cell::Null]),
            _ => cells.extend(parts(&table.object)),
        }
        rows.push(cells);
    }
}

fn column_rows(table: &Table, rows: &mut Rows) -> Result<()> {
    let schema = StructType::from_schema_string(&table.schema_json)?;
    for (at, field) in schema.fields.iter().enumerate() {
        let partition = table.partition_columns.iter().position(|name| *name == field.name);
        rows.push(column_cells(table, field, at, partition));
    }
    Ok(())
}

/// Databricks counts both positions from 0.
fn column_cells(table: &Table, field: &StructField, at: usize, partition: Option<usize>) -> Vec<Cell> {
    let position = |at: usize| i64::try_from(at).unwrap_or(i64::MAX);
    let (precision, radix, scale, fraction) = sizes(&field.data_type);
    let of = |key: &str| field.metadata.get(key);
    let text = |key: &str| of(key).and_then(Json::as_str).map(str::to_owned);
    let number = |key: &str| of(key).and_then(Json::as_i64).map(|number| number.to_string());
    let (start, step) = (number("delta.identity.start"), number("delta.identity.step"));
    let by_default = of("delta.identity.allowExplicitInsert").and_then(Json::as_bool) == Some(true);
    let generation = start.as_ref().map(|_| if by_default { "BY DEFAULT" } else { "ALWAYS" });
    let expression = text("delta.generationExpression");
    let collation = matches!(field.data_type, DataType::String).then_some(["system", "builtin", "UTF8_BINARY"]);
    let mut cells = parts(&table.object);
    cells.extend([field.name.as_str().into(), position(at).into(), text("CURRENT_DEFAULT").into()]);
    cells.extend([yes_no(field.nullable), field.data_type.to_type_text().into(), field.data_type.type_name().into()]);
    // Texts have no lengths.
    cells.extend([Cell::Null, Cell::Null, precision.into(), radix.into(), scale.into(), fraction.into()]);
    // Neither intervals nor multisets.
    cells.extend([Cell::Null, Cell::Null, Cell::Null]);
    cells.extend([yes_no(start.is_some()), generation.into(), start.into(), step.into()]);
    // No bounds and no cycles of identities.
    cells.extend([Cell::Null, Cell::Null, Cell::Null]);
    cells.extend([yes_no(expression.is_some()), expression.into(), "NO".into(), "NO".into(), Cell::Null]);
    cells.extend([yes_no(table.table_type != TableType::View), partition.map(position).into()]);
    cells.push(field.comment().map(str::to_owned).into());
    cells.extend((0..3).map(|at| collation.map(|names| names[at]).into()));
    cells
}

/// `numeric_precision`, `numeric_precision_radix`, `numeric_scale`, `datetime_precision`.
fn sizes(data_type: &DataType) -> (Option<i64>, Option<i64>, Option<i64>, Option<i64>) {
    let whole = |bits| (Some(bits), Some(2), Some(0), None);
    match data_type {
        DataType::Byte => whole(8),
        DataType::Short => whole(16),
        DataType::Integer => whole(32),
        DataType::Long => whole(64),
        DataType::Float => (Some(32), Some(2), None, None),
        DataType::Double => (Some(64), Some(2), None, None),
        DataType::Decimal { precision, scale } => {
            (Some(i64::from(*precision)), Some(10), Some(i64::from(*scale)), None)
        }
        DataType::Date => (None, None, None, Some(0)),
        DataType::Timestamp | DataType::TimestampNtz => (None, None, None, Some(3)),
        _ => (None, None, None, None),
    }
}
