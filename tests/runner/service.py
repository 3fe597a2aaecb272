"""A supervisor and its workers as a process: start it, read its log, ask it over HTTP, end it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from .support import clean_environment, restore_signals

DEADLINE = 120.0  # generous for sanitizer builds on a loaded machine
POLL = 0.02

# Answers "<number of requests so far> <pid> <RUNNER_WORKER> <VERSION>"; ends on SIGTERM after what it has accepted.
SERVER = """
import os, select, signal, socket
from kv_storage import Storage

VERSION = 1

def notify(state):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state, "\\0" + os.environ["NOTIFY_SOCKET"][1:])

def main():
    assert os.environ["LISTEN_PID"] == str(os.getpid()) and os.environ["LISTEN_FDS"] == "1"
    kv = Storage()
    listener = socket.socket(fileno=3)
    listener.setblocking(False)
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    notify(b"READY=1")
    while not asked:
        readable, _, _ = select.select([listener, wake], [], [])
        if listener not in readable:
            continue
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            continue
        with connection:
            connection.setblocking(True)
            connection.recv(4096)
            words = kv.incr("requests"), os.getpid(), os.environ["RUNNER_WORKER"], VERSION
            connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + " ".join(map(str, words)).encode())

main()
"""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll; fail if it does not come true."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen: {what}"
        time.sleep(POLL)


class Service:
    """A running supervisor. Its log is collected; an end that a test does not see to is a kill."""

    def __init__(
        self,
        runner: Path,
        *arguments: str,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        **options: object,
    ) -> None:
        self.process = subprocess.Popen(
            [runner, *arguments],
            cwd=cwd,
            env=clean_environment(env),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=restore_signals,
            **options,  # type: ignore[call-overload]
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                self.lines.append(line.rstrip("\n"))

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def count(self, pattern: str) -> int:
        return sum(re.search(pattern, line) is not None for line in self.lines)

    def wait_for(self, pattern: str, times: int = 1) -> None:
        """Until the log has so many lines with the pattern."""
        deadline = time.monotonic() + DEADLINE
        while self.count(pattern) < times:
            assert time.monotonic() < deadline, f"not {times} times {pattern!r} in:\n{self.log}"
            ended = self.process.poll() is not None and not self._reader.is_alive()
            assert not ended or self.count(pattern) >= times, f"ended without {pattern!r}:\n{self.log}"
            time.sleep(POLL)

    @property
    def port(self) -> int:
        self.wait_for(r"listening on 127\.0\.0\.1:\d+")
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", self.log)
        assert found is not None
        return int(found[1])

    def ask(self, path: str = "/") -> str:
        """The body of an answer, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
            assert answer.status == 200, body
            return body
        finally:
            connection.close()

    def pids(self) -> list[int]:
        """Of the worker processes that there are."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code."""
        if self.process.poll() is None:
            self.send(number)
        return self.wait()

    def wait(self) -> int:
        code: int = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._reader.join(DEADLINE)


class Load:
    """Requests without end, each over a connection of its own, from several threads. No failure is forgiven."""

    def __init__(self, port: int, threads: int = 4) -> None:
        self._port = port
        self._stop = threading.Event()
        self.failures: list[str] = []
        self.answers: Counter[str] = Counter()  # by pid
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=DEADLINE) as connection:
                    connection.sendall(b"GET /health HTTP/1.0\r\nHost: test\r\n\r\n")
                    answer = b""
                    while part := connection.recv(4096):
                        answer += part
                if b" 200 " not in answer.split(b"\r\n")[0]:
                    self.failures.append(f"answer {answer!r}")
                self.answers[answer.decode().split("\r\n\r\n")[-1].split(" ")[1]] += 1
            except (OSError, IndexError) as error:
                self.failures.append(repr(error))


def is_alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
