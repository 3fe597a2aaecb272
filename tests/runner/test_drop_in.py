"""DESIGN promise 1: whatever python3 takes works, and does the same, under the runner.

Each case runs under both, and exit code, standard output and standard error are compared.
Only the path of the executable may differ.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .drop_in_cases import CASES, FILES, Case
from .support import Outcome, run_program


def make_files(directory: Path, python: Path) -> None:
    for name, text in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (directory / "binary.py").write_bytes(bytes(range(256)))
    (directory / os.fsdecode(b"caf\xe9.py")).write_text("import sys; print(ascii([__file__, sys.argv]))")
    (directory / "link.py").symlink_to("directory/main.py")
    for command in ("zipapp application", "py_compile main.py"):
        assert run_program(python, "-m", *command.split(), cwd=directory).code == 0
    (directory / "application.pyz").rename(directory / "application.zip")
    next((directory / "__pycache__").glob("main.*")).rename(directory / "compiled.pyc")


@pytest.fixture(scope="module")
def compare(runner: Path, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], None]:
    """Run a case under both, in directories of the same name with the same files, and compare."""
    prefix = python.parents[1]
    home = tmp_path_factory.mktemp("drop_in")
    make_files(home / "files", python)

    def run_under(program: Path, name: str, which: Case) -> Outcome:
        directory = home / f"{which.name.replace('/', '_')[:40]}-{name}" / "cwd"
        shutil.copytree(home / "files", directory, symlinks=True)

        def fill(text: str) -> str:
            return text.replace("{cwd}", str(directory)).replace("{prefix}", str(prefix))

        done = run_program(
            program,
            *[fill(a) if isinstance(a, str) else a for a in which.arguments],
            cwd=directory,
            env={name: fill(value) for name, value in which.env.items()},
            stdin=which.stdin,
        )

        def neutral(text: str) -> str:
            text = text.replace(str(directory), "CWD").replace(str(program), "PYTHON")
            # pybind11's guard hands on why the interpreter cannot start, but not the C function that says so.
            text = re.sub(r"^Fatal Python error: [a-z_]+: ", "Fatal Python error: ", text)
            text = text.replace("\nExtension modules: kv_storage (total: 1)\n", "")
            text = re.sub(r"\bin \d\.\d{3}s", "in TIME", text)
            return re.sub(r"\b0x[0-9a-f]{6,}", "ADDRESS", text)

        return Outcome(done.code, neutral(done.out), neutral(done.err))

    def check(which: Case) -> None:
        expected = run_under(python, "python", which)
        assert run_under(runner, "runner", which) == expected

    return check


@pytest.mark.parametrize("which", CASES, ids=lambda which: which.name)
def test_behaves_like_python(compare: Callable[[Case], None], which: Case) -> None:
    compare(which)
