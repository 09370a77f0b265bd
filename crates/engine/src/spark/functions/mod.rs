//! Scalar functions by name.
//!
//! Each file takes the names that it knows and binds them by hand, with Spark's implicit casts, result type and text. What
//! none of them knows is looked up among the functions of `datafusion-spark`, of which only those listed are used: the
//! ones whose answers were found to be Spark's.

pub(crate) mod arrays;
mod calendar;
pub(crate) mod conditional;
pub(crate) mod csv;
pub(crate) mod dates;
pub(crate) mod encode;
pub(crate) mod formats;
pub(crate) mod hashes;
mod intervals;
pub(crate) mod json;
pub(crate) mod like;
pub(crate) mod lists;
pub(crate) mod maps;
pub(crate) mod math;
pub(crate) mod nested;
pub(crate) mod pattern;
pub(crate) mod printf;
mod random;
pub(crate) mod regexes;
pub(crate) mod room;
pub(crate) mod rows;
pub(crate) mod sequence;
pub(crate) mod strings;
mod texts;
mod units;
pub(crate) mod urls;

use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{Expr, ReturnFieldArgs, ScalarUDF};

use super::error::Result;
use super::types;
use crate::bind::calls::unresolved_routine;
use crate::bind::expr::Cx;
use crate::bind::{Binder, Bound, span_of};

/// The arguments of a call.
pub(crate) struct Call<'a> {
    pub(crate) name: &'a str,
    pub(crate) args: Vec<Bound>,
}

impl Call<'_> {
    /// `name(a, b)`, as Spark calls the result.
    pub(crate) fn text(&self) -> String {
        let shown: Vec<&str> = self.args.iter().map(|arg| arg.name.as_str()).collect();
        format!("{}({})", self.name, shown.join(", "))
    }

    /// `name` in capitals, for the functions that Spark shows so.
    pub(crate) fn arity(&self, low: usize, high: usize) -> Result<()> {
        crate::bind::calls::arity(self.name, self.args.len(), low, high)
    }
}

impl Binder {
    /// A call of a scalar function with bound arguments.
    pub(crate) fn function_call(&self, name: &str, args: Vec<Bound>, _: &Cx<'_>) -> Result<Bound> {
        let intervals: Vec<Bound> = args.iter().filter(|arg| arg.span().is_some()).cloned().collect();
        let bound = self.scalar_call(name, args)?;
        // What gives one of its arguments, or adds two, has their units.
        let span = span_of(&intervals, &bound.ty);
        Ok(bound.or_spanned(span))
    }

    fn scalar_call(&self, name: &str, args: Vec<Bound>) -> Result<Bound> {
        let mut call = Call { name, args };
        if let Some(bound) = conditional::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = nested::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = arrays::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = maps::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = json::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = printf::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = hashes::call(&mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = regexes::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = encode::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = strings::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = math::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = dates::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = formats::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = csv::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = random::call(self, &mut call)? {
            return Ok(bound);
        }
        if let Some(bound) = urls::call(self, &mut call)? {
            return Ok(bound);
        }
        Err(unresolved_routine(name))
    }

    /// A function of DataFusion's, with the casts that it asks for.
    pub(crate) fn native(&self, udf: Arc<ScalarUDF>, args: Vec<Bound>, name: String) -> Result<Bound> {
        let fields: Vec<FieldRef> =
            args.iter().map(|arg| Arc::new(Field::new("x", arg.ty.clone(), true)) as FieldRef).collect();
        let coerced = fields_with_udf(&fields, udf.as_ref())?;
        let mut exprs: Vec<Expr> = Vec::new();
        let mut literals: Vec<Option<ScalarValue>> = Vec::new();
        for (arg, field) in args.into_iter().zip(&coerced) {
            let cast = if arg.ty == *field.data_type() {
                arg
            } else if types::normal(field.data_type()) == *field.data_type() {
                self.cast(arg, field.data_type())?
            } else {
                let expr =
                    Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(arg.expr), field.data_type().clone()));
                Bound::new(expr, field.data_type().clone(), arg.name)
            };
            literals.push(cast.as_literal().cloned());
            exprs.push(cast.expr);
        }
        let scalars: Vec<Option<&ScalarValue>> = literals.iter().map(Option::as_ref).collect();
        let field = udf.return_field_from_args(ReturnFieldArgs { arg_fields: &coerced, scalar_arguments: &scalars })?;
        let expr = Expr::ScalarFunction(datafusion::logical_expr::expr::ScalarFunction::new_udf(udf, exprs));
        let ty = types::normal(field.data_type());
        let expr = if ty == *field.data_type() {
            expr
        } else {
            Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(expr), ty.clone()))
        };
        Ok(Bound::new(expr, ty, name))
    }

    /// `trim`, `ltrim`, `rtrim` of certain characters.
    pub(crate) fn trim(&self, function: &str, value: Bound, what: Option<Bound>) -> Result<Bound> {
        strings::trim(self, function, value, what)
    }
}
