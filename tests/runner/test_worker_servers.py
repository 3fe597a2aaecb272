"""Servers that people use, as workers: each answers over the socket it is given, from the store that all share."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .service import DEADLINE, Load, Service, wait_until
from .support import REPOSITORY, borrow_packages

APPLICATION = """
import os
from kv_storage import Storage

kv = Storage()

async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d %d" % (kv.incr("requests"), os.getpid())})

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"%d %d" % (kv.incr("requests"), os.getpid())]
"""

CONFIGURATION = "[runner]\nworkers = 2\nlisten = 127.0.0.1:0\nready_timeout = 1s\n"
OPTION = "--native_configuration=cfg.ini"


@pytest.fixture
def start(runner: Path, tmp_path: Path) -> Iterator[object]:
    (tmp_path / "app.py").write_text(APPLICATION)
    (tmp_path / "cfg.ini").write_text(CONFIGURATION)
    services: list[Service] = []

    def start_server(package: str, *arguments: str) -> Service:
        variables = borrow_packages(runner, package)
        services.append(Service(runner, OPTION, "-m", package, *arguments, cwd=tmp_path, env=variables))
        return services[-1]

    yield start_server
    for service in services:
        service.kill()


def serves_one_store_through_replacement(service: Service, lines: int) -> None:
    numbers = [int(service.ask().split()[0]) for _ in range(20)]
    service.send(signal.SIGHUP)
    service.wait_for("2 workers serve", lines + 1)
    numbers += [int(service.ask().split()[0]) for _ in range(20)]
    assert numbers == list(range(1, 41))


def test_uvicorn(start) -> None:  # type: ignore[no-untyped-def]
    service = start("uvicorn", "app:application", "--fd", "3")
    service.wait_for("2 workers serve")
    serves_one_store_through_replacement(service, 1)
    assert service.end() == 0


def test_gunicorn_says_when_it_serves(start) -> None:  # type: ignore[no-untyped-def]
    service = start("gunicorn", "app:wsgi", "--no-control-socket")
    service.wait_for("2 workers serve")
    assert service.count(": serves$") == 2
    assert service.count("is taken as serving") == 0
    serves_one_store_through_replacement(service, 1)
    assert service.end() == 0


def test_granian_opens_the_port_itself(start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "cfg.ini").write_text(CONFIGURATION.replace("listen = 127.0.0.1:0\n", ""))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    service = start("granian", "--interface", "asgi", "--port", str(port), "app:application")
    service.wait_for("2 workers serve")

    def ask() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        try:
            connection.request("GET", "/")
            return int(connection.getresponse().read().split()[0])
        except OSError:
            return 0
        finally:
            connection.close()

    wait_until(lambda: ask() > 0, "it listens")
    first = ask()
    service.send(signal.SIGHUP)
    service.wait_for("2 workers serve", 2)
    wait_until(lambda: ask() > first, "the new ones answer, and the count goes on")
    assert service.end() == 0


def test_the_example_is_replaced_and_upgraded_under_load(runner: Path) -> None:
    fetch = [sys.executable, str(REPOSITORY / "scripts" / "fetch_flights.py")]
    fetched = subprocess.run(fetch, capture_output=True, text=True, check=False)
    if fetched.returncode != 0:
        pytest.skip(f"the flights could not be fetched: {fetched.stderr}")
    option = f"--native_configuration={REPOSITORY / 'configs' / 'flights_workers.ini'}"
    variables = borrow_packages(runner, "uvicorn")
    main = str(REPOSITORY / "scripts" / "main.py")
    service = Service(runner, option, "--listen", "127.0.0.1:0", main, cwd=REPOSITORY, env=variables)
    try:
        service.wait_for("2 workers serve")
        assert service.count(": serves$") == 2
        with Load(service.port) as load:
            service.send(signal.SIGHUP)
            service.wait_for("2 workers serve", 2)
            wait_until(lambda: len(service.pids()) == 2, "only the new workers are left")
            service.send(signal.SIGUSR2)
            service.wait_for("2 workers serve", 3)
        assert load.failures == []
        counters = json.loads(service.ask("/stats"))["service"]["responses"]
        assert counters["/health 200"] == sum(load.answers.values())
        assert service.end() == 0
    finally:
        service.kill()
