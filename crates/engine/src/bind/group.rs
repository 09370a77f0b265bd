//! GROUP BY: its expressions and grouping sets, the aggregate that is laid over them, and what stands for them above it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, GroupingSet, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{self, GroupByExpr};

use super::aggregate::Aggregates;
use super::compare::unsigned_zero;
use super::expr::Cx;
use super::query::ordinal;
use super::{Binder, Bound, Env, Scope, plain};
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::{kernel, types};

/// GROUP BY, bound: the expressions, and which of them each grouping set keeps.
pub(crate) struct Groups {
    pub(crate) items: Vec<Bound>,
    pub(crate) sets: Option<Vec<Vec<usize>>>,
}

impl Binder {
    /// GROUP BY as it was written, bound; none: the SELECT has none.
    pub(super) fn groups(
        &self,
        group_by: &GroupByExpr,
        items: &[Bound],
        aliases: &[(String, Bound)],
        aggregates: &RefCell<Aggregates>,
        scope: Scope<'_>,
        env: &Env<'_>,
    ) -> Result<Option<Groups>> {
        let bind = |ast: &ast::Expr| -> Result<Bound> {
            let bound = match ordinal(ast, items.len(), "GROUP_BY_POS_OUT_OF_RANGE")? {
                Some(at) => items[at].clone(),
                None => self.expr(ast, &Cx { aliases, ..Cx::new(scope, env, "GROUP BY") })?,
            };
            if aggregates.borrow().occurs_in(&bound.expr) {
                return Err(spark_hint(
                    if ordinal(ast, items.len(), "GROUP_BY_POS_OUT_OF_RANGE")?.is_some() {
                        "GROUP_BY_POS_AGGREGATE"
                    } else {
                        "GROUP_BY_AGGREGATE"
                    },
                    format!("aggregate functions are not allowed in GROUP BY, but found \"{}\"", bound.name),
                    "leave it out of GROUP BY",
                ));
            }
            if matches!(bound.ty, DataType::Map(..)) {
                return Err(spark(
                    "GROUP_EXPRESSION_TYPE_IS_NOT_ORDERABLE",
                    format!("\"{}\" is a map, which cannot be grouped by", bound.name),
                ));
            }
            Ok(bound)
        };
        match group_by {
            GroupByExpr::All(_) => {
                let calls = aggregates.borrow();
                let items: Vec<Bound> = items.iter().filter(|item| !calls.occurs_in(&item.expr)).cloned().collect();
                Ok(Some(Groups { items, sets: None }))
            }
            GroupByExpr::Expressions(exprs, _) if exprs.is_empty() => Ok(None),
            GroupByExpr::Expressions(exprs, _) => {
                let mut all: Vec<Bound> = Vec::new();
                let mut sets: Vec<Vec<usize>> = vec![Vec::new()];
                let mut many = false;
                let mut place = |bound: Bound| -> usize {
                    match all.iter().position(|known| known.expr == bound.expr) {
                        Some(at) => at,
                        None => {
                            all.push(bound);
                            all.len() - 1
                        }
                    }
                };
                for expr in exprs {
                    let mut parts = |lists: &[Vec<ast::Expr>]| -> Result<Vec<Vec<usize>>> {
                        lists.iter().map(|list| list.iter().map(|item| Ok(place(bind(item)?))).collect()).collect()
                    };
                    let choices: Vec<Vec<usize>> = match expr {
                        ast::Expr::Rollup(lists) => {
                            many = true;
                            let parts = parts(lists)?;
                            (0..=parts.len()).rev().map(|kept| parts[..kept].concat()).collect()
                        }
                        ast::Expr::Cube(lists) => {
                            many = true;
                            let parts = parts(lists)?;
                            (0..1_usize << parts.len())
                                .rev()
                                .map(|mask| {
                                    let kept = parts
                                        .iter()
                                        .enumerate()
                                        .filter(|(at, _)| mask >> (parts.len() - 1 - at) & 1 == 1);
                                    kept.flat_map(|(_, part)| part.clone()).collect()
                                })
                                .collect()
                        }
                        ast::Expr::GroupingSets(lists) => {
                            many = true;
                            parts(lists)?
                        }
                        ast::Expr::Tuple(list) if list.is_empty() => vec![Vec::new()],
                        other => parts(&[vec![other.clone()]])?,
                    };
                    sets = sets
                        .iter()
                        .flat_map(|before| choices.iter().map(|choice| [before.clone(), choice.clone()].concat()))
                        .collect();
                    if sets.len() > 4096 {
                        return Err(unsupported("more than 4096 grouping sets"));
                    }
                }
                Ok(Some(Groups { items: all, sets: many.then_some(sets) }))
            }
        }
    }

    /// Lays the aggregate, and says what stands above it for what was grouped by.
    pub(crate) fn lay_aggregate(
        &self,
        plan: datafusion::logical_expr::LogicalPlan,
        groups: Groups,
        aggregates: Aggregates,
    ) -> Result<(datafusion::logical_expr::LogicalPlan, Swap)> {
        // Grouping expressions become columns first, unless they are.
        let mut swap = Swap::default();
        let mut before: Vec<Expr> = Vec::new();
        let mut columns: Vec<Expr> = Vec::new();
        let simple = groups.sets.is_none();
        for item in &groups.items {
            match &item.expr {
                // -0.0 and 0.0 are one group.
                expr if types::is_float(&item.ty) => {
                    let name = self.column_name(&item.name);
                    before.push(unsigned_zero(item.clone()).expr.alias(&name));
                    columns.push(Expr::Column(plain(&name)));
                    swap.pairs.push((expr.clone(), plain(name)));
                }
                Expr::Column(column) if simple => {
                    columns.push(item.expr.clone());
                    swap.pairs.push((item.expr.clone(), column.clone()));
                }
                expr => {
                    let name = self.column_name(&item.name);
                    before.push(expr.clone().alias(&name));
                    columns.push(Expr::Column(plain(&name)));
                    swap.pairs.push((expr.clone(), plain(name)));
                }
            }
        }
        let mut builder = LogicalPlanBuilder::from(plan);
        if !before.is_empty() {
            let all: Vec<Expr> = builder.schema().columns().into_iter().map(Expr::Column).chain(before).collect();
            builder = builder.project(all)?;
        }
        let group_exprs = match &groups.sets {
            None => columns.clone(),
            Some(sets) => {
                let sets = sets
                    .iter()
                    .map(|set| {
                        let mut seen = Vec::new();
                        for at in set {
                            if !seen.contains(at) {
                                seen.push(*at);
                            }
                        }
                        seen.into_iter().map(|at| columns[at].clone()).collect()
                    })
                    .collect();
                vec![Expr::GroupingSet(GroupingSet::GroupingSets(sets))]
            }
        };
        let (calls, groupings) = aggregates.into_calls();
        swap.extra.extend(calls.iter().map(|(_, name)| plain(name)));
        let calls: Vec<Expr> = calls.into_iter().map(|(call, name)| call.alias(name)).collect();
        let lone = group_exprs.is_empty() && calls.is_empty();
        if lone {
            // GROUP BY nothing, aggregate nothing: one row.
            let one = Expr::Literal(datafusion::common::ScalarValue::Int32(Some(1)), None);
            let count = datafusion::functions_aggregate::expr_fn::count(one).alias(self.column_name("rows"));
            builder = builder.aggregate(group_exprs, vec![count])?;
        } else {
            builder = builder.aggregate(group_exprs, calls)?;
        }
        let mut plan = builder.build()?;
        if !groupings.is_empty() {
            let id = groups.sets.is_some().then(|| {
                let schema = plan.schema();
                schema.columns().into_iter().find(|column| column.name == "__grouping_id")
            });
            let Some(Some(id)) = id else {
                return Err(spark_hint(
                    "UNSUPPORTED_GROUPING_EXPRESSION",
                    "grouping()/grouping_id() can only be used with GroupingSets/Cube/Rollup",
                    "write GROUP BY ROLLUP (…)",
                ));
            };
            // DataFusion numbers the columns in the order in which the sets first name them.
            let mut order: Vec<usize> = Vec::new();
            for set in groups.sets.iter().flatten() {
                for at in set {
                    if !order.contains(at) {
                        order.push(*at);
                    }
                }
            }
            let mut all: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
            for (arguments, name) in groupings {
                let ats = match arguments {
                    Some(arguments) => arguments
                        .iter()
                        .map(|argument| {
                            groups.items.iter().position(|item| item.expr == argument.expr).ok_or_else(|| {
                                spark(
                                    "GROUPING_COLUMN_MISMATCH",
                                    format!(
                                        "column of grouping (\"{}\") can't be found in grouping columns",
                                        argument.name
                                    ),
                                )
                            })
                        })
                        .collect::<Result<Vec<_>>>()?,
                    None => (0..groups.items.len()).collect(),
                };
                let shifts: Vec<usize> = ats
                    .iter()
                    .map(|at| order.len() - 1 - order.iter().position(|known| known == at).unwrap_or(0))
                    .collect();
                all.push(grouping_bits(Expr::Column(id.clone()), shifts).alias(&name));
                swap.extra.push(plain(name));
            }
            plan = LogicalPlanBuilder::from(plan).project(all)?.build()?;
        }
        Ok((plan, swap))
    }
}

/// What stands for a grouping expression above the aggregate.
#[derive(Default)]
pub(crate) struct Swap {
    pairs: Vec<(Expr, Column)>,
    extra: Vec<Column>,
}

impl Swap {
    /// Replaces grouping expressions by their columns, the largest first.
    pub(crate) fn apply(&self, expr: Expr) -> Result<Expr> {
        let done = expr.transform_down(|node| {
            if let Some((_, column)) = self.pairs.iter().find(|(group, _)| *group == node) {
                return Ok(Transformed::new(Expr::Column(column.clone()), true, TreeNodeRecursion::Jump));
            }
            Ok(Transformed::no(node))
        })?;
        Ok(done.data)
    }

    pub(super) fn columns(&self) -> HashSet<Column> {
        self.pairs.iter().map(|(_, column)| column.clone()).chain(self.extra.iter().cloned()).collect()
    }
}

/// Bits of DataFusion's grouping id, in the order of the arguments, the first highest.
fn grouping_bits(id: Expr, shifts: Vec<usize>) -> Expr {
    let key = format!("{shifts:?}");
    kernel::pure("grouping_bits", key, DataType::Int64, vec![id], move |columns, _| {
        let ids = arrow::compute::cast(&columns[0], &DataType::UInt64)?;
        let ids = arrow::array::AsArray::as_primitive::<arrow::datatypes::UInt64Type>(&ids);
        let out: arrow::array::Int64Array = ids
            .iter()
            .map(|id| id.map(|id| shifts.iter().fold(0_i64, |bits, shift| bits << 1 | i64::from(id >> shift & 1 == 1))))
            .collect();
        Ok(Arc::new(out))
    })
}
