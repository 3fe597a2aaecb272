"""Loads a peer's package when its adapter is opened, so that a missing one costs only its own lines."""

import importlib
from typing import Any


def third_party(module: str) -> Any:
    """The module, untyped: the peers' stubs differ from version to version and are not ours to check."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RuntimeError(f"{error} (pip install -r requirements/bench.txt)") from error
