//! What Spark's functions of strings say of one text: places and lengths count characters.

use std::collections::HashSet;

/// Where Spark's `substr` begins and ends in a text of that many characters.
pub(super) fn range(length: usize, start: i32, count: i64) -> (usize, usize) {
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

pub(super) fn substring(text: &str, start: i32, count: i64) -> &str {
    if text.is_ascii() {
        let (from, to) = range(text.len(), start, count);
        return &text[from..to];
    }
    let (from, to) = range(text.chars().count(), start, count);
    let place = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(place, _)| place);
    &text[place(from)..place(to)]
}

pub(super) fn int(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// The 1-based place of the needle, in characters, from a 1-based place on; 0 when it is not there.
pub(super) fn locate(needle: &str, hay: &str, from: i32) -> i32 {
    let Ok(skip) = usize::try_from(i64::from(from) - 1) else { return 0 };
    let Some((start, _)) = hay.char_indices().chain([(hay.len(), ' ')]).nth(skip) else { return 0 };
    match hay[start..].find(needle) {
        Some(at) => int(hay[..start + at].chars().count()) + 1,
        None => 0,
    }
}

/// The first parts of a text, or the last ones for a negative count, with what was between them.
pub(super) fn substring_index<'t>(text: &'t str, by: &str, count: i32) -> &'t str {
    if count == 0 || by.is_empty() {
        return "";
    }
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count > 0 {
        return text.match_indices(by).nth(wanted - 1).map_or(text, |(at, _)| &text[..at]);
    }
    let all = text.matches(by).count();
    match all.checked_sub(wanted) {
        Some(skipped) => text.match_indices(by).nth(skipped).map_or(text, |(at, found)| &text[at + found.len()..]),
        None => text,
    }
}

/// One of the parts of a text, counted from 1, from the end when negative; nothing where there is no such part.
pub(super) fn split_part<'t>(text: &'t str, by: &str, at: i32) -> &'t str {
    let wanted = i64::from(at);
    if by.is_empty() {
        return if wanted.abs() == 1 { text } else { "" };
    }
    let place =
        if wanted > 0 { wanted - 1 } else { i64::try_from(text.split(by).count()).unwrap_or(i64::MAX) + wanted };
    usize::try_from(place).ok().and_then(|place| text.split(by).nth(place)).unwrap_or_default()
}

pub(super) fn trimmed(text: &str, what: &str, left: bool, right: bool) -> String {
    let set: HashSet<char> = what.chars().collect();
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

pub(super) fn initcap(text: &str) -> String {
    let mut start = true;
    text.chars()
        .map(|c| {
            let out = if start { c.to_uppercase().to_string() } else { c.to_lowercase().to_string() };
            start = c == ' ';
            out
        })
        .collect()
}

pub(super) fn soundex(text: &str) -> String {
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

/// Grouped thousands, rounded half even as Java's DecimalFormat.
pub(super) fn format_number(number: &str, places: i32) -> Option<String> {
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
