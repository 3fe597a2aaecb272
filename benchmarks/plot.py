"""Draws the plots of the documentation from a result of run.py.

    python benchmarks/plot.py benchmarks/results/NAME.json

One SVG for each plot goes to benchmarks/plots/. The background is transparent, and the colours are legible
on a light page and on a dark one.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from kvbench import results
from kvbench.measure import less_is_better
from kvbench.peers import OURS
from kvbench.results import Results
from kvbench.third_party import third_party

HERE = Path(__file__).resolve().parent
INK = "#808080"
OURS_COLOUR = "#2f81f7"
PEER_COLOUR = "#9e9e9e"
PANEL_INCHES = 2.9
BAR_INCHES = 0.27


@dataclasses.dataclass(frozen=True)
class Panel:
    """Horizontal bars of one metric, one for each peer, the best on top."""

    workload: str
    metric: str
    heading: str
    divisor: float = 1


PLOTS = {
    "point": (
        Panel("kv", "get_x_dict", "get, x dict"),
        Panel("kv", "get_many_x_dict", "get_many by 1,000, x dict"),
        Panel("kv", "put_x_dict", "put, x dict"),
    ),
    "ordered": (
        Panel("prefix", "keys_matches_per_s", "find keys, million/s", 1e6),
        Panel("prefix", "items_matches_per_s", "find items, million/s", 1e6),
        Panel("prefix", "scan_items_per_s", "scan all, million/s", 1e6),
    ),
    "memory": (
        Panel("memory", "overhead_bytes", "bytes per entry beside key and value"),
        Panel("gc", "collect_ms", "one gc.collect(), ms"),
    ),
    "csv": (
        Panel("csv", "rows_per_s", "CSV to key -> row, million rows/s", 1e6),
        Panel("csv", "peak_mb", "peak memory, GB", 1e3),
    ),
}


def bars(panel: Panel, found: Results) -> list[tuple[str, float]]:
    """Peers with their figures, the best last, as bars are drawn upwards."""
    figures = [
        (peer, found.median(panel.workload, peer, panel.metric)) for peer in found.peers(panel.workload)
    ]
    known = [(peer, value / panel.divisor) for peer, value in figures if value is not None]
    return sorted(known, key=lambda bar: bar[1], reverse=less_is_better(panel.metric))


def draw(path: Path, panels: tuple[Panel, ...], found: Results) -> None:
    pyplot = third_party("matplotlib.pyplot")
    columns = [bars(panel, found) for panel in panels]
    size = (PANEL_INCHES * len(panels), 0.5 + BAR_INCHES * max(map(len, columns)))
    figure, axes = pyplot.subplots(1, len(panels), figsize=size, squeeze=False)
    for axis, panel, column in zip(axes[0], panels, columns, strict=True):
        draw_panel(axis, panel.heading, column)
    figure.tight_layout()
    figure.savefig(path, transparent=True, metadata={"Date": None})
    pyplot.close(figure)


def draw_panel(axis: Any, heading: str, column: list[tuple[str, float]]) -> None:
    names = [name for name, _ in column]
    values = [value for _, value in column]
    drawn = axis.barh(names, values, color=[OURS_COLOUR if name == OURS else PEER_COLOUR for name in names])
    axis.bar_label(drawn, [f"{value:.3g}" for value in values], padding=3, color=INK, fontsize=8)
    axis.set_title(heading, color=INK, fontsize=9)
    axis.set_xlim(right=max([*values, 0]) * 1.2 or 1)
    axis.set_xticks([])
    axis.tick_params(axis="y", length=0, labelcolor=INK, labelsize=8)
    for side in axis.spines.values():
        side.set_visible(False)


def draw_all(document: dict[str, Any], folder: Path) -> None:
    """Draws every plot that the result has figures for."""
    found = Results([results.from_json(line) for line in document["results"]])
    matplotlib = third_party("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "kv_storage"  # the same file for the same figures
    folder.mkdir(parents=True, exist_ok=True)
    for name, panels in PLOTS.items():
        shown = tuple(panel for panel in panels if bars(panel, found))
        if shown:
            draw(folder / f"{name}.svg", shown, found)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("result", type=Path, help="a JSON file written by run.py")
    parser.add_argument("--folder", type=Path, default=HERE / "plots", help="default: %(default)s")
    options = parser.parse_args(arguments)
    draw_all(json.loads(options.result.read_text()), options.folder)


if __name__ == "__main__":
    main(sys.argv[1:])
