//! A text file of a volume as UTF-8 bytes, read synchronously on a blocking thread a chunk at a time.

use std::io::{self, Read};

use bytes::Bytes;
use crannog_storage::{ByteStream, Folder};
use crannog_types::{Code, Problem, Result};
use futures::StreamExt;
use tokio::runtime::Handle;

use super::options::Encoding;

/// A file's bytes behind `Read`.
pub(super) struct Pull {
    handle: Handle,
    stream: ByteStream,
    chunk: Bytes,
}

impl Pull {
    /// Opens a file. Only for blocking threads.
    pub(super) fn open(handle: &Handle, folder: &Folder, path: &str) -> Result<Self> {
        let stream = handle.block_on(folder.read(path))?;
        Ok(Self { handle: handle.clone(), stream, chunk: Bytes::new() })
    }
}

impl Read for Pull {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.handle.block_on(self.stream.next()) {
                Some(chunk) => self.chunk = chunk.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let count = self.chunk.len().min(into.len());
        into[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

/// The problem that [`Pull`] put into an I/O error, or one about the file.
pub(super) fn problem(error: io::Error, file: &str) -> Problem {
    match error.downcast::<Problem>() {
        Ok(problem) => problem,
        Err(error) => Problem::new(Code::Unavailable, format!("{file} cannot be read")).caused_by(error),
    }
}

/// Turns any supported encoding into UTF-8 and drops the byte order mark. UTF-8 itself is not checked here: who reads a
/// value knows its line and column.
pub(super) struct Decoder<R> {
    inner: R,
    encoding: Encoding,
    begun: bool,
    /// Read, not yet decoded.
    raw: Vec<u8>,
    /// Decoded, not yet given.
    out: Vec<u8>,
    at: usize,
    high: Option<u16>,
    ended: bool,
}

impl<R: Read> Decoder<R> {
    pub(super) fn new(inner: R, encoding: Encoding) -> Self {
        Self { inner, encoding, begun: false, raw: Vec::new(), out: Vec::new(), at: 0, high: None, ended: false }
    }

    /// Decodes the next stretch into `out`; at the file's end sets `ended`.
    fn refill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let wanted = if self.begun { 1 } else { 3 };
        while self.raw.len() < wanted && !self.ended {
            match self.inner.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => self.raw.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if !self.begun {
            self.begun = true;
            let marks: [(&[u8], Encoding); 3] = [
                (&[0xEF, 0xBB, 0xBF], Encoding::Utf8),
                (&[0xFF, 0xFE], Encoding::Utf16Le),
                (&[0xFE, 0xFF], Encoding::Utf16Be),
            ];
            if let Some((mark, encoding)) = marks.iter().find(|(mark, _)| self.raw.starts_with(mark)) {
                self.encoding = *encoding;
                self.raw.drain(..mark.len());
            }
        }
        self.out.clear();
        self.at = 0;
        match self.encoding {
            Encoding::Utf8 => std::mem::swap(&mut self.raw, &mut self.out),
            Encoding::Latin1 => {
                let text: String = self.raw.drain(..).map(char::from).collect();
                self.out = text.into_bytes();
            }
            Encoding::Utf16Le | Encoding::Utf16Be => self.decode_utf16(),
        }
        Ok(())
    }

    fn decode_utf16(&mut self) {
        let mut text = String::new();
        let whole = self.raw.len() / 2 * 2;
        for pair in self.raw[..whole].chunks_exact(2) {
            let pair = [pair[0], pair[1]];
            let unit = match self.encoding {
                Encoding::Utf16Le => u16::from_le_bytes(pair),
                _ => u16::from_be_bytes(pair),
            };
            let units = self.high.take().into_iter().chain([unit]);
            for decoded in char::decode_utf16(units) {
                match decoded {
                    Ok(c) => text.push(c),
                    // The second half may come with the next stretch.
                    Err(lone) if lone.unpaired_surrogate() == unit && (0xD800..0xDC00).contains(&unit) => {
                        self.high = Some(unit)
                    }
                    Err(_) => text.push(char::REPLACEMENT_CHARACTER),
                }
            }
        }
        self.raw.drain(..whole);
        if self.ended && (self.high.take().is_some() || !self.raw.is_empty()) {
            self.raw.clear();
            text.push(char::REPLACEMENT_CHARACTER);
        }
        self.out = text.into_bytes();
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() {
            if self.ended && self.raw.is_empty() && self.begun {
                return Ok(0);
            }
            self.refill()?;
        }
        let count = (self.out.len() - self.at).min(into.len());
        into[..count].copy_from_slice(&self.out[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
