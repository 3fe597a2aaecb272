"""Fixtures: the runner under test, the python3 it must behave like, services, PID 1."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from .service import SERVER, Service
from .support import Outcome, find_python, find_runner, run_program


@pytest.fixture(scope="session")
def runner() -> Path:
    """The executable under test."""
    return find_runner()


@pytest.fixture(scope="session")
def python(runner: Path) -> Path:
    """The python3 that the runner must behave like."""
    path = find_python(runner)
    if not path.is_file():
        pytest.skip(f"the python that the runner embeds has no executable at {path}")
    return path


@pytest.fixture
def run(runner: Path, tmp_path: Path) -> Callable[..., Outcome]:
    """Run the runner in an empty directory."""

    def run_runner(
        *arguments: str | bytes | Path,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        cwd: Path = tmp_path,
    ) -> Outcome:
        return run_program(runner, *arguments, cwd=cwd, env=env, stdin=stdin)

    return run_runner


@pytest.fixture
def start(runner: Path, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start the runner in an empty directory with SERVER as main.py; what still runs at the end is killed."""
    (tmp_path / "main.py").write_text(SERVER)
    services: list[Service] = []

    def start_service(*arguments: str, **options: object) -> Service:
        services.append(Service(runner, *arguments, cwd=tmp_path, **options))  # type: ignore[arg-type]
        return services[-1]

    yield start_service
    for service in services:
        service.kill()


@pytest.fixture(scope="session")
def as_init() -> list[str]:
    """The command before which a program becomes PID 1."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if shutil.which(command[0]) is None:
        pytest.skip("needs unshare(1) of util-linux")
    probe = subprocess.run([*command, "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"may not make a PID namespace: {probe.stderr.decode().strip()}")
    return command
