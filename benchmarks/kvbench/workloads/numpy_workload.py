"""NumPy arrays as values: 64 of 1 MB, more than the processor's cache, and 1,000 of 128 float64.

Every round puts all arrays again and then looks at all of them. Medians of the rounds.
"""

import statistics
from typing import Any

import numpy as np

from kvbench import peers
from kvbench.measure import Metrics, Result, seconds
from kvbench.peers.base import Arrays, Store
from kvbench.settings import Settings

PEERS = ("dict", peers.OURS, "lmdb", "redis")

LARGE = 131_072
SMALL = 128


def run(peer: str, settings: Settings) -> Result:
    base = _measure(peers.make("dict"), settings)
    store = peers.make(peer)
    metrics = _measure(store, settings)
    ratios = {
        f"{name}_x_dict": metrics[name] / base[name] for name in ("small_puts_per_s", "small_gets_per_s")
    }
    return Result(metrics | ratios | {"memcpy_gb_per_s": _memcpy(settings)}, store.note)


def _arrays(count: int, length: int) -> dict[str, Any]:
    return {f"hash-01-01-2017-{i:07d}": np.random.default_rng(i).normal(size=length) for i in range(count)}


def _measure(store: Store, settings: Settings) -> Metrics:
    large = _arrays(settings.large_arrays, LARGE)
    put, get, total = _rounds(store, large, settings)
    gigabytes = sum(array.nbytes for array in large.values()) / 1e9
    metrics = {
        "large_put_gb_per_s": gigabytes / put,
        "large_get_us": get / len(large) * 1e6,
        "large_sum_gb_per_s": gigabytes / total,
    }
    small = _arrays(settings.small_arrays, SMALL)
    put, get, _ = _rounds(store, small, settings)
    return metrics | {"small_puts_per_s": len(small) / put, "small_gets_per_s": len(small) / get}


def _rounds(store: Store, arrays: dict[str, Any], settings: Settings) -> tuple[float, float, float]:
    """Median seconds to put all, to get all, and to get and sum all."""
    assert isinstance(store, Arrays)
    get = store.get_array

    def put_all() -> None:
        for key, array in arrays.items():
            store.put_array(key, array)
        store.end_of_puts()

    def get_all() -> None:
        for key in arrays:
            get(key)

    def sum_all() -> None:
        for key in arrays:
            get(key).sum()

    times = []
    store.open(settings.shm)
    try:
        for _ in range(settings.array_rounds):
            times.append((seconds(put_all), seconds(get_all), seconds(sum_all)))
            for key, array in arrays.items():
                np.testing.assert_array_equal(get(key), array)
            store.end_of_gets()
    finally:
        store.close()
    put, got, summed = (statistics.median(column) for column in zip(*times, strict=True))
    return put, got, summed


def _memcpy(settings: Settings) -> float:
    source = list(_arrays(settings.large_arrays, LARGE).values())
    target = [np.zeros(LARGE) for _ in source]

    def copy() -> None:
        for one, other in zip(source, target, strict=True):
            other[:] = one

    gigabytes: float = sum(array.nbytes for array in source) / 1e9
    return gigabytes / min(seconds(copy) for _ in range(settings.array_rounds))
