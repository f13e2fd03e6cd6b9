"""What the API server's own audit log says about Jobs and statuses. Pure, apart from writing the policy."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainingjob_api.names import GROUP

OPERATOR = "system:serviceaccount:trainingjob-system:trainingjob-operator"
_CLUSTER = "system:serviceaccount:kube-system:"
_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "omitManagedFields": True,
    "rules": [
        {
            "level": "RequestResponse",
            "verbs": ["create", "delete"],
            "resources": [{"group": "batch", "resources": ["jobs"]}],
        },
        {
            "level": "RequestResponse",
            "verbs": ["patch"],
            "resources": [{"group": GROUP, "resources": ["trainingjobs/status"]}],
        },
        {"level": "None"},
    ],
}


def audit_options(folder: Path) -> tuple[str, ...]:
    """Writes the policy, and returns the options of an API server that writes its log into the folder."""
    policy = folder / "audit-policy.json"
    policy.write_text(json.dumps(_POLICY))
    return f"--audit-policy-file={policy}", f"--audit-log-path={audit_log(folder)}", "--audit-log-mode=blocking-strict"


def audit_log(folder: Path) -> Path:
    """The log in that folder."""
    return folder / "audit.log"


@dataclass(frozen=True)
class Written:
    """A status that the API server has stored.

    Attributes:
        name: of the TrainingJob.
        uid: of the TrainingJob.
        version: its resourceVersion.
        status: the whole status.
    """

    name: str
    uid: str
    version: int
    status: dict[str, Any]


@dataclass
class Audit:
    """What was written in one namespace.

    An entry can be missing: the API server may be killed between a write and its entry.

    Attributes:
        jobs: every Job that was created, by uid.
        deletions: who deleted a Job of that name.
        statuses: every status, in the order of the writes of each TrainingJob.
    """

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    deletions: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    statuses: list[Written] = field(default_factory=list)

    def by_hand(self) -> set[str]:
        """The names of the Jobs that neither the operator nor a controller deleted."""
        return {
            name
            for name, users in self.deletions.items()
            if any(user != OPERATOR and not user.startswith(_CLUSTER) for user in users)
        }


def read_audit(lines: Iterable[str], namespace: str) -> Audit:
    """Reads the lines of an audit log; the last line may be cut off."""
    audit = Audit()
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        reference = event["objectRef"]
        if reference["namespace"] != namespace or event["responseStatus"]["code"] >= 300:
            continue
        if event["verb"] == "delete":
            audit.deletions[reference["name"]].add(event["user"]["username"])
        elif event["verb"] == "create":
            job = event["responseObject"]
            audit.jobs[job["metadata"]["uid"]] = job
        else:
            raw = event["responseObject"]
            meta = raw["metadata"]
            audit.statuses.append(Written(meta["name"], meta["uid"], int(meta["resourceVersion"]), raw["status"]))
    audit.statuses.sort(key=lambda written: (written.uid, written.version))
    return audit
