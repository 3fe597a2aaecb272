"""Figures of a whole run: medians of the repeats, by workload and peer."""

import dataclasses
import statistics
from typing import Any

from kvbench.measure import Result

SCHEMA = 1  # of the JSON file; raise it when a field changes its meaning


@dataclasses.dataclass(frozen=True)
class Figure:
    """Median, least and most of the repeats."""

    median: float
    least: float
    most: float


@dataclasses.dataclass(frozen=True)
class Line:
    """What one peer did in one workload."""

    workload: str
    peer: str
    note: str
    repeats: int
    metrics: dict[str, Figure]


def summarise(workload: str, peer: str, runs: list[Result]) -> Line:
    metrics = {}
    for name in runs[0].metrics:
        values = [run.metrics[name] for run in runs]
        metrics[name] = Figure(_short(statistics.median(values)), _short(min(values)), _short(max(values)))
    return Line(workload, peer, runs[0].note, len(runs), metrics)


def to_json(line: Line) -> dict[str, Any]:
    return dataclasses.asdict(line)


def from_json(fields: dict[str, Any]) -> Line:
    metrics = {name: Figure(**figure) for name, figure in fields["metrics"].items()}
    return Line(**(fields | {"metrics": metrics}))


class Results:
    """Look-up of medians; None where a peer did not run or does not do the thing."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines
        self._medians = {
            (line.workload, line.peer, name): figure.median
            for line in lines
            for name, figure in line.metrics.items()
        }

    def median(self, workload: str, peer: str, metric: str) -> float | None:
        return self._medians.get((workload, peer, metric))

    def peers(self, workload: str) -> list[str]:
        return [line.peer for line in self.lines if line.workload == workload]

    def metrics(self, workload: str) -> list[str]:
        """Names in the order in which workers report them."""
        return list(
            dict.fromkeys(name for line in self.lines if line.workload == workload for name in line.metrics)
        )


def _short(value: float) -> float:
    return float(f"{value:.4g}")
