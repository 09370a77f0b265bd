//! The place in a statement's tokens, and the small words of the grammar: eat, expect, name, list.
//!
//! It wraps sqlparser's parser, so that queries and expressions are read by sqlparser from the same position. Words
//! are matched without regard to case and only when they are not quoted.

use std::ops::Range;

use sqlparser::{
    ast::{Expr, Query},
    parser::{Parser, ParserError},
    tokenizer::{Token, TokenWithSpan},
};

use super::{
    dialect::SPARK_SQL,
    error::SyntaxError,
    refusals,
    statement::{Name, Properties, SourceExpr},
    tokens::{Tokens, too_complex},
    types::DataType,
};

pub(super) type Result<T> = std::result::Result<T, SyntaxError>;

/// How deep queries and expressions may nest. Parsing, checking and planning walk them recursively.
const MAX_DEPTH: usize = 64;

pub(super) struct Cursor<'s> {
    source: &'s str,
    parser: Parser<'static>,
    tokens: Vec<TokenWithSpan>,
    ranges: Vec<Range<usize>>,
}

impl<'s> Cursor<'s> {
    pub(super) fn new(source: &'s str, Tokens { tokens, ranges }: Tokens) -> Self {
        let parser = Parser::new(&SPARK_SQL).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens.clone());
        Self { source, parser, tokens, ranges }
    }

    pub(super) fn tokens(&self) -> &[TokenWithSpan] {
        &self.tokens
    }

    // ------------------------------------------------------------------------------------------ looking

    /// How many tokens have been read.
    pub(super) fn position(&self) -> usize {
        self.parser.index().min(self.tokens.len())
    }

    pub(super) fn peek(&self) -> &Token {
        self.peek_nth(0)
    }

    pub(super) fn peek_nth(&self, n: usize) -> &Token {
        self.tokens.get(self.position() + n).map_or(&Token::EOF, |token| &token.token)
    }

    pub(super) fn at_end(&self) -> bool {
        self.position() >= self.tokens.len()
    }

    /// Whether these words come next.
    pub(super) fn sees(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(n, word)| is_word(self.peek_nth(n), word))
    }

    pub(super) fn sees_token(&self, token: &Token) -> bool {
        self.peek() == token
    }

    /// Whether a query begins here.
    pub(super) fn sees_query(&self) -> bool {
        let opening = (0..).find(|n| *self.peek_nth(*n) != Token::LParen).unwrap_or(0);
        ["SELECT", "WITH", "VALUES", "FROM", "TABLE"].iter().any(|word| is_word(self.peek_nth(opening), word))
    }

    /// The source between two token positions.
    pub(super) fn text(&self, tokens: Range<usize>) -> &'s str {
        match (self.ranges.get(tokens.start), tokens.end.checked_sub(1).and_then(|last| self.ranges.get(last))) {
            (Some(first), Some(last)) if tokens.start < tokens.end => &self.source[first.start..last.end],
            _ => "",
        }
    }

    // ------------------------------------------------------------------------------------------ errors

    /// "Syntax error here: expected …", or the refusal of the clause that begins here.
    pub(super) fn error(&self, expected: &str) -> SyntaxError {
        self.error_at(self.position(), expected)
    }

    fn error_at(&self, position: usize, expected: &str) -> SyntaxError {
        if let Some(refusal) = refusals::clause_at(&self.tokens, position) {
            return self.place(refusal, position);
        }
        let message = match self.tokens.get(position) {
            Some(TokenWithSpan { token, .. }) => format!("syntax error at or near '{token}': expected {expected}"),
            None => format!("syntax error at end of input: expected {expected}"),
        };
        self.place(SyntaxError::syntax(message), position)
    }

    pub(super) fn unsupported(&self, feature: &str, hint: &str) -> SyntaxError {
        self.place(SyntaxError::unsupported(feature, hint), self.position())
    }

    /// Puts the position of a token on an error that has none.
    pub(super) fn place(&self, error: SyntaxError, position: usize) -> SyntaxError {
        if error.line > 0 {
            return error;
        }
        let (line, column) = match self.tokens.get(position) {
            Some(token) => (token.span.start.line, token.span.start.column),
            None => self.tokens.last().map_or((1, 1), |last| (last.span.end.line, last.span.end.column)),
        };
        error.at(line, column)
    }

    /// sqlparser's messages end in " at Line: 1, Column: 8" and say "Expected: x, found: y".
    fn parser_error(&self, error: ParserError) -> SyntaxError {
        let message = match error {
            ParserError::RecursionLimitExceeded => {
                let error = too_complex(format!("the statement nests deeper than {MAX_DEPTH} levels"));
                return self.place(error, self.position());
            }
            ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
        };
        let (message, place) = match message.rsplit_once(" at Line: ") {
            Some((message, place)) => (message.to_owned(), place.split_once(", Column: ")),
            None => (message, None),
        };
        let place = place.and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
        let position = match place {
            Some((line, column)) => self.token_at(line, column),
            // Without a place, the parser stopped behind the token that it did not like, or at the end.
            None if message.ends_with("found: EOF") => self.tokens.len(),
            None => self.position().saturating_sub(1),
        };
        let expected = message.split_once(", found:").map_or(message.as_str(), |(expected, _)| expected);
        match expected.strip_prefix("Expected: ").or_else(|| expected.strip_prefix("Expected ")) {
            Some(expected) => self.error_at(position, expected),
            None => self.error_at(position, &format!("something else ({expected})")),
        }
    }

    fn token_at(&self, line: u64, column: u64) -> usize {
        let found = |token: &TokenWithSpan| (token.span.start.line, token.span.start.column) == (line, column);
        self.tokens.iter().position(found).unwrap_or(self.tokens.len())
    }

    // ------------------------------------------------------------------------------------------ eating

    pub(super) fn skip(&mut self, tokens: usize) {
        for _ in 0..tokens {
            self.parser.advance_token();
        }
    }

    /// Reads these words if they come next.
    pub(super) fn eat(&mut self, words: &str) -> bool {
        let found = self.sees(words);
        if found {
            self.skip(words.split(' ').count());
        }
        found
    }

    pub(super) fn eat_token(&mut self, token: &Token) -> bool {
        let found = self.sees_token(token);
        self.skip(usize::from(found));
        found
    }

    /// Reads the one of `choices` that comes next.
    pub(super) fn eat_one_of<T: Copy>(&mut self, choices: &[(&str, T)]) -> Option<T> {
        choices.iter().find(|(words, _)| self.eat(words)).map(|(_, choice)| *choice)
    }

    pub(super) fn expect(&mut self, words: &str) -> Result<()> {
        if self.eat(words) { Ok(()) } else { Err(self.error(words)) }
    }

    pub(super) fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.eat_token(token) { Ok(()) } else { Err(self.error(&format!("'{token}'"))) }
    }

    // ------------------------------------------------------------------------------------------ pieces

    pub(super) fn ident(&mut self, what: &str) -> Result<String> {
        match self.peek() {
            Token::Word(word) => {
                let value = word.value.clone();
                self.skip(1);
                Ok(value)
            }
            _ => Err(self.error(what)),
        }
    }

    pub(super) fn string(&mut self, what: &str) -> Result<String> {
        match self.peek() {
            Token::SingleQuotedString(text) => {
                let text = text.clone();
                self.skip(1);
                Ok(text)
            }
            _ => Err(self.error(&format!("{what} in quotation marks"))),
        }
    }

    pub(super) fn whole_number(&mut self, what: &str) -> Result<u64> {
        let number = match self.peek() {
            Token::Number(digits, _) => digits.parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.error(&format!("{what} (a whole number)")))?;
        self.skip(1);
        Ok(number)
    }

    pub(super) fn signed_number(&mut self, what: &str) -> Result<i64> {
        let negative = self.eat_token(&Token::Minus);
        let number = match self.peek() {
            Token::Number(digits, _) => format!("{}{digits}", if negative { "-" } else { "" }).parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.error(&format!("{what} (a whole number)")))?;
        self.skip(1);
        Ok(number)
    }

    /// Names separated by dots, without a limit: a path into a struct.
    pub(super) fn path(&mut self, what: &str) -> Result<Vec<String>> {
        let mut path = vec![self.ident(what)?];
        while self.eat_token(&Token::Period) {
            path.push(self.ident(what)?);
        }
        Ok(path)
    }

    /// A name of one to four parts, or `IDENTIFIER('a.b')`.
    pub(super) fn name(&mut self, what: &str) -> Result<Name> {
        let start = self.position();
        if self.sees("IDENTIFIER") && *self.peek_nth(1) == Token::LParen {
            self.skip(2);
            if matches!(self.peek(), Token::Placeholder(_)) {
                let hint = "write the name itself; in a query's FROM a parameter works";
                return Err(self.unsupported("a parameter as the name of a statement's object", hint));
            }
            let text = self.string("a name")?;
            self.expect_token(&Token::RParen)?;
            return parse_name(&text).map_err(|error| self.place(error, start));
        }
        let parts = self.path(what)?;
        if parts.len() > 4 {
            let error = SyntaxError::syntax(format!("name {} has more than four parts", Name(parts)));
            return Err(self.place(error, start));
        }
        Ok(Name(parts))
    }

    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.parser.parse_expr().map_err(|error| self.parser_error(error))
    }

    /// An expression together with its text.
    pub(super) fn source_expr(&mut self) -> Result<SourceExpr> {
        let start = self.position();
        let expr = self.expr()?;
        let text = self.text(start..self.position()).to_owned();
        Ok(SourceExpr { expr, text })
    }

    pub(super) fn query(&mut self) -> Result<Box<Query>> {
        self.parser.parse_query().map_err(|error| self.parser_error(error))
    }

    /// What may stand in FROM, with its alias.
    pub(super) fn table_factor(&mut self) -> Result<sqlparser::ast::TableFactor> {
        self.parser.parse_table_factor().map_err(|error| self.parser_error(error))
    }

    /// A query, to the end of the statement, together with its text.
    pub(super) fn source_query(&mut self) -> Result<(Box<Query>, String)> {
        let start = self.position();
        let query = self.query()?;
        let text = self.text(start..self.position()).to_owned();
        Ok((query, text))
    }

    pub(super) fn data_type(&mut self) -> Result<DataType> {
        let start = self.position();
        let (data_type, length) =
            DataType::parse_tokens(&self.tokens[start..]).map_err(|error| self.place(error, start))?;
        self.skip(length);
        Ok(data_type)
    }

    /// One or more, separated by commas.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat_token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// One or more, separated by commas, in parentheses.
    pub(super) fn parens<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect_token(&Token::LParen)?;
        let items = self.list(item)?;
        self.expect_token(&Token::RParen)?;
        Ok(items)
    }

    pub(super) fn if_exists(&mut self) -> bool {
        self.eat("IF EXISTS")
    }

    pub(super) fn if_not_exists(&mut self) -> bool {
        self.eat("IF NOT EXISTS")
    }

    /// The key of a property: a string, or words joined by dots (`delta.appendOnly`).
    pub(super) fn property_key(&mut self) -> Result<String> {
        match self.peek() {
            Token::SingleQuotedString(_) => self.string("a key"),
            _ => Ok(self.path("a key")?.join(".")),
        }
    }

    /// `('k' = 'v', k.l = true, …)`; a key written twice is an error.
    pub(super) fn properties(&mut self) -> Result<Properties> {
        let properties = self.parens(Self::property)?;
        for (index, (key, _)) in properties.iter().enumerate() {
            if properties[..index].iter().any(|(earlier, _)| earlier == key) {
                let error = SyntaxError::syntax(format!("key '{key}' is given twice"));
                return Err(self.place(error, self.position().saturating_sub(1)));
            }
        }
        Ok(properties)
    }

    fn property(&mut self) -> Result<(String, String)> {
        let key = self.property_key()?;
        self.expect_token(&Token::Eq)?;
        Ok((key, self.property_value()?))
    }

    fn property_value(&mut self) -> Result<String> {
        let sign = if self.eat_token(&Token::Minus) { "-" } else { "" };
        let value = match self.peek() {
            Token::SingleQuotedString(text) if sign.is_empty() => text.clone(),
            Token::Number(digits, _) => format!("{sign}{digits}"),
            Token::Word(word)
                if sign.is_empty() && ["true", "false"].contains(&word.value.to_ascii_lowercase().as_str()) =>
            {
                word.value.to_ascii_lowercase()
            }
            _ => return Err(self.error("a string, a number, true or false")),
        };
        self.skip(1);
        Ok(value)
    }

    /// Takes a clause that may be given once only.
    pub(super) fn once<T>(&self, slot: &mut Option<T>, value: T, clause: &str) -> Result<()> {
        if slot.replace(value).is_some() {
            let error = SyntaxError::syntax(format!("clause {clause} is given twice"));
            return Err(self.place(error, self.position().saturating_sub(1)));
        }
        Ok(())
    }
}

pub(super) fn is_word(token: &Token, expected: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected))
}

/// Reads a name of one to four parts from a text of its own, as in `IDENTIFIER('…')`.
///
/// # Errors
/// Anything else in the text.
pub fn parse_name(text: &str) -> Result<Name> {
    let mut cursor = Cursor::new(text, super::tokens::tokenize(text)?);
    let parts = cursor.path("a name")?;
    if !cursor.at_end() || parts.len() > 4 {
        return Err(SyntaxError::syntax(format!("'{text}' is not a name of one to four parts")));
    }
    Ok(Name(parts))
}
