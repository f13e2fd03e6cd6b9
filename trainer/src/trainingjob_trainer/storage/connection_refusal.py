"""Classifies a failed connection to PostgreSQL, or to a connection pooler, as transient or permanent.

When a connection fails, psycopg2 keeps only libpq's text: it has no SQLSTATE, and it is in the server's language and
encoding. The server does send the SQLSTATE, and libpq adds it to the text if this is requested before the response
arrives. psycopg2 has no option for that, but an asynchronous connection can be configured before the response arrives.
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

# psycopg2 links libpq, so libpq's functions are available through psycopg2's own library.
_libpq = ctypes.CDLL(_psycopg.__file__)
_libpq.PQsetErrorVerbosity.argtypes = [ctypes.c_void_p, ctypes.c_int]
_libpq.PQerrorMessage.argtypes = [ctypes.c_void_p]
_libpq.PQerrorMessage.restype = ctypes.c_char_p

_FINAL_STATES = {"28000", "28P01", "3D000"}
"""Unknown role, pg_hba rule, wrong password, unknown database. All others are transient: a server that starts, a
connection limit, a revoked right."""

_POOLER_STATE = "08P01"
"""Poolers send this state for every error; their message, which is always in English, has the cause."""

_POOLER_MAY_PASS = re.compile(r"server_login_retry|query_wait_timeout|max_client_conn", re.IGNORECASE)
_POOLER_REFUSES = re.compile(
    r"authentication failed|no such (database|user)|(database|role) \S+ does not exist|login rejected", re.IGNORECASE
)
_CLIENT_REFUSES = re.compile(
    r"does not support SSL|SSL error: certificate|certificate verify failed|root certificate file|server certificate"
    r"|invalid sslmode|invalid port|invalid connection option|invalid integer|no password supplied",
    re.IGNORECASE,
)
"""Messages of libpq itself about errors on the client's side. In psycopg2's build they are always in English."""


def is_transient_refusal(text: str, states: tuple[str, ...]) -> bool:
    """Whether a failed connection may succeed later without any change.

    Args:
        text: libpq's message.
        states: The SQLSTATEs that the servers returned, one for each address that was tried; empty when no server
            responded.
    """
    if not states:
        return not _CLIENT_REFUSES.search(text)
    if _POOLER_STATE in states:
        return bool(_POOLER_MAY_PASS.search(text)) or not _POOLER_REFUSES.search(text)
    return not _FINAL_STATES.issuperset(states)


def refusal_states(parameters: Mapping[str, Any], timeout_seconds: float) -> tuple[str, ...]:
    """Connect once more and read the SQLSTATEs that the servers return.

    Returns:
        An empty tuple when no server responds, or when the connection succeeds this time.
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
