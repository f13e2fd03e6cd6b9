"""Watches that are rejected, silent or broken: the operator reports it, and recovers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes.client import ApiException, VersionApi
from kubernetes.config import new_client_from_config

from cluster.clusters import Cluster
from cluster.processes import wait_until
from support.api_proxy import ApiProxy, Mode, api_proxy
from support.operator_process import SYSTEM_NAMESPACE, Operator, operator_behind
from support.training_jobs import TrainingJobs

pytestmark = pytest.mark.needs("controllers")
PROBES = ("/healthz", "/readyz")


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[ApiProxy]:
    """A proxy that the operator uses as its API server."""
    with api_proxy(cluster) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: ApiProxy, operator_kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """The operator of the test's namespace, which reaches the API server through the proxy."""
    with operator_behind(proxy, operator_kubeconfig, namespace, tmp_path) as processes:
        yield processes


def watched(namespace: str) -> list[str]:
    return [
        f"/apis/training.pumphealth.io/v1alpha1/namespaces/{namespace}/trainingjobs",
        f"/apis/batch/v1/namespaces/{namespace}/jobs",
        f"/api/v1/namespaces/{namespace}/pods",
    ]


def test_the_watches_report_changes_without_a_restart(operator: Operator, jobs: TrainingJobs) -> None:
    process = operator.start()
    jobs.apply()
    jobs.succeed(jobs.running())
    for resource in ("trainingjobs", "jobs", "pods"):
        changes = {"name": "trainingjob_operator_changes_total", "resource": resource}
        assert operator.metric(process, source="watch", **changes) > 0
        assert operator.metric(process, source="resync", **changes) == 0
    assert operator.metric(process, "trainingjob_operator_watch_restarts_total") == 0


def test_after_a_restart_the_resync_alone_finds_what_stands(operator: Operator, jobs: TrainingJobs) -> None:
    process = operator.start()
    jobs.apply(runPolicy={"suspend": True})
    jobs.wait_phase("Suspended")
    operator.kill(process)
    process = operator.start()
    wait_until(
        lambda: operator.metric(process, "trainingjob_operator_reconciliations_total") > 0,
        "it is reconciled",
        [process],
    )
    changes = {"name": "trainingjob_operator_changes_total", "resource": "trainingjobs"}
    assert operator.metric(process, source="resync", **changes) == 1
    assert operator.metric(process, source="watch", **changes) == 0


def test_the_watches_continue_after_all_were_rejected_for_a_while(
    proxy: ApiProxy, behind: Operator, jobs: TrainingJobs
) -> None:
    process = behind.start()
    proxy.set_mode(Mode.REFUSE)
    wait_until(
        lambda: all(proxy.met[path] >= 4 for path in watched(jobs.namespace)), "every watch is refused again and again"
    )
    proxy.set_mode(Mode.RELAY)
    jobs.apply()
    jobs.running()
    assert behind.metric(process, "trainingjob_operator_changes_total", resource="pods", source="watch") > 0
    assert behind.metric(process, "trainingjob_operator_watch_restarts_total") == 0
    assert behind.probe(process, "/readyz") == (200, "ok")


def test_silent_watches_fail_both_probes_until_they_are_active_again(
    proxy: ApiProxy, behind: Operator, jobs: TrainingJobs
) -> None:
    process = behind.start()
    assert [behind.probe(process, path)[0] for path in PROBES] == [200, 200]
    proxy.set_mode(Mode.BE_SILENT)

    def all_watches_are_named() -> bool:
        answers = [behind.probe(process, path) for path in PROBES]
        return all(code == 500 and path in text for code, text in answers for path in watched(jobs.namespace))

    # The last data of the watches are up to one request's length apart, so that the probes name them one by one.
    wait_until(all_watches_are_named, "both probes fail for every watch", [process], patience_seconds=120)
    proxy.set_mode(Mode.RELAY)
    wait_until(lambda: behind.probe(process, "/readyz") == (200, "ok"), "both probes pass", [process])
    jobs.apply()
    jobs.running()


def test_watches_that_end_repeatedly_fail_both_probes(proxy: ApiProxy, behind: Operator, jobs: TrainingJobs) -> None:
    process = behind.start()
    proxy.set_mode(Mode.BREAK_WATCHES)
    wait_until(
        lambda: [behind.probe(process, path)[0] for path in PROBES] == [500, 500],
        "both probes fail",
        [process],
        patience_seconds=120,
    )
    assert "in a row" in behind.probe(process, "/healthz")[1]
    assert behind.metric(process, "trainingjob_operator_watch_restarts_total") > 0


def test_a_revoked_token_is_read_again_at_once(
    cluster: Cluster, operator_kubeconfig: Path, namespace: str, tmp_path: Path, jobs: TrainingJobs
) -> None:
    kubeconfig = tmp_path / "bound.kubeconfig"

    def write_new_token(secret: str) -> None:
        cluster.run_kubectl("create", "secret", "generic", secret, f"--namespace={SYSTEM_NAMESPACE}")
        bound = ("--bound-object-kind=Secret", f"--bound-object-name={secret}")
        account = ("trainingjob-operator", f"--namespace={SYSTEM_NAMESPACE}")
        config = yaml.safe_load(operator_kubeconfig.read_text())
        config["users"][0]["user"] = {"token": cluster.run_kubectl("create", "token", *account, *bound).strip()}
        new = tmp_path / "new.kubeconfig"
        new.write_text(yaml.safe_dump(config))
        new.rename(kubeconfig)

    write_new_token(f"{namespace}-first")
    operator = Operator(kubeconfig, namespace, tmp_path)
    process = operator.start()
    with_old_token = VersionApi(new_client_from_config(str(kubeconfig)))
    write_new_token(f"{namespace}-second")
    cluster.run_kubectl("delete", "secret", f"{namespace}-first", f"--namespace={SYSTEM_NAMESPACE}")

    def is_revoked() -> bool:
        try:
            with_old_token.get_code()
        except ApiException as error:
            return error.status == 401
        return False

    wait_until(is_revoked, "the API server refuses the old token")
    jobs.apply()
    jobs.succeed(jobs.running())
    assert operator.metric(process, "trainingjob_operator_api_requests_total", code="401") > 0
    assert operator.metric(process, "trainingjob_operator_watch_restarts_total") == 0
    operator.stop()
    cluster.run_kubectl("delete", "secret", f"{namespace}-second", f"--namespace={SYSTEM_NAMESPACE}")
