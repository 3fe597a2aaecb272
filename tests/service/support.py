"""The service as a process of its own, and what it should answer by plain Python over the CSV file."""

from __future__ import annotations

import csv
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
MAIN = ROOT / "scripts" / "main.py"
CONFIGURATION = ROOT / "configs" / "flights.ini"
START_SECONDS = 120  # before a service that says nothing is given up; generous for sanitizer builds
END_SECONDS = 60

ON_TIME_MINUTES = 15
PRIOR_FLIGHTS = 10


def runner_binary() -> str:
    """RUNNER_BINARY, else the runner that runs these tests, else the release build's."""
    built = ROOT / "build" / "release" / "bin" / "runner"
    ours = sys.executable if "kv_storage" in sys.builtin_module_names else built
    found = Path(os.environ.get("RUNNER_BINARY") or ours)
    assert found.is_file(), f"no runner at {found}: build the release preset or set RUNNER_BINARY"
    return str(found)


def environment() -> dict[str, str]:
    """Ours, with the packages that these tests see, wherever the runner stands; and no store to be shared."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("KV_", "RUNNER_"))}
    packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    variables["PYTHONPATH"] = os.pathsep.join(packages)
    return variables


def command(*arguments: str, configuration: Path | None = CONFIGURATION) -> list[str]:
    options = [] if configuration is None else [f"--native_configuration={configuration}"]
    return [runner_binary(), *options, str(MAIN), *arguments]


def run_main(*arguments: str, configuration: Path | None = CONFIGURATION) -> subprocess.CompletedProcess[str]:
    """Run the service to its end."""
    return subprocess.run(
        command(*arguments, configuration=configuration),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        return json.loads(self.body, parse_constant=refuse)


class Service:
    """A running service on a port of its own choice."""

    def __init__(self, *arguments: str) -> None:
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in `stop`
        self.process = subprocess.Popen(
            command("--port", "0", *arguments),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.introduction, self.url = self._wait_until_listening()

    def _wait_until_listening(self) -> tuple[str, str]:
        """Everything printed up to the address, and the address."""
        assert self.process.stdout is not None
        watchdog = threading.Timer(START_SECONDS, self.process.kill)
        watchdog.start()
        lines = []
        try:
            for line in self.process.stdout:
                lines.append(line)
                if line.startswith("Listening on "):
                    return "".join(lines), line.split()[-1]
        finally:
            watchdog.cancel()
        _, errors = self.stop()
        raise AssertionError(f"the service did not start:\n{''.join(lines)}{errors}")

    def get(self, path: str, method: str = "GET", **parameters: str) -> Answer:
        query = f"?{urlencode(parameters)}" if parameters else ""
        request = urllib.request.Request(f"{self.url}{path}{query}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=END_SECONDS) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    def recommend(self, origin: str, dest: str, day: str) -> Answer:
        return self.get("recommend", **{"from": origin, "to": dest, "date": day})

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End it by a signal (harmless if it ended). Returns its exit code and what it wrote to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
        self._stderr.seek(0)
        errors = self._stderr.read()
        self._stderr.close()
        return code, errors


@dataclass(frozen=True)
class Flight:
    """A row of the CSV file."""

    origin: str
    dest: str
    day: date
    name: str
    sched_dep_time: int
    arr_delay: Fraction | None

    @property
    def key(self) -> str:
        return f"{self.origin}-{self.dest}-{self.day.strftime('%d-%m-%Y')}-{self.name}"

    @property
    def on_time(self) -> bool:
        return self.arr_delay is not None and self.arr_delay < ON_TIME_MINUTES


@dataclass(frozen=True)
class Expected:
    """One line of a ranking, computed exactly."""

    key: str
    punctuality: Fraction
    observations: int
    on_time: int
    not_arrived: int
    mean: Fraction | None
    median: Fraction | None


class Oracle:
    """Rankings by the csv module, fractions and the definition: nothing of the service or the store."""

    def __init__(self, path: Path) -> None:
        self.routes: dict[tuple[str, str], list[Flight]] = defaultdict(list)
        for flight in _read_flights(path):
            self.routes[flight.origin, flight.dest].append(flight)

    def keys(self) -> Iterator[str]:
        return (flight.key for flights in self.routes.values() for flight in flights)

    def days(self, origin: str, dest: str) -> list[date]:
        return sorted({flight.day for flight in self.routes[origin, dest]})

    def ranking(self, origin: str, dest: str, day: date) -> list[Expected]:
        route = self.routes[origin, dest]
        others = [flight for flight in route if flight.day != day]
        share = Fraction(sum(flight.on_time for flight in others) + 1, len(others) + 2)

        def expected(flight: Flight) -> tuple[Fraction, float, int, Expected]:
            history = [other for other in others if other.name == flight.name]
            on_time = sum(other.on_time for other in history)
            punctuality = (on_time + PRIOR_FLIGHTS * share) / (len(history) + PRIOR_FLIGHTS)
            arrived = [other.arr_delay for other in history if other.arr_delay is not None]
            mean, median = _mean(arrived), _median(arrived)
            line = Expected(
                flight.key, punctuality, len(history), on_time, len(history) - len(arrived), mean, median
            )
            return (
                -punctuality,
                float("inf") if median is None else float(median),
                flight.sched_dep_time,
                line,
            )

        lines = [expected(flight) for flight in route if flight.day == day]
        return [line[-1] for line in sorted(lines, key=lambda line: (*line[:3], line[-1].key))]


def _read_flights(path: Path) -> Iterator[Flight]:
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield Flight(
                origin=row["origin"],
                dest=row["dest"],
                day=date(int(row["year"]), int(row["month"]), int(row["day"])),
                name=row["carrier"] + row["flight"],
                sched_dep_time=int(row["sched_dep_time"]),
                arr_delay=None if row["arr_delay"] == "NA" else Fraction(row["arr_delay"]),
            )


def _mean(delays: Sequence[Fraction]) -> Fraction | None:
    return sum(delays, Fraction()) / len(delays) if delays else None


def _median(delays: Sequence[Fraction]) -> Fraction | None:
    return statistics.median(delays) if delays else None
