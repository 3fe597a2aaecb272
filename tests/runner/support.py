"""Run programs in a clean environment; find the runner under test and the python3 it must behave like."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TIMEOUT = 120.0


@dataclass(frozen=True)
class Outcome:
    """What a process did: exit code (negative = signal), standard output, standard error."""

    code: int
    out: str
    err: str


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the tester's settings but what finding programs takes."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": "/nonexistent",
        **(extra or {}),
    }


def restore_signals() -> None:
    """A test run in the background of a shell starts with SIGINT ignored; its children must not."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)


def run_program(
    program: Path | str,
    *arguments: str | bytes | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
) -> Outcome:
    """Run to the end; output is decoded so that any bytes survive."""
    done = subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env=clean_environment(env),
        input=stdin.encode(),
        capture_output=True,
        timeout=TIMEOUT,
        preexec_fn=restore_signals,
        check=False,
    )
    decode = "utf-8", "surrogateescape"
    return Outcome(done.returncode, done.stdout.decode(*decode), done.stderr.decode(*decode))


def find_runner() -> Path:
    """The executable under test: RUNNER_BINARY, else the one that runs these tests, else the release build's."""
    own = (
        sys.executable
        if "kv_storage" in sys.builtin_module_names
        else REPOSITORY / "build/release/bin/runner"
    )
    path = Path(os.environ.get("RUNNER_BINARY") or own)
    if not path.is_file():
        pytest.exit(f"no runner at {path}: build it, or set RUNNER_BINARY", returncode=2)
    return path.absolute()


def find_python(runner: Path) -> Path:
    """The python3 of the very installation that the runner embeds."""
    probe = "import sys, json; print(json.dumps([sys.base_exec_prefix, *sys.version_info[:2]]))"
    prefix, major, minor = json.loads(run_program(runner, "-I", "-S", "-c", probe).out)
    return Path(prefix, "bin", f"python{major}.{minor}")


def python_version(program: Path) -> str:
    """Major and minor version, such as "3.11"."""
    return run_program(
        program, "-I", "-S", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"
    ).out.strip()


def borrow_packages(runner: Path, name: str) -> dict[str, str]:
    """An environment in which the runner finds what is installed for the interpreter that runs the tests."""
    package = importlib.util.find_spec(name)
    if package is None or package.origin is None:
        pytest.skip(f"needs {name}")
    if python_version(runner) != f"{sys.version_info.major}.{sys.version_info.minor}":
        pytest.skip(f"the {name} at hand is for another Python than the runner's")
    return {"PYTHONPATH": str(Path(package.origin).parents[1])}
