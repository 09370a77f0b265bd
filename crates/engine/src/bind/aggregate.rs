//! The aggregate functions, and what the calls of one SELECT are collected in.
//!
//! DataFusion's aggregates do the work where their answer is Spark's or can be made so by a cast or a division around
//! them (`sum` of BIGINT runs in decimals and is narrowed with a check at the end); the others gather their group's rows.

use std::sync::Arc;

use arrow::datatypes::DataType;
use crannog_lake::model::interval::Span;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate as fa;
use datafusion::logical_expr::expr::{AggregateFunction, NullTreatment};
use datafusion::logical_expr::{AggregateUDF, Case, Expr, Operator, SortExpr};

use super::calls::arity;
use super::expr::{Cx, binary};
use super::window::Over;
use super::{Binder, Bound, plain, span_of, unexpected_type};
use crate::spark::casts::Mode;
use crate::spark::error::{Result, spark, unsupported};
use crate::spark::{arithmetic, gather, interval, types};

/// The calls of a SELECT, each with its column.
#[derive(Default)]
pub(crate) struct Aggregates {
    calls: Vec<(Expr, String)>,
    groupings: Vec<(Option<Vec<Bound>>, String)>,
}

type Calls = Vec<(Expr, String)>;
type Groupings = Vec<(Option<Vec<Bound>>, String)>;

impl Aggregates {
    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.groupings.is_empty()
    }

    pub(crate) fn occurs_in(&self, expr: &Expr) -> bool {
        let columns = expr.column_refs();
        self.calls.iter().any(|(_, name)| columns.contains(&plain(name)))
    }

    pub(crate) fn into_calls(self) -> (Calls, Groupings) {
        (self.calls, self.groupings)
    }
}

/// One call of an aggregate function.
pub(super) struct Call<'c> {
    pub(super) name: &'c str,
    pub(super) args: Vec<Bound>,
    pub(super) distinct: bool,
    pub(super) filter: Option<Expr>,
    pub(super) nulls: Option<NullTreatment>,
    pub(super) within: Vec<(Bound, bool, bool)>,
    pub(super) over: Option<Over>,
}

impl Binder {
    /// Registers an aggregate, or its windowed form, and gives its column.
    fn register(
        &self,
        udf: Arc<AggregateUDF>,
        args: Vec<Expr>,
        order: Vec<SortExpr>,
        call: &Call<'_>,
        cx: &Cx<'_>,
    ) -> Result<Expr> {
        if let Some(over) = &call.over {
            return self.windowed_aggregate(udf, args, call.distinct, call.filter.clone(), call.nulls, over, cx);
        }
        let Some(aggregates) = cx.aggregates else { return Err(unsupported("an aggregate here")) };
        let expr = Expr::AggregateFunction(AggregateFunction::new_udf(
            udf,
            args,
            call.distinct,
            call.filter.clone().map(Box::new),
            order,
            call.nulls,
        ));
        let mut aggregates = aggregates.borrow_mut();
        if let Some((_, name)) = aggregates.calls.iter().find(|(known, _)| *known == expr) {
            return Ok(Expr::Column(plain(name)));
        }
        let name = self.column_name("agg");
        aggregates.calls.push((expr, name.clone()));
        Ok(Expr::Column(plain(name)))
    }

    /// Adds to the call's FILTER.
    fn filtered<'c>(call: &Call<'c>, condition: Expr) -> Call<'c> {
        let filter = match call.filter.clone() {
            Some(filter) => binary(filter, Operator::And, condition),
            None => condition,
        };
        Call {
            name: call.name,
            args: call.args.clone(),
            distinct: call.distinct,
            filter: Some(filter),
            nulls: None,
            within: Vec::new(),
            over: call.over.clone(),
        }
    }

    pub(super) fn aggregate(&self, call: Call<'_>, cx: &Cx<'_>) -> Result<Bound> {
        let intervals: Vec<Bound> = call.args.iter().filter(|arg| arg.span().is_some()).cloned().collect();
        let bound = self.aggregated(call, cx)?;
        // A sum, a least or a last one has the units of what it is of.
        let span = span_of(&intervals, &bound.ty);
        Ok(bound.or_spanned(span))
    }

    fn aggregated(&self, mut call: Call<'_>, cx: &Cx<'_>) -> Result<Bound> {
        let shown: Vec<String> = call.args.iter().map(|arg| arg.name.clone()).collect();
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let name = format!("{}({distinct}{})", call.name, shown.join(", "));
        let count = |low: usize, high: usize| arity(call.name, shown.len(), low, high);
        let word = call.name;
        let bound = match word {
            "grouping" | "grouping_id" => {
                let args = call.args.clone();
                if word == "grouping" {
                    count(1, 1)?;
                }
                let Some(aggregates) = cx.aggregates else { return Err(unsupported("grouping here")) };
                let column = self.column_name(word);
                let all = (word == "grouping" || !args.is_empty()).then_some(args);
                aggregates.borrow_mut().groupings.push((all, column.clone()));
                let ty = if word == "grouping" { DataType::Int8 } else { DataType::Int64 };
                let wide = Expr::Column(plain(column));
                let expr = if word == "grouping" {
                    Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(wide), DataType::Int8))
                } else {
                    wide
                };
                Bound::new(expr, ty, "")
            }
            "count" => {
                count(1, usize::MAX)?;
                let arg = match call.args.as_slice() {
                    [one] if one.as_literal().is_some_and(|value| !value.is_null()) && !call.distinct => {
                        Expr::Literal(ScalarValue::Int64(Some(1)), None)
                    }
                    [one] if one.ty == DataType::Null => Expr::Literal(ScalarValue::Int64(None), None),
                    [one] if types::is_float(&one.ty) => super::compare::unsigned_zero(one.clone()).expr,
                    [one] => one.expr.clone(),
                    several => {
                        // Only rows without any NULL count.
                        let mut present: Option<Expr> = None;
                        for arg in several {
                            let here = Expr::IsNotNull(Box::new(arg.expr.clone()));
                            present = Some(super::query::conjunction(present, here));
                        }
                        let value = if call.distinct {
                            crate::spark::functions::nested::named_struct(
                                several
                                    .iter()
                                    .enumerate()
                                    .map(|(at, arg)| arg.clone().named(format!("c{at}")))
                                    .collect(),
                            )?
                            .expr
                        } else {
                            Expr::Literal(ScalarValue::Int64(Some(1)), None)
                        };
                        let present = present.unwrap_or(Expr::Literal(ScalarValue::Boolean(Some(true)), None));
                        Expr::Case(Case::new(None, vec![(Box::new(present), Box::new(value))], None))
                    }
                };
                let column = self.register(fa::count::count_udaf(), vec![arg], Vec::new(), &call, cx)?;
                Bound::new(column, DataType::Int64, "")
            }
            "count_if" => {
                count(1, 1)?;
                let condition = self.implicit(call.args.remove(0), &DataType::Boolean, &name)?;
                let call = Self::filtered(&call, Expr::IsTrue(Box::new(condition.expr)));
                let one = Expr::Literal(ScalarValue::Int64(Some(1)), None);
                Bound::new(
                    self.register(fa::count::count_udaf(), vec![one], Vec::new(), &call, cx)?,
                    DataType::Int64,
                    "",
                )
            }
            "sum" | "try_sum" => {
                count(1, 1)?;
                self.sum(&call, &name, cx)?
            }
            "avg" | "mean" | "try_avg" => {
                count(1, 1)?;
                self.average(&call, &name, cx)?
            }
            "min" | "max" => {
                count(1, 1)?;
                let arg = call.args[0].clone();
                if matches!(arg.ty, DataType::Map(..)) {
                    return Err(spark(
                        "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE",
                        format!("{name}: maps have no order"),
                    ));
                }
                if arg.ty == DataType::Null {
                    return Ok(Bound::literal(ScalarValue::Null, name));
                }
                let flat = match &arg.ty {
                    DataType::List(element) => types::is_atomic(element.data_type()),
                    DataType::Struct(fields) => fields.iter().all(|field| types::is_atomic(field.data_type())),
                    _ => true,
                };
                if !flat {
                    return Err(unsupported(format!("{word} of {}", types::sql(&arg.ty))));
                }
                let udf = if word == "min" { fa::min_max::min_udaf() } else { fa::min_max::max_udaf() };
                Bound::new(self.register(udf, vec![arg.expr], Vec::new(), &call, cx)?, arg.ty, "")
            }
            "first" | "first_value" | "last" | "last_value" | "any_value" => {
                count(1, 2)?;
                if let Some(flag) = call.args.get(1)
                    && matches!(flag.as_literal(), Some(ScalarValue::Boolean(Some(true))))
                {
                    call.nulls = Some(NullTreatment::IgnoreNulls);
                }
                let arg = call.args[0].clone();
                let udf = if word.starts_with("last") {
                    fa::first_last::last_value_udaf()
                } else {
                    fa::first_last::first_value_udaf()
                };
                let column = self.register(udf, vec![arg.expr], Vec::new(), &call, cx)?;
                let shown_as = match word {
                    "first_value" => "first",
                    "last_value" => "last",
                    word => word,
                };
                return Ok(Bound::new(column, arg.ty, format!("{shown_as}({})", shown[0])));
            }
            "bool_and" | "every" | "bool_or" | "some" | "any" => {
                count(1, 1)?;
                let arg = self.implicit(call.args[0].clone(), &DataType::Boolean, &name)?;
                let udf = if matches!(word, "bool_and" | "every") {
                    fa::bool_and_or::bool_and_udaf()
                } else {
                    fa::bool_and_or::bool_or_udaf()
                };
                Bound::new(self.register(udf, vec![arg.expr], Vec::new(), &call, cx)?, DataType::Boolean, "")
            }
            "bit_and" | "bit_or" | "bit_xor" => {
                count(1, 1)?;
                let arg = call.args[0].clone();
                if !types::is_integral(&arg.ty) {
                    return Err(unexpected_type(&name, &arg, "INTEGRAL"));
                }
                let udf = match word {
                    "bit_and" => fa::bit_and_or_xor::bit_and_udaf(),
                    "bit_or" => fa::bit_and_or_xor::bit_or_udaf(),
                    _ => fa::bit_and_or_xor::bit_xor_udaf(),
                };
                Bound::new(self.register(udf, vec![arg.expr], Vec::new(), &call, cx)?, arg.ty, "")
            }
            "collect_list" | "array_agg" | "collect_set" => {
                count(1, 1)?;
                let arg = call.args[0].clone();
                let mut call = Self::filtered(&call, Expr::IsNotNull(Box::new(arg.expr.clone())));
                call.distinct |= word == "collect_set";
                let ty = types::list_of(arg.ty.clone());
                if call.distinct || call.over.is_none() {
                    let column = gather::collected(self, &arg, call.distinct, |udf, args| {
                        self.register(udf, args, Vec::new(), &call, cx)
                    })?;
                    let shown = if word == "array_agg" { "collect_list" } else { word };
                    return Ok(Bound::new(column, ty, format!("{shown}({distinct}{})", arg.name)));
                }
                let column =
                    gather::collected(self, &arg, false, |udf, args| self.register(udf, args, Vec::new(), &call, cx))?;
                Bound::new(column, ty, "")
            }
            "approx_count_distinct" => {
                count(1, 2)?;
                let column = self.register(
                    fa::approx_distinct::approx_distinct_udaf(),
                    vec![call.args[0].expr.clone()],
                    Vec::new(),
                    &call,
                    cx,
                )?;
                let expr = Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(column), DataType::Int64));
                Bound::new(expr, DataType::Int64, "")
            }
            "max_by" | "min_by" => {
                count(2, 2)?;
                let (value, key) = (call.args[0].clone(), call.args[1].clone());
                let call = Self::filtered(&call, Expr::IsNotNull(Box::new(key.expr.clone())));
                let asc = word == "min_by";
                if call.over.is_some() {
                    return Err(unsupported(format!("{word} as a window function")));
                }
                let order = vec![SortExpr::new(key.expr, asc, false)];
                let column = self.register(fa::first_last::first_value_udaf(), vec![value.expr], order, &call, cx)?;
                Bound::new(column, value.ty, "")
            }
            "stddev" | "stddev_samp" | "std" | "stddev_pop" | "variance" | "var_samp" | "var_pop" => {
                count(1, 1)?;
                let udf = match word {
                    "stddev_pop" => fa::stddev::stddev_pop_udaf(),
                    "variance" | "var_samp" => fa::variance::var_samp_udaf(),
                    "var_pop" => fa::variance::var_pop_udaf(),
                    _ => fa::stddev::stddev_udaf(),
                };
                self.over_doubles(udf, &call, &name, cx)?
            }
            "corr" | "covar_pop" | "covar_samp" | "regr_slope" | "regr_intercept" | "regr_r2" | "regr_avgx"
            | "regr_avgy" | "regr_sxx" | "regr_syy" | "regr_sxy" | "regr_count" => {
                count(2, 2)?;
                let udf = match word {
                    "corr" => fa::correlation::corr_udaf(),
                    "covar_pop" => fa::covariance::covar_pop_udaf(),
                    "covar_samp" => fa::covariance::covar_samp_udaf(),
                    "regr_slope" => fa::regr::regr_slope_udaf(),
                    "regr_intercept" => fa::regr::regr_intercept_udaf(),
                    "regr_r2" => fa::regr::regr_r2_udaf(),
                    "regr_avgx" => fa::regr::regr_avgx_udaf(),
                    "regr_avgy" => fa::regr::regr_avgy_udaf(),
                    "regr_sxx" => fa::regr::regr_sxx_udaf(),
                    "regr_syy" => fa::regr::regr_syy_udaf(),
                    "regr_sxy" => fa::regr::regr_sxy_udaf(),
                    _ => fa::regr::regr_count_udaf(),
                };
                let bound = self.over_doubles(udf, &call, &name, cx)?;
                if word == "regr_count" {
                    let expr = Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(bound.expr), DataType::Int64));
                    Bound::new(expr, DataType::Int64, "")
                } else {
                    bound
                }
            }
            _ => {
                let within: Vec<(Bound, bool)> =
                    call.within.iter().map(|(bound, asc, _)| (bound.clone(), *asc)).collect();
                let plan = gather::plan(self, word, &call.args, &within, call.distinct)?;
                let column =
                    self.register(plan.udf, plan.args, Vec::new(), &Call { distinct: false, nulls: None, ..call }, cx)?;
                return Ok(Bound::new(column, plan.ty, plan.name));
            }
        };
        Ok(bound.named(name))
    }

    fn over_doubles(&self, udf: Arc<AggregateUDF>, call: &Call<'_>, name: &str, cx: &Cx<'_>) -> Result<Bound> {
        let args = call
            .args
            .iter()
            .map(|arg| Ok(self.implicit(arg.clone(), &DataType::Float64, name)?.expr))
            .collect::<Result<Vec<_>>>()?;
        Ok(Bound::new(self.register(udf, args, Vec::new(), call, cx)?, DataType::Float64, name))
    }

    fn sum(&self, call: &Call<'_>, name: &str, cx: &Cx<'_>) -> Result<Bound> {
        let mut arg = call.args[0].clone();
        if matches!(arg.ty, DataType::Utf8 | DataType::Null) {
            arg = self.cast(arg, &DataType::Float64)?;
        }
        let mode = if call.name == "try_sum" { Mode::Try } else { Mode::Ansi };
        let udf = fa::sum::sum_udaf();
        match arg.ty.clone() {
            DataType::Int8 | DataType::Int16 | DataType::Int32 => {
                let wide = self.cast(arg, &DataType::Int64)?;
                Ok(Bound::new(self.register(udf, vec![wide.expr], Vec::new(), call, cx)?, DataType::Int64, name))
            }
            DataType::Int64 => {
                // 20 digits hold a BIGINT, 30 hold ten thousand million of them: no overflow before the check.
                let wide =
                    Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(arg.expr), DataType::Decimal128(20, 0)));
                let column = self.register(udf, vec![wide], Vec::new(), call, cx)?;
                Ok(Bound::new(arithmetic::narrowed_sum(column, mode), DataType::Int64, name))
            }
            DataType::Decimal128(precision, scale) => {
                let (p, s) = types::bounded(i32::from(precision) + 10, i32::from(scale));
                let ty = DataType::Decimal128(p, s);
                let column = self.register(udf, vec![arg.expr], Vec::new(), call, cx)?;
                Ok(Bound::new(arithmetic::checked_decimal(column, p, s, mode), ty, name))
            }
            ty if types::is_float(&ty) => {
                let wide = self.cast(arg, &DataType::Float64)?;
                Ok(Bound::new(self.register(udf, vec![wide.expr], Vec::new(), call, cx)?, DataType::Float64, name))
            }
            ty if types::is_interval(&ty) => {
                let plan = gather::interval_sum(&arg)?;
                let column = self.register(plan.udf, plan.args, Vec::new(), call, cx)?;
                Ok(Bound::new(column, ty, name))
            }
            _ => Err(unexpected_type(name, &arg, "NUMERIC or ANSI INTERVAL")),
        }
    }

    fn average(&self, call: &Call<'_>, name: &str, cx: &Cx<'_>) -> Result<Bound> {
        let arg = call.args[0].clone();
        if let DataType::Decimal128(precision, scale) = arg.ty {
            let (sp, ss) = types::bounded(i32::from(precision) + 10, i32::from(scale));
            let sum = self.register(fa::sum::sum_udaf(), vec![arg.expr.clone()], Vec::new(), call, cx)?;
            let count = self.register(fa::count::count_udaf(), vec![arg.expr], Vec::new(), call, cx)?;
            let (p, s) = types::bounded(i32::from(precision) + 4, i32::from(scale) + 4);
            let sum =
                arithmetic::checked_decimal(sum, sp, ss, if call.name == "try_avg" { Mode::Try } else { Mode::Ansi });
            return Ok(Bound::new(arithmetic::mean_decimal(sum, count, ss, p, s), DataType::Decimal128(p, s), name));
        }
        if let Some(span) = Span::of_type(&arg.ty) {
            let sum = self.sum(call, name, cx)?;
            let count = self.register(fa::count::count_udaf(), vec![arg.expr], Vec::new(), call, cx)?;
            return Ok(interval::mean(sum, count).named(name).spanned(Some(span)));
        }
        let numeric = types::is_numeric(&arg.ty) || matches!(arg.ty, DataType::Utf8 | DataType::Null);
        if !numeric {
            return Err(unexpected_type(name, &arg, "NUMERIC or ANSI INTERVAL"));
        }
        let wide = self.cast(arg, &DataType::Float64)?;
        Ok(Bound::new(
            self.register(fa::average::avg_udaf(), vec![wide.expr], Vec::new(), call, cx)?,
            DataType::Float64,
            name,
        ))
    }
}
