"""Plays the users of all TrainingJobs: creates them, and does what their stories say."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from kubernetes.client import ApiClient, ApiException, CustomObjectsApi

from support.chaos.availability import api_server_may_be_away
from support.chaos.plan import Arrival
from support.chaos.stories import Story, UserRecord, edit, spec
from support.chaos.verdict import is_settled
from support.training_jobs import GROUP, PLURAL, VERSION, condition
from trainingjob_api.names import API_VERSION, KIND, RETRAIN_ANNOTATION

_PASS_SECONDS = 0.5


class User:
    """The users of one namespace.

    Attributes:
        namespace: where they work.
        records: what was done to each TrainingJob.
        unsettled: names of the TrainingJobs that have not come to the end of their stories, when last looked.
    """

    def __init__(self, client: ApiClient, namespace: str, arrivals: Mapping[str, Arrival]) -> None:
        """Acts once :meth:`act` is called."""
        self._objects, self._arrivals = CustomObjectsApi(client), arrivals
        self.namespace = namespace
        self._where = GROUP, VERSION, namespace, PLURAL
        self.records = {name: UserRecord(arrival.story) for name, arrival in arrivals.items()}
        self.unsettled = set(arrivals)

    def act(self, stop: threading.Event) -> None:
        """Acts until it is stopped."""
        began = time.monotonic()
        while not stop.wait(_PASS_SECONDS):
            with api_server_may_be_away():
                self._look(time.monotonic() - began)

    def training_jobs(self) -> dict[str, dict[str, Any]]:
        """Every TrainingJob by name."""
        listed = self._objects.list_namespaced_custom_object(*self._where)
        return {raw["metadata"]["name"]: raw for raw in listed["items"]}

    def _look(self, seconds: float) -> None:
        found = self.training_jobs()
        for name, arrival in self._arrivals.items():
            record = self.records[name]
            with api_server_may_be_away():
                if name not in found and seconds > arrival.at and (not record.created or record.removed):
                    self._create(name, record)
                elif name in found:
                    self._continue(name, found[name], record)
        self.unsettled = {n for n, record in self.records.items() if not is_settled(found.get(n), record)}

    def _create(self, name: str, record: UserRecord) -> None:
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec(record.story)}
        try:
            self._objects.create_namespaced_custom_object(*self._where, body)
        except ApiException as error:
            # The answer to an earlier request was lost.
            if error.status != 409:
                raise
        record.created = True

    def _continue(self, name: str, raw: Mapping[str, Any], record: UserRecord) -> None:
        status, uid = raw.get("status", {}), raw["metadata"]["uid"]
        runs = status.get("phase") == "Running" and "jobUID" in status
        match record.story:
            case Story.RECREATED if record.removed not in {None, uid}:
                record.acted = True
            case Story.RECREATED if (runs or record.removed) and "deletionTimestamp" not in raw["metadata"]:
                record.removed = uid
                self._objects.delete_namespaced_custom_object(*self._where, name)
            case Story.SUSPENDED if not record.acted:
                self._suspend_once(name, raw, record, runs=runs)
            case Story.SUPERSEDED | Story.RESTARTED if runs and not record.acted:
                record.replaced = status["jobUID"]
                self._edit(name, record)
            case Story.EDITED if status.get("phase") == "Succeeded" and not record.acted:
                self._edit(name, record)
            case Story.RETRAINED if status.get("phase") == "Succeeded" and not record.acted:
                self._request_run(name, record, "once more")
                record.acted = True
        if condition(status, "Failed") == ("True", "JobDeleted"):
            self._request_run(name, record, f"after run {status['run']}")

    def _suspend_once(self, name: str, raw: Mapping[str, Any], record: UserRecord, *, runs: bool) -> None:
        if raw["spec"]["runPolicy"].get("suspend"):
            if raw.get("status", {}).get("phase") == "Suspended":
                record.resumed = True
                self._patch(name, {"spec": {"runPolicy": {"suspend": False}}})
                record.acted = True
        elif record.resumed:
            record.acted = True
        elif runs:
            record.edits = 1
            record.replaced = raw["status"]["jobUID"]
            self._patch(name, {"spec": {"runPolicy": {"suspend": True}}})

    def _edit(self, name: str, record: UserRecord) -> None:
        record.edits = 1
        self._patch(name, {"spec": edit(record.story)})
        record.acted = True

    def _request_run(self, name: str, record: UserRecord, value: str) -> None:
        record.requests.add(value)
        self._patch(name, {"metadata": {"annotations": {RETRAIN_ANNOTATION: value}}})

    def _patch(self, name: str, body: Mapping[str, Any]) -> None:
        self._objects.patch_namespaced_custom_object(
            *self._where, name, body, _content_type="application/merge-patch+json"
        )
