"""Random gets from one store by one and by two forked processes, and by two beside a writer.

The processes are made by `os.fork` after the store was filled; the writer overwrites random keys at full speed.

On two cores three processes share the processors, so what a writer costs the readers is told per second of their own
processor time: a fair scheduler alone takes a third of the clock's. What they keep by the clock is told as well.

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
    one, two, beside = _fill_and_read(store, settings)
    base, _, _ = _fill_and_read(peers.make("dict"), settings)
    written = {
        "writer_puts_per_s": beside["puts_per_s"],
        "beside_writer_gets_per_s": beside["gets_per_s"],
        "beside_writer_share": beside["gets_per_cpu_s"] / two["gets_per_cpu_s"],
        "beside_writer_clock_share": beside["gets_per_s"] / two["gets_per_s"],
    }
    return Result(
        (written if beside["puts_per_s"] else {})
        | {
            "one_gets_per_s": one["gets_per_s"],
            "two_gets_per_s": two["gets_per_s"],
            "scaling": two["gets_per_s"] / one["gets_per_s"],
            "two_x_dict": two["gets_per_s"] / base["gets_per_s"],
            "private_mb": two["private_mb"],
            "dict_one_gets_per_s": base["gets_per_s"],
        },
        store.note,
    )


def _fill_and_read(store: Store, settings: Settings) -> tuple[Metrics, Metrics, Metrics]:
    store.open(settings.shm)
    try:
        store.put_many(data.shuffled_keys(settings.entries, 1, settings.work), data.values(settings.entries))
        store.before_fork()
        # One reader before and after the two, as the machine's speed drifts.
        before = _readers(1, store, settings)
        two = _readers(2, store, settings)
        beside = _readers(2, store, settings, with_writer=True)
        after = _readers(1, store, settings)
        one = {name: (before[name] + after[name]) / 2 for name in before}
        return one, two, beside
    finally:
        store.close()


def _readers(count: int, store: Store, settings: Settings, with_writer: bool = False) -> Metrics:
    """Sum of the readers' rates, the most memory that reading made private to one of them, and the writer's rate."""
    start_read, start_write = os.pipe()
    children = []
    for seed in range(count + with_writer):
        report_read, report_write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(start_write)
            _child(store, settings, seed, start_read, report_write, writes=seed == count)
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
    readers = reports[:count]
    return {
        "gets_per_s": sum(report["per_s"] for report in readers),
        "gets_per_cpu_s": sum(report["per_cpu_s"] for report in readers),
        "private_mb": max(report["private_mb"] for report in readers),
        "puts_per_s": sum(report["per_s"] for report in reports[count:]),
    }


def _child(store: Store, settings: Settings, seed: int, start: int, report: int, writes: bool) -> None:
    """Never returns: the parent's clean-up is not the child's to do."""
    status = 1
    try:
        draw = random.Random(seed).randrange
        keys = [data.key(draw(settings.entries)) for _ in range(LOOKUPS)]
        work = _overwriting(store) if writes else store.reader()
        os.write(report, b" ")
        os.read(start, 1)
        os.write(report, json.dumps(_repeat(work, keys, settings.query_seconds)).encode())
        status = 0
    finally:
        if status:
            import traceback

            traceback.print_exc()
        os._exit(status)


def _overwriting(store: Store) -> Callable[[Sequence[str]], None] | None:
    put = store.writer()
    if put is None:
        return None
    values = data.values(BATCH, 8)
    return lambda keys: put(keys, values)


def _repeat(work: Callable[[Sequence[str]], None] | None, keys: list[str], duration: float) -> Metrics:
    if work is None:
        return {"per_s": 0, "per_cpu_s": 0, "private_mb": 0}
    before = private_dirty()
    done = 0
    start, start_cpu = time.perf_counter(), time.process_time()
    while True:
        at = done % len(keys)
        work(keys[at : at + BATCH])
        done += BATCH
        elapsed = time.perf_counter() - start
        if elapsed >= duration:
            return {
                "per_s": done / elapsed,
                "per_cpu_s": done / (time.process_time() - start_cpu),
                "private_mb": (private_dirty() - before) / 1e6,
            }
