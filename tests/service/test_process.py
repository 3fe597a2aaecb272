"""The service as a process: arguments, start, signals, end."""

from __future__ import annotations

import http.client
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .support import Service, run_main

pytestmark = pytest.mark.usefixtures("flights_csv")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_in_order(number: signal.Signals) -> None:
    running = Service()
    assert running.get("health").status == 200
    assert running.stop(number) == (0, "")


def test_sigterm_does_not_wait_for_idle_connections() -> None:
    running = Service()
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc)
    connection.request("GET", "/health")
    assert connection.getresponse().read()
    assert running.stop() == (0, "")
    connection.close()


def test_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_main("--port", str(port))
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in result.stderr
    assert "--port" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_host_that_is_none_is_said() -> None:
    result = run_main("--host", "no.such.host.invalid", "--port", "0")
    assert result.returncode == 1
    assert "cannot listen on no.such.host.invalid" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_port_that_is_none_is_refused(port: str) -> None:
    result = run_main(f"--port={port}")
    assert result.returncode == 2
    assert "--port" in result.stderr


def test_host_can_be_chosen() -> None:
    running = Service("--host", "127.0.0.2")
    try:
        assert running.url.startswith("http://127.0.0.2:")
        assert running.get("health").status == 200
    finally:
        assert running.stop() == (0, "")


def test_once_asks_itself_prints_and_ends() -> None:
    result = run_main("--once", "--port", "0")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Newark Liberty Intl to San Francisco Intl, 06-06-2013" in result.stdout
    ranks = [line for line in result.stdout.splitlines() if "% " in line and "on time" in line]
    assert len(ranks) == 19
    assert "less than 15 minutes late" in result.stdout


def test_store_without_flights_says_how_to_fill_it(tmp_path: Path) -> None:
    empty = tmp_path / "empty.ini"
    empty.write_text("[kv_storage]\n", encoding="utf-8")
    for configuration in (None, empty):
        result = run_main("--port", "0", configuration=configuration)
        assert result.returncode == 1
        assert "--native_configuration=configs/flights.ini" in result.stderr
        assert "Traceback" not in result.stderr
