"""Workloads by name, each a module that is a `Workload`."""

import importlib
from typing import Protocol, cast

from kvbench.measure import Result
from kvbench.settings import Settings

NAMES = ("kv", "prefix", "memory", "gc", "csv", "cores", "start", "numpy", "cache", "ordered", "durable")


class Workload(Protocol):
    """Names the peers it is defined for, and measures one of them in the calling process."""

    PEERS: tuple[str, ...]

    def run(self, peer: str, settings: Settings) -> Result: ...


def load(name: str) -> Workload:
    return cast(Workload, importlib.import_module(f"kvbench.workloads.{name}_workload"))
