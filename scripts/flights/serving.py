"""Sockets and signals: listen before anything is said, serve until asked to stop, end without a trace.

uvicorn is given a socket that listens already, so an address printed is an address that answers, port 0 can
stand for any free port, and a port in use is an ordinary error before the server starts.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import urllib.request
from typing import Any, NoReturn

import uvicorn
from starlette.applications import Starlette

from flights.notify import notify

GRACE_SECONDS = 10
BACKLOG = 2048
FIRST_PASSED_FD = 3
DRAIN_SECONDS = 0.2  # in which what was sent before we stopped listening arrives


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError if the address is in use, or is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def inherited() -> socket.socket | None:
    """The socket that a service manager or the runner's supervisor has opened for this process (LISTEN_FDS)."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") in (None, "0"):
        return None
    return socket.socket(fileno=FIRST_PASSED_FD)


def url_of(listener: socket.socket) -> str:
    """The address to open in a browser on this machine."""
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{local}]:{port}/" if ":" in local else f"http://{local}:{port}/"


def exit_on_signals() -> None:
    """Let SIGTERM and SIGINT end the process as the script's end does: all closed in order, exit code 0.

    While uvicorn serves it takes them itself: it stops accepting, finishes what is under way, and then raises
    them again for the handler that was there before.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)


def serve(application: Starlette, listener: socket.socket) -> None:
    """Serve until a signal asks to stop."""
    _server(application).run(sockets=[listener])


def ask_once(application: Starlette, listener: socket.socket, path: str) -> Any:
    """Serve for the time of one request to ourselves, over the socket. Returns the decoded answer.

    Raises:
        OSError: the request failed, or its answer was a refusal (urllib.error.HTTPError).
    """
    server = _server(application)
    outcome: list[Any] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(url_of(listener) + path, timeout=GRACE_SECONDS) as answer:
                outcome.append(json.load(answer))
        except OSError as error:
            outcome.append(error)
        finally:
            server.should_exit = True

    client = threading.Thread(target=ask, name="client")
    client.start()
    server.run(sockets=[listener])
    client.join()
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    return outcome[0]


class _Server(uvicorn.Server):
    """uvicorn, with word to the supervisor when it serves, and an end that loses no request.

    uvicorn closes connections on which no request has arrived yet, those accepted a moment ago among them.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            notify("READY=1")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        notify("STOPPING=1")
        for server in self.servers:
            server.close()
        await asyncio.sleep(DRAIN_SECONDS)
        await super().shutdown(sockets)


def _server(application: Starlette) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )


def _exit(number: int, frame: object) -> NoReturn:
    sys.exit(0)
