"""Why PostgreSQL, or a pooler before it, did not take a connection, and whether that may pass.

psycopg2 keeps only libpq's text of a connection that fails: no SQLSTATE, and the text is in the server's language and
even in its encoding. The SQLSTATE is in what the server sent, and libpq puts it into the text when it is asked for
that before the answer comes. psycopg2 gives no such choice, but its asynchronous connection can be reached in between.
"""

import ctypes
import re
import select
from collections.abc import Mapping
from typing import Any

import psycopg2
from psycopg2 import _psycopg
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

_PQERRORS_SQLSTATE = 3
_SQLSTATE = re.compile(rb":\s+([0-9A-Z]{5})\s*$", re.MULTILINE)

# psycopg2 links libpq, so that its functions are found through psycopg2's own library.
_libpq = ctypes.CDLL(_psycopg.__file__)
_libpq.PQsetErrorVerbosity.argtypes = [ctypes.c_void_p, ctypes.c_int]
_libpq.PQerrorMessage.argtypes = [ctypes.c_void_p]
_libpq.PQerrorMessage.restype = ctypes.c_char_p

_FINAL_STATES = {"28000", "28P01", "3D000"}
"""Role, pg_hba, password, database. Everything else may pass: a server that starts, a limit, a right taken for now."""

_POOLER_STATE = "08P01"
"""What poolers send for everything; their own words, which are English, say what it is."""

_POOLER_MAY_PASS = re.compile(r"server_login_retry|query_wait_timeout|max_client_conn", re.IGNORECASE)
_POOLER_REFUSES = re.compile(
    r"authentication failed|no such (database|user)|(database|role) \S+ does not exist|login rejected", re.IGNORECASE
)
_CLIENT_REFUSES = re.compile(
    r"does not support SSL|SSL error: certificate|certificate verify failed|root certificate file|server certificate"
    r"|invalid sslmode|invalid port|invalid connection option|invalid integer|no password supplied",
    re.IGNORECASE,
)
"""libpq's own words, which in psycopg2's build are English, for what no server can mend."""


def may_pass(text: str, states: tuple[str, ...]) -> bool:
    """Whether a connection that failed may succeed later without any change.

    Args:
        text: libpq's message.
        states: The SQLSTATEs that servers answered with, one for each that was tried; none when no server answered.
    """
    if not states:
        return not _CLIENT_REFUSES.search(text)
    if _POOLER_STATE in states:
        return bool(_POOLER_MAY_PASS.search(text)) or not _POOLER_REFUSES.search(text)
    return not _FINAL_STATES.issuperset(states)


def refusing_states(parameters: Mapping[str, Any], timeout_seconds: float) -> tuple[str, ...]:
    """Connect once more, and read the SQLSTATEs that the servers answer with.

    Returns:
        None of them when no server answers, or the connection succeeds this time.
    """
    try:
        attempt = psycopg2.connect("", async_=True, **parameters)
    except (psycopg2.Error, UnicodeDecodeError):
        return ()
    _libpq.PQsetErrorVerbosity(attempt.pgconn_ptr, _PQERRORS_SQLSTATE)
    try:
        while (state := attempt.poll()) != POLL_OK:
            waiting = [attempt.fileno()]
            ready = select.select(
                waiting if state == POLL_READ else [], waiting if state == POLL_WRITE else [], [], timeout_seconds
            )
            if not any(ready):
                return ()
    except (psycopg2.Error, UnicodeDecodeError):
        message: bytes = _libpq.PQerrorMessage(attempt.pgconn_ptr)
        return tuple(state.decode() for state in _SQLSTATE.findall(message))
    finally:
        attempt.close()
    return ()
