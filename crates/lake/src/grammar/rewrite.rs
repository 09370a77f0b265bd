//! What sqlparser's grammar cannot read is given to it in other tokens.
//!
//! Nested types after AS and `::` become one quoted word, which `types` reads back; intervals of several units become
//! one string; the path in COPY INTO's query becomes a name; `TABLE t` as a query becomes `SELECT * FROM t`; TRIM(BOTH FROM
//! x) loses its FROM. Each new token keeps the place of those that it replaces.

use std::ops::Range;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{
    cursor::{Result, is_word},
    error::SyntaxError,
    tokens::Tokens,
    types::DataType,
};

pub(super) fn rewrite(input: Tokens) -> Result<Tokens> {
    let copy_into = input.tokens.first().is_some_and(|first| is_word(&first.token, "COPY"));
    let mut rewriter = Rewriter {
        out: Tokens { tokens: Vec::with_capacity(input.tokens.len()), ranges: Vec::with_capacity(input.ranges.len()) },
        input,
    };
    let mut position = 0;
    while position < rewriter.input.tokens.len() {
        position = rewriter.step(position, copy_into)?;
    }
    Ok(rewriter.out)
}

struct Rewriter {
    input: Tokens,
    out: Tokens,
}

impl Rewriter {
    fn token(&self, position: usize) -> &Token {
        self.input.tokens.get(position).map_or(&Token::EOF, |token| &token.token)
    }

    fn is(&self, position: usize, word: &str) -> bool {
        is_word(self.token(position), word)
    }

    fn is_string(&self, position: usize) -> bool {
        matches!(self.token(position), Token::SingleQuotedString(_))
    }

    fn error(&self, position: usize, expected: &str) -> SyntaxError {
        let error =
            SyntaxError::syntax(format!("syntax error at or near '{}': expected {expected}", self.token(position)));
        let start = self.input.tokens.get(position).map(|token| token.span.start);
        start.map_or(error.clone(), |start| error.at(start.line, start.column))
    }

    /// Writes `token` in the place of the tokens in `from`.
    fn put(&mut self, token: Token, from: Range<usize>) {
        let (Some(first), Some(last)) = (self.input.tokens.get(from.start), self.input.tokens.get(from.end - 1)) else {
            return;
        };
        let mut span = first.span;
        span.end = last.span.end;
        self.out.tokens.push(TokenWithSpan::new(token, span));
        self.out.ranges.push(self.input.ranges[from.start].start..self.input.ranges[from.end - 1].end);
    }

    fn copy(&mut self, position: usize) {
        self.put(self.token(position).clone(), position..position + 1);
    }

    /// Handles what begins at `position`, and says where to go on.
    fn step(&mut self, position: usize, copy_into: bool) -> Result<usize> {
        let next = position + 1;
        let type_follows = self.is(position, "AS") || *self.token(position) == Token::DoubleColon;
        let nested = ["STRUCT", "MAP", "ARRAY"].iter().any(|word| self.is(next, word));
        if type_follows && nested && *self.token(next + 1) == Token::Lt {
            let (data_type, length) = DataType::parse_tokens(&self.input.tokens[next..])?;
            self.copy(position);
            self.put(Token::make_word(&data_type.to_string(), Some('`')), next..next + length);
            return Ok(next + length);
        }
        if self.is(position, "TABLE") && self.query_begins(position) && matches!(self.token(next), Token::Word(_)) {
            for token in [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")] {
                self.put(token, position..next);
            }
            return Ok(next);
        }
        if let Token::Word(word) = self.token(position)
            && self.is(position, "STRUCT")
            && !matches!(self.token(next), Token::LParen | Token::Lt)
        {
            // A name like any other.
            self.put(Token::make_word(&word.value.clone(), Some('`')), position..next);
            return Ok(next);
        }
        let side = ["BOTH", "LEADING", "TRAILING"].iter().any(|side| self.is(position, side));
        if side
            && self.is(next, "FROM")
            && position > 1
            && *self.token(position - 1) == Token::LParen
            && self.is(position - 2, "TRIM")
        {
            self.copy(position);
            return Ok(next + 1);
        }
        if self.is(position, "TIMESTAMP_LTZ") && self.is_string(next) {
            self.put(Token::make_word("TIMESTAMP", None), position..next);
            return Ok(next);
        }
        if self.is(position, "INTERVAL") {
            if self.is(next, "INTERVAL") {
                // sqlparser would recurse without counting.
                return Err(self.error(next, "the value of the interval"));
            }
            let end = self.interval_units(next);
            if end > next {
                let text = self.interval_text(next..end);
                self.copy(position);
                self.put(Token::SingleQuotedString(text), next..end);
                return Ok(end);
            }
        }
        if copy_into
            && self.is(position, "FROM")
            && self.is_string(next)
            && *self.token(position.wrapping_sub(1)) != Token::RParen
            && self.out.tokens.iter().any(|token| is_word(&token.token, "SELECT"))
            && let Token::SingleQuotedString(path) = self.token(next).clone()
        {
            self.copy(position);
            self.put(Token::make_word(super::PATH_SCHEME, None), next..next + 1);
            self.put(Token::Period, next..next + 1);
            self.put(Token::make_word(&path, Some('`')), next..next + 1);
            return Ok(next + 1);
        }
        self.copy(position);
        Ok(next)
    }

    /// Whether a query may begin here: at the start, in parentheses, after a set operator or EXPLAIN.
    fn query_begins(&self, position: usize) -> bool {
        const BEFORE: &[&str] = &["UNION", "EXCEPT", "MINUS", "INTERSECT", "ALL", "DISTINCT", "EXPLAIN", "EXTENDED"];
        match position.checked_sub(1) {
            None => true,
            Some(before) => *self.token(before) == Token::LParen || BEFORE.iter().any(|word| self.is(before, word)),
        }
    }

    /// Where a list of at least two `value unit` ends; `from` itself if there is none.
    fn interval_units(&self, from: usize) -> usize {
        let (mut end, mut pairs) = (from, 0);
        loop {
            let value = end + usize::from(*self.token(end) == Token::Minus);
            let is_value = matches!(self.token(value), Token::Number(..)) || self.is_string(value);
            if !is_value || !is_unit(self.token(value + 1)) || self.is(value + 2, "TO") {
                return if pairs >= 2 { end } else { from };
            }
            pairs += 1;
            end = value + 2;
        }
    }

    fn interval_text(&self, range: Range<usize>) -> String {
        let mut text = String::new();
        for token in &self.input.tokens[range] {
            match &token.token {
                Token::Minus => text.push('-'),
                Token::Number(value, _) | Token::SingleQuotedString(value) => text.extend([value, " "]),
                other => text.extend([other.to_string().as_str(), " "]),
            }
        }
        text.trim_end().to_owned()
    }
}

fn is_unit(token: &Token) -> bool {
    const UNITS: &[&str] = &["YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND"];
    match token {
        Token::Word(word) if word.quote_style.is_none() => {
            let unit = word.value.to_ascii_uppercase();
            UNITS.contains(&unit.strip_suffix('S').unwrap_or(&unit))
        }
        _ => false,
    }
}
