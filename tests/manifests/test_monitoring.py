"""The monitoring component: alerts that fire when they must, and names that exist."""

import os
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.binaries import Binaries
from cluster.clusters import Cluster
from cluster.programs import ProgramError, run_program
from support.monitoring import COMPONENT, alerts, dashboard, metric_names, named_metrics, queries, rules

ROOT = Path(__file__).parents[2]
DAY = 86400
OPERATOR = "trainingjob_operator"
OBJECT = 'kind="TrainingJob", namespace="a", name="pump", model="gru"'
HOURLY = {"old model"}
"""The cases that count in hours instead of minutes."""
LEADER = ['trainingjob_operator_leader{pod="x"}', "1x3000"]


# Alert, series with a value for each minute, minute at which it fires, one at which it does not, and its labels.
CASES: dict[str, tuple[str, list[list[str]], int, int, dict[str, str]]] = {
    "operator gone": ("TrainingJobOperatorDown", [["trainingjob_operator_leader", "1 1 stale"]], 8, 6, {}),
    "nobody leads": ("TrainingJobOperatorDown", [["trainingjob_operator_leader", "0x20"]], 6, 4, {}),
    "watch dead": (
        "TrainingJobOperatorWatchDead",
        [LEADER, ['trainingjob_operator_watch_failed{pod="x"}', "0 0 1x30"]],
        13,
        11,
        {"pod": "x"},
    ),
    "no resync": (
        "TrainingJobOperatorResyncOverdue",
        [LEADER, ['trainingjob_operator_last_resync_timestamp_seconds{pod="x"}', "0x60"]],
        37,
        34,
        {"pod": "x"},
    ),
    "errors": (
        "TrainingJobOperatorReconcileErrors",
        [LEADER, ['trainingjob_operator_reconciliations_total{result="error"}', "0+1x60"]],
        20,
        3,
        {"result": "error"},
    ),
    "missing right": (
        "TrainingJobOperatorMissingRights",
        [LEADER, ['trainingjob_operator_missing_rights{namespace="a", verb="list", resource="pods"}', "1x60"]],
        11,
        9,
        {"namespace": "a", "verb": "list", "resource": "pods"},
    ),
    "run failed": (
        "TrainingRunFailed",
        [
            [
                f'trainingjob_operator_trainingjobs{{namespace="a", model="gru", phase="Failed", reason="{reason}"}}',
                values,
            ]
            for reason, values in (("Diverged", "_ _ 1x9"),)
        ],
        2,
        1,
        {"namespace": "a", "model": "gru", "reason": "Diverged"},
    ),
    "trainer hangs": (
        "TrainingRunStalled",
        [[f"trainingjob_last_advance_timestamp_seconds{{{OBJECT}}}", "0+60x5 300x60"]],
        21,
        19,
        {"kind": "TrainingJob", "namespace": "a", "name": "pump"},
    ),
    "trainer not scraped": (
        "TrainingRunStalled",
        [[f'trainingjob_operator_last_change_timestamp_seconds{{{OBJECT}, phase="Running"}}', "0x300"]],
        241,
        239,
        {"kind": "TrainingJob", "namespace": "a", "name": "pump"},
    ),
    "pending": (
        "TrainingRunNotStarted",
        [
            [
                f'{OPERATOR}_last_change_timestamp_seconds{{{OBJECT}, phase="Pending", reason="Unschedulable"}}',
                "0x90",
            ]
        ],
        61,
        59,
        {"kind": "TrainingJob", "namespace": "a", "name": "pump", "reason": "Unschedulable"},
    ),
    "fleet failed": (
        "TrainingFleetDegraded",
        [
            [
                f'{OPERATOR}_trainingfleets{{namespace="a", model="gru", phase="Failed", reason="TooManyFailed"}}',
                "_ 1",
            ]
        ],
        1,
        0,
        {"namespace": "a", "model": "gru", "reason": "TooManyFailed"},
    ),
    "machines failed": (
        "TrainingFleetDegraded",
        [
            ['trainingjob_operator_fleet_machines{namespace="a", name="f", model="gru", state="selected"}', "20x9"],
            ['trainingjob_operator_fleet_machines{namespace="a", name="f", model="gru", state="failed"}', "2 3"],
        ],
        1,
        0,
        {"namespace": "a", "name": "f", "model": "gru"},
    ),
    "old model": (
        "TrainingModelOutdated",
        [[f"trainingjob_operator_last_success_timestamp_seconds{{{OBJECT}}}", f"{DAY}x800"]],
        31 * 24 + 1,
        31 * 24 - 1,
        {"kind": "TrainingJob", "namespace": "a", "name": "pump", "model": "gru"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_alert_fires_for_its_fault_and_not_before(prometheus: Binaries, tmp_path: Path, case: str) -> None:
    alert, series, fires, quiet, labels = CASES[case]
    severity = next(rule["labels"]["severity"] for rule in alerts() if rule["alert"] == alert)
    shown = {"__name__": "ALERTS", "alertname": alert, "alertstate": "firing", "severity": severity, **labels}
    sample = {"labels": "{" + ", ".join(f'{name}="{value}"' for name, value in shown.items()) + "}", "value": 1}
    query = f'ALERTS{{alertstate="firing", alertname="{alert}"}}'
    unit = "h" if case in HOURLY else "m"
    test = {
        "interval": f"1{unit}",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "promql_expr_test": [
            {"expr": query, "eval_time": f"{quiet}{unit}", "exp_samples": []},
            {"expr": query, "eval_time": f"{fires}{unit}", "exp_samples": [sample]},
        ],
    }
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    (tmp_path / "test.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": f"1{unit}", "tests": [test]})
    )
    run_program([prometheus["promtool"], "test", "rules", "test.yaml"], folder=tmp_path)


def test_every_alert_has_a_case() -> None:
    assert {alert for alert, *_ in CASES.values()} == {rule["alert"] for rule in alerts()}


def test_every_rule_and_every_query_of_the_dashboard_is_valid(prometheus: Binaries, tmp_path: Path) -> None:
    recorded = [{"record": f"query:{n}", "expr": query} for n, (_, query) in enumerate(queries())]
    for name, content in (("rules", rules()), ("queries", {"groups": [{"name": "dashboard", "rules": recorded}]})):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    run_program([prometheus["promtool"], "check", "rules", "rules.yaml", "queries.yaml"], folder=tmp_path)


def test_promtool_refuses_a_wrong_rule(prometheus: Binaries, tmp_path: Path) -> None:
    wrong = {"groups": [{"name": "wrong", "rules": [{"record": "a", "expr": "sum by ("}]}]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(wrong))
    with pytest.raises(ProgramError):
        run_program([prometheus["promtool"], "check", "rules", "rules.yaml"], folder=tmp_path)


@pytest.mark.parametrize("file", ["alerts.yaml", "dashboard.json"])
def test_every_metric_that_is_named_exists_in_the_code(file: str) -> None:
    named = named_metrics((COMPONENT / file).read_text())
    assert named
    assert named - metric_names() == set()


def test_every_alert_has_a_runbook_in_the_navigation() -> None:
    pages = {
        title: page
        for part in yaml.load((ROOT / "mkdocs.yml").read_text(), Loader=yaml.BaseLoader)["nav"]
        for entry in part.get("Runbooks", ())
        for title, page in entry.items()
    }
    linked = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in alerts()}
    assert set(pages) == set(linked)
    for alert, url in linked.items():
        assert url.endswith(f"/{pages[alert].removesuffix('.md')}.html")
        assert (ROOT / "docs" / pages[alert]).read_text().startswith(f"# {alert}\n")
    assert {f"runbooks/{page.name}" for page in (ROOT / "docs/runbooks").iterdir()} == set(pages.values())


def test_the_panels_of_the_dashboard_have_own_numbers_and_do_not_overlap() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [_cells(panel["gridPos"]) for panel in panels]
    assert all(max(x for x, _ in each) < 24 for each in cells)
    assert not any(one & other for one, other in combinations(cells, 2))
    variables = {variable["name"] for variable in dashboard()["templating"]["list"]}
    assert variables == {"datasource", "namespace"}
    shown = [panel for panel in panels if panel["type"] != "row"]
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in shown)
    assert all(panel["targets"] and panel["description"] for panel in shown)


def _cells(position: dict[str, int]) -> set[tuple[int, int]]:
    x, y, width, height = (position[name] for name in ("x", "y", "w", "h"))
    return {(column, line) for column in range(x, x + width) for line in range(y, y + height)}


def test_the_component_adds_what_prometheus_and_grafana_look_for(cluster: Cluster, tmp_path: Path) -> None:
    parts = {"resources": [ROOT / "manifests/base"], "components": [COMPONENT]}
    relative = {kind: [os.path.relpath(path, tmp_path) for path in paths] for kind, paths in parts.items()}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(relative))
    documents = list(yaml.safe_load_all(cluster.run_kubectl("kustomize", str(tmp_path))))
    found = {kind: _of(documents, kind) for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")}
    assert all(len(each) == 1 for each in found.values())
    assert {each["metadata"]["namespace"] for (each,) in found.values()} == {"trainingjob-system"}
    (monitor,) = found["ServiceMonitor"]
    (service,) = _of(documents, "Service")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {end["port"] for end in monitor["spec"]["endpoints"]} == {port["name"] for port in service["spec"]["ports"]}
    (shown,) = [each for each in _of(documents, "ConfigMap") if "grafana_dashboard" in each["metadata"]["labels"]]
    assert list(shown["data"]) == ["dashboard.json"]


def _of(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [document for document in documents if document["kind"] == kind]
