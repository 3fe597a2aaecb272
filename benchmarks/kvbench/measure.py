"""Clock, rates and what a worker reports."""

import dataclasses
import time
from collections.abc import Callable, Sized
from typing import Any

Metrics = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Result:
    """Figures of one worker process. The end of a metric's name says its unit: see `less_is_better`."""

    metrics: Metrics
    note: str = ""


def less_is_better(metric: str) -> bool:
    """True for times and sizes, false for rates and for ratios of speeds."""
    return metric.endswith(
        ("_ns", "_us", "_ms", "_seconds", "_bytes", "_mb", "_growth", "_x_empty", "_x_python")
    )


def seconds(function: Callable[..., Any], *arguments: Any) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def nanoseconds_each(count: int, function: Callable[..., Any], *arguments: Any) -> float:
    return seconds(function, *arguments) / count * 1e9


@dataclasses.dataclass(frozen=True)
class Rate:
    """Queries, and keys found by them, in a second."""

    queries_per_s: float
    matches_per_s: float


def query_rate(query: Callable[[int], Sized], duration: float) -> Rate:
    """Calls `query(0)`, `query(1)`, ... for `duration` seconds."""
    queries = matches = 0
    start = time.perf_counter()
    while True:
        matches += len(query(queries))
        queries += 1
        elapsed = time.perf_counter() - start
        if elapsed >= duration:
            return Rate(queries / elapsed, matches / elapsed)
