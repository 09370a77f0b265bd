//! Spark's lexical rules, producing sqlparser's tokens.
//!
//! sqlparser's own tokenizer is not used: it knows neither Spark's escapes (`'\u0041'`), raw strings (`r'\d'`),
//! concatenated literals, number suffixes (`1L`), `!<`, nor names that begin with a digit. No white space and no
//! comments are produced, so the n-th token of the parser is the n-th token here; that is how a statement's own text
//! (a view's query, a setting's value) is cut from the source by token index. Must never lose a character of meaning:
//! what cannot be represented is an error.
//!
//! Source of the rules: Spark 4's `SqlBaseLexer.g4` and `unescapeSQLString`.

use std::ops::Range;

use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};

use super::error::{SyntaxError, SyntaxErrorKind};

/// The tokens of one text, and where each one stands in it (bytes).
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    pub(super) tokens: Vec<TokenWithSpan>,
    pub(super) ranges: Vec<Range<usize>>,
}

/// Reads the whole text.
///
/// # Errors
/// An unterminated string, name or comment; a character that begins no token.
pub(super) fn tokenize(sql: &str) -> Result<Tokens, SyntaxError> {
    let mut lexer = Lexer::new(sql);
    while lexer.next_token()? {}
    Ok(lexer.out)
}

struct Lexer<'s> {
    sql: &'s str,
    position: usize,
    line: u64,
    column: u64,
    positional_parameters: usize,
    out: Tokens,
}

impl<'s> Lexer<'s> {
    fn new(sql: &'s str) -> Self {
        let out = Tokens { tokens: Vec::new(), ranges: Vec::new() };
        Self { sql, position: 0, line: 1, column: 1, positional_parameters: 0, out }
    }

    fn rest(&self) -> &'s str {
        &self.sql[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn peek_after(&self, bytes: usize) -> Option<char> {
        self.sql.get(self.position + bytes..)?.chars().next()
    }

    fn advance(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.position += c.len_utf8();
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn advance_to(&mut self, position: usize) {
        while self.position < position && self.advance().is_some() {}
    }

    fn location(&self) -> Location {
        Location::new(self.line, self.column)
    }

    fn error_at(&self, at: Location, message: impl Into<String>) -> SyntaxError {
        SyntaxError::syntax(message).at(at.line, at.column)
    }

    /// Whether the previous token ends directly here, and is something that has a value (`a` in `a:b`, `a.1`).
    fn touches_operand(&self) -> bool {
        let touching = self.out.ranges.last().is_some_and(|range| range.end == self.position);
        touching
            && matches!(
                self.out.tokens.last().map(|token| &token.token),
                Some(Token::Word(_) | Token::RParen | Token::RBracket)
            )
    }

    fn push(&mut self, token: Token, from: usize, start: Location) {
        self.out.tokens.push(TokenWithSpan::new(token, Span::new(start, self.location())));
        self.out.ranges.push(from..self.position);
    }

    /// Reads one token; `false` at the end.
    fn next_token(&mut self) -> Result<bool, SyntaxError> {
        self.skip_space_and_comments()?;
        let (from, start) = (self.position, self.location());
        let Some(c) = self.peek() else {
            return Ok(false);
        };
        let token = match c {
            '\'' | '"' => self.string(false)?,
            'r' | 'R' if matches!(self.peek_after(1), Some('\'' | '"')) => {
                self.advance();
                self.string(true)?
            }
            'x' | 'X' if matches!(self.peek_after(1), Some('\'' | '"')) => self.hex_string()?,
            '`' => self.quoted_name()?,
            '0'..='9' => self.number_or_name()?,
            '.' if !self.touches_operand() && self.digit_after(1) => self.number_or_name()?,
            '?' => {
                self.advance();
                self.positional_parameters += 1;
                Token::Placeholder(format!("?{}", self.positional_parameters))
            }
            ':' if self.peek_after(1).is_some_and(is_name_start) && !self.touches_operand() => {
                self.advance();
                Token::Placeholder(format!(":{}", self.take_name()))
            }
            c if is_name_start(c) => {
                let word = self.take_name();
                Token::make_word(word, None)
            }
            _ => self.symbol(start)?,
        };
        if let (Token::SingleQuotedString(more), Some(last)) = (&token, self.out.tokens.last_mut())
            && let Token::SingleQuotedString(text) = &mut last.token
        {
            text.push_str(more); // 'a' 'b' is one literal
            if let Some(range) = self.out.ranges.last_mut() {
                range.end = self.position;
            }
            return Ok(true);
        }
        self.push(token, from, start);
        Ok(true)
    }

    fn skip_space_and_comments(&mut self) -> Result<(), SyntaxError> {
        loop {
            let rest = self.rest();
            if rest.starts_with("--") {
                // A backslash at the end of the line continues the comment.
                let mut previous = ' ';
                while let Some(c) = self.peek() {
                    if c == '\n' && previous != '\\' {
                        break;
                    }
                    previous = c;
                    self.advance();
                }
            } else if rest.starts_with("/*") {
                self.skip_block_comment()?;
            } else if self.peek().is_some_and(|c| c.is_whitespace() || c == '\u{feff}') {
                self.advance();
            } else {
                return Ok(());
            }
        }
    }

    /// `/* … */`, nested; optimizer hints `/*+ … */` are comments to Crannog.
    fn skip_block_comment(&mut self) -> Result<(), SyntaxError> {
        let start = self.location();
        let mut depth = 0_usize;
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") {
                depth += 1;
                self.advance_to(self.position + 2);
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.advance_to(self.position + 2);
                if depth == 0 {
                    return Ok(());
                }
            } else if self.advance().is_none() {
                return Err(self.error_at(start, "bracketed comment is not closed").with_hint("add the missing */"));
            }
        }
    }

    fn take_name(&mut self) -> &'s str {
        let from = self.position;
        while self.peek().is_some_and(is_name_part) {
            self.advance();
        }
        &self.sql[from..self.position]
    }

    fn quoted_name(&mut self) -> Result<Token, SyntaxError> {
        let start = self.location();
        self.advance();
        let mut name = String::new();
        loop {
            match self.advance() {
                Some('`') if self.peek() == Some('`') => {
                    self.advance();
                    name.push('`');
                }
                Some('`') if name.is_empty() => return Err(self.error_at(start, "a name between backticks is empty")),
                Some('`') => return Ok(Token::make_word(&name, Some('`'))),
                Some(c) => name.push(c),
                None => return Err(self.error_at(start, "quoted name is not closed").with_hint("add the missing `")),
            }
        }
    }

    fn string(&mut self, raw: bool) -> Result<Token, SyntaxError> {
        let start = self.location();
        let quote = self.advance();
        let mut text = String::new();
        loop {
            let Some(c) = self.advance() else {
                let error = self.error_at(start, "string literal is not closed");
                return Err(error.with_hint("add the missing quotation mark"));
            };
            if Some(c) == quote {
                if raw || self.peek() != quote {
                    return Ok(Token::SingleQuotedString(text));
                }
                self.advance(); // '' inside '…'
                text.push(c);
            } else if c == '\\' && !raw {
                self.escape(&mut text, start)?;
            } else {
                text.push(c);
            }
        }
    }

    /// The part of an escape after the backslash.
    fn escape(&mut self, text: &mut String, start: Location) -> Result<(), SyntaxError> {
        for (letter, digits) in [('u', 4), ('U', 8)] {
            let code = self.rest().strip_prefix(letter).and_then(|hex| hex.get(..digits));
            if let Some(code) = code.filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit())) {
                return self.code_point(code, 16, 1 + digits, text, start);
            }
        }
        let octal =
            self.rest().get(..3).filter(|code| matches!(code.as_bytes(), [b'0'..=b'1', b'0'..=b'7', b'0'..=b'7']));
        if let Some(code) = octal {
            return self.code_point(code, 8, 3, text, start);
        }
        match self.advance() {
            Some('0') => text.push('\0'),
            Some('b') => text.push('\u{8}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('Z') => text.push('\u{1a}'),
            Some(wildcard @ ('%' | '_')) => text.extend(['\\', wildcard]), // kept for LIKE
            Some(other) => text.push(other),
            None => {} // the caller finds the string not closed
        }
        Ok(())
    }

    fn code_point(
        &mut self,
        digits: &str,
        radix: u32,
        length: usize,
        text: &mut String,
        start: Location,
    ) -> Result<(), SyntaxError> {
        let c = u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let Some(c) = c else {
            let message = format!("escape of {digits} in a string literal is no Unicode character");
            return Err(self.error_at(start, message));
        };
        text.push(c);
        self.advance_to(self.position + length);
        Ok(())
    }

    /// `X'1F'`; an odd number of digits is padded at the front, as Spark does.
    fn hex_string(&mut self) -> Result<Token, SyntaxError> {
        let start = self.location();
        self.advance();
        let Token::SingleQuotedString(digits) = self.string(true)? else {
            return Err(self.error_at(start, "binary literal is malformed"));
        };
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            let message = format!("binary literal X'{digits}' has characters that are no hexadecimal digits");
            return Err(self.error_at(start, message));
        }
        let padding = if digits.len() % 2 == 1 { "0" } else { "" };
        Ok(Token::HexStringLiteral(format!("{padding}{digits}")))
    }

    fn digit_after(&self, bytes: usize) -> bool {
        self.peek_after(bytes).is_some_and(|c| c.is_ascii_digit())
    }

    fn skip_digits(&mut self) {
        while self.digit_after(0) {
            self.advance();
        }
    }

    /// `1`, `1.5`, `.5`, `1e3`, `1L`, `1.0BD`; a suffix stays in the token and becomes a CAST in `normalize`. Digits
    /// that continue as a name (`2024_sales`), or stand after a dot (`row.1`), are a name.
    fn number_or_name(&mut self) -> Result<Token, SyntaxError> {
        let (from, start) = (self.position, self.location());
        let after_dot = matches!(self.out.tokens.last().map(|last| &last.token), Some(Token::Period))
            && self.out.ranges.last().is_some_and(|range| range.end == from);
        if after_dot {
            return Ok(Token::make_word(self.take_name(), None));
        }
        self.skip_digits();
        let mut fraction = false;
        if self.peek() == Some('.') && !self.peek_after(1).is_some_and(|c| is_name_start(c) || c == '.') {
            fraction = true;
            self.advance();
            self.skip_digits();
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            let sign = usize::from(matches!(self.peek_after(1), Some('+' | '-')));
            if self.digit_after(1 + sign) {
                self.advance_to(self.position + 1 + sign);
                self.skip_digits();
            }
        }
        let digits_end = self.position;
        let suffix = self.take_name();
        let text = &self.sql[from..self.position];
        let fractional = self.sql[from..digits_end].contains(['.', 'e', 'E']);
        let known = match suffix.to_ascii_uppercase().as_str() {
            "" | "D" | "F" | "BD" => true,
            "L" | "S" | "Y" => !fractional,
            _ => false,
        };
        if known {
            return Ok(Token::Number(text.to_owned(), false));
        }
        if fraction {
            return Err(self.error_at(start, format!("{text} is neither a number nor a name")));
        }
        Ok(Token::make_word(text, None))
    }

    fn symbol(&mut self, start: Location) -> Result<Token, SyntaxError> {
        // Longest first.
        const SYMBOLS: &[(&str, Token)] = &[
            ("<=>", Token::Spaceship),
            ("->", Token::Arrow),
            ("=>", Token::RArrow),
            ("==", Token::Eq),
            ("<>", Token::Neq),
            ("!=", Token::Neq),
            ("!<", Token::GtEq),
            ("!>", Token::LtEq),
            ("<=", Token::LtEq),
            (">=", Token::GtEq),
            ("<<", Token::ShiftLeft),
            (">>", Token::ShiftRight),
            ("||", Token::StringConcat),
            ("|>", Token::VerticalBarRightAngleBracket),
            ("::", Token::DoubleColon),
            (",", Token::Comma),
            ("=", Token::Eq),
            ("<", Token::Lt),
            (">", Token::Gt),
            ("+", Token::Plus),
            ("-", Token::Minus),
            ("*", Token::Mul),
            ("/", Token::Div),
            ("%", Token::Mod),
            ("(", Token::LParen),
            (")", Token::RParen),
            (".", Token::Period),
            (":", Token::Colon),
            (";", Token::SemiColon),
            ("[", Token::LBracket),
            ("]", Token::RBracket),
            ("{", Token::LBrace),
            ("}", Token::RBrace),
            ("&", Token::Ampersand),
            ("|", Token::Pipe),
            ("^", Token::Caret),
            ("~", Token::Tilde),
            ("@", Token::AtSign),
        ];
        let rest = self.rest();
        if let Some((text, token)) = SYMBOLS.iter().find(|(text, _)| rest.starts_with(text)) {
            self.advance_to(self.position + text.len());
            return Ok(token.clone());
        }
        let c = self.advance().unwrap_or_default();
        if c == '!' {
            return Ok(Token::make_word("NOT", None)); // `!` has NOT's precedence in Spark
        }
        Err(self.error_at(start, format!("syntax error at or near '{c}'")))
    }
}

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_name_part(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// How many infix operators may stand in one expression, counted along the open parentheses: a chain `a + b + …` is a
/// tree as deep as it is long, which later passes walk recursively. This and the limits below were chosen so that a
/// debug build stays within a thread's 2 MiB of stack (`tests::deep_texts_are_errors_and_not_crashes`).
const MAX_CHAIN: usize = 200;

/// How many set operations may follow each other in one query.
const MAX_SET_OPERATIONS: usize = 60;

/// How deep parentheses may nest behind FROM and JOIN.
const MAX_NESTED_TABLES: usize = 20;

/// As [`MAX_CHAIN`], for AND and OR, which `normalize` turns into trees of little depth.
const MAX_LOGICAL_CHAIN: usize = 1_000;

/// Refuses texts whose tree would be too deep, before there is a tree.
///
/// # Errors
/// [`SyntaxErrorKind::TooComplex`], naming the operator that went over the limit.
pub(super) fn check_chains(tokens: &[TokenWithSpan]) -> Result<(), SyntaxError> {
    #[derive(Clone, Copy, Default)]
    struct Chain {
        operators: usize,
        logical: usize,
        set_operations: usize,
        /// Of the parentheses around: operators, and parentheses behind FROM and JOIN.
        outside: usize,
        tables: usize,
    }
    let mut open = vec![Chain::default()];
    let mut table_follows = false;
    for TokenWithSpan { token, span } in tokens {
        let Some(chain) = open.last_mut() else {
            return Ok(());
        };
        let opens_table = table_follows && *token == Token::LParen;
        table_follows = opens_table
            || matches!(token, Token::Word(word) if ["FROM", "JOIN"].iter().any(|before| word.value.eq_ignore_ascii_case(before)));
        match token {
            Token::LParen | Token::LBracket => {
                let inner = Chain {
                    outside: chain.outside + chain.operators,
                    tables: chain.tables + usize::from(opens_table),
                    ..Chain::default()
                };
                if inner.tables > MAX_NESTED_TABLES {
                    let message =
                        format!("parentheses behind FROM and JOIN nest deeper than {MAX_NESTED_TABLES} levels");
                    return Err(too_complex(message).at(span.start.line, span.start.column));
                }
                open.push(inner);
                continue;
            }
            Token::RParen | Token::RBracket => {
                if open.len() > 1 {
                    open.pop();
                }
                continue;
            }
            Token::Comma => (chain.operators, chain.logical) = (0, 0),
            Token::Word(word) if word.quote_style.is_none() => match word.value.to_ascii_uppercase().as_str() {
                "SELECT" | "FROM" | "WHERE" | "HAVING" | "QUALIFY" | "GROUP" | "ORDER" | "ON" | "WHEN" | "THEN"
                | "ELSE" | "SET" | "VALUES" => (chain.operators, chain.logical) = (0, 0),
                // Another operand of AND and OR begins.
                "AND" | "OR" => (chain.operators, chain.logical) = (0, chain.logical + 1),
                "IS" | "IN" | "LIKE" | "ILIKE" | "RLIKE" | "REGEXP" | "BETWEEN" | "DIV" | "COLLATE" | "AT" | "XOR" => {
                    chain.operators += 1
                }
                "UNION" | "EXCEPT" | "INTERSECT" | "MINUS" => chain.set_operations += 1,
                _ => {}
            },
            Token::Spaceship
            | Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::Gt
            | Token::LtEq
            | Token::GtEq
            | Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::StringConcat
            | Token::Ampersand
            | Token::Pipe
            | Token::Caret
            | Token::ShiftLeft
            | Token::ShiftRight
            | Token::DoubleColon
            | Token::Colon
            | Token::Period
            | Token::VerticalBarRightAngleBracket => {
                chain.operators += 1;
            }
            _ => {}
        }
        let too_long = chain.outside + chain.operators > MAX_CHAIN
            || chain.logical > MAX_LOGICAL_CHAIN
            || chain.set_operations > MAX_SET_OPERATIONS;
        if too_long {
            let message = format!("too many operators follow each other at '{token}'");
            return Err(too_complex(message).at(span.start.line, span.start.column));
        }
    }
    Ok(())
}

pub(super) fn too_complex(message: impl Into<String>) -> SyntaxError {
    SyntaxError::new(SyntaxErrorKind::TooComplex, message)
        .with_hint("split the statement, or put the values into IN (…), VALUES or a table and join it")
}

/// Cuts a script at its semicolons, minding strings, quoted names and comments. Parts without any token are left out;
/// the texts are trimmed, and each range gives the text's bytes in `script`. A script that cannot be read to its end
/// (an open string) keeps its remainder as the last part, so that parsing it reports the error.
pub fn split(script: &str) -> Vec<(Range<usize>, &str)> {
    let mut lexer = Lexer::new(script);
    let mut parts = Vec::new();
    let mut begin: Option<usize> = None;
    let mut part = |range: Range<usize>| {
        let text = script[range.clone()].trim_end();
        let range = range.start..range.start + text.len();
        parts.push((range, text));
    };
    loop {
        lexer.out.tokens.clear();
        lexer.out.ranges.clear();
        let unread = lexer.position;
        match lexer.next_token() {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => {
                let start = begin.take().unwrap_or(unread);
                part(start..script.len());
                break;
            }
        }
        let (Some(token), Some(range)) = (lexer.out.tokens.last(), lexer.out.ranges.last()) else {
            continue;
        };
        if token.token != Token::SemiColon {
            begin.get_or_insert(range.start);
        } else if let Some(start) = begin.take() {
            part(start..range.start);
        }
    }
    if let Some(start) = begin {
        part(start..script.len());
    }
    parts
}
