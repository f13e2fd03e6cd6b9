"""``make demo``: trains models on a Kubernetes on this machine, and shows the progress.

The exit code is 0 only if every TrainingJob and the TrainingFleet have the expected results; with CI=true, only if it
ran on Kubernetes.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.logging import RichHandler

from cluster import background
from cluster.bed import Bed, bed_running
from cluster.clusters import ClusterUnavailableError, existing_cluster
from cluster.existing import existing_bed
from cluster.interruption import end_in_order
from cluster.node import keep_pod_logs
from cluster.object_store import ObjectStore
from cluster.postgres import Database
from cluster.processes import check_servers
from cluster.programs import ProgramError
from demo import next_steps, trainer
from demo.alone import servers_running
from demo.deployment import NAMESPACE, apply, deploy_operator, look, select_namespace
from demo.reports import save_reports, stored_reports
from demo.story import Announcement, condition, ending, expected_of_fleet, own_jobs, report_key, small_fleet
from demo.telemetry import BUCKET, database_of, fill, sample_jobs
from demo.view import metrics_table, watch

PATIENCE_SECONDS = 1800


class Announced(NamedTuple):
    """The expected results of the TrainingJobs, and of the TrainingFleets that follow them."""

    jobs: list[Announcement]
    fleets: list[Announcement]


def main() -> int:
    """Runs the demonstration; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--data", type=Path, help="CSV or CSV.gz with the columns of processed_data")
    parser.add_argument("--machine", help="machine in this file to train a model for")
    parser.add_argument("--models", default="gru,xgb", help="model types, separated by commas")
    parser.add_argument("--keep", action="store_true", help="leave the cluster up")
    arguments = parser.parse_args()
    if bool(arguments.data) != bool(arguments.machine):
        parser.error("set both DATA and MACHINE: MACHINE names the machine of the file to train a model for")
    console = Console(highlight=False)
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    jobs = own_jobs(arguments.machine, arguments.models.split(",")) if arguments.data else sample_jobs()
    end_in_order()
    if os.environ.get("USE_EXISTING_CLUSTER") == "true":
        console.rule("The Kubernetes that KUBECONFIG names")
        return _on_cluster(console, existing_bed(existing_cluster(os.environ), os.environ), jobs, arguments.data)
    console.rule("A Kubernetes on this machine")
    if arguments.keep:
        return _on_cluster_that_stays(console, jobs, arguments.data)
    try:
        with bed_running() as bed, _pod_logs_kept(console):
            return _on_cluster(console, bed, jobs, arguments.data)
    except ClusterUnavailableError as missing:
        console.print(f"No Kubernetes on this machine: {missing}", markup=False, soft_wrap=True)
        # In CI the demonstration must not pass without Kubernetes.
        return 1 if os.environ.get("CI") == "true" else _alone(console, jobs, arguments.data)


def _alone(console: Console, jobs: Sequence[Mapping[str, Any]], data: Path | None) -> int:
    console.rule("The trainer alone, on local PostgreSQL and S3")
    with servers_running() as (postgres, store):
        database = database_of(postgres)
        announced = _announce(console, database, store, jobs, data)
        environment = database.environment() | store.environment()
        as_announced: dict[str, bool] = {}
        reports: dict[str, str] = {}
        for each in (*announced.jobs, *announced.fleets):
            before = stored_reports(store)
            as_announced[each.name] = trainer.ends_alone(environment, each)
            for key in stored_reports(store) - before:
                reports[each.name] = key
        _save_reports(console, store, reports)
        console.rule("Results as expected?")
        for name, came in as_announced.items():
            console.print(f"{'yes' if came else 'NO '}  {name}")
        return 0 if all(as_announced.values()) else 1


def _on_cluster_that_stays(console: Console, jobs: Sequence[Mapping[str, Any]], data: Path | None) -> int:
    was_running = background.running() is not None
    bed = background.up(lambda line: console.print(line, markup=False, soft_wrap=True))
    with _pod_logs_kept(console):
        code = _on_cluster(console, bed, jobs, data, restart=was_running)
    select_namespace(bed.cluster)
    console.rule("The cluster stays up")
    commands = next_steps.after_training(jobs[0]["metadata"]["name"])
    text = "\n".join([*next_steps.exports(bed.cluster), next_steps.told(commands)])
    console.print(text, markup=False, soft_wrap=True)
    return code


@contextmanager
def _pod_logs_kept(console: Console) -> Iterator[None]:
    """Keeps the logs of the containers on the local node, and prints their folder."""
    try:
        yield
    finally:
        console.print(f"The logs of the containers are in {keep_pod_logs()}", soft_wrap=True)


def _announce(
    console: Console, database: Database, store: ObjectStore, jobs: Sequence[Mapping[str, Any]], data: Path | None
) -> Announced:
    """Fills the database and prints the expected result of each object; with data of a user, there is no fleet."""
    console.rule("Telemetry")
    fill(database, store, jobs, data, with_fleet=data is None)
    announced = Announced(
        [trainer.announced(database.environment() | store.environment(), job) for job in jobs],
        [] if data else [expected_of_fleet(small_fleet())],
    )
    for each in (*announced.jobs, *announced.fleets):
        console.print(f"Expected result of {each.name}: {each.ending}. {each.because}")
    return announced


def _on_cluster(
    console: Console, bed: Bed, jobs: Sequence[Mapping[str, Any]], data: Path | None, *, restart: bool = False
) -> int:
    database, store = database_of(bed.postgres_server), bed.object_store
    announced = _announce(console, database, store, jobs, data)
    console.rule("The operator, as a pod")
    deploy_operator(bed.cluster, database, store, restart=restart)
    ended = dict(_trained(console, bed, "trainingjobs", announced.jobs))
    ended |= _trained(console, bed, "trainingfleets", announced.fleets)
    console.rule("Registered models and stored files")
    _show_registry(console, database)
    for entry in store.client().list_objects(BUCKET, recursive=True):
        console.print(f"s3://{BUCKET}/{entry.object_name}  {entry.size} bytes", soft_wrap=True)
    reports = {name: report_key(job) for name, job in ended.items()}
    _save_reports(console, store, {name: key for name, key in reports.items() if key})
    code = _verdict(console, (*announced.jobs, *announced.fleets), ended)
    if code:
        console.print(bed.cluster.run_kubectl("describe", "tj,tfl", f"--namespace={NAMESPACE}"), markup=False)
    return code


def _trained(
    console: Console, bed: Bed, plural: str, announcements: Sequence[Announcement]
) -> Mapping[str, Mapping[str, Any]]:
    """Applies objects of one kind and shows them until they have ended; returns them by name."""
    if not announcements:
        return {}
    console.rule(f"kubectl apply: {plural}")
    apply(bed.cluster, [each.job for each in announcements])
    client = bed.cluster.client()
    names = {each.name for each in announcements}

    def present() -> Sequence[Mapping[str, Any]]:
        check_servers()
        return [job for job in look(client, plural=plural) if job["metadata"]["name"] in names]

    ended = watch(console, present, patience_seconds=PATIENCE_SECONDS)
    return {job["metadata"]["name"]: job for job in ended}


def _save_reports(console: Console, store: ObjectStore, keys: Mapping[str, str]) -> None:
    for file in save_reports(store, keys):
        console.print(f"Report to open in a browser: {file}", soft_wrap=True)


def _show_registry(console: Console, database: Database) -> None:
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT machine_name, model_type, metrics, bucket_address FROM models ORDER BY bucket_address")
        rows = cursor.fetchall()
    console.print(metrics_table((machine, model, _parsed(metrics)) for machine, model, metrics, _ in rows))
    for machine, model, _, address in rows:
        console.print(f"models: {machine} {model} {address}", soft_wrap=True)


def _parsed(metrics: Any) -> Mapping[str, Any]:
    parsed: Mapping[str, Any] = json.loads(metrics) if isinstance(metrics, str) else metrics
    return parsed


def _verdict(console: Console, announcements: Sequence[Announcement], ended: Mapping[str, Mapping[str, Any]]) -> int:
    """Compares the results with the expected results; returns the exit code."""
    console.rule("Results as expected?")
    failed = 0
    for announcement in announcements:
        job = ended[announcement.name]
        as_announced = announcement.is_met_by(job)
        failed += not as_announced
        message = condition(job, "Succeeded").get("message", "")
        console.print(
            f"{'yes' if as_announced else 'NO '}  {announcement.name}: expected {announcement.ending}, "
            f"is {ending(job)}: {message}",
            soft_wrap=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (ClusterUnavailableError, ProgramError) as failure:
        sys.exit(f"error: {failure}")
