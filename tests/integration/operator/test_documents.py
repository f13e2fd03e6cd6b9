"""Complete TrainingJobs: the trainer accepts exactly what the API server accepts."""

import json
from urllib.parse import urlencode

import pytest

from cluster.clusters import Cluster
from support.training_job_documents import RIGHT, WRONG

pytestmark = pytest.mark.usefixtures("training_job_api")


def refusal(cluster: Cluster, text: str) -> str | None:
    """The message with which the API server refuses to create it; None if it accepts it. It is not created."""
    client = cluster.client()
    path = "/apis/training.pumphealth.io/v1alpha1/namespaces/default/trainingjobs"
    # As kubectl validates: unknown fields and keys that come twice are errors.
    query = urlencode({"dryRun": "All", "fieldValidation": "Strict"})
    response = client.rest_client.pool_manager.request(
        "POST",
        f"{client.configuration.host}{path}?{query}",
        body=text.encode(),
        headers={"Content-Type": "application/yaml", "Accept": "application/json"},
    )
    if response.status in (200, 201):
        return None
    assert 400 <= response.status < 500, response.data
    return str(json.loads(response.data)["message"])


@pytest.mark.parametrize("case", RIGHT)
def test_the_api_server_accepts_what_the_trainer_accepts(cluster: Cluster, case: str) -> None:
    assert refusal(cluster, RIGHT[case]) is None


@pytest.mark.parametrize("case", WRONG)
def test_the_api_server_rejects_what_the_trainer_rejects(cluster: Cluster, case: str) -> None:
    assert refusal(cluster, WRONG[case][0]) is not None
