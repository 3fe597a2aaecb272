"""A collection with a schema as a table of pyarrow, polars and pandas: by Arrow, and from its items.

    build/release/bin/runner benchmarks/arrow.py [--rows 1000000]

Prints nanoseconds a row, the best of three runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
from kv_storage import RecordHash, Storage

COLUMNS = {"dep_delay": "f4", "arr_delay": "f4", "distance": "i4", "carrier": "category", "day": "date"}


def fill(kv: Storage, rows: int) -> RecordHash:
    """Flights in random order, so that the order of keys is not that of memory."""
    random = np.random.default_rng(1)
    records = np.zeros(rows, dtype=[(name, "U2" if type_ == "category" else "M8[D]" if type_ == "date" else type_)
                                    for name, type_ in COLUMNS.items()])  # fmt: skip
    records["dep_delay"] = random.normal(size=rows)
    records["arr_delay"] = random.normal(size=rows)
    records["distance"] = random.integers(100, 5000, rows)
    records["carrier"] = random.choice(["UA", "B6", "DL", "AA"], rows)
    records["day"] = np.datetime64("2018-01-01") + random.integers(0, 365, rows)
    flights = kv.hash("flights", schema=COLUMNS)
    flights.put_many([f"EWR-SFO-{number:08}" for number in random.permutation(rows)], records)
    return flights


def columns_of(flights: RecordHash) -> dict[str, list[Any]]:
    """What one would write without Arrow: a list for each column."""
    keys, records = zip(*flights.items(), strict=True)
    return {"key": list(keys), **dict(zip(COLUMNS, map(list, zip(*records, strict=True)), strict=True))}


def best(work: Callable[[], object], runs: int = 3) -> float:
    """Seconds of the fastest run."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    flights = fill(Storage.memory(max_memory=max(1 << 28, rows * 1000)), rows)
    works: dict[str, Callable[[], object]] = {
        "column('dep_delay')": lambda: flights.column("dep_delay"),
        "to_numpy()": flights.to_numpy,
        "pyarrow, by Arrow": lambda: pa.table(flights),
        "pyarrow, from items": lambda: pa.table(columns_of(flights)),
        "polars, by Arrow": lambda: pl.Series(flights).struct.unnest(),
        "polars, from items": lambda: pl.DataFrame(columns_of(flights)),
        "pandas, by Arrow": lambda: pa.table(flights).to_pandas(),
        "pandas, from items": lambda: pd.DataFrame(columns_of(flights)),
    }
    for name, work in works.items():
        print(f"{name:22} {best(work) / rows * 1e9:8.0f} ns a row", flush=True)


if __name__ == "__main__":
    main()
