//! DESCRIBE: what is known of one object, under the names that Spark, Delta and Databricks give it.
//!
//! A table's columns and properties come from its log, not from the catalog's copy: another engine may have changed them
//! a moment ago. Knowing that a table is there is enough to describe it, but its history holds predicates, and those hold
//! values: it needs SELECT.

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, SchemaRef};
use crannog_governance::service::{catalogs as catalog_verbs, schemas as schema_verbs};
use crannog_governance::service::{tables as table_verbs, volumes as volume_verbs};
use crannog_security::actions::{catalogs, schemas, tables, volumes};
use crannog_security::{Kind, NameOf, Reference};
use crannog_storage::Folder;
use crannog_types::{Code, FullName, Micros, Problem, Result};
use futures::{StreamExt, stream};
use serde_json::{Map, Value as Json};

use super::Run;
use super::answer::{Answer, Cell, Type};
use super::known::{Known, java_date};
use super::show::bracketed;
use crate::grammar::Name;
use crate::grammar::statement::Describe;
use crate::model::actions::{Action, commit_info};
use crate::model::features::{reader_features, writer_features};
use crate::model::interval::Span;
use crate::model::schema::{DataType, StructField};
use crate::service::table_log::read_notes;

/// Commits of a history that are read at the same time.
const READ_AHEAD: usize = 16;

const COLUMNS: [(&str, Type); 3] = [("col_name", Type::Text), ("data_type", Type::Text), ("comment", Type::Text)];
const INFO: [(&str, Type); 2] = [("info_name", Type::Text), ("info_value", Type::Text)];
const HISTORY: [(&str, Type); 15] = [
    ("version", Type::Long),
    ("timestamp", Type::Timestamp),
    ("userId", Type::Text),
    ("userName", Type::Text),
    ("operation", Type::Text),
    ("operationParameters", Type::TextMap),
    ("job", Type::Struct(&JOB)),
    ("notebook", Type::Struct(&NOTEBOOK)),
    ("clusterId", Type::Text),
    ("readVersion", Type::Long),
    ("isolationLevel", Type::Text),
    ("isBlindAppend", Type::Bool),
    ("operationMetrics", Type::TextMap),
    ("userMetadata", Type::Text),
    ("engineInfo", Type::Text),
];
const JOB: [(&str, Type); 6] = [
    ("jobId", Type::Text),
    ("jobName", Type::Text),
    ("jobRunId", Type::Text),
    ("runId", Type::Text),
    ("jobOwnerId", Type::Text),
    ("triggerType", Type::Text),
];
const NOTEBOOK: [(&str, Type); 1] = [("notebookId", Type::Text)];
const DETAIL: [(&str, Type); 16] = [
    ("format", Type::Text),
    ("id", Type::Text),
    ("name", Type::Text),
    ("description", Type::Text),
    ("location", Type::Text),
    ("createdAt", Type::Timestamp),
    ("lastModified", Type::Timestamp),
    ("partitionColumns", Type::TextList),
    ("clusteringColumns", Type::TextList),
    ("numFiles", Type::Long),
    ("sizeInBytes", Type::Long),
    ("properties", Type::TextMap),
    ("minReaderVersion", Type::Int),
    ("minWriterVersion", Type::Int),
    ("tableFeatures", Type::TextList),
    ("statistics", Type::TextMap),
];

impl Run {
    pub(super) async fn describe(&self, describe: Describe) -> Result<Answer> {
        match describe {
            Describe::Table { table, as_json: true, .. } => {
                let json = self.known(&table).await?.as_json().to_string();
                Answer::table(&[("json_metadata", Type::Text)], &[vec![json.into()]])
            }
            Describe::Table { table, extended, .. } => describe_table(&self.known(&table).await?, extended),
            Describe::Column { table, column, extended } => {
                describe_column(&self.known(&table).await?, &column, extended)
            }
            Describe::History { table, limit } => self.history(&table, limit).await,
            Describe::Detail { table } => self.detail(&table).await,
            Describe::Catalog { catalog, extended } => self.describe_catalog(&catalog, extended).await,
            Describe::Schema { schema, extended } => self.describe_schema(&schema, extended).await,
            Describe::Volume { volume } => self.describe_volume(&volume).await,
            Describe::Query(query) => {
                let schema = self.prepare(*query, None).await?.schema();
                Answer::table(&COLUMNS, &query_columns(&schema))
            }
            Describe::Function { function, .. } => {
                Err(Problem::new(Code::Unimplemented, format!("the function {function} cannot be described"))
                    .reason("UNSUPPORTED_FEATURE")
                    .sql_state("0A000")
                    .hint("the built-in functions are Spark's: see its SQL function reference"))
            }
        }
    }

    async fn history(&self, name: &Name, limit: Option<u64>) -> Result<Answer> {
        let permit = self.caller.ask::<tables::Select>(NameOf::named(self.full_name(name)?)).await?;
        let table = table_verbs::get(&self.lake.governance.db, &permit).await?;
        let (folder, state) = self.open_table(&permit, &table).await?;
        let wanted = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut commits = stream::iter((0..=state.version).rev().take(wanted))
            .map(|version| history_row(&folder, version))
            .buffered(READ_AHEAD);
        let mut rows = Vec::new();
        // Commits behind a checkpoint are cleaned up, oldest first: the first that is missing ends the history.
        while let Some(row) = commits.next().await {
            match row? {
                Some(row) => rows.push(row),
                None => break,
            }
        }
        Answer::table(&HISTORY, &rows)
    }

    async fn detail(&self, name: &Name) -> Result<Answer> {
        let permit = self.caller.ask::<tables::Select>(NameOf::named(self.full_name(name)?)).await?;
        let table = table_verbs::get(&self.lake.governance.db, &permit).await?;
        let (folder, state) = self.open_table(&permit, &table).await?;
        let known = Known::from_catalog(table)?.at(Arc::clone(&state));
        let (metadata, protocol) = (&state.metadata, &state.protocol);
        let mut features: Vec<String> = writer_features(protocol).into_iter().map(str::to_owned).collect();
        features.extend(reader_features(protocol).into_iter().map(str::to_owned));
        features.sort();
        features.dedup();
        let vectors: Vec<i64> =
            state.files.iter().filter_map(|add| add.deletion_vector.as_ref()).map(|dv| dv.cardinality).collect();
        let statistics = vec![
            ("numDeletionVectors".to_owned(), vectors.len().to_string()),
            ("numRowsDeletedByDeletionVectors".to_owned(), vectors.iter().sum::<i64>().to_string()),
        ];
        let comment = known.table.as_ref().and_then(|table| table.object.comment.clone());
        let clustering = known.clustering_columns().iter().map(|path| path.join(".")).collect();
        let row = vec![
            "delta".into(),
            metadata.id.as_str().into(),
            known.name.to_string().into(),
            comment.or_else(|| metadata.description.clone()).into(),
            folder.location().to_string().into(),
            metadata.created_time.map(from_millis).into(),
            from_millis(state.timestamp).into(),
            Cell::TextList(metadata.partition_columns.clone()),
            Cell::TextList(clustering),
            i64::try_from(state.files.len()).unwrap_or(i64::MAX).into(),
            state.files.bytes().into(),
            Cell::TextMap(metadata.configuration.clone().into_iter().collect()),
            i64::from(protocol.min_reader_version).into(),
            i64::from(protocol.min_writer_version).into(),
            Cell::TextList(features),
            Cell::TextMap(statistics),
        ];
        Answer::table(&DETAIL, &[row])
    }

    async fn describe_catalog(&self, name: &Name, extended: bool) -> Result<Answer> {
        let name = FullName::of(name.parts().to_vec());
        let permit = self.caller.ask::<catalogs::ReadMetadata>(NameOf::named(name)).await?;
        let catalog = catalog_verbs::get(&self.lake.governance.db, &permit).await?;
        let object = catalog.object;
        let mut rows = vec![
            ("Catalog Name", object.name.to_string()),
            ("Comment", object.comment.unwrap_or_default()),
            ("Owner", object.owner),
        ];
        if extended {
            rows.push(("Catalog Type", "Regular".to_owned()));
            rows.push(("Created At", java_date(object.created_at)));
            rows.push(("Created By", object.created_by));
            rows.push(("Updated At", java_date(object.updated_at)));
            rows.push(("Updated By", object.updated_by));
            rows.push(("Properties", bracketed(&catalog.properties)));
        }
        Answer::table(&INFO, &pairs(rows))
    }

    async fn describe_schema(&self, name: &Name, extended: bool) -> Result<Answer> {
        let name = self.schema_name(Some(name))?;
        let permit = self.caller.ask::<schemas::ReadMetadata>(NameOf::named(name)).await?;
        let schema = schema_verbs::get(&self.lake.governance.db, &permit).await?;
        let object = schema.object;
        let mut rows = vec![
            ("Catalog Name", object.name.parts().first().cloned().unwrap_or_default()),
            ("Namespace Name", object.name.last().to_owned()),
            ("Comment", object.comment.unwrap_or_default()),
            ("Location", schema.storage_root.unwrap_or_default()),
            ("Owner", object.owner),
        ];
        if extended {
            rows.push(("Properties", bracketed(&schema.properties)));
        }
        let columns = [("database_description_item", Type::Text), ("database_description_value", Type::Text)];
        Answer::table(&columns, &pairs(rows))
    }

    async fn describe_volume(&self, name: &Name) -> Result<Answer> {
        let permit = self.caller.ask::<volumes::ReadMetadata>(NameOf::named(self.full_name(name)?)).await?;
        let volume = volume_verbs::get(&self.lake.governance.db, &permit).await?;
        let about = Reference::Id(Kind::Volume, permit.target().id);
        let may_open = volume_verbs::may_open(&self.caller, &about).await?;
        let object = volume.object;
        let part = |at: usize| object.name.parts().get(at).cloned().unwrap_or_default();
        let columns = ["name", "catalog", "database", "owner", "storage_location", "volume_type", "comment"]
            .map(|name| (name, Type::Text));
        let row = vec![
            part(2).into(),
            part(0).into(),
            part(1).into(),
            object.owner.as_str().into(),
            may_open.then_some(volume.location).into(),
            if volume.managed { "MANAGED" } else { "EXTERNAL" }.into(),
            object.comment.clone().into(),
        ];
        Answer::table(&columns, &[row])
    }
}

fn describe_table(known: &Known, extended: bool) -> Result<Answer> {
    let column = |field: &StructField| -> Vec<Cell> {
        let comment = field.comment().map(str::to_owned);
        vec![field.name.as_str().into(), field.data_type.to_type_text().into(), comment.into()]
    };
    let line = |name: &str, value: &str| -> Vec<Cell> { vec![name.into(), value.into(), "".into()] };
    let header = || vec![vec!["# col_name".into(), "data_type".into(), "comment".into()]];
    let mut rows: Vec<Vec<Cell>> = known.schema.fields.iter().map(column).collect();
    if !known.partition_columns.is_empty() {
        rows.push(line("# Partition Information", ""));
        rows.extend(header());
        rows.extend(known.partition_columns.iter().filter_map(|name| known.field(name)).map(column));
    }
    let clustering = known.clustering_columns();
    if !clustering.is_empty() {
        rows.push(line("# Clustering Information", ""));
        rows.extend(header());
        for path in &clustering {
            let field = path.first().and_then(|name| known.field(name)).filter(|_| path.len() == 1);
            rows.push(field.map_or_else(|| vec![path.join(".").into(), Cell::Null, Cell::Null], column));
        }
    }
    if extended {
        rows.push(line("", ""));
        rows.push(line("# Detailed Table Information", ""));
        rows.extend(known.details().iter().map(|(name, value)| line(name, value)));
    }
    Answer::table(&COLUMNS, &rows)
}

fn describe_column(known: &Known, column: &[String], extended: bool) -> Result<Answer> {
    let [name] = column else {
        return Err(Problem::new(Code::Unimplemented, format!("{} is inside a column", column.join(".")))
            .reason("UNSUPPORTED_FEATURE.DESC_TABLE_COLUMN_NESTED")
            .sql_state("0A000")
            .hint("describe the column itself: its type shows the fields"));
    };
    let field = known.field(name).ok_or_else(|| {
        let columns: Vec<&str> = known.schema.fields.iter().map(|field| field.name.as_str()).collect();
        Problem::invalid(format!("the table {} has no column {name:?}", known.name))
            .reason("UNRESOLVED_COLUMN.WITH_SUGGESTION")
            .sql_state("42703")
            .hint(format!("its columns are: {}", columns.join(", ")))
    })?;
    let mut rows = vec![
        ("col_name", field.name.clone()),
        ("data_type", field.data_type.to_type_text()),
        ("comment", field.comment().unwrap_or("NULL").to_owned()),
    ];
    if extended {
        // Spark's statistics of columns, which nobody has computed.
        for name in ["min", "max", "num_nulls", "distinct_count", "avg_col_len", "max_col_len", "histogram"] {
            rows.push((name, "NULL".to_owned()));
        }
    }
    Answer::table(&INFO, &pairs(rows))
}

fn pairs(rows: Vec<(&'static str, String)>) -> Vec<Vec<Cell>> {
    rows.into_iter().map(|(name, value)| vec![name.into(), value.into()]).collect()
}

fn query_columns(schema: &SchemaRef) -> Vec<Vec<Cell>> {
    let text = |field: &Field| match (Span::of_field(field), field.data_type()) {
        // Types of expressions that no table can hold.
        (Some(span), _) => format!("interval {span}"),
        (None, ArrowType::Interval(_)) => "interval".to_owned(),
        (None, other) => {
            DataType::from_arrow(other).map_or_else(|_| other.to_string().to_lowercase(), |found| found.to_type_text())
        }
    };
    schema.fields().iter().map(|field| vec![field.name().as_str().into(), text(field).into(), Cell::Null]).collect()
}

/// One version's row; `None` when its commit is not there any more.
async fn history_row(folder: &Folder, version: i64) -> Result<Option<Vec<Cell>>> {
    let Some(actions) = read_notes(folder, version).await? else { return Ok(None) };
    Ok(Some(history_cells(version, &actions)))
}

fn history_cells(version: i64, actions: &[Action]) -> Vec<Cell> {
    let info = commit_info(actions).cloned().unwrap_or_default();
    let extra = |key: &str| info.extra.get(key);
    let text = |key: &str| extra(key).and_then(Json::as_str).map(str::to_owned);
    let fields = |key: &str, fields: &[(&str, Type)]| match extra(key).and_then(Json::as_object) {
        None => Cell::Null,
        Some(object) => Cell::Struct(fields.iter().map(|(name, _)| object.get(*name).and_then(bare).into()).collect()),
    };
    let map = |object: &Map<String, Json>| {
        Cell::TextMap(object.iter().filter_map(|(key, value)| Some((key.clone(), bare(value)?))).collect())
    };
    let metrics = if info.operation_metrics.is_empty() { Cell::Null } else { map(&info.operation_metrics) };
    vec![
        version.into(),
        info.in_commit_timestamp.or(info.timestamp).map(from_millis).into(),
        info.user_id.clone().into(),
        info.user_name.clone().into(),
        info.operation.clone().into(),
        map(&info.operation_parameters),
        fields("job", &JOB),
        fields("notebook", &NOTEBOOK),
        text("clusterId").into(),
        info.read_version.into(),
        info.isolation_level.clone().into(),
        info.is_blind_append.into(),
        metrics,
        text("userMetadata").into(),
        info.engine_info.clone().into(),
    ]
}

/// A JSON value as a text: texts bare, NULL as none.
fn bare(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn from_millis(millis: i64) -> Micros {
    Micros(millis.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::commit_file::parse_commit;
    use crate::service::statements::answer::batch;

    #[test]
    fn a_commit_becomes_a_row() {
        let line = r#"{"commitInfo":{"timestamp":5,"operation":"CREATE TABLE","operationParameters":{"partitionBy":"[]","description":null,"auto":true},"job":{"jobId":"7","runId":8},"userMetadata":"m"}}"#;
        let row = history_cells(3, &parse_commit(line.as_bytes()).unwrap());
        assert_eq!(row.len(), HISTORY.len());
        assert_eq!(row[1], Cell::At(Micros(5_000)));
        let map = vec![("partitionBy".into(), "[]".into()), ("auto".into(), "true".into())];
        assert_eq!(row[5], Cell::TextMap(map));
        let Cell::Struct(job) = &row[6] else { panic!() };
        assert_eq!((&job[0], &job[3]), (&"7".into(), &"8".into()));
        assert_eq!((&row[7], &row[12], &row[13]), (&Cell::Null, &Cell::Null, &"m".into()));
        batch(&HISTORY, &[row]).unwrap();
    }
}
