//! CSV records as batches: which field is which column, and what the mode does with records that do not fit.

use crannog_lake::model::StructType;
use crannog_storage::FileMeta;
use crannog_types::{Problem, Result};

use super::csv::{Reader, Records, Row};
use super::options::{Mode, Options};
use super::text::{self, Decoder, Pull};
use super::values::{self, Bad};
use super::{BATCH_BYTES, BATCH_ROWS, Emit, Job, Source, grouped, malformed, same_name, unknown_column};

/// A CSV file behind its header.
pub(super) struct Opened {
    pub(super) reader: Reader<Decoder<Pull>>,
    /// The header's names; without a header those of the first record's positions (`_c0` …), when asked for.
    pub(super) names: Option<Vec<String>>,
}

/// Opens a file and reads its header. `None`: the file is empty.
pub(super) fn open(source: &Source, file: &FileMeta, handle: &tokio::runtime::Handle) -> Result<Option<Opened>> {
    let shown = source.shown(file);
    let options = &source.options;
    let pull = Pull::open(handle, &source.folder, &file.path)?;
    let mut reader = Reader::new(Decoder::new(pull, options.encoding), options);
    let failed = |error| text::problem(error, &shown);
    reader.skip_lines(options.skip_rows).map_err(failed)?;
    if !options.header {
        return Ok(Some(Opened { reader, names: None }));
    }
    let mut header = Records::default();
    if !reader.record(&mut header).map_err(failed)? {
        return Ok(None);
    }
    let names = header_names(&header, &header.rows[0], &shown)?;
    Ok(Some(Opened { reader, names: Some(names) }))
}

fn header_names(header: &Records, row: &Row, shown: &str) -> Result<Vec<String>> {
    let place = format!("line {}", grouped(row.line));
    if let Some(why) = row.fault {
        return Err(malformed(shown, &place, why));
    }
    let mut names: Vec<String> = Vec::new();
    for index in 0..row.count {
        let name = match header.field(row, index).map(|(bytes, _)| std::str::from_utf8(bytes)) {
            Some(Ok("")) | None => format!("_c{index}"),
            Some(Ok(name)) => name.to_owned(),
            Some(Err(_)) => return Err(malformed(shown, &place, "the header is not in the file's encoding")),
        };
        if let Some(twice) = names.iter().find(|other| same_name(other, &name)) {
            return Err(Problem::invalid(format!("{shown}, {place}: the header has the column '{twice}' twice"))
                .reason("DUPLICATE_COLUMN")
                .fact("file", shown)
                .hint("names differ only by case count as equal; rename one, or read with header => false and skipRows => 1"));
        }
        names.push(name);
    }
    Ok(names)
}

/// Reads a file; false: nobody wants more.
pub(super) fn read(job: &Job, file: &FileMeta, emit: Emit<'_>) -> Result<bool> {
    let (source, shown) = (&job.source, job.source.shown(file));
    let Some(mut opened) = open(source, file, &job.handle)? else { return Ok(true) };
    let places = places(job, opened.names.as_deref(), &shown)?;
    let expected = opened.names.as_ref().map_or(job.full.fields.len(), Vec::len);
    let mut records = Records::default();
    loop {
        records.clear();
        let mut more = true;
        while more && records.rows.len() < BATCH_ROWS && records.data.len() < BATCH_BYTES {
            more = opened.reader.record(&mut records).map_err(|error| text::problem(error, &shown))?;
        }
        if !records.rows.is_empty() {
            let batch = batch(job, &mut records, &places, expected, file)?;
            if !emit(batch) {
                return Ok(false);
            }
        }
        if !more {
            return Ok(true);
        }
    }
}

/// For each wanted column the index of its field; `None`: the file lacks it.
fn places(job: &Job, names: Option<&[String]>, shown: &str) -> Result<Vec<Option<usize>>> {
    let Some(names) = names else { return Ok(job.projection.iter().copied().map(Some).collect()) };
    if job.source.only_known_columns
        && let Some(unknown) = names.iter().find(|name| !has(&job.full, name))
    {
        return Err(unknown_column(shown, unknown, &job.full));
    }
    let of = |column: &usize| {
        let wanted = job.full.fields.get(*column)?;
        names.iter().position(|name| same_name(name, &wanted.name))
    };
    Ok(job.projection.iter().map(of).collect())
}

fn has(schema: &StructType, name: &str) -> bool {
    schema.fields.iter().any(|field| same_name(&field.name, name))
}

fn batch(
    job: &Job,
    records: &mut Records,
    places: &[Option<usize>],
    expected: usize,
    file: &FileMeta,
) -> Result<arrow::array::RecordBatch> {
    let (source, options) = (&job.source, &job.source.options);
    let shown = source.shown(file);
    let mut faulty = Vec::new();
    for (index, row) in records.rows.iter().enumerate() {
        let (has, wants) = (row.count, expected);
        let why = match row.fault {
            Some(why) => why.to_owned(),
            None if has != wants => {
                format!("it has {has} {}, but {wants} are expected", if has == 1 { "field" } else { "fields" })
            }
            None => continue,
        };
        if options.mode == Mode::FailFast {
            // A bad value in a line above is told first.
            records.rows.truncate(index + 1);
            let place = line(&records.rows[index]);
            let rows = &records.rows[..index];
            let (_, bad) = columns(job, records, rows, places, &shown)?;
            return Err(match bad.iter().min_by_key(|bad| bad.row) {
                Some(first) => first.problem(&shown, &line(&rows[first.row])),
                None => malformed(&shown, &place, &why),
            });
        }
        faulty.push(index);
    }
    let (columns, bad) = columns(job, records, &records.rows, places, &shown)?;
    job.batch(columns, records.rows.len(), &faulty, &bad, file, &|row| {
        records.rows.get(row).map_or_else(String::new, line)
    })
}

fn line(row: &Row) -> String {
    format!("line {}", grouped(row.line))
}

fn columns(
    job: &Job,
    records: &Records,
    rows: &[Row],
    places: &[Option<usize>],
    shown: &str,
) -> Result<(Vec<arrow::array::ArrayRef>, Vec<Bad>)> {
    let options = &job.source.options;
    let mut bad = Vec::new();
    let mut columns = Vec::with_capacity(places.len());
    for (place, column) in places.iter().zip(&job.projection) {
        let Some(field) = job.full.fields.get(*column) else { continue };
        let mut cells = Vec::with_capacity(rows.len());
        for row in rows {
            let cell = match place.and_then(|place| records.field(row, place)) {
                Some((bytes, quoted)) => text_of(bytes, quoted, options).map_err(|()| {
                    let why = format!("column '{}' is not in the encoding that the file is read in", field.name);
                    malformed(shown, &line(row), &why).hint("give its encoding, as in encoding => 'ISO-8859-1'")
                })?,
                None => None,
            };
            cells.push(cell);
        }
        columns.push(values::column(cells.into_iter(), &field.name, &field.data_type, options, &mut bad)?);
    }
    Ok((columns, bad))
}

/// A field's text, or `None` for NULL. Spark's rules: a field of nothing is NULL, `""` is `emptyValue`, and what equals
/// `nullValue` is NULL whether quoted or not; so `""` is NULL too unless `nullValue` is something else.
///
/// # Errors
/// For bytes that are not UTF-8.
pub(super) fn text_of<'a>(bytes: &'a [u8], quoted: bool, options: &'a Options) -> Result<Option<&'a str>, ()> {
    let text = match (bytes, quoted) {
        ([], false) => return Ok(None),
        ([], true) => options.empty_value.as_str(),
        (bytes, _) => std::str::from_utf8(bytes).map_err(drop)?,
    };
    Ok((text != options.null_value).then_some(text))
}
