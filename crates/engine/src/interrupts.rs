//! Long steps of plans made interruptible.
//!
//! DataFusion counts the batches that its leaves give, and lets others go on, or ends what was given up, after 128 of
//! them. A join makes as many batches of one as the other side has rows; so what multiplies is counted too. And a join
//! whose condition no pair of rows fulfils gives no batch at all: its condition asks whether the query is still
//! [`wanted`], as do our own functions. The rule comes last: the others look for joins below what they move.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use datafusion::physical_plan::unnest::UnnestExec;

use crate::crews::wanted;
use crate::generator::GenerateExec;

/// Makes what multiplies rows count its batches and watch for its end.
#[derive(Debug)]
pub(crate) struct Interrupts;

impl PhysicalOptimizerRule for Interrupts {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            Ok(match interruptible(&node)? {
                Some(node) => Transformed::yes(Arc::new(CooperativeExec::new(node))),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "Interrupts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The node, if it multiplies, with a condition that watches.
fn interruptible(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        let Some(filter) = join.filter() else { return Ok(Some(Arc::clone(node))) };
        return join.builder().with_filter(Some(watched(filter))).build_exec().map(Some);
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        let Some(filter) = join.filter() else { return Ok(Some(Arc::clone(node))) };
        let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(watched(filter))).build()?;
        return Ok(Some(Arc::new(join)));
    }
    if let Some(join) = node.downcast_ref::<SortMergeJoinExec>() {
        let Some(filter) = join.filter() else { return Ok(Some(Arc::clone(node))) };
        return Ok(Some(Arc::new(SortMergeJoinExec::try_new(
            Arc::clone(join.left()),
            Arc::clone(join.right()),
            join.on().to_vec(),
            Some(watched(filter)),
            join.join_type(),
            join.sort_options().to_vec(),
            join.null_equality(),
        )?)));
    }
    let multiplies = node.is::<CrossJoinExec>() || node.is::<UnnestExec>() || node.is::<GenerateExec>();
    Ok(multiplies.then(|| Arc::clone(node)))
}

fn watched(filter: &JoinFilter) -> JoinFilter {
    let expression = Arc::new(Watched(Arc::clone(filter.expression())));
    JoinFilter::new(expression, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
}

/// The expression, which fails when nobody waits for it any more.
#[derive(Debug, Eq)]
struct Watched(Arc<dyn PhysicalExpr>);

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref() == other.0.as_ref()
    }
}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_ref().hash(state);
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PhysicalExpr for Watched {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        wanted()?;
        self.0.evaluate(batch)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.0.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let [inner] = <[_; 1]>::try_from(children)
            .map_err(|_| DataFusionError::Internal("a watched condition is one expression".to_owned()))?;
        Ok(Arc::new(Watched(inner)))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}
