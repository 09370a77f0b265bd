"""The demo's two models, by the unmodified `mlflow` client and scikit-learn: trained once, tried every time.

    train.py    (in the environment of scripts/setup python models; road.py sets the person and the server in the environment)

Whoever runs it reads the flights with their weather by SQL, in Arrow, with their own token. A model whose alias is there already is not
trained again: it is loaded from the registry by its alias, as the new ones are, and tried on the months that none has seen. The last
line is JSON: what road.py shows and checks.
"""

import json
import logging
import time
import warnings

import mlflow
import pyarrow
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.sql import Disposition, Format, StatementState
from features import CATEGORIES, DELAY, EXPERIMENT, LABEL, LAST_MONTH, MODEL, NUMBERS, ROWS
from mlflow.data.delta_dataset_source import DeltaDatasetSource
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

TABLES = ("main.flights.flights", "main.flights.weather")


class Person:
    """Whoever DATABRICKS_TOKEN belongs to."""

    def __init__(self):
        self.client = WorkspaceClient()
        known = list(self.client.warehouses.list())
        self.warehouse = next((w for w in known if w.name == "default"), known[0]).id

    def ask(self, statement: str):
        """A data frame: the chunks of the answer are fetched by their links, as Arrow."""
        api = self.client.statement_execution
        got = api.execute_statement(
            statement, self.warehouse, format=Format.ARROW_STREAM, disposition=Disposition.EXTERNAL_LINKS, wait_timeout="50s"
        )
        while got.status.state in (StatementState.PENDING, StatementState.RUNNING):
            time.sleep(0.05)
            got = api.get_statement(got.statement_id)
        if got.status.state != StatementState.SUCCEEDED:
            raise SystemExit(f"{statement}: {got.status.error.message}")
        parts, links = [], got.result.external_links
        while links:
            for link in links:
                answer = requests.get(link.external_link, timeout=60)
                answer.raise_for_status()
                parts.append(pyarrow.ipc.open_stream(answer.content).read_all())
            following = links[-1].next_chunk_index
            more = following is not None and api.get_statement_result_chunk_n(got.statement_id, following)
            links = more.external_links if more else None
        return pyarrow.concat_tables(parts).to_pandas()

    def ask_with_versions(self, statement: str, tables):
        """A data frame, and the versions of its tables that it was read at: before and after they are the same."""
        for _ in range(5):
            before = {table: self.version(table) for table in tables}
            frame = self.ask(statement)
            if before == {table: self.version(table) for table in tables}:
                return frame, before
        raise SystemExit(f"{' or '.join(tables)} changed each of five times that they were read: train when nobody writes")

    def version(self, table: str) -> int:
        """The newest version of a table."""
        return int(self.ask(f"DESCRIBE HISTORY {table}")["version"].max())


def champion():
    """Logistic regression on what is planned and on the weather."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), CATEGORIES), (numbers, NUMBERS))
    return make_pipeline(columns, LogisticRegression(max_iter=300, random_state=0))


def challenger():
    """Boosted trees on the same, and on how late the flight left the gate."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((codes, CATEGORIES), ("passthrough", [*NUMBERS, DELAY]))
    trees = HistGradientBoostingClassifier(categorical_features=list(range(len(CATEGORIES))), random_state=0)
    return make_pipeline(columns, trees)


def inputs_of(alias: str) -> list:
    return [*CATEGORIES, *NUMBERS] + ([DELAY] if alias == "challenger" else [])


def log_data(versions: dict, past, future, alias: str):
    """What the run read, and at which version."""
    for table, version in versions.items():
        source = DeltaDatasetSource(delta_table_name=table, delta_table_version=version)
        for context, frame in (("training", past), ("testing", future)):
            data = mlflow.data.from_pandas(frame[[*inputs_of(alias), LABEL]], source=source, targets=LABEL, name=table)
            mlflow.log_input(data, context=context)


def train(versions: dict, alias: str, past, future) -> str:
    """Trains and logs a model: champion by autolog, challenger with each thing said. Gives the id of the logged model."""
    model = {"champion": champion, "challenger": challenger}[alias]()
    columns = inputs_of(alias)
    autolog = alias == "champion"
    mlflow.sklearn.autolog(
        disable=not autolog, log_input_examples=True, log_datasets=False, log_post_training_metrics=False, silent=True
    )
    with mlflow.start_run(run_name=alias) as run:
        log_data(versions, past, future, alias)
        model.fit(past[columns], past[LABEL])
        if not autolog:
            mlflow.log_params({"columns": len(columns), "iterations": model[-1].n_iter_})
            mlflow.sklearn.log_model(
                model,
                name="model",
                signature=infer_signature(past[columns].head(), model.predict(past[columns].head())),
                input_example=past[columns].head(),
                pip_requirements=["scikit-learn", "pandas"],
                serialization_format="cloudpickle",
            )
        mlflow.log_metric("auc", auc(model, alias, future))
    return mlflow.last_logged_model().model_id if autolog else mlflow.get_run(run.info.run_id).outputs.model_outputs[0].model_id


def auc(model, alias: str, future) -> float:
    return roc_auc_score(future[LABEL], model.predict_proba(future[inputs_of(alias)])[:, 1])


def main():
    began = time.monotonic()
    person, client = Person(), mlflow.MlflowClient()
    frame, versions = person.ask_with_versions(ROWS, TABLES)
    past, future = frame[frame["month"] <= LAST_MONTH], frame[frame["month"] > LAST_MONTH]
    told = {"rows": len(past), "held_back": len(future), "late": int(future[LABEL].sum()), "models": {}}
    told["read"] = round(time.monotonic() - began, 2)
    known = {}
    if any(model.name == MODEL for model in client.search_registered_models()):
        known = client.get_registered_model(MODEL).aliases
    mlflow.set_experiment(EXPERIMENT)
    for alias in ("champion", "challenger"):
        trained = alias not in known
        if trained:
            version = mlflow.register_model(f"models:/{train(versions, alias, past, future)}", MODEL).version
            client.set_registered_model_alias(MODEL, alias, version)
        version = client.get_model_version_by_alias(MODEL, alias)
        model = mlflow.sklearn.load_model(f"models:/{MODEL}@{alias}")
        told["models"][alias] = {
            "version": int(version.version),
            "run_id": version.run_id,
            "auc": round(auc(model, alias, future), 4),
            "trained_now": trained,
        }
    told["all"] = round(time.monotonic() - began, 2)
    print(json.dumps(told))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    main()
