#!/usr/bin/env python3
"""Checks that C++ includes point down the layers and never up.

The table below is the architecture: a directory may include its own headers and those of the layers named beside it.
A new directory under ``kv_storage_module/src`` fails the check until it has a row here.

    usage: scripts/dev/check_layers.py [ROOT]
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

CORE = "kv_storage_module/src"

ALLOWED: dict[str, frozenset[str]] = {
    "public": frozenset(),
    "base": frozenset({"public"}),
    "memory": frozenset({"public", "base"}),
    "index": frozenset({"public", "base", "memory"}),
    "collections": frozenset({"public", "base", "memory", "index"}),
    "csv": frozenset({"public", "base", "memory", "index", "collections"}),
    "arrow": frozenset({"public", "base", "memory", "index", "collections"}),
    "cache": frozenset({"public", "base", "memory", "index", "collections"}),
    "persist": frozenset({"public", "base", "memory", "index", "collections"}),
    "store": frozenset({"public", "base", "memory", "index", "collections", "cache", "csv", "persist"}),
    "python": frozenset({"public"}),
    "runner": frozenset({"public", "python"}),
}

PYTHON_LAYERS = frozenset({"python", "runner"})

_INCLUDE = re.compile(r'^\s*#\s*include\s*(?P<open>[<"])(?P<path>[^>"]+)[>"]', re.MULTILINE)
_PYTHON_HEADER = re.compile(r"^(Python\.h|pybind11/|structmember\.h|numpy/)")


def layer_of_file(path: Path) -> str:
    """Names the layer a source file (relative to the root) belongs to."""
    parts = path.parts
    if parts[0] == "runner":
        return "runner"
    if parts[1] == "include":
        return "public"
    if parts[1] == "python":
        return "python"
    return parts[2]


def layer_of_include(include: str, own: str, root: Path) -> str | None:
    """Names the layer a quoted include belongs to; ``None`` for a header of the same directory or a third party."""
    first = include.split("/", 1)[0]
    if first == "kv_storage":
        return "public"
    if "/" in include and (root / CORE / first).is_dir():
        return first
    if own != "python" and (root / "kv_storage_module/python" / include).is_file():
        return "python"
    return None


def violations(root: Path) -> Iterator[str]:
    """Yields one line per include that the table does not allow."""
    folders = ["kv_storage_module/include", CORE, "kv_storage_module/python", "runner"]
    files = sorted(
        f for folder in folders for suffix in ("hpp", "cpp") for f in (root / folder).rglob(f"*.{suffix}")
    )
    for file in files:
        relative = file.relative_to(root)
        own = layer_of_file(relative)
        if own not in ALLOWED:
            yield f"{relative}:1: layer '{own}' has no row in the table of scripts/dev/check_layers.py"
            continue
        text = file.read_text(encoding="utf-8")
        for match in _INCLUDE.finditer(text):
            where = f"{relative}:{text.count(chr(10), 0, match.start('path')) + 1}"
            include = match["path"]
            if include.startswith(".."):
                yield f"{where}: '{include}' is relative; name it from the layer's root"
            if _PYTHON_HEADER.match(include) and own not in PYTHON_LAYERS:
                yield f"{where}: '{include}': the core knows nothing of Python"
            target = layer_of_include(include, own, root) if match["open"] == '"' else None
            if target is not None and target != own and target not in ALLOWED[own]:
                yield f"{where}: '{own}' must not include '{include}' of layer '{target}'"


def main(arguments: list[str]) -> int:
    """Prints the violations; the exit status says whether there were any."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[2]
    found = list(violations(root))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
