"""Plain python3 with the extension module of the same sources, as a child of a runner and as a guest."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .support import Outcome, run_program

Run = Callable[..., Outcome]

PARENT = """
import subprocess, sys
from kv_storage import Storage
kv = Storage()
kv.put_many({str(number): number for number in range(100)})
command = sys.argv[1:]
subprocess.run(command, check=True)
subprocess.run(["sh", "-c", '"$@"; exit $?', "sh", *command], check=True)
print(kv["children"], len(kv), kv.verify(), kv.stats()["recoveries"])
"""
CHILD = """
import sys
from kv_storage import Storage
assert "kv_storage" not in sys.builtin_module_names
kv = Storage()
assert sum(kv[str(number)] for number in range(100)) == 4950
kv.incr("children")
"""
POOL = """
import multiprocessing
from kv_storage import Storage

def work(number):
    return Storage().incr("children") and Storage()[str(number)]

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(work, range(100)) == list(range(100))
"""


@pytest.fixture
def extension() -> dict[str, str]:
    """The environment in which plain python3 finds the module."""
    directory = os.environ.get("KV_STORAGE_EXTENSION_DIR")
    if directory is None:
        pytest.skip("KV_STORAGE_EXTENSION_DIR names no directory with the extension module")
    return {"PYTHONPATH": str(Path(directory).absolute())}


def test_as_a_child_it_has_the_store_of_the_runner(run: Run, python: Path, extension: dict[str, str]) -> None:
    done = run("-c", PARENT, str(python), "-c", CHILD, env=extension)
    assert done == Outcome(0, "2 101 [] 0\n", "")


def test_its_own_children_have_it_too(
    run: Run, python: Path, extension: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "pool.py").write_text(POOL)
    done = run("-c", PARENT, str(python), "pool.py", env=extension)
    assert done == Outcome(0, "200 101 [] 0\n", "")


def test_as_a_guest_it_keeps_the_store_for_a_runner_to_come(
    run: Run, python: Path, extension: dict[str, str], tmp_path: Path
) -> None:
    """And the other way round: who is there first does not matter."""
    (tmp_path / "cfg.ini").write_text("[kv_storage]\npath = data\n")
    program = (
        "import subprocess, sys; from kv_storage import Storage; kv = Storage('data'); kv['plain'] = 1;"
        "subprocess.run([*sys.argv[1:]], check=True); print(kv['runner'])"
    )
    script = "from kv_storage import Storage; kv = Storage(); kv['runner'] = kv['plain'] + 1"
    runner = run("-c", "import sys; print(sys.executable)").out.strip()
    command = [runner, "--native_configuration=cfg.ini", "-c", script]
    assert run_program(python, "-c", program, *command, cwd=tmp_path, env=extension) == Outcome(0, "2\n", "")
