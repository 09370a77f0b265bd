//! Dates as HTTP's headers write them: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).

use crannog_types::Micros;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment as a header's date, in whole seconds.
pub(super) fn http_date(at: Micros) -> String {
    // Micros' own text has every number that is needed: `2026-11-22T08:30:00.250Z`.
    let iso = at.to_string();
    let number = |from: usize, to: usize| iso.get(from..to).unwrap_or_default();
    let month =
        number(5, 7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.checked_sub(1)?)).unwrap_or(&"Jan");
    let day = at.0.div_euclid(86_400_000_000).rem_euclid(7);
    let day = usize::try_from(day).ok().and_then(|day| DAYS.get(day)).unwrap_or(&"Thu");
    format!("{day}, {} {month} {} {} GMT", number(8, 10), number(0, 4), number(11, 19))
}

/// Whether a file was changed after the date of a header. A date that cannot be read is none, as HTTP wants it.
pub(super) fn changed_since(modified: Micros, date: &str) -> bool {
    match (sortable(&http_date(modified)), sortable(date)) {
        (Some(modified), Some(date)) => modified > date,
        _ => false,
    }
}

/// A header's date as a text that sorts by time.
fn sortable(date: &str) -> Option<String> {
    let mut words = date.trim().strip_suffix(" GMT")?.split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|known| *known == month)?;
    let plain =
        |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || b == b':');
    (plain(day, 2) && plain(year, 4) && plain(time, 8)).then(|| format!("{year}{month:02}{day}{time}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_known_moments() {
        assert_eq!(http_date(Micros(784_111_777_000_000)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(Micros(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(Micros(1_795_336_200_250_000)), "Sun, 22 Nov 2026 08:30:00 GMT");
    }

    #[test]
    fn changes_are_compared_by_seconds() {
        let at = Micros(784_111_777_900_000);
        assert!(!changed_since(at, "Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(changed_since(at, "Sun, 06 Nov 1994 08:49:36 GMT"));
        assert!(changed_since(at, "Sat, 31 Oct 1993 23:00:00 GMT"));
        assert!(!changed_since(at, "yesterday"));
    }
}
