"""Puts several results of run.py, taken workload by workload, into one: a full run blocks a machine for half an hour.

    python benchmarks/merge.py kv.json prefix.json ... --json benchmarks/results/NAME.json

A figure that two of them have is taken from the later. `runs` of the result says when, at which commit and with which
command each part was taken; the targets are judged anew over all of it.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kvbench import results, targets, workloads
from kvbench.results import Line, Results

SAME = ("schema", "quick", "entries", "csv_rows", "machine")  # what parts of one result must agree on


def runs_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Where a part comes from, which may have been put together itself."""
    if "runs" in document:
        return list(document["runs"])
    found = dict.fromkeys(line["workload"] for line in document["results"])
    run = {name: document[name] for name in ("date", "commit", "command", "repeats")}
    return [run | {"workloads": list(found)}]


def merged(documents: list[dict[str, Any]]) -> dict[str, Any]:
    documents = sorted(documents, key=lambda document: str(document["date"]))
    first, last = documents[0], documents[-1]
    for document in documents:
        for name in SAME:
            if document[name] != first[name]:
                raise SystemExit(f"{name} differs: {first[name]} and {document[name]}")
    lines: dict[tuple[str, str], Line] = {}
    for document in documents:
        for fields in document["results"]:
            line = results.from_json(fields)
            lines[line.workload, line.peer] = line
    ordered = sorted(lines.values(), key=_order)
    return last | {
        "runs": [run for document in documents for run in runs_of(document)],
        "versions": {k: v for document in documents for k, v in document["versions"].items()},
        "results": [results.to_json(line) for line in ordered],
        "targets": [vars(verdict) for verdict in targets.verdicts(Results(ordered))],
        "errors": [error for document in documents for error in document["errors"]],
    }


def _order(line: Line) -> tuple[int, int]:
    """As a run over everything would report it."""
    return workloads.NAMES.index(line.workload), workloads.load(line.workload).PEERS.index(line.peer)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", type=Path, nargs="+", help="JSON files written by run.py")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the whole goes")
    options = parser.parse_args(arguments)
    whole = merged([json.loads(part.read_text()) for part in options.parts])
    options.json.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
