//! Expressions.

use std::cell::RefCell;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit};
use datafusion::common::{ScalarValue, Spans};
use datafusion::logical_expr::expr::{Exists, InList, InSubquery};
use datafusion::logical_expr::{BinaryExpr, Case, Expr, LogicalPlan, Operator, Subquery};
use datafusion::sql::sqlparser::ast::{
    self, AccessExpr, BinaryOperator, CastKind, CeilFloorKind, Subscript, UnaryOperator, Value,
};

use super::aggregate::Aggregates;
use super::generate::Generators;
use super::window::Windows;
use super::{Binder, Bound, Env, Scope, ScopeColumn, unexpected_type};
use crate::spark::casts::Mode;
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::{arithmetic, parse, text, types};
use crannog_lake::grammar::DataType as SqlType;

/// What stands around an expression.
#[derive(Clone)]
pub(crate) struct Cx<'a> {
    pub(crate) scope: Scope<'a>,
    pub(crate) env: &'a Env<'a>,
    /// Where calls of aggregate functions are collected; `None` where there may be none.
    pub(crate) aggregates: Option<&'a RefCell<Aggregates>>,
    pub(crate) windows: Option<&'a RefCell<Windows>>,
    pub(crate) generators: Option<&'a RefCell<Generators>>,
    /// Earlier aliases of the same SELECT list.
    pub(crate) aliases: &'a [(String, Bound)],
    /// Variables of lambdas, innermost last.
    pub(crate) variables: Vec<(String, Bound)>,
    /// `WHERE`, for errors.
    pub(crate) clause: &'static str,
    pub(crate) named_windows: &'a [ast::NamedWindowDefinition],
    pub(crate) depth: usize,
}

impl<'a> Cx<'a> {
    pub(crate) fn new(scope: Scope<'a>, env: &'a Env<'a>, clause: &'static str) -> Self {
        Cx {
            scope,
            env,
            aggregates: None,
            windows: None,
            generators: None,
            aliases: &[],
            variables: Vec::new(),
            clause,
            named_windows: &[],
            depth: 0,
        }
    }

    /// The same place, without leave to aggregate: inside an aggregate's argument.
    pub(crate) fn inner(&self) -> Self {
        let variables = if self.clause == "HAVING" { Vec::new() } else { self.variables.clone() };
        Cx { aggregates: None, windows: None, generators: None, variables, ..self.clone() }
    }
}

const MAX_DEPTH: usize = 400;

impl Binder {
    /// Binds one expression.
    pub(crate) fn expr(&self, ast: &ast::Expr, cx: &Cx<'_>) -> Result<Bound> {
        if cx.depth > MAX_DEPTH {
            return Err(spark_hint(
                "STATEMENT_TOO_COMPLEX",
                "the expression nests too deeply",
                "split it with a subquery",
            ));
        }
        let deeper = Cx { depth: cx.depth + 1, ..cx.clone() };
        let cx = &deeper;
        use ast::Expr as E;
        match ast {
            E::Identifier(name) => self.column(std::slice::from_ref(name), cx),
            E::CompoundIdentifier(names) => self.column(names, cx),
            E::Nested(inner) => self.expr(inner, cx),
            E::Value(value) => self.literal(&value.value),
            E::TypedString(typed) => {
                let text = match &typed.value.value {
                    Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text,
                    other => return Err(unsupported(format!("the literal {other}"))),
                };
                self.typed_literal(&typed.data_type.to_string(), text)
            }
            E::Interval(interval) => self.interval(interval, cx),
            E::UnaryOp { op, expr } => self.unary(*op, expr, cx),
            E::BinaryOp { left, op, right } => self.binary(left, op, right, cx),
            E::IsNull(inner) => {
                let inner = self.expr(inner, cx)?;
                let name = format!("({} IS NULL)", inner.name);
                Ok(Bound::new(Expr::IsNull(Box::new(inner.expr)), DataType::Boolean, name))
            }
            E::IsNotNull(inner) => {
                let inner = self.expr(inner, cx)?;
                let name = format!("({} IS NOT NULL)", inner.name);
                Ok(Bound::new(Expr::IsNotNull(Box::new(inner.expr)), DataType::Boolean, name))
            }
            E::IsTrue(inner) => self.is_truth(inner, cx, "true", Expr::IsTrue),
            E::IsNotTrue(inner) => self.is_truth(inner, cx, "NOT true", Expr::IsNotTrue),
            E::IsFalse(inner) => self.is_truth(inner, cx, "false", Expr::IsFalse),
            E::IsNotFalse(inner) => self.is_truth(inner, cx, "NOT false", Expr::IsNotFalse),
            E::IsUnknown(inner) => self.is_truth(inner, cx, "unknown", Expr::IsUnknown),
            E::IsNotUnknown(inner) => self.is_truth(inner, cx, "NOT unknown", Expr::IsNotUnknown),
            E::IsDistinctFrom(left, right) => {
                let (left, right) = (self.expr(left, cx)?, self.expr(right, cx)?);
                let same = self.compare(Operator::IsNotDistinctFrom, left, right)?;
                Ok(self.not(same))
            }
            E::IsNotDistinctFrom(left, right) => {
                let (left, right) = (self.expr(left, cx)?, self.expr(right, cx)?);
                self.compare(Operator::IsNotDistinctFrom, left, right)
            }
            E::InList { expr, list, negated } => self.in_list(expr, list, *negated, cx),
            E::InSubquery { expr, subquery, negated } => self.in_subquery(expr, subquery, *negated, cx),
            E::Exists { subquery, negated } => {
                let (plan, _) = self.subquery(subquery, cx)?;
                let expr = Expr::Exists(Exists::new(plan, *negated));
                Ok(Bound::new(expr, DataType::Boolean, if *negated { "(NOT exists())" } else { "exists()" }))
            }
            E::Subquery(query) => {
                let (plan, columns) = self.subquery(query, cx)?;
                let [column] = columns.as_slice() else {
                    return Err(spark(
                        "INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN",
                        format!("a scalar subquery must return one column, but returned {}", columns.len()),
                    ));
                };
                Ok(Bound::new(Expr::ScalarSubquery(plan), column.ty.clone(), "scalarsubquery()"))
            }
            E::Between { expr, negated, low, high } => {
                let (value, low, high) = (self.expr(expr, cx)?, self.expr(low, cx)?, self.expr(high, cx)?);
                let name = format!("between({}, {}, {})", value.name, low.name, high.name);
                let above = self.compare(Operator::GtEq, value.clone(), low)?;
                let below = self.compare(Operator::LtEq, value, high)?;
                let both = Bound::new(binary(above.expr, Operator::And, below.expr), DataType::Boolean, name);
                Ok(if *negated { self.not(both) } else { both })
            }
            E::Like { negated, any, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_ref(), *negated, *any, false, cx)
            }
            E::ILike { negated, any, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_ref(), *negated, *any, true, cx)
            }
            E::RLike { negated, expr, pattern, regexp: _ } => {
                let (value, pattern) = (self.expr(expr, cx)?, self.expr(pattern, cx)?);
                let found = self.function_call("rlike", vec![value, pattern], cx)?;
                Ok(if *negated { self.not(found) } else { found })
            }
            E::Cast { kind, expr, data_type, array: false, format: None } => {
                let to = sql_type(data_type)?;
                if *kind == CastKind::Cast
                    && let Some(literal) = suffixed(expr, &to)?
                {
                    return Ok(literal);
                }
                let inner = self.expr(expr, cx)?;
                self.explicit_cast(inner, &to, matches!(kind, CastKind::TryCast | CastKind::SafeCast))
            }
            E::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), cx)
            }
            E::Function(function) => self.function(function, cx),
            E::CompoundFieldAccess { root, access_chain } => {
                let mut value = self.expr(root, cx)?;
                for access in access_chain {
                    value = match access {
                        AccessExpr::Subscript(Subscript::Index { index }) => {
                            let index = self.expr(index, cx)?;
                            self.subscript(value, index)?
                        }
                        AccessExpr::Dot(ast::Expr::Identifier(name)) => self.struct_field(value, &name.value)?,
                        other => return Err(unsupported(format!("the access {other}"))),
                    };
                }
                Ok(value)
            }
            E::Tuple(items) => {
                let items = items.iter().map(|item| self.expr(item, cx)).collect::<Result<Vec<_>>>()?;
                let shown: Vec<String> =
                    items.iter().enumerate().map(|(at, item)| format!("col{}, {}", at + 1, item.name)).collect();
                let items =
                    items.into_iter().enumerate().map(|(at, item)| item.named(format!("col{}", at + 1))).collect();
                let bound = crate::spark::functions::nested::named_struct(items)?;
                Ok(bound.named(format!("named_struct({})", shown.join(", "))))
            }
            E::Struct { values, fields } if fields.is_empty() => {
                let items = values.iter().map(|item| self.expr(item, cx)).collect::<Result<Vec<_>>>()?;
                self.function_call("struct", items, cx)
            }
            E::Named { expr, name } => Ok(self.expr(expr, cx)?.named(name.value.clone())),
            E::Extract { field, expr, .. } => {
                let value = self.expr(expr, cx)?;
                let unit = field.to_string();
                let name = format!("extract({unit} FROM {})", value.name);
                let part = Bound::literal(ScalarValue::from(unit.as_str()), unit);
                Ok(self.function_call("date_part", vec![part, value], cx)?.named(name))
            }
            E::Substring { expr, substring_from, substring_for, .. } => {
                let mut arguments = vec![self.expr(expr, cx)?];
                for argument in [substring_from, substring_for].into_iter().flatten() {
                    arguments.push(self.expr(argument, cx)?);
                }
                self.function_call("substring", arguments, cx)
            }
            E::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                let value = self.expr(expr, cx)?;
                let (function, side) = match trim_where {
                    Some(ast::TrimWhereField::Leading) => ("ltrim", "LEADING"),
                    Some(ast::TrimWhereField::Trailing) => ("rtrim", "TRAILING"),
                    _ => ("trim", "BOTH"),
                };
                match trim_what {
                    Some(what) => {
                        let what = self.expr(what, cx)?;
                        let name = format!("TRIM({side} {} FROM {})", what.name, value.name);
                        Ok(self.trim(function, value, Some(what))?.named(name))
                    }
                    None => self.function_call(function, vec![value], cx),
                }
            }
            E::Position { expr, r#in } => {
                let (needle, hay) = (self.expr(expr, cx)?, self.expr(r#in, cx)?);
                let name = format!("locate({}, {}, 1)", needle.name, hay.name);
                Ok(self.function_call("position", vec![needle, hay], cx)?.named(name))
            }
            E::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut arguments =
                    vec![self.expr(expr, cx)?, self.expr(overlay_what, cx)?, self.expr(overlay_from, cx)?];
                if let Some(length) = overlay_for {
                    arguments.push(self.expr(length, cx)?);
                }
                self.function_call("overlay", arguments, cx)
            }
            E::Ceil { expr, field } | E::Floor { expr, field } => {
                let name = if matches!(ast, E::Ceil { .. }) { "ceil" } else { "floor" };
                let mut arguments = vec![self.expr(expr, cx)?];
                match field {
                    CeilFloorKind::Scale(scale) => arguments.push(self.literal(&scale.value)?),
                    CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) => {}
                    CeilFloorKind::DateTimeField(field) => return Err(unsupported(format!("{name} to {field}"))),
                }
                self.function_call(name, arguments, cx)
            }
            E::Lambda(_) => Err(spark(
                "INVALID_LAMBDA_FUNCTION_CALL.PARAMETER_DOES_NOT_ACCEPT_LAMBDA_FUNCTION",
                "a lambda function is only taken by higher-order functions",
            )),
            E::AtTimeZone { .. } => Err(unsupported("AT TIME ZONE")),
            E::JsonAccess { .. } => Err(unsupported("the path operator ':' on VARIANT and JSON text")),
            E::Collate { .. } => Err(unsupported("COLLATE")),
            other => Err(unsupported(format!("the expression {other}"))),
        }
    }

    fn is_truth(&self, inner: &ast::Expr, cx: &Cx<'_>, word: &str, make: fn(Box<Expr>) -> Expr) -> Result<Bound> {
        let inner = self.expr(inner, cx)?;
        let inner = self.implicit(inner, &DataType::Boolean, "IS")?;
        let name = match word {
            "unknown" => format!("({} IS NULL)", inner.name),
            "NOT unknown" => format!("({} IS NOT NULL)", inner.name),
            _ => match word.strip_prefix("NOT ") {
                Some(word) => format!("(NOT ({} <=> {word}))", inner.name),
                None => format!("({} <=> {word})", inner.name),
            },
        };
        Ok(Bound::new(make(Box::new(inner.expr)), DataType::Boolean, name))
    }

    /// `NOT x`.
    pub(crate) fn not(&self, inner: Bound) -> Bound {
        let name = format!("(NOT {})", inner.name);
        Bound::new(Expr::Not(Box::new(inner.expr)), DataType::Boolean, name)
    }

    /// The cast that the user wrote.
    pub(crate) fn explicit_cast(&self, inner: Bound, to: &DataType, safe: bool) -> Result<Bound> {
        let name = format!("{}({} AS {})", if safe { "TRY_CAST" } else { "CAST" }, inner.name, types::sql(to));
        let mode = if safe { Mode::Try } else { Mode::Ansi };
        // Casts to nested types leave no trace in Spark's names.
        let name = if types::is_atomic(to) { name } else { inner.name.clone() };
        Ok(self.cast_mode(inner, to, mode)?.named(name))
    }

    fn literal(&self, value: &Value) -> Result<Bound> {
        Ok(match value {
            Value::Number(text, _) => return number(text, false),
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => {
                Bound::literal(ScalarValue::Utf8(Some(text.clone())), text.clone())
            }
            Value::HexStringLiteral(hex) => {
                let padded = if hex.len() % 2 == 1 { format!("0{hex}") } else { hex.clone() };
                let bytes: Option<Vec<u8>> = (0..padded.len())
                    .step_by(2)
                    .map(|at| padded.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
                    .collect();
                let bytes = bytes.ok_or_else(|| spark("PARSE_SYNTAX_ERROR", format!("X'{hex}' is not hexadecimal")))?;
                Bound::literal(ScalarValue::Binary(Some(bytes)), format!("X'{}'", padded.to_uppercase()))
            }
            Value::Boolean(value) => Bound::literal(ScalarValue::Boolean(Some(*value)), value.to_string()),
            Value::Null => Bound::literal(ScalarValue::Null, "NULL"),
            Value::Placeholder(name) => {
                return Err(spark_hint(
                    "UNBOUND_SQL_PARAMETER",
                    format!("the parameter {name} has no value"),
                    "give it one",
                ));
            }
            other => return Err(unsupported(format!("the literal {other}"))),
        })
    }

    fn typed_literal(&self, data_type: &str, raw: &str) -> Result<Bound> {
        let word = data_type.to_ascii_uppercase();
        let invalid = |kind: &str| {
            spark("INVALID_TYPED_LITERAL", format!("the value of the typed literal \"{kind}\" is invalid: '{raw}'"))
        };
        match word.as_str() {
            "DATE" => {
                let days = parse::date(raw).ok_or_else(|| invalid("DATE"))?;
                Ok(Bound::literal(ScalarValue::Date32(Some(days)), format!("DATE '{}'", text::date(days))))
            }
            "TIMESTAMP_NTZ" => {
                let micros = parse::timestamp_ntz(raw).ok_or_else(|| invalid("TIMESTAMP_NTZ"))?;
                let name = format!("TIMESTAMP_NTZ '{}'", text::local_time(micros));
                Ok(Bound::literal(ScalarValue::TimestampMicrosecond(Some(micros), None), name))
            }
            "TIMESTAMP" | "TIMESTAMP_LTZ" => {
                let zone = self.zone();
                let micros = parse::timestamp(raw, &zone).ok_or_else(|| invalid("TIMESTAMP"))?;
                let name = format!("TIMESTAMP '{}'", text::local_time(zone.to_local(micros)));
                Ok(Bound::literal(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())), name))
            }
            other => Err(unsupported(format!("the typed literal {other}"))),
        }
    }

    fn interval(&self, interval: &ast::Interval, cx: &Cx<'_>) -> Result<Bound> {
        let value = self.expr(&interval.value, cx)?;
        let raw = match value.as_literal() {
            Some(ScalarValue::Utf8(Some(text))) => text.clone(),
            Some(_) => value.name.clone(),
            None => return Err(unsupported("an INTERVAL of an expression")),
        };
        let bad = || spark("INVALID_INTERVAL_FORMAT.UNIT_FORMAT", format!("'{raw}' is no interval"));
        let parsed = match (&interval.leading_field, &interval.last_field) {
            (Some(first), last) => {
                let first = first.to_string().to_ascii_lowercase();
                let last = last.as_ref().map_or_else(|| first.clone(), |last| last.to_string().to_ascii_lowercase());
                parse::interval(&raw, &first, &last).ok_or_else(bad)?
            }
            (None, _) => interval_words(&raw).ok_or_else(bad)?,
        };
        Ok(match parsed {
            parse::Interval::YearMonth(months) => {
                Bound::literal(ScalarValue::IntervalYearMonth(Some(months)), year_month_name(months, interval))
            }
            parse::Interval::DayTime(micros) => {
                let (shown, unit) = day_time_name(micros, interval);
                Bound::literal(ScalarValue::DurationMicrosecond(Some(micros)), format!("INTERVAL '{shown}' {unit}"))
            }
        })
    }

    fn unary(&self, op: UnaryOperator, inner: &ast::Expr, cx: &Cx<'_>) -> Result<Bound> {
        if op == UnaryOperator::Minus
            && let ast::Expr::Value(value) = inner
            && let Value::Number(text, _) = &value.value
        {
            return number(text, true);
        }
        let value = self.expr(inner, cx)?;
        match op {
            UnaryOperator::Plus => self.function_call("positive", vec![value], cx),
            UnaryOperator::Minus => {
                let name = format!("(- {})", value.name);
                Ok(arithmetic::negate(self, value)?.named(name))
            }
            UnaryOperator::Not | UnaryOperator::BangNot => {
                let value = self.implicit_boolean(value, "NOT")?;
                Ok(self.not(value))
            }
            UnaryOperator::BitwiseNot => arithmetic::bit_not(self, value),
            other => Err(unsupported(format!("the operator {other}"))),
        }
    }

    fn implicit_boolean(&self, value: Bound, call: &str) -> Result<Bound> {
        match value.ty {
            DataType::Boolean => Ok(value),
            DataType::Null | DataType::Utf8 => self.cast(value, &DataType::Boolean),
            _ if call == "NOT" => Err(unexpected_type(call, &value, "BOOLEAN")),
            _ => Err(spark_hint(
                "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES",
                format!(
                    "the operands of {call} are not all BOOLEAN: \"{}\" is \"{}\"",
                    value.name,
                    types::sql(&value.ty)
                ),
                "compare it with something",
            )),
        }
    }

    fn binary(&self, left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr, cx: &Cx<'_>) -> Result<Bound> {
        use BinaryOperator as B;
        let (left, right) = (self.expr(left, cx)?, self.expr(right, cx)?);
        let comparison = match op {
            B::Eq => Some(Operator::Eq),
            B::NotEq => Some(Operator::NotEq),
            B::Lt => Some(Operator::Lt),
            B::LtEq => Some(Operator::LtEq),
            B::Gt => Some(Operator::Gt),
            B::GtEq => Some(Operator::GtEq),
            B::Spaceship => Some(Operator::IsNotDistinctFrom),
            _ => None,
        };
        if let Some(comparison) = comparison {
            return self.compare(comparison, left, right);
        }
        match op {
            B::And | B::Or => {
                let (word, operator) = if *op == B::And { ("AND", Operator::And) } else { ("OR", Operator::Or) };
                let name = format!("({} {word} {})", left.name, right.name);
                let (left, right) = (self.implicit_boolean(left, word)?, self.implicit_boolean(right, word)?);
                Ok(Bound::new(binary(left.expr, operator, right.expr), DataType::Boolean, name))
            }
            B::Plus => arithmetic::operate(self, arithmetic::Op::Add, left, right, Mode::Ansi),
            B::Minus => arithmetic::operate(self, arithmetic::Op::Subtract, left, right, Mode::Ansi),
            B::Multiply => arithmetic::operate(self, arithmetic::Op::Multiply, left, right, Mode::Ansi),
            B::Divide => arithmetic::operate(self, arithmetic::Op::Divide, left, right, Mode::Ansi),
            B::Modulo => arithmetic::operate(self, arithmetic::Op::Modulo, left, right, Mode::Ansi),
            B::MyIntegerDivide | B::DuckIntegerDivide => {
                arithmetic::operate(self, arithmetic::Op::Div, left, right, Mode::Ansi)
            }
            B::BitwiseAnd => arithmetic::bitwise(self, arithmetic::Bit::And, left, right),
            B::BitwiseOr => arithmetic::bitwise(self, arithmetic::Bit::Or, left, right),
            B::BitwiseXor | B::PGBitwiseXor => arithmetic::bitwise(self, arithmetic::Bit::Xor, left, right),
            B::PGBitwiseShiftLeft => {
                let name = format!("({} << {})", left.name, right.name);
                Ok(self.function_call("shiftleft", vec![left, right], cx)?.named(name))
            }
            B::PGBitwiseShiftRight => {
                let name = format!("({} >> {})", left.name, right.name);
                Ok(self.function_call("shiftright", vec![left, right], cx)?.named(name))
            }
            B::StringConcat => self.function_call("concat", vec![left, right], cx),
            other => Err(unsupported(format!("the operator {other}"))),
        }
    }

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

    fn in_list(&self, value: &ast::Expr, list: &[ast::Expr], negated: bool, cx: &Cx<'_>) -> Result<Bound> {
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

    fn in_subquery(&self, value: &ast::Expr, query: &ast::Query, negated: bool, cx: &Cx<'_>) -> Result<Bound> {
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
        let (left, right) = if pairs.len() == 1 {
            pairs.remove(0)
        } else {
            let (left, right): (Vec<Bound>, Vec<Bound>) = pairs.into_iter().unzip();
            (self.function_call("struct", left, cx)?, self.function_call("struct", right, cx)?)
        };
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

    fn subquery(&self, query: &ast::Query, cx: &Cx<'_>) -> Result<(Subquery, Vec<ScopeColumn>)> {
        let scope = cx.scope;
        let rel = self.query(query, cx.env, Some(&scope))?;
        Ok((subquery_of(rel.plan), rel.columns))
    }

    fn case(
        &self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
        cx: &Cx<'_>,
    ) -> Result<Bound> {
        let operand = operand.map(|operand| self.expr(operand, cx)).transpose()?;
        let mut whens = Vec::new();
        let mut thens = Vec::new();
        let mut name = String::from("CASE");
        for ast::CaseWhen { condition, result } in conditions {
            let condition = self.expr(condition, cx)?;
            let condition = match &operand {
                Some(operand) => self.compare(Operator::Eq, operand.clone(), condition)?,
                None => match condition.ty {
                    DataType::Boolean => condition,
                    DataType::Utf8 => self.cast(condition, &DataType::Boolean)?,
                    _ => return Err(unexpected_type("CASE WHEN", &condition, "BOOLEAN")),
                },
            };
            let result = self.expr(result, cx)?;
            name.push_str(&format!(" WHEN {} THEN {}", condition.name, result.name));
            whens.push(condition);
            thens.push(result);
        }
        if let Some(otherwise) = otherwise {
            let otherwise = self.expr(otherwise, cx)?;
            name.push_str(&format!(" ELSE {}", otherwise.name));
            thens.push(otherwise);
        }
        name.push_str(" END");
        Ok(self.case_of(whens, thens)?.named(name))
    }

    /// `CASE` of bound parts: one more result than conditions when there is an ELSE.
    pub(crate) fn case_of(&self, whens: Vec<Bound>, thens: Vec<Bound>) -> Result<Bound> {
        let (mut thens, ty) = self.unify(thens, "CASE WHEN")?;
        let otherwise = if thens.len() > whens.len() { thens.pop().map(|last| Box::new(last.expr)) } else { None };
        let pairs =
            whens.into_iter().zip(thens).map(|(when, then)| (Box::new(when.expr), Box::new(then.expr))).collect();
        Ok(Bound::new(Expr::Case(Case::new(None, pairs, otherwise)), ty, "CASE"))
    }

    fn column(&self, names: &[ast::Ident], cx: &Cx<'_>) -> Result<Bound> {
        let parts: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
        if let Some((_, variable)) = cx.variables.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(parts[0])) {
            let mut value = variable.clone();
            for part in &parts[1..] {
                value = self.struct_field(value, part)?;
            }
            return Ok(value);
        }
        if let Some(found) = self.find(&parts, &cx.scope, false)? {
            return Ok(found);
        }
        if let Some((_, alias)) =
            cx.aliases.iter().rev().find(|(name, _)| name.to_lowercase() == parts[0].to_lowercase())
        {
            let mut value = alias.clone().named(parts[0]);
            for part in &parts[1..] {
                value = self.struct_field(value, part)?;
            }
            return Ok(value);
        }
        let mut scope = cx.scope.outer;
        while let Some(outer) = scope {
            if let Some(found) = self.find(&parts, outer, true)? {
                return Ok(found);
            }
            scope = outer.outer;
        }
        if let [name] = parts.as_slice()
            && let [
                "current_date" | "current_timestamp" | "current_user" | "user" | "session_user" | "current_catalog"
                | "current_database" | "current_schema" | "localtimestamp" | "current_time",
            ] = [name.to_ascii_lowercase().as_str()]
        {
            return self.function_call(&name.to_ascii_lowercase(), Vec::new(), cx);
        }
        Err(unresolved(&parts, &cx.scope))
    }

    /// A column, or a field of one: the qualifier is whatever part of the name matches one.
    fn find(&self, parts: &[&str], scope: &Scope<'_>, outer: bool) -> Result<Option<Bound>> {
        let folded: Vec<String> = parts.iter().map(|part| part.to_lowercase()).collect();
        for used in (1..=parts.len()).rev() {
            let (qualifier, name) = (&folded[..used - 1], &folded[used - 1]);
            let mut found: Vec<&ScopeColumn> = scope
                .columns
                .iter()
                .filter(|column| {
                    column.name.to_lowercase() == *name
                        && column.qualifier.ends_with(qualifier)
                        && (!column.hidden || !qualifier.is_empty())
                })
                .collect();
            found.dedup_by(|a, b| a.column == b.column);
            match found.as_slice() {
                [] => {}
                [column] => {
                    let expr = if outer {
                        let field = Arc::new(Field::new(&column.column.name, column.ty.clone(), true));
                        Expr::OuterReferenceColumn(field, column.column.clone())
                    } else {
                        Expr::Column(column.column.clone())
                    };
                    let mut value = Bound::new(expr, column.ty.clone(), parts[used - 1]);
                    for part in &parts[used..] {
                        value = self.struct_field(value, part)?;
                    }
                    return Ok(Some(value));
                }
                several => {
                    let names: Vec<String> = several
                        .iter()
                        .map(|column| {
                            column
                                .qualifier
                                .iter()
                                .chain([&column.name])
                                .map(|part| format!("`{part}`"))
                                .collect::<Vec<_>>()
                                .join(".")
                        })
                        .collect();
                    return Err(spark_hint(
                        "AMBIGUOUS_REFERENCE",
                        format!("the reference `{}` is ambiguous: it could be [{}]", parts.join("."), names.join(", ")),
                        "write the table's name before it",
                    ));
                }
            }
        }
        Ok(None)
    }

    /// `value.name`.
    pub(crate) fn struct_field(&self, value: Bound, name: &str) -> Result<Bound> {
        let lower = name.to_lowercase();
        match &value.ty {
            DataType::Struct(fields) => {
                let found: Vec<usize> = fields
                    .iter()
                    .enumerate()
                    .filter(|(_, field)| field.name().to_lowercase() == lower)
                    .map(|(at, _)| at)
                    .collect();
                let [at] = found.as_slice() else {
                    if found.len() > 1 {
                        return Err(spark(
                            "AMBIGUOUS_REFERENCE_TO_FIELDS",
                            format!("the field `{name}` is ambiguous in the struct"),
                        ));
                    }
                    let known: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name())).collect();
                    return Err(spark_hint(
                        "FIELD_NOT_FOUND",
                        format!("no such struct field `{name}`"),
                        format!("the fields are {}", known.join(", ")),
                    ));
                };
                let shown = format!("{}.{}", value.name, name);
                Ok(arithmetic::field_of(value, *at)?.named(shown))
            }
            DataType::List(element) if matches!(element.data_type(), DataType::Struct(_)) => {
                let shown = format!("{}.{}", value.name, name);
                let DataType::Struct(fields) = element.data_type() else {
                    return Err(unsupported("this field access"));
                };
                let at = fields
                    .iter()
                    .position(|field| field.name().to_lowercase() == lower)
                    .ok_or_else(|| spark("FIELD_NOT_FOUND", format!("no such struct field `{name}`")))?;
                Ok(arithmetic::field_of_elements(value, at)?.named(shown))
            }
            DataType::Map(..) => {
                let key = Bound::literal(ScalarValue::Utf8(Some(name.to_owned())), name);
                self.subscript(value, key)
            }
            other => Err(spark(
                "INVALID_EXTRACT_BASE_FIELD_TYPE",
                format!(
                    "cannot extract `{name}` from \"{}\": it is \"{}\", not a struct, array or map",
                    value.name,
                    types::sql(other)
                ),
            )),
        }
    }
}

/// The plan as an expression's subquery.
pub(crate) fn subquery_of(plan: LogicalPlan) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Spans::new() }
}

/// `left op right`.
pub(crate) fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// `1L` and `1.5D` arrive as casts of a literal that stands nowhere in the text.
fn suffixed(inner: &ast::Expr, to: &DataType) -> Result<Option<Bound>> {
    let (value, negative) = match inner {
        ast::Expr::Value(value) => (value, false),
        ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            ast::Expr::Value(value) => (value, true),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    if value.span != datafusion::sql::sqlparser::tokenizer::Span::empty() {
        return Ok(None);
    }
    let (Value::Number(text, _) | Value::SingleQuotedString(text)) = &value.value else { return Ok(None) };
    let suffix = match to {
        DataType::Int8 => "Y",
        DataType::Int16 => "S",
        DataType::Int64 => "L",
        DataType::Float32 => "F",
        DataType::Float64 => "D",
        DataType::Decimal128(..) => "BD",
        _ => return Ok(None),
    };
    let (text, negative) = match text.strip_prefix('-') {
        Some(text) => (text, true),
        None => (text.as_str(), negative),
    };
    number(&format!("{text}{suffix}"), negative).map(Some)
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
    let Bound { expr, ty, name } = value;
    Bound { expr: binary(expr, Operator::Plus, Expr::Literal(zero, None)), ty, name }
}

fn contains_map(ty: &DataType) -> bool {
    match ty {
        DataType::Map(..) => true,
        DataType::List(field) => contains_map(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| contains_map(field.data_type())),
        _ => false,
    }
}

/// `[UNRESOLVED_COLUMN.WITH_SUGGESTION]`, with the names that are there, the most alike first.
fn unresolved(parts: &[&str], scope: &Scope<'_>) -> datafusion::error::DataFusionError {
    let wanted = parts.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>().join(".");
    let message = format!("a column, variable, or function parameter with name {wanted} cannot be resolved");
    if scope.columns.is_empty() {
        return spark("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", message);
    }
    let last = parts.last().copied().unwrap_or_default().to_lowercase();
    let mut known: Vec<(usize, String)> = scope
        .columns
        .iter()
        .filter(|column| !column.hidden)
        .map(|column| (distance(&last, &column.name.to_lowercase()), format!("`{}`", column.name)))
        .collect();
    known.sort();
    known.dedup();
    let names: Vec<String> = known.into_iter().take(5).map(|(_, name)| name).collect();
    spark_hint("UNRESOLVED_COLUMN.WITH_SUGGESTION", message, format!("did you mean one of {}?", names.join(", ")))
}

/// Levenshtein's distance.
pub(crate) fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if a == *b { diagonal } else { 1 + diagonal.min(above).min(row[j]) };
            diagonal = above;
        }
    }
    row[right.len()]
}

/// A number with its suffix.
fn number(raw: &str, negative: bool) -> Result<Bound> {
    let sign = if negative { "-" } else { "" };
    let upper = raw.to_ascii_uppercase();
    let out_of_range = |kind: &str| {
        spark(
            "INVALID_NUMERIC_LITERAL_RANGE",
            format!("the numeric literal {sign}{raw} is outside the range of {kind}"),
        )
    };
    macro_rules! whole {
        ($digits:expr, $native:ty, $variant:ident, $kind:literal) => {{
            let value: $native = format!("{sign}{}", $digits).parse().map_err(|_| out_of_range($kind))?;
            return Ok(Bound::literal(ScalarValue::$variant(Some(value)), value.to_string()));
        }};
    }
    if let Some(digits) = upper.strip_suffix("BD") {
        return decimal_literal(&format!("{sign}{digits}"));
    }
    let fractional = upper.contains(['.', 'E']);
    if let Some(digits) = upper.strip_suffix('D') {
        let value: f64 = format!("{sign}{digits}").parse().map_err(|_| out_of_range("DOUBLE"))?;
        return Ok(Bound::literal(ScalarValue::Float64(Some(value)), text::double(value)));
    }
    if let Some(digits) = upper.strip_suffix('F') {
        let value: f32 = format!("{sign}{digits}").parse().map_err(|_| out_of_range("FLOAT"))?;
        return Ok(Bound::literal(ScalarValue::Float32(Some(value)), text::float(value)));
    }
    if !fractional {
        if let Some(digits) = upper.strip_suffix('L') {
            whole!(digits, i64, Int64, "BIGINT");
        }
        if let Some(digits) = upper.strip_suffix('S') {
            whole!(digits, i16, Int16, "SMALLINT");
        }
        if let Some(digits) = upper.strip_suffix('Y') {
            whole!(digits, i8, Int8, "TINYINT");
        }
        let written = format!("{sign}{upper}");
        if let Ok(value) = written.parse::<i32>() {
            return Ok(Bound::literal(ScalarValue::Int32(Some(value)), value.to_string()));
        }
        if let Ok(value) = written.parse::<i64>() {
            return Ok(Bound::literal(ScalarValue::Int64(Some(value)), value.to_string()));
        }
        return decimal_literal(&written);
    }
    if upper.contains('E') {
        let value: f64 = format!("{sign}{upper}").parse().map_err(|_| out_of_range("DOUBLE"))?;
        return Ok(Bound::literal(ScalarValue::Float64(Some(value)), text::double(value)));
    }
    decimal_literal(&format!("{sign}{upper}"))
}

fn decimal_literal(written: &str) -> Result<Bound> {
    let (mantissa, exponent) = match written.split_once('E') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().unwrap_or(0)),
        None => (written, 0),
    };
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let scale = i32::try_from(fraction).unwrap_or(38) - exponent;
    let scale = i8::try_from(scale.max(0)).unwrap_or(i8::MAX);
    let too_big = || {
        spark("NUMERIC_VALUE_OUT_OF_RANGE.WITHOUT_SUGGESTION", format!("the number {written} has more than 38 digits"))
    };
    if scale > 38 {
        return Err(too_big());
    }
    let value = parse::digits(written).and_then(|digits| digits.at_scale(38, scale)).ok_or_else(too_big)?;
    let digits = u8::try_from(value.unsigned_abs().to_string().len()).unwrap_or(38);
    let precision = digits.max(u8::try_from(scale).unwrap_or(0)).max(1);
    let name = text::decimal(value, scale);
    Ok(Bound::literal(ScalarValue::Decimal128(Some(value), precision, scale), name))
}

/// `1 year 2 months`, with or without `INTERVAL` before it.
fn interval_words(raw: &str) -> Option<parse::Interval> {
    let mut words = raw.split_whitespace().peekable();
    if words.peek().is_some_and(|word| word.eq_ignore_ascii_case("interval")) {
        words.next();
    }
    let (mut months, mut micros, mut year_month, mut day_time) = (0_i32, 0_i64, false, false);
    while let Some(amount) = words.next() {
        match parse::unit(words.next()?)? {
            Err(factor) => {
                year_month = true;
                months = months.checked_add(amount.parse::<i32>().ok()?.checked_mul(factor)?)?;
            }
            Ok(factor) => {
                day_time = true;
                micros = micros.checked_add(parse::scaled_micros(amount, factor)?)?;
            }
        }
    }
    match (year_month, day_time) {
        (true, false) => Some(parse::Interval::YearMonth(months)),
        (false, true) => Some(parse::Interval::DayTime(micros)),
        _ => None,
    }
}

fn year_month_name(months: i32, interval: &ast::Interval) -> String {
    match interval.leading_field.as_ref().map(|field| field.to_string().to_uppercase()) {
        Some(unit) if unit.starts_with("YEAR") => format!("INTERVAL '{}' YEAR", months / 12),
        Some(unit) if unit.starts_with("MONTH") => format!("INTERVAL '{months}' MONTH"),
        _ => format!("INTERVAL '{}' YEAR TO MONTH", text::year_month(months)),
    }
}

fn day_time_name(micros: i64, interval: &ast::Interval) -> (String, String) {
    let unit = |field: &ast::DateTimeField| field.to_string().to_uppercase().trim_end_matches('S').to_owned();
    let whole = |divisor: i64| (micros / divisor).to_string();
    match (&interval.leading_field, &interval.last_field) {
        (Some(first), None) => match unit(first).as_str() {
            "DAY" | "WEEK" => (whole(86_400_000_000), "DAY".into()),
            "HOUR" => (format!("{:0>2}", micros / 3_600_000_000), "HOUR".into()),
            "MINUTE" => (format!("{:0>2}", micros / 60_000_000), "MINUTE".into()),
            _ => (text::day_time(micros).split(':').next_back().unwrap_or("0").to_owned(), "SECOND".into()),
        },
        _ => (text::day_time(micros), "DAY TO SECOND".into()),
    }
}

/// The Arrow type of a type that the user wrote.
pub(crate) fn sql_type(data_type: &ast::DataType) -> Result<DataType> {
    let parsed = SqlType::from_ast(data_type).map_err(|error| {
        spark("UNSUPPORTED_DATATYPE", format!("the type {data_type} is not known: {}", error.message))
    })?;
    arrow_type(&parsed)
}

/// The Arrow type of a type of the grammar.
pub(crate) fn arrow_type(data_type: &SqlType) -> Result<DataType> {
    use crannog_lake::grammar::IntervalUnit as Unit;
    Ok(match data_type {
        SqlType::Boolean => DataType::Boolean,
        SqlType::TinyInt => DataType::Int8,
        SqlType::SmallInt => DataType::Int16,
        SqlType::Int => DataType::Int32,
        SqlType::BigInt => DataType::Int64,
        SqlType::Float => DataType::Float32,
        SqlType::Double => DataType::Float64,
        SqlType::Decimal { precision, scale } => DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(38)),
        SqlType::String | SqlType::Char(_) | SqlType::Varchar(_) => DataType::Utf8,
        SqlType::Binary => DataType::Binary,
        SqlType::Date => DataType::Date32,
        SqlType::Timestamp => types::timestamp(),
        SqlType::TimestampNtz => types::timestamp_ntz(),
        SqlType::Interval(Unit::Year | Unit::Month, _) => DataType::Interval(IntervalUnit::YearMonth),
        SqlType::Interval(..) => types::day_time(),
        SqlType::Array(element) => types::list_of(arrow_type(element)?),
        SqlType::Map(key, value) => types::map_of(arrow_type(key)?, arrow_type(value)?),
        SqlType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| Ok((field.name.clone(), arrow_type(&field.data_type)?)))
                .collect::<Result<Vec<_>>>()?;
            types::struct_of(fields)
        }
        SqlType::Variant => return Err(unsupported("the type VARIANT")),
        SqlType::Void => DataType::Null,
    })
}
