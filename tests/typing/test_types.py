"""The stub has the names and signatures of the module, and type checkers accept what runs."""

from __future__ import annotations

import importlib
import os
import pathlib
import runpy
import subprocess
import sys

import kv_storage
import pytest

ROOT = pathlib.Path(__file__).parents[2]
ALLOWED = pathlib.Path(__file__).with_name("stubtest_allowlist.txt")
STUBS = ROOT / "kv_storage_module/python"


def run(*arguments: str) -> str:
    file = getattr(kv_storage, "__file__", None)  # of the package, unless it is built in
    path = [os.path.dirname(os.path.dirname(file))] if file else []
    environment = os.environ | {"MYPYPATH": str(STUBS), "PYTHONPATH": os.pathsep.join(path + sys.path[1:])}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""


@pytest.fixture(autouse=True)
def needs_mypy() -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("needs mypy")


def test_the_stub_agrees_with_the_module() -> None:
    allowed = ["--allowlist", str(ALLOWED)]
    if hasattr(kv_storage, "__path__"):
        allowed += ["--allowlist", str(ALLOWED.with_name("package_allowlist.txt"))]
    assert run("mypy.stubtest", "kv_storage", *allowed) == ""


def test_the_examples_are_typed_as_they_say() -> None:
    assert run("mypy", "tests/typing/api_examples.py") == ""


def test_the_examples_run() -> None:
    runpy.run_path(str(pathlib.Path(__file__).with_name("api_examples.py")), run_name="__main__")
