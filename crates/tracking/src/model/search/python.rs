//! What upstream's messages show by Python's own means: texts, sets, lists and numbers as Python writes them; and the two
//! readers of its standard library that filters and orders go through.

/// A text as Python shows it: in single quotes, unless only double ones spare it an escape.
pub(crate) fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Bytes as Python shows them.
pub(super) fn repr_bytes(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|&byte| if byte.is_ascii() { char::from(byte) } else { '\u{80}' }).collect();
    let shown = repr(&text);
    let mut others = bytes.iter().filter(|byte| !byte.is_ascii());
    let mut out = String::from("b");
    for c in shown.chars() {
        match c {
            '\u{80}' => out.push_str(&format!("\\x{:02x}", others.next().copied().unwrap_or_default())),
            c => out.push(c),
        }
    }
    out
}

/// A set of names. Python's order is another in each process; this one is that of the alphabet.
pub(super) fn set(names: &[&str]) -> String {
    let mut names = names.to_vec();
    names.sort_unstable();
    format!("{{{}}}", joined(&names))
}

/// A list of texts.
pub(crate) fn list(texts: &[impl AsRef<str>]) -> String {
    format!("[{}]", joined(texts))
}

/// A tuple of texts; one of a single text ends with a comma.
pub(super) fn tuple(texts: &[impl AsRef<str>]) -> String {
    format!("({}{})", joined(texts), if texts.len() == 1 { "," } else { "" })
}

fn joined(texts: &[impl AsRef<str>]) -> String {
    texts.iter().map(|text| repr(text.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A number with a fraction as Python writes it: `1.5`, `100000.0`, `1e+16`.
pub(super) fn float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let shown = format!("{number:e}");
    let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if number != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{number}");
    if plain.contains('.') { plain } else { plain + ".0" }
}

/// Something in a list of a filter.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    Text(String),
    /// Not a text: what was written.
    Other(String),
}

/// Reads `('a', "b")`; `None` when it is not a list of literals.
pub(super) fn literals(text: &str) -> Option<Vec<Item>> {
    let mut rest = text.trim().strip_prefix('(')?.strip_suffix(')')?.trim();
    if rest.starts_with('(') {
        return literals(rest);
    }
    let mut items = Vec::new();
    while !rest.is_empty() {
        let mut item = None;
        // Texts side by side are one.
        while rest.starts_with(['\'', '"']) {
            let (part, behind) = string(rest)?;
            item.get_or_insert_with(String::new).push_str(&part);
            rest = behind.trim_start();
        }
        match item {
            Some(text) => items.push(Item::Text(text)),
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let word = rest[..end].trim();
                let literal = word.parse::<f64>().is_ok() && word.ends_with(|c: char| c.is_ascii_digit() || c == '.')
                    || matches!(word, "None" | "True" | "False");
                if !literal {
                    return None;
                }
                items.push(Item::Other(word.to_owned()));
                rest = &rest[end..];
            }
        }
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
    Some(items)
}

/// A text in Python's quotes, and what is behind it.
fn string(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((out, &text[at + 1..])),
            '\n' | '\r' => return None,
            '\\' => {
                let (_, escaped) = chars.next()?;
                let mut code = |length: usize| {
                    let digits: String = chars.by_ref().take(length).map(|(_, c)| c).collect();
                    u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)
                };
                match escaped {
                    '\n' => {}
                    '\\' | '\'' | '"' => out.push(escaped),
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    'x' => out.push(code(2)?),
                    'u' => out.push(code(4)?),
                    'U' => out.push(code(8)?),
                    other => out.extend(['\\', other]),
                }
            }
            c => out.push(c),
        }
    }
    None
}

/// Splits a text into words as a shell would; `None` when a quote is not closed.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        end if end == c => break,
                        '\\' if c == '"' => match chars.next()? {
                            escaped @ ('"' | '\\') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        other => word.push(other),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}
