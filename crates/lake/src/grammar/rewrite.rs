//! What sqlparser's grammar cannot read is given to it in other tokens.
//!
//! Nested types after AS and `::` become one quoted word, which `types` reads back; intervals of several units become
//! one string; the path in COPY INTO's query becomes a name; `TABLE t` as a query becomes `SELECT * FROM t`; TRIM(BOTH FROM
//! x) loses its FROM; `VALUES 1, 2` gets its parentheses; `LATERAL VIEW f(x) t ORDER BY` becomes `… t WHERE TRUE ORDER BY`, for
//! sqlparser would take ORDER for a column's alias. Each new token keeps the place of those that it replaces.

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
        depth: 0,
        bare: Vec::new(),
    };
    let mut position = 0;
    while position < rewriter.input.tokens.len() {
        rewriter.between(position);
        position = rewriter.step(position, copy_into)?;
    }
    rewriter.close(position);
    Ok(rewriter.out)
}

struct Rewriter {
    input: Tokens,
    out: Tokens,
    /// Brackets that are open.
    depth: usize,
    /// At which depths VALUES has values without parentheses, of which one is open.
    bare: Vec<usize>,
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

    /// Counts brackets, and closes a value of VALUES where it ends.
    fn between(&mut self, position: usize) {
        const BEHIND: &[&str] = &[
            "AS",
            "ORDER",
            "SORT",
            "LIMIT",
            "OFFSET",
            "UNION",
            "EXCEPT",
            "MINUS",
            "INTERSECT",
            "WHERE",
            "JOIN",
            "INNER",
            "CROSS",
            "LATERAL",
            "GROUP",
            "QUALIFY",
            "WINDOW",
        ];
        match self.token(position) {
            Token::LParen | Token::LBracket => self.depth += 1,
            Token::RParen | Token::RBracket => {
                self.close(position);
                self.depth = self.depth.saturating_sub(1);
            }
            Token::Comma | Token::SemiColon => self.close(position),
            _ if BEHIND.iter().any(|word| self.is(position, word)) => self.close(position),
            _ => {}
        }
    }

    /// Closes the value of VALUES that is open here, if there is one.
    fn close(&mut self, position: usize) {
        if self.bare.last() == Some(&self.depth) {
            self.put(Token::RParen, position.saturating_sub(1)..position);
            // Behind a comma comes the next one.
            if *self.token(position) != Token::Comma {
                self.bare.pop();
            }
        }
    }

    /// Whether VALUES stands here before a literal, which has no parentheses around it.
    fn bare_values(&self, position: usize) -> bool {
        let before = position.checked_sub(1);
        let after = self.is(0, "INSERT")
            || before.is_some_and(|before| ["AS", "FROM", "JOIN"].iter().any(|word| self.is(before, word)));
        let literal = match self.token(position + 1) {
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Minus => true,
            Token::Word(_) if self.is_string(position + 2) => {
                ["DATE", "TIMESTAMP", "INTERVAL"].iter().any(|word| self.is(position + 1, word))
            }
            Token::Word(_) => ["NULL", "TRUE", "FALSE"].iter().any(|word| self.is(position + 1, word)),
            _ => false,
        };
        self.is(position, "VALUES") && literal && (after || self.query_begins(position))
    }

    /// Whether a clause begins here behind a LATERAL VIEW that gives its columns no names: `LATERAL VIEW [OUTER] f(…) t` and a word
    /// that sqlparser knows as no clause there.
    fn ends_lateral_view(&self, position: usize) -> bool {
        const CLAUSES: &[&str] = &[
            "ORDER",
            "SORT",
            "DISTRIBUTE",
            "LIMIT",
            "OFFSET",
            "UNION",
            "EXCEPT",
            "MINUS",
            "INTERSECT",
            "QUALIFY",
            "WINDOW",
        ];
        if position < 6 || !CLAUSES.iter().any(|word| self.is(position, word)) {
            return false;
        }
        if !matches!(self.token(position - 1), Token::Word(_)) || *self.token(position - 2) != Token::RParen {
            return false;
        }
        let mut depth = 0_usize;
        let open = (0..position - 1).rev().find(|at| {
            match self.token(*at) {
                Token::RParen => depth += 1,
                Token::LParen => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        // The function's name before its arguments, and before it the words.
        let Some(before) = open.and_then(|open| open.checked_sub(2)) else { return false };
        let view = if self.is(before, "OUTER") { before.checked_sub(1) } else { Some(before) };
        view.is_some_and(|view| view > 0 && self.is(view, "VIEW") && self.is(view - 1, "LATERAL"))
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
        if self.bare_values(position) {
            self.copy(position);
            self.put(Token::LParen, position..next);
            self.bare.push(self.depth);
            return Ok(next);
        }
        if *self.token(position) == Token::Comma && self.bare.last() == Some(&self.depth) {
            self.copy(position);
            self.put(Token::LParen, position..next);
            return Ok(next);
        }
        if self.ends_lateral_view(position) {
            for word in ["WHERE", "TRUE"] {
                self.put(Token::make_keyword(word), position - 1..position);
            }
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
