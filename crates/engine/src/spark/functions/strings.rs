//! Strings and binary.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::Call;
use super::encode::{base64, hex, unbase64, unhex};
use super::like::java_regex;
use super::rows::{call as row, coerce};
use crate::bind::expr::distance;
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::{kernel, types};

const T: DataType = DataType::Utf8;
const I: DataType = DataType::Int32;

/// Where Spark's `substr` begins and ends in a text of that many characters.
fn range(length: usize, start: i32, count: i64) -> (usize, usize) {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let start = i64::from(start);
    let from = if start > 0 {
        start - 1
    } else if start < 0 {
        length + start
    } else {
        0
    };
    let to = from.saturating_add(count.max(0)).min(length);
    let clamp = |at: i64| usize::try_from(at.clamp(0, length)).unwrap_or(0);
    let (from, to) = (clamp(from), clamp(to));
    (from, to.max(from))
}

fn substring(text: &str, start: i32, count: i64) -> String {
    let length = text.chars().count();
    let (from, to) = range(length, start, count);
    text.chars().skip(from).take(to - from).collect()
}

fn int(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// The 1-based place of the needle, in characters, from a 1-based place on; 0 when it is not there.
fn locate(needle: &str, hay: &str, from: i32) -> i32 {
    let Ok(skip) = usize::try_from(from - 1) else { return 0 };
    let Some((start, _)) = hay.char_indices().chain([(hay.len(), ' ')]).nth(skip) else { return 0 };
    match hay[start..].find(needle) {
        Some(at) => int(hay[..start + at].chars().count()) + 1,
        None => 0,
    }
}

fn pad(text: &str, length: i32, with: &str, left: bool) -> String {
    let wanted = usize::try_from(length).unwrap_or(0);
    let has = text.chars().count();
    if has >= wanted || with.is_empty() {
        return text.chars().take(wanted).collect();
    }
    let fill: String = with.chars().cycle().take(wanted - has).collect();
    if left { format!("{fill}{text}") } else { format!("{text}{fill}") }
}

fn replacement(java: &str) -> String {
    // `$1` of Java is `${1}` here; `\$` is a dollar.
    let mut out = String::new();
    let mut chars = java.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('$') => out.push_str("$$"),
                Some(next) => out.push(next),
                None => {}
            },
            '$' => {
                let mut digits = String::new();
                while let Some(digit) = chars.peek().filter(|c| c.is_ascii_digit()) {
                    digits.push(*digit);
                    chars.next();
                }
                out.push_str(&format!("${{{digits}}}"));
            }
            other => out.push(other),
        }
    }
    out
}

fn split(text: &str, pattern: &str, limit: i32) -> Result<Vec<String>> {
    let mut parts: Vec<String> = Vec::new();
    if pattern.is_empty() {
        let chars: Vec<String> = text.chars().map(String::from).collect();
        let limit = usize::try_from(limit).unwrap_or(0);
        if limit > 0 && chars.len() > limit {
            let (head, tail) = chars.split_at(limit - 1);
            parts.extend(head.iter().cloned());
            parts.push(tail.concat());
            return Ok(parts);
        }
        return Ok(if chars.is_empty() { vec![String::new()] } else { chars });
    }
    let regex = java_regex(pattern, "split")?;
    let mut last = 0;
    for found in regex.find_iter(text) {
        if limit > 0 && parts.len() + 1 >= usize::try_from(limit).unwrap_or(usize::MAX) {
            break;
        }
        if found.end() == 0 {
            continue;
        }
        parts.push(text[last..found.start()].to_owned());
        last = found.end();
    }
    parts.push(text[last..].to_owned());
    Ok(parts)
}

fn group_error(function: &str, groups: usize, wanted: i32) -> datafusion::error::DataFusionError {
    spark(
        "INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX",
        format!(
            "the value of the parameter `idx` in `{function}` is invalid: expects group index between 0 and {groups}, but got {wanted}"
        ),
    )
}

fn trimmed(text: &str, what: &str, left: bool, right: bool) -> String {
    let set: Vec<char> = what.chars().collect();
    let inside = |c: char| set.contains(&c);
    let mut out = text;
    if left {
        out = out.trim_start_matches(inside);
    }
    if right {
        out = out.trim_end_matches(inside);
    }
    out.to_owned()
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
        let udf = datafusion::functions_nested::concat::array_concat_udf();
        // A NULL list makes the whole NULL.
        let mut present: Option<datafusion::logical_expr::Expr> = None;
        for arg in &args {
            let here = datafusion::logical_expr::Expr::IsNotNull(Box::new(arg.expr.clone()));
            present = Some(crate::bind::query::conjunction(present, here));
        }
        let joined = binder.native(udf, args, String::new())?;
        let joined = Bound::new(
            datafusion::logical_expr::Expr::Cast(datafusion::logical_expr::Cast::new(
                Box::new(joined.expr),
                ty.clone(),
            )),
            ty,
            "",
        );
        let Some(present) = present else { return Ok(joined) };
        return binder.case_of(vec![Bound::new(present, DataType::Boolean, "")], vec![joined]);
    }
    if !args.is_empty() && args.iter().all(|arg| arg.ty == DataType::Binary) {
        let count = args.len();
        return Ok(row("concat", "binary", args, move |r| {
            Ok(Some((0..count).flat_map(|at| r.bytes(at).to_vec()).collect::<Vec<u8>>()))
        }));
    }
    let count = args.len();
    let args = args.into_iter().map(|arg| binder.implicit(arg, &T, "concat")).collect::<Result<Vec<_>>>()?;
    Ok(row("concat", "", args, move |r| Ok(Some((0..count).map(|at| r.text(at)).collect::<String>()))))
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
        let out: StringArray = (0..rows)
            .map(|row| {
                if separators.is_null(row) {
                    return None;
                }
                let mut parts: Vec<String> = Vec::new();
                for column in &columns[1..] {
                    if column.is_null(row) {
                        continue;
                    }
                    match column.data_type() {
                        DataType::List(_) => {
                            let items = column.as_list::<i32>().value(row);
                            parts.extend(items.as_string::<i32>().iter().flatten().map(str::to_owned));
                        }
                        _ => parts.push(column.as_string::<i32>().value(row).to_owned()),
                    }
                }
                Some(parts.join(separators.value(row)))
            })
            .collect();
        Ok(Arc::new(out))
    });
    Ok(Bound::new(expr, T, ""))
}

fn charset_encode(text: &str, charset: &str) -> Result<Vec<u8>> {
    let unmappable = || spark("MALFORMED_CHARACTER_CODING", format!("the text has characters that {charset} lacks"));
    Ok(match charset.to_ascii_uppercase().as_str() {
        "UTF-8" => text.as_bytes().to_vec(),
        "US-ASCII" if text.is_ascii() => text.as_bytes().to_vec(),
        "US-ASCII" => return Err(unmappable()),
        "ISO-8859-1" => {
            text.chars().map(|c| u8::try_from(u32::from(c)).map_err(|_| unmappable())).collect::<Result<_>>()?
        }
        "UTF-16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16" => [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect(),
        _ => {
            return Err(spark_hint(
                "INVALID_PARAMETER_VALUE.CHARSET",
                format!("the charset '{charset}' is not known"),
                "use UTF-8, UTF-16, UTF-16BE, UTF-16LE, US-ASCII or ISO-8859-1",
            ));
        }
    })
}

fn charset_decode(bytes: &[u8], charset: &str) -> Result<String> {
    let malformed = || spark("MALFORMED_CHARACTER_CODING", format!("the bytes are not {charset}"));
    let units = |big: bool| -> Vec<u16> {
        bytes
            .chunks(2)
            .map(|pair| {
                if big {
                    u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])
                } else {
                    u16::from_le_bytes([pair[0], *pair.get(1).unwrap_or(&0)])
                }
            })
            .collect()
    };
    match charset.to_ascii_uppercase().as_str() {
        "UTF-8" => String::from_utf8(bytes.to_vec()).map_err(|_| malformed()),
        "US-ASCII" if bytes.is_ascii() => Ok(bytes.iter().map(|b| char::from(*b)).collect()),
        "US-ASCII" => Err(malformed()),
        "ISO-8859-1" => Ok(bytes.iter().map(|b| char::from(*b)).collect()),
        "UTF-16BE" | "UTF-16" => String::from_utf16(&units(true)).map_err(|_| malformed()),
        "UTF-16LE" => String::from_utf16(&units(false)).map_err(|_| malformed()),
        _ => Err(spark("INVALID_PARAMETER_VALUE.CHARSET", format!("the charset '{charset}' is not known"))),
    }
}

fn initcap(text: &str) -> String {
    let mut start = true;
    text.chars()
        .map(|c| {
            let out = if start { c.to_uppercase().to_string() } else { c.to_lowercase().to_string() };
            start = c == ' ';
            out
        })
        .collect()
}

fn soundex(text: &str) -> String {
    let code = |c: char| match c.to_ascii_uppercase() {
        'B' | 'F' | 'P' | 'V' => '1',
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => '2',
        'D' | 'T' => '3',
        'L' => '4',
        'M' | 'N' => '5',
        'R' => '6',
        'H' | 'W' => '7',
        _ => '0',
    };
    let Some(first) = text.chars().next().filter(char::is_ascii_alphabetic) else { return text.to_owned() };
    let mut out = String::from(first.to_ascii_uppercase());
    let mut last = code(first);
    for c in text.chars().skip(1).filter(char::is_ascii_alphabetic) {
        let next = code(c);
        if next == '7' {
            continue;
        }
        if next != '0' && next != last {
            out.push(next);
        }
        last = next;
        if out.len() == 4 {
            break;
        }
    }
    while out.len() < 4 {
        out.push('0');
    }
    out
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
            return Ok(Some(
                row(name, "", values, |r| Ok(Some(substring(r.text(0), r.int(1), i64::from(r.int(2)))))).named(shown),
            ));
        }
        "left" => row(name, "", args(call, 2, &[T, I])?, |r| Ok(Some(substring(r.text(0), 1, i64::from(r.int(1)))))),
        "right" => row(name, "", args(call, 2, &[T, I])?, |r| {
            Ok(Some(if r.int(1) <= 0 { String::new() } else { substring(r.text(0), -r.int(1), i64::MAX) }))
        }),
        "substring_index" => row(name, "", args(call, 3, &[T, T, I])?, |r| {
            let (text, by, count) = (r.text(0), r.text(1), r.int(2));
            if count == 0 || by.is_empty() {
                return Ok(Some(String::new()));
            }
            let parts: Vec<&str> = text.split(by).collect();
            let keep = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX).min(parts.len());
            Ok(Some(if count > 0 { parts[..keep].join(by) } else { parts[parts.len() - keep..].join(by) }))
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
        "lpad" | "rpad" if !binary => {
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
            return Ok(Some(
                row(name, "", values, move |r| Ok(Some(pad(r.text(0), r.int(1), r.text(2), left)))).named(shown),
            ));
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
        "split" => {
            let mut values = args(call, 2, &[T, T, I])?;
            let shown = if values.len() == 2 {
                format!("split({}, {}, -1)", values[0].name, values[1].name)
            } else {
                text.clone()
            };
            if values.len() == 2 {
                values.push(Bound::literal(ScalarValue::Int32(Some(-1)), "-1"));
            }
            return Ok(Some(row(name, "", values, |r| split(r.text(0), r.text(1), r.int(2)).map(Some)).named(shown)));
        }
        "split_part" => row(name, "", args(call, 3, &[T, T, I])?, |r| {
            let (value, by, at) = (r.text(0), r.text(1), r.int(2));
            if at == 0 {
                return Err(spark("INVALID_INDEX_OF_ZERO", "the index 0 is invalid: SQL indices start at 1"));
            }
            let parts: Vec<&str> = if by.is_empty() { vec![value] } else { value.split(by).collect() };
            let count = int(parts.len());
            let place = if at > 0 { at - 1 } else { count + at };
            Ok(Some(
                usize::try_from(place).ok().and_then(|place| parts.get(place)).copied().unwrap_or_default().to_owned(),
            ))
        }),
        "regexp_extract" | "regexp_extract_all" => {
            let mut values = args(call, 2, &[T, T, I])?;
            let shown = if values.len() == 2 {
                format!("{name}({}, {}, 1)", values[0].name, values[1].name)
            } else {
                text.clone()
            };
            if values.len() == 2 {
                values.push(Bound::literal(ScalarValue::Int32(Some(1)), "1"));
            }
            let function = name.to_owned();
            let prepare = move |pattern: &str, wanted: i32| -> Result<(regex::Regex, usize)> {
                let regex = java_regex(pattern, &function)?;
                match usize::try_from(wanted) {
                    Ok(at) if at < regex.captures_len() => Ok((regex, at)),
                    _ => Err(group_error(&function, regex.captures_len() - 1, wanted)),
                }
            };
            if name == "regexp_extract" {
                return Ok(Some(
                    row(name, "", values, move |r| {
                        let (regex, at) = prepare(r.text(1), r.int(2))?;
                        let found = regex
                            .captures(r.text(0))
                            .and_then(|found| found.get(at).map(|part| part.as_str().to_owned()));
                        Ok(Some(found.unwrap_or_default()))
                    })
                    .named(shown),
                ));
            }
            return Ok(Some(
                row(name, "", values, move |r| {
                    let (regex, at) = prepare(r.text(1), r.int(2))?;
                    let all = regex
                        .captures_iter(r.text(0))
                        .map(|found| found.get(at).map(|part| part.as_str().to_owned()).unwrap_or_default());
                    Ok(Some(all.collect::<Vec<String>>()))
                })
                .named(shown),
            ));
        }
        "regexp_replace" => {
            let mut values = args(call, 3, &[T, T, T, I])?;
            let shown = if values.len() == 3 {
                format!("{name}({}, {}, {}, 1)", values[0].name, values[1].name, values[2].name)
            } else {
                text.clone()
            };
            if values.len() == 3 {
                values.push(Bound::literal(ScalarValue::Int32(Some(1)), "1"));
            }
            return Ok(Some(
                row(name, "", values, |r| {
                    let regex = java_regex(r.text(1), "regexp_replace")?;
                    let skip = usize::try_from(r.int(3) - 1).unwrap_or(0);
                    let value = r.text(0);
                    let at = value.char_indices().nth(skip).map_or(value.len(), |(at, _)| at);
                    let (head, tail) = value.split_at(at);
                    Ok(Some(format!("{head}{}", regex.replace_all(tail, replacement(r.text(2)).as_str()))))
                })
                .named(shown),
            ));
        }
        "regexp_count" => row(name, "", args(call, 2, &[T, T])?, |r| {
            Ok(Some(int(java_regex(r.text(1), "regexp_count")?.find_iter(r.text(0)).count())))
        }),
        "regexp_substr" => row(name, "", args(call, 2, &[T, T])?, |r| {
            Ok(java_regex(r.text(1), "regexp_substr")?.find(r.text(0)).map(|found| found.as_str().to_owned()))
        }),
        "regexp_instr" => {
            let values = args(call, 2, &[T, T])?;
            let shown = format!("regexp_instr({}, {}, 0)", values[0].name, values[1].name);
            return Ok(Some(
                row(name, "", values, |r| {
                    let value = r.text(0);
                    Ok(Some(
                        java_regex(r.text(1), "regexp_instr")?
                            .find(value)
                            .map_or(0, |found| int(value[..found.start()].chars().count()) + 1),
                    ))
                })
                .named(shown),
            ));
        }
        "initcap" => row(name, "", args(call, 1, &[T])?, |r| Ok(Some(initcap(r.text(0))))),
        "reverse" if !matches!(call.args.first().map(|arg| &arg.ty), Some(DataType::List(_))) => {
            row(name, "", args(call, 1, &[T])?, |r| Ok(Some(r.text(0).chars().rev().collect::<String>())))
        }
        "repeat" => row(name, "", args(call, 2, &[T, I])?, |r| {
            let times = usize::try_from(r.int(1)).unwrap_or(0);
            if r.text(0).len().saturating_mul(times) > 256 << 20 {
                return Err(spark("INVALID_PARAMETER_VALUE.LENGTH", "repeat would make a string of more than 256 MiB"));
            }
            Ok(Some(r.text(0).repeat(times)))
        }),
        "space" => row(name, "", args(call, 1, &[I])?, |r| {
            Ok(Some(" ".repeat(usize::try_from(r.int(0)).unwrap_or(0).min(256 << 20))))
        }),
        "translate" => row(name, "", args(call, 3, &[T, T, T])?, |r| {
            let (from, to): (Vec<char>, Vec<char>) = (r.text(1).chars().collect(), r.text(2).chars().collect());
            let out = r.text(0).chars().filter_map(|c| match from.iter().position(|known| *known == c) {
                Some(at) => to.get(at).copied(),
                None => Some(c),
            });
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
            return Ok(Some(
                row(name, "", values, |r| {
                    Ok(Some(if r.text(1).is_empty() {
                        r.text(0).to_owned()
                    } else {
                        r.text(0).replace(r.text(1), r.text(2))
                    }))
                })
                .named(shown),
            ));
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
        "base64" => {
            call.arity(1, 1)?;
            let values = call
                .args
                .iter()
                .map(|arg| binder.implicit(arg.clone(), &DataType::Binary, &text))
                .collect::<Result<Vec<_>>>()?;
            row(name, "", values, |r| Ok(Some(base64(r.bytes(0)))))
        }
        "unbase64" => row(name, "", args(call, 1, &[T])?, |r| {
            unbase64(r.text(0))
                .map(Some)
                .ok_or_else(|| spark("CONVERSION_INVALID_INPUT", format!("the value '{}' is no BASE64", r.text(0))))
        }),
        "hex" => {
            call.arity(1, 1)?;
            match &call.args[0].ty {
                DataType::Binary => row(name, "b", args(call, 1, &[DataType::Binary])?, |r| Ok(Some(hex(r.bytes(0))))),
                DataType::Utf8 => row(name, "t", args(call, 1, &[T])?, |r| Ok(Some(hex(r.text(0).as_bytes())))),
                _ => row(name, "i", args(call, 1, &[DataType::Int64])?, |r| Ok(Some(format!("{:X}", r.long(0))))),
            }
        }
        "unhex" => row(name, "", args(call, 1, &[T])?, |r| Ok(unhex(r.text(0)))),
        "encode" => row(name, "", args(call, 2, &[T, T])?, |r| charset_encode(r.text(0), r.text(1)).map(Some)),
        "decode" => {
            row(name, "", args(call, 2, &[DataType::Binary, T])?, |r| charset_decode(r.bytes(0), r.text(1)).map(Some))
        }
        "md5" | "sha1" | "sha" | "crc32" | "sha2" => return digest(binder, call, text),
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
                return Err(unsupported("format_number with a pattern"));
            }
            let places = binder.implicit(call.args[1].clone(), &I, &text)?;
            let value = call.args[0].clone();
            if !types::is_numeric(&value.ty) && value.ty != DataType::Null {
                return Err(unexpected_type(&text, &value, "NUMERIC"));
            }
            let value = binder.cast(value, &T)?;
            row(name, "", vec![value, places], |r| Ok(format_number(r.text(0), r.int(1))))
        }
        "url_encode" => row(name, "", args(call, 1, &[T])?, |r| {
            let out = r.text(0).bytes().map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => char::from(b).to_string(),
                b' ' => "+".to_owned(),
                b => format!("%{b:02X}"),
            });
            Ok(Some(out.collect::<String>()))
        }),
        "url_decode" => row(name, "", args(call, 1, &[T])?, |r| url_decode(r.text(0)).map(Some)),
        "is_valid_utf8" => row(name, "", args(call, 1, &[T])?, |_| Ok(Some(true))),
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
            let mut values = args(call, 1, &[T, T, T, T])?;
            for default in ["X", "x", "n"].iter().skip(values.len() - 1) {
                values.push(Bound::literal(ScalarValue::from(*default), *default));
            }
            let shown = format!(
                "mask({}, NULL)",
                values.iter().map(|value| value.name.as_str()).collect::<Vec<_>>().join(", ")
            );
            return Ok(Some(
                row(name, "", values, |r| {
                    let out = r.text(0).chars().map(|c| {
                        if c.is_uppercase() {
                            r.text(1).to_owned()
                        } else if c.is_lowercase() {
                            r.text(2).to_owned()
                        } else if c.is_ascii_digit() {
                            r.text(3).to_owned()
                        } else {
                            c.to_string()
                        }
                    });
                    Ok(Some(out.collect::<String>()))
                })
                .named(shown),
            ));
        }
        _ => return Ok(None),
    };
    Ok(Some(bound.named(text)))
}

fn digest(binder: &Binder, call: &mut Call<'_>, text: String) -> Result<Option<Bound>> {
    use datafusion::functions::crypto;
    let name = call.name;
    call.arity(if name == "sha2" { 2 } else { 1 }, if name == "sha2" { 2 } else { 1 })?;
    let mut values = std::mem::take(&mut call.args).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    let value = binder.implicit(value, &DataType::Binary, &text)?;
    Ok(Some(match name {
        "md5" => binder.native(crypto::md5(), vec![value], text)?,
        "sha1" | "sha" => binder.native(datafusion_spark::function::hash::sha1(), vec![value], text)?,
        "crc32" => binder.native(datafusion_spark::function::hash::crc32(), vec![value], text)?,
        _ => {
            let Some(bits) = values.next() else { return Ok(None) };
            let bits = binder.implicit(bits, &DataType::Int32, &text)?;
            binder.native(datafusion_spark::function::hash::sha2(), vec![value, bits], text)?
        }
    }))
}

/// Grouped thousands, rounded half even as Java's DecimalFormat.
fn format_number(number: &str, places: i32) -> Option<String> {
    let places = u8::try_from(places).ok()?;
    let value: f64 = number.parse().ok()?;
    let shown = match crate::spark::parse::digits(number) {
        Some(digits) => {
            crate::spark::text::decimal(digits.at_scale(38, i8::try_from(places).ok()?)?, i8::try_from(places).ok()?)
        }
        None => format!("{value:.*}", usize::from(places)),
    };
    let half_even = format!("{value:.*}", usize::from(places));
    let shown = if shown.len() == half_even.len() && number.len() < 16 { half_even } else { shown };
    let (sign, rest) = shown.strip_prefix('-').map_or(("", shown.as_str()), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    Some(if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") })
}

fn url_decode(text: &str) -> Result<String> {
    let bad = || spark("CANNOT_DECODE_URL", format!("the URL cannot be decoded: {text}"));
    let mut bytes = Vec::new();
    let raw = text.as_bytes();
    let mut at = 0;
    while at < raw.len() {
        match raw[at] {
            b'+' => bytes.push(b' '),
            b'%' => {
                let pair = text.get(at + 1..at + 3).ok_or_else(bad)?;
                bytes.push(u8::from_str_radix(pair, 16).map_err(|_| bad())?);
                at += 2;
            }
            other => bytes.push(other),
        }
        at += 1;
    }
    String::from_utf8(bytes).map_err(|_| bad())
}
