//! How answers are printed: as a table, as JSON, as CSV.
//!
//! What is printed was written by others: control characters leave this file escaped, so that no value of a table can move
//! a terminal's cursor. In CSV and JSON values are whole, in the format's own quoting.

use std::io::{IsTerminal, Write};

use clap::ValueEnum;
use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr;

use crate::cli::Failure;

/// The format of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// A list of objects.
    Json,
    /// With a header; quoted as RFC 4180 has it, lines end with a line feed; NULL is empty, an empty text is "".
    Csv,
}

/// One column of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// Whether its texts are numbers or booleans, that is JSON as they are.
    pub(crate) bare: bool,
}

impl Column {
    /// A column of texts.
    pub(crate) fn text(name: &str) -> Self {
        Column { name: name.to_owned(), bare: false }
    }
}

/// Rows of texts; `None` is NULL.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// Prints a line.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(())
}

/// Whether somebody looks at standard error.
pub(crate) fn watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Prints rows.
pub(crate) fn rows(format: Format, columns: &[Column], rows: &Rows) -> Result<(), Failure> {
    let text = match format {
        Format::Table => table(columns, rows, room()),
        Format::Json => json(columns, rows)?,
        Format::Csv => csv(columns, rows),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// A text with its control characters written out.
pub(crate) fn shown(text: &str) -> String {
    // Besides the controls: marks that turn the direction of what follows, and line separators.
    let unsafe_mark =
        |c: char| matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(|c: char| c.is_control() || unsafe_mark(c)) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut out, c| {
        match c {
            c if c.is_control() || unsafe_mark(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
        out
    })
}

/// The columns of the terminal that tables are printed on; none where they go to a file or a program.
fn room() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let (columns, _) = rustyline::DefaultEditor::new().ok()?.dimensions()?;
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}

/// Columns side by side; a row after the other, a line for each column, where those do not fit into the room.
fn table(columns: &[Column], rows: &Rows, room: Option<usize>) -> String {
    if columns.is_empty() {
        return String::new();
    }
    if let ([column], [row]) = (columns, rows.as_slice())
        && let [Some(text)] = row.as_slice()
        && text.contains('\n')
    {
        return lines(&column.name, text);
    }
    let cell = |value: &Option<String>| value.as_deref().map_or_else(|| "NULL".to_owned(), shown);
    let names: Vec<String> = columns.iter().map(|column| shown(&column.name)).collect();
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            let widest = cells.iter().filter_map(|row| row.get(at)).map(|text| text.width()).max().unwrap_or(0);
            widest.max(names[at].width())
        })
        .collect();
    let whole = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
    if columns.len() > 1 && !rows.is_empty() && room.is_some_and(|room| whole > room) {
        return records(&names, &cells);
    }
    let mut out = String::new();
    let mut line = |texts: &[String], right: bool| {
        let mut parts = Vec::with_capacity(texts.len());
        for ((text, width), column) in texts.iter().zip(&widths).zip(columns) {
            let room = " ".repeat(width - text.width());
            parts.push(if right && column.bare { format!("{room}{text}") } else { format!("{text}{room}") });
        }
        out.push_str(parts.join("  ").trim_end());
        out.push('\n');
    };
    line(&names, true);
    line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>(), false);
    for row in &cells {
        line(row, true);
    }
    out
}

/// One text of several lines, such as a plan or a CREATE TABLE.
fn lines(name: &str, text: &str) -> String {
    let name = shown(name);
    let rule = "-".repeat(name.width());
    [name, rule].into_iter().chain(text.lines().map(shown)).map(|line| line + "\n").collect()
}

/// Rows one after the other.
fn records(names: &[String], rows: &[Vec<String>]) -> String {
    let widest = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        out.push_str(&format!("-- row {} --\n", number + 1));
        for (name, text) in names.iter().zip(row) {
            let line = format!("{name}{}  {text}", " ".repeat(widest - name.width()));
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

fn json(columns: &[Column], rows: &Rows) -> Result<String, Failure> {
    let mut out = String::from("[");
    for (number, row) in rows.iter().enumerate() {
        let mut object = Map::new();
        for (column, value) in columns.iter().zip(row) {
            let value = match value {
                None => Value::Null,
                Some(text) => bare(text).filter(|_| column.bare).unwrap_or_else(|| Value::from(text.clone())),
            };
            let mut name = column.name.clone();
            while object.contains_key(&name) {
                name.push('_');
            }
            object.insert(name, value);
        }
        out.push_str(if number == 0 { "\n  " } else { ",\n  " });
        out.push_str(&serde_json::to_string(&object).map_err(|error| Failure::new(error.to_string()))?);
    }
    out.push_str(if rows.is_empty() { "]\n" } else { "\n]\n" });
    Ok(out)
}

/// A number or a boolean, where JSON says it without loss: NaN, and decimals that no double holds, stay texts.
fn bare(text: &str) -> Option<Value> {
    serde_json::from_str::<Value>(text).ok().filter(|value| *value.to_string() == *text)
}

fn csv(columns: &[Column], rows: &Rows) -> String {
    let field = |text: &str| {
        if text.contains(['"', ',', '\n', '\r']) || text.is_empty() {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let mut out = columns.iter().map(|column| field(&column.name)).collect::<Vec<_>>().join(",") + "\n";
    for row in rows {
        let fields: Vec<String> = row.iter().map(|value| value.as_deref().map(field).unwrap_or_default()).collect();
        out.push_str(&fields.join(","));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<Column>, Rows) {
        let columns = vec![Column { name: "n".into(), bare: true }, Column::text("text"), Column::text("text")];
        let some = |text: &str| Some(text.to_owned());
        let rows = vec![
            vec![some("1"), some("a,\"b\""), None],
            vec![some("12345678901234567890.5"), some("湖\u{1b}[31m"), some("")],
            vec![some("NaN"), some("x\ny"), some("z")],
        ];
        (columns, rows)
    }

    #[test]
    fn a_table_is_aligned_and_safe_to_look_at() {
        let (columns, rows) = sample();
        assert_eq!(
            table(&columns, &rows, None),
            "                     n  text          text\n\
             ----------------------  ------------  ----\n\
             \u{20}                    1  a,\"b\"         NULL\n\
             12345678901234567890.5  湖\\u{1b}[31m\n\
             \u{20}                  NaN  x\\ny          z\n"
        );
    }

    #[test]
    fn a_table_that_is_wider_than_the_terminal_is_printed_row_by_row() {
        let (columns, rows) = sample();
        assert_eq!(table(&columns, &rows, Some(42)), table(&columns, &rows, None));
        assert_eq!(
            table(&columns, &rows[..2].to_vec(), Some(41)),
            "-- row 1 --\n\
             n     1\n\
             text  a,\"b\"\n\
             text  NULL\n\
             -- row 2 --\n\
             n     12345678901234567890.5\n\
             text  湖\\u{1b}[31m\n\
             text\n"
        );
        assert_eq!(table(&columns, &Vec::new(), Some(3)), "n  text  text\n-  ----  ----\n");
        let one = [Column::text("alone")];
        assert_eq!(table(&one, &vec![vec![Some("long long".to_owned())]], Some(3)), "alone\n---------\nlong long\n");
    }

    #[test]
    fn one_text_of_several_lines_is_printed_as_lines() {
        let one = [Column::text("plan")];
        let text = |text: &str| vec![Some(text.to_owned())];
        assert_eq!(table(&one, &vec![text("a\n  b\u{1b}[31m\n")], None), "plan\n----\na\n  b\\u{1b}[31m\n");
        assert_eq!(
            table(&one, &vec![text("a\nb"), text("c")], None),
            "plan\n----\na\\nb\nc\n",
            "of two rows each is a line"
        );
    }

    #[test]
    fn json_keeps_numbers_and_every_column() {
        let (columns, rows) = sample();
        let read: Value = serde_json::from_str(&json(&columns, &rows).unwrap()).unwrap();
        assert_eq!(read[0], serde_json::json!({ "n": 1, "text": "a,\"b\"", "text_": null }));
        assert_eq!((&read[1]["n"], &read[2]["n"]), (&Value::from("12345678901234567890.5"), &Value::from("NaN")));
        assert_eq!(json(&columns, &Vec::new()).unwrap(), "[]\n");
    }

    #[test]
    fn csv_quotes_and_tells_null_from_empty() {
        let (columns, rows) = sample();
        let text = csv(&columns, &rows);
        assert!(text.starts_with("n,text,text\n1,\"a,\"\"b\"\"\",\n"), "{text}");
        assert!(text.contains(",\"\"\n"));
    }
}
