"""Conditions on system tables, through databricks-sdk: those that reach the database find the same rows as those that are computed
over all rows."""

import pytest


@pytest.fixture
def audited(admin, catalog):
    """A table that is in the audit, and the moments of the first and of the last row there."""
    table = f"{catalog}.work.audited"
    admin.sql(f"CREATE TABLE {table} (i INT)")
    for _ in range(3):
        admin.sql(f"SELECT * FROM {table}")
    admin.sql(f"INSERT INTO {table} VALUES (1)")
    first, last = admin.sql("SELECT min(event_time), max(event_time) FROM system.access.audit")[0]
    return table, first, last


# What the database looks through, and the same said in a way that it is not told.
CONDITIONS = [
    ("action_name = 'getTable'", "concat(action_name, '') = 'getTable'"),
    ("action_name IN ('getTable', 'createTable', 'none')", "concat(action_name, '') IN ('getTable', 'createTable', 'none')"),
    ("request_params['full_name_arg'] = '{table}'", "concat(request_params['full_name_arg'], '') = '{table}'"),
    ("'{table}' = request_params['full_name_arg']", "concat(request_params['full_name_arg'], '') = '{table}'"),
    ("event_time > TIMESTAMP '{first}'", "event_time + INTERVAL 0 DAYS > TIMESTAMP '{first}'"),
    ("event_time < TIMESTAMP '{last}'", "event_time + INTERVAL 0 DAYS < TIMESTAMP '{last}'"),
    (
        "event_time BETWEEN TIMESTAMP '{first}' AND TIMESTAMP '{last}'",
        "event_time + INTERVAL 0 DAYS BETWEEN TIMESTAMP '{first}' AND TIMESTAMP '{last}'",
    ),
    ("event_date = DATE '{first:.10}'", "date_add(event_date, 0) = DATE '{first:.10}'"),
    ("event_date >= '{first:.10}'", "date_add(event_date, 0) >= '{first:.10}'"),
    ("service_name = 'unityCatalog' OR action_name = 'filesPut'", "concat(service_name, '') = 'unityCatalog' OR action_name = 'filesPut'"),
    (
        "action_name = 'getTable' AND request_params['full_name_arg'] = '{table}' AND event_time >= TIMESTAMP '{first}'",
        "concat(action_name, '') = 'getTable' AND concat(request_params['full_name_arg'], '') = '{table}'",
    ),
]


def test_a_condition_finds_the_rows_that_have_it(admin, audited):
    table, first, last = audited
    until = f"event_time + INTERVAL 0 DAYS <= TIMESTAMP '{last}'"
    for pair in CONDITIONS:
        said = [condition.format(table=table, first=first, last=last) for condition in pair]
        told, computed = (
            sorted(admin.sql(f"SELECT event_id FROM system.access.audit WHERE ({condition}) AND {until}")) for condition in said
        )
        assert told and told == computed, said


def test_a_condition_that_nothing_has_finds_nothing(admin, audited):
    _, first, _ = audited
    for condition in (
        f"event_time < TIMESTAMP '{first}'",
        "event_date = DATE '1999-01-01'",
        "action_name = 'getTable' AND action_name = 'createTable'",
        "request_params['full_name_arg'] = '100%'",
    ):
        assert admin.sql(f"SELECT event_id FROM system.access.audit WHERE {condition}") == []
