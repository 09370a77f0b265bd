"""What Ana and Ben may see, and what they ask. Plain Spark SQL; each statement has one right answer, order included.

Ana works on punctuality: flights, airports, and the view without tail numbers. Ben looks after the fleet: every
table; and he may register models.
"""

ANA, BEN = "ana@example.com", "ben@example.com"

VIEW = (
    "CREATE OR REPLACE VIEW main.flights.flights_public COMMENT 'flights without the tail number' AS "
    "SELECT year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay, carrier, "
    "flight, origin, dest, air_time, distance, hour, minute, time_hour FROM main.flights.flights"
)

# Everybody may see that an object exists (BROWSE), so that a refusal can name the grant that is missing.
GRANTS = [
    "GRANT BROWSE ON CATALOG main TO `account users`",
    f"GRANT USE CATALOG ON CATALOG main TO `{ANA}`",
    f"GRANT USE SCHEMA ON SCHEMA main.flights TO `{ANA}`",
    f"GRANT SELECT ON TABLE main.flights.flights TO `{ANA}`",
    f"GRANT SELECT ON TABLE main.flights.airports TO `{ANA}`",
    f"GRANT SELECT ON VIEW main.flights.flights_public TO `{ANA}`",
    f"GRANT USE CATALOG ON CATALOG main TO `{BEN}`",
    f"GRANT USE SCHEMA, SELECT, CREATE MODEL ON SCHEMA main.flights TO `{BEN}`",
]

# What Ana is refused, and what changes that.
REFUSED = "SELECT count(*) AS planes FROM main.flights.planes"
REFUSAL = "SELECT on main.flights.planes"
ALLOW = f"GRANT SELECT ON TABLE main.flights.planes TO `{ANA}`"
FORBID = f"REVOKE SELECT ON TABLE main.flights.planes FROM `{ANA}`"

QUESTIONS = {
    ANA: [
        (
            "which carriers arrive latest?",
            "SELECT carrier, count(arr_delay) AS arrived, round(avg(arr_delay), 1) AS mean_delay_min "
            "FROM main.flights.flights GROUP BY carrier ORDER BY avg(arr_delay) DESC LIMIT 5",
        ),
        (
            "which routes are the busiest?",
            "SELECT f.origin, f.dest, a.name AS airport, count(*) AS flights FROM main.flights.flights f "
            "JOIN main.flights.airports a ON f.dest = a.faa GROUP BY f.origin, f.dest, a.name "
            "ORDER BY flights DESC, f.origin, f.dest LIMIT 5",
        ),
        (
            "when does one wait longest?",
            "SELECT hour, count(dep_delay) AS departed, round(avg(dep_delay), 1) AS mean_delay_min "
            "FROM main.flights.flights GROUP BY hour ORDER BY avg(dep_delay) DESC NULLS LAST LIMIT 5",
        ),
        (
            "which months lose most flights? (the view)",
            "SELECT month, count(*) AS planned, sum(CASE WHEN dep_time IS NULL THEN 1 ELSE 0 END) AS cancelled "
            "FROM main.flights.flights_public GROUP BY month ORDER BY cancelled DESC, month LIMIT 5",
        ),
        (
            "how far does one get?",
            "SELECT a.name AS airport, max(f.distance) AS miles, round(max(f.air_time) / 60, 1) AS longest_hours "
            "FROM main.flights.flights f JOIN main.flights.airports a ON f.dest = a.faa "
            "GROUP BY a.name ORDER BY miles DESC, airport LIMIT 5",
        ),
    ],
    BEN: [
        (
            "whose planes fly most?",
            "SELECT p.manufacturer, count(DISTINCT p.tailnum) AS planes, count(*) AS flights FROM main.flights.flights f "
            "JOIN main.flights.planes p ON f.tailnum = p.tailnum GROUP BY p.manufacturer ORDER BY flights DESC LIMIT 5",
        ),
        (
            "do older planes leave later?",
            "SELECT concat(CAST(floor(p.year / 10) * 10 AS INT), 's') AS built, count(*) AS flights, "
            "round(avg(f.dep_delay), 1) AS mean_delay_min FROM main.flights.flights f "
            "JOIN main.flights.planes p ON f.tailnum = p.tailnum WHERE p.year IS NOT NULL "
            "GROUP BY concat(CAST(floor(p.year / 10) * 10 AS INT), 's') ORDER BY built",
        ),
        (
            "what does rain or snow cost?",
            "SELECT CASE WHEN w.precip > 0 THEN 'wet' ELSE 'dry' END AS sky, count(*) AS flights, "
            "round(avg(f.dep_delay), 1) AS mean_delay_min FROM main.flights.flights f "
            "JOIN main.flights.weather w ON f.origin = w.origin AND f.time_hour = w.time_hour "
            "GROUP BY CASE WHEN w.precip > 0 THEN 'wet' ELSE 'dry' END ORDER BY sky",
        ),
        (
            "which airline is the most punctual?",
            "SELECT l.name AS airline, count(f.arr_delay) AS arrived, round(avg(f.arr_delay), 1) AS mean_delay_min "
            "FROM main.flights.flights f JOIN main.flights.airlines l ON f.carrier = l.carrier "
            "GROUP BY l.name ORDER BY avg(f.arr_delay) LIMIT 5",
        ),
        (
            "which days were the worst?",
            "SELECT f.month, f.day, count(*) AS planned, round(avg(f.dep_delay), 1) AS mean_delay_min, "
            "round(max(w.wind_gust), 1) AS gust_mph FROM main.flights.flights f LEFT JOIN main.flights.weather w "
            "ON f.origin = w.origin AND f.time_hour = w.time_hour GROUP BY f.month, f.day "
            "ORDER BY avg(f.dep_delay) DESC LIMIT 5",
        ),
    ],
}

# The admin's two questions at the end; :since is when this run of the demo began.
HISTORY = (
    "SELECT executed_by AS person, count(*) AS statements, "
    "sum(CASE WHEN execution_status = 'FINISHED' THEN 1 ELSE 0 END) AS finished, "
    "sum(CASE WHEN execution_status = 'FAILED' THEN 1 ELSE 0 END) AS failed "
    "FROM system.query.history WHERE start_time >= :since GROUP BY executed_by ORDER BY person"
)
READS = (
    "SELECT user_identity.email AS person, request_params['full_name_arg'] AS object, "
    "sum(CASE WHEN response.status_code = 200 THEN 1 ELSE 0 END) AS allowed, "
    "sum(CASE WHEN response.status_code = 403 THEN 1 ELSE 0 END) AS refused "
    "FROM system.access.audit WHERE event_time >= :since AND action_name = 'getTable' "
    "AND request_params['full_name_arg'] LIKE 'main.flights.%' "
    "GROUP BY user_identity.email, request_params['full_name_arg'] ORDER BY person, object"
)
CHANGES = (
    "SELECT action_name, count(*) AS rows FROM system.access.audit WHERE event_time >= :since "
    "GROUP BY action_name ORDER BY rows DESC, action_name"
)
