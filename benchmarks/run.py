"""Measures kv_storage beside dict and other stores, each (workload, peer) in a process of its own.

    python benchmarks/run.py                                    # everything, about 35 minutes on 2 cores
    python benchmarks/run.py --quick                            # a smoke test; the figures mean nothing
    python benchmarks/run.py --workloads kv,csv --peers kv_storage,lmdb --json out.json

The packages of the peers are in requirements/bench.txt; Redis is Debian's redis-server.
"""

import argparse
import datetime
import json
import os
import signal
import site
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kvbench import machine, report, results, targets, workloads
from kvbench.measure import Result
from kvbench.peers import OURS
from kvbench.results import Line, Results
from kvbench.settings import Settings

HERE = Path(__file__).resolve().parent
WORKER_SECONDS = 900


class WorkerFailed(Exception):
    """A worker process ended without figures."""


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workloads", default=",".join(workloads.NAMES), help="default: %(default)s")
    parser.add_argument("--peers", help="default: all that a workload knows")
    parser.add_argument("--repeats", type=int, help="processes for each figure; default 3, or 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="small sizes: a smoke test")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.add_argument(
        "--runner",
        type=Path,
        default=HERE.parent / "build/release/bin/runner",
        help="runs the peer kv_storage: the runner, or a python3 that can import it; default: %(default)s",
    )
    parser.add_argument("--work", help="folder for generated input, kept for the next run")
    options = parser.parse_args(arguments)
    options.workloads = options.workloads.split(",")
    unknown = set(options.workloads) - set(workloads.NAMES)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(workloads.NAMES)}")
    options.peers = options.peers.split(",") if options.peers else None
    if (options.peers is None or OURS in options.peers) and not options.runner.exists():
        parser.error(
            f"no {options.runner}: build it, or name one with --runner, or leave {OURS} out with --peers"
        )
    options.repeats = options.repeats or (1 if options.quick else 3)
    return options


def make_settings(options: argparse.Namespace) -> Settings:
    plain = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    settings = Settings(runner=str(options.runner.absolute()), python=str(plain))
    if options.work:
        settings = Settings(settings.runner, settings.python, str(Path(options.work).absolute()))
    return settings.quick() if options.quick else settings


def command(workload: str, peer: str, settings: Settings) -> list[str]:
    executable = settings.runner if peer == OURS and workload != "start" else sys.executable
    return [executable, str(HERE / "worker.py"), workload, peer, settings.to_json()]


def environment() -> dict[str, str]:
    """Lets the runner find this interpreter's packages, and gives every process the same hashes."""
    paths = [os.environ.get("PYTHONPATH", ""), *site.getsitepackages()]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONHASHSEED": "0"}


def run_worker(workload: str, peer: str, settings: Settings) -> Result:
    process = subprocess.Popen(
        command(workload, peer, settings),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that its own children (a server, readers) can be ended with it
    )
    try:
        output, errors = process.communicate(timeout=WORKER_SECONDS)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode:
        raise WorkerFailed(errors.strip()[-2_000:] or f"ended with status {process.returncode}")
    return Result(**json.loads(output.splitlines()[-1]))


def chosen_peers(workload: str, options: argparse.Namespace) -> list[str]:
    return [peer for peer in workloads.load(workload).PEERS if options.peers is None or peer in options.peers]


def measure(
    workload: str, options: argparse.Namespace, settings: Settings, errors: list[str]
) -> Iterator[Line]:
    """Peers take turns within each repeat, so that a slow minute does not hit one of them alone."""
    peers = chosen_peers(workload, options)
    runs: dict[str, list[Result]] = {peer: [] for peer in peers}
    for repeat in range(options.repeats):
        for peer in peers:
            print(f"{workload}: {peer} {repeat + 1}/{options.repeats}", file=sys.stderr, flush=True)
            try:
                runs[peer].append(run_worker(workload, peer, settings))
            except (WorkerFailed, subprocess.TimeoutExpired) as error:
                errors.append(f"{workload}, {peer}: {error}")
    for peer, done in runs.items():
        if done:
            yield results.summarise(workload, peer, done)


def document(
    options: argparse.Namespace,
    settings: Settings,
    found: Results,
    judged: list[targets.Verdict],
    errors: list[str],
) -> dict[str, Any]:
    return {
        "schema": results.SCHEMA,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": ["benchmarks/run.py", *sys.argv[1:]],
        "commit": machine.commit(str(HERE)),
        "quick": options.quick,
        "repeats": options.repeats,
        "entries": settings.entries,
        "csv_rows": settings.csv_rows,
        "machine": machine.machine(),
        "versions": machine.versions(),
        "results": [results.to_json(line) for line in found.lines],
        "targets": [vars(verdict) for verdict in judged],
        "errors": errors,
    }


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    settings = make_settings(options)
    errors: list[str] = []
    lines: list[Line] = []
    for workload in options.workloads:
        lines += measure(workload, options, settings, errors)
        print(report.table(report.workload_rows(workload, Results(lines))), end="\n\n", flush=True)
    found = Results(lines)
    judged = targets.verdicts(found)
    if judged:
        print(report.table(report.target_rows(judged)))
    if options.quick:
        print("\nquick run: these figures show only that the programs work")
    for error in errors:
        print(f"FAILED {error}", file=sys.stderr)
    if options.json:
        options.json.write_text(
            json.dumps(document(options, settings, found, judged, errors), indent=1) + "\n"
        )
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
