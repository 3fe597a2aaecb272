"""Plain-text tables of a run."""

from collections.abc import Iterable

from kvbench.results import Results
from kvbench.targets import Verdict


def table(rows: list[list[str]]) -> str:
    """Columns padded to their widest cell, the first to the left and the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(_padded(row, widths) for row in rows)


def _padded(row: list[str], widths: list[int]) -> str:
    rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join([row[0].ljust(widths[0]), *rest])


def figure(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    if value >= 1e4:
        return f"{value / 1e3:.3g} k"
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def workload_rows(workload: str, results: Results) -> list[list[str]]:
    """One row for each metric, one column for each peer; what dict did beside each peer is left out."""
    peers = results.peers(workload)
    metrics = [name for name in results.metrics(workload) if not name.startswith(("dict_", "empty_"))]
    return [
        [workload, *peers],
        *([name, *(figure(results.median(workload, peer, name)) for peer in peers)] for name in metrics),
    ]


def target_rows(verdicts: Iterable[Verdict]) -> list[list[str]]:
    return [
        ["", "ours", "x dict", "best peer", "x best", "target", "value", "met"],
        *map(_target_row, verdicts),
    ]


def _target_row(verdict: Verdict) -> list[str]:
    return [
        verdict.title,
        figure(verdict.ours),
        figure(verdict.x_dict),
        verdict.best_peer or "-",
        figure(verdict.x_best),
        verdict.target,
        figure(verdict.value),
        "yes" if verdict.met else "NO",
    ]
