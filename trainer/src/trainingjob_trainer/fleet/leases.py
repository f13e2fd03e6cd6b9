"""The leases that a worker holds, renewed from a thread of its own over a connection of its own."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.ledger import Ledger
from trainingjob_trainer.storage.ledger_rows import Claim, Counts

logger = logging.getLogger(__name__)
_RENEWALS_PER_LEASE = 6


class Leases:
    """The machines and the task that this process works on; their leases are renewed while the context is entered."""

    def __init__(self, ledger: Ledger, on_counts: Callable[[Counts], None]) -> None:
        """Hold nothing yet.

        Args:
            ledger: The ledger of the run.
            on_counts: Receives the number of machines in each state after each renewal, from the thread.
        """
        self._ledger = ledger
        self._on_counts = on_counts
        self._claims: tuple[Claim, ...] = ()
        self._tasks: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew_regularly, name="leases", daemon=True)

    def __enter__(self) -> "Leases":
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop renewing."""
        self._over.set()
        self._thread.join()

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The machines that this process works on."""
        return self._claims

    def hold(self, claim: Claim) -> None:
        """Renew the lease on a machine from now on."""
        with self._lock:
            self._claims = (*self._claims, claim)

    def release(self, claim: Claim) -> None:
        """Do not renew the lease on a machine any more."""
        with self._lock:
            self._claims = tuple(held for held in self._claims if held != claim)

    @contextmanager
    def holding(self, task: str) -> Iterator[None]:
        """Renew the lease on a task until the context ends."""
        self._tasks = (task,)
        try:
            yield
        finally:
            self._tasks = ()

    def _renew_regularly(self) -> None:
        while not self._over.wait(self._ledger.lease_seconds / _RENEWALS_PER_LEASE):
            try:
                self._on_counts(self._ledger.renew([claim.machine for claim in self._claims], self._tasks))
            except TrainingError as error:
                logger.warning("leases cannot be renewed: %s", error)
