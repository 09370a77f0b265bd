//! What an import did: on the way to standard error, at the end to standard output.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crannog_tracking::model::imports::Outcome;

use crate::cli::Failure;

/// How many ids stand behind a reason.
const EXAMPLES: usize = 5;

/// What was done, and what was left out.
#[derive(Default)]
pub(super) struct Report {
    counts: BTreeMap<&'static str, (u64, u64)>,
    changed: BTreeMap<(String, String), Many>,
    left: BTreeMap<(String, String), Many>,
}

#[derive(Default)]
struct Many {
    count: u64,
    ids: Vec<String>,
}

impl Many {
    fn add(&mut self, count: u64, id: &str) {
        self.count += count;
        if self.ids.len() < EXAMPLES && !id.is_empty() {
            self.ids.push(id.to_owned());
        }
    }

    fn line(&self, (what, why): &(String, String)) -> String {
        let more = if self.count > self.ids.len() as u64 { ", …" } else { "" };
        match self.ids.as_slice() {
            [] => format!("  {} {what}: {why}", self.count),
            ids => format!("  {} {what}: {why} ({}{more})", self.count, ids.join(", ")),
        }
    }
}

impl Report {
    /// What became of a batch.
    pub(super) fn add(&mut self, what: &'static str, outcome: &Outcome) {
        self.count(what, outcome.made as u64, outcome.there as u64);
        for note in &outcome.left {
            self.left(what, &note.about, 1, &note.id);
        }
        for note in &outcome.changed {
            self.changed(what, &note.about, &note.id);
        }
    }

    /// So many were taken over, and so many were there.
    pub(super) fn count(&mut self, what: &'static str, made: u64, there: u64) {
        let counts = self.counts.entry(what).or_default();
        *counts = (counts.0 + made, counts.1 + there);
    }

    /// Something was left out.
    pub(super) fn left(&mut self, what: &str, why: &str, count: u64, id: &str) {
        if count > 0 {
            self.left.entry((what.to_owned(), why.to_owned())).or_default().add(count, id);
        }
    }

    /// Something is another than it was.
    pub(super) fn changed(&mut self, what: &str, how: &str, id: &str) {
        self.changed.entry((what.to_owned(), how.to_owned())).or_default().add(1, id);
    }

    /// What another one noted, too.
    pub(super) fn merge(&mut self, other: Report) {
        for (what, (made, there)) in other.counts {
            self.count(what, made, there);
        }
        for (mine, theirs) in [(&mut self.changed, other.changed), (&mut self.left, other.left)] {
            for (about, many) in theirs {
                let all = mine.entry(about).or_default();
                all.count += many.count;
                all.ids.extend(many.ids);
                all.ids.truncate(EXAMPLES);
            }
        }
    }

    /// Whether nothing was left out.
    pub(super) fn is_whole(&self) -> bool {
        self.left.is_empty()
    }

    /// Says all of it.
    pub(super) fn print(&self) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        for (what, (made, there)) in &self.counts {
            writeln!(out, "{what}: {made} taken over, {there} there already")?;
        }
        for (title, notes) in [("changed:", &self.changed), ("left out:", &self.left)] {
            if !notes.is_empty() {
                writeln!(out, "{title}")?;
            }
            for (about, many) in notes {
                writeln!(out, "{}", many.line(about))?;
            }
        }
        Ok(())
    }
}

/// How far it is, said once a second on a terminal, and once in ten elsewhere.
pub(super) struct Progress {
    began: Instant,
    said: Option<Instant>,
    terminal: bool,
    all: (u64, u64),
    /// Runs that need not come: they were here before, or are left out.
    passed: Arc<AtomicU64>,
    done: (u64, u64),
}

impl Progress {
    /// Of so many runs with so many points.
    pub(super) fn new(runs: u64, points: u64, passed: Arc<AtomicU64>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Progress { began: Instant::now(), said: None, terminal, all: (runs, points), passed, done: (0, 0) }
    }

    /// So many more were taken over.
    pub(super) fn add(&mut self, runs: u64, points: u64) {
        self.done = (self.done.0 + runs, self.done.1 + points);
        self.say(false);
    }

    /// It is over.
    pub(super) fn end(&mut self) {
        self.say(true);
        if self.terminal {
            eprintln!();
        }
    }

    fn say(&mut self, last: bool) {
        let pause = Duration::from_secs(if self.terminal { 1 } else { 10 });
        if !last && self.said.unwrap_or(self.began).elapsed() < pause {
            return;
        }
        self.said = Some(Instant::now());
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let (runs, points) = self.done;
        let over = self.passed.load(Ordering::Relaxed) + runs;
        let left = self.all.0.saturating_sub(over);
        let rest = match runs {
            0 if left > 0 => String::from("?"),
            _ => format!("{:.0} s", seconds / runs.max(1) as f64 * left as f64),
        };
        let line = format!(
            "{over} of {} runs, {points} of {} points, {:.0} points/s, {rest} to go",
            self.all.0,
            self.all.1,
            points as f64 / seconds
        );
        if self.terminal { eprint!("\r{line}\x1b[K") } else { eprintln!("{line}") }
    }
}
