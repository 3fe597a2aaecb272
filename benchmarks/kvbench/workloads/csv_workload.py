"""A CSV file of 5 million rows, some 500 MB, until it answers key -> row; then pattern and column queries.

The page cache is warm. The file has four columns, key, int, float and a text of 60 bytes (5,000 different
ones, which a loader may notice), and quotes in 2 % of its rows. `csv+dict` over the first rows runs before
the peer in the same process and is the base of the ratio.
"""

import gc
import json
import os
import random
import time
from pathlib import Path

from kvbench import data, tables
from kvbench.measure import Result, nanoseconds_each, seconds
from kvbench.memory_use import PeakMemory, give_back
from kvbench.settings import Settings
from kvbench.tables import csv_dict
from kvbench.tables.base import Table

PEERS = tables.NAMES

BASE_ROWS = 500_000
TEXTS = 5_000
TEXT_BYTES = 60
ONE_DAY = "hash-06-06-2018-"


def run(peer: str, settings: Settings) -> Result:
    path, expected = _input(settings)
    base_rows = min(BASE_ROWS, settings.csv_rows)
    base = base_rows / seconds(csv_dict.read, str(path), base_rows)
    table = tables.make(peer)
    table.prepare()
    give_back()
    with PeakMemory(settings.python, os.getpid()) as peak:
        start = time.perf_counter()
        table.load(str(path))
        table.row(data.key(5))
        load = time.perf_counter() - start
    _check(table, expected)
    draw = random.Random(3).randrange
    keys = [data.key(draw(settings.csv_rows)) for _ in range(min(table.lookups, settings.csv_rows))]
    gc.collect()
    return Result(
        {
            "rows_per_s": settings.csv_rows / load,
            "mb_per_s": path.stat().st_size / load / 1e6,
            "rows_x_dict": settings.csv_rows / load / base,
            "load_seconds": load,
            "peak_mb": peak.bytes / 1e6,
            "row_ns": nanoseconds_each(len(keys), _look_up, table, keys),
            "glob_ms": seconds(table.price_sum, ONE_DAY) * 1e3,
            "column_ms": seconds(table.count_sum) * 1e3,
        },
        table.note,
    )


def _look_up(table: Table, keys: list[str]) -> None:
    row = table.row
    for key in keys:
        row(key)


def _check(table: Table, expected: dict[str, float]) -> None:
    found = {
        "row": table.row(data.key(5))[0],
        "prices": table.price_sum(ONE_DAY),
        "counts": table.count_sum(),
    }
    for name, value in found.items():
        if abs(value - expected[name]) > 1e-9 * abs(expected[name]):
            raise AssertionError(f"{name}: {value} instead of {expected[name]}")


def _input(settings: Settings) -> tuple[Path, dict[str, float]]:
    """The file, made once, and what it must answer."""
    path = Path(settings.work) / f"rows-{settings.csv_rows}.csv"
    answers = path.with_suffix(".json")
    if not answers.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        answers.write_text(json.dumps(_write(path, settings.csv_rows)))
    with path.open("rb") as file:  # warms the page cache
        while file.read(1 << 20):
            pass
    return path, json.loads(answers.read_text())


def _write(path: Path, rows: int) -> dict[str, float]:
    random_source = random.Random(5)
    letters = "abcdefghijklmnopqrstuvwxyz "
    texts = ["".join(random_source.choices(letters, k=TEXT_BYTES)) for _ in range(TEXTS)]
    expected = {"row": 0.0, "prices": 0.0, "counts": 0.0}
    with path.open("w") as file:
        file.write("key,count,price,text\n")
        for number in range(rows):
            text = texts[int(random_source.random() * TEXTS)]
            if number % 50 == 7:
                text = f'"{text[:20]}, ""x""{text[27:]}"'
            key, count = data.key(number), int(random_source.random() * 1e6)
            price = f"{random_source.random() * 1e4:.3f}"
            file.write(f"{key},{count},{price},{text}\n")
            expected["counts"] += count
            if key.startswith(ONE_DAY):
                expected["prices"] += float(price)
            if number == 5:
                expected["row"] = count
    return expected
