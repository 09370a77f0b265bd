//! What can fail runs only on the rows that the conditions left of it did not rule out.
//!
//! `a <> 0 AND 10 / a > 1` must not divide by zero. DataFusion computes both sides of an AND over the whole batch, and its
//! optimizer splits and moves conditions, so after it is done, every AND, OR and IN whose later parts may fail becomes one
//! function ([`lazily`]) that goes from part to part with the rows that are still open. The order is the one in which the
//! user wrote them, as far as they end up in one place; conditions are pushed below joins, aggregates and subqueries as
//! Spark pushes them. What cannot fail stays as it is: it prunes files, joins and is moved freely.
//!
//! A scan does not get what can fail. CASE is lazy already. An aggregate's argument is computed only where its FILTER lets it. Projections that may fail are
//! kept above filters by [`AboveFilters`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Case, Expr, ExprSchemable, Filter, Join as LogicalJoin, LogicalPlan, Operator,
};
use datafusion::physical_expr::projection::{ProjectionExpr, update_expr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, create_physical_expr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::ProjectionExec;

use crate::bind::{field, plain};
use crate::generator::Generate;
use crate::interrupts::Interrupts;
use crate::spark::kernel;

/// How the parts of a condition make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    /// AND of three truth values: what is not false stays open.
    All,
    /// OR of three truth values: what is not true stays open.
    Any,
    /// A filter's AND, which drops what is unknown: only what is true stays open.
    Passing,
}

/// Whether computing the expression can fail on some row.
pub(crate) fn may_fail(expr: &Expr) -> bool {
    let mut found = false;
    // The closure never fails.
    let _ = expr.apply(|node| {
        Ok(match node {
            Expr::ScalarFunction(call) if kernel::may_fail(&call.func) => {
                found = true;
                TreeNodeRecursion::Stop
            }
            Expr::ScalarSubquery(_) | Expr::Exists(_) => TreeNodeRecursion::Jump,
            _ => TreeNodeRecursion::Continue,
        })
    });
    found
}

/// The optimized plan with its conditions made lazy where that matters.
pub(crate) fn plan(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan.transform_up_with_subqueries(node)?.data)
}

/// The plan, not optimized yet, in which the FILTER of an aggregate guards its arguments, and the conditions of a join its
/// keys. The optimizer would compute beforehand, for all rows, what two aggregates have in common, and the keys.
pub(crate) fn filtered(plan: LogicalPlan) -> Result<LogicalPlan> {
    let guard = |expr: Expr| {
        let Expr::AggregateFunction(mut call) = expr else { return Ok(Transformed::no(expr)) };
        let Some(filter) = &call.params.filter else { return Ok(Transformed::no(Expr::AggregateFunction(call))) };
        for arg in call.params.args.iter_mut().filter(|arg| may_fail(arg)) {
            let computed = (filter.clone(), Box::new(std::mem::take(arg)));
            *arg = Expr::Case(Case::new(None, vec![computed], None));
        }
        Ok(Transformed::yes(Expr::AggregateFunction(call)))
    };
    let aggregates = |node: LogicalPlan| {
        match node {
            LogicalPlan::Join(join) if join.filter.as_ref().is_some_and(may_fail) => return guarded_join(join),
            LogicalPlan::Filter(filter) if may_fail(&filter.predicate) && filter.predicate.contains_outer() => {
                return guarded_filter(filter);
            }
            LogicalPlan::Aggregate(_) => {}
            node => return Ok(Transformed::no(node)),
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let saved = names.save(&expr);
            Ok(expr.transform_up(guard)?.update_data(|expr| saved.restore(expr)))
        })
    };
    Ok(plan.transform_up_with_subqueries(aggregates)?.data)
}

/// The join whose keys that may fail are NULL, which matches nothing, where a condition left of them about the same side
/// does not hold.
fn guarded_join(mut join: LogicalJoin) -> Result<Transformed<LogicalPlan>> {
    let sides = [Arc::clone(join.left.schema()), Arc::clone(join.right.schema())];
    let side = |expr: &Expr| {
        let columns = expr.column_refs();
        let of = |side: &Arc<DFSchema>| columns.iter().all(|column| side.has_column(column));
        if columns.is_empty() || expr.contains_outer() { None } else { sides.iter().position(of) }
    };
    join.filter = join.filter.take().and_then(|filter| conjunction(with_guarded_keys(filter, side)));
    Ok(Transformed::yes(LogicalPlan::Join(join)))
}

/// The same of a subquery's condition, which becomes that of a join with the query around it.
fn guarded_filter(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let side = |expr: &Expr| (expr.contains_outer() && expr.column_refs().is_empty()).then_some(0);
    let predicate = conjunction(with_guarded_keys(filter.predicate.clone(), side));
    let predicate = predicate.ok_or_else(|| crate::spark::error::unsupported("an empty condition"))?;
    Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)))
}

fn with_guarded_keys(condition: Expr, side: impl Fn(&Expr) -> Option<usize>) -> Vec<Expr> {
    let parts = split_conjunction_owned(condition);
    let guarded = |key: &Expr, before: &[Expr]| {
        let own = side(key).filter(|_| may_fail(key))?;
        let holds = before.iter().filter(|part| !may_fail(part) && side(part) == Some(own)).cloned();
        let case = vec![(Box::new(conjunction(holds)?), Box::new(key.clone()))];
        Some(Expr::Case(Case::new(None, case, None)))
    };
    let one = |(at, part): (usize, &Expr)| match part {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let key = |key: &Expr| Box::new(guarded(key, &parts[..at]).unwrap_or_else(|| key.clone()));
            Expr::BinaryExpr(BinaryExpr::new(key(left), Operator::Eq, key(right)))
        }
        other => other.clone(),
    };
    parts.iter().enumerate().map(one).collect()
}

fn node(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match node {
        LogicalPlan::Filter(filter) if may_fail(&filter.predicate) => {
            let predicate = passing(filter.predicate, filter.input.schema())?;
            Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)))
        }
        LogicalPlan::Join(mut join) if join.filter.as_ref().is_some_and(may_fail) => {
            let schema = join.left.schema().join(join.right.schema())?;
            join.filter = join.filter.map(|filter| passing(filter, &schema)).transpose()?;
            Ok(Transformed::yes(LogicalPlan::Join(join)))
        }
        // What a scan is told only helps to choose files.
        LogicalPlan::Filter(_) | LogicalPlan::Join(_) | LogicalPlan::TableScan(_) => Ok(Transformed::no(node)),
        node => {
            let inputs = node.inputs();
            let schema = match inputs.as_slice() {
                [] => DFSchema::empty(),
                [input] => input.schema().as_ref().clone(),
                _ => return Ok(Transformed::no(node)),
            };
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                if !may_fail(&expr) {
                    return Ok(Transformed::no(expr));
                }
                let saved = names.save(&expr);
                Ok(Transformed::yes(saved.restore(expression(expr, &schema)?)))
            })
        }
    }
}

/// A filter's condition: what cannot fail as it is, so that it goes on to the scan, then all in order as one function.
fn passing(predicate: Expr, schema: &DFSchema) -> Result<Expr> {
    let parts = split_conjunction_owned(predicate);
    let parts = parts.into_iter().map(|part| expression(part, schema)).collect::<Result<Vec<_>>>()?;
    let Some(last) = parts.iter().rposition(may_fail).filter(|last| *last > 0) else {
        return conjunction(parts).ok_or_else(|| crate::spark::error::unsupported("an empty condition"));
    };
    let mut kept: Vec<Expr> = parts.iter().filter(|part| !may_fail(part)).cloned().collect();
    kept.push(lazily(Join::Passing, parts.into_iter().take(last + 1).collect(), schema)?);
    conjunction(kept).ok_or_else(|| crate::spark::error::unsupported("an empty condition"))
}

/// The expression with its own conditions made lazy. `schema` is what it is computed from.
pub(crate) fn expression(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if !may_fail(&expr) {
        return Ok(expr);
    }
    let rewrite = |node: Expr| match node {
        Expr::BinaryExpr(BinaryExpr { op: op @ (Operator::And | Operator::Or), .. }) => {
            let mut parts = Vec::new();
            flatten(node, op, &mut parts);
            let late = parts.iter().skip(1).any(may_fail);
            let parts = parts.into_iter().map(|part| expression(part, schema)).collect::<Result<Vec<_>>>()?;
            let join = if op == Operator::And { Join::All } else { Join::Any };
            let whole = if late { lazily(join, parts, schema)? } else { joined(op, parts)? };
            Ok(Transformed::new(whole, true, TreeNodeRecursion::Jump))
        }
        Expr::InList(InList { expr, list, negated }) if list.iter().skip(1).any(may_fail) => {
            let same = |item| {
                let item = expression(item, schema)?;
                Ok(Expr::BinaryExpr(BinaryExpr::new(expr.clone(), Operator::Eq, Box::new(item))))
            };
            let parts = list.into_iter().map(same).collect::<Result<Vec<_>>>()?;
            let any = lazily(Join::Any, parts, schema)?;
            let whole = if negated { Expr::Not(Box::new(any)) } else { any };
            Ok(Transformed::new(whole, true, TreeNodeRecursion::Jump))
        }
        node => Ok(Transformed::no(node)),
    };
    Ok(expr.transform_down(rewrite)?.data)
}

fn flatten(expr: Expr, op: Operator, parts: &mut Vec<Expr>) {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: own, right }) if own == op => {
            flatten(*left, op, parts);
            flatten(*right, op, parts);
        }
        other => parts.push(other),
    }
}

fn joined(op: Operator, parts: Vec<Expr>) -> Result<Expr> {
    parts
        .into_iter()
        .reduce(|left, right| Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
        .ok_or_else(|| crate::spark::error::unsupported("an empty condition"))
}

/// The parts as one function of the columns that they are computed from.
fn lazily(join: Join, parts: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
    let mut args: Vec<Expr> = Vec::new();
    let mut places: HashMap<Expr, usize> = HashMap::new();
    let mut bodies = Vec::new();
    for part in parts {
        let body = part.transform_down(|node| match node {
            Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::ScalarSubquery(_) => {
                let at = *places.entry(node).or_insert_with_key(|node| {
                    args.push(node.clone());
                    args.len() - 1
                });
                Ok(Transformed::new(argument(at), true, TreeNodeRecursion::Jump))
            }
            node => Ok(Transformed::no(node)),
        })?;
        bodies.push(body.data);
    }
    let fields = args.iter().enumerate().map(|(at, arg)| Ok(field(&name_of(at), &arg.get_type(schema)?)));
    let own = Arc::new(Schema::new(fields.collect::<Result<Vec<Field>>>()?));
    let df = DFSchema::try_from(own.as_ref().clone())?;
    let volatile = bodies.iter().any(Expr::is_volatile);
    let (props, context) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let compiled = bodies.iter().map(|body| create_physical_expr(body, &df, &props, &context));
    let compiled = compiled.collect::<Result<Vec<_>>>()?;
    // The key is this call's own: two calls are never taken for one another.
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let key = CALLS.fetch_add(1, Ordering::Relaxed).to_string();
    let body = move |columns: &[ArrayRef], rows: usize| run(join, &compiled, &own, columns, rows);
    Ok(match volatile {
        true => kernel::volatile("lazily", key, DataType::Boolean, args, body),
        false => kernel::pure("lazily", key, DataType::Boolean, args, body),
    })
}

fn name_of(at: usize) -> String {
    format!("arg{at}")
}

fn argument(at: usize) -> Expr {
    Expr::Column(Column::new_unqualified(plain(name_of(at)).name))
}

fn run(
    join: Join,
    parts: &[Arc<dyn PhysicalExpr>],
    schema: &Arc<Schema>,
    columns: &[ArrayRef],
    rows: usize,
) -> Result<ArrayRef> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let mut open = RecordBatch::try_new_with_options(Arc::clone(schema), columns.to_vec(), &options)?;
    // Which row of the whole batch each open one is; `None`: all are open.
    let mut places: Option<Vec<usize>> = None;
    let mut out = vec![Some(join != Join::Any); rows];
    for (at, part) in parts.iter().enumerate() {
        if open.num_rows() == 0 {
            break;
        }
        let values = part.evaluate(&open)?.into_array(open.num_rows())?;
        let values = values.as_boolean();
        let mut stays = Vec::with_capacity(values.len());
        for (row, value) in values.iter().enumerate() {
            let place = places.as_ref().map_or(row, |places| places[row]);
            let (settled, stay) = match join {
                Join::All => (value == Some(false), value != Some(false)),
                Join::Any => (value == Some(true), value != Some(true)),
                Join::Passing => (value != Some(true), value == Some(true)),
            };
            if settled || value.is_none() {
                out[place] = value;
            }
            stays.push(stay);
        }
        if at + 1 < parts.len() && stays.iter().any(|stay| !stay) {
            places = Some(
                stays
                    .iter()
                    .enumerate()
                    .filter(|(_, stay)| **stay)
                    .map(|(row, _)| places.as_ref().map_or(row, |places| places[row]))
                    .collect(),
            );
            open = arrow::compute::filter_record_batch(&open, &BooleanArray::from(stays))?;
        }
    }
    Ok(Arc::new(BooleanArray::from(out)))
}

/// DataFusion's physical rules; before them [`Generate`], [`AboveFilters`] after each that moves projections, last
/// [`Interrupts`].
pub(crate) fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![Arc::new(Generate)];
    for rule in PhysicalOptimizer::new().rules {
        let moves = rule.name() == "ProjectionPushdown";
        rules.push(rule);
        if moves {
            rules.push(Arc::new(AboveFilters));
        }
    }
    rules.push(Arc::new(Interrupts));
    rules
}

/// Lifts a projection that may fail above the filter that it was pushed below to save columns.
#[derive(Debug)]
struct AboveFilters;

impl PhysicalOptimizerRule for AboveFilters {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| {
            Ok(match lifted(&node)? {
                Some(lifted) => Transformed::yes(lifted),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "AboveFilters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn lifted(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(None) };
    let Some(below) = filter.input().downcast_ref::<ProjectionExec>() else { return Ok(None) };
    if !below.expr().iter().any(|item| physical_may_fail(&item.expr)) {
        return Ok(None);
    }
    let Some(predicate) = update_expr(filter.predicate(), below.expr(), true)? else { return Ok(None) };
    if physical_may_fail(&predicate) && !physical_may_fail(filter.predicate()) {
        // The filter is about what the projection computes.
        return Ok(None);
    }
    let under = FilterExecBuilder::new(predicate, Arc::clone(below.input()))
        .with_default_selectivity(filter.default_selectivity())
        .with_fetch(filter.fetch())
        .build()?;
    let items: Vec<ProjectionExpr> = match filter.projection() {
        Some(kept) => kept.iter().map(|at| below.expr()[*at].clone()).collect(),
        None => below.expr().to_vec(),
    };
    Ok(Some(Arc::new(ProjectionExec::try_new(items, Arc::new(under))?)))
}

/// [`may_fail`], of a physical expression.
pub(crate) fn physical_may_fail(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.exists(|node| Ok(node.downcast_ref::<ScalarFunctionExpr>().is_some_and(|call| kernel::may_fail(call.fun()))))
        .unwrap_or(true)
}
