//! Aggregate functions that need all rows of their group: percentiles, `mode`, `listagg`, moments.
//!
//! Such a function keeps the arrays that it was given and computes once at the end. What it keeps counts against the
//! query's memory; there is no spilling below one group.

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, UInt32Array, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortColumn, SortOptions, concat, lexsort_to_indices, take};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility};

use super::error::{Result, spark, spark_hint, unsupported};
use super::functions::room::Room;
use super::{kernel, text, types};
use crate::bind::{Binder, Bound, unexpected_type};

type Body = Arc<dyn Fn(&[ArrayRef]) -> Result<ScalarValue> + Send + Sync>;

struct Gather {
    name: String,
    key: String,
    returns: DataType,
    signature: Signature,
    body: Body,
}

impl fmt::Debug for Gather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Gather {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.key == other.key && self.returns == other.returns
    }
}
impl Eq for Gather {}

impl Hash for Gather {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.key.hash(state);
    }
}

impl AggregateUDFImpl for Gather {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types = args.expr_fields.iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        Ok(Box::new(Gathered { kept: types.iter().map(|_| Vec::new()).collect(), types, body: Arc::clone(&self.body) }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(args
            .input_fields
            .iter()
            .enumerate()
            .map(|(at, field)| {
                Arc::new(Field::new(format!("{}[{at}]", args.name), types::list_of(field.data_type().clone()), true))
            })
            .collect())
    }

    fn order_sensitivity(&self) -> datafusion::logical_expr::utils::AggregateOrderSensitivity {
        datafusion::logical_expr::utils::AggregateOrderSensitivity::Insensitive
    }
}

struct Gathered {
    types: Vec<DataType>,
    kept: Vec<Vec<ArrayRef>>,
    body: Body,
}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gathered")
    }
}

impl Gathered {
    fn columns(&self) -> Result<Vec<ArrayRef>> {
        self.kept
            .iter()
            .zip(&self.types)
            .map(|(parts, ty)| {
                if parts.is_empty() {
                    return Ok(new_empty_array(ty));
                }
                let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
                Ok(concat(&parts)?)
            })
            .collect()
    }
}

impl Accumulator for Gathered {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for (kept, value) in self.kept.iter_mut().zip(values) {
            kept.push(Arc::clone(value));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        (self.body)(&self.columns()?)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.kept.iter().flatten().map(|array| array.get_array_memory_size()).sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.columns()?
            .into_iter()
            .map(|column| {
                let field = Arc::new(Field::new("element", column.data_type().clone(), true));
                let list = ListArray::try_new(field, OffsetBuffer::from_lengths([column.len()]), column, None)?;
                Ok(ScalarValue::List(Arc::new(list)))
            })
            .collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for (kept, state) in self.kept.iter_mut().zip(states) {
            let lists = state.as_list::<i32>();
            for row in 0..lists.len() {
                if lists.is_valid(row) {
                    kept.push(lists.value(row));
                }
            }
        }
        Ok(())
    }
}

fn gather<F>(name: &str, key: impl Into<String>, returns: DataType, body: F) -> Arc<AggregateUDF>
where
    F: Fn(&[ArrayRef]) -> Result<ScalarValue> + Send + Sync + 'static,
{
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(AggregateUDF::from(Gather {
        name: name.to_owned(),
        key: key.into(),
        returns,
        signature,
        body: Arc::new(body),
    }))
}

/// A function to register, its arguments and its result.
pub(crate) struct Plan {
    pub(crate) udf: Arc<AggregateUDF>,
    pub(crate) args: Vec<Expr>,
    pub(crate) ty: DataType,
    pub(crate) name: String,
}

/// `collect_list` and `collect_set`: no NULLs, and an empty list for no rows.
pub(crate) fn collected(
    binder: &Binder,
    arg: &Bound,
    distinct: bool,
    register: impl FnOnce(Arc<AggregateUDF>, Vec<Expr>) -> Result<Expr>,
) -> Result<Expr> {
    let _ = (binder, distinct);
    let column = register(array_agg_udaf(), vec![arg.expr.clone()])?;
    let ty = types::list_of(arg.ty.clone());
    let element = Arc::new(Field::new("element", arg.ty.clone(), true));
    Ok(kernel::pure("or_empty", "", ty, vec![column], move |columns, _| {
        let list = columns[0].as_list::<i32>();
        Ok(Arc::new(ListArray::try_new(Arc::clone(&element), list.offsets().clone(), Arc::clone(list.values()), None)?))
    }))
}

/// `sum` of intervals.
pub(crate) fn interval_sum(arg: &Bound) -> Result<Plan> {
    let ty = arg.ty.clone();
    let udf = gather("sum_interval", format!("{ty}"), ty.clone(), |columns| {
        let mut total: Option<ScalarValue> = None;
        for row in 0..columns[0].len() {
            let value = ScalarValue::try_from_array(&columns[0], row)?;
            if value.is_null() {
                continue;
            }
            total = Some(match total {
                Some(total) => total.add_checked(&value)?,
                None => value,
            });
        }
        match total {
            Some(total) => Ok(total),
            None => ScalarValue::try_from(columns[0].data_type()),
        }
    });
    Ok(Plan { udf, args: vec![arg.expr.clone()], ty, name: String::new() })
}

fn sorted_doubles(column: &ArrayRef) -> Vec<f64> {
    let mut values: Vec<f64> = column.as_primitive::<Float64Type>().iter().flatten().collect();
    values.sort_by(f64::total_cmp);
    values
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places in a list"
)]
fn interpolated(values: &[f64], fraction: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let place = fraction * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    if low == high {
        return Some(values[low]);
    }
    Some(values[low] * (high as f64 - place) + values[high] * (place - low as f64))
}

/// One fraction or an array of them.
fn fractions(binder: &Binder, bound: &Bound, name: &str) -> Result<(Vec<f64>, bool)> {
    let invalid = |text: String| {
        spark(
            "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE",
            format!("the percentage of {name} must be between 0 and 1, not {text}"),
        )
    };
    let value = binder.constant(bound)?;
    let (array, many) = match &value {
        ScalarValue::List(list) => (list.value(0), true),
        other => (other.to_array()?, false),
    };
    let array = super::casts::cast(&array, &DataType::Float64, &binder.zone(), super::casts::Mode::Ansi)?;
    let mut out = Vec::new();
    for value in array.as_primitive::<Float64Type>() {
        match value {
            Some(value) if (0.0..=1.0).contains(&value) => out.push(value),
            Some(value) => return Err(invalid(text::double(value))),
            None => {
                return Err(spark(
                    "DATATYPE_MISMATCH.UNEXPECTED_NULL",
                    format!("the percentage of {name} must not be NULL"),
                ));
            }
        }
    }
    Ok((out, many))
}

fn doubles(values: Vec<Option<f64>>, many: bool) -> Result<ScalarValue> {
    if !many {
        return Ok(ScalarValue::Float64(values.into_iter().next().flatten()));
    }
    if values.iter().all(Option::is_none) {
        return ScalarValue::try_from(&types::list_of(DataType::Float64));
    }
    list(Arc::new(Float64Array::from(values)))
}

fn list(values: ArrayRef) -> Result<ScalarValue> {
    let field = Arc::new(Field::new("element", values.data_type().clone(), true));
    Ok(ScalarValue::List(Arc::new(ListArray::try_new(
        field,
        OffsetBuffer::from_lengths([values.len()]),
        values,
        None,
    )?)))
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn moment(values: &[f64], power: i32) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(power)).sum::<f64>()
}

/// Plans a call of one of these functions.
pub(crate) fn plan(
    binder: &Binder,
    name: &str,
    args: &[Bound],
    within: &[(Bound, bool)],
    distinct: bool,
) -> Result<Plan> {
    let shown: Vec<&str> = args.iter().map(|arg| arg.name.as_str()).collect();
    let text_name = format!("{name}({}{})", if distinct { "DISTINCT " } else { "" }, shown.join(", "));
    let arity = |low: usize, high: usize| crate::bind::calls::arity(name, args.len(), low, high);
    let double = |bound: &Bound| binder.implicit(bound.clone(), &DataType::Float64, &text_name);
    match name {
        "skewness" | "kurtosis" => {
            arity(1, 1)?;
            let kurtosis = name == "kurtosis";
            #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
            let udf = gather(name, "", DataType::Float64, move |columns| {
                let values: Vec<f64> = columns[0].as_primitive::<Float64Type>().iter().flatten().collect();
                let n = values.len() as f64;
                if values.is_empty() {
                    return Ok(ScalarValue::Float64(None));
                }
                let m2 = moment(&values, 2);
                if m2 == 0.0 {
                    return Ok(ScalarValue::Float64(None));
                }
                Ok(ScalarValue::Float64(Some(if kurtosis {
                    n * moment(&values, 4) / (m2 * m2) - 3.0
                } else {
                    n.sqrt() * moment(&values, 3) / m2.powf(1.5)
                })))
            });
            Ok(Plan { udf, args: vec![double(&args[0])?.expr], ty: DataType::Float64, name: text_name })
        }
        "product" => {
            arity(1, 1)?;
            let udf = gather(name, "", DataType::Float64, |columns| {
                let values: Vec<f64> = columns[0].as_primitive::<Float64Type>().iter().flatten().collect();
                Ok(ScalarValue::Float64((!values.is_empty()).then(|| values.iter().product())))
            });
            Ok(Plan { udf, args: vec![double(&args[0])?.expr], ty: DataType::Float64, name: text_name })
        }
        "median" => {
            arity(1, 1)?;
            let udf = gather(name, "", DataType::Float64, |columns| {
                Ok(ScalarValue::Float64(interpolated(&sorted_doubles(&columns[0]), 0.5)))
            });
            Ok(Plan { udf, args: vec![double(&args[0])?.expr], ty: DataType::Float64, name: text_name })
        }
        "percentile" | "percentile_cont" => {
            let (value, percentage, shown) = if name == "percentile" {
                arity(2, 3)?;
                if args.len() == 3 {
                    return Err(unsupported("percentile with frequencies"));
                }
                (&args[0], &args[1], format!("percentile({}, {}, 1)", args[0].name, args[1].name))
            } else {
                arity(1, 1)?;
                let Some((key, asc)) = within.first() else {
                    return Err(spark_hint(
                        "INVALID_WITHIN_GROUP_EXPRESSION.WITHIN_GROUP_MISSING",
                        "percentile_cont needs WITHIN GROUP (ORDER BY …)",
                        "add it",
                    ));
                };
                let way = if *asc { "" } else { " DESC" };
                (key, &args[0], format!("percentile_cont({}) WITHIN GROUP (ORDER BY {}{way})", args[0].name, key.name))
            };
            let descending = within.first().is_some_and(|(_, asc)| !asc);
            let (wanted, many) = fractions(binder, percentage, name)?;
            let ty = if many { types::list_of(DataType::Float64) } else { DataType::Float64 };
            let udf = gather(name, format!("{wanted:?} {descending}"), ty.clone(), move |columns| {
                let mut values = sorted_doubles(&columns[0]);
                if descending {
                    values.reverse();
                }
                doubles(wanted.iter().map(|fraction| interpolated(&values, *fraction)).collect(), many)
            });
            Ok(Plan { udf, args: vec![double(value)?.expr], ty, name: shown })
        }
        "percentile_disc" => {
            arity(1, 1)?;
            let Some((key, asc)) = within.first() else {
                return Err(spark(
                    "INVALID_WITHIN_GROUP_EXPRESSION.WITHIN_GROUP_MISSING",
                    "percentile_disc needs WITHIN GROUP (ORDER BY …)",
                ));
            };
            let (wanted, many) = fractions(binder, &args[0], name)?;
            let descending = !asc;
            let ty = if many { types::list_of(DataType::Float64) } else { DataType::Float64 };
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "places in a list"
            )]
            let udf = gather(name, format!("{wanted:?} {descending}"), ty.clone(), move |columns| {
                let mut values = sorted_doubles(&columns[0]);
                if descending {
                    values.reverse();
                }
                let pick = |fraction: f64| {
                    let place = ((fraction * values.len() as f64).ceil() as usize).max(1);
                    values.get(place - 1).copied()
                };
                doubles(wanted.iter().map(|fraction| pick(*fraction)).collect(), many)
            });
            let way = if descending { " DESC" } else { "" };
            let shown = format!("percentile_disc({}) WITHIN GROUP (ORDER BY {}{way})", args[0].name, key.name);
            Ok(Plan { udf, args: vec![double(key)?.expr], ty, name: shown })
        }
        "percentile_approx" | "approx_percentile" => {
            arity(2, 3)?;
            let (wanted, many) = fractions(binder, &args[1], name)?;
            let value = args[0].clone();
            let value = if matches!(value.ty, DataType::Utf8 | DataType::Null) {
                binder.cast(value, &DataType::Float64)?
            } else {
                value
            };
            if !types::is_numeric(&value.ty) && !types::is_datetime(&value.ty) && !types::is_interval(&value.ty) {
                return Err(unexpected_type(&text_name, &value, "NUMERIC"));
            }
            let ty = if many { types::list_of(value.ty.clone()) } else { value.ty.clone() };
            let accuracy = args.get(2).map_or_else(|| "10000".to_owned(), |arg| arg.name.clone());
            let out = ty.clone();
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "places in a list"
            )]
            let udf = gather(name, format!("{wanted:?}"), ty.clone(), move |columns| {
                let order = lexsort_to_indices(
                    &[SortColumn {
                        values: Arc::clone(&columns[0]),
                        options: Some(SortOptions { descending: false, nulls_first: false }),
                    }],
                    None,
                )?;
                let count = columns[0].len() - columns[0].null_count();
                if count == 0 {
                    return ScalarValue::try_from(&out);
                }
                let places: Vec<u32> = wanted
                    .iter()
                    .map(|fraction| {
                        let rank = ((fraction * count as f64).ceil() as usize).clamp(1, count) - 1;
                        order.value(rank)
                    })
                    .collect();
                let picked = take(&columns[0], &UInt32Array::from(places), None)?;
                if many { list(picked) } else { ScalarValue::try_from_array(&picked, 0) }
            });
            Ok(Plan {
                udf,
                args: vec![value.expr],
                ty,
                name: format!("{name}({}, {}, {accuracy})", args[0].name, args[1].name),
            })
        }
        "mode" => {
            arity(1, 2)?;
            let ty = args[0].ty.clone();
            let udf = gather(name, "", ty.clone(), move |columns| {
                let mut counts: std::collections::HashMap<ScalarValue, usize> = std::collections::HashMap::new();
                for row in 0..columns[0].len() {
                    let value = ScalarValue::try_from_array(&columns[0], row)?;
                    if !value.is_null() {
                        *counts.entry(value).or_default() += 1;
                    }
                }
                let best = counts.into_iter().max_by(|(av, ac), (bv, bc)| {
                    ac.cmp(bc).then_with(|| bv.partial_cmp(av).unwrap_or(std::cmp::Ordering::Equal))
                });
                match best {
                    Some((value, _)) => Ok(value),
                    None => ScalarValue::try_from(columns[0].data_type()),
                }
            });
            Ok(Plan { udf, args: vec![args[0].expr.clone()], ty, name: format!("mode({})", args[0].name) })
        }
        "listagg" | "string_agg" => {
            arity(1, 2)?;
            let value = args[0].clone();
            let value =
                if value.ty == DataType::Utf8 { value } else { binder.implicit(value, &DataType::Utf8, &text_name)? };
            let delimiter = match args.get(1) {
                Some(delimiter) => match binder.constant(delimiter)? {
                    ScalarValue::Utf8(Some(text)) => text,
                    _ => String::new(),
                },
                None => String::new(),
            };
            let mut exprs = vec![value.expr];
            let mut ways = Vec::new();
            let mut keys = Vec::new();
            for (key, asc) in within {
                exprs.push(key.expr.clone());
                ways.push(*asc);
                keys.push(format!(
                    "{} {} NULLS {}",
                    key.name,
                    if *asc { "ASC" } else { "DESC" },
                    if *asc { "FIRST" } else { "LAST" }
                ));
            }
            let udf = gather(name, format!("{delimiter:?} {ways:?} {distinct}"), DataType::Utf8, move |columns| {
                let order: Vec<usize> = if ways.is_empty() {
                    (0..columns[0].len()).collect()
                } else {
                    let keys: Vec<SortColumn> = ways
                        .iter()
                        .zip(&columns[1..])
                        .map(|(asc, column)| SortColumn {
                            values: Arc::clone(column),
                            options: Some(SortOptions { descending: !asc, nulls_first: *asc }),
                        })
                        .collect();
                    lexsort_to_indices(&keys, None)?.values().iter().map(|at| *at as usize).collect()
                };
                let values = columns[0].as_string::<i32>();
                let mut parts: Vec<&str> = Vec::new();
                let mut seen = HashSet::new();
                for row in order {
                    if values.is_valid(row) && (!distinct || seen.insert(values.value(row))) {
                        parts.push(values.value(row));
                    }
                }
                let bytes: usize = parts.iter().map(|part| part.len()).sum();
                Room::of(columns).check(bytes.saturating_add(parts.len().saturating_mul(delimiter.len())))?;
                Ok(ScalarValue::Utf8((!parts.is_empty()).then(|| parts.join(&delimiter))))
            });
            let delimiter_name = args.get(1).map_or_else(|| "NULL".to_owned(), |arg| arg.name.clone());
            let distinct = if distinct { "DISTINCT " } else { "" };
            let mut shown = format!("listagg({distinct}{}, {delimiter_name})", args[0].name);
            if !keys.is_empty() {
                shown.push_str(&format!(" WITHIN GROUP (ORDER BY {})", keys.join(", ")));
            }
            Ok(Plan { udf, args: exprs, ty: DataType::Utf8, name: shown })
        }
        other => Err(unsupported(format!("the aggregate function {other}"))),
    }
}
