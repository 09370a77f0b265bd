//! Texts that put several rows at once: a statement costs more than a row.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::OnceLock;

use crannog_store::{Tx, Value};
use crannog_types::Result;

/// A statement with as many rows as are there, of a few sizes, so that the databases keep its plans.
pub(crate) struct Rows {
    before: &'static str,
    columns: usize,
    after: &'static str,
    texts: [OnceLock<&'static str>; SIZES.len()],
}

/// Rows a statement, largest first.
const SIZES: [usize; 5] = [64, 16, 4, 2, 1];

impl Rows {
    /// `before VALUES (…), (…) after`, of so many columns.
    pub(crate) const fn new(before: &'static str, columns: usize, after: &'static str) -> Self {
        Rows { before, columns, after, texts: [const { OnceLock::new() }; SIZES.len()] }
    }

    /// The largest statement for this many rows, and how many of them it takes.
    pub(crate) fn of(&'static self, rows: usize) -> (&'static str, usize) {
        let at = SIZES.iter().position(|size| *size <= rows).unwrap_or(SIZES.len() - 1);
        let text = self.texts[at].get_or_init(|| {
            let mut text = format!("{} VALUES ", self.before);
            for row in 0..SIZES[at] {
                text.push_str(if row == 0 { "(" } else { ", (" });
                for column in 0..self.columns {
                    let comma = if column == 0 { "" } else { ", " };
                    let _ = write!(text, "{comma}${}", row * self.columns + column + 1);
                }
                text.push(')');
            }
            text.push(' ');
            text.push_str(self.after);
            // Five of each statement in the program, for as long as it runs.
            Box::leak(text.into_boxed_str())
        });
        (text, SIZES[at])
    }
}

impl Rows {
    /// Runs it for every thing; gives the number of rows that it changed.
    pub(crate) async fn run<T>(
        &'static self,
        tx: &mut Tx,
        things: impl IntoIterator<Item = T>,
        values: impl Fn(T) -> Vec<Value>,
    ) -> Result<u64> {
        let mut left: VecDeque<T> = things.into_iter().collect();
        let mut changed = 0;
        while !left.is_empty() {
            let (sql, rows) = self.of(left.len());
            let now = left.drain(..rows).flat_map(&values).collect();
            changed += tx.run(sql, now).await?;
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_that_fits_is_taken() {
        static ROWS: Rows = Rows::new("INSERT INTO t (a, b)", 2, "ON CONFLICT DO NOTHING");
        assert_eq!(ROWS.of(1), ("INSERT INTO t (a, b) VALUES ($1, $2) ON CONFLICT DO NOTHING", 1));
        let (text, rows) = ROWS.of(63);
        assert_eq!((rows, text.matches('(').count()), (16, 17));
        assert!(text.contains("($31, $32) ON"));
        assert_eq!((ROWS.of(5).1, ROWS.of(3).1), (4, 2));
        assert_eq!(ROWS.of(1000).1, 64);
    }
}
