"""What the models of the demo are trained on: one SELECT, the columns, and what is early and what is late.

Shared by road.py (databricks-sdk alone) and train.py (mlflow and scikit-learn): no imports.
"""

MODEL = "main.flights.late"
EXPERIMENT = "late-flights"

# Asked at pushback, so nothing of the flight itself is known but when it left the gate. The weather is that of the origin in
# the hour of the planned departure; some hours have none.
COLUMNS = (
    "f.month, f.hour, dayofweek(make_date(f.year, f.month, f.day)) AS weekday, f.carrier, f.origin, f.dest, f.distance, "
    "w.temp, w.dewp, w.humid, w.wind_dir, w.wind_speed, w.wind_gust, w.precip, w.pressure, w.visib, f.dep_delay, "
    "CASE WHEN f.arr_delay > 15 THEN 1 ELSE 0 END AS late"
)
ROWS = (
    f"SELECT {COLUMNS} FROM main.flights.flights f LEFT JOIN main.flights.weather w "
    "ON f.origin = w.origin AND f.time_hour = w.time_hour WHERE f.arr_delay IS NOT NULL "
    "ORDER BY f.time_hour, f.carrier, f.flight, f.origin, f.sched_dep_time, f.tailnum"
)

CATEGORIES = ["month", "hour", "weekday", "carrier", "origin", "dest"]
NUMBERS = ["distance", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
DELAY = "dep_delay"
LABEL = "late"

# Trained on January to September, tried on the rest of the year.
LAST_MONTH = 9

# Flights that arrived: those that the models learn from, and those that they are tried on.
FLIGHTS = (244737, 82609)

# AUC on October to December as it comes out; every run is held to it.
AUC = {"champion": 0.6978, "challenger": 0.9015}
TOLERANCE = 0.005

LINEAGE = (
    "SELECT model_version, source_table_full_name AS trained_on, source_version AS at_version, run_id, created_by "
    f"FROM system.access.model_lineage WHERE model_full_name = '{MODEL}' AND array_contains(aliases, 'champion') "
    "AND context = 'training' ORDER BY trained_on"
)
