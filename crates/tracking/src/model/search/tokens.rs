//! A filter's tokens.
//!
//! MLflow reads filters with the Python library sqlparse, and what that takes for a number, a name or a string shows in which
//! filters work and in the words of errors. So the rules here are that library's, in its order; those for dialects that no
//! filter meets are left out. Spans are byte offsets: joined tokens are the text between.

/// What a token, or a group of tokens, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Space,
    Comment,
    Name,
    Builtin,
    Placeholder,
    Keyword,
    /// The keyword NULL, which may be compared with.
    Null,
    /// ASC or DESC.
    Direction,
    Int,
    Float,
    Hex,
    /// In single quotes.
    Single,
    /// In double quotes.
    Symbol,
    Punctuation,
    /// `=`, `LIKE` and their kin.
    Relation,
    Operator,
    Wildcard,
    Unknown,
    // Groups.
    Identifier,
    Function,
    Parenthesis,
    Brackets,
    Operation,
    Comparison,
    List,
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Splits a text into tokens that cover it; `None` as soon as there are more than so many.
pub(super) fn tokens(text: &str, most: usize) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut start = 0;
    // Looked for once: a text of many `/*` that nothing ends would be searched to its end at each of them.
    let last_end = text.rfind("*/");
    while start < text.len() {
        if out.len() == most {
            return None;
        }
        let (kind, length) = next(text, start, last_end);
        out.push(Token { kind, start, end: start + length });
        start += length;
    }
    Some(out)
}

/// The token there; the last `*/` of the text begins at `last_end`.
fn next(text: &str, at: usize, last_end: Option<usize>) -> (Kind, usize) {
    let rest = &text[at..];
    let before = text[..at].chars().next_back();
    let first = rest.chars().next().unwrap_or_default();
    if let Some(comment) = comment(rest, last_end.is_some_and(|end| end >= at + 2)) {
        return (Kind::Comment, comment);
    }
    if first.is_whitespace() {
        return (Kind::Space, first.len_utf8());
    }
    match first {
        '*' => return (Kind::Wildcard, 1),
        '`' => {
            if let Some(length) = quoted(rest, '`', false) {
                return (Kind::Name, length);
            }
        }
        '?' => return (Kind::Placeholder, 1),
        '%' if rest[1..].starts_with(['s', 'S']) => return (Kind::Placeholder, 2),
        '$' | ':' if !before.is_some_and(word) && word_length(&rest[1..]) > 0 => {
            return (Kind::Placeholder, 1 + word_length(&rest[1..]));
        }
        _ => {}
    }
    if let Some(found) = name(rest, before).or_else(|| number(rest)) {
        return found;
    }
    match first {
        '\'' => {
            if let Some(length) = quoted(rest, '\'', true) {
                return (Kind::Single, length);
            }
        }
        '"' => {
            if let Some(length) = quoted(rest, '"', true) {
                return (Kind::Symbol, length);
            }
        }
        '[' if !before.is_some_and(|c| word(c) || c == ']' || c == ')') => {
            let inner = rest[1..].find(['[', ']']).filter(|&end| end > 0 && rest[1 + end..].starts_with(']'));
            if let Some(end) = inner {
                return (Kind::Name, end + 2);
            }
        }
        _ => {}
    }
    if word(first) {
        return keyword(rest);
    }
    match first {
        ';' | ':' | '(' | ')' | '[' | ']' | ',' | '.' => (Kind::Punctuation, 1),
        '<' | '>' | '=' | '~' | '!' => {
            (Kind::Relation, rest.len() - rest.trim_start_matches(['<', '>', '=', '~', '!']).len())
        }
        '-' | '|' => (Kind::Operator, 1),
        '+' | '/' | '@' | '#' | '%' | '^' | '&' => {
            (Kind::Operator, rest.len() - rest.trim_start_matches(['+', '/', '@', '#', '%', '^', '&', '|', '-']).len())
        }
        other => (Kind::Unknown, other.len_utf8()),
    }
}

/// `-- …` and `# …` to the end of the line, `/* … */`.
fn comment(rest: &str, ends: bool) -> Option<usize> {
    if rest.starts_with("--") || rest.starts_with("# ") {
        return Some(rest.find(['\r', '\n']).unwrap_or(rest.len()));
    }
    let inner = rest.strip_prefix("/*").filter(|_| ends)?;
    inner.find("*/").map(|end| end + 4)
}

/// Names that are names by what stands around them.
fn name(rest: &str, before: Option<char>) -> Option<(Kind, usize)> {
    let first = rest.chars().next()?;
    if matches!(first, '@' | '#') {
        let behind = rest.strip_prefix("##").unwrap_or(&rest[1..]);
        let length = word_length(behind);
        let is_name = behind.starts_with(letter) && behind.chars().nth(1).is_some_and(word);
        return is_name.then_some((Kind::Name, rest.len() - behind.len() + length));
    }
    if !letter(first) {
        return None;
    }
    let length = word_length(rest);
    let (this, behind) = rest.split_at(length);
    if ["CASE", "IN", "VALUES", "USING", "FROM", "AS"].iter().any(|word| this.eq_ignore_ascii_case(word)) {
        return Some((Kind::Keyword, length));
    }
    let dotted =
        behind.trim_start().strip_prefix('.').is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_digit()));
    // The words of our own grammar may touch a parenthesis.
    let called = behind.starts_with('(') && !["AND", "OR"].iter().any(|word| this.eq_ignore_ascii_case(word));
    (dotted || before == Some('.') || called).then_some((Kind::Name, length))
}

/// A number. A letter right behind it takes its last digit with it into a name, as upstream: `12a` is `1` and `2a`.
fn number(rest: &str) -> Option<(Kind, usize)> {
    let body = rest.strip_prefix('-').unwrap_or(rest);
    let sign = rest.len() - body.len();
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if let Some(hex) = body.strip_prefix("0x").or_else(|| body.strip_prefix("0X")) {
        let length = hex.len() - hex.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len();
        if length > 0 {
            return Some((Kind::Hex, sign + 2 + length));
        }
    }
    let whole = digits(body);
    let fraction = body[whole..].strip_prefix('.').map(digits);
    if whole > 0 {
        // 1.5e-3: with an exponent
        let mantissas = [fraction.filter(|&length| length > 0).map(|length| whole + 1 + length), Some(whole)];
        for mantissa in mantissas.into_iter().flatten() {
            if let Some(behind) = body[mantissa..].strip_prefix(['e', 'E']) {
                let unsigned = behind.strip_prefix('-').unwrap_or(behind);
                let exponent = digits(unsigned);
                if exponent > 0 {
                    return Some((Kind::Float, sign + mantissa + 1 + (behind.len() - unsigned.len()) + exponent));
                }
            }
        }
    }
    let ends = |length: usize| !body[length..].starts_with(|c: char| c == '_' || letter(c));
    if let Some(fraction) = fraction {
        let least = usize::from(whole == 0);
        for length in (least..=fraction).rev() {
            if ends(whole + 1 + length) {
                return Some((Kind::Float, sign + whole + 1 + length));
            }
        }
    }
    (1..=whole).rev().find(|&length| ends(length)).map(|length| (Kind::Int, sign + length))
}

/// The length of a quoted text. A doubled quote, and one behind a backslash where those count, is part of it, unless
/// nothing else would end the text.
fn quoted(rest: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut last_pair = None;
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        let before_quote = chars.peek().is_some_and(|&(_, next)| next == quote);
        if c == quote {
            if !before_quote {
                return Some(at + 1);
            }
            last_pair = Some(at + 1);
            chars.next();
        } else if c == '\\' && escapes && before_quote {
            last_pair = Some(at + 2);
            chars.next();
        }
    }
    last_pair
}

/// A word by its look alone: a keyword, or a name.
fn keyword(rest: &str) -> (Kind, usize) {
    let length = word_length(rest);
    let (this, behind) = rest.split_at(length);
    let upper = this.to_ascii_uppercase();
    // The second word of a keyword of two, and where it ends.
    let second = || {
        let trimmed = behind.trim_start();
        let gap = behind.len() - trimmed.len();
        let end = word_length(trimmed);
        (gap > 0).then(|| (trimmed[..end].to_ascii_uppercase(), length + gap + end))
    };
    match upper.as_str() {
        "NOT" => match second() {
            Some((word, end)) if word == "NULL" => (Kind::Keyword, end),
            Some((word, end)) if RELATIONS.contains(&word.as_str()) => (Kind::Relation, end),
            _ => (Kind::Keyword, length),
        },
        "ASC" | "DESC" => match second() {
            Some((word, end)) if word == "NULLS" => {
                let behind = rest[end..].trim_start();
                let place = word_length(behind);
                if matches!(behind[..place].to_ascii_uppercase().as_str(), "FIRST" | "LAST") {
                    (Kind::Direction, rest.len() - behind.len() + place)
                } else {
                    (Kind::Direction, length)
                }
            }
            _ => (Kind::Direction, length),
        },
        "NULL" => (Kind::Null, length),
        word if RELATIONS.contains(&word) => (Kind::Relation, length),
        word if BUILTINS.contains(&word) => (Kind::Builtin, length),
        word if KEYWORDS.contains(&word) => (Kind::Keyword, length),
        _ => (Kind::Name, rest.len() - rest.trim_start_matches(|c| word(c) || c == '$' || c == '#').len()),
    }
}

fn word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn letter(c: char) -> bool {
    c.is_ascii_alphabetic() || ('À'..='Ü').contains(&c) || ('à'..='ü').contains(&c)
}

fn word_length(text: &str) -> usize {
    text.len() - text.trim_start_matches(word).len()
}

const RELATIONS: [&str; 4] = ["LIKE", "ILIKE", "RLIKE", "REGEXP"];
const BUILTINS: [&str; 12] = [
    "BOOLEAN",
    "CHAR",
    "DATE",
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "INT",
    "INTEGER",
    "TEXT",
    "TIMESTAMP",
    "VARCHAR",
    "BIGINT",
];

/// Words that are no names by themselves: SQL's, as far as somebody might write them for a name.
const KEYWORDS: [&str; 75] = [
    "ALL",
    "AND",
    "ANY",
    "ASSIGNMENT",
    "AVG",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CATALOG",
    "CHECK",
    "CLASS",
    "COLUMN",
    "COMMENT",
    "CONSTRAINT",
    "COPY",
    "COUNT",
    "CREATE",
    "DATA",
    "DATABASE",
    "DEFAULT",
    "DELETE",
    "DISTINCT",
    "DOMAIN",
    "DROP",
    "ELSE",
    "END",
    "ESCAPE",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FIRST",
    "FOR",
    "FULL",
    "FUNCTION",
    "GROUP",
    "HAVING",
    "HOST",
    "INDEX",
    "INPUT",
    "INSERT",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LABEL",
    "LANGUAGE",
    "LAST",
    "LENGTH",
    "LEVEL",
    "LIMIT",
    "LOCATION",
    "MAX",
    "MIN",
    "MODE",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTPUT",
    "PARAMETER",
    "PARAMETERS",
    "SCHEMA",
    "SELECT",
    "SET",
    "SOURCE",
    "START",
    "SUM",
    "TABLE",
    "TIME",
    "TRUE",
    "TYPE",
    "USER",
    "VERSION",
    "WHERE",
    "WITH",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_end_or_are_none() {
        let kinds = |text: &str| -> Vec<(Kind, usize)> {
            let found = tokens(text, 100).unwrap_or_default();
            found.into_iter().map(|token| (token.kind, token.end - token.start)).collect()
        };
        let (slash, star) = ((Kind::Operator, 1), (Kind::Wildcard, 1));
        assert_eq!(kinds("/* a */"), [(Kind::Comment, 7)]);
        assert_eq!(kinds("/**/ /*"), [(Kind::Comment, 4), (Kind::Space, 1), slash, star]);
        assert_eq!(kinds("/*/"), [slash, star, slash]);
    }

    #[test]
    fn too_many_are_none() {
        assert_eq!(tokens("a b c", 5).map(|tokens| tokens.len()), Some(5));
        assert!(tokens("a b c", 4).is_none());
    }
}
