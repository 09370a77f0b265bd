//! Spark's datetime patterns (`yyyy-MM-dd HH:mm:ss`), the part of them that files in the wild use.
//!
//! A letter that is not understood is refused when the option is read, never skipped.

use crate::spark::zone::{Zone, days_from_civil};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// A letter and how often it stands there.
    Field(char, usize),
    /// `[…]`.
    Optional(Vec<Piece>),
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

#[derive(Clone, Default)]
struct Found {
    year: Option<i64>,
    month: Option<u32>,
    day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    micros: i64,
    afternoon: Option<bool>,
    zone: Option<Zone>,
}

impl Pattern {
    /// # Errors
    /// What in the pattern is not understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut chars = text.chars().peekable();
        let mut open = vec![Vec::new()];
        while let Some(c) = chars.next() {
            let piece = match c {
                '[' => {
                    open.push(Vec::new());
                    continue;
                }
                ']' => match (open.pop(), open.is_empty()) {
                    (Some(inner), false) => Piece::Optional(inner),
                    _ => return Err("']' without '['".to_owned()),
                },
                '\'' => {
                    let mut quoted = String::new();
                    loop {
                        match chars.next() {
                            Some('\'') if chars.next_if_eq(&'\'').is_some() => quoted.push('\''),
                            Some('\'') => break,
                            Some(c) => quoted.push(c),
                            None => return Err("a quote is not closed".to_owned()),
                        }
                    }
                    // Two quotes alone are one quote.
                    Piece::Text(if quoted.is_empty() { "'".to_owned() } else { quoted })
                }
                c if c.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while chars.next_if_eq(&c).is_some() {
                        count += 1;
                    }
                    let known = match c {
                        'y' | 'u' => count == 2 || count == 4,
                        'M' | 'L' | 'E' => count <= 4,
                        'd' | 'H' | 'h' | 'm' | 's' => count <= 2,
                        'S' => count <= 9,
                        'a' => count == 1,
                        'X' | 'x' | 'Z' => count <= 3,
                        'V' => count == 2,
                        'z' => count <= 3,
                        _ => false,
                    };
                    if !known {
                        return Err(format!(
                            "'{}' is not a datetime pattern that is supported",
                            c.to_string().repeat(count)
                        ));
                    }
                    Piece::Field(c, count)
                }
                c => Piece::Text(c.to_string()),
            };
            if let Some(pieces) = open.last_mut() {
                pieces.push(piece);
            }
        }
        match (open.pop(), open.is_empty()) {
            (Some(pieces), true) => Ok(Self(pieces)),
            _ => Err("'[' without ']'".to_owned()),
        }
    }

    /// The text's day, counted from 1970-01-01; `None` when it does not match the pattern whole.
    pub(super) fn date(&self, text: &str) -> Option<i32> {
        i32::try_from(self.find(text)?.day_number()?).ok()
    }

    /// The text's wall-clock time in microseconds, and its zone if it names one.
    pub(super) fn moment(&self, text: &str) -> Option<(i64, Option<Zone>)> {
        let found = self.find(text)?;
        let hour = match found.afternoon {
            Some(afternoon) if (1..=12).contains(&found.hour) => found.hour % 12 + if afternoon { 12 } else { 0 },
            Some(_) => return None,
            None => found.hour,
        };
        if hour > 23 || found.minute > 59 || found.second > 59 {
            return None;
        }
        let seconds = found.day_number()? * 86_400 + i64::from(hour * 3_600 + found.minute * 60 + found.second);
        Some((seconds.checked_mul(1_000_000)? + found.micros, found.zone))
    }

    fn find(&self, text: &str) -> Option<Found> {
        let mut found = Found::default();
        let rest = take(&self.0, text, &mut found)?;
        rest.is_empty().then_some(found)
    }
}

impl Found {
    fn day_number(&self) -> Option<i64> {
        days_from_civil(self.year.unwrap_or(1970), self.month.unwrap_or(1), self.day.unwrap_or(1))
    }
}

/// Takes what the pieces match from the text's beginning; gives the rest.
fn take<'t>(pieces: &[Piece], text: &'t str, found: &mut Found) -> Option<&'t str> {
    let mut rest = text;
    for (at, piece) in pieces.iter().enumerate() {
        rest = match piece {
            Piece::Text(literal) => rest.strip_prefix(literal.as_str())?,
            Piece::Optional(inner) => {
                let mut with = found.clone();
                match take(inner, rest, &mut with) {
                    Some(after) => {
                        *found = with;
                        after
                    }
                    None => rest,
                }
            }
            Piece::Field(letter, count) => {
                // Fields that touch have fixed widths: yyyyMMdd.
                let touching = matches!(pieces.get(at + 1), Some(Piece::Field(next, _)) if next.is_ascii_alphabetic());
                take_field(*letter, *count, touching, rest, found)?
            }
        };
    }
    Some(rest)
}

fn take_field<'t>(letter: char, count: usize, touching: bool, text: &'t str, found: &mut Found) -> Option<&'t str> {
    let number = |least: usize, most: usize| {
        let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
        match digits >= least {
            true => Some((text[..digits].parse::<u32>().ok()?, &text[digits..])),
            false => None,
        }
    };
    let of_two = || number(count, if count == 2 || touching { count.max(1) } else { 2 });
    Some(match (letter, count) {
        ('y' | 'u', 2) => {
            let (year, rest) = number(2, 2)?;
            found.year = Some(2000 + i64::from(year));
            rest
        }
        ('y' | 'u', _) => {
            let (year, rest) = number(4, 4)?;
            found.year = Some(i64::from(year));
            rest
        }
        ('M' | 'L', 3 | 4) => {
            let (index, rest) = name(&MONTHS, count == 3, text)?;
            found.month = Some(u32::try_from(index).ok()? + 1);
            rest
        }
        ('E', _) => name(&DAYS, count < 4, text)?.1,
        ('M' | 'L', _) => set(&mut found.month, of_two()?),
        ('d', _) => set(&mut found.day, of_two()?),
        ('H' | 'h', _) => {
            let (hour, rest) = of_two()?;
            found.hour = hour;
            rest
        }
        ('m', _) => {
            let (minute, rest) = of_two()?;
            found.minute = minute;
            rest
        }
        ('s', _) => {
            let (second, rest) = of_two()?;
            found.second = second;
            rest
        }
        ('S', _) => {
            let digits = text.bytes().take(count).take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            let padded: String = text[..digits].chars().chain("000000".chars()).take(6).collect();
            found.micros = padded.parse().ok()?;
            &text[digits..]
        }
        ('a', _) => {
            let half = text.get(..2)?;
            found.afternoon = Some(match half.to_ascii_lowercase().as_str() {
                "am" => false,
                "pm" => true,
                _ => return None,
            });
            &text[2..]
        }
        _ => {
            // Zones end at a blank or with the text.
            let end = text.find(' ').unwrap_or(text.len());
            found.zone = Some(Zone::parse(text.get(..end).filter(|zone| !zone.is_empty())?).ok()?);
            &text[end..]
        }
    })
}

fn set<'t>(field: &mut Option<u32>, (value, rest): (u32, &'t str)) -> &'t str {
    *field = Some(value);
    rest
}

fn name<'t>(names: &[&str], short: bool, text: &'t str) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = if short { &name[..3] } else { name };
        let begin = text.get(..name.len())?;
        begin.eq_ignore_ascii_case(name).then(|| (index, &text[name.len()..]))
    })
}
