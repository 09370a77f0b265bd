//! Points of metrics as bytes: a few a row of the database, in place of a row each.
//!
//! The form, version 1: the byte 1; then for each metric its name (length and UTF-8), how many points follow, and the points.
//! A point is its step and its time, each as the difference to the point before (zigzag, base 128), and its value (8 bytes, little
//! endian). Points of a metric stand in the order in which they came.

use super::runs::Metric;

const VERSION: u8 = 1;

/// Points as bytes. Those of one metric are put together; their order stays.
pub fn encode(points: &[Metric]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + points.len() * 12);
    out.push(VERSION);
    let mut keys: Vec<&str> = Vec::new();
    for point in points {
        // Batches have few names, mostly; a set pays from some dozens on.
        if keys.last() != Some(&point.key.as_str()) {
            keys.push(&point.key);
        }
    }
    keys.sort_unstable();
    keys.dedup();
    let mut of_key: Vec<Vec<&Metric>> = vec![Vec::new(); keys.len()];
    for point in points {
        if let Ok(at) = keys.binary_search(&point.key.as_str()) {
            of_key[at].push(point);
        }
    }
    for (key, points) in keys.iter().zip(of_key) {
        put(&mut out, key.len() as u64);
        out.extend_from_slice(key.as_bytes());
        put(&mut out, points.len() as u64);
        let (mut step, mut time) = (0_i64, 0_i64);
        for point in points {
            put(&mut out, zigzag(point.step.wrapping_sub(step)));
            put(&mut out, zigzag(point.time_ms.wrapping_sub(time)));
            out.extend_from_slice(&point.value.to_le_bytes());
            (step, time) = (point.step, point.time_ms);
        }
    }
    out
}

/// A point without its metric's name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
    /// Its step.
    pub step: i64,
    /// Its value.
    pub value: f64,
}

/// What is read of points in bytes.
pub(crate) trait Sink {
    /// A metric, and how many points of it follow. Says whether they are wanted.
    fn metric(&mut self, key: &str, count: u64) -> bool;

    /// A point of the metric that was named last.
    fn point(&mut self, point: Point);
}

/// Reads points in bytes, those of one metric together. `None` when the bytes are not of [`encode`].
pub(crate) fn read(bytes: &[u8], sink: &mut impl Sink) -> Option<()> {
    let mut at = bytes.strip_prefix(&[VERSION])?;
    while !at.is_empty() {
        let length = usize::try_from(take(&mut at)?).ok()?;
        let key = std::str::from_utf8(at.get(..length)?).ok()?;
        at = &at[length..];
        let count = take(&mut at)?;
        let wanted = sink.metric(key, count);
        let (mut step, mut time_ms) = (0_i64, 0_i64);
        for _ in 0..count {
            step = step.wrapping_add(unzigzag(take(&mut at)?));
            time_ms = time_ms.wrapping_add(unzigzag(take(&mut at)?));
            let value = f64::from_le_bytes(at.get(..8)?.try_into().ok()?);
            at = &at[8..];
            if wanted {
                sink.point(Point { time_ms, step, value });
            }
        }
    }
    Some(())
}

/// The points of one metric in bytes. `None` as for [`read`].
pub fn decode(bytes: &[u8], only: &str, into: &mut Vec<Point>) -> Option<()> {
    struct Only<'a>(&'a str, &'a mut Vec<Point>);
    impl Sink for Only<'_> {
        fn metric(&mut self, key: &str, _: u64) -> bool {
            self.0 == key
        }
        fn point(&mut self, point: Point) {
            self.1.push(point);
        }
    }
    read(bytes, &mut Only(only, into))
}

/// Every point in bytes, those of one metric together. `None` as for [`read`].
pub fn decode_all(bytes: &[u8], into: &mut Vec<Metric>) -> Option<()> {
    struct All<'a>(String, &'a mut Vec<Metric>);
    impl Sink for All<'_> {
        fn metric(&mut self, key: &str, _: u64) -> bool {
            key.clone_into(&mut self.0);
            true
        }
        fn point(&mut self, Point { time_ms, step, value }: Point) {
            self.1.push(Metric { key: self.0.clone(), value, time_ms, step });
        }
    }
    read(bytes, &mut All(String::new(), into))
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(at: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = at.split_first()?;
        *at = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(key: &str, step: i64, time_ms: i64, value: f64) -> Metric {
        Metric { key: key.to_owned(), value, time_ms, step }
    }

    #[test]
    fn what_is_written_is_read() {
        let points = [
            point("loss", 0, 1_700_000_000_000, 0.5),
            point("größe", i64::MIN, i64::MAX, f64::MAX),
            point("loss", 1, 1_700_000_000_001, -0.0),
            point("größe", i64::MAX, i64::MIN, f64::MIN_POSITIVE),
            point("loss", 1, 0, 3.0),
        ];
        let bytes = encode(&points);
        for key in ["loss", "größe", "other"] {
            let expected: Vec<Point> = points
                .iter()
                .filter(|point| point.key == key)
                .map(|point| Point { time_ms: point.time_ms, step: point.step, value: point.value })
                .collect();
            let mut found = Vec::new();
            decode(&bytes, key, &mut found).unwrap();
            assert_eq!(found, expected, "{key}");
        }
        let mut all = Vec::new();
        decode_all(&bytes, &mut all).unwrap();
        // By metric, each in its order: what is encoded again is the same.
        assert_eq!(all.len(), points.len());
        assert_eq!(encode(&all), bytes);
        let mut nan = Vec::new();
        decode(&encode(&[point("a", 0, 0, f64::NAN)]), "a", &mut nan).unwrap();
        assert!(nan[0].value.is_nan());
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = encode(&[point("a", 5, 6, 7.0)]);
        for end in 0..bytes.len() {
            // A prefix that ends between metrics is a shorter batch; there is one metric here.
            let whole = end == 1;
            assert_eq!(decode(&bytes[..end], "a", &mut Vec::new()).is_some(), whole, "{end}");
            assert_eq!(decode_all(&bytes[..end], &mut Vec::new()).is_some(), whole, "{end}");
        }
        assert!(decode(&[2], "a", &mut Vec::new()).is_none());
    }

    #[test]
    fn a_series_is_small() {
        let points: Vec<Metric> =
            (0..1000_i32).map(|i| point("loss", i.into(), i64::from(i) * 100, f64::from(i))).collect();
        assert!(encode(&points).len() < 12 * points.len());
    }
}
