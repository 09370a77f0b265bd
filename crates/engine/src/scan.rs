//! A Delta table at one version as DataFusion reads it.
//!
//! Planning chooses files by the statistics of the table's state ([`crate::prune`]) and hands them to DataFusion's Parquet
//! source: partition values as constants, deleted rows as a row selection, columns that a file does not have yet as nulls.
//! Filters are pushed down inexactly: they choose files, row groups and pages here, and run above the scan once more.
//!
//! Files are read through the store of the table's own folder, which the source holds itself. The registry of the runtime
//! knows only an empty store under this scheme, so a plan can reach no other table's files.

use std::any::Any;
use std::fmt::{self, Formatter};
use std::sync::Arc;

use async_trait::async_trait;
use crannog_lake::model::actions::{Add, Protocol};
use crannog_lake::model::schema::DataType;
use crannog_lake::model::state::TableState;
use crannog_lake::model::stats::num_records;
use crannog_lake::model::values::{Scalar, to_array};
use crannog_types::{Code, Problem, Result};
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::{ConfigOptions, TableParquetOptions};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::{DataSource, DataSourceExec, OpenArgs};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, SortOrderPushdownResult};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use percent_encoding::percent_decode_str;

use crate::errors::{from_log, from_object_store, from_parquet};
use crate::footers::Readers;
use crate::{kernel, prune};

/// How much of a file's end is read at once in the hope that the whole footer is in it.
const FOOTER_GUESS: usize = 64 * 1024;
/// The most files whose bounds are put together for the planner: reading them all must cost less than it saves.
const MOST_SUMMED: usize = 20_000;
/// The scheme under which the runtime's registry finds nothing.
const NOWHERE: &str = "delta://files";

/// A Delta table at one version.
#[derive(Debug)]
pub(crate) struct DeltaTable {
    name: String,
    store: Arc<dyn ObjectStore>,
    readers: Arc<Readers>,
    state: Arc<TableState>,
    schema: SchemaRef,
    /// Columns of the files, then partition columns.
    files_schema: TableSchema,
    /// For each column of `schema` its place in `files_schema`.
    places: Vec<usize>,
}

/// What a scan opens, for EXPLAIN and for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The table's name.
    pub table: String,
    /// Files that it opens.
    pub files: usize,
    /// Live files of the version.
    pub of: usize,
    /// Columns whose statistics ruled files out.
    pub pruned_by: Vec<String>,
    /// Files with deleted rows.
    pub deletion_vectors: usize,
}

impl DeltaTable {
    /// `name` is for plans and errors. `store` is that of the table's folder, and `readers` read its files.
    ///
    /// # Errors
    /// `Unimplemented` for tables whose files need more than reading by name: column mapping, variants.
    pub(crate) fn new(
        name: String,
        store: Arc<dyn ObjectStore>,
        readers: Readers,
        state: Arc<TableState>,
    ) -> Result<Self> {
        readable(&state)?;
        let schema = Arc::new(state.schema.to_arrow());
        let partitions = &state.metadata.partition_columns;
        let in_files: Vec<FieldRef> =
            schema.fields().iter().filter(|field| !partitions.contains(field.name())).cloned().collect();
        let by_value = partitions
            .iter()
            .map(|name| schema.field_with_name(name).map(|field| Arc::new(field.clone())))
            .collect::<std::result::Result<Vec<FieldRef>, _>>()
            .map_err(|e| {
                Problem::new(Code::DataLoss, "a partition column is not in the table's schema").caused_by(e)
            })?;
        let files_schema =
            TableSchema::builder(Arc::new(Schema::new(in_files))).with_table_partition_cols(by_value).build();
        let place = |field: &FieldRef| files_schema.table_schema().index_of(field.name());
        let places = schema.fields().iter().map(place).collect::<std::result::Result<_, _>>();
        let places = places.map_err(crate::errors::from_arrow)?;
        Ok(Self { name, store, readers: Arc::new(readers), state, schema, files_schema, places })
    }

    /// Plans a scan of the columns at `projection` (all, if `None`), in that order.
    pub(crate) async fn plan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<(Arc<dyn ExecutionPlan>, Opened)> {
        let mut chosen = prune::choose(&self.state.files, &self.schema, filters, session)?;
        if let (Some(limit), true) = (limit, filters.is_empty()) {
            chosen.files.truncate(enough(&chosen.files, limit));
        }
        let with_vectors: Vec<_> = chosen.files.iter().filter_map(|add| add.deletion_vector.clone()).collect();
        let opened = Opened {
            table: self.name.clone(),
            files: chosen.files.len(),
            of: self.state.files.len(),
            pruned_by: chosen.by,
            deletion_vectors: with_vectors.len(),
        };
        let mut deleted = kernel::deleted_rows(Arc::clone(&self.store), with_vectors).await?.into_iter();
        let mut files = Vec::with_capacity(chosen.files.len());
        let mut rows = Precision::Exact(0);
        let mut bytes = 0;
        for add in &chosen.files {
            let deleted = if add.deletion_vector.is_some() { deleted.next() } else { None };
            let file = self.file(add, deleted).await?;
            rows = match (rows, file.statistics.as_ref().map(|s| s.num_rows)) {
                (Precision::Exact(sum), Some(Precision::Exact(rows))) => Precision::Exact(sum + rows),
                _ => Precision::Absent,
            };
            bytes += file.object_meta.size;
            files.push(file);
        }
        let mut statistics = Statistics { num_rows: rows, ..self.statistics(usize::try_from(bytes).ok()) };
        let columns: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.places.len()).collect());
        let projection: Vec<usize> = columns.iter().map(|column| self.places[*column]).collect();
        if files.len() <= MOST_SUMMED {
            for column in columns {
                let summary = prune::summary(&self.state.files, &self.schema, column, &chosen.kept)?;
                statistics.column_statistics[self.places[column]] = summary;
            }
        }
        let mut groups = FileGroup::new(files).split_files(session.config().target_partitions().max(1));
        if groups.is_empty() {
            // A plan over nothing still has one partition.
            groups.push(FileGroup::new(Vec::new()));
        }
        let config = FileScanConfigBuilder::new(nowhere()?, self.source(session))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_limit(limit)
            .with_projection_indices(Some(projection))
            .map_err(crate::errors::from_datafusion)?
            .build();
        let scan = DeltaScan { inner: Arc::new(config), opened: Arc::new(opened.clone()) };
        Ok((DataSourceExec::from_data_source(scan), opened))
    }

    fn source(&self, session: &dyn Session) -> Arc<ParquetSource> {
        let mut options =
            TableParquetOptions { global: session.config_options().execution.parquet.clone(), ..Default::default() };
        // Spark wrote moments as INT96 for years.
        options.global.coerce_int96 = Some("us".to_owned());
        options.global.coerce_int96_tz = Some("UTC".to_owned());
        let readers = Arc::clone(&self.readers);
        Arc::new(
            ParquetSource::new(self.files_schema.clone())
                .with_table_parquet_options(options)
                .with_metadata_size_hint(FOOTER_GUESS)
                .with_parquet_file_reader_factory(readers),
        )
    }

    /// A file as the source takes it. `deleted`: row numbers, ascending.
    async fn file(&self, add: &Add, deleted: Option<Vec<u64>>) -> Result<PartitionedFile> {
        let size = u64::try_from(add.size).map_err(|_| damaged(&add.path, "its size is negative"))?;
        let mut file = PartitionedFile::new("", size).with_partition_values(self.partition_values(add)?);
        file.object_meta.location = location(&add.path)?;
        file.object_meta.last_modified =
            chrono::DateTime::from_timestamp_millis(add.modification_time).unwrap_or_default();
        let mut rows = num_records(add.stats.as_deref()).and_then(|rows| usize::try_from(rows).ok());
        if let Some(deleted) = deleted {
            let all = match rows {
                Some(rows) => rows,
                None => self.count_rows(&file.object_meta.location).await?,
            };
            let left =
                selection(&deleted, all).ok_or_else(|| damaged(&add.path, "a row is deleted that it does not have"))?;
            rows = Some(all - deleted.len());
            file = file.with_extension(ParquetRowSelection::new(left));
        }
        let statistics = self.statistics(usize::try_from(size).ok());
        let num_rows = rows.map_or(Precision::Absent, Precision::Exact);
        file.statistics = Some(Arc::new(Statistics { num_rows, ..statistics }));
        Ok(file)
    }

    /// The values of the partition columns in a file, typed.
    fn partition_values(&self, add: &Add) -> Result<Vec<ScalarValue>> {
        let columns = self.state.files.layout().partitions();
        let value = |text: Option<&str>, data_type: &DataType| {
            let scalar = match text {
                // By the protocol the empty string is null, in columns of every type.
                None | Some("") => None,
                Some(text) => Some(Scalar::parse(text, data_type).map_err(from_log)?),
            };
            ScalarValue::try_from_array(&to_array(data_type, &[scalar]), 0).map_err(crate::errors::from_datafusion)
        };
        columns
            .iter()
            .map(|c| value(add.partition_values.get(&c.physical).and_then(Option::as_deref), &c.data_type))
            .collect()
    }

    /// Nothing known of any column. Bounds of the log are cut off, so no query may be answered from them; where they help
    /// to estimate they are inexact ([`prune::summary`]).
    fn statistics(&self, bytes: Option<usize>) -> Statistics {
        let unknown = Statistics::new_unknown(self.files_schema.table_schema());
        Statistics { total_byte_size: bytes.map_or(Precision::Absent, Precision::Inexact), ..unknown }
    }

    /// Rows by the file's own footer, for the rare file that has a deletion vector but no statistics.
    async fn count_rows(&self, path: &Path) -> Result<usize> {
        let bytes = self.store.get(path).await.map_err(from_object_store)?.bytes().await.map_err(from_object_store)?;
        let reader = parquet::file::metadata::ParquetMetaDataReader::new();
        let metadata = reader.parse_and_finish(&bytes).map_err(from_parquet)?;
        usize::try_from(metadata.file_metadata().num_rows())
            .map_err(|_| damaged(path.as_ref(), "its footer has a negative number of rows"))
    }
}

#[async_trait]
impl TableProvider for DeltaTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        let rows = self.state.files.rows().and_then(|rows| usize::try_from(rows).ok());
        let bytes = usize::try_from(self.state.files.bytes()).ok();
        let unknown = Statistics::new_unknown(&self.schema);
        Some(Statistics {
            num_rows: rows.map_or(Precision::Absent, Precision::Exact),
            total_byte_size: bytes.map_or(Precision::Absent, Precision::Inexact),
            ..unknown
        })
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let planned = self.plan(session, projection, filters, limit).await;
        planned.map(|(plan, _)| plan).map_err(|problem| DataFusionError::External(Box::new(problem)))
    }
}

/// What a scan of a Delta table in a physical plan opens; `None` for other nodes.
pub fn opened(plan: &dyn ExecutionPlan) -> Option<&Opened> {
    let exec = (plan as &dyn Any).downcast_ref::<DataSourceExec>()?;
    exec.data_source().downcast_ref::<DeltaScan>().map(|scan| scan.opened.as_ref())
}

/// DataFusion's file scan, which also says what was chosen from which table.
#[derive(Debug)]
struct DeltaScan {
    inner: Arc<dyn DataSource>,
    opened: Arc<Opened>,
}

impl DeltaScan {
    fn around(&self, inner: Arc<dyn DataSource>) -> Arc<dyn DataSource> {
        Arc::new(Self { inner, opened: Arc::clone(&self.opened) })
    }
}

impl DataSource for DeltaScan {
    fn open(&self, partition: usize, context: Arc<TaskContext>) -> PlanResult<SendableRecordBatchStream> {
        self.open_with_args(OpenArgs::new(partition, context))
    }

    fn open_with_args(&self, args: OpenArgs) -> PlanResult<SendableRecordBatchStream> {
        let url = nowhere().map_err(|problem| DataFusionError::External(Box::new(problem)))?;
        let runtime = args.context.runtime_env();
        if runtime.object_store(&url).is_err() {
            runtime.register_object_store(url.as_ref(), Arc::new(InMemory::new()));
        }
        self.inner.open_with_args(args)
    }

    fn fmt_as(&self, format: DisplayFormatType, f: &mut Formatter) -> fmt::Result {
        let Opened { table, files, of, pruned_by, deletion_vectors } = self.opened.as_ref();
        if let DisplayFormatType::TreeRender = format {
            writeln!(f, "table={table}")?;
            return writeln!(f, "files={files} of {of}");
        }
        write!(f, "DeltaScan: table={table}, files={files} of {of}")?;
        if !pruned_by.is_empty() {
            write!(f, ", pruned by=[{}]", pruned_by.join(", "))?;
        }
        if *deletion_vectors > 0 {
            write!(f, ", deletion vectors={deletion_vectors}")?;
        }
        let Some(config) = self.inner.downcast_ref::<FileScanConfig>() else { return Ok(()) };
        write!(f, ", partitions={}", config.file_groups.len())?;
        if let Ok(schema) = config.projected_schema() {
            let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            write!(f, ", columns=[{}]", names.join(", "))?;
        }
        if let Some(limit) = config.limit {
            write!(f, ", limit={limit}")?;
        }
        config.file_source().fmt_extra(format, f)
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        min_size: usize,
        ordering: Option<datafusion::physical_expr::LexOrdering>,
    ) -> PlanResult<Option<Arc<dyn DataSource>>> {
        Ok(self.inner.repartitioned(target_partitions, min_size, ordering)?.map(|inner| self.around(inner)))
    }

    fn output_partitioning(&self) -> Partitioning {
        self.inner.output_partitioning()
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        self.inner.eq_properties()
    }

    fn scheduling_type(&self) -> SchedulingType {
        self.inner.scheduling_type()
    }

    fn partition_statistics(&self, partition: Option<usize>) -> PlanResult<Arc<Statistics>> {
        let statistics = self.inner.partition_statistics(partition)?;
        match self.inner.fetch() {
            // Fewer rows come than the files have.
            Some(_) => Ok(Arc::new(Arc::unwrap_or_clone(statistics).to_inexact())),
            None => Ok(statistics),
        }
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        self.inner.with_fetch(limit).map(|inner| self.around(inner))
    }

    fn fetch(&self) -> Option<usize> {
        self.inner.fetch()
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExprs) -> PlanResult<Option<Arc<dyn DataSource>>> {
        Ok(self.inner.try_swapping_with_projection(projection)?.map(|inner| self.around(inner)))
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> PlanResult<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        let FilterPushdownPropagation { filters, updated_node } = self.inner.try_pushdown_filters(filters, config)?;
        Ok(FilterPushdownPropagation { filters, updated_node: updated_node.map(|inner| self.around(inner)) })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> PlanResult<SortOrderPushdownResult<Arc<dyn DataSource>>> {
        Ok(self.inner.try_pushdown_sort(order)?.map(|inner| self.around(inner)))
    }

    fn with_preserve_order(&self, preserve_order: bool) -> Option<Arc<dyn DataSource>> {
        self.inner.with_preserve_order(preserve_order).map(|inner| self.around(inner))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> PlanResult<TreeNodeRecursion>,
    ) -> PlanResult<TreeNodeRecursion> {
        self.inner.apply_expressions(f)
    }

    fn with_new_state(&self, state: Arc<dyn Any + Send + Sync>) -> Option<Arc<dyn DataSource>> {
        self.inner.with_new_state(state).map(|inner| self.around(inner))
    }

    fn create_sibling_state(&self, config: &ConfigOptions) -> Option<Arc<dyn Any + Send + Sync>> {
        self.inner.create_sibling_state(config)
    }
}

fn nowhere() -> Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse(NOWHERE).map_err(crate::errors::from_datafusion)
}

/// Refuses tables that would be read wrongly.
fn readable(state: &TableState) -> Result<()> {
    let refuse = |what: &str, feature: &str| {
        Problem::new(Code::Unimplemented, format!("the table cannot be queried: {what}"))
            .reason("DELTA_UNSUPPORTED_FEATURES_FOR_READ")
            .fact("feature", feature)
            .hint("read it with Spark")
    };
    let Protocol { reader_features, .. } = state.protocol.as_ref();
    crannog_lake::model::features::readable(&state.protocol)
        .map_err(|e| Problem::new(Code::Unimplemented, e.to_string()).reason("DELTA_UNSUPPORTED_FEATURES_FOR_READ"))?;
    let mode = state.metadata.configuration.get("delta.columnMapping.mode").map_or("none", String::as_str);
    if !mode.eq_ignore_ascii_case("none") {
        return Err(refuse(&format!("its columns are mapped by {mode}, which is not supported"), "columnMapping"));
    }
    if state.schema.any_type(|t| matches!(t, DataType::Variant)) {
        return Err(refuse("it has a column of type variant, which is not supported", "variantType"));
    }
    let managed = |f: &String| f == "catalogManaged";
    if reader_features.iter().flatten().any(managed) {
        return Err(refuse("another catalog keeps its commits", "catalogManaged"));
    }
    Ok(())
}

/// How many of the first files have so many rows for sure.
fn enough(files: &[Arc<Add>], limit: usize) -> usize {
    let mut rows = 0_u64;
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    for (index, add) in files.iter().enumerate() {
        if rows >= limit {
            return index;
        }
        let deleted = add.deletion_vector.as_ref().map_or(0, |vector| vector.cardinality);
        let left = num_records(add.stats.as_deref()).map_or(0, |all| all.saturating_sub(deleted));
        rows = rows.saturating_add(u64::try_from(left).unwrap_or(0));
    }
    files.len()
}

/// The rows that are left of so many; `None` when a deleted one is not among them.
fn selection(deleted: &[u64], rows: usize) -> Option<RowSelection> {
    let mut selectors = Vec::new();
    let mut next = 0;
    for row in deleted {
        let row = usize::try_from(*row).ok().filter(|row| *row < rows && *row >= next)?;
        if row > next {
            selectors.push(RowSelector::select(row - next));
        }
        selectors.push(RowSelector::skip(1));
        next = row + 1;
    }
    if rows > next {
        selectors.push(RowSelector::select(rows - next));
    }
    Some(RowSelection::from(selectors))
}

/// Where a file of the log is in the table's folder.
fn location(path: &str) -> Result<Path> {
    if path.starts_with('/')
        || path.split_once(':').is_some_and(|(scheme, _)| !scheme.contains('/') && is_scheme(scheme))
    {
        return Err(Problem::new(
            Code::Unimplemented,
            format!("the data file '{path}' is outside of the table's folder"),
        )
        .reason("DELTA_ABSOLUTE_PATH")
        .hint("shallow clones cannot be queried; make a deep clone with Spark"));
    }
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| damaged(path, "its path is not UTF-8"))?;
    Path::parse(decoded.as_ref()).map_err(|e| damaged(path, "its path is malformed").caused_by(e))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn damaged(path: &str, why: &str) -> Problem {
    Problem::new(Code::DataLoss, format!("the data file '{path}' cannot be read: {why}"))
        .hint("restore the table to an older version (RESTORE TABLE)")
}
