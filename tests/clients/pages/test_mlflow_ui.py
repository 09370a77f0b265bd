"""MLflow's own pages in a real Chromium, out of the wheel that the tests' environment has: who is signed in sees what they were
granted; who is not is sent to sign in; nothing that was logged becomes a page of ours.

    CRANNOG_SCREENSHOTS=/tmp/pictures    a picture of each page
"""

import gzip
import http.client
import json
import os
import re
import stat
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from browser import browser, visitor
from harness import Server, binary, unique
from mlflows import environment, quiet
from signing_in import invited, set_password, sign_in

DESK = {"width": 1600, "height": 1000}

LOG = """
import mlflow, json
from mlflow import MlflowClient

MLMODEL = '''
flavors: {python_function: {loader_module: none}}
signature:
  inputs: '[{"name": "distance", "type": "double", "required": true}]'
  outputs: '[{"type": "boolean", "required": true}]'
'''

experiment = mlflow.set_experiment("late-flights").experiment_id
runs = []
for depth in (4, 8):
    with mlflow.start_run(run_name=f"depth-{depth}") as run:
        runs.append(run.info.run_id)
        mlflow.log_params({"depth": depth, "booster": "dart"})
        for step in range(20):
            mlflow.log_metric("auc", 0.5 + step * depth / 1000, step=step)
        mlflow.log_metric("odd", float("nan"))
        mlflow.log_text("the first try", "notes.txt")
        mlflow.log_text("<h1>a logged page</h1><script>parent.document.title = 'evil'; document.body.append('evil')</script>", "page.html")
        mlflow.log_input(mlflow.data.meta_dataset.MetaDataset(mlflow.data.http_dataset_source.HTTPDatasetSource("http://localhost/f.csv"), name="flights"), "training")
        mlflow.log_text(MLMODEL, "model/MLmodel")
client = MlflowClient()
client.create_registered_model("late", description="asked at pushback")
for run in runs:
    client.create_model_version("late", f"runs:/{run}/model", run)
client.set_registered_model_alias("late", "champion", "1")
client.set_model_version_tag("late", "1", "checked", "by ben")
print(json.dumps({"experiment": experiment, "runs": runs}))
"""


@pytest.fixture(scope="module")
def chromium():
    with browser() as running:
        yield running


def crannog(*words: str, **more: str):
    return subprocess.run([str(binary()), *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, **more}, check=False)


@pytest.fixture(scope="module")
def logged(chromium):
    """A server with the pages, two runs, a model with two versions; and ana, who may see them all."""
    python = environment()
    with Server("--log", "warn") as server:
        env = quiet(MLFLOW_TRACKING_URI=server.url, MLFLOW_TRACKING_TOKEN=server.admin_token)
        done = subprocess.run([str(python), "-c", LOG], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env, check=False)
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout.splitlines()[-1])
        added = crannog("ui", "add", "mlflow", "--python", str(python), "--data", str(server.data))
        assert added.returncode == 0 and "/mlflow/" in added.stdout, added
        assert crannog("ui", "list", "--data", str(server.data)).stdout == "mlflow 3.17.2\n"
        name, link = invited(server)
        with visitor(chromium) as page:
            set_password(page, link)
        grants = {"access_control_list": [{"user_name": name, "permission_level": "CAN_READ"}]}
        server.admin().client.api_client.do("PATCH", f"/api/2.0/permissions/experiments/{made['experiment']}", body=grants)
        for grant in ("USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA main.default", "EXECUTE ON FUNCTION main.default.late"):
            done = crannog("sql", "-e", f"GRANT {grant} TO `{name}`", CRANNOG_HOST=server.url, CRANNOG_TOKEN=server.admin_token)
            assert done.returncode == 0, done.stderr
        yield SimpleNamespace(server=server, name=name, **made)


class Pages:
    """MLflow's pages before somebody who is signed in, and what they asked the server."""

    def __init__(self, page, logged):
        self.page, self.url, self.asked = page, f"{logged.server.url}/mlflow/", []
        page.on("response", lambda answer: self.asked.append((answer.request.method, answer.url.removeprefix(logged.server.url), answer.status)))

    def open(self, place: str, *texts: str):
        """Goes to a place, waits until all of the texts are shown, and gives the page's whole text."""
        self.page.goto(f"{self.url}#{place}")
        for text in texts:
            self.page.get_by_text(text, exact=False).first.wait_for()
        if pictures := os.environ.get("CRANNOG_SCREENSHOTS"):
            self.page.screenshot(path=f"{pictures}/mlflow-{re.sub('[^a-z]+', '-', place.split('?')[0])}.png")
        return self.page.locator("body").inner_text()

    def failures(self):
        """What was not answered as asked, without what is not here: the assistant, and people of MLflow's own."""
        others = re.compile(r"/(assistant|users/current)\b")
        return [asked for asked in self.asked if asked[2] >= 400 and not others.search(asked[1])]


@pytest.fixture
def pages(logged, chromium):
    with visitor(chromium, size=DESK) as page:
        pages = Pages(page, logged)
        page.goto(f"{logged.server.url}/mlflow")
        assert page.url == f"{logged.server.url}/login?next=%2Fmlflow"
        sign_in(page, logged.name)
        page.get_by_text("late-flights").first.wait_for()
        assert page.url.split("#")[0] == f"{logged.server.url}/mlflow/"
        yield pages
        assert pages.failures() == []


def test_experiments_and_their_runs(pages, logged):
    pages.open("/experiments", "late-flights")
    shown = pages.open(f"/experiments/{logged.experiment}/runs", "depth-4", "depth-8", "flights")
    assert "2\nmatching runs" in shown or "2 matching runs" in shown, shown
    assert "load error" not in shown and "NOT_FOUND" not in shown, shown
    pages.open(f"/experiments/{logged.experiment}/runs?compareRunsMode=CHART", "auc", "depth-8")
    pages.page.locator(".js-plotly-plot").first.wait_for()


def test_a_run_with_its_metrics_and_files(pages, logged):
    place = f"/experiments/{logged.experiment}/runs/{logged.runs[0]}"
    shown = pages.open(place, "depth-4", "dart", "auc", "booster")
    for text in ("0.576", "dart", "Finished", logged.runs[0], "flights", "late"):
        assert text in shown, f"{text}: {shown}"
    pages.open(f"{place}/model-metrics", "auc")
    pages.page.locator(".js-plotly-plot").first.wait_for()
    shown = pages.open(f"{place}/artifacts/notes.txt", "the first try")
    assert "page.html" in shown


def test_two_runs_side_by_side(pages, logged):
    runs, experiments = json.dumps(logged.runs), json.dumps([logged.experiment])
    shown = pages.open(f"/compare-runs?runs={runs}&experiments={experiments}", "Comparing 2 Runs", *logged.runs)
    for text in ("depth-4", "depth-8", "dart", "0.576", "0.652"):
        assert text in shown, f"{text}: {shown}"


def test_a_registered_model_and_a_version(pages):
    pages.open("/models", "late", "champion")
    shown = pages.open("/models/late", "asked at pushback", "Version 2", "champion")
    assert "checked" in shown and "by ben" in shown, shown
    shown = pages.open("/models/late/versions/1", "by ben", "champion", "depth-4", "Inputs (1)")
    assert "checked" in shown and "Outputs (1)" in shown, shown


def test_an_address_with_a_place_leads_there_over_sign_in(logged, chromium):
    place = f"/experiments/{logged.experiment}/runs/{logged.runs[0]}"
    with visitor(chromium, size=DESK) as page:
        page.goto(f"{logged.server.url}/mlflow/#{place}")
        assert page.url == f"{logged.server.url}/login?next=%2Fmlflow%2F#{place}"
        sign_in(page, logged.name, "not the password")
        page.get_by_text("is not right").wait_for()
        sign_in(page, logged.name)
        page.get_by_text("depth-4").first.wait_for()
        assert page.url == f"{logged.server.url}/mlflow/#{place}"


def test_the_address_that_a_client_prints_leads_to_its_run(logged, chromium):
    """mlflow takes the server's root for MLflow's pages: `View run depth-4 at: http://host/#/experiments/1/runs/…`."""
    place = f"/experiments/{logged.experiment}/runs/{logged.runs[0]}"
    with visitor(chromium, size=DESK) as page:
        page.goto(f"{logged.server.url}/#{place}")
        sign_in(page, logged.name)
        for again in (False, True):
            if again:
                page.goto("about:blank")
                page.goto(f"{logged.server.url}/#{place}")
            page.get_by_text("depth-4").first.wait_for()
            assert page.url == f"{logged.server.url}/mlflow/#{place}"
        page.goto(f"{logged.server.url}/")
        page.get_by_text(f"Signed in as {logged.name}").wait_for()


def test_somebody_else_sees_nothing_of_it(logged, chromium):
    name, link = invited(logged.server)
    with visitor(chromium, size=DESK) as page:
        set_password(page, link)
        pages = Pages(page, logged)
        shown = pages.open("/experiments", "Default")
        assert "late-flights" not in shown, shown
        shown = pages.open(f"/experiments/{logged.experiment}/runs/{logged.runs[0]}", "not found")
        assert "depth-4" not in shown and "dart" not in shown, shown
        shown = pages.open("/models", "Create Model")
        assert "champion" not in shown, shown
        asked = json.dumps({"query": "query GetRun($data: MlflowGetRunInput!) { mlflowGetRun(input: $data) { apiError { code } run { info { runName } } } }",
                            "variables": {"data": {"runId": logged.runs[0]}}})  # fmt: skip
        said = page.evaluate("body => fetch('graphql', {method: 'POST', headers: {'content-type': 'application/json'}, body}).then(a => a.json())", asked)
        assert said == {"data": {"mlflowGetRun": {"apiError": {"code": "RESOURCE_DOES_NOT_EXIST"}, "run": None}}, "errors": None}


@pytest.fixture
def session(logged, chromium):
    """The cookie of ana's session."""
    with visitor(chromium) as page:
        page.goto(f"{logged.server.url}/login")
        sign_in(page, logged.name)
        page.get_by_text(f"Signed in as {logged.name}").wait_for()
        [cookie] = page.context.cookies()
        return f"{cookie['name']}={cookie['value']}"


def ask(server, method: str, path: str, headers: dict, body: str | None = None):
    """Sends exactly this. Gives status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def test_a_change_by_cookie_comes_from_our_pages_alone(logged, session):
    tag = json.dumps({"run_id": logged.runs[0], "key": unique("k"), "value": "v"})
    query = json.dumps({"query": "{ mlflowGetExperiment { experiment { name } } }"})
    ours = logged.server.url
    for path, body, from_ours in (("/mlflow/ajax-api/2.0/mlflow/runs/set-tag", tag, 403), ("/mlflow/graphql", query, 200), ("/ajax-api/2.0/mlflow/runs/set-tag", tag, 403)):
        for origin in (None, "null", "http://evil.example.com", f"{ours}.evil.example.com", f"http://127.0.0.1:{logged.server.port + 1}"):
            headers = {"Cookie": session, "Content-Type": "application/json", **({"Origin": origin} if origin else {})}
            status, _, said = ask(logged.server, "POST", path, headers, body)
            assert status == 403 and b"another site" in said, f"{path} from {origin}: {status} {said}"
        headers = {"Cookie": session, "Content-Type": "application/json", "Origin": ours}
        status, _, said = ask(logged.server, "POST", path, headers, body)
        # ana may read only: it is the grant that is missing now.
        assert status == from_ours and b"another site" not in said, f"{path}: {status} {said}"


def test_what_was_logged_is_never_a_page(logged, session):
    run = logged.runs[0]
    for path in (
        f"/mlflow/get-artifact?run_uuid={run}&path=page.html",
        f"/get-artifact?run_uuid={run}&path=page.html",
        f"/mlflow/ajax-api/2.0/mlflow-artifacts/artifacts/{logged.experiment}/{run}/artifacts/page.html",
    ):
        status, headers, body = ask(logged.server, "GET", path, {"Cookie": session, "Accept": "text/html"})
        assert status == 200 and b"a logged page" in body
        assert headers["content-type"] == "application/octet-stream" and headers["content-disposition"] == "attachment", path
        assert headers["x-content-type-options"] == "nosniff"


def test_a_logged_page_is_shown_without_its_scripts(logged, chromium):
    context = chromium.new_context(viewport=DESK)
    try:
        page, complaints = context.new_page(), []
        page.on("console", lambda line: complaints.append(line.text))
        page.goto(f"{logged.server.url}/login?next=/mlflow/")
        sign_in(page, logged.name)
        Pages(page, logged).open(f"/experiments/{logged.experiment}/runs/{logged.runs[0]}/artifacts/page.html", "page.html")
        frame = page.frame_locator("iframe.mlflow-html-iframe")
        frame.get_by_role("heading", name="a logged page").wait_for()
        assert "evil" not in frame.locator("body").inner_text() and page.title() != "evil"
        assert any("Content Security Policy" in complaint for complaint in complaints), complaints
    finally:
        context.close()


def test_the_files_of_the_pages(logged, session):
    server, signed_in = logged.server, {"Cookie": session}
    status, headers, index = ask(server, "GET", "/mlflow/", signed_in)
    assert status == 200 and headers["content-type"] == "text/html; charset=utf-8"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy and "frame-ancestors 'none'" in policy
    assert headers["cache-control"] == "private, no-cache"
    script = re.search(rb'src="(static-files/static/js/main[^"]+)"', index)[1].decode()
    status, headers, plain = ask(server, "GET", f"/mlflow/{script}", signed_in)
    assert status == 200 and headers["content-type"] == "text/javascript; charset=utf-8" and "immutable" in headers["cache-control"]
    assert "content-encoding" not in headers and len(plain) == int(headers["content-length"])
    status, headers, packed = ask(server, "GET", f"/mlflow/{script}", {**signed_in, "Accept-Encoding": "br, gzip"})
    assert headers["content-encoding"] == "gzip" and gzip.decompress(packed) == plain and len(packed) < len(plain) / 3
    for path in ("/mlflow/", f"/mlflow/{script}"):
        assert ask(server, "GET", path, {})[0] == 401
    for path in ("none.js", "../current", "%2e%2e/current", "..%2fcurrent", "static", "%2fetc%2fpasswd", "a%00b"):
        status, _, said = ask(server, "GET", f"/mlflow/static-files/{path}", signed_in)
        assert status in (400, 404), f"{path}: {status} {said}"


BUILD = "mlflow/server/js/build"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Makes a wheel of what is installed, as pip would get it, with more in it."""
    ask = "from importlib.metadata import distribution as d; print(d('mlflow').locate_file(''))"
    asked = subprocess.run([str(environment()), "-c", ask], capture_output=True, text=True, check=True)
    root = Path(asked.stdout.strip())

    def make(*more: tuple[str, int, str]) -> Path:
        path = tmp_path_factory.mktemp("wheel") / "mlflow-3.17.2-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for file in sorted((root / BUILD).rglob("*")):
                if more and file.suffix not in (".html", ".json"):
                    continue
                archive.write(file, file.relative_to(root))
            for name, mode, content in more:
                entry = zipfile.ZipInfo(name)
                entry.external_attr = mode << 16
                archive.writestr(entry, content)
        return path

    return make


def test_pages_out_of_a_wheel(new_server, wheel):
    server = new_server()
    admin, data = {"Authorization": f"Bearer {server.admin_token}"}, ("--data", str(server.data))
    for name, mode, said in (
        (f"{BUILD}/../../../../../../outside", stat.S_IFREG | 0o644, "no place inside of it"),
        (f"{BUILD}//outside", stat.S_IFREG | 0o644, "no place inside of it"),
        (f"{BUILD}/static/link.js", stat.S_IFLNK | 0o777, "is no file"),
    ):
        refused = crannog("ui", "add", "mlflow", "--wheel", str(wheel((name, mode, "/etc/passwd"))), *data)
        assert refused.returncode == 1 and said in refused.stderr, refused
        assert not (server.data / "ui").exists() and not (server.folder / "outside").exists()
    added = crannog("ui", "add", "mlflow", "--wheel", str(wheel()), *data)
    assert added.returncode == 0, added
    status, _, index = ask(server, "GET", "/mlflow/", admin)
    assert status == 200 and b"static-files/static/js/main" in index


def test_pages_come_and_go(new_server, tmp_path):
    server, python = new_server(), str(environment())
    admin = {"Authorization": f"Bearer {server.admin_token}"}
    status, _, said = ask(server, "GET", "/mlflow/", admin)
    assert status == 404 and b"crannog ui add mlflow" in said
    data = ("--data", str(server.data))
    assert crannog("ui", "list", *data).stdout == ""
    assert crannog("ui", "remove", "mlflow", *data).returncode == 1
    for refused in (
        crannog("ui", "add", "mlflow", "--data", str(tmp_path)),
        crannog("ui", "add", "mlflow", "--python", str(tmp_path / "python"), *data),
        crannog("ui", "add", "mlflow", "--wheel", str(tmp_path / "other.whl"), *data),
        crannog("ui", "add", "mlflow", "--wheel", str(tmp_path / "mlflow-3.17.2-py3-none-any.whl"), *data),
    ):
        assert refused.returncode == 1 and refused.stderr, refused
    assert crannog("ui", "add", "mlflow", "--python", python, *data).returncode == 0
    assert ask(server, "GET", "/mlflow/", admin)[0] == 200, "without a restart"
    assert crannog("ui", "remove", "mlflow", *data).returncode == 0
    assert ask(server, "GET", "/mlflow/", admin)[0] == 404
    assert list((server.data / "ui").iterdir()) == []
