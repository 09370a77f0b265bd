//! Strings and binary.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::Call;
use super::lists::Over;
use super::room::Room;
use super::rows::{Row, call as row, coerce, gather};
use super::texts::{
    format_number, initcap, int, locate, range, soundex, split_part, substring, substring_index, trimmed,
};
use crate::bind::names::distance;
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::error::{Result, spark, unsupported};
use crate::spark::{kernel, types};

const T: DataType = DataType::Utf8;
const I: DataType = DataType::Int32;

/// A function whose text is a part of its first argument, which needs no copy of its own.
fn part(name: &str, args: Vec<Bound>, f: impl Fn(&Row<'_>) -> (i32, i64) + Send + Sync + 'static) -> Bound {
    over_rows(name, args, T, move |columns, rows, room| {
        let texts = columns[0].as_string::<i32>();
        let mut out = StringBuilder::with_capacity(rows, 0);
        for row in 0..rows {
            if columns.iter().any(|column| column.is_null(row)) {
                out.append_null();
                continue;
            }
            let (start, count) = f(&Row::at(columns, row, room));
            out.append_value(substring(texts.value(row), start, count));
        }
        Ok(Arc::new(out.finish()))
    })
}

fn over_rows(
    name: &str,
    args: Vec<Bound>,
    ty: DataType,
    f: impl Fn(&[ArrayRef], usize, &Room) -> Result<ArrayRef> + Send + Sync + 'static,
) -> Bound {
    let exprs = args.into_iter().map(|arg| arg.expr).collect();
    let expr = kernel::pure(name, "", ty.clone(), exprs, move |columns, rows| f(columns, rows, &Room::of(columns)));
    Bound::new(expr, ty, name)
}

fn pad(r: &Row<'_>, left: bool) -> Result<String> {
    let (text, with) = (r.text(0), r.text(2));
    let wanted = usize::try_from(r.int(1)).unwrap_or(0);
    let has = text.chars().count();
    if has >= wanted || with.is_empty() {
        return Ok(text.chars().take(wanted).collect());
    }
    let (missing, cycle) = (wanted - has, with.chars().count());
    let rest: String = with.chars().take(missing % cycle).collect();
    let whole = missing / cycle;
    r.room_for(text.len().saturating_add(whole.saturating_mul(with.len())).saturating_add(rest.len()))?;
    let fill = with.repeat(whole);
    Ok(if left { format!("{fill}{rest}{text}") } else { format!("{text}{fill}{rest}") })
}

/// `text` with every `what` replaced, as long as there is room.
fn replaced(r: &Row<'_>) -> Result<String> {
    let (text, what, with) = (r.text(0), r.text(1), r.text(2));
    if what.is_empty() {
        return Ok(text.to_owned());
    }
    if with.len() > what.len() {
        let more = text.matches(what).count().saturating_mul(with.len() - what.len());
        r.room_for(text.len().saturating_add(more))?;
    }
    Ok(text.replace(what, with))
}

/// TRIM with or without characters.
pub(crate) fn trim(binder: &Binder, function: &str, value: Bound, what: Option<Bound>) -> Result<Bound> {
    let (left, right, side) = match function {
        "ltrim" => (true, false, "LEADING"),
        "rtrim" => (false, true, "TRAILING"),
        _ => (true, true, "BOTH"),
    };
    let value = binder.implicit(value, &T, function)?;
    match what {
        None => {
            let name = format!("{function}({})", value.name);
            Ok(row(function, "", vec![value], move |r| Ok(Some(trimmed(r.text(0), " ", left, right)))).named(name))
        }
        Some(what) => {
            let what = binder.implicit(what, &T, function)?;
            let name = if function == "btrim" {
                format!("btrim({}, {})", value.name, what.name)
            } else {
                format!("TRIM({side} {} FROM {})", what.name, value.name)
            };
            Ok(row(function, "of", vec![value, what], move |r| Ok(Some(trimmed(r.text(0), r.text(1), left, right))))
                .named(name))
        }
    }
}

fn concat(binder: &Binder, call: &mut Call<'_>) -> Result<Bound> {
    let args = std::mem::take(&mut call.args);
    if args.iter().any(|arg| matches!(arg.ty, DataType::List(_))) {
        let (args, ty) = binder.unify(args, "concat")?;
        let DataType::List(field) = ty else { return Err(unsupported("this concat")) };
        let (count, element) = (args.len(), field.data_type().clone());
        let over = Over { name: "concat_arrays", args, pooled: count, element, compares: false };
        // A NULL list makes the whole NULL.
        return over.to_list("", move |pool, row| {
            let present = (0..count).all(|list| !pool.null(list, row));
            Ok(present.then(|| (0..count).flat_map(|list| pool.list(list, row)).map(Some).collect()))
        });
    }
    if !args.is_empty() && args.iter().all(|arg| arg.ty == DataType::Binary) {
        let count = args.len();
        return Ok(row("concat", "binary", args, move |r| {
            r.room_for((0..count).map(|at| r.bytes(at).len()).sum())?;
            Ok(Some((0..count).flat_map(|at| r.bytes(at).to_vec()).collect::<Vec<u8>>()))
        }));
    }
    let count = args.len();
    let args = args.into_iter().map(|arg| binder.implicit(arg, &T, "concat")).collect::<Result<Vec<_>>>()?;
    Ok(row("concat", "", args, move |r| {
        r.room_for((0..count).map(|at| r.text(at).len()).sum())?;
        Ok(Some((0..count).map(|at| r.text(at)).collect::<String>()))
    }))
}

fn concat_ws(binder: &Binder, call: &mut Call<'_>) -> Result<Bound> {
    call.arity(1, usize::MAX)?;
    let mut exprs = Vec::new();
    for (at, arg) in std::mem::take(&mut call.args).into_iter().enumerate() {
        let arg = match &arg.ty {
            DataType::List(_) if at > 0 => binder.cast(arg, &types::list_of(T))?,
            _ => binder.implicit(arg, &T, "concat_ws")?,
        };
        exprs.push(arg.expr);
    }
    let expr = kernel::pure("concat_ws", "", T, exprs, |columns, rows| {
        let separators = columns[0].as_string::<i32>();
        let room = Room::of(columns);
        gather(rows, &room, |row| {
            if separators.is_null(row) {
                return Ok(None);
            }
            let (mut out, mut first) = (String::new(), true);
            let mut push = |part: &str| {
                if !first {
                    out.push_str(separators.value(row));
                }
                first = false;
                out.push_str(part);
                room.check(out.len())
            };
            for column in &columns[1..] {
                if column.is_null(row) {
                    continue;
                }
                match column.data_type() {
                    DataType::List(_) => {
                        let items = column.as_list::<i32>().value(row);
                        items.as_string::<i32>().iter().flatten().try_for_each(&mut push)?;
                    }
                    _ => push(column.as_string::<i32>().value(row))?,
                }
            }
            Ok(Some(out))
        })
    });
    Ok(Bound::new(expr, T, ""))
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let text = call.text();
    let name = call.name;
    let args = |call: &mut Call<'_>, required: usize, tys: &[DataType]| coerce(binder, call, required, tys);
    let binary = call.args.first().is_some_and(|arg| arg.ty == DataType::Binary);
    let bound = match name {
        "concat" => concat(binder, call)?,
        "concat_ws" => concat_ws(binder, call)?,
        "substr" | "substring" => {
            call.arity(2, 3)?;
            let whole = call.args.len() == 2;
            let shown = if whole {
                format!("{name}({}, {}, 2147483647)", call.args[0].name, call.args[1].name)
            } else {
                text.clone()
            };
            if binary {
                let mut values = args(call, 2, &[DataType::Binary, I, I])?;
                if whole {
                    values.push(Bound::literal(ScalarValue::Int32(Some(i32::MAX)), ""));
                }
                let bound = row(name, "binary", values, |r| {
                    let bytes = r.bytes(0);
                    let (from, to) = range(bytes.len(), r.int(1), i64::from(r.int(2)));
                    Ok(Some(bytes[from..to].to_vec()))
                });
                return Ok(Some(bound.named(shown)));
            }
            let mut values = args(call, 2, &[T, I, I])?;
            if whole {
                values.push(Bound::literal(ScalarValue::Int32(Some(i32::MAX)), ""));
            }
            return Ok(Some(part(name, values, |r| (r.int(1), i64::from(r.int(2)))).named(shown)));
        }
        "left" => part(name, args(call, 2, &[T, I])?, |r| (1, i64::from(r.int(1)))),
        "right" => part(name, args(call, 2, &[T, I])?, |r| match r.int(1) {
            count if count <= 0 => (1, 0),
            count => (-count, i64::MAX),
        }),
        "substring_index" => row(name, "", args(call, 3, &[T, T, I])?, |r| {
            Ok(Some(substring_index(r.text(0), r.text(1), r.int(2)).to_owned()))
        }),
        "instr" => row(name, "", args(call, 2, &[T, T])?, |r| Ok(Some(locate(r.text(1), r.text(0), 1)))),
        "locate" | "position" | "charindex" => {
            let mut values = args(call, 2, &[T, T, I])?;
            let shown = if values.len() == 2 {
                format!("{name}({}, {}, 1)", values[0].name, values[1].name)
            } else {
                text.clone()
            };
            if values.len() == 2 {
                values.push(Bound::literal(ScalarValue::Int32(Some(1)), "1"));
            }
            return Ok(Some(row(name, "", values, |r| Ok(Some(locate(r.text(0), r.text(1), r.int(2))))).named(shown)));
        }
        "find_in_set" => row(name, "", args(call, 2, &[T, T])?, |r| {
            if r.text(0).contains(',') {
                return Ok(Some(0));
            }
            Ok(Some(r.text(1).split(',').position(|part| part == r.text(0)).map_or(0, |at| int(at) + 1)))
        }),
        "lpad" | "rpad" if binary => {
            let left = name == "lpad";
            let mut values = args(call, 2, &[DataType::Binary, I, DataType::Binary])?;
            if values.len() == 2 {
                values.push(Bound::literal(ScalarValue::Binary(Some(vec![0])), "X'00'"));
            }
            let shown = format!("{name}({}, {}, {})", values[0].name, values[1].name, values[2].name);
            let padded = row(name, "binary", values, move |r| {
                let (value, with) = (r.bytes(0), r.bytes(2));
                let wanted = usize::try_from(r.int(1)).unwrap_or(0);
                r.room_for(wanted)?;
                let missing = if with.is_empty() { 0 } else { wanted.saturating_sub(value.len()) };
                let fill: Vec<u8> = with.iter().copied().cycle().take(missing).collect();
                let value = &value[..value.len().min(wanted)];
                Ok(Some(if left { [&fill, value].concat() } else { [value, &fill].concat() }))
            });
            return Ok(Some(padded.named(shown)));
        }
        "lpad" | "rpad" => {
            let left = name == "lpad";
            let mut values = args(call, 2, &[T, I, T])?;
            let shown = if values.len() == 2 {
                format!("{name}({}, {},  )", values[0].name, values[1].name)
            } else {
                text.clone()
            };
            if values.len() == 2 {
                values.push(Bound::literal(ScalarValue::from(" "), " "));
            }
            return Ok(Some(row(name, "", values, move |r| pad(r, left).map(Some)).named(shown)));
        }
        "trim" | "ltrim" | "rtrim" => {
            call.arity(1, 2)?;
            let mut values = std::mem::take(&mut call.args);
            let value = values.pop();
            let what = values.pop();
            let Some(value) = value else { return Ok(None) };
            return Ok(Some(trim(binder, name, value, what)?));
        }
        "btrim" => {
            call.arity(1, 2)?;
            let mut values = std::mem::take(&mut call.args).into_iter();
            let Some(value) = values.next() else { return Ok(None) };
            return Ok(Some(trim(binder, name, value, values.next())?));
        }
        "split_part" => row(name, "", args(call, 3, &[T, T, I])?, |r| {
            let (value, by, at) = (r.text(0), r.text(1), r.int(2));
            if at == 0 {
                return Err(spark("INVALID_INDEX_OF_ZERO", "the index 0 is invalid: SQL indices start at 1"));
            }
            Ok(Some(split_part(value, by, at).to_owned()))
        }),
        "initcap" => row(name, "", args(call, 1, &[T])?, |r| Ok(Some(initcap(r.text(0))))),
        "reverse" if !matches!(call.args.first().map(|arg| &arg.ty), Some(DataType::List(_))) => {
            row(name, "", args(call, 1, &[T])?, |r| Ok(Some(r.text(0).chars().rev().collect::<String>())))
        }
        "repeat" => row(name, "", args(call, 2, &[T, I])?, |r| {
            let times = usize::try_from(r.int(1)).unwrap_or(0);
            r.room_for(r.text(0).len().saturating_mul(times))?;
            Ok(Some(r.text(0).repeat(times)))
        }),
        "space" => row(name, "", args(call, 1, &[I])?, |r| {
            let count = usize::try_from(r.int(0)).unwrap_or(0);
            r.room_for(count)?;
            Ok(Some(" ".repeat(count)))
        }),
        "translate" => row(name, "", args(call, 3, &[T, T, T])?, |r| {
            let (mut known, mut to) = (HashMap::new(), r.text(2).chars());
            for from in r.text(1).chars() {
                let to = to.next();
                known.entry(from).or_insert(to);
            }
            let out = r.text(0).chars().filter_map(|c| known.get(&c).copied().unwrap_or(Some(c)));
            Ok(Some(out.collect::<String>()))
        }),
        "replace" => {
            let mut values = args(call, 2, &[T, T, T])?;
            let shown = if values.len() == 2 {
                format!("replace({}, {}, )", values[0].name, values[1].name)
            } else {
                text.clone()
            };
            if values.len() == 2 {
                values.push(Bound::literal(ScalarValue::from(""), ""));
            }
            return Ok(Some(row(name, "", values, |r| replaced(r).map(Some)).named(shown)));
        }
        "ascii" => row(name, "", args(call, 1, &[T])?, |r| {
            Ok(Some(r.text(0).chars().next().map_or(0, |c| i32::try_from(u32::from(c)).unwrap_or(0))))
        }),
        "chr" | "char" => row(name, "", args(call, 1, &[DataType::Int64])?, |r| {
            let code = r.long(0);
            Ok(Some(if code < 0 {
                String::new()
            } else {
                char::from(u8::try_from(code & 0xff).unwrap_or(0)).to_string()
            }))
        }),
        "length" | "len" | "char_length" | "character_length" => {
            call.arity(1, 1)?;
            if binary {
                row(name, "b", args(call, 1, &[DataType::Binary])?, |r| Ok(Some(int(r.bytes(0).len()))))
            } else {
                row(name, "", args(call, 1, &[T])?, |r| Ok(Some(int(r.text(0).chars().count()))))
            }
        }
        "octet_length" | "bit_length" => {
            call.arity(1, 1)?;
            let times = if name == "bit_length" { 8 } else { 1 };
            if binary {
                row(name, "b", args(call, 1, &[DataType::Binary])?, move |r| Ok(Some(int(r.bytes(0).len()) * times)))
            } else {
                row(name, "", args(call, 1, &[T])?, move |r| Ok(Some(int(r.text(0).len()) * times)))
            }
        }
        "upper" | "ucase" => row(name, "", args(call, 1, &[T])?, |r| Ok(Some(r.text(0).to_uppercase()))),
        "lower" | "lcase" => row(name, "", args(call, 1, &[T])?, |r| Ok(Some(r.text(0).to_lowercase()))),
        "startswith" | "endswith" | "contains" => {
            let kind = name.to_owned();
            let tys = if binary { [DataType::Binary, DataType::Binary] } else { [T, T] };
            let values = args(call, 2, &tys)?;
            row(name, format!("{binary}"), values, move |r| {
                let (hay, needle) =
                    if binary { (r.bytes(0), r.bytes(1)) } else { (r.text(0).as_bytes(), r.text(1).as_bytes()) };
                Ok(Some(match kind.as_str() {
                    "startswith" => hay.starts_with(needle),
                    "endswith" => hay.ends_with(needle),
                    _ => needle.is_empty() || hay.windows(needle.len()).any(|window| window == needle),
                }))
            })
        }
        "overlay" => {
            let mut values = args(call, 3, &[T, T, I, I])?;
            let shown = if values.len() == 3 {
                format!("overlay({}, {}, {}, -1)", values[0].name, values[1].name, values[2].name)
            } else {
                text.clone()
            };
            if values.len() == 3 {
                values.push(Bound::literal(ScalarValue::Int32(Some(-1)), "-1"));
            }
            return Ok(Some(
                row(name, "", values, |r| {
                    let (value, with, from) = (r.text(0), r.text(1), r.int(2));
                    let length = if r.int(3) >= 0 {
                        i64::from(r.int(3))
                    } else {
                        i64::try_from(with.chars().count()).unwrap_or(0)
                    };
                    let head = substring(value, 1, i64::from(from) - 1);
                    let tail: String =
                        value.chars().skip(usize::try_from(i64::from(from) - 1 + length).unwrap_or(0)).collect();
                    Ok(Some(format!("{head}{with}{tail}")))
                })
                .named(shown),
            ));
        }
        "soundex" => row(name, "", args(call, 1, &[T])?, |r| Ok(Some(soundex(r.text(0))))),
        "levenshtein" => {
            let values = args(call, 2, &[T, T, I])?;
            let limited = values.len() == 3;
            row(name, "", values, move |r| {
                let found = int(distance(r.text(0), r.text(1)));
                Ok(Some(if limited && found > r.int(2) { -1 } else { found }))
            })
        }
        "elt" => {
            call.arity(2, usize::MAX)?;
            let mut values = std::mem::take(&mut call.args).into_iter();
            let Some(index) = values.next() else { return Ok(None) };
            let mut all = vec![binder.implicit(index, &I, &text)?];
            for value in values {
                all.push(binder.implicit(value, &T, &text)?);
            }
            let count = all.len() - 1;
            row(name, "", all, move |r| {
                let at = r.int(0);
                match usize::try_from(at) {
                    Ok(place) if place >= 1 && place <= count => Ok(Some(r.text(place).to_owned())),
                    _ => Err(spark(
                        "INVALID_ARRAY_INDEX",
                        format!("the index {at} is out of bounds: there are {count} values"),
                    )),
                }
            })
        }
        "field" => return Err(unsupported("the function field")),
        "format_number" => {
            call.arity(2, 2)?;
            if call.args[1].ty == T {
                let Some(pattern) = call.args[1].as_text().map(str::to_owned) else {
                    return Err(unsupported("format_number with a pattern that is no literal"));
                };
                let value = call.args[0].clone();
                if !types::is_numeric(&value.ty) && value.ty != DataType::Null {
                    return Err(unexpected_type(&text, &value, "NUMERIC"));
                }
                let value = binder.cast(value, &T)?;
                let bound = row(name, pattern.clone(), vec![value], move |r| {
                    super::formats::decimal_format(r.text(0), &pattern)
                        .map(Some)
                        .ok_or_else(|| unsupported(format!("the pattern '{pattern}' of format_number")))
                });
                return Ok(Some(bound.named(text)));
            }
            let places = binder.implicit(call.args[1].clone(), &I, &text)?;
            let value = call.args[0].clone();
            if !types::is_numeric(&value.ty) && value.ty != DataType::Null {
                return Err(unexpected_type(&text, &value, "NUMERIC"));
            }
            let value = binder.cast(value, &T)?;
            row(name, "", vec![value, places], |r| Ok(format_number(r.text(0), r.int(1))))
        }
        "quote" => row(name, "", args(call, 1, &[T])?, |r| Ok(Some(format!("'{}'", r.text(0).replace('\'', "\\'"))))),
        "luhn_check" => row(name, "", args(call, 1, &[T])?, |r| {
            let digits: Option<Vec<u32>> = r.text(0).chars().map(|c| c.to_digit(10)).collect();
            Ok(Some(digits.is_some_and(|digits| {
                let sum: u32 = digits
                    .iter()
                    .rev()
                    .enumerate()
                    .map(|(at, d)| {
                        if at % 2 == 1 {
                            let twice = d * 2;
                            if twice > 9 { twice - 9 } else { twice }
                        } else {
                            *d
                        }
                    })
                    .sum();
                !digits.is_empty() && sum.is_multiple_of(10)
            })))
        }),
        "mask" => {
            let mut values = args(call, 1, &[T, T, T, T, T])?;
            for default in ["X", "x", "n"].iter().skip(values.len() - 1) {
                values.push(Bound::literal(ScalarValue::from(*default), *default));
            }
            // Without a fifth argument other characters stay.
            let others = values.get(4).is_some_and(|other| !other.as_literal().is_some_and(ScalarValue::is_null));
            let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
            let shown = format!("mask({}{})", names.join(", "), if names.len() == 4 { ", NULL" } else { "" });
            values.truncate(if others { 5 } else { 4 });
            return Ok(Some(
                row(name, format!("{others}"), values, move |r| {
                    let mut out = String::with_capacity(r.text(0).len());
                    for c in r.text(0).chars() {
                        match c {
                            c if c.is_uppercase() => out.push_str(r.text(1)),
                            c if c.is_lowercase() => out.push_str(r.text(2)),
                            c if c.is_ascii_digit() => out.push_str(r.text(3)),
                            _ if others => out.push_str(r.text(4)),
                            c => out.push(c),
                        }
                        r.room_for(out.len())?;
                    }
                    Ok(Some(out))
                })
                .named(shown),
            ));
        }
        _ => return Ok(None),
    };
    Ok(Some(bound.named(text)))
}
