"""The watchdog: ends a process without a heartbeat and logs the stack of every thread."""

import faulthandler
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType

from trainingjob_api.exit_codes import ExitCode
from trainingjob_trainer.run.progress import Progress

_GRACE_SECONDS = 5.0
_REARM_SECONDS = 1.0


class Watchdog:
    """A listener that ends the process with exit code 1 when it receives no heartbeat within the timeout.

    faulthandler ends the process. It does not need the GIL, so it works even when a thread hangs in native code and
    holds the GIL. A few seconds earlier, ``on_stall`` is called, if Python code can still run.
    """

    def __init__(self, timeout_seconds: float, on_stall: Callable[[], None]) -> None:
        """Create the watchdog; it starts when the context is entered.

        Args:
            timeout_seconds: Longest time without a heartbeat.
            on_stall: Called once, from another thread, shortly before the process ends.
        """
        self._timeout_seconds = timeout_seconds
        self._on_stall = on_stall
        self._armed_at = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        """Start the watchdog."""
        self._arm()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the watchdog."""
        self._over.set()
        faulthandler.cancel_dump_traceback_later()
        self._thread.join()

    def __call__(self, progress: Progress) -> None:
        """Receive a heartbeat."""
        if time.monotonic() - self._armed_at > _REARM_SECONDS:
            self._arm()

    def _arm(self) -> None:
        self._armed_at = time.monotonic()
        faulthandler.dump_traceback_later(self._timeout_seconds + _GRACE_SECONDS, exit=True)

    def _watch(self) -> None:
        while not self._over.wait(max(0.1, self._armed_at + self._timeout_seconds - time.monotonic())):
            if time.monotonic() - self._armed_at >= self._timeout_seconds:
                faulthandler.dump_traceback()
                self._on_stall()
                # If this thread cannot get here, faulthandler ends the process.
                os._exit(ExitCode.UNEXPECTED)
