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
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use crannog_lake::model::actions::Protocol;
use crannog_lake::model::schema::DataType;
use crannog_lake::model::state::TableState;
use crannog_types::{Code, Problem, Result};
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::common::config::{ConfigOptions, TableParquetOptions};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::{DataSource, DataSourceExec, OpenArgs};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, SortOrderPushdownResult};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::footers::Readers;
use crate::mapping::{self, Mapping};
use crate::prune;
use crate::scan_files::ScanFiles;

/// How much of a file's end is read at once in the hope that the whole footer is in it.
const FOOTER_GUESS: usize = 64 * 1024;
/// So many files are listed while planning; more only when the scan runs.
const LISTED: usize = 512;
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
    mapping: Mapping,
    /// Columns of the files, then partition columns, both under physical names.
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
    /// `Unimplemented` for tables whose files need more than reading by name: column mapping by id, variants.
    pub(crate) fn new(
        name: String,
        store: Arc<dyn ObjectStore>,
        readers: Readers,
        state: Arc<TableState>,
    ) -> Result<Self> {
        readable(&state)?;
        let mapping = Mapping::of(&state.metadata);
        let schema = Arc::new(state.schema.to_arrow());
        let in_files = match mapping {
            Mapping::None => Arc::clone(&schema),
            _ => Arc::new(mapping::physical(&state.schema).to_arrow()),
        };
        let partitions = state.files.layout().partitions().iter().map(|column| {
            let at = schema.index_of(&column.logical).map_err(crate::errors::from_arrow)?;
            Ok(Arc::clone(&in_files.fields()[at]))
        });
        let partitions = partitions.collect::<Result<Vec<FieldRef>>>()?;
        let by_value = |field: &&FieldRef| partitions.iter().any(|partition| partition.name() == field.name());
        let others: Vec<FieldRef> = in_files.fields().iter().filter(|field| !by_value(field)).cloned().collect();
        let files_schema =
            TableSchema::builder(Arc::new(Schema::new(others))).with_table_partition_cols(partitions).build();
        let place = |field: &FieldRef| files_schema.table_schema().index_of(field.name());
        let places = in_files.fields().iter().map(place).collect::<std::result::Result<_, _>>();
        let places = places.map_err(crate::errors::from_arrow)?;
        Ok(Self { name, store, readers: Arc::new(readers), state, schema, mapping, files_schema, places })
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
            chosen.keep_rows(limit);
        }
        let unknown = Statistics::new_unknown(self.files_schema.table_schema());
        let mut statistics = Statistics {
            num_rows: exact(chosen.rows()),
            total_byte_size: usize::try_from(chosen.bytes()).map_or(Precision::Absent, Precision::Inexact),
            ..unknown.clone()
        };
        let columns: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.places.len()).collect());
        if chosen.len() <= MOST_SUMMED {
            for column in &columns {
                // Bounds of the log are cut off: they help to estimate, and no query may be answered from them.
                statistics.column_statistics[self.places[*column]] = chosen.summary(&self.schema, *column)?;
            }
        }
        let pruned_by = std::mem::take(&mut chosen.by);
        let files = ScanFiles::new(&self.store, Arc::clone(self.state.files.layout()), chosen, unknown).await?;
        let opened = Opened {
            table: self.name.clone(),
            files: files.len(),
            of: self.state.files.len(),
            pruned_by,
            deletion_vectors: files.with_deleted_rows(),
        };
        let logical = Arc::new(self.schema.project(&columns).map_err(crate::errors::from_arrow)?);
        let projection: Vec<usize> = columns.iter().map(|column| self.places[*column]).collect();
        let partitions = session.config().target_partitions().max(1);
        let listed = files.len() <= LISTED;
        let groups = if listed { files.groups(partitions)? } else { files.placeholders(partitions) };
        let config = FileScanConfigBuilder::new(nowhere()?, self.source(session))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_limit(limit)
            .with_projection_indices(Some(projection))
            .map_err(crate::errors::from_datafusion)?
            .build();
        let later = (!listed).then(|| Arc::new(Later { files, partitions }));
        let scan =
            DeltaScan { inner: Arc::new(config), opened: Arc::new(opened.clone()), later, ready: OnceLock::new() };
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
        if self.mapping == Mapping::None {
            return Ok((scan, opened));
        }
        Ok((mapping::renamed(scan, &logical, session).map_err(crate::errors::from_datafusion)?, opened))
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
        let bytes = usize::try_from(self.state.files.bytes()).ok();
        let unknown = Statistics::new_unknown(&self.schema);
        Some(Statistics {
            num_rows: exact(self.state.files.rows()),
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
    /// The files of a scan of very many: planning sees as many groups without files, running lists them.
    later: Option<Arc<Later>>,
    ready: OnceLock<Arc<dyn DataSource>>,
}

#[derive(Debug)]
struct Later {
    files: ScanFiles,
    partitions: usize,
}

impl DeltaScan {
    fn around(&self, inner: Arc<dyn DataSource>) -> Arc<dyn DataSource> {
        let (opened, later) = (Arc::clone(&self.opened), self.later.clone());
        Arc::new(Self { inner, opened, later, ready: OnceLock::new() })
    }

    /// The scan with its files.
    fn ready(&self) -> PlanResult<&Arc<dyn DataSource>> {
        let (Some(Later { files, partitions }), Some(config)) =
            (self.later.as_deref(), self.inner.downcast_ref::<FileScanConfig>())
        else {
            return Ok(&self.inner);
        };
        if self.ready.get().is_none() {
            let groups = files.groups(*partitions).map_err(|problem| DataFusionError::External(Box::new(problem)))?;
            let config = FileScanConfigBuilder::from(config.clone()).with_file_groups(groups).build();
            // Another thread may have been faster: its list is the same.
            let _ = self.ready.set(Arc::new(config));
        }
        Ok(self.ready.get().unwrap_or(&self.inner))
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
        self.ready()?.open_with_args(args)
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
        if self.later.is_some() {
            // Very many files need no cutting up.
            return Ok(None);
        }
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
        // What can fail runs above the scan: a failure inside of the Parquet reader would lose its condition.
        let fails: Vec<bool> = filters.iter().map(crate::lazily::physical_may_fail).collect();
        let sound = filters.into_iter().zip(&fails).filter(|(_, fails)| !**fails).map(|(filter, _)| filter).collect();
        let FilterPushdownPropagation { filters, updated_node } = self.inner.try_pushdown_filters(sound, config)?;
        let mut taken = filters.into_iter();
        let filters = fails.into_iter().map(|fails| if fails { None } else { taken.next() }.unwrap_or(PushedDown::No));
        let filters = filters.collect();
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
        self.ready().ok()?.create_sibling_state(config)
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
    if Mapping::of(&state.metadata) == Mapping::Id {
        return Err(refuse("its columns are mapped by id, which is not supported", "columnMapping"));
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

fn exact(rows: Option<i64>) -> Precision<usize> {
    rows.and_then(|rows| usize::try_from(rows).ok()).map_or(Precision::Absent, Precision::Exact)
}
