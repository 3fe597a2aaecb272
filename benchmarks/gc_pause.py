#!/usr/bin/env python3
"""What entries in memory cost Python: pauses of the garbage collector, memory of one process and of forked workers.

    usage: build/release/bin/runner benchmarks/gc_pause.py [--entries N] [--workers N] [--only ROW,ROW]

Each row is a process of its own with its settings of [python]. It holds N entries of a number, a price and a text of 60
characters under keys of 23; then come

    RSS       of that process, the store's pages included
    group     PSS of the process and its workers: forked, each has read 200,000 entries and collected once
    collect   gc.collect(), the least of 5
    longest   the longest collection that an unrelated program sees while it makes two million lists
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

LISTS = 2_000_000
READS = 200_000
COLLECTIONS = 5
BATCH = 50_000
TEXT = "x" * 52


class Entry:
    """As a program would write it first."""

    def __init__(self, number: int, price: float, text: str) -> None:
        self.number = number
        self.price = price
        self.text = text


class SlottedEntry:
    """The same without a dict."""

    __slots__ = ("number", "price", "text")

    def __init__(self, number: int, price: float, text: str) -> None:
        self.number = number
        self.price = price
        self.text = text


def key(number: int) -> str:
    return f"hash-{number % 28 + 1:02}-06-2018-{number:07}"


def text(number: int) -> str:
    return f"{number:08}{TEXT}"


# ---- What is held: each makes the entries and returns how one is read ----


def hold_objects(entry: type[Entry] | type[SlottedEntry]) -> Callable[[int], Callable[[str], object]]:
    def hold(count: int) -> Callable[[str], object]:
        held = {key(n): entry(n, n * 0.5, text(n)) for n in range(count)}
        return lambda name: held[name].price

    return hold


def hold_tuples(count: int) -> Callable[[str], object]:
    held = {key(n): (n, n * 0.5, text(n)) for n in range(count)}
    return lambda name: held[name][1]


def hold_bytes(count: int) -> Callable[[str], object]:
    held = {key(n): f"{n},{n * 0.5},{text(n)}".encode() for n in range(count)}
    return lambda name: held[name]


def batches(count: int) -> Iterable[range]:
    return (range(first, min(first + BATCH, count)) for first in range(0, count, BATCH))


def hold_records(count: int) -> Callable[[str], object]:
    from kv_storage import Storage

    records = Storage().hash("entries", schema={"number": "i8", "price": "f8", "text": "bytes[60]"})
    for numbers in batches(count):
        records.put_many({key(n): {"number": n, "price": n * 0.5, "text": text(n).encode()} for n in numbers})
    return lambda name: records[name].price


def hold_values(count: int) -> Callable[[str], object]:
    from kv_storage import Storage

    values = Storage().hash("entries")
    for numbers in batches(count):
        values.put_many({key(n): (n, n * 0.5, text(n)) for n in numbers})
    return lambda name: values[name][1]


class Row(NamedTuple):
    """How entries are held, and the [python] settings of the process."""

    hold: Callable[[int], Callable[[str], object]]
    settings: dict[str, str]


ROWS = {
    "nothing": Row(lambda count: lambda name: None, {}),
    "dict of objects": Row(hold_objects(Entry), {}),
    "dict of objects, gc = off": Row(hold_objects(Entry), {"gc": "off"}),
    "dict of objects, gc = freeze": Row(hold_objects(Entry), {"gc": "freeze"}),
    "dict of objects, allocator = malloc": Row(hold_objects(Entry), {"allocator": "malloc"}),
    "dict of objects with __slots__": Row(hold_objects(SlottedEntry), {}),
    "dict of tuples": Row(hold_tuples, {}),
    "dict of bytes": Row(hold_bytes, {}),
    "kv_storage, records": Row(hold_records, {}),
    "kv_storage, tuples": Row(hold_values, {}),
}


# ---- One row, in its own process ----


def figure(process: int | str, file: str, name: str) -> float:
    """In MB."""
    for line in Path(f"/proc/{process}/{file}").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise KeyError(name)


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def longest_pause() -> float:
    pauses, started = [0.0], 0.0

    def note(phase: str, _: dict[str, int]) -> None:
        nonlocal started
        if phase == "start":
            started = time.perf_counter()
        else:
            pauses.append(time.perf_counter() - started)

    gc.callbacks.append(note)
    unrelated = [[number] for number in range(LISTS)]
    gc.callbacks.remove(note)
    del unrelated
    return max(pauses)


def group_memory(read: Callable[[str], object], count: int, workers: int) -> float:
    """PSS of this process and of forked workers when all of them have done their work."""
    done_read, done = os.pipe()
    end, keeps_running = os.pipe()
    children = []
    for worker in range(workers):
        child = os.fork()
        if child == 0:
            os.close(keeps_running)
            step = count // READS or 1
            for number in range(worker, count, step):
                read(key(number))
            if gc.isenabled():
                gc.collect()
            os.write(done, b"x")
            os.read(end, 1)
            os._exit(0)
        children.append(child)
    for _ in children:
        os.read(done_read, 1)
    total = sum(figure(process, "smaps_rollup", "Pss") for process in [os.getpid(), *children])
    os.close(keeps_running)
    for child in children:
        os.waitpid(child, 0)
    return total


def measure(name: str, count: int, workers: int) -> dict[str, Any]:
    row = ROWS[name]
    gc.collect()
    start = time.perf_counter()
    read = row.hold(count)
    load = time.perf_counter() - start
    rss = figure("self", "status", "VmRSS")
    group = group_memory(read, count, workers)
    collect = min(timed(gc.collect) for _ in range(COLLECTIONS))
    longest = longest_pause()
    return {
        "load_s": load,
        "collect_ms": collect * 1e3,
        "longest_ms": longest * 1e3,
        "rss_mb": rss,
        "group_mb": group,
    }


# ---- All rows ----


def in_own_process(name: str, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        configuration = Path(directory, "cfg.ini")
        settings = "".join(f"{key} = {value}\n" for key, value in ROWS[name].settings.items())
        configuration.write_text(f"[python]\n{settings}")
        command = [sys.executable, f"--native_configuration={configuration}", __file__, "--measure", name]
        sizes = ["--entries", str(options.entries), "--workers", str(options.workers)]
        done = subprocess.run([*command, *sizes], stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", help="rows, by the beginning of their names")
    parser.add_argument("--measure", metavar="ROW", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.entries, options.workers)))
        return
    if "kv_storage" not in sys.builtin_module_names:
        parser.error("run this by the runner: the settings of [python] are its own")
    chosen = tuple(options.only.split(",")) if options.only else ("",)
    print(f"| {options.entries:,} entries | load s | RSS MB | group MB | collect ms | longest ms |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in ROWS:
        if name.startswith(chosen):
            found = in_own_process(name, options)
            sizes = (f"{found[column]:,.0f}" for column in ("rss_mb", "group_mb", "collect_ms", "longest_ms"))
            print("|", " | ".join([name, f"{found['load_s']:.1f}", *sizes]), "|", flush=True)


if __name__ == "__main__":
    main()
