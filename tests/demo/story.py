"""The TrainingJobs of the demonstration and their expected results. No I/O."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

API_VERSION = "training.pumphealth.io/v1alpha1"
SUCCEEDED = "Succeeded"


@dataclass(frozen=True)
class Announcement:
    """The expected result of a TrainingJob.

    Attributes:
        job: The TrainingJob.
        ending: ``Succeeded``, or the reason why it is refused.
        because: Why this result is expected, in a sentence.
    """

    job: Mapping[str, Any]
    ending: str
    because: str

    @property
    def name(self) -> str:
        """Name of the TrainingJob."""
        return str(self.job["metadata"]["name"])


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


def is_over(job: Mapping[str, Any]) -> bool:
    """Whether a TrainingJob, as the API server has it, has ended."""
    return condition(job, "Succeeded").get("status") in ("True", "False")


def ending(job: Mapping[str, Any]) -> str:
    """``Succeeded`` or the reason why it failed."""
    succeeded = condition(job, "Succeeded")
    return SUCCEEDED if succeeded.get("status") == "True" else str(succeeded.get("reason"))


def condition(job: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """One condition of a TrainingJob; empty where it is not set."""
    found: Iterable[Mapping[str, Any]] = job.get("status", {}).get("conditions", [])
    return next((each for each in found if each["type"] == kind), {})


def report_key(job: Mapping[str, Any]) -> str | None:
    """The key of the report in its bucket; None where the status names no report."""
    artifacts: Iterable[Mapping[str, Any]] = job.get("status", {}).get("artifacts", [])
    uri = next((str(each["uri"]) for each in artifacts if each["name"] == "report"), None)
    return uri and uri.removeprefix("s3://").partition("/")[2]


def columns(job: Mapping[str, Any]) -> tuple[str, ...]:
    """Name, machine, model, phase, progress, result and reason, as ``kubectl get tj -o wide`` shows them."""
    spec, status = job["spec"], job.get("status", {})
    progress = status.get("progress", {})
    share = f"{progress['percentage']}%" if "percentage" in progress else ""
    epochs = f" epoch {progress['epoch']}/{progress['epochs']}" if progress.get("epochs") else ""
    return (
        job["metadata"]["name"],
        spec["machine"],
        spec["model"]["type"],
        status.get("phase", ""),
        f"{share} {progress.get('stage', '')}{epochs}".strip(),
        status.get("summary", ""),
        str(condition(job, "Succeeded").get("reason", "")),
    )


def yaml_of(jobs: Iterable[Mapping[str, Any]]) -> str:
    """The TrainingJobs as one List for kubectl; it is JSON, which is YAML in which dates stay strings."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(jobs)})
