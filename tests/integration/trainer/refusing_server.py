"""A server that refuses every PostgreSQL connection with a given error, as connection poolers do."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SSL_REQUEST = b"\x04\xd2\x16\x2f"
_NO_SSL = b"N"


@contextmanager
def refusing_server(state: str, words: bytes, severity: bytes = b"FATAL") -> Iterator[int]:
    """The port of such a server, until the context ends.

    Args:
        state: The SQLSTATE of the refusal.
        words: Its message, in any encoding.
        severity: Its severity, in any language.
    """
    fields = b"S" + severity + b"\0VFATAL\0C" + state.encode() + b"\0M" + words + b"\0\0"
    answer = b"E" + (len(fields) + 4).to_bytes(4, "big") + fields

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    if client.recv(4096)[4:8] == _SSL_REQUEST:
                        client.sendall(_NO_SSL)
                        client.recv(4096)
                    client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join()
