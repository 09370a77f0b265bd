//! `parse_url`: the parts of a URL, as Java's `URI` takes them apart.

use arrow::datatypes::DataType;

use super::Call;
use super::rows::{call as row, coerce};
use crate::bind::{Binder, Bound};
use crate::spark::error::{Result, spark_hint};

const T: DataType = DataType::Utf8;

/// A URL taken apart; every part raw.
struct Parts<'u> {
    protocol: Option<&'u str>,
    authority: Option<&'u str>,
    path: &'u str,
    query: Option<&'u str>,
    fragment: Option<&'u str>,
}

/// `None`: no URL.
fn parts(url: &str) -> Option<Parts<'_>> {
    let legal = |c: char| !c.is_whitespace() && !c.is_control() && !"\"<>\\^`{|}".contains(c);
    let escaped = url
        .match_indices('%')
        .all(|(at, _)| url.as_bytes().get(at + 1..at + 3).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit)));
    if !url.chars().all(legal) || !escaped {
        return None;
    }
    let (rest, fragment) = url.split_once('#').map_or((url, None), |(rest, fragment)| (rest, Some(fragment)));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let scheme = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let (protocol, rest) = match rest.split_once(':') {
        Some((name, rest)) if scheme(name) => (Some(name), rest),
        _ => (None, rest),
    };
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        }
        None => (None, rest),
    };
    Some(Parts { protocol, authority: authority.filter(|authority| !authority.is_empty()), path, query, fragment })
}

fn part(url: &str, wanted: &str, key: Option<&str>) -> Option<Option<String>> {
    let Parts { protocol, authority, path, query, fragment } = parts(url)?;
    let found = match wanted {
        "HOST" => authority.and_then(|authority| {
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            let end = if host.starts_with('[') { host.find(']').map(|at| at + 1) } else { host.find(':') };
            let host = &host[..end.unwrap_or(host.len())];
            (!host.is_empty()).then_some(host)
        }),
        "PATH" => Some(path),
        "QUERY" => {
            return Some(match key {
                None => query.map(str::to_owned),
                Some(key) => query.and_then(|query| {
                    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                    pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
                }),
            });
        }
        "REF" => fragment,
        "PROTOCOL" => protocol,
        "FILE" => return Some(Some(query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")))),
        "AUTHORITY" => authority,
        "USERINFO" => authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user),
        _ => None,
    };
    Some(found.map(str::to_owned).filter(|_| key.is_none()))
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    if !matches!(call.name, "parse_url" | "try_parse_url") {
        return Ok(None);
    }
    let (text, safe) = (call.text(), call.name.starts_with("try_"));
    let values = coerce(binder, call, 2, &[T, T, T])?;
    let keyed = values.len() == 3;
    let bound = row(call.name, format!("{keyed}"), values, move |r| {
        match part(r.text(0), r.text(1), keyed.then(|| r.text(2))) {
            Some(found) => Ok(found),
            None if safe => Ok(None),
            None => Err(spark_hint(
                "INVALID_URL",
                format!("the URL is invalid: {}", r.text(0)),
                "use try_parse_url to get NULL instead",
            )),
        }
    });
    Ok(Some(bound.named(text)))
}
