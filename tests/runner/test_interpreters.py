"""scripts/interpreters.py: HTTP from several interpreters of one process over one store."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .service import DEADLINE
from .support import REPOSITORY, Outcome, clean_environment, python_version, restore_signals

SCRIPT = REPOSITORY / "scripts/interpreters.py"


def has_own_gil(runner: Path) -> bool:
    return tuple(map(int, python_version(runner).split("."))) >= (3, 12)


@pytest.fixture
def service(runner: Path) -> Iterator[subprocess.Popen[str]]:
    if not has_own_gil(runner):
        pytest.skip("interpreters with a GIL of their own need Python 3.12")
    with subprocess.Popen(
        [runner, SCRIPT, "--interpreters", "3", "--port", "0"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore_signals,
    ) as process:
        yield process
        process.kill()


def port_of(service: subprocess.Popen[str]) -> int:
    assert service.stdout is not None
    return int(service.stdout.readline().rstrip("/\n").rpartition(":")[2])


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_each_interpreter_answers_from_the_same_store(service: subprocess.Popen[str]) -> None:
    port = port_of(service)

    def client(number: int) -> None:
        text = f"text {number}".encode() * 100
        assert ask(port, "PUT", f"/name-{number}", text) == (204, b"")
        for _ in range(20):
            assert ask(port, "GET", f"/name-{number}") == (200, text)

    asked = 0
    answered: dict[str, int] = {}
    while len(answered) < 3:  # the kernel chooses who answers
        with ThreadPoolExecutor(6) as clients:
            list(clients.map(client, range(6)))
        asked += 6 * 21 + 1
        answered = json.loads(ask(port, "GET", "/")[1])["answered"]
        assert sum(answered.values()) == asked
    assert ask(port, "GET", "/absent")[0] == 404
    service.terminate()
    assert service.communicate(timeout=DEADLINE) == ("", "")
    assert service.returncode == 0


def test_older_python_is_told(runner: Path, run: Callable[..., Outcome]) -> None:
    if has_own_gil(runner):
        pytest.skip("this Python has interpreters with a GIL of their own")
    done = run(SCRIPT)
    assert (done.code, done.out) == (2, "")
    assert "need Python 3.12 or newer" in done.err
