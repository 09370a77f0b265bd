"""A local Apache Spark session with Delta Lake and the Unity Catalog connector, all unmodified.

pyspark comes from an environment of its own (`scripts/setup python spark`) that is added to this Python's path, the jars
from Maven (`scripts/setup spark-jars`), the connector from `../shared/peers/spark`, as the registry does not carry it.
Starting it takes ten seconds and more, so there is one session a run; each person's is a child of it (`signed_in`).
"""

import logging
import os
import subprocess
import sys
from pathlib import Path

from harness import REPOSITORY

CONNECTOR = REPOSITORY.parent / "shared" / "peers" / "spark" / "unitycatalog-spark_4.2_2.13-0.6.0.jar"


def setup(*words: str) -> Path:
    """The path that scripts/setup prints; it makes what is not there yet."""
    done = subprocess.run([str(REPOSITORY / "scripts" / "setup"), *words], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())


def start(folder: Path):
    """A session with no catalog of ours yet; `folder` takes what Spark writes. End it with `stop`."""
    assert CONNECTOR.exists(), f"the Unity Catalog connector is not at {CONNECTOR}"
    python = setup("python", "spark")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    sys.path.append(str(python.parent.parent / "lib" / version / "site-packages"))
    jars = [*sorted(setup("spark-jars").glob("*.jar")), CONNECTOR]
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["SPARK_HOME"] = str(python.parent.parent / "lib" / version / "site-packages" / "pyspark")
    # Each refused statement would print a page of Java's stack besides raising it.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)

    from pyspark.sql import SparkSession

    settings = {
        "spark.jars": ",".join(map(str, jars)),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={folder} -Dderby.system.home={folder}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("crannog-tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def stop(session):
    """Ends the session and the Java process that it started."""
    gateway = session.sparkContext._gateway
    session.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait(60)


def signed_in(session, person, catalog: str, **options: str):
    """A child session in which `catalog` is the server's, opened with the person's token through the connector."""
    child = session.newSession()
    prefix = f"spark.sql.catalog.{catalog}"
    child.conf.set(prefix, "io.unitycatalog.spark.UCSingleCatalog")
    for name, value in {"uri": person.server.url, "token": person.token, **options}.items():
        child.conf.set(f"{prefix}.{name}", value)
    return child
