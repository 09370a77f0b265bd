"""The unmodified Unity Catalog connector (`UCSingleCatalog`) in Apache Spark 4.2, with its default settings: each reads
what is theirs to read."""

import pytest
import sparks


@pytest.fixture
def opened(spark, catalog):
    """A function: `opened(who)` is that person's Spark session with the catalog in it."""
    return lambda who: sparks.signed_in(spark, who, catalog)


@pytest.fixture
def flights(admin, catalog):
    """Two tables and a view in the schema `work`; returns the schema's full name."""
    schema = f"{catalog}.work"
    admin.sql(
        f"CREATE TABLE {schema}.flights (id BIGINT NOT NULL COMMENT 'of the flight', tailnum STRING, "
        "time_hour TIMESTAMP, fare DECIMAL(10,2), `stops at` ARRAY<STRUCT<code: STRING, hour: INT>>, month INT) PARTITIONED BY (month)"
    )
    admin.sql(
        f"INSERT INTO {schema}.flights SELECT id, concat('N', id), TIMESTAMP'2013-01-01 10:00:00', "
        "CAST(1.25 AS DECIMAL(10,2)), array(named_struct('code', 'EWR', 'hour', CAST(id % 24 AS INT))), CAST(id % 12 AS INT) FROM range(1200)"
    )
    admin.sql(f"CREATE TABLE {schema}.planes (tailnum STRING, year INT)")
    admin.sql(f"INSERT INTO {schema}.planes VALUES ('N14228', 1999), ('N24211', NULL)")
    admin.sql(f"CREATE VIEW {schema}.flights_public AS SELECT id, month FROM {schema}.flights")
    return schema


@pytest.fixture
def people(person, catalog, grant):
    """Ana and Ben, both with the use of the catalog and the schema, and Ben with SELECT on all of it."""
    ana, ben = person("ana"), person("ben")
    for who in (ana, ben):
        grant(f"USE CATALOG, BROWSE ON CATALOG {catalog}", who)
        grant(f"USE SCHEMA ON SCHEMA {catalog}.work", who)
    grant(f"SELECT ON SCHEMA {catalog}.work", ben)
    return ana, ben


def test_lists_describes_and_reads(opened, flights, people):
    _, ben = people
    catalog, session = flights.split(".")[0], opened(ben)
    assert [row.namespace for row in session.sql(f"SHOW SCHEMAS IN {catalog}").collect()] == ["work"]
    assert {"flights", "planes"} <= {row.tableName for row in session.sql(f"SHOW TABLES IN {flights}").collect()}
    assert [row.viewName for row in session.sql(f"SHOW VIEWS IN {flights}").collect()] == ["flights_public"]

    frame = session.table(f"{flights}.flights")
    assert frame.dtypes == [
        ("id", "bigint"),
        ("tailnum", "string"),
        ("time_hour", "timestamp"),
        ("fare", "decimal(10,2)"),
        ("stops at", "array<struct<code:string,hour:int>>"),
        ("month", "int"),
    ]
    described = {row.col_name: row.comment for row in session.sql(f"DESCRIBE TABLE {flights}.flights").collect()}
    assert described["id"] == "of the flight"

    statement = (
        f"SELECT month, count(*), sum(id), sum(fare) FROM {flights}.flights WHERE month < 3 GROUP BY month ORDER BY month"
    )
    theirs = [[str(value) for value in row] for row in session.sql(statement).collect()]
    assert theirs == ben.sql(statement) and len(theirs) == 3
    planes = session.sql(f"SELECT * FROM {flights}.planes ORDER BY tailnum").collect()
    assert [tuple(row) for row in planes] == [("N14228", 1999), ("N24211", None)]


def test_the_next_read_sees_what_was_written(opened, admin, flights, people):
    session = opened(people[1])
    count = f"SELECT count(*) FROM {flights}.planes"
    assert session.sql(count).collect()[0][0] == 2
    admin.sql(f"INSERT INTO {flights}.planes VALUES ('N3', 2001)")
    assert session.sql(count).collect()[0][0] == 3


def refused(session, statement: str) -> str:
    """The message of the exception that the statement must end with."""
    try:
        got = session.sql(statement).collect()
    except Exception as error:  # the connector's own kinds, in which the server's answer or its absence shows
        return str(error)
    raise AssertionError(f"{statement} answered {got}")


def test_one_without_the_grant_reads_nothing(opened, admin, flights, people, grant):
    ana, _ = people
    session, count = opened(ana), f"SELECT count(*) FROM {flights}.planes"
    told = refused(session, count)
    assert f"SELECT on {flights}.planes" in told and "file:" not in told  # the grant is named, the location is not
    grant(f"SELECT ON TABLE {flights}.planes", ana)
    assert session.sql(count).collect()[0][0] == 2
    refused(session, f"SELECT count(*) FROM {flights}.flights")
    admin.sql(f"REVOKE SELECT ON TABLE {flights}.planes FROM `{ana.name}`")
    refused(session, count)
    assert {"flights", "planes"} <= {row.tableName for row in session.sql(f"SHOW TABLES IN {flights}").collect()}


def test_a_stranger_finds_nothing(opened, person, flights):
    session, catalog = opened(person("eve")), flights.split(".")[0]
    assert "404" in refused(session, f"SHOW SCHEMAS IN {catalog}")
    assert "404" in refused(session, f"SHOW TABLES IN {flights}")
    assert "TABLE_OR_VIEW_NOT_FOUND" in refused(session, f"SELECT * FROM {flights}.planes")


def test_a_wrong_token_opens_nothing(spark, server, admin, catalog, flights):
    session = sparks.signed_in(spark, server.signed_in("nobody", "crg_wrong"), catalog)
    assert "401" in refused(session, f"SHOW TABLES IN {flights}")
