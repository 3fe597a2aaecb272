"""Serves HTTP from several interpreters of one process, each with a GIL of its own, over one store (Python 3.12+).

    runner scripts/interpreters.py --interpreters 2 --port 8000
    curl -X PUT -d 'some text' http://127.0.0.1:8000/name      # one of them stores it
    curl http://127.0.0.1:8000/name                            # any of them has it
    curl http://127.0.0.1:8000/                                # who has answered how many requests

Python objects belong to one interpreter each; what they share is the store. They accept from one listening socket.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from kv_storage import Storage

TURN_SECONDS = 30.0  # how long a client may keep an interpreter waiting


class Answers(BaseHTTPRequestHandler):
    """Texts by name, stored and read over HTTP."""

    number = 0  # of the interpreter that this class lives in
    timeout = TURN_SECONDS

    def do_GET(self) -> None:
        """Send the text of this name, or with none who has answered how often."""
        kv = Storage()
        kv.hash("answered").incr(str(self.number))
        if self.path == "/":
            report = {"interpreter": self.number, "answered": dict(kv.hash("answered"))}
            self.answer(200, json.dumps(report).encode())
        elif (value := kv.hash("texts").get(self.path[1:])) is None:
            self.answer(404, b"nothing has been stored under this name")
        else:
            self.answer(200, value)

    def do_PUT(self) -> None:
        """Store the body under this name."""
        kv = Storage()
        kv.hash("answered").incr(str(self.number))
        kv.hash("texts")[self.path[1:]] = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(204, b"")

    def answer(self, status: int, body: bytes) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: all interpreters write to one standard error."""


def serve(number: int, listening: int, ends: int) -> None:
    """In an interpreter of its own: answer until the other end of the pipe `ends` is closed."""
    Answers.number = number
    server = HTTPServer(("", 0), Answers, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=os.dup(listening))
    server.socket.setblocking(False)  # another interpreter may be quicker to accept
    while ends not in (ready := select.select([server.fileno(), ends], [], [])[0]):
        if ready:
            server.handle_request()
    server.server_close()


def run_interpreter(program: str) -> None:
    """Run it in a new interpreter with a GIL of its own, to its end."""
    if sys.version_info >= (3, 14):
        from concurrent import interpreters

        interpreter = interpreters.create()
        interpreter.exec(program)
        interpreter.close()
    elif sys.version_info >= (3, 13):
        import _interpreters

        identity = _interpreters.create("isolated")
        error = _interpreters.exec(identity, program)
        _interpreters.destroy(identity)
        if error is not None:
            raise RuntimeError(error.errdisplay)
    else:
        import _xxsubinterpreters  # type: ignore[import-not-found]

        identity = _xxsubinterpreters.create(isolated=True)
        _xxsubinterpreters.run_string(identity, program)
        _xxsubinterpreters.destroy(identity)


def main() -> None:
    """Listen, start the interpreters, and wait for a signal to end."""
    parser = argparse.ArgumentParser(description="Serve HTTP from several interpreters over one store.")
    parser.add_argument("--interpreters", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    if sys.version_info < (3, 12):
        parser.error("interpreters with a GIL of their own need Python 3.12 or newer")

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    ends, keeps_open = os.pipe()
    with socket.create_server((options.host, options.port), backlog=1024) as listening:
        threads = []
        for number in range(options.interpreters):
            program = (
                f"import sys; sys.path.insert(0, {str(Path(__file__).resolve().parent)!r})\n"
                f"from interpreters import serve\nserve({number}, {listening.fileno()}, {ends})"
            )
            threads.append(threading.Thread(target=run_interpreter, args=(program,)))
            threads[-1].start()
        print(f"http://{options.host}:{listening.getsockname()[1]}/", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
        os.close(keeps_open)
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
