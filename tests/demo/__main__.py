"""``make demo``: trains models on a Kubernetes of this machine, in front of your eyes.

The exit code is 0 only if every TrainingJob ended as announced; with CI=true, only if it did so on a Kubernetes.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.logging import RichHandler

from cluster.bed import Bed, bed_running
from cluster.clusters import ClusterUnavailableError
from cluster.interruption import end_in_order
from cluster.node import keep_pod_logs
from cluster.postgres import Database
from cluster.processes import check_servers
from cluster.programs import ProgramError
from demo import trainer
from demo.alone import servers_running
from demo.deployment import NAMESPACE, apply, deploy_operator, look
from demo.story import Announcement, condition, ending, own_jobs
from demo.view import metrics_table, watch

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
SHOWN_SAMPLES = ("gru.yaml", "xgb.yaml")
SIMULATED_ROWS = 20_000
BUCKET = "models"
PATIENCE_SECONDS = 1800


def main() -> int:
    """Runs the demonstration; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--data", type=Path, help="CSV or CSV.gz with the columns of processed_data")
    parser.add_argument("--machine", help="machine in it to train on")
    parser.add_argument("--models", default="gru,xgb", help="which models, by comma")
    arguments = parser.parse_args()
    if bool(arguments.data) != bool(arguments.machine):
        parser.error("DATA and MACHINE go together: which machine of the file shall be trained?")
    console = Console(highlight=False)
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    # As strings, because a date that YAML recognises is no string for the API server.
    jobs = (
        own_jobs(arguments.machine, arguments.models.split(","))
        if arguments.data
        else [yaml.safe_load((SAMPLES / name).read_text()) for name in SHOWN_SAMPLES]
    )
    end_in_order()
    try:
        console.rule("A Kubernetes on this machine")
        with bed_running() as bed:
            return _on_cluster(console, bed, jobs, arguments.data)
    except ClusterUnavailableError as missing:
        console.print(f"No Kubernetes on this machine: {missing}", markup=False, soft_wrap=True)
        # A green run must not mean that half of it was left out.
        return 1 if os.environ.get("CI") == "true" else _alone(console, jobs, arguments.data)


def _alone(console: Console, jobs: Sequence[Mapping[str, Any]], data: Path | None) -> int:
    console.rule("The trainer alone, on local PostgreSQL and S3")
    with servers_running() as environment:
        announcements = _announce(console, environment, jobs, data)
        as_announced = {each.name: trainer.ends_alone(environment, each) for each in announcements}
        console.rule("As announced?")
        for name, came in as_announced.items():
            console.print(f"{'yes' if came else 'NO '}  {name}")
        return 0 if all(as_announced.values()) else 1


def _announce(
    console: Console, environment: Mapping[str, str], jobs: Sequence[Mapping[str, Any]], data: Path | None
) -> list[Announcement]:
    """Fills the database and says how each TrainingJob is going to end."""
    console.rule("Telemetry")
    trainer.run(environment, "init-db", "--bucket", BUCKET)
    if data:
        trainer.run(environment, "import", str(data))
    else:
        for machine in sorted({job["spec"]["machine"] for job in jobs}):
            trainer.run(environment, "simulate", "--machine", machine, "--rows", str(SIMULATED_ROWS))
    announcements = [trainer.announced(environment, job) for job in jobs]
    for announcement in announcements:
        console.print(f"Announced for {announcement.name}: {announcement.ending}, because {announcement.because}")
    return announcements


def _on_cluster(console: Console, bed: Bed, jobs: Sequence[Mapping[str, Any]], data: Path | None) -> int:
    database = bed.postgres_server.create_database("pumps")
    environment = database.environment() | bed.object_store.environment()
    announcements = _announce(console, environment, jobs, data)
    console.rule("The operator, as a pod")
    try:
        deploy_operator(bed.cluster, database, bed.object_store)
    except ProgramError:
        console.print(f"What the containers said is kept in {keep_pod_logs()}", soft_wrap=True)
        raise
    console.rule("kubectl apply")
    apply(bed.cluster, jobs)
    client = bed.cluster.client()

    def present() -> Sequence[Mapping[str, Any]]:
        check_servers()
        return look(client)

    ended = watch(console, present, patience_seconds=PATIENCE_SECONDS)
    console.rule("Left behind")
    _show_registry(console, database)
    for entry in bed.object_store.client().list_objects(BUCKET, recursive=True):
        console.print(f"s3://{BUCKET}/{entry.object_name}  {entry.size} bytes", soft_wrap=True)
    code = _verdict(console, announcements, {job["metadata"]["name"]: job for job in ended})
    if code:
        console.print(bed.cluster.run_kubectl("describe", "tj", f"--namespace={NAMESPACE}"), markup=False)
        console.print(f"What the containers said is kept in {keep_pod_logs()}", soft_wrap=True)
    return code


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
    """Compares what was announced with what came; returns the exit code."""
    console.rule("As announced?")
    failed = 0
    for announcement in announcements:
        job = ended[announcement.name]
        as_announced = ending(job) == announcement.ending
        failed += not as_announced
        message = condition(job, "Succeeded").get("message", "")
        console.print(
            f"{'yes' if as_announced else 'NO '}  {announcement.name}: announced {announcement.ending}, "
            f"came {ending(job)}: {message}",
            soft_wrap=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except ProgramError as failure:
        sys.exit(f"error: {failure}")
