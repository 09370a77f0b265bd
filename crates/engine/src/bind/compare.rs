//! Comparisons, IN, and subqueries as values.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{ScalarValue, Spans};
use datafusion::functions_aggregate as fa;
use datafusion::logical_expr::expr::{InList, InSubquery};
use datafusion::logical_expr::{BinaryExpr, Case, Expr, LogicalPlan, LogicalPlanBuilder, Operator, Subquery};
use datafusion::sql::sqlparser::ast;

use super::expr::{Cx, binary};
use super::{Binder, Bound, Rel, ScopeColumn};
use crate::spark::error::{Result, spark, spark_hint};
use crate::spark::functions::nested::named_struct;
use crate::spark::types;

impl Binder {
    /// A comparison: both sides meet in one type.
    pub(crate) fn compare(&self, op: Operator, left: Bound, right: Bound) -> Result<Bound> {
        let word = match op {
            Operator::Eq => "=",
            Operator::NotEq => "=",
            Operator::IsNotDistinctFrom => "<=>",
            Operator::Lt => "<",
            Operator::LtEq => "<=",
            Operator::Gt => ">",
            _ => ">=",
        };
        let mut name = format!("({} {word} {})", left.name, right.name);
        if op == Operator::NotEq {
            name = format!("(NOT {name})");
        }
        let Some(ty) = types::common(&left.ty, &right.ty) else {
            return Err(spark_hint(
                "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES",
                format!(
                    "cannot resolve \"{name}\": the operands have incompatible types \"{}\" and \"{}\"",
                    types::sql(&left.ty),
                    types::sql(&right.ty)
                ),
                "cast one of them",
            ));
        };
        if contains_map(&ty) {
            return Err(spark(
                "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE",
                format!("cannot resolve \"{name}\": maps cannot be compared"),
            ));
        }
        let (left, right) = (self.cast(left, &ty)?, self.cast(right, &ty)?);
        let (left, right) = if types::is_float(&ty) {
            let (l, r) = (is_nonzero_literal(&left), is_nonzero_literal(&right));
            (if r { left } else { unsigned_zero(left) }, if l { right } else { unsigned_zero(right) })
        } else {
            (left, right)
        };
        let expr = if ty == DataType::Null {
            match op {
                Operator::IsNotDistinctFrom => Expr::Literal(ScalarValue::Boolean(Some(true)), None),
                _ => Expr::Literal(ScalarValue::Boolean(None), None),
            }
        } else {
            binary(left.expr, op, right.expr)
        };
        Ok(Bound::new(expr, DataType::Boolean, name))
    }

    pub(super) fn in_list(&self, value: &ast::Expr, list: &[ast::Expr], negated: bool, cx: &Cx<'_>) -> Result<Bound> {
        let mut items = vec![self.expr(value, cx)?];
        for item in list {
            items.push(self.expr(item, cx)?);
        }
        let names: Vec<&str> = items[1..].iter().map(|item| item.name.as_str()).collect();
        let name = format!("({} IN ({}))", items[0].name, names.join(", "));
        let (mut items, ty) = self.unify(items, "IN")?;
        if ty == DataType::Null {
            return Ok(Bound::new(Expr::Literal(ScalarValue::Boolean(None), None), DataType::Boolean, name));
        }
        let value = items.remove(0);
        let nested = !types::is_atomic(&ty);
        let expr = if nested || types::is_float(&ty) {
            // Arrow's IN takes flat types only, and tells -0.0 from 0.0.
            let mut any: Option<Expr> = None;
            for item in items {
                let same = self.compare(Operator::Eq, value.clone(), item)?.expr;
                any = Some(match any {
                    Some(before) => binary(before, Operator::Or, same),
                    None => same,
                });
            }
            any.unwrap_or(Expr::Literal(ScalarValue::Boolean(Some(false)), None))
        } else {
            Expr::InList(InList::new(Box::new(value.expr), items.into_iter().map(|item| item.expr).collect(), false))
        };
        let bound = Bound::new(expr, DataType::Boolean, name);
        Ok(if negated { self.not(bound) } else { bound })
    }

    pub(super) fn in_subquery(
        &self,
        value: &ast::Expr,
        query: &ast::Query,
        negated: bool,
        cx: &Cx<'_>,
    ) -> Result<Bound> {
        let values = match value {
            ast::Expr::Tuple(items) => items.iter().map(|item| self.expr(item, cx)).collect::<Result<Vec<_>>>()?,
            other => vec![self.expr(other, cx)?],
        };
        let scope = cx.scope;
        let mut rel = self.query(query, cx.env, Some(&scope))?;
        if rel.columns.len() != values.len() {
            return Err(spark(
                "DATATYPE_MISMATCH.IN_SUBQUERY_LENGTH_MISMATCH",
                format!("IN compares {} columns with a subquery of {}", values.len(), rel.columns.len()),
            ));
        }
        let name = format!(
            "({} IN (listquery()))",
            values.iter().map(|value| value.name.as_str()).collect::<Vec<_>>().join(", ")
        );
        let mut pairs = Vec::new();
        for (value, column) in values.into_iter().zip(&rel.columns) {
            let other = Bound::new(Expr::Column(column.column.clone()), column.ty.clone(), column.name.clone());
            let ty = types::common(&value.ty, &other.ty).ok_or_else(|| {
                spark("DATATYPE_MISMATCH.IN_SUBQUERY_DATA_TYPE_MISMATCH", "the types of IN's two sides do not match")
            })?;
            pairs.push((self.cast(value, &ty)?, self.cast(other, &ty)?));
        }
        let pairs_count = pairs.len();
        let (left, right) = if pairs_count == 1 {
            pairs.remove(0)
        } else {
            let named = |at: usize, bound: Bound| bound.named(format!("col{}", at + 1));
            let (left, right): (Vec<Bound>, Vec<Bound>) =
                pairs.into_iter().enumerate().map(|(at, (a, b))| (named(at, a), named(at, b))).unzip();
            (named_struct(left)?, named_struct(right)?)
        };
        if pairs_count == 1
            && cx.is_value()
            && let Some(left) = seen_from_inside(left.expr.clone(), cx)
        {
            let value = self.membership(rel, left, right, &name)?;
            return Ok(if negated { self.not(value) } else { value });
        }
        rel = self.project_to(rel, vec![right])?;
        let expr = Expr::InSubquery(InSubquery::new(Box::new(left.expr), subquery_of(rel.plan), false));
        let bound = Bound::new(expr, DataType::Boolean, name);
        Ok(if negated {
            let name = format!("(NOT {})", bound.name);
            match bound.expr {
                Expr::InSubquery(mut inner) => {
                    inner.negated = true;
                    Bound::new(Expr::InSubquery(inner), DataType::Boolean, name)
                }
                other => Bound::new(Expr::Not(Box::new(other)), DataType::Boolean, name),
            }
        } else {
            bound
        })
    }

    /// `x IN (SELECT …)` as a value of three: true when a row is equal; else NULL when `x` or one of the rows is NULL; else
    /// false. As a condition of WHERE it is a semi join, which knows two.
    fn membership(&self, rel: Rel, left: Expr, right: Bound, name: &str) -> Result<Bound> {
        let rel = self.project_to(rel, vec![right])?;
        let Some(column) = rel.columns.first().map(|column| Expr::Column(column.column.clone())) else {
            return Err(crate::spark::error::unsupported("a subquery without columns"));
        };
        let number = |plan: LogicalPlan, of: Expr| -> Result<Expr> {
            let count = fa::expr_fn::count(of).alias(self.column_name("rows"));
            let plan = LogicalPlanBuilder::from(plan).aggregate(Vec::<Expr>::new(), vec![count])?.build()?;
            Ok(Expr::ScalarSubquery(subquery_of(plan)))
        };
        let whole = |value: i64| Expr::Literal(ScalarValue::Int64(Some(value)), None);
        let truth = |value: Option<bool>| Box::new(Expr::Literal(ScalarValue::Boolean(value), None));
        let equal = binary(column.clone(), Operator::Eq, left.clone());
        let equal = LogicalPlanBuilder::from(rel.plan.clone()).filter(equal)?.build()?;
        let found = binary(number(equal, whole(1))?, Operator::Gt, whole(0));
        let (all, known) = (number(rel.plan.clone(), whole(1))?, number(rel.plan, column)?);
        let none = binary(all.clone(), Operator::Eq, whole(0));
        let unknown =
            binary(Expr::IsNull(Box::new(seen_from_outside(left)?)), Operator::Or, binary(known, Operator::Lt, all));
        let cases = vec![
            (Box::new(found), truth(Some(true))),
            (Box::new(none), truth(Some(false))),
            (Box::new(unknown), truth(None)),
        ];
        Ok(Bound::new(Expr::Case(Case::new(None, cases, Some(truth(Some(false))))), DataType::Boolean, name))
    }

    /// A condition of WHERE in which `NOT IN (SELECT …)` knows three truths wherever it makes a difference. As one of the
    /// conjuncts it is an anti join that knows NULL; `IN` below AND and OR is a semi join, because false and NULL are alike
    /// there. All others are values. `alone`: the expression is one of the conjuncts.
    pub(super) fn three_valued(&self, condition: Expr, alone: bool, cx: &Cx<'_>) -> Result<Expr> {
        match condition {
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                let alone = alone && op == Operator::And;
                Ok(binary(self.three_valued(*left, alone, cx)?, op, self.three_valued(*right, alone, cx)?))
            }
            Expr::InSubquery(one) if alone || !one.negated => Ok(Expr::InSubquery(one)),
            Expr::Not(inner) if alone && matches!(*inner, Expr::InSubquery(_)) => Ok(Expr::Not(inner)),
            other => {
                let values = other.transform_down(|node| match &node {
                    Expr::InSubquery(one) => Ok(match self.membership_of(one, cx)? {
                        Some(value) => Transformed::new(value, true, TreeNodeRecursion::Jump),
                        None => Transformed::no(node),
                    }),
                    _ => Ok(Transformed::no(node)),
                })?;
                Ok(values.data)
            }
        }
    }

    fn membership_of(&self, one: &InSubquery, cx: &Cx<'_>) -> Result<Option<Expr>> {
        let plan = one.subquery.subquery.as_ref().clone();
        let (columns, types) = (plan.schema().columns(), plan.schema().fields());
        let ([column], [field]) = (columns.as_slice(), types.as_ref()) else { return Ok(None) };
        if matches!(field.data_type(), DataType::Struct(_)) {
            return Ok(None);
        }
        let right = Bound::new(Expr::Column(column.clone()), field.data_type().clone(), column.name.clone());
        let Some(left) = seen_from_inside(one.expr.as_ref().clone(), cx) else { return Ok(None) };
        let value = self.membership(Rel { plan, columns: Vec::new() }, left, right, "")?;
        Ok(Some(if one.negated { Expr::Not(Box::new(value.expr)) } else { value.expr }))
    }

    /// `EXISTS (SELECT …)` as a value.
    pub(super) fn existence(&self, subquery: Subquery, negated: bool) -> Result<Expr> {
        let zero = Expr::Literal(ScalarValue::Int64(Some(0)), None);
        let count =
            fa::expr_fn::count(Expr::Literal(ScalarValue::Int64(Some(1)), None)).alias(self.column_name("rows"));
        let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
        let plan = plan.aggregate(Vec::<Expr>::new(), vec![count])?.build()?;
        let operator = if negated { Operator::Eq } else { Operator::Gt };
        Ok(binary(Expr::ScalarSubquery(subquery_of(plan)), operator, zero))
    }

    pub(super) fn subquery(&self, query: &ast::Query, cx: &Cx<'_>) -> Result<(Subquery, Vec<ScopeColumn>)> {
        let scope = cx.scope;
        let rel = self.query(query, cx.env, Some(&scope))?;
        Ok((subquery_of(rel.plan), rel.columns))
    }
}

/// The expression as a subquery sees it: its columns are those of the query around. `None`: a column is not of FROM.
fn seen_from_inside(expr: Expr, cx: &Cx<'_>) -> Option<Expr> {
    let mut known = true;
    let seen = expr.transform(|node| match node {
        Expr::Column(column) => match cx.scope.columns.iter().find(|known| known.column == column) {
            Some(found) => {
                let field = Arc::new(super::field(&column.name, &found.ty));
                Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
            }
            None => {
                known = false;
                Ok(Transformed::no(Expr::Column(column)))
            }
        },
        Expr::OuterReferenceColumn(..) | Expr::ScalarSubquery(_) => {
            known = false;
            Ok(Transformed::no(node))
        }
        node => Ok(Transformed::no(node)),
    });
    seen.ok().map(|seen| seen.data).filter(|_| known)
}

/// What [`seen_from_inside`] was given.
fn seen_from_outside(expr: Expr) -> Result<Expr> {
    let back = |node| {
        Ok(match node {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            node => Transformed::no(node),
        })
    };
    Ok(expr.transform(back)?.data)
}

/// The plan as an expression's subquery.
pub(crate) fn subquery_of(plan: LogicalPlan) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Spans::new() }
}

fn is_nonzero_literal(value: &Bound) -> bool {
    match value.as_literal() {
        Some(ScalarValue::Float32(Some(value))) => *value != 0.0,
        Some(ScalarValue::Float64(Some(value))) => *value != 0.0,
        _ => false,
    }
}

/// -0.0 becomes 0.0: Arrow compares by total order, Spark by value.
pub(crate) fn unsigned_zero(value: Bound) -> Bound {
    if is_nonzero_literal(&value) {
        return value;
    }
    let zero =
        if value.ty == DataType::Float32 { ScalarValue::Float32(Some(0.0)) } else { ScalarValue::Float64(Some(0.0)) };
    let Bound { expr, ty, name, span } = value;
    Bound { expr: binary(expr, Operator::Plus, Expr::Literal(zero, None)), ty, name, span }
}

fn contains_map(ty: &DataType) -> bool {
    match ty {
        DataType::Map(..) => true,
        DataType::List(field) => contains_map(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| contains_map(field.data_type())),
        _ => false,
    }
}
