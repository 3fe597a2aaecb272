"""Puts a result of run.py into the documentation: draws the plots and renews the tables of the pages that have some.

    python benchmarks/publish.py benchmarks/results/NAME.json
    python benchmarks/publish.py benchmarks/results/NAME.json --page docs/cache.md     # of a run of that workload only

Only what stands between a page's `begin` and `end` comments changes. With `--page` no plots are drawn.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import plot
from kvbench import report, results, workloads
from kvbench.results import Results
from kvbench.targets import Verdict

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
PAGES = [DOCS / name for name in ("benchmarks.md", "cache.md", "map_and_set.md")]


def markdown(rows: list[list[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def provenance(document: dict[str, Any], source: str) -> str:
    """Where, when and how the figures were taken: one run, or parts put together by merge.py."""
    machine = document["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    runs = document.get("runs", [document])
    taken = "; ".join(
        f"`python {' '.join(run['command'])}` on {run['date'][:16].replace('T', ' ')} UTC at {run['commit']}, "
        f"{run['repeats']} process{'es' if run['repeats'] != 1 else ''} for each figure"
        for run in runs
    )
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, "
        f"kernel {machine['kernel']}, Python {machine['python']}; {document['entries']:,} entries, "
        f"{document['csv_rows']:,} CSV rows. Taken with {taken}. {packages}. "
        f"All figures: [{source}](../benchmarks/results/{source})."
    )


def sections(document: dict[str, Any], source: str) -> dict[str, str]:
    """What belongs into the page, by the name in its comments."""
    found = Results([results.from_json(line) for line in document["results"]])
    made = {
        "provenance": provenance(document, source),
        "targets": markdown(report.target_rows(Verdict(**fields) for fields in document["targets"])),
    }
    for workload in workloads.NAMES:
        if found.peers(workload):
            made[workload] = markdown(report.workload_rows(workload, found))
    return made


def renew(page: str, made: dict[str, str]) -> str:
    """The page with each section that was made in place of the one it had."""

    def section(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        return f"{begin}\n{made[name]}\n{end}" if name in made else match[0]

    return re.sub(r"(<!-- begin (\w+) -->)\n.*?(<!-- end \2 -->)", section, page, flags=re.DOTALL)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("result", type=Path, help="a JSON file written by run.py")
    parser.add_argument("--page", type=Path, action="append", help="default: all that have tables")
    options = parser.parse_args(arguments)
    document = json.loads(options.result.read_text())
    if options.page is None:
        plot.draw_all(document, HERE / "plots")
    for page in options.page or PAGES:
        page.write_text(renew(page.read_text(), sections(document, options.result.name)))


if __name__ == "__main__":
    main(sys.argv[1:])
