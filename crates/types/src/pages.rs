//! Pages of lists: a page is "at most `limit` rows after this name".

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{Code, Problem, Result};

/// The largest page that any list gives, and the page that a client gets which leaves the size to the server.
pub const MAX_PAGE: i64 = 1_000;

/// What a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows after this key, in the list's order; `None` starts at the beginning.
    pub after: Option<String>,
    /// At most this many rows. `None`: all of them (DuckDB asks without a size and never follows a token).
    pub limit: Option<i64>,
}

impl Page {
    /// Reads Unity Catalog's `max_results` and `page_token`.
    ///
    /// No size means everything, 0 means the server's page (databricks-sdk and Spark send 0 and follow the token).
    pub fn of(max_results: Option<i64>, page_token: Option<&str>) -> Result<Self> {
        let limit = match max_results {
            None => None,
            Some(0) => Some(MAX_PAGE),
            Some(n) if n > 0 => Some(n.min(MAX_PAGE)),
            Some(n) => {
                return Err(Problem::new(Code::InvalidArgument, format!("max_results is {n}"))
                    .hint("give a page size of 0 (the server's page) or more"));
            }
        };
        let after = match page_token {
            None | Some("") => None,
            Some(token) => {
                Some(URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(
                    || {
                        Problem::new(Code::InvalidArgument, "page_token is not one of ours")
                            .hint("pass next_page_token of the previous answer, unchanged")
                    },
                )?)
            }
        };
        Ok(Page { after, limit })
    }

    /// Everything, in one page.
    pub fn all() -> Self {
        Page { after: None, limit: None }
    }

    /// How many rows to read: one more than the page, to learn whether another follows.
    pub fn fetch(&self) -> i64 {
        self.limit.map_or(i64::MAX, |limit| limit + 1)
    }

    /// Cuts rows that [`Page::fetch`] asked for to the page, and makes the token when more follow.
    pub fn cut<T>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> String) -> Paged<T> {
        let size = self.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let next = if rows.len() > size {
            rows.truncate(size);
            rows.last().map(|row| URL_SAFE_NO_PAD.encode(key(row)))
        } else {
            None
        };
        Paged { rows, next }
    }
}

/// One page of a list, and the token of the next if there is one.
#[derive(Clone, Debug)]
pub struct Paged<T> {
    /// The page's rows in the list's order.
    pub rows: Vec<T>,
    /// What the client passes back for the next page; `None` at the end.
    pub next: Option<String>,
}

impl<T> Paged<T> {
    /// The same page with each row turned into something else.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Paged<U> {
        Paged { rows: self.rows.into_iter().map(each).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walking_pages_gives_each_row_once() {
        let all: Vec<String> = (0..7).map(|n| format!("row{n}")).collect();
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let page = Page::of(Some(3), token.as_deref()).unwrap();
            let rows: Vec<String> = all
                .iter()
                .filter(|row| page.after.as_ref().is_none_or(|after| *row > after))
                .take(usize::try_from(page.fetch()).unwrap())
                .cloned()
                .collect();
            let cut = page.cut(rows, Clone::clone);
            seen.extend(cut.rows);
            token = cut.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn sizes_as_clients_send_them() {
        assert_eq!(Page::of(None, None).unwrap().limit, None);
        assert_eq!(Page::of(Some(0), Some("")).unwrap(), Page { after: None, limit: Some(MAX_PAGE) });
        assert_eq!(Page::of(Some(5_000), None).unwrap().limit, Some(MAX_PAGE));
        assert!(Page::of(Some(-1), None).is_err());
        assert!(Page::of(None, Some("\u{1F4A5}")).is_err());
    }
}
