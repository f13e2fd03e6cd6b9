"""Starts the operator."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import kopf

from trainingjob_api.log_format import TEXT_FORMAT, JsonLineFormatter
from trainingjob_operator.app import Supervisor
from trainingjob_operator.config import Configuration, ConfigurationError
from trainingjob_operator.controller.connection import LoginError
from trainingjob_operator.controller.resync import NotInstalledError


def main() -> None:
    """Read the configuration, run until a signal, and exit with 1 on an error that a person must correct."""
    kopf.configure()
    for handler in logging.getLogger().handlers:
        handler.setFormatter(logging.Formatter(TEXT_FORMAT) if sys.stderr.isatty() else JsonLineFormatter())
    logging.captureWarnings(True)
    # At INFO, kopf logs a line for every event of every object.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    logger = logging.getLogger("trainingjob_operator")
    try:
        configuration = Configuration.read(os.environ)
        asyncio.run(_run(configuration))
    except (ConfigurationError, LoginError, NotInstalledError) as error:
        logger.error("The operator cannot run: %s", error)
        sys.exit(1)
    except Exception:
        logger.exception("The operator ended unexpectedly")
        sys.exit(1)


async def _run(configuration: Configuration) -> None:
    await Supervisor(configuration).run()


if __name__ == "__main__":
    main()
