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
