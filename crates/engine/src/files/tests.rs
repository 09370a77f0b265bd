//! Files read as rows, from a real folder: what Spark reads, and errors that say where.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use crannog_lake::model::{DataType, StructType};
use crannog_lake::ports::FileFormat;
use crannog_security::{System, Task};
use crannog_storage::{Access, External, Folder, Managed, Storage};
use crannog_types::{Code, Problem, Result};
use futures::{StreamExt, TryStreamExt};
use uuid::Uuid;

use super::Source;

struct Volume {
    path: PathBuf,
    folder: Folder,
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn volume() -> Volume {
    let path = std::env::temp_dir().join(format!("crannog-files-{}", Uuid::new_v4().simple()));
    let storage = Storage::new(&path, External::Nowhere).unwrap();
    let at = storage.managed(Managed::Volumes, Uuid::nil());
    #[expect(clippy::disallowed_methods, reason = "a test stands in for a permit")]
    let folder = storage.open(&System::task(Task::Probe), &at, Access::ReadWrite).unwrap();
    Volume { path, folder }
}

/// One reading: files, options, maybe a table's schema.
struct Reading {
    format: FileFormat,
    files: Vec<(&'static str, Vec<u8>)>,
    options: Vec<(String, String)>,
    table: Option<StructType>,
}

fn csv(text: impl Into<Vec<u8>>) -> Reading {
    Reading { format: FileFormat::Csv, files: vec![("f.csv", text.into())], options: Vec::new(), table: None }
        .with("header", "true")
}

fn json(text: &str) -> Reading {
    Reading { format: FileFormat::Json, files: vec![("f.json", text.into())], options: Vec::new(), table: None }
}

fn ddl(text: &str) -> StructType {
    match DataType::from_type_text(&format!("struct<{text}>")).unwrap() {
        DataType::Struct(columns) => columns,
        other => panic!("{other:?}"),
    }
}

impl Reading {
    fn with(mut self, key: &str, value: &str) -> Self {
        self.options.retain(|(known, _)| known != key);
        self.options.push((key.to_owned(), value.to_owned()));
        self
    }

    fn and(mut self, name: &'static str, text: impl Into<Vec<u8>>) -> Self {
        self.files.push((name, text.into()));
        self
    }

    /// As COPY INTO reads: with the table's columns.
    fn into_table(mut self, columns: &str) -> Self {
        self.table = Some(ddl(columns));
        self
    }

    async fn source(&self, volume: &Volume) -> Result<Source> {
        let mut files = Vec::new();
        for (name, bytes) in &self.files {
            files.push(volume.folder.put(name, bytes.clone()).await.unwrap());
        }
        let folder = volume.folder.read_only();
        let mut source = Source::new(folder, "/Volumes/main/flights/raw/", files, self.format, &self.options)?;
        if let Some(table) = &self.table {
            source.only_known_columns = !source.options.merge_schema;
            source.schema = Some(table.clone());
        }
        Ok(source)
    }

    /// The schema as type text, and the rows as text.
    async fn read(self) -> Result<(String, Vec<String>)> {
        let volume = volume();
        let source = self.source(&volume).await?;
        let schema = source.infer().await?;
        let batches: Vec<RecordBatch> = source.rows(&schema, None).try_collect().await?;
        let text = DataType::Struct(schema).to_type_text();
        let columns = text.strip_prefix("struct<").unwrap().strip_suffix('>').unwrap().to_owned();
        Ok((columns, batches.iter().flat_map(show).collect()))
    }

    async fn rows(self) -> Vec<String> {
        self.read().await.unwrap().1
    }

    async fn columns(self) -> String {
        self.read().await.unwrap().0
    }

    async fn problem(self) -> Problem {
        self.read().await.unwrap_err()
    }
}

/// `1|x|NULL`.
fn show(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"))
        .collect()
}

#[tokio::test]
async fn csv_types_are_inferred_from_the_whole_file() {
    let text = "i,l,d,day,t,b,s,e,mixed\n\
        1,1,1,2013-01-01,2013-01-01 05:00:00,true,x,,1\n\
        -2,3000000000,1.5e3,2013-1-2,2013-01-02T05:00:00Z,FALSE,2013,,x\n\
        NA,NA,NA,NA,2013-01-03,NA,NA,NA,NA\n";
    let (columns, rows) = csv(text).with("nullValue", "NA").read().await.unwrap();
    assert_eq!(columns, "i:int,l:bigint,d:double,day:date,t:timestamp,b:boolean,s:string,e:string,mixed:string");
    assert_eq!(rows[1], "-2|3000000000|1500.0|2013-01-02|2013-01-02T05:00:00Z|false|2013|NULL|x");
    assert_eq!(rows[2], "NULL|NULL|NULL|NULL|2013-01-03T00:00:00Z|NULL|NULL|NULL|NULL");
    assert_eq!(csv("a,b\n1,2\n").with("inferSchema", "false").columns().await, "a:string,b:string");
    assert_eq!(csv("1,x\n2,y\n").with("header", "false").columns().await, "_c0:int,_c1:string");
    let hinted = csv("id,day\n1,x\n").with("schemaHints", "ID BIGINT, extra DATE");
    assert_eq!(
        hinted.read().await.unwrap(),
        ("id:bigint,day:string,extra:date".to_owned(), vec!["1|x|NULL".to_owned()])
    );
}

#[tokio::test]
async fn a_bad_number_is_named_by_file_line_column_and_value() {
    let mut text = String::from("year,dep_delay\n");
    for line in 2..=336_777 {
        text.push_str(if line == 200_001 { "2013,twelve\n" } else { "2013,12\n" });
    }
    for newline in ["\n", "\r\n"] {
        let problem = csv(text.replace('\n', newline)).into_table("year INT, dep_delay DOUBLE").problem().await;
        assert_eq!(
            problem.message(),
            "/Volumes/main/flights/raw/f.csv, line 200,001, column 'dep_delay': 'twelve' is not a value of type DOUBLE"
        );
        assert_eq!(problem.code(), Code::InvalidArgument);
        assert!(problem.next_step().unwrap().contains("PERMISSIVE"));
    }
    let permissive = csv(text.clone()).into_table("year INT, dep_delay DOUBLE").with("mode", "PERMISSIVE").rows().await;
    assert_eq!((permissive.len(), permissive[199_999].as_str()), (336_776, "2013|NULL"));
    let dropped = csv(text).into_table("year INT, dep_delay DOUBLE").with("mode", "dropMalformed").rows().await;
    assert_eq!(dropped.len(), 336_775);
}

#[tokio::test]
async fn lines_are_counted_through_blank_lines_comments_and_line_breaks_in_values() {
    let text = "# made by hand\r\n\r\na,b\r\n\"x\r\ny\",1\r\n\r\n# note\r\nz,oops\r\n";
    let reading = || csv(text).with("comment", "#").with("multiLine", "true").into_table("a STRING, b INT");
    assert!(reading().problem().await.message().contains("line 8, column 'b': 'oops'"));
    assert_eq!(reading().with("mode", "PERMISSIVE").rows().await, ["x\r\ny|1", "z|NULL"]);
    // The first trouble of the file is told, whatever kind it is.
    let both = csv("a,b\n1,x\n2\n").into_table("a INT, b INT").problem().await;
    assert!(both.message().contains("line 2, column 'b': 'x'"), "{both}");
}

#[tokio::test]
async fn quotes_escapes_and_delimiters() {
    let text = "a,b\n\"x,\"\"y\"\"\",\"say \\\"hi\\\" \\\\\"\n\"\",  spaced \n";
    assert_eq!(csv(text).rows().await, ["x,\"y\"|say \"hi\" \\", "NULL|  spaced "]);
    let trimmed = csv(text).with("ignoreLeadingWhiteSpace", "true").with("ignoreTrailingWhiteSpace", "true");
    assert_eq!(trimmed.rows().await[1], "NULL|spaced");
    // Only what equals nullValue is NULL: an empty string stays one beside it.
    assert_eq!(csv("a,b,c\n\"\",,NA\n").with("nullValue", "NA").rows().await, ["|NULL|NULL"]);
    assert_eq!(csv("a,b\n\"\",1\n").with("emptyValue", "(none)").rows().await, ["(none)|1"]);
    assert_eq!(csv("a||b\n1|2||3\n").with("sep", "||").rows().await, ["1|2|3"]);
    assert_eq!(csv("a\tb\n1\t2\n").with("delimiter", "\\t").rows().await, ["1|2"]);
    assert_eq!(csv("a;b\n'1;x';2\n").with("delimiter", ";").with("quote", "'").rows().await, ["1;x|2"]);
    assert_eq!(csv("a,b\n\"1,2\n").with("quote", "").rows().await, ["\"1|2"]);
    assert_eq!(csv("x\ny\na,b\n1,2").with("skipRows", "2").rows().await, ["1|2"]);
}

#[tokio::test]
async fn broken_records() {
    for (text, why) in [
        ("a,b\n1,2\n3\n", "line 3: it has 1 field, but 2 are expected"),
        ("a,b\n1,2,3\n", "line 2: it has 3 fields, but 2 are expected"),
        ("a,b\n1,2\n\"x,2\ny,3\n", "line 3: a quote is opened in it and not closed in the same line"),
        ("a,b\n\"x\"y,2\n", "line 2: there is text after a closing quote"),
    ] {
        let problem = csv(text).problem().await;
        assert!(problem.message().starts_with(&format!("/Volumes/main/flights/raw/f.csv, {why}")), "{problem}");
    }
    let open = csv("a,b\n1,2\n\"x,2\n").with("multiLine", "true").problem().await;
    assert!(open.message().contains("line 3: a quote is opened in it and never closed"), "{open}");
    assert_eq!(csv("a,b\n1\n2,3,4\n").with("mode", "PERMISSIVE").rows().await, ["1|NULL", "2|3"]);
    assert_eq!(csv("a,b\n1\n2,3\n").with("mode", "DROPMALFORMED").rows().await, ["2|3"]);
    let latin = csv(b"a,name\n1,J\xfcrg\n".to_vec());
    assert_eq!(
        latin.problem().await.message(),
        "/Volumes/main/flights/raw/f.csv, line 2: column 'name' is not in the encoding that the file is read in"
    );
}

#[tokio::test]
async fn headers() {
    let twice = csv("id,name,ID\n1,x,2\n").problem().await;
    assert!(twice.message().ends_with("line 1: the header has the column 'id' twice"), "{twice}");
    // Matched by name regardless of case and order; what the file lacks is NULL.
    let reading = |text: &str| csv(text.to_owned()).into_table("id INT, name STRING, day DATE");
    assert_eq!(reading("NAME,Id\nx,1\n").rows().await, ["1|x|NULL"]);
    let extra = reading("id,nmae\n1,x\n").problem().await;
    assert!(extra.message().contains("has a column 'nmae' that the table lacks"), "{extra}");
    assert_eq!(reading("id,nmae\n1,x\n").with("mergeSchema", "true").rows().await, ["1|NULL|NULL"]);
    let by_position = reading("1,x,2013-01-01\n").with("header", "false");
    assert_eq!(by_position.rows().await, ["1|x|2013-01-01"]);
    let two = csv("a,b\n1,2\n").and("g.csv", "B,c\n3,4\n");
    assert_eq!(
        two.read().await.unwrap(),
        ("a:int,b:int,c:int".to_owned(), vec!["1|2|NULL".to_owned(), "NULL|3|4".to_owned()])
    );
}

#[tokio::test]
async fn empty_files() {
    for text in ["", "\u{feff}", "\n\n"] {
        let problem = csv(text).problem().await;
        assert_eq!(problem.vendor_reason(), Some("UNABLE_TO_INFER_SCHEMA"), "{text:?}");
        assert!(problem.next_step().unwrap().contains("schema =>"));
        assert!(csv(text).with("schema", "a INT").rows().await.is_empty());
    }
    assert_eq!(csv("a,b\n").columns().await, "a:string,b:string");
    assert!(json("").problem().await.message().contains("cannot be inferred"));
}

#[tokio::test]
async fn encodings() {
    let text = "name,n\nJürg 🐘,1\n";
    let utf16 = |big: bool, mark: bool| {
        let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
        units.flat_map(|unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect::<Vec<u8>>()
    };
    let wanted = ("name:string,n:int".to_owned(), vec!["Jürg 🐘|1".to_owned()]);
    for reading in [
        csv(text),
        csv(format!("\u{feff}{text}")),
        csv(utf16(true, true)),
        csv(utf16(false, true)),
        csv(utf16(false, false)).with("encoding", "UTF-16LE"),
        csv(utf16(true, false)).with("charset", "utf-16be"),
    ] {
        assert_eq!(reading.read().await.unwrap(), wanted);
    }
    assert_eq!(csv(b"a\nJ\xfcrg\n".to_vec()).with("encoding", "ISO-8859-1").rows().await, ["Jürg"]);
    // Pairs that lie across the reader's blocks.
    let long = format!("a\n{}x{}\n", "🐘".repeat(9_999), "🐘".repeat(9_999));
    let bytes: Vec<u8> = long.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(csv(bytes).with("encoding", "UTF-16LE").rows().await, [long[2..].trim_end()]);
}

#[tokio::test]
async fn dates_and_times_by_pattern() {
    let cases = [
        ("dateFormat", "dd/MM/yyyy", "DATE", "31/12/2013", "2013-12-31"),
        ("dateFormat", "yyyyMMdd", "DATE", "20131231", "2013-12-31"),
        ("dateFormat", "d MMM yy", "DATE", "1 feb 24", "2024-02-01"),
        ("timestampFormat", "yyyy-MM-dd HH:mm:ss", "TIMESTAMP", "2013-01-01 05:06:07", "2013-01-01T05:06:07Z"),
        ("timestampFormat", "M/d/yyyy h:mm a", "TIMESTAMP", "1/2/2013 12:30 am", "2013-01-02T00:30:00Z"),
        (
            "timestampFormat",
            "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]",
            "TIMESTAMP",
            "2013-01-01T05:00:00.250+02:00",
            "2013-01-01T03:00:00.250Z",
        ),
        (
            "timestampFormat",
            "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]",
            "TIMESTAMP",
            "2013-01-01T05:00:00",
            "2013-01-01T05:00:00Z",
        ),
    ];
    for (option, pattern, data_type, text, wanted) in cases {
        let reading = csv(format!("t\n{text}\n")).with(option, pattern).with("schema", &format!("t {data_type}"));
        assert_eq!(reading.rows().await, [wanted], "{pattern}");
    }
    let zone = csv("t\n2013-07-01 12:00:00\n").with("timeZone", "Europe/Berlin").rows().await;
    assert_eq!(zone, ["2013-07-01T10:00:00Z"]);
    assert_eq!(csv("t\n20131231\n").with("dateFormat", "yyyyMMdd").columns().await, "t:int");
    for bad in ["2013-02-30", "2013-13-01", "13-01-01", "2013-01-01x"] {
        assert!(csv(format!("t\n{bad}\n")).with("schema", "t DATE").read().await.is_err(), "{bad}");
    }
    let problem = csv("t\n1\n").with("dateFormat", "yyyy-ww").problem().await;
    assert!(problem.message().contains("'ww' is not a datetime pattern"), "{problem}");
}

#[tokio::test]
async fn numbers_keep_their_bounds() {
    for (data_type, good, bad) in [
        ("TINYINT", "-128", "128"),
        ("SMALLINT", "32767", "32768"),
        ("INT", "2147483647", "2147483648"),
        ("BIGINT", "-9223372036854775808", "9223372036854775808"),
        ("BIGINT", "7", "7.0"),
        ("DOUBLE", "1e-3", "0x10"),
        ("DOUBLE", "NaN", "nan"),
        ("FLOAT", "-Infinity", "infinity"),
        ("DECIMAL(5,2)", "123.45", "1234.5"),
        ("BOOLEAN", "TRUE", "yes"),
    ] {
        let reading = |text: &str| csv(format!("v\n{text}\n")).with("schema", &format!("v {data_type}"));
        assert!(reading(good).read().await.is_ok(), "{data_type} {good}");
        assert!(
            reading(bad).problem().await.message().contains(&format!("'{bad}' is not a value of type {data_type}"))
        );
    }
}

#[tokio::test]
async fn unknown_options_are_named() {
    let problem = csv("a\n1\n").with("hedaer", "true").problem().await;
    assert_eq!(problem.message(), "'hedaer' is not an option of reading CSV files");
    assert!(problem.next_step().unwrap().contains("header"));
    assert!(
        json("{}")
            .with("header", "true")
            .problem()
            .await
            .message()
            .contains("'header' is not an option of reading JSON")
    );
    assert!(
        csv("a\n").with("mode", "LENIENT").problem().await.message().contains("FAILFAST, PERMISSIVE or DROPMALFORMED")
    );
    assert!(csv("a\n").with("sep", ",").with("delimiter", ";").problem().await.message().contains("given twice"));
}

#[tokio::test]
async fn json_lines() {
    let text = "{\"b\": 1, \"a\": {\"y\": [1, 2.5], \"x\": null}, \"c\": true}\n\n{\"b\": \"x\", \"a\": {\"y\": []}, \"z\": 18446744073709551615}\n";
    let (columns, rows) = json(text).read().await.unwrap();
    assert_eq!(columns, "a:struct<x:string,y:array<double>>,b:string,c:boolean,z:decimal(20,0)");
    assert_eq!(rows, ["{x: NULL, y: [1.0, 2.5]}|1|true|NULL", "{x: NULL, y: []}|x|NULL|18446744073709551615"]);
    let typed = json("{\"ID\": 1, \"m\": {\"k\": 2}, \"t\": \"2013-01-01 05:00:00\", \"s\": {\"q\": [1]}}\n")
        .with("schema", "id BIGINT, m MAP<STRING, INT>, t TIMESTAMP, s STRING");
    assert_eq!(typed.rows().await, ["1|{k: 2}|2013-01-01T05:00:00Z|{\"q\":[1]}"]);
}

#[tokio::test]
async fn json_errors_name_line_column_and_value() {
    let bad = json("{\"a\": 1}\n\n{\"a\": {\"b\": [1, \"two\"]}}\n")
        .with("schema", "a STRUCT<b: ARRAY<INT>>")
        .problem()
        .await;
    assert!(bad.message().contains("line 1, column 'a': '1' is not a value of type STRUCT<B:ARRAY<INT>>"), "{bad}");
    let nested = json("{}\n{\"a\": {\"b\": [1, \"two\"]}}\n").with("schema", "a STRUCT<b: ARRAY<INT>>").problem().await;
    assert!(
        nested.message().contains("line 2, column 'a.b.element': '\"two\"' is not a value of type INT"),
        "{nested}"
    );
    let broken = json("{\"a\": 1}\n{\"a\": \n").problem().await;
    assert!(broken.message().contains("f.json, line 2: not JSON at column"), "{broken}");
    assert!(json("7\n").problem().await.message().contains("line 1: it is not a JSON object"));
    let reading = || json("{\"a\": 1}\n{\"a\": \n{\"a\": \"x\"}\n").with("schema", "a INT");
    assert_eq!(reading().with("mode", "PERMISSIVE").rows().await, ["1", "NULL", "NULL"]);
    assert_eq!(reading().with("mode", "DROPMALFORMED").rows().await, ["1"]);
    let extra = json("{\"a\": 1, \"b\": 2}\n").into_table("a INT").problem().await;
    assert!(extra.message().contains("has a column 'b' that the table lacks"), "{extra}");
}

#[tokio::test]
async fn json_documents() {
    let wanted = ["1", "2", "3"];
    for text in [
        "[{\"a\": 1},\n {\"a\": 2}, {\"a\": 3}]",
        "{\"a\": 1}\n{\"a\":\n 2}{\"a\": 3}",
        "[{\"a\": 1}] [{\"a\": 2}, {\"a\": 3}]",
    ] {
        assert_eq!(json(text).with("multiLine", "true").rows().await, wanted, "{text}");
    }
    let bad = json("[{\"a\": 1}, {\"a\": \"x\"}]").with("multiLine", "true").with("schema", "a INT").problem().await;
    assert!(bad.message().contains("record 2, column 'a'"), "{bad}");
    let broken = json("[{\"a\": 1},\n {\"a\"}]").with("multiLine", "true").problem().await;
    assert!(broken.message().contains("line 2: not JSON"), "{broken}");
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Reading {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    Reading { format: FileFormat::Parquet, files: vec![("f.parquet", bytes)], options: Vec::new(), table: None }
}

#[tokio::test]
async fn parquet_columns_are_matched_by_name_and_widened() {
    let file = || {
        parquet(vec![
            ("Id", Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef),
            ("name", Arc::new(StringArray::from(vec!["x", "y"]))),
            ("t", Arc::new(TimestampNanosecondArray::from(vec![1_357_016_400_123_456_789, 0]))),
        ])
    };
    assert_eq!(file().columns().await, "Id:int,name:string,t:timestamp_ntz");
    let rows = file().into_table("t TIMESTAMP, id BIGINT, name STRING, more DATE").rows().await;
    assert_eq!(rows, ["2013-01-01T05:00:00.123456Z|1|x|NULL", "1970-01-01T00:00:00Z|NULL|y|NULL"]);
    assert!(file().into_table("id INT").problem().await.message().contains("has a column 'name' that the table lacks"));
    assert_eq!(file().with("schema", "id DECIMAL(12,1)").rows().await, ["1.0", "NULL"]);
    let narrow = file().with("schema", "name INT").problem().await;
    assert!(narrow.message().contains("column 'name': the file has STRING, which cannot be read as INT"), "{narrow}");
    let broken = Reading { files: vec![("f.parquet", b"not parquet at all".to_vec())], ..file() };
    assert!(broken.problem().await.message().contains("f.parquet cannot be read as a Parquet file"));
    let merged = file()
        .and("g.parquet", parquet(vec![("id", Arc::new(Int64Array::from(vec![5])) as ArrayRef)]).files.remove(0).1);
    assert_eq!(merged.with("mergeSchema", "true").columns().await, "Id:bigint,name:string,t:timestamp_ntz");
}

#[tokio::test]
async fn only_the_columns_that_are_wanted_are_made() {
    let volume = volume();
    for reading in [
        csv("a,b,c\n1,x,oops\n2,y,oops\n").with("schema", "a INT, b STRING, c INT"),
        json("{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\",\"c\":\"oops\"}\n").with("schema", "a INT, b STRING, c INT"),
        parquet(vec![
            ("b", Arc::new(StringArray::from(vec!["x", "y"])) as ArrayRef),
            ("a", Arc::new(Int32Array::from(vec![1, 2]))),
        ])
        .with("schema", "a INT, b STRING, c INT"),
    ] {
        let source = reading.source(&volume).await.unwrap();
        let schema = source.infer().await.unwrap();
        let some: Vec<RecordBatch> = source.clone().rows(&schema, Some(&[1, 0])).try_collect().await.unwrap();
        assert_eq!(some.iter().flat_map(show).collect::<Vec<_>>(), ["x|1", "y|2"]);
        let none: Vec<RecordBatch> = source.rows(&schema, Some(&[])).try_collect().await.unwrap();
        assert_eq!(none.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_streamed_and_a_dropped_stream_stops() {
    let volume = volume();
    let line = "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01 05:00:00\n";
    let names =
        "year,month,day,dep,sched,delay,arr,sarr,adelay,carrier,flight,tail,origin,dest,air,dist,hour,minute,time\n";
    let reading = csv(format!("{names}{}", line.repeat(100_000)));
    let source = reading.source(&volume).await.unwrap();
    let schema = source.infer().await.unwrap();
    let mut stream = source.clone().rows(&schema, None);
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap();
        assert!(batch.num_rows() <= super::BATCH_ROWS);
        rows += batch.num_rows();
    }
    assert_eq!(rows, 100_000);
    let mut stream = source.rows(&schema, None);
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_reads_files_as_a_table() {
    let volume = volume();
    let context = datafusion::prelude::SessionContext::new();
    for (name, text) in [("good", "a,b\n1,x\n2,y\n3,z\n"), ("bad", "a,b\n1,x\noops,y\n")] {
        let source = csv(text).with("schema", "a INT, b STRING").source(&volume).await.unwrap();
        // Both readings write the same file name: what is read must be what was opened for this table.
        let moved = volume.folder.put(&format!("{name}.csv"), text).await.unwrap();
        let source = Source { files: vec![moved], ..source };
        let schema = source.infer().await.unwrap();
        context.register_table(name, Arc::new(super::FilesTable::of(source, &schema))).unwrap();
    }
    let run = async |sql: &str| context.sql(sql).await.unwrap().collect().await;
    let rows = |batches: Vec<RecordBatch>| batches.iter().flat_map(show).collect::<Vec<_>>();
    assert_eq!(rows(run("SELECT b, a + 1 FROM good WHERE a > 1 ORDER BY a").await.unwrap()), ["y|3", "z|4"]);
    assert_eq!(rows(run("SELECT count(*) FROM good").await.unwrap()), ["3"]);
    assert_eq!(run("SELECT * FROM good LIMIT 1").await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    // The columns that nobody asks for are not made, so that their values cannot fail.
    assert_eq!(rows(run("SELECT b FROM bad ORDER BY b").await.unwrap()), ["x", "y"]);
    let error = run("SELECT sum(a) FROM bad").await.unwrap_err();
    let datafusion::error::DataFusionError::External(inner) = error.find_root() else { panic!("{error}") };
    let problem = inner.downcast_ref::<Problem>().unwrap();
    assert_eq!(
        problem.message(),
        "/Volumes/main/flights/raw/bad.csv, line 3, column 'a': 'oops' is not a value of type INT"
    );
}

/// Runs a query in which the files are the table `f`.
async fn select(reading: Reading, sql: &str) -> Vec<String> {
    let volume = volume();
    let source = reading.source(&volume).await.unwrap();
    let schema = source.infer().await.unwrap();
    let table: Arc<dyn datafusion::catalog::TableProvider> = Arc::new(super::FilesTable::of(source, &schema));
    let key = vec!["main".to_owned(), "default".to_owned(), "f".to_owned()];
    let sources = std::collections::HashMap::from([(key, crate::bind::Source::Provider(table))]);
    let facts = crate::bind::Facts {
        catalog: "main".into(),
        schema: "default".into(),
        zone: crate::spark::zone::Zone::Fixed(0),
        zone_name: "UTC".into(),
        user: "ana".into(),
        groups: Vec::new(),
        now: 0,
    };
    let runtime = crate::session::Runtime::new(&crate::QueryLimits::default()).unwrap();
    let Ok(crannog_lake::grammar::Statement::Query(query)) = crannog_lake::grammar::parse(sql) else {
        panic!("{sql} does not parse")
    };
    let (plan, ..) = crate::plan::bind(&facts, &runtime, &query, &sources, None).unwrap();
    let state = runtime.state(true);
    let plan = state.query_planner().create_physical_plan(&plan, state.as_ref()).await.unwrap();
    let batches = datafusion::physical_plan::collect(plan, state.task_ctx()).await.unwrap();
    batches.iter().flat_map(show).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_of_a_row_is_known_by_name_only() {
    let files = || csv("a\n1\n2\n").and("sub/g.csv", "a\n3\n");
    assert_eq!(select(files(), "SELECT * FROM f ORDER BY a").await, ["1", "2", "3"]);
    assert_eq!(
        select(files(), "SELECT a, _metadata.file_name, _metadata.file_path, _metadata.file_size FROM f ORDER BY a")
            .await,
        [
            "1|f.csv|/Volumes/main/flights/raw/f.csv|6",
            "2|f.csv|/Volumes/main/flights/raw/f.csv|6",
            "3|g.csv|/Volumes/main/flights/raw/sub/g.csv|4"
        ]
    );
    let grouped = "SELECT x._metadata.file_name, count(*) FROM f AS x GROUP BY 1 ORDER BY 1";
    assert_eq!(select(files(), grouped).await, ["f.csv|2", "g.csv|1"]);
    let recent = "SELECT count(*) FROM f WHERE _metadata.file_modification_time > TIMESTAMP'2020-01-01'";
    assert_eq!(select(files(), recent).await, ["3"]);
    let documents = json("{\"a\":1}\n{\"a\":2}\n");
    assert_eq!(select(documents, "SELECT max(_metadata.file_block_length), sum(a) FROM f").await, ["16|3"]);
}
