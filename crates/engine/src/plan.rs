//! `prepare`: from a bound query to a plan that can be shown and run.
//!
//! Binding, optimising and physical planning run on a thread with a deep stack, because trees are walked recursively: no
//! text that the grammar accepted may overflow a stack. A hash join that does not fit into memory is planned again as
//! sort-merge join, as long as no batch has left.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use crannog_lake::ports::{
    BoundQuery, ExplainMode, InsertInto, Prepared, Relation, RelationKey, Relations, RowStream, Session,
};
use crannog_types::{Problem, Result};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use futures::StreamExt;

use crate::bind::{Binder, Env, Facts, Rel, Source, Sources, View};
use crate::constant;
use crate::errors::{from_datafusion, is_out_of_memory};
use crate::footers::Footers;
use crate::lazily;
use crate::session::{QueryLimits, Runtime};
use crate::spark::zone::Zone;
use crate::spark::{kernel, types};

/// Bytes of stack for planning.
const STACK: usize = 64 << 20;

/// Plans queries.
#[derive(Clone, Debug)]
pub struct Planner {
    runtime: Runtime,
    footers: Arc<Footers>,
}

impl Planner {
    /// A planner whose queries share these limits.
    ///
    /// # Errors
    /// When the spill folder cannot be used.
    pub fn new(limits: &QueryLimits) -> Result<Self> {
        Ok(Planner { runtime: Runtime::new(limits)?, footers: Arc::default() })
    }

    /// See [`crannog_lake::ports::Engine::prepare`].
    ///
    /// # Errors
    /// Spark's, with its condition in the problem's reason.
    pub async fn prepare(&self, query: BoundQuery) -> Result<Box<dyn Prepared>> {
        let BoundQuery { query, relations, session, into } = query;
        let facts = facts(session)?;
        let sources = sources(relations, &self.footers).await?;
        self.prepare_over(facts, query, sources, into).await
    }

    /// A query over these relations.
    pub(crate) async fn prepare_over(
        &self,
        facts: Facts,
        query: datafusion::sql::sqlparser::ast::Query,
        sources: Sources,
        into: Option<InsertInto>,
    ) -> Result<Box<dyn Prepared>> {
        let runtime = self.runtime.clone();
        if let Some(into) = &into
            && constant::is_plain_values(&query)
            && let Some(rows) = constant_rows(&facts, &runtime, &query, &sources, into)
        {
            return Ok(Box::new(constant::Rows(rows)));
        }
        let handle = tokio::runtime::Handle::current();
        deep(move || {
            let (optimized, unoptimized, schema, scans) = bind(&facts, &runtime, &query, &sources, into.as_ref())?;
            let state = runtime.state(true);
            let physical = handle.block_on(state.query_planner().create_physical_plan(&optimized, state.as_ref()));
            let physical = physical.map_err(from_datafusion)?;
            Ok(Box::new(Plan { runtime, unoptimized, optimized, physical, schema, scans }) as Box<dyn Prepared>)
        })
        .await
    }
}

pub(crate) fn facts(session: Session) -> Result<Facts> {
    Ok(Facts {
        zone: Zone::parse(&session.time_zone).map_err(from_datafusion)?,
        zone_name: session.time_zone,
        catalog: session.catalog,
        schema: session.schema,
        user: session.user,
        groups: session.groups,
        now: session.now.0,
    })
}

/// Runs on a thread of its own, with a deep stack.
async fn deep<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("plan".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // The receiver is gone when the statement was cancelled.
            let _ = sender.send(work());
        })
        .map_err(|error| Problem::internal("no thread for planning could be started", error))?;
    match receiver.await {
        Ok(result) => result,
        Err(error) => Err(Problem::internal("planning the query failed by a fault of the engine", error)),
    }
}

/// The rows of an INSERT … VALUES of literals; `None`: it has to be planned.
fn constant_rows(
    facts: &Facts,
    runtime: &Runtime,
    query: &datafusion::sql::sqlparser::ast::Query,
    sources: &Sources,
    into: &InsertInto,
) -> Option<RecordBatch> {
    let state = runtime.state(true);
    let binder = Binder::new(facts.clone(), Arc::clone(&state));
    let env = Env { sources, catalog: &facts.catalog, schema: &facts.schema, ctes: HashMap::new(), depth: 0 };
    let rel = binder.query(query, &env, None).and_then(|rel| binder.insert(rel, into)).ok()?;
    let rel = exactly(&binder, rel).ok()?;
    let rows = constant::rows(&rel.plan, &state).ok()??;
    shaped(&rows, &Arc::new(into.schema.to_arrow())).ok()
}

type Scans = HashMap<String, RelationKey>;

pub(crate) fn bind(
    facts: &Facts,
    runtime: &Runtime,
    query: &datafusion::sql::sqlparser::ast::Query,
    sources: &Sources,
    into: Option<&InsertInto>,
) -> Result<(LogicalPlan, LogicalPlan, SchemaRef, Scans)> {
    let state = runtime.state(true);
    let binder = Binder::new(facts.clone(), Arc::clone(&state));
    let env = Env { sources, catalog: &facts.catalog, schema: &facts.schema, ctes: HashMap::new(), depth: 0 };
    let rel = binder.query(query, &env, None).map_err(from_datafusion)?;
    let (rel, schema) = match into {
        Some(into) => (binder.insert(rel, into).map_err(from_datafusion)?, Arc::new(into.schema.to_arrow())),
        None => {
            let schema = output(&rel);
            (rel, schema)
        }
    };
    let rel = exactly(&binder, rel)?;
    let optimized = lazily::filtered(rel.plan.clone())
        .and_then(|plan| state.optimize(&plan))
        .and_then(guarded)
        .and_then(lazily::plan)
        .map_err(from_datafusion)?;
    let scans = binder.scans.into_inner().into_iter().collect();
    Ok((optimized, rel.plan, schema, scans))
}

/// The plan without literals so long that laying them out for every row of a batch would take the server's memory.
fn guarded(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let swap = |node: LogicalPlan| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let saved = names.save(&expr);
            let done = expr.transform_up(|expr| match &expr {
                Expr::Literal(value, _) => {
                    Ok(kernel::guarded(value).map_or_else(|| Transformed::no(expr), Transformed::yes))
                }
                _ => Ok(Transformed::no(expr)),
            })?;
            Ok(done.update_data(|expr| saved.restore(expr)))
        })
    };
    Ok(plan.transform_up_with_subqueries(swap)?.data)
}

/// The plan's columns are the relation's, in its order, no more.
fn exactly(binder: &Binder, rel: Rel) -> Result<Rel> {
    let visible: Vec<_> = rel.columns.iter().filter(|column| !column.hidden).collect();
    let same = visible.len() == rel.plan.schema().fields().len()
        && visible.iter().zip(rel.plan.schema().columns()).all(|(column, real)| column.column == real);
    if same {
        return Ok(rel);
    }
    let items = visible.into_iter().map(crate::bind::from::column_of).collect();
    binder.project_to(rel, items).map_err(from_datafusion)
}

fn output(rel: &Rel) -> SchemaRef {
    let fields: Vec<Field> = rel
        .columns
        .iter()
        .filter(|column| !column.hidden)
        .map(|column| {
            let field = Field::new(&column.name, column.ty.clone(), true);
            match column.span {
                Some(span) => span.mark(field),
                None => field,
            }
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn sources<'f>(
    relations: Relations,
    footers: &'f Arc<Footers>,
) -> Pin<Box<dyn Future<Output = Result<Sources>> + Send + 'f>> {
    Box::pin(async move {
        let mut all = Sources::new();
        for (key, relation) in relations {
            let source = source(&key, relation, footers).await?;
            all.insert(key, source);
        }
        Ok(all)
    })
}

async fn source(key: &[String], relation: Relation, footers: &Arc<Footers>) -> Result<Source> {
    Ok(match relation {
        Relation::Table(scan) => Source::Provider(crate::table_provider(&scan, &key.join("."), footers)?),
        Relation::Rows(batches, schema) => Source::Provider(rows(batches, schema)?),
        Relation::Served(served) => Source::Provider(Arc::new(crate::served::ServedTable::new(served))),
        Relation::View(view) => {
            let view = *view;
            Source::View(Box::new(View {
                query: view.query,
                columns: view.columns,
                catalog: view.catalog,
                schema: view.schema,
                sources: sources(view.relations, footers).await?,
            }))
        }
        Relation::Files(scan) => {
            let schema = crate::files::infer(&scan).await?;
            Source::Provider(Arc::new(crate::files::FilesTable::new(&scan, &schema)?))
        }
    })
}

fn rows(batches: Vec<RecordBatch>, schema: SchemaRef) -> Result<Arc<dyn TableProvider>> {
    let table = MemTable::try_new(schema, vec![batches]).map_err(from_datafusion)?;
    Ok(Arc::new(table))
}

struct Plan {
    runtime: Runtime,
    unoptimized: LogicalPlan,
    optimized: LogicalPlan,
    physical: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    scans: Scans,
}

#[async_trait]
impl Prepared for Plan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn columns_read(&self) -> Vec<(RelationKey, Vec<String>)> {
        let mut read: Vec<(RelationKey, Vec<String>)> = Vec::new();
        // A walk cannot fail: the closure never does.
        let _ = self.optimized.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Some(key) = self.scans.get(scan.table_name.table())
            {
                let mut columns: Vec<String> =
                    scan.projected_schema.fields().iter().map(|field| field.name().clone()).collect();
                for filter in &scan.filters {
                    columns.extend(filter.column_refs().into_iter().map(|column| column.name.clone()));
                }
                match read.iter_mut().find(|(known, _)| known == key) {
                    Some((_, known)) => known.extend(columns),
                    None => read.push((key.clone(), columns)),
                }
            }
            Ok(TreeNodeRecursion::Continue)
        });
        for (_, columns) in &mut read {
            let mut seen = std::collections::HashSet::new();
            columns.retain(|column| seen.insert(column.clone()));
        }
        read
    }

    fn explain(&self, mode: ExplainMode) -> Result<String> {
        let physical = displayable(self.physical.as_ref()).indent(false);
        Ok(match mode {
            ExplainMode::Simple => format!("== Physical Plan ==\n{physical}"),
            ExplainMode::Extended => format!(
                "== Analyzed Logical Plan ==\n{}\n\n== Optimized Logical Plan ==\n{}\n\n== Physical Plan ==\n{physical}",
                self.unoptimized.display_indent(),
                self.optimized.display_indent()
            ),
        })
    }

    async fn run(self: Box<Self>) -> Result<RowStream> {
        let mut inner =
            execute_stream(Arc::clone(&self.physical), self.runtime.state(true).task_ctx()).map_err(from_datafusion)?;
        let mut first = inner.next().await;
        if let Some(Err(error)) = &first
            && is_out_of_memory(error)
        {
            // The build side of a hash join cannot spill; a sort can.
            drop(inner);
            let (runtime, optimized) = (self.runtime.clone(), self.optimized.clone());
            let handle = tokio::runtime::Handle::current();
            let again = deep(move || {
                let state = runtime.state(false);
                handle
                    .block_on(state.query_planner().create_physical_plan(&optimized, state.as_ref()))
                    .map_err(from_datafusion)
            })
            .await?;
            inner = execute_stream(again, self.runtime.state(false).task_ctx()).map_err(from_datafusion)?;
            first = inner.next().await;
        }
        let schema = Arc::clone(&self.schema);
        let rest = futures::stream::iter(first).chain(inner);
        let stream = rest.map(move |batch| shaped(&batch.map_err(from_datafusion)?, &schema));
        Ok(Box::pin(stream) as Pin<Box<_>>)
    }
}

/// The batch under the names and in the types that were promised.
fn shaped(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| as_type(column, field))
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| Problem::internal("the result does not have the promised shape", error))
}

fn as_type(column: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    debug_assert_eq!(types::normal(column.data_type()), types::normal(field.data_type()));
    arrow::compute::cast(column, field.data_type())
        .map_err(|error| Problem::internal("the result does not have the promised type", error))
}
