"""Leader election by a Lease: only the leader executes steps, the other replicas keep their caches current.

It avoids conflicts, but correctness does not depend on it: two leaders at the same time lose and duplicate nothing.
Without a namespace for the Lease, every replica is a leader.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from datetime import UTC, datetime
from typing import Any

from trainingjob_operator.controller.client import LEASES, ApiError, KubernetesClient
from trainingjob_operator.core.parent import JSON

LEASE_NAME = "trainingjob-operator"
LEASE_DURATION_SECONDS = 15
"""Another replica takes over this long after the last renewal."""
RENEW_DEADLINE_SECONDS = 10.0
"""A leader that cannot renew the Lease stops this long after the last renewal, before another replica takes over."""
RETRY_PERIOD_SECONDS = 2.0

logger = logging.getLogger(__name__)


class LeaderElector:
    """The leader election as one replica sees it.

    Attributes:
        leading: Set while this replica is the leader.
    """

    def __init__(self, client: KubernetesClient, namespace: str, identity: str) -> None:
        self._client, self._namespace, self._identity = client, namespace, identity
        self._renewed = 0.0
        self._observed: tuple[str, float] = ("", 0.0)
        self.leading = asyncio.Event()

    async def run(self) -> None:
        """Acquire the Lease and renew it, for ever."""
        if not self._namespace:
            self.leading.set()
            await asyncio.Event().wait()
        while True:
            try:
                leads = await self._acquire_or_renew()
            except ApiError as error:
                logger.warning("The Lease %s/%s cannot be acquired or renewed: %s", self._namespace, LEASE_NAME, error)
                leads = time.monotonic() - self._renewed < RENEW_DEADLINE_SECONDS and self.leading.is_set()
            if leads and not self.leading.is_set():
                logger.info("%s became leader", self._identity)
                self.leading.set()
            elif not leads and self.leading.is_set():
                logger.warning("%s stopped leading", self._identity)
                self.leading.clear()
            await asyncio.sleep(RETRY_PERIOD_SECONDS * random.uniform(0.8, 1.2))

    async def release(self) -> None:
        """Release the Lease, so that another replica takes over at once."""
        if self._namespace and self.leading.is_set():
            lease = await self._client.get(LEASES, self._namespace, LEASE_NAME)
            if lease and lease["spec"].get("holderIdentity") == self._identity:
                await self._client.replace(LEASES, self._namespace, LEASE_NAME, _with_spec(lease, holderIdentity=""))

    async def _acquire_or_renew(self) -> bool:
        """Acquire or renew the Lease; False if another replica holds it."""
        began, now = time.monotonic(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        record = {"holderIdentity": self._identity, "leaseDurationSeconds": LEASE_DURATION_SECONDS, "renewTime": now}
        lease = await self._client.get(LEASES, self._namespace, LEASE_NAME)
        if lease is None:
            metadata = {"name": LEASE_NAME, "namespace": self._namespace}
            spec = {**record, "acquireTime": now, "leaseTransitions": 0}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            await self._client.create(LEASES, self._namespace, body)
        else:
            holder = lease["spec"].get("holderIdentity") or ""
            if holder not in {"", self._identity} and not self._is_expired(lease):
                return False
            if holder != self._identity:
                record |= {"acquireTime": now, "leaseTransitions": lease["spec"].get("leaseTransitions", 0) + 1}
            await self._client.replace(LEASES, self._namespace, LEASE_NAME, _with_spec(lease, **record))
        self._renewed = began
        return True

    def _is_expired(self, lease: JSON) -> bool:
        """Whether the holder has not renewed the Lease in time. Only this machine's clock counts."""
        version = lease["metadata"]["resourceVersion"]
        if version != self._observed[0]:
            self._observed = version, time.monotonic()
        return bool(
            time.monotonic() - self._observed[1] > lease["spec"].get("leaseDurationSeconds", LEASE_DURATION_SECONDS)
        )


def _with_spec(lease: JSON, **spec: Any) -> dict[str, Any]:
    return {**lease, "spec": {**lease["spec"], **spec}}
