"""A real Prometheus scrapes a real operator and a real trainer; alerts and dashboard work on what it has."""

import json
import socket
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.binaries import Binaries
from cluster.processes import Server, free_ports, start_server, wait_until
from cluster.programs import run_program
from support.monitoring import queries, rules
from support.operator_process import Operator
from support.training_fleets import TrainingFleets
from support.training_jobs import TrainingJobs
from trainingjob_api.servers import DATABASE_VARIABLES, STORE_VARIABLES

pytestmark = pytest.mark.needs("controllers")


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int, server: Server) -> None:
        """Listens on this port."""
        self._port, self.server = port, server

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The samples of a query."""
        found: list[dict[str, Any]] = self._get(f"query?{urllib.parse.urlencode({'query': promql})}")["result"]
        return found

    def alert(self, name: str) -> list[tuple[str, dict[str, str]]]:
        """State and labels of each alert of that name."""
        alerts = self._get("alerts")["alerts"]
        return [(each["state"], each["labels"]) for each in alerts if each["labels"]["alertname"] == name]

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/{path}", timeout=5) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
            return data


@pytest.fixture
def scrape(prometheus: Binaries, tmp_path: Path) -> Iterator[Callable[[list[dict[str, Any]]], Prometheus]]:
    """Starts Prometheus with the alerts and these scrape configurations."""
    started: list[Server] = []

    def start(configurations: list[dict[str, Any]]) -> Prometheus:
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
        intervals = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config = {"global": intervals, "rule_files": ["rules.yaml"], "scrape_configs": configurations}
        (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
        (port,) = free_ports(1)
        options = {
            "config.file": tmp_path / "prometheus.yaml",
            "storage.tsdb.path": tmp_path / "series",
            "web.listen-address": f"127.0.0.1:{port}",
        }
        command = [prometheus["prometheus"], *(f"--{name}={value}" for name, value in options.items())]
        started.append(start_server(command, tmp_path / "prometheus.log"))
        return Prometheus(port, started[0])

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[Callable[[Any], tuple[Server, str]]]:
    """Starts the trainer of a pod, whose servers accept connections and never answer; returns it and its address."""
    started: list[Server] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, silent_port = silent.getsockname()
        secrets = {"host": host, "port": str(silent_port), "endpoint": f"{host}:{silent_port}", "secure": "false"}
        servers = {
            variable: secrets.get(key, "unused")
            for variables in (DATABASE_VARIABLES, STORE_VARIABLES)
            for variable, (key, optional) in variables.items()
            if not optional or key in secrets
        }

        def start(pod: Any) -> tuple[Server, str]:
            run = next(each.value for each in pod.spec.containers[0].env if each.name == "TRAINING_JOB")
            (port,) = free_ports(1)
            command = ["run", f"--metrics-port={port}", f"--termination-log={tmp_path / 'termination-log'}"]
            started.append(
                start_server(
                    [sys.executable, "-m", "trainingjob_trainer", *command],
                    tmp_path / "trainer.log",
                    environment={**servers, "TRAINING_JOB": run},
                )
            )
            return started[-1], f"127.0.0.1:{port}"

        yield start
        for server in started:
            server.stop()


def test_the_alerts_and_the_dashboard_work_on_the_metrics_of_operator_and_trainer(
    operator: Operator,
    jobs: TrainingJobs,
    fleets: TrainingFleets,
    trainer: Callable[[Any], tuple[Server, str]],
    scrape: Callable[[list[dict[str, Any]]], Prometheus],
    prometheus: Binaries,
) -> None:
    process = operator.start()
    jobs.apply("bad")
    jobs.node.finish(failing := jobs.running("bad"), 17, jobs.report(failing, "Failed", reason="Diverged"))
    jobs.wait_phase("Failed", name="bad")
    jobs.apply("on-gpu", accelerator={"policy": "Required"})
    jobs.running("on-gpu")
    jobs.apply("busy")
    trainer_process, address = trainer(jobs.running("busy"))
    fleets.apply()
    fleets.end(fleets.workers()[0], reason="Completed", machines={"selected": 3, "registered": 2, "failed": 1})

    labels = {"namespace": jobs.namespace, "kind": "TrainingJob", "name": "busy", "model": "gru"}
    server = scrape(
        [
            {
                "job_name": "operator",
                "honor_labels": True,
                "static_configs": [{"targets": [operator.address(process)], "labels": {"pod": "operator-0"}}],
            },
            {"job_name": "trainer", "static_configs": [{"targets": [address], "labels": labels}]},
        ]
    )
    failed = {"namespace": jobs.namespace, "model": "gru", "reason": "Diverged", "severity": "warning"}
    wait_until(
        lambda: server.alert("TrainingRunFailed") == [("firing", {"alertname": "TrainingRunFailed", **failed})],
        "the failed run fires an alert",
        [server.server, process],
    )
    assert [labels["name"] for _, labels in server.alert("TrainingFleetDegraded")] == ["pump"]
    wait_until(lambda: server.alert("TrainingJobOperatorDown") == [], "the operator is seen", [server.server, process])
    missing: list[str] = []

    def all_panels_show_something() -> bool:
        missing[:] = [panel for panel, query in queries() if not server.query(query)]
        return not missing

    try:
        wait_until(all_panels_show_something, "each panel shows something", [server.server, process, trainer_process])
    except Exception as error:
        raise AssertionError(f"these panels show nothing: {missing}") from error
    for scraped in (operator.address(process), address):
        with urllib.request.urlopen(f"http://{scraped}/metrics", timeout=5) as answer:
            said = run_program([prometheus["promtool"], "check", "metrics"], stdin=answer.read().decode())
        assert said == ""

    operator.kill(process)
    wait_until(
        lambda: [state for state, _ in server.alert("TrainingJobOperatorDown")] == ["pending"],
        "the absent operator is noticed",
        [server.server],
    )
