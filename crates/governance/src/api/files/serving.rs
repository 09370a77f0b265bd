//! Files as bodies: received, and given away whole or as the bytes that a `Range` asks for. For every door that files go through.

use std::ops::Range;

use crannog_kit::{Answer, Cx, Header, Reply, ReplyBody, StatusCode};
use crannog_security::Lease;
use crannog_storage::{ByteStream, FileMeta, Folder, StorageError};
use crannog_types::{Micros, Problem};
use futures::TryStreamExt;

use super::times::{changed_since, http_date};

/// The answers of [`serve`].
pub const SERVED: &[Answer] = &[
    Answer::of(200, "application/octet-stream", "the whole file"),
    Answer::of(206, "application/octet-stream", "the bytes that `Range` asked for"),
    Answer::bare(412, "it was changed since `If-Unmodified-Since`"),
    Answer::bare(416, "it has no such bytes; Content-Range says how many it has"),
];

/// The headers that [`serve`] reads.
pub const RANGED: &[Header] = &[
    Header {
        name: "Range",
        about: "Which bytes: `bytes=<first>-<last>`, `bytes=<first>-` or `bytes=-<how many last ones>` (RFC 9110); one \
                range. Anything else is for the whole file.",
        example: "bytes=0-1023",
        values: &[],
    },
    Header {
        name: "If-Unmodified-Since",
        about: "Only if the file has not been changed after this date (RFC 9110), to the second.",
        example: "Fri, 31 Dec 2100 23:59:59 GMT",
        values: &[],
    },
];

/// A file of a folder, as far as the request wants it. `modified`: when it changed, where its folder does not know: under a name
/// that tells the content, files of many lie once. `opened` hears of the file that is given, as it was opened. The lease is
/// renewed while it goes on.
///
/// # Errors
/// When it cannot be read.
pub async fn serve(
    cx: &Cx,
    folder: &Folder,
    file: &str,
    meta: &FileMeta,
    modified: Option<Micros>,
    lease: Lease,
    opened: impl FnOnce(&FileMeta),
) -> Result<Reply, StorageError> {
    let dated = |meta: &FileMeta| FileMeta { modified: modified.unwrap_or(meta.modified), ..meta.clone() };
    let meta = &dated(meta);
    if cx.header("if-unmodified-since").is_some_and(|date| changed_since(meta.modified, date)) {
        return Ok(described(StatusCode::PRECONDITION_FAILED, ReplyBody::Empty, meta, 0));
    }
    let wanted = cx.header("range").map_or(Wanted::All, |range| ranges(range, meta.size));
    let range = match &wanted {
        Wanted::All => 0..u64::MAX,
        Wanted::Part(range) => range.clone(),
        Wanted::Nothing => {
            return Ok(described(StatusCode::RANGE_NOT_SATISFIABLE, ReplyBody::Empty, meta, 0)
                .header("content-range", format!("bytes */{}", meta.size)));
        }
    };
    // The file may have been replaced since: what is told is what was opened.
    let (meta, stream) = folder.read_range(file, range.clone()).await?;
    opened(&meta);
    let meta = dated(&meta);
    let end = range.end.min(meta.size);
    let length = end - range.start.min(end);
    let stream = cx.renewing(lease).over(stream.map_err(std::io::Error::other));
    let body = ReplyBody::Stream(Box::pin(stream));
    Ok(match wanted {
        Wanted::All => described(StatusCode::OK, body, &meta, length),
        _ => {
            let last = end.saturating_sub(1);
            described(StatusCode::PARTIAL_CONTENT, body, &meta, length)
                .header("content-range", format!("bytes {}-{last}/{}", range.start, meta.size))
        }
    })
}

/// The request's body for storage. A client that goes away in the middle leaves nothing, and so does one whose permit is
/// revoked in the middle.
pub fn received(cx: &Cx, lease: Lease) -> ByteStream {
    let body = cx.body().map_err(std::io::Error::other);
    let failed = |error: std::io::Error| match error.downcast::<Problem>() {
        Ok(problem) => problem,
        Err(error) => Problem::invalid("the upload ended early").caused_by(error),
    };
    Box::pin(cx.renewing(lease).over(body).map_err(failed))
}

/// An answer about a file. What users stored is never shown as a page of ours: it is bytes, to be saved.
pub(super) fn described(status: StatusCode, body: ReplyBody, meta: &FileMeta, length: u64) -> Reply {
    Reply::new(status, body)
        .header("content-type", "application/octet-stream")
        .header("content-disposition", "attachment")
        .header("content-length", length.to_string())
        .header("last-modified", http_date(meta.modified))
        .header("accept-ranges", "bytes")
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// The whole file; also when the header is none that is understood (RFC 9110, section 14.2).
    All,
    /// These bytes, the end exclusive.
    Part(Range<u64>),
    /// Bytes that the file does not have.
    Nothing,
}

fn ranges(header: &str, size: u64) -> Wanted {
    let Some((first, last)) = header.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u64>().ok().map(Some),
        _ => None,
    };
    match (number(first), number(last)) {
        (Some(Some(first)), Some(last)) => {
            if last.is_some_and(|last| last < first) {
                return Wanted::All;
            }
            if first >= size {
                return Wanted::Nothing;
            }
            Wanted::Part(first..last.map_or(size, |last| last.saturating_add(1).min(size)))
        }
        (Some(None), Some(Some(count))) if count > 0 && size > 0 => Wanted::Part(size.saturating_sub(count)..size),
        (Some(None), Some(Some(_))) => Wanted::Nothing,
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_http_defines_them() {
        for (header, size, wanted) in [
            ("bytes=0-9", 100, Wanted::Part(0..10)),
            ("bytes=90-", 100, Wanted::Part(90..100)),
            ("bytes=90-1000", 100, Wanted::Part(90..100)),
            ("bytes=-10", 100, Wanted::Part(90..100)),
            ("bytes=-1000", 100, Wanted::Part(0..100)),
            ("bytes=100-", 100, Wanted::Nothing),
            ("bytes=-0", 100, Wanted::Nothing),
            ("bytes=-5", 0, Wanted::Nothing),
            ("bytes=9-3", 100, Wanted::All),
            ("bytes=0-1,5-6", 100, Wanted::All),
            ("lines=0-1", 100, Wanted::All),
            ("bytes=+1-2", 100, Wanted::All),
            ("bytes=0-18446744073709551615", 100, Wanted::Part(0..100)),
        ] {
            assert_eq!(ranges(header, size), wanted, "{header}");
        }
    }
}
