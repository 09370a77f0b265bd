//! CSV: records of fields with the line they begin in, and whether a field was quoted.
//!
//! An own reader, because errors must name the line (the usual libraries lose count at blank lines and CRLF) and because
//! Spark tells `""` from nothing. Quotes count only at a field's beginning. Inside quotes the escape character makes a
//! quote or itself plain, and a doubled quote is one quote (RFC 4180) whatever the escape character is.

use std::io::{self, Read};

use super::options::Options;

/// One record and one buffer may not outgrow this: an unclosed quote would else gather the rest of the file.
const LARGEST_RECORD: usize = 64 * 1024 * 1024;

/// Records of one batch, in one piece of memory.
#[derive(Default)]
pub(super) struct Records {
    pub(super) data: Vec<u8>,
    /// Where each field ends in `data`, and whether it was quoted.
    fields: Vec<(usize, bool)>,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Row {
    first: usize,
    /// How many fields it has.
    pub(super) count: usize,
    /// The line that it begins in, from 1.
    pub(super) line: u64,
    /// What is wrong with it as a whole.
    pub(super) fault: Option<&'static str>,
}

impl Records {
    pub(super) fn clear(&mut self) {
        self.data.clear();
        self.fields.clear();
        self.rows.clear();
    }

    /// A field's bytes and whether it was quoted; `None`: the row is shorter.
    pub(super) fn field(&self, row: &Row, column: usize) -> Option<(&[u8], bool)> {
        if column >= row.count {
            return None;
        }
        let index = row.first + column;
        let begin = if index == 0 { 0 } else { self.fields[index - 1].0 };
        let (end, quoted) = self.fields[index];
        Some((&self.data[begin..end], quoted))
    }
}

/// A reader of records.
pub(super) struct Reader<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    line: u64,
    options: Options,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(input: R, options: &Options) -> Self {
        Self { input, buffer: Vec::new(), at: 0, ended: false, line: 1, options: options.clone() }
    }

    /// Passes over that many lines.
    pub(super) fn skip_lines(&mut self, count: u64) -> io::Result<()> {
        for _ in 0..count {
            self.skip_line()?;
        }
        Ok(())
    }

    /// Adds the next record; false: there is none. Blank lines and comments are passed over.
    pub(super) fn record(&mut self, into: &mut Records) -> io::Result<bool> {
        loop {
            match self.peek()? {
                None => return Ok(false),
                Some(b'\n' | b'\r') => {
                    self.newline()?;
                }
                Some(c) if self.options.comment == Some(c) => self.skip_line()?,
                Some(_) => break,
            }
        }
        let (first, begin) = (into.fields.len(), into.data.len());
        let mut row = Row { first, count: 0, line: self.line, fault: None };
        loop {
            self.field(into, begin, &mut row)?;
            row.count += 1;
            match self.peek()? {
                None => break,
                Some(b'\n' | b'\r') => {
                    self.newline()?;
                    break;
                }
                Some(_) => self.at += self.options.delimiter.len(),
            }
        }
        into.rows.push(row);
        Ok(true)
    }

    /// Reads one field up to its delimiter, the line's end or the file's.
    fn field(&mut self, into: &mut Records, begin: usize, row: &mut Row) -> io::Result<()> {
        if self.options.trim_leading {
            while matches!(self.peek()?, Some(b' ' | b'\t')) && !self.at_delimiter()? {
                self.at += 1;
            }
        }
        let quote = self.options.quote;
        let quoted = quote.is_some() && self.peek()? == quote;
        if quoted {
            self.at += 1;
            self.quoted(into, begin, row)?;
        }
        let plain = into.data.len();
        let first = self.options.delimiter.first().copied();
        while self.peek()?.is_some() {
            self.take_until(into, |c| matches!(c, b'\n' | b'\r') || Some(c) == first);
            match self.peek()? {
                None | Some(b'\n' | b'\r') => break,
                Some(_) if self.at_delimiter()? => break,
                // The delimiter's first character alone, or the buffer's end.
                Some(c) => {
                    into.data.push(c);
                    self.at += 1;
                }
            }
            self.check_size(into, begin)?;
        }
        if quoted && into.data[plain..].iter().all(|c| matches!(c, b' ' | b'\t')) {
            into.data.truncate(plain);
        } else if quoted {
            row.fault = row.fault.or(Some("there is text after a closing quote"));
        } else if self.options.trim_trailing {
            while into.data.len() > plain && matches!(into.data.last(), Some(b' ' | b'\t')) {
                into.data.pop();
            }
        }
        into.fields.push((into.data.len(), quoted));
        Ok(())
    }

    /// Reads what stands inside quotes, and the closing one.
    fn quoted(&mut self, into: &mut Records, begin: usize, row: &mut Row) -> io::Result<()> {
        let (quote, escape) = (self.options.quote, self.options.escape);
        loop {
            self.take_until(into, |c| matches!(c, b'\n' | b'\r') || Some(c) == quote || Some(c) == escape);
            let Some(c) = self.peek()? else {
                row.fault = Some("a quote is opened in it and never closed");
                return Ok(());
            };
            self.check_size(into, begin)?;
            if Some(c) == escape && escape != quote {
                self.at += 1;
                match self.peek()? {
                    Some(next) if Some(next) == quote || Some(next) == escape => {
                        into.data.push(next);
                        self.at += 1;
                    }
                    _ => into.data.push(c),
                }
            } else if Some(c) == quote {
                self.at += 1;
                if self.peek()? != quote {
                    return Ok(());
                }
                into.data.push(c);
                self.at += 1;
            } else if matches!(c, b'\n' | b'\r') {
                if !self.options.multi_line {
                    row.fault = Some(
                        "a quote is opened in it and not closed in the same line (set multiLine => true if values hold line breaks)",
                    );
                    return Ok(());
                }
                let two = self.newline()?;
                into.data.push(c);
                if two {
                    into.data.push(b'\n');
                }
            } else {
                into.data.push(c);
                self.at += 1;
            }
        }
    }

    /// Takes what is at hand up to a character that `stops`.
    fn take_until(&mut self, into: &mut Records, stops: impl Fn(u8) -> bool) {
        let ahead = &self.buffer[self.at..];
        let count = ahead.iter().position(|c| stops(*c)).unwrap_or(ahead.len());
        into.data.extend_from_slice(&ahead[..count]);
        self.at += count;
    }

    fn check_size(&self, into: &Records, begin: usize) -> io::Result<()> {
        match into.data.len() - begin > LARGEST_RECORD {
            true => {
                let line = super::grouped(self.line);
                let message =
                    format!("a record is longer than 64 MiB at line {line}; is a quote not closed before it?");
                Err(io::Error::other(crannog_types::Problem::invalid(message)))
            }
            false => Ok(()),
        }
    }

    fn at_delimiter(&mut self) -> io::Result<bool> {
        if self.buffer.get(self.at) != self.options.delimiter.first() {
            return Ok(false);
        }
        if self.options.delimiter.len() == 1 {
            return Ok(true);
        }
        self.fill(self.options.delimiter.len())?;
        Ok(self.buffer[self.at..].starts_with(&self.options.delimiter))
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.at == self.buffer.len() {
            self.fill(1)?;
        }
        Ok(self.buffer.get(self.at).copied())
    }

    /// Has at least that many bytes at hand, unless the file ends.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        if self.buffer.len() - self.at >= wanted {
            return Ok(());
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        while self.buffer.len() < wanted && !self.ended {
            let had = self.buffer.len();
            self.buffer.resize(had + 64 * 1024, 0);
            let count = self.input.read(&mut self.buffer[had..])?;
            self.buffer.truncate(had + count);
            self.ended = count == 0;
        }
        Ok(())
    }

    /// Takes `\n`, `\r\n` or `\r`; gives whether there were two bytes.
    fn newline(&mut self) -> io::Result<bool> {
        self.fill(2)?;
        let two = self.buffer[self.at..].starts_with(b"\r\n");
        self.at += if two { 2 } else { 1 };
        self.line += 1;
        Ok(two)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        while let Some(c) = self.peek()? {
            if matches!(c, b'\n' | b'\r') {
                self.newline()?;
                return Ok(());
            }
            self.at += 1;
        }
        Ok(())
    }
}
