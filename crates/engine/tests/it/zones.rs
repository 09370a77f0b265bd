//! Session time zones through daylight saving: gaps, overlaps, days of 23 and 25 hours, a gap of half an hour, a day that
//! a country left out. The answers are those of Java's `ZonedDateTime`, which Spark's are made of.

use std::collections::HashMap;

use crannog_engine::{Planner, QueryLimits, render};
use crannog_lake::grammar::{self, Statement};
use crannog_lake::ports::{BoundQuery, Session};
use crannog_types::{Micros, Problem};
use futures::StreamExt;

async fn ask(zone: &str, expression: &str) -> Result<Option<String>, Problem> {
    let planner = Planner::new(&QueryLimits::default()).unwrap();
    let Ok(Statement::Query(query)) = grammar::parse(&format!("SELECT {expression}")) else {
        panic!("{expression} does not parse")
    };
    let session = Session {
        catalog: "main".into(),
        schema: "default".into(),
        time_zone: zone.into(),
        user: "ana".into(),
        groups: Vec::new(),
        now: Micros(1_710_000_000_000_000),
    };
    let bound = BoundQuery { query: *query, relations: HashMap::new(), session, into: None };
    let mut stream = planner.prepare(bound).await?.run().await?;
    let batch = stream.next().await.unwrap()?;
    render::value_text(batch.column(0), batch.schema().field(0), 0, zone)
}

async fn check(zone: &str, answers: &[(&str, &str)]) {
    for (expression, wanted) in answers {
        let found = ask(zone, expression).await.unwrap();
        assert_eq!(found.as_deref(), Some(*wanted), "{expression} in {zone}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_go_forward() {
    check(
        "America/New_York",
        &[
            // 02:30 is not there: it moves forward by the gap.
            ("TIMESTAMP'2024-03-10 02:30:00'", "2024-03-10 03:30:00"),
            ("unix_seconds(TIMESTAMP'2024-03-10 02:30:00')", "1710055800"),
            ("unix_seconds(TIMESTAMP'2024-03-10 03:30:00')", "1710055800"),
            ("CAST('2024-03-10 02:00:00' AS TIMESTAMP)", "2024-03-10 03:00:00"),
            ("TIMESTAMP'2024-03-10 01:59:59' + INTERVAL 1 SECOND", "2024-03-10 03:00:00"),
            // A day moves the wall clock, an hour the instant.
            ("TIMESTAMP'2024-03-09 12:00:00' + INTERVAL 1 DAY", "2024-03-10 12:00:00"),
            ("TIMESTAMP'2024-03-09 12:00:00' + INTERVAL 23 HOURS", "2024-03-10 12:00:00"),
            ("timestampadd(HOUR, 24, TIMESTAMP'2024-03-09 12:00:00')", "2024-03-10 13:00:00"),
            ("timestampadd(DAY, 1, TIMESTAMP'2024-03-09 12:00:00')", "2024-03-10 12:00:00"),
            ("TIMESTAMP'2024-02-10 02:30:00' + INTERVAL 1 MONTH", "2024-03-10 03:30:00"),
            ("unix_seconds(TIMESTAMP'2024-03-11') - unix_seconds(TIMESTAMP'2024-03-10')", "82800"),
            ("datediff(TIMESTAMP'2024-03-11 00:30:00', TIMESTAMP'2024-03-10 23:30:00')", "1"),
            ("date_trunc('DAY', TIMESTAMP'2024-03-10 12:00:00')", "2024-03-10 00:00:00"),
            ("date_trunc('HOUR', TIMESTAMP'2024-03-10 03:30:00')", "2024-03-10 03:00:00"),
            ("hour(TIMESTAMP'2024-03-10 07:30:00Z')", "3"),
            ("CAST(DATE'2024-03-10' AS TIMESTAMP)", "2024-03-10 00:00:00"),
            ("CAST(TIMESTAMP'2024-03-10 04:30:00Z' AS DATE)", "2024-03-09"),
            ("to_timestamp('2024-03-10 02:30', 'yyyy-MM-dd HH:mm')", "2024-03-10 03:30:00"),
            ("from_unixtime(1710055800)", "2024-03-10 03:30:00"),
            ("CAST(TIMESTAMP_NTZ'2024-03-10 02:30:00' AS TIMESTAMP)", "2024-03-10 03:30:00"),
            ("date_format(TIMESTAMP'2024-03-10 03:30:00', 'HH:mm XXX')", "03:30 -04:00"),
            ("size(sequence(TIMESTAMP'2024-03-09 12:00:00', TIMESTAMP'2024-03-11 12:00:00', INTERVAL 1 DAY))", "3"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_go_back() {
    check(
        "America/New_York",
        &[
            // 01:30 is there twice: the first counts.
            ("unix_seconds(TIMESTAMP'2024-11-03 01:30:00')", "1730611800"),
            ("TIMESTAMP'2024-11-03 05:30:00Z'", "2024-11-03 01:30:00"),
            ("TIMESTAMP'2024-11-03 06:30:00Z'", "2024-11-03 01:30:00"),
            ("TIMESTAMP'2024-11-03 05:30:00Z' = TIMESTAMP'2024-11-03 06:30:00Z'", "false"),
            // Truncating the second 01:30 does not give the first 01:00.
            ("unix_seconds(date_trunc('HOUR', TIMESTAMP'2024-11-03 06:30:00Z'))", "1730613600"),
            ("TIMESTAMP'2024-11-02 12:00:00' + INTERVAL 1 DAY", "2024-11-03 12:00:00"),
            ("timestampadd(HOUR, 24, TIMESTAMP'2024-11-02 12:00:00')", "2024-11-03 11:00:00"),
            ("unix_seconds(TIMESTAMP'2024-11-04') - unix_seconds(TIMESTAMP'2024-11-03')", "90000"),
        ],
    )
    .await;
    check(
        "Europe/Berlin",
        &[
            ("unix_seconds(TIMESTAMP'2024-10-27 02:30:00')", "1729989000"),
            ("TIMESTAMP'2024-03-31 02:30:00'", "2024-03-31 03:30:00"),
            ("from_utc_timestamp(TIMESTAMP'2024-07-01 12:00:00', 'America/New_York')", "2024-07-01 08:00:00"),
            ("convert_timezone('Europe/Berlin', 'UTC', TIMESTAMP_NTZ'2024-07-01 12:00:00')", "2024-07-01 10:00:00"),
            ("current_timezone()", "Europe/Berlin"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_of_other_sizes() {
    // Lord Howe Island moves by half an hour; Samoa left out 30 December 2011.
    let howe = [
        ("TIMESTAMP'2024-10-06 02:15:00'", "2024-10-06 02:45:00"),
        ("unix_seconds(TIMESTAMP'2024-10-06 02:15:00')", "1728143100"),
    ];
    check("Australia/Lord_Howe", &howe).await;
    let samoa = [
        ("TIMESTAMP'2011-12-30 12:00:00'", "2011-12-31 12:00:00"),
        ("TIMESTAMP'2011-12-29 12:00:00' + INTERVAL 1 DAY", "2011-12-31 12:00:00"),
    ];
    check("Pacific/Apia", &samoa).await;
    let offset = [("TIMESTAMP'2024-01-01 00:00:00Z'", "2024-01-01 05:30:00")];
    check("+05:30", &offset).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zones_that_are_not_there_are_refused() {
    for zone in ["Mars/Phobos", "", "+25:00", "UTC+99"] {
        let problem = ask(zone, "1").await.unwrap_err();
        assert_eq!(problem.vendor_reason(), Some("INVALID_TIMEZONE"), "{zone}");
    }
    let engine = crannog_engine::LakeEngine::new(&QueryLimits::default(), crannog_engine::Limits::default()).unwrap();
    use crannog_lake::ports::Engine;
    assert!(engine.knows_time_zone("Europe/Berlin") && engine.knows_time_zone("+01:00"));
    assert!(!engine.knows_time_zone("Mars/Phobos"));
}
