//! Calls of functions: which kind each is, and what is wrong with it.
//!
//! A name is an aggregate's, a window function's, a higher-order function's, a generator's, or that of a function of one row.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::NullTreatment;
use datafusion::sql::sqlparser::ast::{self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::aggregate::Call;
use super::expr::Cx;
use super::generate::GENERATORS;
use super::query::direction;
use super::{Binder, Bound, time_window};
use crate::spark::error::{Result, spark, spark_hint, unsupported};

const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "avg",
    "mean",
    "min",
    "max",
    "first",
    "first_value",
    "last",
    "last_value",
    "any_value",
    "count_if",
    "bool_and",
    "every",
    "bool_or",
    "some",
    "any",
    "bit_and",
    "bit_or",
    "bit_xor",
    "collect_list",
    "array_agg",
    "collect_set",
    "stddev",
    "stddev_samp",
    "std",
    "stddev_pop",
    "variance",
    "var_samp",
    "var_pop",
    "corr",
    "covar_pop",
    "covar_samp",
    "skewness",
    "kurtosis",
    "regr_slope",
    "regr_intercept",
    "regr_count",
    "regr_r2",
    "regr_avgx",
    "regr_avgy",
    "regr_sxx",
    "regr_syy",
    "regr_sxy",
    "percentile",
    "percentile_cont",
    "percentile_disc",
    "percentile_approx",
    "approx_percentile",
    "median",
    "mode",
    "approx_count_distinct",
    "max_by",
    "min_by",
    "listagg",
    "string_agg",
    "try_sum",
    "try_avg",
    "product",
    "grouping",
    "grouping_id",
];

const WINDOW_ONLY: &[&str] =
    &["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "nth_value"];

impl Binder {
    /// A call as it was written.
    pub(crate) fn function(&self, function: &ast::Function, cx: &Cx<'_>) -> Result<Bound> {
        let name = match function.name.0.as_slice() {
            [part] => part.as_ident().map(|ident| ident.value.to_lowercase()),
            _ => None,
        };
        let Some(name) = name else {
            return Err(unresolved_routine(&function.name.to_string()));
        };
        if function.uses_odbc_syntax || !matches!(function.parameters, FunctionArguments::None) {
            return Err(unsupported(format!("this form of {name}")));
        }
        let (list, distinct): (&[FunctionArg], bool) = match &function.args {
            FunctionArguments::None => (&[], false),
            FunctionArguments::List(list) if list.clauses.is_empty() => {
                (&list.args, list.duplicate_treatment == Some(DuplicateTreatment::Distinct))
            }
            other => return Err(unsupported(format!("the arguments {other} of {name}"))),
        };
        let nulls = function.null_treatment.as_ref().map(|treatment| match treatment {
            ast::NullTreatment::IgnoreNulls => NullTreatment::IgnoreNulls,
            ast::NullTreatment::RespectNulls => NullTreatment::RespectNulls,
        });
        if name == time_window::NAME && function.over.is_none() {
            return self.time_window(function, cx);
        }
        let windowed = WINDOW_ONLY.contains(&name.as_str());
        if windowed && function.over.is_none() {
            return Err(spark_hint(
                "WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE",
                format!("the window function `{name}` needs an OVER clause"),
                format!("write {name}(…) OVER (ORDER BY …)"),
            ));
        }
        if AGGREGATES.contains(&name.as_str()) || windowed {
            let over = function.over.as_ref().map(|over| self.over(over, cx)).transpose()?;
            if over.is_none() && cx.aggregates.is_none() {
                return Err(match cx.clause {
                    "WHERE" => {
                        spark_hint("INVALID_WHERE_CONDITION", "aggregate functions cannot stand in WHERE", "use HAVING")
                    }
                    "SELECT" | "HAVING" | "ORDER BY" | "QUALIFY" => {
                        spark("NESTED_AGGREGATE_FUNCTION", "an aggregate function cannot be the argument of another")
                    }
                    "GROUP BY" => spark("GROUP_BY_AGGREGATE", "aggregate functions are not allowed in GROUP BY"),
                    clause => spark(
                        "UNSUPPORTED_EXPR_FOR_OPERATOR",
                        format!("an aggregate function cannot stand in {clause}"),
                    ),
                });
            }
            // A window function's argument may be an aggregate, an aggregate's may not.
            let inner = if over.is_some() { Cx { windows: None, generators: None, ..cx.clone() } } else { cx.inner() };
            let mut args = Vec::new();
            for arg in list {
                match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => args.push(self.expr(expr, &inner)?),
                    FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "count" => {
                        args.push(Bound::literal(ScalarValue::Int32(Some(1)), "1"));
                    }
                    FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => return Err(no_star(&name)),
                    other => return Err(unsupported(format!("the argument {other} of {name}"))),
                }
            }
            if let (true, Some(over)) = (
                windowed || matches!(name.as_str(), "first" | "first_value" | "last" | "last_value" | "any_value"),
                &over,
            ) && let Some(bound) = self.window_function(&name, args.clone(), nulls, over, cx)?
            {
                return Ok(bound);
            }
            let filter = match &function.filter {
                Some(filter) => {
                    let filter = self.expr(filter, &inner)?;
                    let name = filter.name.clone();
                    Some((self.cast(filter, &DataType::Boolean)?.expr, name))
                }
                None => None,
            };
            let mut within = Vec::new();
            for key in &function.within_group {
                let (asc, nulls_first) = direction(&key.options);
                within.push((self.expr(&key.expr, &inner)?, asc, nulls_first));
            }
            let filter_name = filter.as_ref().map(|(_, name)| format!(" FILTER (WHERE {name})")).unwrap_or_default();
            let call = Call { name: &name, args, distinct, filter: filter.map(|(expr, _)| expr), nulls, within, over };
            let over_name = call.over.as_ref().map(|over| format!(" OVER {}", over.name)).unwrap_or_default();
            let bound = self.aggregate(call, cx)?;
            let shown = format!("{}{filter_name}{over_name}", bound.name);
            return Ok(bound.named(shown));
        }
        if function.over.is_some() {
            return Err(spark("UNSUPPORTED_EXPR_FOR_WINDOW", format!("{name} is no window function")));
        }
        if function.filter.is_some() || distinct || !function.within_group.is_empty() {
            return Err(spark(
                "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX",
                format!("{name} is no aggregate function: FILTER and DISTINCT do not apply"),
            ));
        }
        if let Some(bound) = self.higher_order(&name, list, cx)? {
            return Ok(bound);
        }
        if name == "struct" {
            let values: Option<Vec<ast::Expr>> = list
                .iter()
                .map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                    _ => None,
                })
                .collect();
            if let Some(values) = values {
                return self.struct_of(&values, cx);
            }
        }
        let mut args = Vec::new();
        for arg in list {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => match expr {
                    // Units are words, not columns: dateadd(DAY, …).
                    ast::Expr::Identifier(unit) if args.is_empty() && list.len() == 3 && is_unit_function(&name) => {
                        args.push(Bound::literal(
                            ScalarValue::Utf8(Some(unit.value.clone())),
                            unit.value.to_uppercase(),
                        ));
                    }
                    _ => args.push(self.expr(expr, cx)?),
                },
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => return Err(no_star(&name)),
                other => return Err(unsupported(format!("the argument {other} of {name}"))),
            }
        }
        if GENERATORS.contains(&name.as_str()) {
            let Some(generators) = cx.generators.filter(|_| cx.depth <= 1) else {
                return Err(spark_hint(
                    "UNSUPPORTED_GENERATOR.NESTED_IN_EXPRESSIONS",
                    format!("the generator {name} cannot stand inside of an expression"),
                    "select it by itself in a subquery",
                ));
            };
            return generators.borrow_mut().add(self, &name, args);
        }
        self.function_call(&name, args, cx)
    }
}

/// `WRONG_NUM_ARGS.WITHOUT_SUGGESTION`.
pub(crate) fn wrong_count(name: &str, found: usize, wanted: &str) -> datafusion::error::DataFusionError {
    spark_hint(
        "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
        format!("the `{name}` requires {wanted} parameters but the actual number is {found}"),
        "check the function's arguments",
    )
}

/// Checks a number of arguments.
pub(crate) fn arity(name: &str, found: usize, low: usize, high: usize) -> Result<()> {
    if (low..=high).contains(&found) {
        return Ok(());
    }
    let wanted = if low == high {
        low.to_string()
    } else if high == usize::MAX {
        format!("> {}", low.saturating_sub(1))
    } else {
        format!("[{}]", (low..=high).map(|n| n.to_string()).collect::<Vec<_>>().join(", "))
    };
    Err(wrong_count(name, found, &wanted))
}

fn is_unit_function(name: &str) -> bool {
    matches!(name, "dateadd" | "date_add" | "datediff" | "date_diff" | "timestampadd" | "timestampdiff")
}

/// `count` alone takes `*`, so what takes it here is most likely a slip of the keys.
fn no_star(name: &str) -> datafusion::error::DataFusionError {
    spark_hint(
        "UNRESOLVED_ROUTINE",
        format!("cannot resolve routine `{name}` with the argument *"),
        "only count takes *: count(*)",
    )
}

/// `UNRESOLVED_ROUTINE`.
pub(crate) fn unresolved_routine(name: &str) -> datafusion::error::DataFusionError {
    spark_hint(
        "UNRESOLVED_ROUTINE",
        format!("cannot resolve routine `{name}`"),
        "check its name; functions that users made in a catalog are not there yet",
    )
}
