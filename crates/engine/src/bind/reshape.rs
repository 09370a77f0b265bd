//! Relations that another relation is turned into: LATERAL VIEW, LATERAL with a generator, PIVOT, UNPIVOT, TABLESAMPLE.
//!
//! PIVOT is one aggregate with a FILTER for each value and groups by what is left over; UNPIVOT is a generator over an
//! array of a row's own columns.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Operator};
use datafusion::sql::sqlparser::ast;

use super::expr::{Cx, binary};
use super::from::column_of;
use super::generate::GENERATORS;
use super::group::Groups;
use super::{Binder, Bound, Env, Rel, Scope};
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::functions::nested;
use crate::spark::types;

impl Binder {
    /// `LATERAL VIEW [OUTER] explode(xs) t AS x`.
    pub(super) fn lateral_view(
        &self,
        rel: Rel,
        view: &ast::LateralView,
        env: &Env<'_>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Rel> {
        let ast::LateralView { lateral_view, lateral_view_name, lateral_col_alias, outer: keeps } = view;
        let ast::Expr::Function(function) = lateral_view else {
            return Err(unsupported(format!("LATERAL VIEW of {lateral_view}")));
        };
        let ast::FunctionArguments::List(list) = &function.args else {
            return Err(unsupported(format!("LATERAL VIEW of {lateral_view}")));
        };
        let name = function.name.to_string().to_lowercase();
        let alias = lateral_view_name.0.last().and_then(|part| part.as_ident()).map(|name| name.value.clone());
        let aliases: Vec<String> = lateral_col_alias.iter().map(|name| name.value.clone()).collect();
        self.lateral(rel, &name, &list.args, *keeps, alias.as_deref(), &aliases, env, outer)
    }

    /// The relation's rows, each with the rows that a generator makes of it.
    #[expect(clippy::too_many_arguments, reason = "the parts of one clause")]
    pub(super) fn lateral(
        &self,
        rel: Rel,
        name: &str,
        arguments: &[ast::FunctionArg],
        keeps: bool,
        alias: Option<&str>,
        aliases: &[String],
        env: &Env<'_>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Rel> {
        if !GENERATORS.contains(&name) {
            return Err(spark_hint(
                "UNRESOLVED_TABLE_VALUED_FUNCTION",
                format!("`{name}` makes no rows"),
                format!("{} are there", GENERATORS.join(", ")),
            ));
        }
        let columns = rel.columns.clone();
        let cx = Cx::new(Scope { columns: &columns, outer }, env, "LATERAL");
        let mut bound = Vec::new();
        for argument in arguments {
            match argument {
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => bound.push(self.expr(expr, &cx)?),
                other => return Err(unsupported(format!("the argument {other} of {name}"))),
            }
        }
        let name = if keeps && !name.ends_with("_outer") { format!("{name}_outer") } else { name.to_owned() };
        let before = rel.columns.len();
        let (mut rel, made) = self.generate(rel, &name, bound)?;
        if !aliases.is_empty() && aliases.len() != made.len() {
            return Err(spark(
                "UDTF_ALIAS_NUMBER_MISMATCH",
                format!("{} column aliases were given for the {} columns of {name}", aliases.len(), made.len()),
            ));
        }
        for (at, column) in rel.columns[before..].iter_mut().enumerate() {
            column.qualifier = alias.map(|alias| vec![alias.to_lowercase()]).unwrap_or_default();
            if let Some(alias) = aliases.get(at) {
                column.name.clone_from(alias);
            }
        }
        Ok(rel)
    }

    /// `PIVOT (sum(x) AS s FOR column IN (value AS name, …))`.
    pub(super) fn pivot(
        &self,
        rel: Rel,
        functions: &[ast::ExprWithAlias],
        over: &[ast::Expr],
        values: &ast::PivotValueSource,
        env: &Env<'_>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Rel> {
        let ast::PivotValueSource::List(values) = values else {
            return Err(unsupported("PIVOT without a list of values"));
        };
        let columns = rel.columns.clone();
        let scope = Scope { columns: &columns, outer };
        let cx = Cx::new(scope, env, "PIVOT");
        let keys = over.iter().map(|key| self.expr(key, &cx)).collect::<Result<Vec<_>>>()?;

        // What neither the aggregates nor FOR mention is grouped by.
        let mut used: Vec<Expr> = keys.iter().map(|key| key.expr.clone()).collect();
        let mut calls = Vec::new();
        for function in functions {
            let ast::Expr::Function(call) = &function.expr else {
                return Err(unsupported(format!("PIVOT of {}", function.expr)));
            };
            if let ast::FunctionArguments::List(list) = &call.args {
                for argument in &list.args {
                    if let ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) = argument {
                        used.extend(self.expr(expr, &cx)?.expr.column_refs().into_iter().cloned().map(Expr::Column));
                    }
                }
            }
            calls.push((call, function.alias.as_ref().map(|alias| alias.value.clone())));
        }
        let groups: Vec<Bound> = columns
            .iter()
            .filter(|column| !column.hidden && !used.contains(&Expr::Column(column.column.clone())))
            .map(column_of)
            .collect();

        for key in &keys {
            if !types::is_atomic(&key.ty) {
                return Err(spark(
                    "INCOMPARABLE_PIVOT_COLUMN",
                    format!("the column \"{}\" of PIVOT cannot be compared", key.name),
                ));
            }
        }
        let aggregates = std::cell::RefCell::default();
        let inside = Cx { aggregates: Some(&aggregates), ..Cx::new(scope, env, "SELECT") };
        let mut items = groups.clone();
        for value in values {
            let cells: Vec<&ast::Expr> = match &value.expr {
                ast::Expr::Tuple(cells) if keys.len() > 1 => cells.iter().collect(),
                one => vec![one],
            };
            if cells.len() != keys.len() {
                return Err(spark(
                    "PIVOT_VALUE_DATA_TYPE_MISMATCH",
                    format!("PIVOT is over {} columns, but the value {} has {}", keys.len(), value.expr, cells.len()),
                ));
            }
            let mut names = Vec::new();
            for cell in &cells {
                names.push(self.expr(cell, &cx)?.name);
            }
            let named = value.alias.as_ref().map_or_else(|| names.join("_"), |alias| alias.value.clone());
            let same = over.iter().zip(cells).map(|(key, cell)| ast::Expr::BinaryOp {
                left: Box::new(key.clone()),
                op: ast::BinaryOperator::Spaceship,
                right: Box::new(cell.clone()),
            });
            let here = same.reduce(both).ok_or_else(|| unsupported("PIVOT without a column"))?;
            for (call, alias) in &calls {
                let bound = self.function(&filtered(call, &here), &inside)?;
                let rows = self.function(&filtered(&count_of_rows(), &here), &inside)?;
                // NULL where there is no row, as Spark's, which is not what count gives.
                let zero = Expr::Literal(ScalarValue::Int64(Some(0)), None);
                let any = Bound::new(binary(rows.expr, Operator::Gt, zero), DataType::Boolean, "");
                let cell = self.case_of(vec![any], vec![bound])?;
                let shown = match (calls.len(), alias) {
                    (1, _) => named.clone(),
                    (_, Some(alias)) => format!("{named}_{alias}"),
                    (_, None) => {
                        let apart = std::cell::RefCell::default();
                        let cx = Cx { aggregates: Some(&apart), ..Cx::new(scope, env, "SELECT") };
                        format!("{named}_{}", self.function(call, &cx)?.name)
                    }
                };
                items.push(cell.named(shown));
            }
        }
        let groups = Groups { items: groups, sets: None };
        let (plan, swap) = self.lay_aggregate(rel.plan, groups, aggregates.into_inner())?;
        for item in &mut items {
            item.expr = swap.apply(std::mem::take(&mut item.expr))?;
        }
        self.project_to(Rel { plan, columns: Vec::new() }, items)
    }

    /// `UNPIVOT [INCLUDE NULLS] (value FOR name IN (a, b AS x))`.
    #[expect(clippy::too_many_arguments, reason = "the parts of one clause")]
    pub(super) fn unpivot(
        &self,
        rel: Rel,
        value: &ast::Expr,
        name: &ast::Ident,
        columns: &[ast::ExprWithAlias],
        keeps_nulls: bool,
        env: &Env<'_>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Rel> {
        let ast::Expr::Identifier(value) = value else { return Err(unsupported("UNPIVOT of several values at once")) };
        let known = rel.columns.clone();
        let cx = Cx::new(Scope { columns: &known, outer }, env, "UNPIVOT");
        let (mut names, mut cells) = (Vec::new(), Vec::new());
        for column in columns {
            let bound = self.expr(&column.expr, &cx)?;
            if !matches!(bound.expr, Expr::Column(_)) {
                return Err(spark("UNPIVOT_REQUIRES_ATTRIBUTES", "UNPIVOT takes columns, not expressions"));
            }
            names.push(column.alias.as_ref().map_or_else(|| bound.name.clone(), |alias| alias.value.clone()));
            cells.push(bound);
        }
        let taken: Vec<Expr> = cells.iter().map(|cell| cell.expr.clone()).collect();
        let (cells, ty) = self.unify(cells, "UNPIVOT").map_err(|_| {
            spark_hint("UNPIVOT_VALUE_DATA_TYPE_MISMATCH", "the columns of UNPIVOT have no common type", "cast them")
        })?;
        let rows = names
            .into_iter()
            .zip(cells)
            .map(|(shown, cell)| {
                let shown = Bound::literal(ScalarValue::Utf8(Some(shown)), "").named(name.value.clone());
                nested::named_struct(vec![shown, cell.named(value.value.clone())])
            })
            .collect::<Result<Vec<_>>>()?;
        let list = nested::array(self, rows)?;
        let before = rel.columns.len();
        let (mut rel, made) = self.generate(rel, "inline", vec![list])?;
        let [_, cell] = made.as_slice() else { return Err(unsupported("this UNPIVOT")) };
        if !keeps_nulls && ty != DataType::Null {
            let present = Expr::IsNotNull(Box::new(Expr::Column(cell.column.clone())));
            rel.plan = LogicalPlanBuilder::from(rel.plan).filter(present)?.build()?;
        }
        let mut at = 0;
        rel.columns.retain(|_| {
            at += 1;
            at > before || !taken.contains(&Expr::Column(known[at - 1].column.clone()))
        });
        Ok(rel)
    }

    /// `TABLESAMPLE (10 PERCENT)`, `TABLESAMPLE (5 ROWS)`.
    pub(super) fn sample(&self, rel: Rel, sample: &ast::TableSampleKind, env: &Env<'_>) -> Result<Rel> {
        let (ast::TableSampleKind::BeforeTableAlias(sample) | ast::TableSampleKind::AfterTableAlias(sample)) = sample;
        let ast::TableSample {
            modifier: _,
            name: None,
            quantity: Some(quantity),
            seed: None,
            bucket: None,
            offset: None,
        } = sample.as_ref()
        else {
            return Err(unsupported(format!("the sample {sample}")));
        };
        let value = self.expr(&quantity.value, &Cx::new(Scope { columns: &[], outer: None }, env, "TABLESAMPLE"))?;
        let number = self.constant(&self.implicit(value, &DataType::Float64, "TABLESAMPLE")?)?;
        let ScalarValue::Float64(Some(number)) = number else {
            return Err(spark("PARSE_SYNTAX_ERROR", "the size of a sample must be a number"));
        };
        let plan = LogicalPlanBuilder::from(rel.plan);
        let plan = match quantity.unit {
            Some(ast::TableSampleUnit::Percent) if (0.0..=100.0).contains(&number) => {
                let share = Expr::Literal(ScalarValue::Float64(Some(number / 100.0)), None);
                plan.filter(binary(datafusion::functions::math::random().call(Vec::new()), Operator::Lt, share))?
            }
            Some(ast::TableSampleUnit::Percent) => {
                return Err(spark_hint(
                    "INVALID_SQL_SYNTAX.INVALID_TABLE_SAMPLE",
                    format!("a sample of {number} percent is impossible"),
                    "give a number from 0 to 100",
                ));
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a whole number is checked for"
            )]
            Some(ast::TableSampleUnit::Rows) if number >= 0.0 && number.fract() == 0.0 && number < 9e15 => {
                plan.limit(0, Some(number as usize))?
            }
            _ => return Err(unsupported(format!("the sample {sample}"))),
        };
        Ok(Rel { plan: plan.build()?, columns: rel.columns })
    }
}

fn both(left: ast::Expr, right: ast::Expr) -> ast::Expr {
    ast::Expr::BinaryOp { left: Box::new(left), op: ast::BinaryOperator::And, right: Box::new(right) }
}

/// The call over the rows for which a condition is true.
fn filtered(call: &ast::Function, condition: &ast::Expr) -> ast::Function {
    let filter = match &call.filter {
        Some(filter) => both(filter.as_ref().clone(), condition.clone()),
        None => condition.clone(),
    };
    ast::Function { filter: Some(Box::new(filter)), ..call.clone() }
}

/// `count(1)`.
fn count_of_rows() -> ast::Function {
    let one = ast::Expr::value(ast::Value::Number("1".into(), false));
    let list = ast::FunctionArgumentList {
        duplicate_treatment: None,
        args: vec![ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(one))],
        clauses: Vec::new(),
    };
    ast::Function {
        name: ast::ObjectName::from(vec![ast::Ident::new("count")]),
        uses_odbc_syntax: false,
        parameters: ast::FunctionArguments::None,
        args: ast::FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}
