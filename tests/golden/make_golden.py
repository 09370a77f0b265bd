"""Makes expressions.json and queries.json: what Apache Spark 4.2 answers (ANSI on) to expressions.sql and queries.sql.

Why: Crannog's SQL engine promises Spark's answers; the promise is only worth something against answers that Spark
itself gave. Never edit the JSON files by hand, and never put a statement in whose answer differs from run to run.

    pip install -r requirements.txt        # needs Java 17
    python make_golden.py                  # writes both files
    python make_golden.py --check          # makes them again in memory and compares byte for byte
    python make_golden.py --backwards      # the same with reversed tables: finds answers that hang on the order of rows
    python make_golden.py --section cast   # prints the answers of one section, writes nothing

How a value becomes text is in README.md.
"""

import argparse
import json
import logging
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMESTAMP_PATTERN = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"


def statements_of_expressions(text):
    """One statement per line; directive comments set the section and the time zone."""
    section, zone = "", "UTC"
    for line in text.splitlines():
        if not line.strip():
            continue
        directive = re.match(r"--\s*(section|timezone):\s*(.+?)\s*$", line)
        if directive:
            if directive[1] == "section":
                section = directive[2]
            else:
                zone = directive[2]
        elif not line.startswith("--"):
            yield {"section": section, "timezone": zone, "sql": "SELECT " + line}


def statements_of_queries(text):
    """Statements end with `;` at the end of a line; newlines within one become blanks."""
    section, zone, parts = "", "UTC", []
    for line in text.splitlines():
        directive = re.match(r"--\s*(section|timezone):\s*(.+?)\s*$", line)
        if directive:
            if directive[1] == "section":
                section = directive[2]
            else:
                zone = directive[2]
            continue
        if not line.strip() or line.startswith("--"):
            continue
        parts.append(line.strip())
        if line.rstrip().endswith(";"):
            sql = " ".join(parts).rstrip(";").rstrip()
            parts = []
            yield {"section": section, "timezone": zone, "sql": sql}
    if parts:
        raise SystemExit("queries.sql: the last statement has no `;`: " + " ".join(parts)[:80])


def start_spark():
    """One session for all statements; locale and zone are fixed so that the machine's own do not show."""
    from pyspark.sql import SparkSession

    logging.disable(logging.CRITICAL)
    spark = (
        SparkSession.builder.master("local[2]")
        .appName("golden")
        .config("spark.sql.ansi.enabled", "true")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(Path(tempfile.gettempdir()) / "golden-warehouse"))
        .config("spark.driver.extraJavaOptions", "-Duser.timezone=UTC -Duser.language=en -Duser.country=US")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.showConsoleProgress", "false")
        # Interpreted: thousands of one-row plans spend their time in the Java compiler otherwise.
        .config("spark.sql.codegen.wholeStage", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    return spark


def is_complex(data_type):
    """Whether a value of this type becomes JSON text."""
    return data_type.typeName() in ("array", "map", "struct", "variant")


def text_of_column(place, data_type):
    """The SQL that turns column `c<place>` into the text of README.md, done by Spark itself."""
    column, kind = f"c{place}", data_type.typeName()
    if kind == "timestamp":
        return f"date_format({column}, \"{TIMESTAMP_PATTERN}\") AS {column}"
    if kind == "binary":
        return f"base64({column}) AS {column}"
    if kind == "variant":
        return f"to_json({column}) AS {column}"
    if is_complex(data_type):
        return f"to_json({column}, map('ignoreNullFields', 'false')) AS {column}"
    return f"CAST({column} AS STRING) AS {column}"


def finish_text(text, data_type):
    """Timestamps: three digits of fraction, or six when the microseconds ask for it; Z for TIMESTAMP."""
    if text is None or data_type.typeName() not in ("timestamp", "timestamp_ntz"):
        return text
    whole, _, fraction = text.replace(" ", "T").partition(".")
    fraction = fraction.ljust(6, "0")
    if fraction.endswith("000"):
        fraction = fraction[:3]
    return f"{whole}.{fraction}" + ("Z" if data_type.typeName() == "timestamp" else "")


def failed(record, condition, state):
    """Spark's own leftovers (no class, or a `_LEGACY_ERROR_TEMP_` number) are UNCLASSIFIED: only the failure counts."""
    if condition is None or condition.startswith("_LEGACY_ERROR_TEMP_"):
        return record | {"error": "UNCLASSIFIED"}
    record["error"] = condition
    if state:
        record["sqlstate"] = state
    return record


class Oracle:
    """Asks Spark; remembers the session's time zone so that it is set only when it changes."""

    def __init__(self, spark):
        self.spark = spark
        self.zone = "UTC"

    def set_zone(self, zone):
        if zone != self.zone:
            self.spark.conf.set("spark.sql.session.timeZone", zone)
            self.zone = zone

    def answer(self, statement):
        """The golden record of one statement: schema and rows, or the error class and SQLSTATE."""
        from py4j.protocol import Py4JJavaError
        from pyspark.errors import PySparkException

        record = {"section": statement["section"], "sql": statement["sql"]}
        if statement["timezone"] != "UTC":
            record["timezone"] = statement["timezone"]
        self.set_zone(statement["timezone"])
        try:
            frame = self.spark.sql(statement["sql"])
            fields = list(frame.schema.fields)
            names = [f"c{place}" for place in range(len(fields))]
            texts = [text_of_column(place, field.dataType) for place, field in enumerate(fields)]
            plain = frame.toDF(*names)
            # Zone-dependent text of nested timestamps follows the session's zone, a plain TIMESTAMP is always UTC.
            if any(field.dataType.typeName() == "timestamp" for field in fields) and self.zone != "UTC":
                rows = self.in_utc(plain, fields)
            else:
                rows = [list(row) for row in plain.selectExpr(*texts).collect()]
        except PySparkException as error:
            return failed(record, error.getCondition(), error.getSqlState() if error.getCondition() else None)
        except Py4JJavaError as error:
            # PySpark leaves a bare SparkException as it is; its first line is `[CLASS] text SQLSTATE: 12345`.
            message = error.java_exception.getMessage() or ""
            classed = re.match(r"\[([A-Z0-9_.]+)\]", message)
            state = re.search(r"SQLSTATE: (\w{5})", message)
            return failed(record, classed and classed[1], state and state[1])
        types = [field.dataType for field in fields]
        record["schema"] = [[field.name, field.dataType.simpleString()] for field in fields]
        record["rows"] = [[finish_text(text, kind) for text, kind in zip(row, types)] for row in rows]
        if len(record["rows"]) > 1 and not ordered_at_top(statement["sql"]):
            record["unordered"] = True
        return record

    def in_utc(self, plain, fields):
        """Formats TIMESTAMP columns in UTC although the session is elsewhere: by their microseconds."""
        moments = [place for place, field in enumerate(fields) if field.dataType.typeName() == "timestamp"]
        texts = [
            f"unix_micros(c{place}) AS c{place}" if place in moments else text_of_column(place, field.dataType)
            for place, field in enumerate(fields)
        ]
        rows = [list(row) for row in plain.selectExpr(*texts).collect()]
        for row in rows:
            for place in moments:
                row[place] = None if row[place] is None else utc_text(row[place])
        return rows


def utc_text(micros):
    """Microseconds since 1970 as `2024-01-31T12:30:00.000000`; years 1 to 9999."""
    from datetime import datetime, timedelta

    moment = datetime(1970, 1, 1) + timedelta(microseconds=micros)
    return moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%S.%f")


def ordered_at_top(sql):
    """Whether the outermost query has an ORDER BY: one outside all brackets and string literals."""
    bare = re.sub(r"'(?:[^'\\]|\\.|'')*'", "''", sql)
    depth, outer = 0, []
    for sign in bare:
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            outer.append(sign)
    return re.search(r"\bORDER\s+BY\b", "".join(outer), re.I) is not None


def load_tables(spark, backwards):
    """Every table of tables.json as a temporary view; a row's values are strings that Spark casts."""
    for table in json.loads((HERE / "tables.json").read_text()):
        fields = spark.createDataFrame([], table["schema"]).schema.fields
        texts = [f"c{place}" for place in range(len(fields))]
        frame = spark.createDataFrame(
            [tuple(row) for row in table["rows"]][:: -1 if backwards else 1], ", ".join(f"{text} STRING" for text in texts)
        ).coalesce(1)
        casts = []
        for text, field in zip(texts, fields):
            kind = field.dataType.simpleString()
            cast = f"from_json({text}, '{kind}')" if is_complex(field.dataType) else f"CAST({text} AS {kind})"
            casts.append(f"{cast} AS `{field.name}`")
        frame.selectExpr(*casts).cache().createOrReplaceTempView(table["name"])


def written(records):
    """A JSON array with one object a line: small diffs, greppable."""
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def same_multiset(before, after):
    """Whether two lines of an answer file say the same but for the order of rows that no ORDER BY fixes."""
    one, two = (json.loads(line.rstrip(",")) for line in (before, after))
    if not one.get("unordered"):
        return False
    one["rows"], two["rows"] = (sorted(record["rows"], key=repr) for record in (one, two))
    return one == two


def main():
    """Exit code 1 when a check finds a difference."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--backwards", action="store_true", help="check, with the rows of the tables in reverse")
    arguments.add_argument("--section")
    options = arguments.parse_args()
    spark = start_spark()
    load_tables(spark, options.backwards)
    oracle, same = Oracle(spark), True
    for name, split in (("expressions", statements_of_expressions), ("queries", statements_of_queries)):
        statements = list(split((HERE / f"{name}.sql").read_text()))
        if options.section:
            statements = [s for s in statements if options.section in s["section"]]
        texts = [s["sql"] + "\0" + s["timezone"] for s in statements]
        for twice in sorted({t for t in texts if texts.count(t) > 1}):
            print(f"{name}: twice: {twice.split(chr(0))[0]}", file=sys.stderr)
        records = [oracle.answer(statement) for statement in statements]
        errors = sum("error" in record for record in records)
        print(f"{name}: {len(records)} answers, of which {errors} errors", file=sys.stderr)
        if options.section:
            print(written(records), end="")
            continue
        path, text = HERE / f"{name}.json", written(records)
        if not (options.check or options.backwards):
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            same = False
            old = path.read_text().splitlines() if path.exists() else []
            for before, after in zip(old, text.splitlines()):
                if before != after and not (options.backwards and same_multiset(before, after)):
                    print(f"{name}: differs\n  committed {before}\n  made now  {after}", file=sys.stderr)
    spark.stop()
    if not same:
        sys.exit(1)


if __name__ == "__main__":
    main()
