"""Prints the routes of MLflow's server and of the model registry in Unity Catalog, as the wheel's protocol descriptors declare
them: one a line, method, path, service and method. Runs in the environment `scripts/setup python mlflow`."""

from mlflow.protos import databricks_pb2
from mlflow.protos.databricks_uc_registry_service_pb2 import UcModelRegistryService
from mlflow.protos.mlflow_artifacts_pb2 import MlflowArtifactsService
from mlflow.protos.model_registry_pb2 import ModelRegistryService
from mlflow.protos.service_pb2 import MlflowService
from mlflow.protos.webhooks_pb2 import WebhookService

SERVICES = [MlflowService, ModelRegistryService, MlflowArtifactsService, WebhookService, UcModelRegistryService]

# What the server answers beside its services, of what clients ask.
BESIDE = [
    "GET /api/3.0/mlflow/server-info server.getServerInfo",
    "GET /get-artifact server.getArtifact",
    "GET /health server.health",
    "GET /model-versions/get-artifact server.getModelVersionArtifact",
    "GET /version server.version",
    "POST /graphql server.graphql",
    "POST /v1/traces server.exportTraces",
]


def routes():
    yield from BESIDE
    for service in SERVICES:
        for method in service.DESCRIPTOR.methods:
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                path = "/" + endpoint.path.lstrip("/")
                yield f"{endpoint.method} /api/{endpoint.since.major}.0{path} {service.DESCRIPTOR.name}.{method.name}"


if __name__ == "__main__":
    print("\n".join(sorted(set(routes()), key=lambda line: line.split()[1::-1])))
