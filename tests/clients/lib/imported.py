"""What a client sees of everything in a tracking server, to be compared before and after `crannog import mlflow`, and the command."""

import os
import subprocess

from harness import binary
from mlflow.entities import ViewType

LEFT_OUT = 3


def crannog(server, *arguments, start=False):
    """Runs the command as the administrator; gives exit code and report."""
    command = [str(binary()), "import", "mlflow", *map(str, arguments)]
    environment = {**os.environ, "CRANNOG_HOST": server.url, "CRANNOG_TOKEN": server.admin_token}
    if start:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode in (0, LEFT_OUT), done.stdout + done.stderr
    return done.returncode, done.stdout


def plain(metrics):
    """Points, in an order of their own: NaN equals itself here."""
    return sorted((m.step, m.timestamp, repr(m.value)) for m in metrics)


def tracked(client):
    """Everything that a client sees of experiments and runs."""
    seen = {}
    for experiment in client.search_experiments(view_type=ViewType.ALL):
        named = {"name": experiment.name, "stage": experiment.lifecycle_stage, "tags": experiment.tags}
        if experiment.experiment_id != "0":
            named["times"] = (experiment.creation_time, experiment.last_update_time)
        seen[experiment.experiment_id] = named
        for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL, max_results=5000):
            info = run.info
            inputs = [
                (i.dataset.to_dictionary() if hasattr(i.dataset, "to_dictionary") else dict(i.dataset), sorted((t.key, t.value) for t in i.tags))
                for i in run.inputs.dataset_inputs
            ]
            seen[info.run_id] = {
                "info": (info.experiment_id, info.run_name, info.user_id, info.status, info.start_time, info.end_time, info.lifecycle_stage),
                "params": run.data.params,
                "tags": run.data.tags,
                "latest": plain(run.data._metric_objs),
                "points": {key: plain(client.get_metric_history(info.run_id, key)) for key in run.data.metrics},
                "inputs": inputs,
            }
            if hasattr(client, "get_logged_model"):
                # MLflow's search leaves them out.
                alone = client.get_run(info.run_id)
                seen[info.run_id]["models"] = (
                    [m.model_id for m in alone.inputs.model_inputs], [(m.model_id, m.step) for m in alone.outputs.model_outputs]
                )  # fmt: skip
        if experiment.lifecycle_stage == "active" and hasattr(client, "search_logged_models"):
            for model in client.search_logged_models([experiment.experiment_id]):
                points = sorted((m.key, m.value, m.step, m.timestamp, m.run_id, m.dataset_name, m.dataset_digest) for m in model.metrics)
                seen[model.model_id] = (
                    model.name, model.model_type, model.source_run_id, model.status, model.creation_timestamp, model.last_updated_timestamp,
                    model.tags, model.params, points,
                )  # fmt: skip
    return seen


def registered(client, names):
    """Everything that a client sees of models, under names that may differ."""
    seen = {}
    for name, shown in names.items():
        model = client.get_registered_model(name)
        versions = {
            int(v.version): (
                v.creation_timestamp, v.last_updated_timestamp, v.current_stage, v.description or "", v.source, v.run_id or "", v.status,
                v.tags,
            )  # fmt: skip
            for v in client.search_model_versions(f"name = '{name}'")
        }
        seen[shown] = (model.creation_timestamp, model.description or "", model.tags, {k: int(v) for k, v in model.aliases.items()}, versions)
    return seen
