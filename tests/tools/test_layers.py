"""The layer check accepts this tree and refuses each kind of wrong include."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / "scripts" / "dev" / "check_layers.py"


def run_check(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, CHECK, root], capture_output=True, text=True, check=False)


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def make_tree(root: Path) -> None:
    write(root, "kv_storage_module/include/kv_storage/store.hpp", "#include <string>\n")
    write(root, "kv_storage_module/src/memory/arena.hpp", '#include "kv_storage/store.hpp"\n')
    write(root, "kv_storage_module/src/index/tree.hpp", '#include "memory/arena.hpp"\n')
    write(root, "kv_storage_module/src/store/store.cpp", '#include "index/tree.hpp"\n')
    write(root, "kv_storage_module/python/convert.hpp", "#include <Python.h>\n")
    write(root, "runner/main.cpp", '#include "convert.hpp"\n')


def test_this_tree_obeys_the_layers() -> None:
    result = run_check(ROOT)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_small_tree_with_downward_includes_passes(tmp_path: Path) -> None:
    make_tree(tmp_path)
    result = run_check(tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("path", "include", "message"),
    [
        ("kv_storage_module/src/memory/pins.hpp", '"index/tree.hpp"', "'memory' must not include"),
        ("kv_storage_module/src/index/glob.cpp", '"store/names.hpp"', "'index' must not include"),
        ("kv_storage_module/include/kv_storage/hash.hpp", '"memory/arena.hpp"', "'public' must not include"),
        ("kv_storage_module/python/module.cpp", '"memory/arena.hpp"', "'python' must not include"),
        ("kv_storage_module/src/store/names.cpp", '"convert.hpp"', "'store' must not include"),
        ("kv_storage_module/src/index/glob.cpp", "<pybind11/pybind11.h>", "the core knows nothing of Python"),
        ("kv_storage_module/src/index/glob.cpp", "<Python.h>", "the core knows nothing of Python"),
        ("kv_storage_module/src/index/glob.cpp", '"../memory/arena.hpp"', "is relative"),
        ("kv_storage_module/src/sorting/sort.cpp", "<vector>", "layer 'sorting' has no row"),
    ],
)
def test_a_wrong_include_is_named_with_file_and_line(
    tmp_path: Path, path: str, include: str, message: str
) -> None:
    make_tree(tmp_path)
    write(tmp_path, path, f"// first line\n#include {include}\n")
    result = run_check(tmp_path)
    assert result.returncode == 1
    assert f"{path}:" in result.stderr
    assert message in result.stderr
