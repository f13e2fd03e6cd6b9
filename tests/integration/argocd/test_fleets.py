"""TrainingFleets from Git in a real Argo CD."""

import pytest

from integration.operator.manifests import manifest
from peers.applications import SERVER_SIDE, Application
from support.training_fleets import TrainingFleets
from trainingjob_api.names import FLEET_KIND

pytestmark = [pytest.mark.needs("controllers"), pytest.mark.usefixtures("operator")]


def test_a_fleet_has_health_and_actions(application: Application, fleets: TrainingFleets) -> None:
    application.repository.write("objects/fleet.yaml", manifest(fleets.example, "pump", FLEET_KIND))
    application.repository.commit()
    application.create(SERVER_SIDE, automated={"prune": True, "selfHeal": True})
    pods = fleets.workers()
    application.refresh()
    application.wait_node(FLEET_KIND, "pump", "Progressing", "Training: The workers train the machines")
    fleets.end(pods[0], reason="Completed", summary="300 of 300, median skill 0.27")
    application.wait_node(FLEET_KIND, "pump", "Healthy", "Completed: 300 of 300")
    application.act("retrain", "pump", FLEET_KIND)
    fleets.end(fleets.workers(run=2)[0], 11, run=2, reason="DataUnavailable", message="no such table")
    application.wait_node(FLEET_KIND, "pump", "Degraded", "DataUnavailable: no such table")
