//! Joins: conditions, USING, NATURAL, and the columns that a join has.

use arrow::datatypes::DataType;
use datafusion::common::{JoinType, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Operator};
use datafusion::sql::sqlparser::ast::{JoinConstraint, JoinOperator};

use super::expr::Cx;
use super::from::{coalesce, column_of};
use super::query::conjunction;
use super::{Binder, Bound, Env, Rel, Scope, ScopeColumn, span_of};
use crate::spark::error::{Result, spark_hint, unsupported};
use crate::spark::types;

impl Binder {
    /// Two relations as one, on a condition or on columns that both have.
    pub(super) fn join(
        &self,
        left: Rel,
        right: Rel,
        operator: &JoinOperator,
        env: &Env<'_>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Rel> {
        use JoinOperator as J;
        let (kind, constraint) = match operator {
            J::Join(constraint) | J::Inner(constraint) | J::CrossJoin(constraint) => (JoinType::Inner, constraint),
            J::Left(constraint) | J::LeftOuter(constraint) => (JoinType::Left, constraint),
            J::Right(constraint) | J::RightOuter(constraint) => (JoinType::Right, constraint),
            J::FullOuter(constraint) => (JoinType::Full, constraint),
            J::Semi(constraint) | J::LeftSemi(constraint) => (JoinType::LeftSemi, constraint),
            J::Anti(constraint) | J::LeftAnti(constraint) => (JoinType::LeftAnti, constraint),
            other => return Err(unsupported(format!("the join {other:?}"))),
        };
        let mut filter: Option<Expr> = None;
        let mut shared: Vec<(usize, usize)> = Vec::new();
        match constraint {
            JoinConstraint::On(condition) => {
                let both = [left.columns.clone(), right.columns.clone()].concat();
                let scope = Scope { columns: &both, outer };
                let condition = self.expr(condition, &Cx::new(scope, env, "JOIN"))?;
                if !matches!(condition.ty, DataType::Boolean | DataType::Null | DataType::Utf8) {
                    return Err(spark_hint(
                        "JOIN_CONDITION_IS_NOT_BOOLEAN_TYPE",
                        format!(
                            "the join condition \"{}\" is \"{}\", not BOOLEAN",
                            condition.name,
                            types::sql(&condition.ty)
                        ),
                        "compare it with something",
                    ));
                }
                filter = Some(self.cast(condition, &DataType::Boolean)?.expr);
            }
            JoinConstraint::Using(names) => {
                for name in names {
                    let name = name.to_string().trim_matches('`').to_owned();
                    shared.push((self.using(&left, &name, "left")?, self.using(&right, &name, "right")?));
                }
            }
            JoinConstraint::Natural => {
                for (at, column) in left.columns.iter().enumerate().filter(|(_, column)| !column.hidden) {
                    let found = right
                        .columns
                        .iter()
                        .position(|other| !other.hidden && other.name.to_lowercase() == column.name.to_lowercase());
                    if let Some(other) = found {
                        shared.push((at, other));
                    }
                }
            }
            JoinConstraint::None => {}
        }
        for (a, b) in &shared {
            let (a, b) = (&left.columns[*a], &right.columns[*b]);
            let same = self.compare(Operator::Eq, column_of(a), column_of(b))?;
            filter = Some(conjunction(filter, same.expr));
        }
        let plan = LogicalPlanBuilder::from(left.plan);
        let plan = match (filter, kind) {
            (None, JoinType::Inner) => plan.cross_join(right.plan)?,
            (filter, kind) => {
                let always = Expr::Literal(ScalarValue::Boolean(Some(true)), None);
                plan.join_on(right.plan, kind, [filter.unwrap_or(always)])?
            }
        };
        let mut rel = Rel { plan: plan.build()?, columns: left.columns };
        if matches!(kind, JoinType::LeftSemi | JoinType::LeftAnti) {
            return Ok(rel);
        }
        if shared.is_empty() {
            rel.columns.extend(right.columns);
            return Ok(rel);
        }
        // The shared columns come first, once; the other side's copies answer to their table's name only.
        let mut columns = Vec::new();
        let mut merged: Vec<Bound> = Vec::new();
        for (a, b) in &shared {
            let (a, b) = (&rel.columns[*a], &right.columns[*b]);
            match kind {
                JoinType::Right => {
                    columns.push(b.clone());
                }
                JoinType::Full => {
                    let (items, ty) = self.unify(vec![column_of(a), column_of(b)], "USING")?;
                    let [a, b] = <[Bound; 2]>::try_from(items).map_err(|_| unsupported("this USING"))?;
                    let name = a.name.clone();
                    let span = span_of([&a, &b], &ty);
                    merged.push(Bound::new(coalesce(vec![a.expr, b.expr]), ty, name).spanned(span));
                }
                _ => columns.push(a.clone()),
            }
        }
        if kind == JoinType::Full {
            let mut exprs: Vec<Expr> =
                rel.columns.iter().chain(&right.columns).map(|column| Expr::Column(column.column.clone())).collect();
            for item in merged {
                let (expr, column) = self.named(item);
                exprs.push(expr);
                columns.push(column);
            }
            rel.plan = LogicalPlanBuilder::from(rel.plan).project(exprs)?.build()?;
        }
        let (mut hidden, mut others) = (Vec::new(), Vec::new());
        for (at, column) in rel.columns.into_iter().enumerate() {
            let taken = shared.iter().any(|(a, _)| *a == at);
            match (taken, kind) {
                (true, JoinType::Right | JoinType::Full) => hidden.push(ScopeColumn { hidden: true, ..column }),
                (true, _) => {}
                (false, _) => others.push(column),
            }
        }
        for (at, column) in right.columns.into_iter().enumerate() {
            let taken = shared.iter().any(|(_, b)| *b == at);
            match (taken, kind) {
                (true, JoinType::Right) => {}
                (true, _) => hidden.push(ScopeColumn { hidden: true, ..column }),
                (false, _) => others.push(column),
            }
        }
        columns.extend(others);
        columns.extend(hidden);
        Ok(Rel { plan: rel.plan, columns })
    }

    fn using(&self, rel: &Rel, name: &str, side: &str) -> Result<usize> {
        let lower = name.to_lowercase();
        rel.columns.iter().position(|column| !column.hidden && column.name.to_lowercase() == lower).ok_or_else(|| {
            let known: Vec<String> = rel.columns.iter().map(|column| format!("`{}`", column.name)).collect();
            spark_hint(
                "UNRESOLVED_USING_COLUMN_FOR_JOIN",
                format!("USING column `{name}` cannot be resolved on the {side} side of the join"),
                format!("the {side} side has {}", known.join(", ")),
            )
        })
    }
}
