//! Expressions: each node of the tree, by kind.

use std::cell::RefCell;

use arrow::datatypes::DataType;
use crannog_lake::model::interval::Span;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::{BinaryExpr, Case, Expr, Operator};
use datafusion::sql::sqlparser::ast::{
    self, AccessExpr, BinaryOperator, CastKind, CeilFloorKind, Subscript, UnaryOperator, Value,
};

use super::aggregate::Aggregates;
use super::generate::Generators;
use super::literal::{number, suffixed};
use super::sql_type::sql_type;
use super::window::Windows;
use super::{Binder, Bound, Env, Scope, span_of, unexpected_type};
use crate::spark::casts::Mode;
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::{arithmetic, interval, types};

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

    /// Whether what stands here is a column of the result, not a condition on rows.
    pub(crate) fn is_value(&self) -> bool {
        matches!(self.clause, "SELECT" | "VALUES")
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
                let expr = match cx.is_value() {
                    true => self.existence(plan, *negated)?,
                    false => Expr::Exists(Exists::new(plan, *negated)),
                };
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
                let bound = Bound::new(Expr::ScalarSubquery(plan), column.ty.clone(), "scalarsubquery()");
                Ok(bound.spanned(column.span))
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
                let (to, span) = sql_type(data_type)?;
                if *kind == CastKind::Cast
                    && let Some(literal) = suffixed(expr, &to)?
                {
                    return Ok(literal);
                }
                let inner = self.expr(expr, cx)?;
                let safe = matches!(kind, CastKind::TryCast | CastKind::SafeCast);
                match span {
                    Some(span) => self.cast_to_interval(inner, span, safe),
                    None => self.explicit_cast(inner, &to, safe),
                }
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
                let (mut shown, mut cells) = (Vec::new(), Vec::new());
                for (at, item) in items.iter().enumerate() {
                    let (name, cell) = (member_name(item, at), self.expr(item, cx)?);
                    shown.push(format!("{name}, {}", cell.name));
                    cells.push(cell.named(name));
                }
                let bound = crate::spark::functions::nested::named_struct(cells)?;
                Ok(bound.named(format!("named_struct({})", shown.join(", "))))
            }
            E::Struct { values, fields } if fields.is_empty() => self.struct_of(values, cx),
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
            // Spark has the characters first here, and the text last in `btrim`.
            E::Trim { trim_where: None, trim_what: None, expr, trim_characters: Some(texts) } => {
                let mut arguments = vec![self.expr(expr, cx)?];
                for text in texts {
                    arguments.push(self.expr(text, cx)?);
                }
                self.function_call("trim", arguments, cx)
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

    /// `struct(a, b.c, 1 AS x, 2)`: members under their own names, or `col4`.
    pub(super) fn struct_of(&self, values: &[ast::Expr], cx: &Cx<'_>) -> Result<Bound> {
        let (mut shown, mut cells) = (Vec::new(), Vec::new());
        for (at, value) in values.iter().enumerate() {
            let cell = match value {
                ast::Expr::Named { expr, name } => {
                    let cell = self.expr(expr, cx)?;
                    shown.push(format!("{} AS {}", cell.name, name.value));
                    cell
                }
                value => {
                    let cell = self.expr(value, cx)?;
                    shown.push(match value {
                        ast::Expr::CompoundIdentifier(_) => value.to_string(),
                        _ => cell.name.clone(),
                    });
                    cell
                }
            };
            cells.push(cell.named(member_name(value, at)));
        }
        let bound = crate::spark::functions::nested::named_struct(cells)?;
        Ok(bound.named(format!("struct({})", shown.join(", "))))
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

    fn cast_to_interval(&self, inner: Bound, to: Span, safe: bool) -> Result<Bound> {
        let word = if safe { "TRY_CAST" } else { "CAST" };
        let name = format!("{word}({} AS INTERVAL {})", inner.name, to.to_string().to_uppercase());
        Ok(interval::cast_to(self, inner, to, if safe { Mode::Try } else { Mode::Ansi })?.named(name))
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
            B::Custom(shift) if shift == ">>>" => {
                let name = format!("({} >>> {})", left.name, right.name);
                Ok(self.function_call("shiftrightunsigned", vec![left, right], cx)?.named(name))
            }
            B::StringConcat => self.function_call("concat", vec![left, right], cx),
            other => Err(unsupported(format!("the operator {other}"))),
        }
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
        let span = span_of(&thens, &ty);
        let otherwise = if thens.len() > whens.len() { thens.pop().map(|last| Box::new(last.expr)) } else { None };
        let pairs =
            whens.into_iter().zip(thens).map(|(when, then)| (Box::new(when.expr), Box::new(then.expr))).collect();
        Ok(Bound::new(Expr::Case(Case::new(None, pairs, otherwise)), ty, "CASE").spanned(span))
    }
}

/// `left op right`.
pub(crate) fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// The name that a value has as a member of a struct.
fn member_name(value: &ast::Expr, at: usize) -> String {
    match value {
        ast::Expr::Identifier(name) | ast::Expr::Named { name, .. } => name.value.clone(),
        ast::Expr::CompoundIdentifier(parts) => parts.last().map_or_else(String::new, |part| part.value.clone()),
        _ => format!("col{}", at + 1),
    }
}
