//! One scalar function of DataFusion's per bound call.
//!
//! The binder knows every type and every literal when it meets a call, so a function is a closure over Arrow arrays with
//! its result type fixed, not a table of signatures. Two calls are the same function when name, key and type are equal:
//! the key must therefore hold everything that the closure captured (time zone, pattern …).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::error::Result;
use super::functions::room::repeatable;
use crate::crews::wanted;

/// From arrays of equal length to an array of that length. The second argument is the number of rows.
pub(crate) type Body = Arc<dyn Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync>;

struct Kernel {
    name: String,
    key: String,
    returns: DataType,
    signature: Signature,
    body: Body,
    total: bool,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.key == other.key && self.returns == other.returns
    }
}
impl Eq for Kernel {}

impl Hash for Kernel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.key.hash(state);
        self.returns.hash(state);
    }
}

impl ScalarUDFImpl for Kernel {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(&self.name, self.returns.clone(), true)))
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arguments.to_vec())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        wanted()?;
        let scalar = self.signature.volatility == Volatility::Immutable
            && args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        for argument in &args.args {
            if let ColumnarValue::Scalar(value) = argument {
                repeatable(value, rows)?;
            }
        }
        let arrays = args.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let out = (self.body)(&arrays, rows)?;
        if scalar {
            let value = ScalarValue::try_from_array(&out, 0)?;
            // DataFusion lays it out for each row.
            repeatable(&value, args.number_rows)?;
            Ok(ColumnarValue::Scalar(value))
        } else {
            Ok(ColumnarValue::Array(out))
        }
    }
}

/// Functions that give a value for every row, whatever is in it: a condition right of them needs no care, and they need
/// none right of a condition.
const TOTAL: &[&str] = &[
    "array",
    "ascii",
    "bit_length",
    "btrim",
    "char_length",
    "character_length",
    "concat",
    "concat_ws",
    "constant",
    "contains",
    "date_part",
    "day",
    "dayofmonth",
    "dayofweek",
    "dayofyear",
    "endswith",
    "field",
    "fields",
    "greatest",
    "grouping_bits",
    "hash",
    "hour",
    "hex",
    "initcap",
    "instr",
    "last_day",
    "lcase",
    "least",
    "left",
    "len",
    "length",
    "levenshtein",
    "locate",
    "logical_names",
    "lower",
    "ltrim",
    "map_contains_key",
    "map_value",
    "minute",
    "month",
    "months",
    "octet_length",
    "or_empty",
    "position",
    "quarter",
    "replace",
    "reverse",
    "right",
    "rand",
    "randn",
    "random",
    "rtrim",
    "second",
    "seconds",
    "soundex",
    "startswith",
    "struct",
    "substr",
    "substring",
    "substring_index",
    "translate",
    "trim",
    "ucase",
    "upper",
    "uuid",
    "week",
    "weekday",
    "weekofyear",
    "xxhash64",
    "year",
    "yearofweek",
];

/// The same, of functions that are not ours.
const TOTAL_ELSEWHERE: &[&str] = &["crc32", "md5", "sha1", "sha2"];

/// Whether a call can fail on some row.
pub(crate) fn may_fail(function: &ScalarUDF) -> bool {
    let inner: &dyn std::any::Any = function.inner().as_ref();
    match inner.downcast_ref::<Kernel>() {
        Some(kernel) => !kernel.total,
        None => !TOTAL_ELSEWHERE.contains(&function.name()),
    }
}

fn build(name: &str, key: String, returns: DataType, volatility: Volatility, args: Vec<Expr>, body: Body) -> Expr {
    let total = TOTAL.contains(&name);
    built(total, name, key, returns, volatility, args, body)
}

fn built(
    total: bool,
    name: &str,
    key: String,
    returns: DataType,
    volatility: Volatility,
    args: Vec<Expr>,
    body: Body,
) -> Expr {
    let signature = if args.is_empty() { Signature::nullary(volatility) } else { Signature::user_defined(volatility) };
    let kernel = Kernel { name: name.to_owned(), key, returns, signature, body, total };
    Expr::ScalarFunction(datafusion::logical_expr::expr::ScalarFunction::new_udf(
        Arc::new(ScalarUDF::from(kernel)),
        args,
    ))
}

/// A call of a pure function.
pub(crate) fn pure<F>(name: &str, key: impl Into<String>, returns: DataType, args: Vec<Expr>, body: F) -> Expr
where
    F: Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync + 'static,
{
    build(name, key.into(), returns, Volatility::Immutable, args, Arc::new(body))
}

/// A call of a pure function. `total`: with these arguments it gives a value for every row.
pub(crate) fn pure_if<F>(
    total: bool,
    name: &str,
    key: impl Into<String>,
    returns: DataType,
    args: Vec<Expr>,
    body: F,
) -> Expr
where
    F: Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync + 'static,
{
    let total = total || TOTAL.contains(&name);
    built(total, name, key.into(), returns, Volatility::Immutable, args, Arc::new(body))
}

/// A cast. `total`: it gives a value for every row.
pub(crate) fn cast<F>(total: bool, name: &str, key: String, returns: DataType, value: Expr, body: F) -> Expr
where
    F: Fn(&ArrayRef) -> Result<ArrayRef> + Send + Sync + 'static,
{
    let body = Arc::new(move |columns: &[ArrayRef], _: usize| body(&columns[0]));
    built(total, name, key, returns, Volatility::Immutable, vec![value], body)
}

/// A call whose result differs from row to row (`rand`, `uuid`), or that must not run while planning (`raise_error`).
pub(crate) fn volatile<F>(name: &str, key: impl Into<String>, returns: DataType, args: Vec<Expr>, body: F) -> Expr
where
    F: Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync + 'static,
{
    build(name, key.into(), returns, Volatility::Volatile, args, Arc::new(body))
}

/// The longest literal that may stand in a plan, in bytes: DataFusion lays a literal out for each row of a batch.
const LONGEST_LITERAL: usize = 32 << 10;

/// The literal as a call that gives it, if it is so long that DataFusion must not lay it out unchecked.
pub(crate) fn guarded(value: &ScalarValue) -> Option<Expr> {
    if value.data_type().is_primitive() || value.size() <= LONGEST_LITERAL {
        return None;
    }
    let (kept, ty) = (value.clone(), value.data_type());
    let key = format!("{:p}", Arc::new(()));
    Some(volatile("constant", key, ty, Vec::new(), move |_, rows| {
        repeatable(&kept, rows)?;
        kept.to_array_of_size(rows)
    }))
}
