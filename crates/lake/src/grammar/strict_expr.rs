//! The strict walk's second half: expressions, function calls, windows. See `strict`.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DateTimeField, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgOperator, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Interval,
    LambdaFunction, LambdaFunctionParameter, LambdaSyntax, OneOrManyWithParens, Spanned, Subscript, TypedString,
    UnaryOperator, Value, ValueWithSpan, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use super::{
    cursor::Result,
    dialect::UNSIGNED_SHIFT,
    error::SyntaxError,
    strict::{Strict, absent, check_name, refuse},
    types::DataType,
};

impl Strict<'_> {
    pub(super) fn expr(&mut self, expr: &mut Expr) -> Result<()> {
        self.visited(expr).map_err(|error| at_expr(error, expr))
    }

    fn visited(&mut self, expr: &mut Expr) -> Result<()> {
        self.visit.before_expr(expr)?;
        self.deeper(|walk| walk.expr_parts(expr))?;
        self.visit.expr(expr)
    }

    fn pair(&mut self, left: &mut Expr, right: &mut Expr) -> Result<()> {
        self.expr(left)?;
        self.expr(right)
    }

    /// The common kinds; the rest is in `rarer_parts`, to keep this frame of the recursion small.
    fn expr_parts(&mut self, expr: &mut Expr) -> Result<()> {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Ok(()),
            Expr::Value(value) => literal(value),
            Expr::BinaryOp { left, op, right } => {
                binary_operator(op)?;
                self.pair(left, right)
            }
            Expr::UnaryOp { op, expr } => {
                unary_operator(op)?;
                self.expr(expr)
            }
            Expr::Nested(expr)
            | Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr)
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsNull(expr)
            | Expr::IsNotNull(expr)
            | Expr::IsUnknown(expr)
            | Expr::IsNotUnknown(expr) => self.expr(expr),
            Expr::Function(function) => self.function(function),
            other => self.rarer_parts(other),
        }
    }

    #[inline(never)]
    fn rarer_parts(&mut self, expr: &mut Expr) -> Result<()> {
        match expr {
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.expr(root)?;
                access_chain.iter_mut().try_for_each(|access| self.access(access))
            }
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => self.pair(left, right),
            Expr::InList { expr, list, negated: _ } => {
                self.expr(expr)?;
                self.exprs(list)
            }
            Expr::InSubquery { expr, subquery, negated: _ } => {
                self.expr(expr)?;
                self.query(subquery)
            }
            Expr::Between { expr, negated: _, low, high } => {
                self.expr(expr)?;
                self.pair(low, high)
            }
            Expr::Like { negated: _, any: _, expr, pattern, escape_char }
            | Expr::ILike { negated: _, any: _, expr, pattern, escape_char } => {
                self.pair(expr, pattern)?;
                match escape_char.as_ref().map(|escape| &escape.value) {
                    None | Some(Value::SingleQuotedString(_)) => Ok(()),
                    Some(_) => refuse("ESCAPE with anything but a string", "write one character in quotation marks"),
                }
            }
            Expr::RLike { negated: _, expr, pattern, regexp: _ } => self.pair(expr, pattern),
            Expr::Cast { kind, expr, data_type, array, format } => {
                absent(matches!(kind, CastKind::SafeCast), "SAFE_CAST", "write TRY_CAST")?;
                absent(*array, "ARRAY in CAST", "cast to ARRAY<type>")?;
                absent(format.is_some(), "FORMAT in CAST", "use to_date, to_timestamp or date_format")?;
                *data_type = DataType::from_ast(data_type)?.to_ast()?;
                self.expr(expr)
            }
            Expr::Extract { field: _, syntax: _, expr } => self.expr(expr),
            Expr::Ceil { expr, field } | Expr::Floor { expr, field } => {
                match field {
                    CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => {}
                    CeilFloorKind::Scale(scale) => literal(scale)?,
                    CeilFloorKind::DateTimeField(_) => {
                        return refuse("CEIL or FLOOR to a unit of time", "use date_trunc('unit', value)");
                    }
                }
                self.expr(expr)
            }
            Expr::Position { expr, r#in } => self.pair(expr, r#in),
            Expr::Substring { expr, substring_from, substring_for, special: _, shorthand: _ } => {
                self.expr(expr)?;
                self.boxed(substring_from)?;
                self.boxed(substring_for)
            }
            Expr::Trim { trim_where: _, trim_what, expr, trim_characters } => {
                let texts = trim_characters.as_mut().map_or(&mut [][..], Vec::as_mut_slice);
                absent(texts.len() > 1, "TRIM of three arguments", "write TRIM(BOTH characters FROM text)")?;
                self.boxed(trim_what)?;
                texts.iter_mut().try_for_each(|text| self.expr(text))?;
                self.expr(expr)
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.expr(expr)?;
                self.pair(overlay_what, overlay_from)?;
                self.boxed(overlay_for)
            }
            Expr::TypedString(typed) => typed_string(typed),
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                self.boxed(operand)?;
                for CaseWhen { condition, result } in conditions {
                    self.pair(condition, result)?;
                }
                self.boxed(else_result)
            }
            Expr::Exists { subquery, negated: _ } | Expr::Subquery(subquery) => self.query(subquery),
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                sets.iter_mut().try_for_each(|set| self.exprs(set))
            }
            Expr::Tuple(parts) => self.exprs(parts),
            Expr::Struct { values, fields } if fields.is_empty() => {
                values.iter_mut().try_for_each(|value| match value {
                    Expr::Named { expr, name: _ } => self.expr(expr),
                    value => self.expr(value),
                })
            }
            Expr::Interval(interval) => self.interval(interval),
            Expr::Lambda(lambda) => self.lambda(lambda),
            other => refused(other),
        }
    }

    fn boxed(&mut self, expr: &mut Option<Box<Expr>>) -> Result<()> {
        expr.as_mut().map_or(Ok(()), |expr| self.expr(expr))
    }

    fn access(&mut self, access: &mut AccessExpr) -> Result<()> {
        match access {
            AccessExpr::Dot(expr) | AccessExpr::Subscript(Subscript::Index { index: expr }) => self.expr(expr),
            AccessExpr::Subscript(Subscript::Slice { lower_bound: _, upper_bound: _, stride: _ }) => {
                refuse("a slice [a:b]", "use slice(array, start, length)")
            }
        }
    }

    fn interval(&mut self, interval: &mut Interval) -> Result<()> {
        let Interval { value, leading_field: _, leading_precision, last_field: _, fractional_seconds_precision } =
            interval;
        let precision = leading_precision.is_some() || fractional_seconds_precision.is_some();
        absent(precision, "a precision in INTERVAL", "leave it out")?;
        self.expr(value)
    }

    fn lambda(&mut self, lambda: &mut LambdaFunction) -> Result<()> {
        let LambdaFunction { params, body, syntax } = lambda;
        absent(matches!(syntax, LambdaSyntax::LambdaKeyword), "LAMBDA", "write x -> expression")?;
        let params = match params {
            OneOrManyWithParens::One(param) => std::slice::from_ref(param),
            OneOrManyWithParens::Many(params) => params.as_slice(),
        };
        for LambdaFunctionParameter { name: _, data_type } in params {
            absent(data_type.is_some(), "a type in a lambda's parameters", "leave it out")?;
        }
        self.expr(body)
    }

    fn function(&mut self, function: &mut Function) -> Result<()> {
        let Function { name, uses_odbc_syntax, parameters, args, filter, null_treatment: _, over, within_group } =
            function;
        check_name(name)?;
        absent(*uses_odbc_syntax, "{fn …}", "write the function without braces")?;
        absent(
            !matches!(parameters, FunctionArguments::None),
            "a second list of parameters",
            "pass all arguments in one list",
        )?;
        match args {
            FunctionArguments::None => {}
            FunctionArguments::Subquery(_) => {
                return refuse("a query as the arguments of a function", "put it into parentheses of its own");
            }
            FunctionArguments::List(FunctionArgumentList { duplicate_treatment: _, args, clauses }) => {
                args.iter_mut().try_for_each(|arg| self.function_arg(arg))?;
                clauses.iter().try_for_each(argument_clause)?;
            }
        }
        self.boxed(filter)?;
        self.order_by_exprs(within_group)?;
        match over {
            None | Some(WindowType::NamedWindow(_)) => Ok(()),
            Some(WindowType::WindowSpec(spec)) => self.window_spec(spec),
        }
    }

    pub(super) fn function_arg(&mut self, arg: &mut FunctionArg) -> Result<()> {
        let arg = match arg {
            FunctionArg::Unnamed(arg) => arg,
            FunctionArg::Named { name: _, arg, operator } => {
                absent(
                    !matches!(operator, FunctionArgOperator::RightArrow),
                    "a named argument without =>",
                    "write name => value",
                )?;
                arg
            }
            FunctionArg::ExprNamed { name: _, arg: _, operator: _ } => {
                return refuse("an argument named by an expression", "write name => value");
            }
        };
        match arg {
            FunctionArgExpr::Expr(expr) => self.expr(expr),
            FunctionArgExpr::Wildcard | FunctionArgExpr::QualifiedWildcard(_) => Ok(()),
            FunctionArgExpr::WildcardWithOptions(_) => refuse("* EXCEPT as an argument", "name the columns"),
        }
    }

    pub(super) fn window_spec(&mut self, spec: &mut WindowSpec) -> Result<()> {
        let WindowSpec { window_name: _, partition_by, order_by, window_frame } = spec;
        self.exprs(partition_by)?;
        self.order_by_exprs(order_by)?;
        let Some(WindowFrame { units, start_bound, end_bound }) = window_frame else {
            return Ok(());
        };
        absent(matches!(units, WindowFrameUnits::Groups), "GROUPS in a window", "write ROWS or RANGE")?;
        self.bound(start_bound)?;
        end_bound.as_mut().map_or(Ok(()), |bound| self.bound(bound))
    }

    fn bound(&mut self, bound: &mut WindowFrameBound) -> Result<()> {
        match bound {
            WindowFrameBound::CurrentRow => Ok(()),
            WindowFrameBound::Preceding(distance) | WindowFrameBound::Following(distance) => self.boxed(distance),
        }
    }
}

/// The innermost expression with a known place is where the error is.
fn at_expr(error: SyntaxError, expr: &Expr) -> SyntaxError {
    match error.line {
        0 => {
            let start = expr.span().start;
            error.at(start.line, start.column)
        }
        _ => error,
    }
}

fn argument_clause(clause: &FunctionArgumentClause) -> Result<()> {
    match clause {
        FunctionArgumentClause::IgnoreOrRespectNulls(_) => Ok(()),
        FunctionArgumentClause::OrderBy(_) => {
            refuse("ORDER BY in a function's arguments", "write WITHIN GROUP (ORDER BY …), or sort_array(…)")
        }
        FunctionArgumentClause::Limit(_) => refuse("LIMIT in a function's arguments", "use slice(array, 1, n)"),
        FunctionArgumentClause::OnOverflow(_) => refuse("ON OVERFLOW", "leave it out"),
        FunctionArgumentClause::Having(_) => refuse("HAVING in a function's arguments", "use max_by or min_by"),
        FunctionArgumentClause::Separator(_) => refuse("SEPARATOR", "write listagg(text, separator)"),
        FunctionArgumentClause::JsonNullClause(_) | FunctionArgumentClause::JsonReturningClause(_) => {
            refuse("a JSON clause in a function's arguments", "use to_json(struct(…))")
        }
    }
}

fn typed_string(typed: &mut TypedString) -> Result<()> {
    let TypedString { data_type, value, uses_odbc_syntax } = typed;
    absent(*uses_odbc_syntax, "{d …} and {ts …}", "write DATE '…' or TIMESTAMP '…'")?;
    literal(value)?;
    let known = DataType::from_ast(data_type)?;
    if !matches!(known, DataType::Date | DataType::Timestamp | DataType::TimestampNtz) {
        return refuse(&format!("{data_type} before a string"), "write CAST('…' AS type)");
    }
    *data_type = known.to_ast()?;
    Ok(())
}

fn literal(value: &ValueWithSpan) -> Result<()> {
    let ValueWithSpan { value, span: _ } = value;
    match value {
        Value::Number(..)
        | Value::SingleQuotedString(_)
        | Value::HexStringLiteral(_)
        | Value::Boolean(_)
        | Value::Null
        | Value::Placeholder(_) => Ok(()),
        other => refuse(&format!("the literal {other}"), "write a string, a number, TRUE, FALSE, NULL or X'…'"),
    }
}

fn binary_operator(operator: &BinaryOperator) -> Result<()> {
    use BinaryOperator as Op;
    match operator {
        Op::Plus
        | Op::Minus
        | Op::Multiply
        | Op::Divide
        | Op::Modulo
        | Op::StringConcat
        | Op::Gt
        | Op::Lt
        | Op::GtEq
        | Op::LtEq
        | Op::Spaceship
        | Op::Eq
        | Op::NotEq
        | Op::And
        | Op::Or
        | Op::BitwiseOr
        | Op::BitwiseAnd
        | Op::BitwiseXor
        | Op::PGBitwiseShiftLeft
        | Op::PGBitwiseShiftRight => Ok(()),
        Op::Custom(operator) if operator == UNSIGNED_SHIFT => Ok(()),
        other => refuse(&format!("operator {other}"), "use a function of Spark SQL"),
    }
}

fn unary_operator(operator: &UnaryOperator) -> Result<()> {
    use UnaryOperator as Op;
    match operator {
        Op::Plus | Op::Minus | Op::Not | Op::BitwiseNot => Ok(()),
        other => refuse(&format!("operator {other}"), "use a function of Spark SQL"),
    }
}

/// The kinds of expressions that are not executed. Listed one by one: a new kind must not compile.
fn refused(expr: &Expr) -> Result<()> {
    let (what, hint) = match expr {
        Expr::JsonAccess { value: _, path: _ } => {
            ("a path with a colon (column:field)", "use get_json_object(column, '$.field')")
        }
        Expr::IsNormalized { .. } => ("IS NORMALIZED", "leave it out"),
        Expr::InUnnest { .. } => ("IN UNNEST", "use array_contains(array, value)"),
        Expr::SimilarTo { .. } => ("SIMILAR TO", "write RLIKE"),
        Expr::AnyOp { .. } => ("a comparison with ANY or SOME", "write IN or EXISTS"),
        Expr::AllOp { .. } => {
            let error = SyntaxError::syntax("syntax error at or near 'ALL': expected an expression");
            return Err(error.with_hint("compare with max(…) or min(…)"));
        }
        Expr::Convert { .. } => ("CONVERT", "write CAST"),
        Expr::AtTimeZone { .. } => ("AT TIME ZONE", "use from_utc_timestamp or convert_timezone"),
        Expr::Collate { .. } => ("COLLATE", "compare with lower(…)"),
        Expr::Prefixed { .. } => ("a prefixed literal", "write a plain literal"),
        Expr::Struct { .. } => ("a typed STRUCT literal", "use named_struct('name', value)"),
        Expr::Named { .. } => ("a name inside STRUCT", "use named_struct('name', value)"),
        Expr::Dictionary(_) => ("{key: value}", "use map(key, value)"),
        Expr::Map(_) => ("MAP {key: value}", "use map(key, value)"),
        Expr::Array(_) => ("[…] as an array", "use array(…)"),
        Expr::MatchAgainst { .. } => ("MATCH … AGAINST", "use contains or RLIKE"),
        Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => ("* as an expression", "name the columns"),
        Expr::OuterJoin(_) => ("(+)", "write LEFT JOIN"),
        Expr::Prior(_) => ("PRIOR", "write WITH RECURSIVE"),
        Expr::MemberOf(_) => ("MEMBER OF", "use array_contains(array, value)"),
        // Walked by `expr_parts` and `rarer_parts`.
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Value(_)
        | Expr::BinaryOp { .. }
        | Expr::UnaryOp { .. }
        | Expr::Nested(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::Function(_)
        | Expr::CompoundFieldAccess { .. }
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::RLike { .. }
        | Expr::Cast { .. }
        | Expr::Extract { .. }
        | Expr::Ceil { .. }
        | Expr::Floor { .. }
        | Expr::Position { .. }
        | Expr::Substring { .. }
        | Expr::Trim { .. }
        | Expr::Overlay { .. }
        | Expr::TypedString(_)
        | Expr::Case { .. }
        | Expr::Exists { .. }
        | Expr::Subquery(_)
        | Expr::GroupingSets(_)
        | Expr::Cube(_)
        | Expr::Rollup(_)
        | Expr::Tuple(_)
        | Expr::Interval(_)
        | Expr::Lambda(_) => {
            return Err(SyntaxError::syntax(format!("expression {expr} was not checked")));
        }
    };
    refuse(what, hint)
}
