"""INSERT … PARTITION through databricks-sdk: values for partition columns, and one partition replaced."""

import pytest
from harness import StatementFailed


@pytest.fixture
def sales(admin, catalog):
    table = f"{catalog}.work.sales"
    admin.sql(f"CREATE TABLE {table} (n INT, day DATE, shop STRING) PARTITIONED BY (day, shop)")
    return table


def rows(admin, table):
    return admin.sql(f"SELECT n, day, shop FROM {table} ORDER BY n")


def test_a_value_in_partition_is_the_value_of_its_column(admin, sales):
    admin.sql(f"INSERT INTO {sales} PARTITION (day = '2026-01-02', shop = 'it''s') VALUES (1), (2)")
    admin.sql(f"INSERT INTO {sales} PARTITION (shop = NULL, day = DATE'2026-01-03') SELECT 3")
    admin.sql(f"INSERT INTO {sales} PARTITION (day, shop = 'b') VALUES (4, DATE'2026-01-04')")
    admin.sql(f"INSERT INTO {sales} PARTITION (shop = 'c') (day, n) VALUES (DATE'2026-01-05', 5)")
    admin.sql(f"INSERT INTO {sales} PARTITION (shop = 'd') BY NAME SELECT DATE'2026-01-06' AS day, 6 AS n")
    assert rows(admin, sales) == [
        ["1", "2026-01-02", "it's"],
        ["2", "2026-01-02", "it's"],
        ["3", "2026-01-03", None],
        ["4", "2026-01-04", "b"],
        ["5", "2026-01-05", "c"],
        ["6", "2026-01-06", "d"],
    ]


def test_overwriting_a_partition_leaves_the_others(admin, sales):
    admin.sql(
        f"INSERT INTO {sales} VALUES (1, DATE'2026-01-02', 'a'), (2, DATE'2026-01-02', 'b'), (3, DATE'2026-01-03', 'a'), "
        "(4, DATE'2026-01-03', NULL)"
    )
    admin.sql(f"INSERT OVERWRITE {sales} PARTITION (day = '2026-01-02', shop = 'a') VALUES (10)")
    assert rows(admin, sales) == [
        ["2", "2026-01-02", "b"],
        ["3", "2026-01-03", "a"],
        ["4", "2026-01-03", None],
        ["10", "2026-01-02", "a"],
    ]
    admin.sql(f"INSERT OVERWRITE {sales} PARTITION (day = '2026-01-03') SELECT 20, 'z'")
    assert rows(admin, sales) == [["2", "2026-01-02", "b"], ["10", "2026-01-02", "a"], ["20", "2026-01-03", "z"]]


def test_replacing_where_a_condition_holds_leaves_the_other_partitions(admin, sales):
    admin.sql(
        f"INSERT INTO {sales} VALUES (1, DATE'2026-01-02', 'a'), (2, DATE'2026-01-02', 'b'), (3, DATE'2026-01-03', 'a'), "
        "(4, DATE'2026-01-03', NULL)"
    )
    admin.sql(
        f"INSERT INTO {sales} REPLACE WHERE day >= DATE'2026-01-03' AND shop IS NOT NULL VALUES (30, DATE'2026-01-04', 'c')"
    )
    assert rows(admin, sales) == [
        ["1", "2026-01-02", "a"],
        ["2", "2026-01-02", "b"],
        ["4", "2026-01-03", None],
        ["30", "2026-01-04", "c"],
    ]
    # No row given: the partitions are emptied. A condition that no partition fulfils replaces nothing.
    admin.sql(f"INSERT INTO {sales} REPLACE WHERE year(day) = 2026 AND upper(shop) IN ('A', 'B') SELECT * FROM {sales} WHERE false")
    assert rows(admin, sales) == [["4", "2026-01-03", None], ["30", "2026-01-04", "c"]]
    admin.sql(f"INSERT INTO {sales} REPLACE WHERE shop = 'new' VALUES (40, DATE'2026-01-05', 'new')")
    assert rows(admin, sales) == [["4", "2026-01-03", None], ["30", "2026-01-04", "c"], ["40", "2026-01-05", "new"]]
    history = admin.sql(f"DESCRIBE HISTORY {sales} LIMIT 1")
    assert "shop = 'new'" in history[0][5]


@pytest.mark.parametrize(
    ("condition", "row", "told"),
    [
        ("shop = 'a'", "(5, DATE'2026-01-02', 'b')", "do not fulfil"),
        ("shop = 'a'", "(5, DATE'2026-01-02', NULL)", "do not fulfil"),
        ("n = 1", "(1, DATE'2026-01-02', 'a')", "columns of the partitions: day, shop"),
        ("shop + 1 > 'x'", "(1, DATE'2026-01-02', 'a')", "CAST_INVALID_INPUT"),
    ],
)
def test_what_cannot_be_replaced_leaves_everything(admin, sales, condition, row, told):
    admin.sql(f"INSERT INTO {sales} VALUES (1, DATE'2026-01-02', 'a')")
    with pytest.raises(StatementFailed) as refused:
        admin.sql(f"INSERT INTO {sales} REPLACE WHERE {condition} VALUES {row}")
    assert told in str(refused.value)
    assert rows(admin, sales) == [["1", "2026-01-02", "a"]]


def test_a_condition_on_rows_needs_the_right_to_read_them(sales, person, grant):
    ana = person("ana")
    catalog = sales.split(".")[0]
    for what in (f"USE CATALOG ON CATALOG {catalog}", f"USE SCHEMA ON SCHEMA {catalog}.work", f"MODIFY ON TABLE {sales}"):
        grant(what, ana)
    replace = f"INSERT INTO {sales} REPLACE WHERE shop = 'a' VALUES (7, DATE'2026-01-02', 'a')"
    with pytest.raises(StatementFailed) as refused:
        ana.sql(replace)
    assert "SELECT" in str(refused.value)
    grant(f"SELECT ON TABLE {sales}", ana)
    ana.sql(replace)
    assert rows(ana, sales) == [["7", "2026-01-02", "a"]]


@pytest.mark.parametrize(
    ("partition", "told"),
    [
        ("n = 1", "not partitioned by n"),
        ("day = 'yesterday'", "yesterday"),
        ("day = current_date()", "not a constant"),
        ("shop = 'a', SHOP = 'b'", "two values"),
    ],
)
def test_what_cannot_be_a_value_is_refused(admin, sales, partition, told):
    with pytest.raises(StatementFailed) as refused:
        admin.sql(f"INSERT INTO {sales} PARTITION ({partition}) VALUES (1, 'a')")
    assert told in str(refused.value)
    assert rows(admin, sales) == []
