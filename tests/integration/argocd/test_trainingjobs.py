"""TrainingJobs from Git in a real Argo CD."""

from collections.abc import Mapping
from typing import Any

import pytest

from cluster.processes import wait_until
from integration.operator.manifests import manifest
from peers.applications import SERVER_SIDE, Application
from support.training_jobs import TrainingJobs

pytestmark = [pytest.mark.needs("controllers"), pytest.mark.usefixtures("operator")]

GRU: Mapping[str, Any] = {"machine": "MOTOBOMBA-007", "model": {"type": "gru"}}
BOTH = pytest.mark.parametrize("options", [(SERVER_SIDE,), ()], ids=["server-side", "client-side"])
SELF_HEAL = {"prune": True, "selfHeal": True}
MARKER = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"after": "the training"}}

SPELLINGS: Mapping[str, Mapping[str, Any]] = {
    "numbers": {"resources": {"requests": {"cpu": 2, "memory": "4Gi"}, "limits": {"memory": "4Gi"}}},
    "units": {"resources": {"requests": {"cpu": "2000m", "memory": "4096Mi"}, "limits": {"memory": "4294967296"}}},
    "fractions": {"resources": {"requests": {"cpu": "0.5", "memory": "4.0Gi"}, "limits": {"memory": "4.5Gi"}}},
    "dates": {"data": {"startDate": "2025-01-01", "endDate": "2025-08-31"}},
    "instants": {"data": {"startDate": "2025-01-01T00:00:00Z", "endDate": "2025-08-31T12:00:00Z"}},
    "empty": {"gates": [], "accelerator": {"nodeSelector": {}, "tolerations": []}, "scheduling": {"nodeSelector": {}}},
    "lists": {
        "model": {"type": "gru", "gru": {"units": [32, 64], "features": ["Recalque", "Oil_P"], "dropout": 0}},
        "gates": [{"metric": "skill", "min": 0}, {"metric": "rmse", "max": 0.05}],
        "scheduling": {"tolerations": [{"operator": "Exists"}, {"key": "a", "operator": "Exists"}]},
    },
}


def commit(application: Application, **objects: Mapping[str, Any]) -> None:
    """Replaces the TrainingJobs in Git by these, with their specs."""
    application.repository.write("objects/trainingjobs.yaml", *(manifest({**GRU, **s}, n) for n, s in objects.items()))
    application.repository.commit()


@BOTH
def test_a_field_taken_out_of_git_is_taken_out_of_the_trainingjob(
    application: Application, jobs: TrainingJobs, options: tuple[str, ...]
) -> None:
    commit(application, pump={"data": {"minRows": 5}, "runPolicy": {"backoffLimit": 1}})
    application.create(*options)
    application.sync()
    assert jobs.get()["spec"]["runPolicy"] == {"backoffLimit": 1}
    commit(application, pump={})
    application.refresh()
    assert application.sync()["phase"] == "Succeeded"
    assert jobs.get()["spec"] == GRU


def jobs_appear(jobs: TrainingJobs) -> None:
    """Waits until Argo CD has created a TrainingJob."""
    wait_until(lambda: bool(jobs.phases()), "Argo CD has created it")
