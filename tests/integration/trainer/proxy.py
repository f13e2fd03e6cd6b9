"""A TCP proxy between a program and a real server, which cuts connections on request of a test."""

import dataclasses
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from cluster.object_store import ObjectStore


@dataclass(frozen=True)
class Cut:
    """When a connection is cut: after the server got at least so many bytes, including the given ones.

    With ``in_answer``: after the server sent them.
    """

    after_bytes: int = 0
    after: bytes = b""
    in_answer: bool = False


class Proxy:
    """Forwards connections to a server.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        cuts: How many connections were cut so far.
        altered: Bytes to replace in answers of the server, and their replacement of the same length.
        answered: How many connections were answered in place of the server so far.
    """

    def __init__(self, listener: socket.socket, target: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        self.port: int = listener.getsockname()[1]
        self.cuts = 0
        self.altered = (b"", b"")
        self.answered = 0
        self._listener = listener
        self._target = target
        self._tls = tls
        self._to_cut: list[Cut] = []
        self._to_answer: list[bytes] = []

    def cut_next(self, connections: int, after_bytes: int = 0, after: bytes = b"", *, in_answer: bool = False) -> None:
        """Cut the next connections, each as `Cut` says; of several calls, the last is used first."""
        self._to_cut += [Cut(after_bytes, after, in_answer)] * connections

    def answer_next(self, connections: int, answer: bytes) -> None:
        """Answer the first request of the next connections in place of the server, and close them."""
        self._to_answer += [answer] * connections

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            cut = self._to_cut.pop() if self._to_cut else None
            self.cuts += cut is not None
            if cut == Cut():
                client.close()
                continue
            if self._tls:
                try:
                    client = self._tls.wrap_socket(client, server_side=True)
                except OSError:
                    continue
            if self._to_answer:
                client.recv(65536)
                # Counted first: the program may act on the answer before this thread goes on.
                self.answered += 1
                client.sendall(self._to_answer.pop())
                client.shutdown(socket.SHUT_WR)
                # If unread data is left, closing the socket discards the answer.
                while client.recv(65536):
                    pass
                client.close()
                continue
            server = socket.create_connection(self._target)
            request_cut, answer_cut = (None, cut) if cut and cut.in_answer else (cut, None)
            threading.Thread(target=_forward, args=(client, server, request_cut, (b"", b"")), daemon=True).start()
            threading.Thread(target=_forward, args=(server, client, answer_cut, self.altered), daemon=True).start()


@contextmanager
def proxy_to(host: str, port: int, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """A proxy to a server, until the context ends; with ``tls`` it speaks TLS with the program."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(listener, (host, port), tls)
        thread = threading.Thread(target=proxy.serve, daemon=True)
        thread.start()
        yield proxy
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@contextmanager
def store_behind_proxy(store: ObjectStore, tls: ssl.SSLContext | None = None) -> Iterator[tuple[Proxy, ObjectStore]]:
    """A proxy to an S3 server, and the server as programs reach it through the proxy, until the context ends."""
    host, port = store.endpoint.split(":")
    with proxy_to(host, int(port), tls) as proxy:
        yield proxy, dataclasses.replace(store, endpoint=f"127.0.0.1:{proxy.port}")


def _forward(source: socket.socket, sink: socket.socket, cut: Cut | None, altered: tuple[bytes, bytes]) -> None:
    sent, end_of_sent = 0, b""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data.replace(*altered) if altered[0] else data)
            sent, end_of_sent = sent + len(data), end_of_sent[-64:] + data
            if cut and sent >= cut.after_bytes and cut.after in end_of_sent:
                # The program gets no more answers; the server still receives what was sent.
                source.shutdown(socket.SHUT_RDWR)
                break
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
