//! Queries: WITH, set operations, ORDER BY over them, LIMIT.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, SortExpr};
use datafusion::sql::sqlparser::ast::{self, LimitClause, OrderByKind, SetExpr, SetOperator, SetQuantifier};

use super::expr::{Cx, binary};
use super::{Binder, Bound, Env, Rel, Scope, ScopeColumn, plain, span_of};
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::types;

impl Binder {
    /// Plans a query. `outer` are the columns around it, when it is a subquery.
    pub(crate) fn query(&self, query: &ast::Query, env: &Env<'_>, outer: Option<&Scope<'_>>) -> Result<Rel> {
        if env.depth > 100 {
            return Err(spark_hint(
                "STATEMENT_TOO_COMPLEX",
                "queries and views nest too deeply",
                "write a simpler query",
            ));
        }
        let mut env = Env { depth: env.depth + 1, ..env.clone() };
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                let name = cte.alias.name.value.to_lowercase();
                let columns: Vec<String> = cte.alias.columns.iter().map(|column| column.name.value.clone()).collect();
                let rel = if with.recursive && mentions(&cte.query, &name) {
                    self.recursive(&cte.query, &name, &columns, &env)?
                } else {
                    rename(self.query(&cte.query, &env, outer)?, &columns)?
                };
                env.ctes.insert(name, Arc::new(rel));
            }
        }
        let order: &[ast::OrderByExpr] = match &query.order_by {
            None => &[],
            Some(ast::OrderBy { kind: OrderByKind::Expressions(list), .. }) => list,
            Some(ast::OrderBy { kind: OrderByKind::All(_), .. }) => &[],
        };
        let all = match &query.order_by {
            Some(ast::OrderBy { kind: OrderByKind::All(options), .. }) => Some(*options),
            _ => None,
        };
        let mut rel = match query.body.as_ref() {
            SetExpr::Select(select) => self.select(select, order, &env, outer)?,
            other => {
                let rel = self.set_expr(other, &env, outer)?;
                self.order(rel, order, &env, outer)?
            }
        };
        if let Some(options) = all {
            let asc = options.asc.unwrap_or(true);
            let nulls_first = options.nulls_first.unwrap_or(asc);
            let keys: Vec<SortExpr> = rel
                .columns
                .iter()
                .map(|column| SortExpr::new(Expr::Column(column.column.clone()), asc, nulls_first))
                .collect();
            rel.plan = LogicalPlanBuilder::from(rel.plan).sort(keys)?.build()?;
        }
        match &query.limit_clause {
            None => Ok(rel),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                let count = |expr: &ast::Expr, what: &'static str| self.limit_count(expr, what, &env);
                let fetch = limit.as_ref().map(|limit| count(limit, "limit")).transpose()?;
                let skip = offset.as_ref().map(|offset| count(&offset.value, "offset")).transpose()?;
                rel.plan = LogicalPlanBuilder::from(rel.plan).limit(skip.unwrap_or(0), fetch)?.build()?;
                Ok(rel)
            }
            Some(other) => Err(unsupported(other)),
        }
    }

    fn limit_count(&self, ast: &ast::Expr, what: &'static str, env: &Env<'_>) -> Result<usize> {
        let scope = Scope { columns: &[], outer: None };
        let value = self.expr(ast, &Cx::new(scope, env, "LIMIT"))?;
        let wrong =
            |class: &'static str, text: &str| spark(class, format!("the {what} expression {} {text}", value.name));
        if !types::is_integral(&value.ty) {
            return Err(wrong("INVALID_LIMIT_LIKE_EXPRESSION.DATA_TYPE", "must be an integer"));
        }
        let number = match self.constant(&value)? {
            ScalarValue::Int32(Some(number)) => i64::from(number),
            ScalarValue::Int64(Some(number)) => number,
            ScalarValue::Int16(Some(number)) => i64::from(number),
            ScalarValue::Int8(Some(number)) => i64::from(number),
            _ => return Err(wrong("INVALID_LIMIT_LIKE_EXPRESSION.IS_NULL", "must not be null")),
        };
        usize::try_from(number).map_err(|_| wrong("INVALID_LIMIT_LIKE_EXPRESSION.IS_NEGATIVE", "must not be negative"))
    }

    /// The value of an expression without columns.
    ///
    /// # Errors
    /// When it has columns, or fails.
    pub(crate) fn constant(&self, value: &Bound) -> Result<ScalarValue> {
        if let Some(value) = value.as_literal() {
            return Ok(value.clone());
        }
        if !value.expr.column_refs().is_empty() {
            return Err(spark_hint(
                "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT",
                format!("\"{}\" must be an expression without columns here", value.name),
                "write a literal",
            ));
        }
        let schema = datafusion::common::DFSchema::empty();
        let physical = datafusion::physical_expr::create_physical_expr(
            &value.expr,
            &schema,
            &datafusion::execution::context::ExecutionProps::new(),
            &datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext::default(),
        )?;
        let batch = arrow::record_batch::RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            Vec::new(),
            &arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(1)),
        )?;
        let array = physical.evaluate(&batch)?.into_array(1)?;
        ScalarValue::try_from_array(&array, 0)
    }

    fn set_expr(&self, body: &SetExpr, env: &Env<'_>, outer: Option<&Scope<'_>>) -> Result<Rel> {
        match body {
            SetExpr::Select(select) => self.select(select, &[], env, outer),
            SetExpr::Query(query) => self.query(query, env, outer),
            SetExpr::Values(values) => self.values(values, env, outer),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let (left, right) = (self.set_expr(left, env, outer)?, self.set_expr(right, env, outer)?);
                let all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
                let by_name = matches!(set_quantifier, SetQuantifier::ByName | SetQuantifier::AllByName);
                let right = if by_name { reorder(&left, right)? } else { right };
                self.set_operation(left, *op, all, right)
            }
            other => Err(unsupported(other)),
        }
    }

    fn set_operation(&self, left: Rel, op: SetOperator, all: bool, right: Rel) -> Result<Rel> {
        let word = match op {
            SetOperator::Union => "UNION",
            SetOperator::Intersect => "INTERSECT",
            SetOperator::Except | SetOperator::Minus => "EXCEPT",
        };
        if left.columns.len() != right.columns.len() {
            return Err(spark(
                "NUM_COLUMNS_MISMATCH",
                format!(
                    "{word} needs the same number of columns on both sides, but they have {} and {}",
                    left.columns.len(),
                    right.columns.len()
                ),
            ));
        }
        let mut tys = Vec::new();
        for (at, (a, b)) in left.columns.iter().zip(&right.columns).enumerate() {
            tys.push(types::common(&a.ty, &b.ty).ok_or_else(|| {
                spark_hint(
                    "INCOMPATIBLE_COLUMN_TYPE",
                    format!(
                        "{word}: column {} is \"{}\" on one side and \"{}\" on the other",
                        at + 1,
                        types::sql(&a.ty),
                        types::sql(&b.ty)
                    ),
                    "cast one of them",
                )
            })?);
        }
        let sides = left.columns.iter().zip(&right.columns).zip(&tys);
        let spans: Vec<_> = sides.map(|((a, b), ty)| span_of([&Bound::column(a), &Bound::column(b)], ty)).collect();
        let names: Vec<String> = left.columns.iter().map(|column| self.column_name(&column.name)).collect();
        let side = |rel: Rel| -> Result<LogicalPlan> {
            let exprs = rel
                .columns
                .iter()
                .zip(&tys)
                .zip(&names)
                .map(|((column, ty), name)| Ok(self.cast(Bound::column(column), ty)?.expr.alias(name)))
                .collect::<Result<Vec<_>>>()?;
            LogicalPlanBuilder::from(rel.plan).project(exprs)?.build()
        };
        let shown: Vec<String> = left.columns.iter().map(|column| column.name.clone()).collect();
        let (left, right) = (side(left)?, side(right)?);
        let plan = match (op, all) {
            (SetOperator::Union, true) => LogicalPlanBuilder::from(left).union(right)?.build()?,
            (SetOperator::Union, false) => LogicalPlanBuilder::from(left).union(right)?.distinct()?.build()?,
            (SetOperator::Intersect, false) => LogicalPlanBuilder::intersect(left, right, false)?,
            (_, false) => LogicalPlanBuilder::except(left, right, false)?,
            // With ALL, the n-th copy of a row counts against the n-th copy on the other side.
            (_, true) => {
                let (left, right) = (self.numbered(left, &names)?, self.numbered(right, &names)?);
                let both = if op == SetOperator::Intersect {
                    LogicalPlanBuilder::intersect(left, right, true)?
                } else {
                    LogicalPlanBuilder::except(left, right, true)?
                };
                let columns: Vec<Expr> = names.iter().map(|name| Expr::Column(plain(name))).collect();
                LogicalPlanBuilder::from(both).project(columns)?.build()?
            }
        };
        let columns = shown
            .into_iter()
            .zip(names)
            .zip(tys)
            .enumerate()
            .map(|(at, ((name, _), ty))| {
                let (qualifier, field) = plan.schema().qualified_field(at);
                let column = Column::new(qualifier.cloned(), field.name());
                ScopeColumn { qualifier: Vec::new(), name, column, ty, span: spans[at], hidden: false }
            })
            .collect();
        Ok(Rel { plan, columns })
    }

    fn numbered(&self, plan: LogicalPlan, names: &[String]) -> Result<LogicalPlan> {
        use datafusion::logical_expr::ExprFunctionExt;
        let keys: Vec<Expr> = names.iter().map(|name| Expr::Column(plain(name))).collect();
        let number = datafusion::functions_window::expr_fn::row_number()
            .partition_by(keys.clone())
            .window_frame(datafusion::logical_expr::WindowFrame::new(None))
            .build()?
            .alias("copy");
        let mut exprs = keys;
        let windowed = LogicalPlanBuilder::from(plan).window(vec![number])?.build()?;
        exprs.push(Expr::Column(plain("copy")));
        LogicalPlanBuilder::from(windowed).project(exprs)?.build()
    }

    /// ORDER BY behind a set operation: only the result's columns are there.
    fn order(&self, rel: Rel, order: &[ast::OrderByExpr], env: &Env<'_>, outer: Option<&Scope<'_>>) -> Result<Rel> {
        if order.is_empty() {
            return Ok(rel);
        }
        let scope = Scope { columns: &rel.columns, outer };
        let cx = Cx::new(scope, env, "ORDER BY");
        let mut keys = Vec::new();
        for key in order {
            let (asc, nulls_first) = direction(&key.options);
            let bound = match ordinal(&key.expr, rel.columns.len(), "ORDER_BY_POS_OUT_OF_RANGE")? {
                Some(at) => Bound::new(Expr::Column(rel.columns[at].column.clone()), rel.columns[at].ty.clone(), ""),
                None => self.expr(&key.expr, &cx)?,
            };
            keys.push(SortExpr::new(bound.expr, asc, nulls_first));
        }
        let plan = LogicalPlanBuilder::from(rel.plan).sort(keys)?.build()?;
        Ok(Rel { plan, columns: rel.columns })
    }

    /// An expression under a name of its own, and the column that it becomes.
    pub(crate) fn named(&self, item: Bound) -> (Expr, ScopeColumn) {
        let name = self.column_name(&item.name);
        let expr = item.expr.clone().alias(&name);
        let span = item.span();
        let (qualifier, column) = (Vec::new(), plain(name));
        (expr, ScopeColumn { qualifier, span, name: item.name, column, ty: item.ty, hidden: false })
    }

    /// A projection to exactly these expressions, each under a name of its own.
    pub(crate) fn project_to(&self, rel: Rel, items: Vec<Bound>) -> Result<Rel> {
        let (exprs, columns): (Vec<Expr>, Vec<ScopeColumn>) = items.into_iter().map(|item| self.named(item)).unzip();
        let plan = LogicalPlanBuilder::from(rel.plan).project(exprs)?.build()?;
        Ok(Rel { plan, columns })
    }

    fn recursive(&self, query: &ast::Query, name: &str, aliases: &[String], env: &Env<'_>) -> Result<Rel> {
        let SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } = query.body.as_ref() else {
            return Err(spark_hint(
                "INVALID_RECURSIVE_CTE",
                format!("the recursive query `{name}` is not a UNION of a start and a step"),
                "write WITH RECURSIVE t AS (SELECT … UNION ALL SELECT … FROM t …)",
            ));
        };
        let start = rename(self.set_expr(left, env, None)?, aliases)?;
        let names: Vec<String> = start.columns.iter().map(|column| self.column_name(&column.name)).collect();
        // UNION ALL could go on for ever: each row carries the step that made it.
        let distinct = !matches!(set_quantifier, SetQuantifier::All);
        let level = self.column_name("level");
        let aliased = |rel: Rel, tys: &[DataType], step: Option<Expr>| -> Result<LogicalPlan> {
            if rel.columns.len() != tys.len() {
                return Err(spark(
                    "NUM_COLUMNS_MISMATCH",
                    format!("the two sides of the recursive query `{name}` differ in columns"),
                ));
            }
            let mut exprs = rel
                .columns
                .iter()
                .zip(tys)
                .zip(&names)
                .map(|((column, ty), name)| Ok(self.cast(Bound::column(column), ty)?.expr.alias(name)))
                .collect::<Result<Vec<_>>>()?;
            exprs.extend(step.map(|step| step.alias(&level)));
            LogicalPlanBuilder::from(rel.plan).project(exprs)?.build()
        };
        let tys: Vec<DataType> = start.columns.iter().map(|column| column.ty.clone()).collect();
        let spans: Vec<_> = start.columns.iter().map(|column| column.span).collect();
        let shown: Vec<String> = start.columns.iter().map(|column| column.name.clone()).collect();
        let first = (!distinct).then(|| Expr::Literal(ScalarValue::Int32(Some(0)), None));
        let start = aliased(start, &tys, first)?;
        let work_name = self.relation_name(name);
        let mut fields: Vec<_> = names.iter().zip(&tys).map(|(name, ty)| super::field(name, ty)).collect();
        if !distinct {
            fields.push(super::field(&level, &DataType::Int32));
        }
        let table = Arc::new(CteWorkTable::new(&work_name, Arc::new(Schema::new(fields))));
        let reference = TableReference::bare(work_name.as_str());
        let work = LogicalPlanBuilder::scan(reference.clone(), provider_as_source(table), None)?.build()?;
        let columns_of = |relation: Option<TableReference>| -> Vec<ScopeColumn> {
            shown
                .iter()
                .zip(&names)
                .zip(tys.iter().zip(&spans))
                .map(|((shown, name), (ty, span))| ScopeColumn {
                    qualifier: Vec::new(),
                    name: shown.clone(),
                    column: Column::new(relation.clone(), name),
                    ty: ty.clone(),
                    span: *span,
                    hidden: false,
                })
                .collect()
        };
        let mut inner = env.clone();
        let mut visible = columns_of(Some(reference.clone()));
        let hidden_name = format!("{LEVEL}{level}");
        if !distinct {
            visible.push(ScopeColumn {
                qualifier: Vec::new(),
                name: hidden_name.clone(),
                column: Column::new(Some(reference), &level),
                ty: DataType::Int32,
                span: None,
                hidden: true,
            });
        }
        inner.ctes.insert(name.to_owned(), Arc::new(Rel { plan: work, columns: visible }));
        let step = if distinct {
            aliased(self.set_expr(right, &inner, None)?, &tys, None)?
        } else {
            let SetExpr::Select(select) = right.as_ref() else {
                return Err(spark_hint(
                    "INVALID_RECURSIVE_CTE",
                    format!("the step of `{name}` is not a SELECT"),
                    "write one SELECT behind UNION ALL",
                ));
            };
            // The step selects the level of the row that it continues.
            let mut select = select.as_ref().clone();
            select.projection.push(ast::SelectItem::UnnamedExpr(ast::Expr::CompoundIdentifier(vec![
                ast::Ident::with_quote('`', LEVEL_TABLE),
                ast::Ident::with_quote('`', &hidden_name),
            ])));
            let mut rel = self.select(&select, &[], &inner, None)?;
            let Some(before) = rel.columns.pop() else { return Err(unsupported("this recursive query")) };
            let next = crate::spark::kernel::pure(
                "next_level",
                "",
                DataType::Int32,
                vec![Expr::Column(before.column)],
                |columns, _| {
                    let levels = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int32Type>(&columns[0]);
                    if levels.iter().flatten().any(|level| level >= MAX_LEVELS) {
                        return Err(spark_hint(
                            "RECURSION_LEVEL_LIMIT_EXCEEDED",
                            format!("the recursive query went on for more than {MAX_LEVELS} steps"),
                            "add a condition that ends it",
                        ));
                    }
                    let next: arrow::array::Int32Array =
                        levels.iter().map(|level| level.map(|level| level + 1)).collect();
                    Ok(Arc::new(next))
                },
            );
            aliased(rel, &tys, Some(next))?
        };
        let plan = LogicalPlanBuilder::from(start).to_recursive_query(work_name, step, distinct)?.build()?;
        Ok(Rel { plan, columns: columns_of(None) })
    }
}

/// Steps after which Spark gives up a recursive query.
const MAX_LEVELS: i32 = 100;
/// Prefix and qualifier of the hidden column that counts the steps.
const LEVEL: &str = " level ";
pub(crate) const LEVEL_TABLE: &str = " level";

/// Ascending or not, NULLs first or not: Spark puts NULLs first when ascending.
pub(crate) fn direction(options: &ast::OrderByOptions) -> (bool, bool) {
    let asc = options.asc.unwrap_or(true);
    (asc, options.nulls_first.unwrap_or(asc))
}

/// The column that `ORDER BY 2` or `GROUP BY 2` means.
pub(crate) fn ordinal(expr: &ast::Expr, columns: usize, class: &'static str) -> Result<Option<usize>> {
    let ast::Expr::Value(value) = expr else { return Ok(None) };
    let ast::Value::Number(text, _) = &value.value else { return Ok(None) };
    let Ok(number) = text.parse::<usize>() else { return Ok(None) };
    if number == 0 || number > columns {
        return Err(spark(
            class,
            format!("the position {number} is not in the select list (valid are 1 to {columns})"),
        ));
    }
    Ok(Some(number - 1))
}

/// Gives a relation's columns the names of an alias list.
pub(crate) fn rename(mut rel: Rel, names: &[String]) -> Result<Rel> {
    if names.is_empty() {
        return Ok(rel);
    }
    let visible = rel.columns.iter().filter(|column| !column.hidden).count();
    if names.len() != visible {
        return Err(spark(
            "ASSIGNMENT_ARITY_MISMATCH",
            format!("the list of {} column aliases does not match the {visible} columns", names.len()),
        ));
    }
    for (column, name) in rel.columns.iter_mut().filter(|column| !column.hidden).zip(names) {
        column.name.clone_from(name);
    }
    Ok(rel)
}

fn reorder(left: &Rel, right: Rel) -> Result<Rel> {
    let mut columns = Vec::new();
    for wanted in &left.columns {
        let found = right.columns.iter().find(|column| column.name.to_lowercase() == wanted.name.to_lowercase());
        columns.push(found.cloned().ok_or_else(|| {
            spark(
                "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION",
                format!("the column `{}` is missing on one side of UNION BY NAME", wanted.name),
            )
        })?);
    }
    Ok(Rel { plan: right.plan, columns })
}

fn mentions(query: &ast::Query, name: &str) -> bool {
    let shown = query.to_string().to_lowercase();
    shown.contains(name)
}

/// `a AND b`, for filters that come in parts.
pub(crate) fn conjunction(left: Option<Expr>, right: Expr) -> Expr {
    match left {
        Some(left) => binary(left, Operator::And, right),
        None => right,
    }
}
