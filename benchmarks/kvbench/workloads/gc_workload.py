"""What resident entries cost CPython's garbage collector.

`gc.collect()` with the store full, and the longest collection that an unrelated program sees while it makes
two million lists; both divided by the same with nothing resident, in the same process. `objects` is a dict of
plain instances, the data structure that the collector has to walk.
"""

import gc
import time

from kvbench import data, peers
from kvbench.measure import Metrics, Result, seconds
from kvbench.peers.base import Store
from kvbench.settings import Settings

OBJECTS = "objects"
PEERS = ("dict", OBJECTS, peers.OURS, "lmdb", "oobtree")

COLLECTIONS = 15
PAUSE_ROUNDS = 3
LOAD_STEP = 100_000


class Record:
    """An entry as a program without a store would hold it."""

    def __init__(self, number: int, price: float, text: bytes) -> None:
        self.number = number
        self.price = price
        self.text = text


def run(peer: str, settings: Settings) -> Result:
    if peer == OBJECTS:
        empty = _collector_cost(settings)
        resident = _objects(settings.entries)
        full = _collector_cost(settings)
        return _result(empty, full, len(resident), "a dict of instances with three attributes")
    store = peers.make(peer)
    count = settings.gc_entries if peer == peers.OURS else settings.entries
    store.open(settings.shm)
    try:
        empty = _collector_cost(settings)
        _load(store, count)
        return _result(empty, _collector_cost(settings), count, store.note)
    finally:
        store.close()


def _result(empty: Metrics, full: Metrics, count: int, note: str) -> Result:
    ratios = {f"{name.removesuffix('_ms')}_x_empty": full[name] / empty[name] for name in full}
    before = {f"empty_{name}": figure for name, figure in empty.items()}
    return Result(full | ratios | before | {"entries": count}, note)


def _objects(count: int) -> dict[str, Record]:
    return {
        data.key(number): Record(number, number * 0.5, value)
        for number, value in enumerate(data.values(count))
    }


def _load(store: Store, count: int) -> None:
    values = data.values(LOAD_STEP)
    for start in range(0, count, LOAD_STEP):
        numbers = range(start, min(start + LOAD_STEP, count))
        store.put_many([data.key(number) for number in numbers], values[: len(numbers)])


def _collector_cost(settings: Settings) -> Metrics:
    """The least of several rounds: whatever else the machine does only adds."""
    gc.collect()
    collect = min(seconds(gc.collect) for _ in range(COLLECTIONS))
    pause = min(_longest_pause(settings.unrelated_lists) for _ in range(PAUSE_ROUNDS))
    return {"collect_ms": collect * 1e3, "longest_pause_ms": pause * 1e3}


def _longest_pause(lists: int) -> float:
    pauses = [0.0]
    started = 0.0

    def note(phase: str, _: dict[str, int]) -> None:
        nonlocal started
        if phase == "start":
            started = time.perf_counter()
        else:
            pauses.append(time.perf_counter() - started)

    gc.callbacks.append(note)
    unrelated = [[number] for number in range(lists)]
    gc.callbacks.remove(note)
    del unrelated
    return max(pauses)
