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
    path = [os.path.dirname(kv_storage.__file__)] if getattr(kv_storage, "__file__", None) else []
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
    assert run("mypy.stubtest", "kv_storage", "--allowlist", str(ALLOWED)) == ""


def test_the_examples_are_typed_as_they_say() -> None:
    assert run("mypy", "tests/typing/api_examples.py") == ""


def test_the_examples_run() -> None:
    runpy.run_path(str(pathlib.Path(__file__).with_name("api_examples.py")), run_name="__main__")
