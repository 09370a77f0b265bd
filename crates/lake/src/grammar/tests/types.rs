//! Types, in Spark's spelling.

use crate::grammar::DataType;

#[test]
fn types_are_read_and_written_in_sparks_spelling() {
    for (written, shown) in [
        ("BYTE", "tinyint"),
        ("Short", "smallint"),
        ("INTEGER", "int"),
        ("LONG", "bigint"),
        ("REAL", "float"),
        ("NUMERIC", "decimal(10,0)"),
        ("DEC(5)", "decimal(5,0)"),
        ("DECIMAL(38, 18)", "decimal(38,18)"),
        ("CHAR(3)", "char(3)"),
        ("VARCHAR(10)", "varchar(10)"),
        ("TIMESTAMP_LTZ", "timestamp"),
        ("TIMESTAMP_NTZ", "timestamp_ntz"),
        ("INTERVAL YEAR TO MONTH", "interval year to month"),
        ("INTERVAL SECOND", "interval second"),
        ("ARRAY<ARRAY<MAP<STRING, STRUCT<>>>>", "array<array<map<string,struct<>>>>"),
        (
            "STRUCT<a: INT NOT NULL COMMENT 'it\\'s', `b-c` STRING>",
            "struct<a:int NOT NULL COMMENT 'it\\'s',`b-c`:string>",
        ),
        ("VARIANT", "variant"),
    ] {
        let data_type = DataType::parse(written).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(data_type.to_string(), shown);
        assert_eq!(DataType::parse(shown).unwrap(), data_type, "{shown}");
        if !written.contains("COMMENT") {
            assert_eq!(DataType::from_ast(&data_type.to_ast().unwrap()).unwrap(), data_type, "{shown}");
        }
    }
    for wrong in [
        "",
        "MONEY",
        "DECIMAL(39,0)",
        "DECIMAL(5,6)",
        "DECIMAL(0)",
        "VARCHAR",
        "CHAR(0)",
        "ARRAY",
        "ARRAY<INT",
        "ARRAY<INT>>",
        "MAP<STRING>",
        "STRUCT<a>",
        "INT INT",
        "INTERVAL",
        "INTERVAL MONTH TO YEAR",
        "INTERVAL YEAR TO DAY",
        "INT(5)",
        "STRUCT<a INT NOT>",
    ] {
        assert!(DataType::parse(wrong).is_err(), "{wrong}");
    }
}
