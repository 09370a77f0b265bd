//! Window functions.

use arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    AggregateUDF, Expr, LogicalPlan, LogicalPlanBuilder, SortExpr, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowFunctionDefinition, WindowUDF,
};
use datafusion::sql::sqlparser::ast::{self, NamedWindowExpr, WindowType};
use std::sync::Arc;

use super::expr::Cx;
use super::query::direction;
use super::{Binder, Bound, plain};
use crate::spark::error::{Result, spark, spark_hint, unsupported};

/// The calls of a SELECT, each with its column.
#[derive(Default)]
pub(crate) struct Windows {
    calls: Vec<(Expr, String)>,
}

impl Windows {
    pub(crate) fn columns(&self) -> Vec<Column> {
        self.calls.iter().map(|(_, name)| plain(name)).collect()
    }

    pub(crate) fn each(&mut self, change: impl Fn(Expr) -> Result<Expr>) -> Result<()> {
        for (call, _) in &mut self.calls {
            *call = change(std::mem::take(call))?;
        }
        Ok(())
    }
}

/// OVER, bound.
#[derive(Clone)]
pub(crate) struct Over {
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<SortExpr>,
    pub(crate) frame: WindowFrame,
    pub(crate) name: String,
}

impl Binder {
    pub(crate) fn over(&self, over: &WindowType, cx: &Cx<'_>) -> Result<Over> {
        let spec = match over {
            WindowType::WindowSpec(spec) => spec,
            WindowType::NamedWindow(name) => return self.over(&named(&name.value, cx)?, cx),
        };
        let mut partition = Vec::new();
        let mut order = Vec::new();
        let mut parts = Vec::new();
        let mut frame = spec.window_frame.clone();
        let inner = Cx { generators: None, windows: None, ..cx.clone() };
        if let Some(base) = &spec.window_name {
            let base = match named(&base.value, cx)? {
                WindowType::WindowSpec(spec) => spec,
                other @ WindowType::NamedWindow(_) => return self.over(&other, cx),
            };
            let merged = ast::WindowSpec {
                window_name: base.window_name,
                partition_by: [base.partition_by, spec.partition_by.clone()].concat(),
                order_by: [base.order_by, spec.order_by.clone()].concat(),
                window_frame: spec.window_frame.clone().or(base.window_frame),
            };
            return self.over(&WindowType::WindowSpec(merged), cx);
        }
        if !spec.partition_by.is_empty() {
            let mut names = Vec::new();
            for item in &spec.partition_by {
                let bound = self.expr(item, &inner)?;
                names.push(bound.name.clone());
                partition.push(bound.expr);
            }
            parts.push(format!("PARTITION BY {}", names.join(", ")));
        }
        let mut numeric = false;
        if !spec.order_by.is_empty() {
            let mut names = Vec::new();
            for item in &spec.order_by {
                let bound = self.expr(&item.expr, &inner)?;
                let (asc, nulls_first) = direction(&item.options);
                let (way, nulls) = (if asc { "ASC" } else { "DESC" }, if nulls_first { "FIRST" } else { "LAST" });
                names.push(format!("{} {way} NULLS {nulls}", bound.name));
                numeric = matches!(bound.ty, DataType::Int64 | DataType::Int32 | DataType::Int16 | DataType::Int8);
                order.push(SortExpr::new(bound.expr, asc, nulls_first));
            }
            parts.push(format!("ORDER BY {}", names.join(", ")));
        }
        let _ = numeric;
        let (units, start, end) = match frame.take() {
            None if order.is_empty() => (
                WindowFrameUnits::Rows,
                WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
                WindowFrameBound::Following(ScalarValue::UInt64(None)),
            ),
            None => {
                (WindowFrameUnits::Range, WindowFrameBound::Preceding(ScalarValue::Null), WindowFrameBound::CurrentRow)
            }
            Some(frame) => {
                let units = match frame.units {
                    ast::WindowFrameUnits::Rows => WindowFrameUnits::Rows,
                    ast::WindowFrameUnits::Range => WindowFrameUnits::Range,
                    ast::WindowFrameUnits::Groups => return Err(unsupported("GROUPS in a window frame")),
                };
                let start = self.frame_bound(&frame.start_bound, units, &inner)?;
                let end = match &frame.end_bound {
                    Some(end) => self.frame_bound(end, units, &inner)?,
                    None => WindowFrameBound::CurrentRow,
                };
                (units, start, end)
            }
        };
        let shown = |bound: &WindowFrameBound| match bound {
            WindowFrameBound::CurrentRow => "CURRENT ROW".to_owned(),
            WindowFrameBound::Preceding(value) if value.is_null() => "UNBOUNDED PRECEDING".into(),
            WindowFrameBound::Following(value) if value.is_null() => "UNBOUNDED FOLLOWING".into(),
            WindowFrameBound::Preceding(value) => format!("-{value} FOLLOWING"),
            WindowFrameBound::Following(value) => format!("{value} FOLLOWING"),
        };
        let unit = if units == WindowFrameUnits::Rows { "ROWS" } else { "RANGE" };
        parts.push(format!("{unit} BETWEEN {} AND {}", shown(&start), shown(&end)));
        let frame = WindowFrame::new_bounds(units, start, end);
        Ok(Over { partition, order, frame, name: format!("({})", parts.join(" ")) })
    }

    fn frame_bound(
        &self,
        bound: &ast::WindowFrameBound,
        units: WindowFrameUnits,
        cx: &Cx<'_>,
    ) -> Result<WindowFrameBound> {
        let unbounded = if units == WindowFrameUnits::Rows { ScalarValue::UInt64(None) } else { ScalarValue::Null };
        let value = |expr: &ast::Expr| -> Result<ScalarValue> {
            let bound = self.expr(expr, cx)?;
            let value = self.constant(&bound)?;
            if units == WindowFrameUnits::Rows {
                let number = match value {
                    ScalarValue::Int32(Some(number)) => i64::from(number),
                    ScalarValue::Int64(Some(number)) => number,
                    _ => {
                        return Err(spark(
                            "DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_UNACCEPTED_TYPE",
                            "a ROWS frame needs whole numbers",
                        ));
                    }
                };
                return Ok(ScalarValue::UInt64(u64::try_from(number).ok()));
            }
            Ok(match value {
                // DataFusion parses the bounds of RANGE as text of the order key's type.
                ScalarValue::Int32(Some(number)) => ScalarValue::Utf8(Some(number.to_string())),
                ScalarValue::Int64(Some(number)) => ScalarValue::Utf8(Some(number.to_string())),
                ScalarValue::DurationMicrosecond(Some(micros)) => {
                    let days = i32::try_from(micros / 86_400_000_000).unwrap_or(i32::MAX);
                    ScalarValue::new_interval_mdn(0, days, micros % 86_400_000_000 * 1000)
                }
                ScalarValue::IntervalYearMonth(Some(months)) => ScalarValue::new_interval_mdn(months, 0, 0),
                _ => {
                    return Err(spark_hint(
                        "DATATYPE_MISMATCH.SPECIFIED_WINDOW_FRAME_UNACCEPTED_TYPE",
                        format!("\"{}\" cannot bound a RANGE frame", bound.name),
                        "write a whole number or an interval",
                    ));
                }
            })
        };
        Ok(match bound {
            ast::WindowFrameBound::CurrentRow => WindowFrameBound::CurrentRow,
            ast::WindowFrameBound::Preceding(None) => WindowFrameBound::Preceding(unbounded),
            ast::WindowFrameBound::Following(None) => WindowFrameBound::Following(unbounded),
            ast::WindowFrameBound::Preceding(Some(expr)) => WindowFrameBound::Preceding(value(expr)?),
            ast::WindowFrameBound::Following(Some(expr)) => WindowFrameBound::Following(value(expr)?),
        })
    }

    /// Registers a call and gives its column.
    #[expect(clippy::too_many_arguments, reason = "a window call has this many parts")]
    pub(crate) fn windowed(
        &self,
        fun: WindowFunctionDefinition,
        args: Vec<Expr>,
        distinct: bool,
        filter: Option<Expr>,
        nulls: Option<NullTreatment>,
        over: &Over,
        cx: &Cx<'_>,
    ) -> Result<Expr> {
        let Some(windows) = cx.windows else {
            return Err(spark_hint(
                "WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE",
                format!("a window function cannot stand in {}", cx.clause),
                "use a subquery, or QUALIFY",
            ));
        };
        let call = Expr::WindowFunction(Box::new(WindowFunction {
            fun,
            params: WindowFunctionParams {
                args,
                partition_by: over.partition.clone(),
                order_by: over.order.clone(),
                window_frame: over.frame.clone(),
                filter: filter.map(Box::new),
                null_treatment: nulls,
                distinct,
            },
        }));
        let mut windows = windows.borrow_mut();
        if let Some((_, name)) = windows.calls.iter().find(|(known, _)| *known == call) {
            return Ok(Expr::Column(plain(name)));
        }
        let name = self.column_name("window");
        windows.calls.push((call, name.clone()));
        Ok(Expr::Column(plain(name)))
    }

    pub(crate) fn lay_windows(&self, plan: LogicalPlan, windows: Windows) -> Result<LogicalPlan> {
        if windows.calls.is_empty() {
            return Ok(plan);
        }
        let mut all: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let mut calls = Vec::new();
        for (call, name) in windows.calls {
            all.push(Expr::Column(plain(call.schema_name().to_string())).alias(&name));
            if !calls.contains(&call) {
                calls.push(call);
            }
        }
        let windowed = LogicalPlanBuilder::window_plan(plan, calls)?;
        LogicalPlanBuilder::from(windowed).project(all)?.build()
    }

    /// `row_number()`, `lag(x)` … : the functions that only exist with OVER.
    pub(crate) fn window_function(
        &self,
        name: &str,
        args: Vec<Bound>,
        nulls: Option<NullTreatment>,
        over: &Over,
        cx: &Cx<'_>,
    ) -> Result<Option<Bound>> {
        use datafusion::functions_window as f;
        let shown: Vec<String> = args.iter().map(|arg| arg.name.clone()).collect();
        let text = format!("{name}({}) OVER {}", shown.join(", "), over.name);
        let make = |udf: Arc<WindowUDF>, args: Vec<Expr>, over: &Over| {
            self.windowed(WindowFunctionDefinition::WindowUDF(udf), args, false, None, nulls, over, cx)
        };
        let ranked = |udf: Arc<WindowUDF>, args: Vec<Expr>, ty: DataType| -> Result<Option<Bound>> {
            if over.order.is_empty() {
                return Err(spark_hint(
                    "WINDOW_FUNCTION_FRAME_NOT_ORDERED",
                    format!("the window function {name} needs an ORDER BY in its OVER clause"),
                    format!("write {name}() OVER (ORDER BY …)"),
                ));
            }
            // Spark shows ranks in capitals, and over the rows up to the current one.
            let shown_as = match name {
                "rank" | "dense_rank" | "percent_rank" => name.to_uppercase(),
                name => name.to_owned(),
            };
            let window = if name == "cume_dist" { over.name.clone() } else { up_to_here(over) };
            let text = format!("{shown_as}({}) OVER {window}", shown.join(", "));
            let column = make(udf, args, over)?;
            let expr = Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(column), ty.clone()));
            Ok(Some(Bound::new(expr, ty, text.clone())))
        };
        let count = |low: usize, high: usize| super::calls::arity(name, args.len(), low, high);
        match name {
            "row_number" => {
                count(0, 0)?;
                ranked(f::row_number::row_number_udwf(), Vec::new(), DataType::Int32)
            }
            "rank" => ranked(f::rank::rank_udwf(), Vec::new(), DataType::Int32),
            "dense_rank" => ranked(f::rank::dense_rank_udwf(), Vec::new(), DataType::Int32),
            "percent_rank" => ranked(f::rank::percent_rank_udwf(), Vec::new(), DataType::Float64),
            "cume_dist" => ranked(f::cume_dist::cume_dist_udwf(), Vec::new(), DataType::Float64),
            "ntile" => {
                count(0, 1)?;
                let buckets = match args.into_iter().next() {
                    Some(arg) => match self.constant(&self.implicit(arg, &DataType::Int32, &text)?)? {
                        ScalarValue::Int32(Some(buckets)) if buckets > 0 => buckets,
                        other => {
                            return Err(spark_hint(
                                "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE",
                                format!("the number of buckets of ntile must be between 1 and 2147483647, not {other}"),
                                "give a positive number",
                            ));
                        }
                    },
                    None => 1,
                };
                let buckets = Expr::Literal(ScalarValue::Int64(Some(i64::from(buckets))), None);
                ranked(f::ntile::ntile_udwf(), vec![buckets], DataType::Int32)
            }
            "lag" | "lead" => {
                count(1, 3)?;
                let mut args = args.into_iter();
                let Some(value) = args.next() else { return Ok(None) };
                let ty = value.ty.clone();
                let offset = args.next();
                let default = args.next();
                let offset_name = offset.as_ref().map_or_else(|| "1".to_owned(), |offset| offset.name.clone());
                let default_name = default.as_ref().map_or_else(|| "NULL".to_owned(), |default| default.name.clone());
                let text = format!(
                    "{name}({}, {offset_name}, {default_name}) OVER {}",
                    value.name,
                    frameless(over, name, &offset_name)
                );
                let mut all = vec![value.expr];
                let offset = match offset {
                    Some(offset) => self.constant(&self.cast(offset, &DataType::Int64)?)?,
                    None => ScalarValue::Int64(Some(1)),
                };
                all.push(Expr::Literal(offset, None));
                if let Some(default) = default {
                    let default = self.cast(default, &ty)?;
                    all.push(Expr::Literal(self.constant(&default)?, None));
                }
                let udf = if name == "lag" { f::lead_lag::lag_udwf() } else { f::lead_lag::lead_udwf() };
                Ok(Some(Bound::new(make(udf, all, over)?, ty, text)))
            }
            "nth_value" | "first_value" | "last_value" | "first" | "last" | "any_value" => {
                count(if name == "nth_value" { 2 } else { 1 }, 2)?;
                let mut args = args.into_iter();
                let Some(value) = args.next() else { return Ok(None) };
                let ty = value.ty.clone();
                let mut nulls = nulls;
                let mut all = vec![value.expr.clone()];
                let udf = match name {
                    "nth_value" => {
                        let offset = args.next().map(|offset| self.cast(offset, &DataType::Int64)).transpose()?;
                        if let Some(offset) = offset {
                            all.push(Expr::Literal(self.constant(&offset)?, None));
                        }
                        f::nth_value::nth_value_udwf()
                    }
                    _ => {
                        if let Some(flag) = args.next()
                            && matches!(flag.as_literal(), Some(ScalarValue::Boolean(Some(true))))
                        {
                            nulls = Some(NullTreatment::IgnoreNulls);
                        }
                        if name.starts_with("last") {
                            f::nth_value::last_value_udwf()
                        } else {
                            f::nth_value::first_value_udwf()
                        }
                    }
                };
                let suffix = if nulls == Some(NullTreatment::IgnoreNulls) { " ignore nulls" } else { "" };
                let inside: Vec<String> = shown.iter().take(if name == "nth_value" { 2 } else { 1 }).cloned().collect();
                let text = format!("{name}({}){suffix} OVER {}", inside.join(", "), over.name);
                let column =
                    self.windowed(WindowFunctionDefinition::WindowUDF(udf), all, false, None, nulls, over, cx)?;
                Ok(Some(Bound::new(column, ty, text)))
            }
            _ => Ok(None),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a window call has this many parts")]
    pub(crate) fn windowed_aggregate(
        &self,
        udf: Arc<AggregateUDF>,
        args: Vec<Expr>,
        distinct: bool,
        filter: Option<Expr>,
        nulls: Option<NullTreatment>,
        over: &Over,
        cx: &Cx<'_>,
    ) -> Result<Expr> {
        self.windowed(WindowFunctionDefinition::AggregateUDF(udf), args, distinct, filter, nulls, over, cx)
    }
}

/// The window of a rank, as Spark shows it.
fn up_to_here(over: &Over) -> String {
    let base = over.name.trim_end_matches(')');
    let base = match base.rfind("RANGE BETWEEN").or_else(|| base.rfind("ROWS BETWEEN")) {
        Some(at) => &base[..at],
        None => base,
    };
    format!("{base}ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)")
}

/// lag and lead show the one row that they look at.
fn frameless(over: &Over, name: &str, offset: &str) -> String {
    let base = over.name.trim_end_matches(')');
    let base = match base.rfind("RANGE BETWEEN").or_else(|| base.rfind("ROWS BETWEEN")) {
        Some(at) => &base[..at],
        None => base,
    };
    let at = if name == "lag" { format!("-{offset}") } else { offset.to_owned() };
    format!("{base}ROWS BETWEEN {at} FOLLOWING AND {at} FOLLOWING)")
}

fn named(name: &str, cx: &Cx<'_>) -> Result<WindowType> {
    let found = cx.named_windows.iter().find(|window| window.0.value.eq_ignore_ascii_case(name));
    match found.map(|window| &window.1) {
        Some(NamedWindowExpr::WindowSpec(spec)) => Ok(WindowType::WindowSpec(spec.clone())),
        Some(NamedWindowExpr::NamedWindow(other)) if !other.value.eq_ignore_ascii_case(name) => named(&other.value, cx),
        _ => Err(spark(
            "MISSING_WINDOW_SPECIFICATION",
            format!("the window `{name}` is not defined in the WINDOW clause"),
        )),
    }
}
