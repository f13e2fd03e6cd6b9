"""Holds the Lease that says which of several operators acts; the others stand by with everything known.

Only a matter of order: two that act at once lose and double nothing. Without a namespace for the Lease every operator
acts.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from datetime import UTC, datetime
from typing import Any

from trainingjob_operator.controller.client import LEASES, ApiError, Kube
from trainingjob_operator.core.objects import JSON

LEASE = "trainingjob-operator"
DURATION = 15
"""Seconds without renewal after which another operator takes over."""
RENEW_WITHIN = 10.0
"""Seconds after which a holder that cannot renew stops acting, well before another one starts."""
PAUSE = 2.0

logger = logging.getLogger(__name__)


class Leader:
    """This operator's part in the election.

    Attributes:
        leading: Set while this operator acts.
    """

    def __init__(self, kube: Kube, namespace: str, identity: str) -> None:
        self._kube, self._namespace, self._identity = kube, namespace, identity
        self._renewed = 0.0
        self._seen: tuple[str, float] = ("", 0.0)
        self.leading = asyncio.Event()

    async def run(self) -> None:
        """Seek the Lease, then keep it, for ever."""
        if not self._namespace:
            self.leading.set()
            await asyncio.Event().wait()
        while True:
            try:
                held = await self._hold()
            except ApiError as error:
                logger.warning("The Lease %s/%s cannot be had: %s", self._namespace, LEASE, error)
                held = time.monotonic() - self._renewed < RENEW_WITHIN and self.leading.is_set()
            if held and not self.leading.is_set():
                logger.info("Acting as %s", self._identity)
                self.leading.set()
            elif not held and self.leading.is_set():
                logger.warning("Another operator acts: standing by")
                self.leading.clear()
            await asyncio.sleep(PAUSE * random.uniform(0.8, 1.2))

    async def release(self) -> None:
        """Let another operator take over at once."""
        if self._namespace and self.leading.is_set():
            lease = await self._kube.get(LEASES, self._namespace, LEASE)
            if lease and lease["spec"].get("holderIdentity") == self._identity:
                await self._kube.replace(LEASES, self._namespace, LEASE, _with(lease, holderIdentity=""))

    async def _hold(self) -> bool:
        """Take, renew or observe the Lease."""
        began, now = time.monotonic(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        mine = {"holderIdentity": self._identity, "leaseDurationSeconds": DURATION, "renewTime": now}
        lease = await self._kube.get(LEASES, self._namespace, LEASE)
        if lease is None:
            metadata = {"name": LEASE, "namespace": self._namespace}
            spec = {**mine, "acquireTime": now, "leaseTransitions": 0}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            await self._kube.create(LEASES, self._namespace, body)
        else:
            holder = lease["spec"].get("holderIdentity") or ""
            if holder not in {"", self._identity} and not self._is_abandoned(lease):
                return False
            if holder != self._identity:
                mine |= {"acquireTime": now, "leaseTransitions": lease["spec"].get("leaseTransitions", 0) + 1}
            await self._kube.replace(LEASES, self._namespace, LEASE, _with(lease, **mine))
        self._renewed = began
        return True

    def _is_abandoned(self, lease: JSON) -> bool:
        """Whether its holder has not renewed it for too long, by this machine's clock alone."""
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = version, time.monotonic()
        return bool(time.monotonic() - self._seen[1] > lease["spec"].get("leaseDurationSeconds", DURATION))


def _with(lease: JSON, **spec: Any) -> dict[str, Any]:
    return {**lease, "spec": {**lease["spec"], **spec}}
