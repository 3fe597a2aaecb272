#!/usr/bin/env python3
"""A column as a List, a built-in list and a pandas Categorical: memory, and the speed of single calls.

    usage: build/release/bin/runner benchmarks/list_memory.py [--data DIRECTORY] [--repeats N]

The columns are of the flights of 2013 (scripts/fetch_flights.py): the tail number of each flight, of which there are some
4,000, and its key as configs/flights.ini makes it, of which each is another. Bytes are those that each keeps for the
column: blocks in use of the store; the list and the str objects in it, each counted once, as csv.reader makes them (a
new one for each row) and with equal ones shared; memory_usage(deep=True) of pandas, whose str columns keep their texts
outside of Python's objects. Times are medians in nanoseconds a call, values and positions in random order.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CALLS = 100_000


def columns(directory: Path) -> dict[str, list[str]]:
    tails, keys = [], []
    with (directory / "flights.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            tails.append(row["tailnum"])
            day, month = int(row["day"]), int(row["month"])
            keys.append(
                f"{row['origin']}-{row['dest']}-{day:02}-{month:02}-{row['year']}-{row['carrier']}{row['flight']}"
            )
    return {"tailnum": tails, "key": keys}


def list_bytes(values: list[str]) -> int:
    return sys.getsizeof(values) + sum(
        sys.getsizeof(text) for text in {id(text): text for text in values}.values()
    )


def store_bytes(values: list[str]) -> int:
    from kv_storage import Storage

    with Storage.memory() as kv:
        column = kv.list("column")
        before = sum(part["used_bytes"] for part in kv.stats()["parts"])
        column.extend(values)
        assert column == values
        return sum(part["used_bytes"] for part in kv.stats()["parts"]) - before


def memory(name: str, values: list[str]) -> None:
    import pandas as pd  # type: ignore[import-untyped]

    shared: dict[str, str] = {}
    rows = {
        "kv_storage List": store_bytes(values),
        "list, a str for each": list_bytes(values),
        "list, equal str shared": list_bytes([shared.setdefault(text, text) for text in values]),
        "pandas str": pd.Series(values, dtype="str").memory_usage(index=False, deep=True),
        "pandas Categorical": pd.Series(pd.Categorical(values)).memory_usage(index=False, deep=True),
    }
    print(f"\n{name}: {len(values):,} values, {len(set(values)):,} distinct")
    for peer, count in rows.items():
        print(f"  {peer:24}{count:14,} bytes{count / len(values):9.2f} each")


def nanoseconds(call: Callable[[Any], object], arguments: Iterable[Any], repeats: int) -> float:
    arguments = list(arguments)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for argument in arguments:
            call(argument)
        times.append((time.perf_counter() - start) / len(arguments) * 1e9)
    return statistics.median(times)


def once(call: Callable[[], object], count: int, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) / count * 1e9)
    return statistics.median(times)


def figures(column: Any, values: list[str], repeats: int) -> dict[str, float]:
    draw = random.Random(1)
    places = [draw.randrange(len(values)) for _ in range(CALLS)]
    some = [values[place] for place in places]
    measured = {"extend, a value": once(lambda: column.extend(values), len(values), 1)}
    measured["[i]"] = nanoseconds(column.__getitem__, places, repeats)
    measured["[i] = value"] = nanoseconds(
        lambda place: column.__setitem__(place, values[place]), places, repeats
    )
    measured["append"] = nanoseconds(column.append, some, repeats)
    measured["pop()"] = nanoseconds(lambda _: column.pop(), range(CALLS), repeats)
    measured["insert in the middle"] = nanoseconds(
        lambda place: column.insert(place, "N"), places[:1000], repeats
    )
    measured["pop in the middle"] = nanoseconds(lambda place: column.pop(place), places[:1000], repeats)
    measured["iteration, a value"] = once(lambda: sum(1 for _ in column), len(column), repeats)
    measured["count(value)"] = nanoseconds(column.count, some[:50], repeats)
    measured["in, absent"] = nanoseconds(lambda _: "absent" in column, range(20), repeats)
    return measured


def speed(name: str, values: list[str], repeats: int) -> None:
    from kv_storage import Storage

    with Storage.memory() as kv:
        ours = figures(kv.list("column"), values, repeats)
    theirs = figures([], values, repeats)
    print(f"\n{name}: nanoseconds a call{'':9}List{'':10}list")
    for what, figure in ours.items():
        print(f"  {what:24}{figure:14,.0f}{theirs[what]:14,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / "data")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    for name, values in columns(options.data).items():
        memory(name, values)
        speed(name, values, options.repeats)


if __name__ == "__main__":
    main()
