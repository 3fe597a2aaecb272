"""Random gets from one store by one and by two processes, made by `os.fork` after the store was filled.

A dict is inherited too, but its reference counts are in its pages: reading makes them private to each
process.
"""

import json
import os
import random
import time
from collections.abc import Callable, Sequence

from kvbench import data, peers
from kvbench.measure import Metrics, Result
from kvbench.memory_use import private_dirty
from kvbench.peers.base import BATCH, Store
from kvbench.settings import Settings

PEERS = ("dict", peers.OURS, "lmdb", "redis")

LOOKUPS = 400_000  # keys that a reader makes before it starts, and then looks up in turn


def run(peer: str, settings: Settings) -> Result:
    store = peers.make(peer)
    one, two = _fill_and_read(store, settings)
    base, _ = _fill_and_read(peers.make("dict"), settings)
    return Result(
        {
            "one_gets_per_s": one["gets_per_s"],
            "two_gets_per_s": two["gets_per_s"],
            "scaling": two["gets_per_s"] / one["gets_per_s"],
            "two_x_dict": two["gets_per_s"] / base["gets_per_s"],
            "private_mb": two["private_mb"],
            "dict_one_gets_per_s": base["gets_per_s"],
        },
        store.note,
    )


def _fill_and_read(store: Store, settings: Settings) -> tuple[Metrics, Metrics]:
    store.open(settings.shm)
    try:
        store.put_many(data.shuffled_keys(settings.entries, 1, settings.work), data.values(settings.entries))
        store.before_fork()
        # One reader before and after the two, as the machine's speed drifts.
        before = _readers(1, store, settings)
        two = _readers(2, store, settings)
        after = _readers(1, store, settings)
        one = {name: (before[name] + after[name]) / 2 for name in before}
        return one, two
    finally:
        store.close()


def _readers(count: int, store: Store, settings: Settings) -> Metrics:
    """Sum of the readers' rates, and the most memory that reading made private to one of them."""
    start_read, start_write = os.pipe()
    children = []
    for seed in range(count):
        report_read, report_write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(start_write)
            _child(store, settings, seed, start_read, report_write)
        os.close(report_write)
        children.append((child, report_read))
    os.close(start_read)
    for _, report in children:
        os.read(report, 1)  # ready
    os.close(start_write)  # all start at the end of this pipe
    reports = []
    for child, report in children:
        with open(report) as lines:
            text = lines.read()
        os.waitpid(child, 0)
        if not text:
            raise RuntimeError("a reader failed; its traceback is above")
        reports.append(json.loads(text))
    return {
        "gets_per_s": sum(report["gets_per_s"] for report in reports),
        "private_mb": max(report["private_mb"] for report in reports),
    }


def _child(store: Store, settings: Settings, seed: int, start: int, report: int) -> None:
    """Never returns: the parent's clean-up is not the child's to do."""
    status = 1
    try:
        draw = random.Random(seed).randrange
        keys = [data.key(draw(settings.entries)) for _ in range(LOOKUPS)]
        read = store.reader()
        os.write(report, b" ")
        os.read(start, 1)
        os.write(report, json.dumps(_read(read, keys, settings.query_seconds)).encode())
        status = 0
    finally:
        if status:
            import traceback

            traceback.print_exc()
        os._exit(status)


def _read(read: Callable[[Sequence[str]], None], keys: list[str], duration: float) -> Metrics:
    before = private_dirty()
    done = 0
    start = time.perf_counter()
    while True:
        at = done % len(keys)
        read(keys[at : at + BATCH])
        done += BATCH
        elapsed = time.perf_counter() - start
        if elapsed >= duration:
            return {"gets_per_s": done / elapsed, "private_mb": (private_dirty() - before) / 1e6}
