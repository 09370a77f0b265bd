//! Functions of regular expressions.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::Call;
use super::like::java_regex;
use super::rows::{PER_ITEM, Row, call as row, coerce};
use crate::bind::{Binder, Bound};
use crate::spark::error::{Result, spark};

const T: DataType = DataType::Utf8;
const I: DataType = DataType::Int32;

/// Java's replacement text as this crate's.
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

fn split(r: &Row<'_>) -> Result<Vec<String>> {
    let (text, pattern, limit) = (r.text(0), r.text(1), r.int(2));
    let mut parts: Vec<String> = Vec::new();
    if pattern.is_empty() {
        r.room_for(text.len().saturating_mul(PER_ITEM))?;
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
        r.room_for(text.len() + parts.len() * PER_ITEM)?;
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

fn int(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let text = call.text();
    let name = call.name;
    let args = |call: &mut Call<'_>, required: usize, tys: &[DataType]| coerce(binder, call, required, tys);
    let bound = match name {
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
            return Ok(Some(row(name, "", values, |r| split(r).map(Some)).named(shown)));
        }
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
            // A group that is not there matters only where the pattern matches.
            let group = move |regex: &regex::Regex, wanted: i32| match usize::try_from(wanted) {
                Ok(at) if at < regex.captures_len() => Ok(at),
                _ => Err(group_error(&function, regex.captures_len() - 1, wanted)),
            };
            if name == "regexp_extract" {
                return Ok(Some(
                    row(name, "", values, move |r| {
                        let regex = java_regex(r.text(1), "regexp_extract")?;
                        let Some(found) = regex.captures(r.text(0)) else { return Ok(Some(String::new())) };
                        let part = found.get(group(&regex, r.int(2))?);
                        Ok(Some(part.map(|part| part.as_str().to_owned()).unwrap_or_default()))
                    })
                    .named(shown),
                ));
            }
            return Ok(Some(
                row(name, "", values, move |r| {
                    let regex = java_regex(r.text(1), "regexp_extract_all")?;
                    let mut all = Vec::new();
                    for found in regex.captures_iter(r.text(0)) {
                        r.room_for(r.text(0).len() + all.len() * PER_ITEM)?;
                        all.push(
                            found
                                .get(group(&regex, r.int(2))?)
                                .map(|part| part.as_str().to_owned())
                                .unwrap_or_default(),
                        );
                    }
                    Ok(Some(all))
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
                    let skip = usize::try_from(i64::from(r.int(3)) - 1).unwrap_or(0);
                    let value = r.text(0);
                    let at = value.char_indices().nth(skip).map_or(value.len(), |(at, _)| at);
                    let with = replacement(r.text(2));
                    let groups = with.matches('$').count();
                    let (mut out, mut last) = (value[..at].to_owned(), at);
                    for found in regex.captures_iter(&value[at..]) {
                        let Some(whole) = found.get(0) else { continue };
                        out.push_str(&value[last..at + whole.start()]);
                        let most = with.len().saturating_add(groups.saturating_mul(whole.len()));
                        r.room_for(out.len().saturating_add(most))?;
                        found.expand(&with, &mut out);
                        last = at + whole.end();
                    }
                    out.push_str(&value[last..]);
                    Ok(Some(out))
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
        _ => return Ok(None),
    };
    Ok(Some(bound.named(text)))
}
