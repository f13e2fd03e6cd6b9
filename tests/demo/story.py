"""The TrainingJobs and the TrainingFleet of the demonstration, and their expected results. No I/O."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

API_VERSION = "training.pumphealth.io/v1alpha1"
SUCCEEDED = "Succeeded"
RENTED = tuple(f"RENTAL-{number}" for number in range(1, 7))
WITHOUT_DATA = RENTED[-1]


@dataclass(frozen=True)
class Announcement:
    """The expected result of a TrainingJob or TrainingFleet.

    Attributes:
        job: The TrainingJob or TrainingFleet.
        ending: ``Succeeded``, or the reason why it is refused.
        because: Why this result is expected, in a sentence.
        failing: The machines of a fleet that fail.
    """

    job: Mapping[str, Any]
    ending: str
    because: str
    failing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.job["metadata"]["name"])

    def is_met_by(self, job: Mapping[str, Any]) -> bool:
        """Whether the object, as the API server has it, ended as expected."""
        failures: Iterable[Mapping[str, Any]] = job.get("status", {}).get("failures") or ()
        machines = tuple(sorted(each["machine"] for each in failures)) if is_fleet(job) else ()
        return ending(job) == self.ending and machines == self.failing


def own_jobs(machine: str, models: Sequence[str]) -> list[dict[str, Any]]:
    """TrainingJobs over all the data of one machine, without assumptions about its sensors.

    A missing indicator counts as neutral, so that a model can be trained for a pump with few sensors.
    """
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "TrainingJob",
            "metadata": {"name": f"own-data-{model}"},
            "spec": {
                "machine": machine,
                "model": {"type": model} | ({"gru": {"missingIndicators": "Neutral"}} if model == "gru" else {}),
            },
        }
        for model in models
    ]


def small_fleet() -> dict[str, Any]:
    """A TrainingFleet of six machines, of which one has no telemetry, with a short training."""
    return {
        "apiVersion": API_VERSION,
        "kind": "TrainingFleet",
        "metadata": {"name": "rental-health"},
        "spec": {
            "machines": {"names": list(RENTED)},
            "template": {"model": {"type": "gru", "gru": {"epochs": 5}}},
            "workers": 2,
            "maxFailedPercent": 20,
        },
    }


def expected_of_fleet(fleet: Mapping[str, Any]) -> Announcement:
    """The expected result of the small fleet."""
    because = f"{WITHOUT_DATA} has no telemetry and fails; the other machines get their models."
    return Announcement(fleet, SUCCEEDED, because, failing=(WITHOUT_DATA,))


def is_fleet(job: Mapping[str, Any]) -> bool:
    """Whether the object is a TrainingFleet."""
    return bool(job["kind"] == "TrainingFleet")


def is_over(job: Mapping[str, Any]) -> bool:
    """Whether an object, as the API server has it, has ended."""
    return condition(job, "Succeeded").get("status") in ("True", "False")


def ending(job: Mapping[str, Any]) -> str:
    """``Succeeded`` or the reason why it failed."""
    succeeded = condition(job, "Succeeded")
    return SUCCEEDED if succeeded.get("status") == "True" else str(succeeded.get("reason"))


def condition(job: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """One condition of an object; empty where it is not set."""
    found: Iterable[Mapping[str, Any]] = job.get("status", {}).get("conditions", [])
    return next((each for each in found if each["type"] == kind), {})


def report_key(job: Mapping[str, Any]) -> str | None:
    """The key of the report in its bucket; None where the status names no report."""
    artifacts: Iterable[Mapping[str, Any]] = job.get("status", {}).get("artifacts", [])
    uri = next((str(each["uri"]) for each in artifacts if each["name"] == "report"), None)
    return uri and uri.removeprefix("s3://").partition("/")[2]


def columns(job: Mapping[str, Any]) -> tuple[str, ...]:
    """Name, machine or machines, model, phase, progress, result and reason, as ``kubectl get -o wide`` shows them."""
    status = job.get("status", {})
    spec = job["spec"].get("template", job["spec"])
    progress = status.get("progress", {})
    share = f"{progress['percentage']}%" if "percentage" in progress else ""
    epochs = f" epoch {progress['epoch']}/{progress['epochs']}" if progress.get("epochs") else ""
    return (
        job["metadata"]["name"],
        spec["machine"] if "machine" in spec else status.get("machines", {}).get("display", ""),
        spec["model"]["type"],
        status.get("phase", ""),
        f"{share} {progress.get('stage', '')}{epochs}".strip(),
        status.get("summary", ""),
        str(condition(job, "Succeeded").get("reason", "")),
    )


def yaml_of(jobs: Iterable[Mapping[str, Any]]) -> str:
    """The objects as one List for kubectl; it is JSON, which is YAML in which dates stay strings."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(jobs)})
