"""The application, and how its commands report errors."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from trainingjob_api.exit_codes import ExitCode
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.run.log import log_to_stderr
from trainingjob_trainer.storage.redaction import redact

app = typer.Typer(
    help="Train the gru and xgb models of motor-pumps, store them in S3 and register them in PostgreSQL.",
    epilog="Environment variables: PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, PGSSLMODE for PostgreSQL; "
    "S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY, S3_REGION, S3_SECURE, S3_CA_FILE, or the same with prefix MINIO_, for "
    "the object store. "
    "Exit codes: 0 done, 2 wrong usage, 10 configuration, 11 data, 12 object store, 13 registry, 14 stopped, "
    "15 accelerator missing, 16 gate failed, 17 diverged, 18 too many machines failed, 1 any other error. "
    "Each error is a line `error: REASON: MESSAGE` on stderr.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Rich's boxes break words at the edge of the terminal.
    rich_markup_mode=None,
)


app.callback()(log_to_stderr)


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Exit with the message and the exit code of a TrainingError."""
    try:
        yield
    except TrainingError as error:
        raise exit_with_error(error.reason, error.message, error.exit_code) from error


def exit_with_error(reason: str, message: str, code: ExitCode) -> typer.Exit:
    """Print each fault on its own line; an indented line continues the previous fault."""
    lines = re.sub(r"^(?=\S)", f"error: {reason}: ", redact(message, os.environ), flags=re.MULTILINE)
    typer.echo(lines, err=True)
    return typer.Exit(code)
