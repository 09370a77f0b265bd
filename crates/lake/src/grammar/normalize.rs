//! Rewrites Spark's spellings into trees that a planner of standard SQL understands, without changing their meaning.
//!
//! | written | becomes |
//! |---|---|
//! | `1L`, `1.5D`, `1.0BD` | `CAST(1 AS BIGINT)`, `CAST('1.5' AS DOUBLE)`, `CAST('1.0' AS DECIMAL(2,1))` |
//! | `a RLIKE b` | `rlike(a, b)` |
//! | a long `a OR b OR c OR …` | the same, as a tree of little depth |
//! | `a LIKE ANY (x, y)` | `(a LIKE x OR a LIKE y)` |
//! | `INTERVAL '1-2' YEAR TO MONTH` | `INTERVAL '1 years 2 months'` |
//! | `GROUP BY a, b WITH ROLLUP` | `GROUP BY ROLLUP(a, b)` |
//! | `IDENTIFIER('c.t')` | `c.t` |
//! | `CEIL(x, 2)`, `SUBSTRING(s FROM 2)`, `POSITION(a IN b)` | plain function calls |

use sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, GroupByExpr, GroupByWithModifier, Ident, Interval, ObjectName,
    TableFactor, TableFunctionArgs, UnaryOperator, Value, ValueWithSpan,
};

use super::{
    cursor::{Result, parse_name},
    dialect::call,
    error::{SyntaxError, SyntaxErrorKind},
    strict::{Visit, refuse},
    types::DataType,
};

#[derive(Default)]
pub(super) struct Normalize {
    stored: bool,
}

impl Visit for Normalize {
    fn stored(&mut self, inside: bool) {
        self.stored = inside;
    }

    fn before_expr(&mut self, expr: &mut Expr) -> Result<()> {
        balance(expr);
        let replacement = match expr {
            Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) => suffixed_number(text, false)?,
            // -128Y is one literal: 128Y alone would be out of range.
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: operand } => match operand.as_ref() {
                Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) => suffixed_number(text, true)?,
                _ => None,
            },
            _ => None,
        };
        if let Some(replacement) = replacement {
            *expr = replacement;
        }
        Ok(())
    }

    fn expr(&mut self, expr: &mut Expr) -> Result<()> {
        if let Expr::Value(ValueWithSpan { value: Value::Placeholder(_), .. }) = expr
            && self.stored
        {
            return refuse(
                "a parameter in a text that is stored",
                "write the value itself: the text is read again without parameters",
            );
        }
        let replacement = match expr {
            Expr::RLike { negated, expr, pattern, regexp: _ } => {
                negate(*negated, call("rlike", vec![take(expr), take(pattern)]))
            }
            Expr::Like { negated, any: true, expr, pattern, escape_char } => {
                like_any(*negated, take(expr), take(pattern), |expr, pattern| Expr::Like {
                    negated: false,
                    any: false,
                    expr,
                    pattern,
                    escape_char: escape_char.clone(),
                })?
            }
            Expr::ILike { negated, any: true, expr, pattern, escape_char } => {
                like_any(*negated, take(expr), take(pattern), |expr, pattern| Expr::ILike {
                    negated: false,
                    any: false,
                    expr,
                    pattern,
                    escape_char: escape_char.clone(),
                })?
            }
            Expr::Interval(interval) => return normalize_interval(interval),
            Expr::Ceil { expr, field } => rounding("ceil", expr, field),
            Expr::Floor { expr, field } => rounding("floor", expr, field),
            Expr::Position { expr, r#in } => call("locate", vec![take(expr), take(r#in)]),
            Expr::Substring { expr, substring_from, substring_for, special: _, shorthand } => {
                let from = substring_from.as_mut().map_or_else(|| number("1"), take);
                let mut arguments = vec![take(expr), from];
                arguments.extend(substring_for.as_mut().map(take));
                call(if *shorthand { "substr" } else { "substring" }, arguments)
            }
            Expr::Function(function) => match normalize_function(function)? {
                Some(column) => column,
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        *expr = replacement;
        Ok(())
    }

    /// `FROM IDENTIFIER('c.s.t')`; with a parameter it waits for its value.
    fn table(&mut self, table: &mut TableFactor) -> Result<()> {
        let TableFactor::Table { name, args, .. } = table else {
            return Ok(());
        };
        let Some(TableFunctionArgs { args: arguments, .. }) = args else {
            return Ok(());
        };
        if !is_identifier_function(name) {
            return Ok(());
        }
        if let Some(text) = identifier_text(arguments)? {
            let parts = parse_name(&text)?.0.into_iter().map(|part| Ident::with_quote('`', part));
            *name = ObjectName::from(parts.collect::<Vec<_>>());
            *args = None;
        }
        Ok(())
    }

    fn group_by(&mut self, group_by: &mut GroupByExpr) -> Result<()> {
        let GroupByExpr::Expressions(exprs, modifiers) = group_by else {
            return Ok(());
        };
        let sets: fn(Vec<Vec<Expr>>) -> Expr = match modifiers.as_slice() {
            [GroupByWithModifier::Rollup] => Expr::Rollup,
            [GroupByWithModifier::Cube] => Expr::Cube,
            _ => return Ok(()),
        };
        modifiers.clear();
        let columns = std::mem::take(exprs).into_iter().map(|expr| vec![expr]);
        *exprs = vec![sets(columns.collect())];
        Ok(())
    }
}

/// Longer chains of one AND or OR than this become trees of little depth; shorter ones stay as they were written.
const NATURAL_CHAIN: usize = 16;

/// `a OR b OR c OR …` is a tree as deep as it is long; OR and AND are associative, so it need not be.
fn balance(expr: &mut Expr) {
    let Expr::BinaryOp { op: operator @ (BinaryOperator::And | BinaryOperator::Or), .. } = &*expr else {
        return;
    };
    let operator = operator.clone();
    let same = |expr: &Expr| matches!(expr, Expr::BinaryOp { op, .. } if *op == operator);
    let mut length = 0;
    let mut link = &*expr;
    while let Expr::BinaryOp { left, op, .. } = link
        && *op == operator
    {
        length += 1;
        link = left;
    }
    if length <= NATURAL_CHAIN {
        return;
    }
    let mut operands = Vec::with_capacity(length + 1);
    let mut rest = std::mem::replace(expr, Expr::Tuple(Vec::new()));
    while same(&rest) {
        let Expr::BinaryOp { left, right, .. } = rest else {
            break;
        };
        operands.push(*right);
        rest = *left;
    }
    operands.push(rest);
    operands.reverse();
    while operands.len() > 1 {
        let mut halved = Vec::with_capacity(operands.len().div_ceil(2));
        let mut pairs = operands.into_iter();
        while let Some(left) = pairs.next() {
            halved.push(match pairs.next() {
                Some(right) => Expr::BinaryOp { left: Box::new(left), op: operator.clone(), right: Box::new(right) },
                None => left,
            });
        }
        operands = halved;
    }
    if let Some(balanced) = operands.pop() {
        *expr = balanced;
    }
}

fn take(expr: &mut Box<Expr>) -> Expr {
    std::mem::replace(expr.as_mut(), Expr::Tuple(Vec::new()))
}

fn negate(negated: bool, expr: Expr) -> Expr {
    match negated {
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) },
        false => expr,
    }
}

fn number(digits: &str) -> Expr {
    Expr::value(Value::Number(digits.to_owned(), false))
}

pub(super) fn cast(expr: Expr, data_type: &DataType) -> Result<Expr> {
    Ok(Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: data_type.to_ast()?,
        array: false,
        format: None,
    })
}

/// The cast that a suffix stands for; `None` without a suffix.
fn suffixed_number(text: &str, negative: bool) -> Result<Option<Expr>> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = text[digits.len()..].to_ascii_uppercase();
    let signed = if negative { format!("-{digits}") } else { digits.to_owned() };
    let out_of_range = |name: &str| {
        let message = format!("number {signed}{suffix} is out of the range of {name}");
        SyntaxError::new(SyntaxErrorKind::NumberRange, message)
    };
    let whole = |low: i64, high: i64, data_type: DataType| {
        let in_range = signed.parse().is_ok_and(|value: i64| (low..=high).contains(&value));
        if !in_range {
            return Err(out_of_range(&data_type.to_string().to_uppercase()));
        }
        let literal = number(digits);
        let literal = match negative {
            true => Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(literal) },
            false => literal,
        };
        cast(literal, &data_type).map(Some)
    };
    // Through a string, so that no planner reads the digits as another type first.
    let fractional = |data_type: DataType| {
        let text = Value::SingleQuotedString(signed.clone());
        cast(Expr::value(text), &data_type).map(Some)
    };
    match suffix.as_str() {
        "L" => whole(i64::MIN, i64::MAX, DataType::BigInt),
        "S" => whole(i64::from(i16::MIN), i64::from(i16::MAX), DataType::SmallInt),
        "Y" => whole(i64::from(i8::MIN), i64::from(i8::MAX), DataType::TinyInt),
        "D" => fractional(DataType::Double),
        "F" => fractional(DataType::Float),
        "BD" => fractional(decimal_of(digits).ok_or_else(|| out_of_range("DECIMAL(38)"))?),
        _ => Ok(None),
    }
}

/// The smallest decimal type that holds the literal: `1.50` is DECIMAL(3,2), `1.5e3` DECIMAL(4,0).
fn decimal_of(digits: &str) -> Option<DataType> {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let significant = format!("{whole}{fraction}").trim_start_matches('0').len();
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let whole_digits = i32::try_from(significant).ok()?.checked_add(0.max(scale.checked_neg()?))?;
    let (precision, scale) = (whole_digits.max(scale).max(1), scale.max(0));
    let narrow = |number: i32| u8::try_from(number).ok().filter(|number| *number <= 38);
    Some(DataType::Decimal { precision: narrow(precision)?, scale: narrow(scale)? })
}

/// `a LIKE ANY (x, y)` as a chain of ORs; `like` makes one link.
fn like_any(negated: bool, operand: Expr, pattern: Expr, like: impl Fn(Box<Expr>, Box<Expr>) -> Expr) -> Result<Expr> {
    if negated {
        return refuse("NOT LIKE ANY", "write NOT (a LIKE ANY (…))");
    }
    let patterns = match pattern {
        Expr::Tuple(patterns) => patterns,
        Expr::Nested(pattern) => vec![*pattern],
        _ => Vec::new(),
    };
    let links = patterns.into_iter().map(|pattern| like(Box::new(operand.clone()), Box::new(pattern)));
    let chain = links.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::Or,
        right: Box::new(right),
    });
    match chain {
        Some(chain) => Ok(Expr::Nested(Box::new(chain))),
        None => refuse("LIKE ANY without a list of patterns", "write LIKE ANY ('a%', 'b%')"),
    }
}

fn rounding(name: &str, expr: &mut Box<Expr>, field: &CeilFloorKind) -> Expr {
    let mut arguments = vec![take(expr)];
    if let CeilFloorKind::Scale(scale) = field {
        arguments.push(Expr::Value(scale.clone()));
    }
    call(name, arguments)
}

/// Ranges of units become a string of single units; a number without a unit is an error.
fn normalize_interval(interval: &mut Interval) -> Result<()> {
    let text = match interval.value.as_ref() {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(text.clone()),
        _ => None,
    };
    let (Some(first), last) = (&interval.leading_field, &interval.last_field) else {
        return match text {
            Some(_) => Ok(()),
            None => Err(SyntaxError::syntax("INTERVAL has no unit").with_hint("write INTERVAL 1 DAY")),
        };
    };
    let Some(last) = last else {
        return Ok(());
    };
    let malformed = || {
        let written = text.clone().unwrap_or_else(|| interval.value.to_string());
        SyntaxError::syntax(format!("INTERVAL '{written}' {first} TO {last} is malformed"))
            .with_hint("write INTERVAL '1-2' YEAR TO MONTH, or INTERVAL '1 02:03:04.5' DAY TO SECOND")
    };
    let units = text.as_deref().and_then(|text| range_units(text, first, last)).ok_or_else(malformed)?;
    *interval.value = Expr::value(Value::SingleQuotedString(units));
    interval.leading_field = None;
    interval.last_field = None;
    Ok(())
}

fn range_units(text: &str, first: &DateTimeField, last: &DateTimeField) -> Option<String> {
    const DAY_TIME: [DateTimeField; 4] =
        [DateTimeField::Day, DateTimeField::Hour, DateTimeField::Minute, DateTimeField::Second];
    const DAY_TIME_NAMES: [&str; 4] = ["days", "hours", "minutes", "seconds"];
    let (sign, digits) = match text.trim().strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.trim().trim_start_matches('+')),
    };
    let (values, names): (Vec<&str>, &[&str]) = if (first, last) == (&DateTimeField::Year, &DateTimeField::Month) {
        (digits.split('-').collect(), &["years", "months"])
    } else {
        let from = DAY_TIME.iter().position(|unit| unit == first)?;
        let to = DAY_TIME.iter().position(|unit| unit == last)?;
        (digits.split([' ', ':']).collect(), DAY_TIME_NAMES.get(from..=to)?)
    };
    let is_number = |(index, value): (usize, &&str)| {
        let fraction_allowed = names.get(index) == Some(&"seconds");
        let (whole, fraction) = value.split_once('.').unwrap_or((*value, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        all_digits(whole) && all_digits(fraction) && (fraction_allowed || !value.contains('.'))
    };
    if values.len() != names.len() || !values.iter().enumerate().all(is_number) {
        return None;
    }
    let parts = values.iter().zip(names).map(|(value, name)| format!("{sign}{value} {name}"));
    Some(parts.collect::<Vec<_>>().join(" "))
}

fn is_identifier_function(name: &ObjectName) -> bool {
    matches!(name.0.as_slice(), [part] if part.as_ident().is_some_and(|word| word.quote_style.is_none() && word.value.eq_ignore_ascii_case("identifier")))
}

/// The constant text of IDENTIFIER's one argument; `None` while it has an unbound parameter.
fn identifier_text(arguments: &[FunctionArg]) -> Result<Option<String>> {
    let hint = "write IDENTIFIER('name'), IDENTIFIER(:parameter), or several of them joined by ||";
    match arguments {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] => constant_text(expr)
            .ok_or_else(|| SyntaxError::unsupported("IDENTIFIER of anything but a constant text", hint)),
        _ => refuse("IDENTIFIER of anything but one text", hint),
    }
}

/// Outer `None`: not constant. Inner `None`: a parameter without a value yet.
fn constant_text(expr: &Expr) -> Option<Option<String>> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(Some(text.clone())),
        Expr::Value(ValueWithSpan { value: Value::Placeholder(_), .. }) => Some(None),
        Expr::Nested(expr) => constant_text(expr),
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
            let (left, right) = (constant_text(left)?, constant_text(right)?);
            Some(left.zip(right).map(|(left, right)| left + &right))
        }
        _ => None,
    }
}

/// `IDENTIFIER('t.c')` as an expression names a column, which is returned; any other call is changed in place.
fn normalize_function(function: &mut Function) -> Result<Option<Expr>> {
    let FunctionArguments::List(list) = &mut function.args else {
        return Ok(None);
    };
    if is_identifier_function(&function.name) {
        let Some(text) = identifier_text(&list.args)? else {
            return Ok(None);
        };
        let parts = parse_name(&text)?.0.into_iter().map(|part| Ident::with_quote('`', part));
        let mut parts: Vec<_> = parts.collect();
        return Ok(Some(match parts.len() {
            1 => Expr::Identifier(parts.remove(0)),
            _ => Expr::CompoundIdentifier(parts),
        }));
    }
    // f(x IGNORE NULLS) and f(x) IGNORE NULLS are the same.
    list.clauses.retain(|clause| match clause {
        FunctionArgumentClause::IgnoreOrRespectNulls(treatment) if function.null_treatment.is_none() => {
            function.null_treatment = Some(*treatment);
            false
        }
        _ => true,
    });
    match list.clauses.is_empty() {
        true => Ok(None),
        false => refuse("IGNORE NULLS given twice", "write it once"),
    }
}
