"""Two people and one table, through databricks-sdk: refused by name, granted at once, revoked at once, written down."""

import pytest
from harness import StatementFailed


def test_a_grant_counts_at_the_next_statement_and_so_does_its_end(admin, person, catalog, grant):
    ana, ben, table = person("ana"), person("ben"), f"{catalog}.work.planes"
    admin.sql(f"CREATE TABLE {table} (tailnum STRING)")
    admin.sql(f"INSERT INTO {table} VALUES ('N14228'), ('N24211')")
    for who in (ana, ben):
        grant(f"USE CATALOG, BROWSE ON CATALOG {catalog}", who)
        grant(f"USE SCHEMA ON SCHEMA {catalog}.work", who)
    grant(f"SELECT ON SCHEMA {catalog}.work", ben)
    count = f"SELECT count(*) FROM {table}"
    assert ben.sql(count) == [["2"]]
    with pytest.raises(StatementFailed, match=f"SELECT on {table}"):
        ana.sql(count)
    grant(f"SELECT ON TABLE {table}", ana)
    assert ana.sql(count) == [["2"]]
    admin.sql(f"REVOKE SELECT ON TABLE {table} FROM `{ana.name}`")
    with pytest.raises(StatementFailed, match=f"SELECT on {table}"):
        ana.sql(count)

    seen = admin.sql(
        "SELECT user_identity.email, response.status_code FROM system.access.audit WHERE action_name = 'getTable' "
        f"AND request_params['full_name_arg'] = '{table}'"
    )
    assert [ben.name, "200"] in seen and [ana.name, "200"] in seen and [ana.name, "403"] in seen
    whose = "SELECT DISTINCT user_identity.email FROM system.access.audit"
    assert [[ana.name], [ben.name]] == sorted(r for r in admin.sql(whose) if r[0] in (ana.name, ben.name))
    assert ana.sql(whose) == [[ana.name]]
    history = admin.sql(
        f"SELECT execution_status FROM system.query.history WHERE executed_by = '{ana.name}' "
        f"AND statement_text = '{count}' ORDER BY start_time"
    )
    assert history == [["FAILED"], ["FINISHED"], ["FAILED"]]


def test_a_view_shows_what_its_owner_may_see_and_no_more(admin, person, catalog, grant):
    ana = person("ana")
    admin.sql(f"CREATE TABLE {catalog}.work.people (name STRING, salary INT)")
    admin.sql(f"INSERT INTO {catalog}.work.people VALUES ('a', 1)")
    admin.sql(f"CREATE VIEW {catalog}.work.names AS SELECT name FROM {catalog}.work.people")
    grant(f"USE CATALOG, BROWSE ON CATALOG {catalog}", ana)
    grant(f"USE SCHEMA ON SCHEMA {catalog}.work", ana)
    grant(f"SELECT ON VIEW {catalog}.work.names", ana)
    assert ana.sql(f"SELECT * FROM {catalog}.work.names") == [["a"]]
    with pytest.raises(StatementFailed):
        ana.sql(f"SELECT * FROM {catalog}.work.people")
    with pytest.raises(StatementFailed):
        ana.sql(f"SELECT salary FROM {catalog}.work.names")
