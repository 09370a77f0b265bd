//! Figures for Prometheus: requests by route, what other parts count, and what is read at the moment of asking.
//!
//! The text format is written by hand: it is a page of code, and an answered request costs two additions. Labels are route
//! names and statuses of this program, never what a client sent, so their number is bounded.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The figures of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Inner>);

#[derive(Default)]
struct Inner {
    routes: RwLock<BTreeMap<String, Arc<RouteFigures>>>,
    counters: RwLock<BTreeMap<&'static str, Counter>>,
    gauges: RwLock<Vec<Gauge>>,
}

#[derive(Default)]
struct RouteFigures {
    statuses: RwLock<BTreeMap<u16, Arc<AtomicU64>>>,
    buckets: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

#[derive(Clone)]
struct Counter {
    about: &'static str,
    value: Arc<AtomicU64>,
}

struct Gauge {
    name: &'static str,
    about: &'static str,
    counts: bool,
    read: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics(…)")
    }
}

impl Metrics {
    /// One answered request of a route.
    pub fn request(&self, route: &str, status: u16, took: Duration) {
        let figures = self.route(route);
        let counted = figures.statuses.read().unwrap_or_else(PoisonError::into_inner).get(&status).cloned();
        counted.unwrap_or_else(|| Arc::clone(write(&figures.statuses).entry(status).or_default())).add();
        let seconds = took.as_secs_f64();
        if let Some(bucket) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            figures.buckets[bucket].add();
        }
        figures.count.add();
        figures.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn route(&self, route: &str) -> Arc<RouteFigures> {
        let known = self.0.routes.read().unwrap_or_else(PoisonError::into_inner).get(route).cloned();
        known.unwrap_or_else(|| Arc::clone(write(&self.0.routes).entry(route.to_owned()).or_default()))
    }

    /// A number that only grows, for whoever counts something: `crannog_statements_total`. Asked for twice it is the same.
    pub fn counter(&self, name: &'static str, about: &'static str) -> Arc<AtomicU64> {
        let mut counters = write(&self.0.counters);
        Arc::clone(&counters.entry(name).or_insert_with(|| Counter { about, value: Arc::default() }).value)
    }

    /// A number that is read when somebody asks. It must come at once: no I/O, no waiting.
    pub fn gauge(&self, name: &'static str, about: &'static str, read: impl Fn() -> f64 + Send + Sync + 'static) {
        write(&self.0.gauges).push(Gauge { name, about, counts: false, read: Box::new(read) });
    }

    /// Like [`Metrics::gauge`], for a number that only grows and that somebody else keeps. The name may bring labels,
    /// `name{kind="x"}`; those of one name are given in one after the other.
    pub fn counted(&self, name: &'static str, about: &'static str, read: impl Fn() -> f64 + Send + Sync + 'static) {
        write(&self.0.gauges).push(Gauge { name, about, counts: true, read: Box::new(read) });
    }

    /// All of it in Prometheus' text format, version 0.0.4.
    pub fn text(&self) -> String {
        let mut out = String::new();
        head(&mut out, "crannog_http_requests_total", "Answered requests by route and status.", "counter");
        let routes = self.0.routes.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (route, figures) in &routes {
            for (status, count) in figures.statuses.read().unwrap_or_else(PoisonError::into_inner).iter() {
                let count = count.load(Ordering::Relaxed);
                line(
                    &mut out,
                    format_args!("crannog_http_requests_total{{route=\"{route}\",status=\"{status}\"}} {count}"),
                );
            }
        }
        const LATENCY: &str = "crannog_http_request_seconds";
        head(&mut out, LATENCY, "Time to the first byte of an answer, in seconds, by route.", "histogram");
        for (route, figures) in &routes {
            let mut sum = 0;
            for (bound, bucket) in BUCKETS.iter().zip(&figures.buckets) {
                sum += bucket.load(Ordering::Relaxed);
                line(&mut out, format_args!("{LATENCY}_bucket{{route=\"{route}\",le=\"{bound}\"}} {sum}"));
            }
            let count = figures.count.load(Ordering::Relaxed).max(sum);
            let seconds = Duration::from_micros(figures.micros.load(Ordering::Relaxed)).as_secs_f64();
            line(&mut out, format_args!("{LATENCY}_bucket{{route=\"{route}\",le=\"+Inf\"}} {count}"));
            line(&mut out, format_args!("{LATENCY}_sum{{route=\"{route}\"}} {seconds}"));
            line(&mut out, format_args!("{LATENCY}_count{{route=\"{route}\"}} {count}"));
        }
        for (name, counter) in self.0.counters.read().unwrap_or_else(PoisonError::into_inner).iter() {
            head(&mut out, name, counter.about, "counter");
            line(&mut out, format_args!("{name} {}", counter.value.load(Ordering::Relaxed)));
        }
        let mut last = "";
        for gauge in self.0.gauges.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let (name, _) = gauge.name.split_once('{').unwrap_or((gauge.name, ""));
            if name != last {
                head(&mut out, name, gauge.about, if gauge.counts { "counter" } else { "gauge" });
            }
            last = name;
            line(&mut out, format_args!("{} {}", gauge.name, (gauge.read)()));
        }
        out
    }
}

trait Add {
    fn add(&self);
}

impl Add for AtomicU64 {
    fn add(&self) {
        self.fetch_add(1, Ordering::Relaxed);
    }
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn head(out: &mut String, name: &str, about: &str, kind: &str) {
    line(out, format_args!("# HELP {name} {about}"));
    line(out, format_args!("# TYPE {name} {kind}"));
}

/// Writing to a text cannot fail.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_requests_counters_and_gauges() {
        let metrics = Metrics::default();
        metrics.request("GetTable", 200, Duration::from_millis(3));
        metrics.request("GetTable", 200, Duration::from_secs(60));
        metrics.request("GetTable", 404, Duration::from_micros(10));
        metrics.counter("crannog_statements_total", "Statements.").fetch_add(2, Ordering::Relaxed);
        metrics.counter("crannog_statements_total", "Statements.").fetch_add(1, Ordering::Relaxed);
        metrics.gauge("crannog_disk_free_bytes", "Free.", || 12.5);
        metrics.counted("crannog_ends_total{how=\"well\"}", "Ends.", || 1.0);
        metrics.counted("crannog_ends_total{how=\"badly\"}", "Ends.", || 2.0);
        let text = metrics.text();
        assert_eq!(text.matches("# HELP crannog_ends_total Ends.\n").count(), 1);
        for line in [
            "crannog_http_requests_total{route=\"GetTable\",status=\"200\"} 2",
            "crannog_http_requests_total{route=\"GetTable\",status=\"404\"} 1",
            "crannog_http_request_seconds_bucket{route=\"GetTable\",le=\"0.001\"} 1",
            "crannog_http_request_seconds_bucket{route=\"GetTable\",le=\"0.005\"} 2",
            "crannog_http_request_seconds_bucket{route=\"GetTable\",le=\"30\"} 2",
            "crannog_http_request_seconds_bucket{route=\"GetTable\",le=\"+Inf\"} 3",
            "crannog_http_request_seconds_count{route=\"GetTable\"} 3",
            "crannog_statements_total 3",
            "# TYPE crannog_disk_free_bytes gauge",
            "crannog_disk_free_bytes 12.5",
            "crannog_ends_total{how=\"well\"} 1",
            "crannog_ends_total{how=\"badly\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} not in\n{text}");
        }
    }
}
