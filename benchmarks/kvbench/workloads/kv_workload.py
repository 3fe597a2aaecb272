"""Put, get, view and batches of 1,000, one process at a time.

Keys are put in one random order and looked up in another; all look-ups hit. Plain dict runs before and after
the peer in the same process, and the ratios are to the mean of both: this machine's own speed drifts by more
than most peers differ.
"""

import gc

from kvbench import data, peers
from kvbench.measure import Metrics, Result, nanoseconds_each
from kvbench.peers.base import Store, Views
from kvbench.settings import Settings

PEERS = ("dict", peers.OURS, "lmdb", "redis", "oobtree", "sortedcontainers", "leveldb")

HOT_KEYS = 1_000
HOT_ROUNDS = 100

# Which figure of dict's a peer's figure is compared with: dict has no view, so get stands in for it.
RATIOS = {
    "put": "put",
    "get": "get",
    "view": "get",
    "put_many": "put_many",
    "get_many": "get_many",
    "hot_get_fresh": "hot_get_fresh",
    "hot_get_hashed": "hot_get_hashed",
}


def run(peer: str, settings: Settings) -> Result:
    gc.disable()
    values = data.values(settings.entries)
    before = measure(peers.make("dict"), values, settings)
    store = peers.make(peer)
    metrics = measure(store, values, settings)
    after = measure(peers.make("dict"), values, settings)
    base = {name: (before[name] + after[name]) / 2 for name in before}
    ratios = {
        f"{name}_x_dict": base[f"{of_dict}_ns"] / metrics[f"{name}_ns"]
        for name, of_dict in RATIOS.items()
        if f"{name}_ns" in metrics
    }
    return Result(metrics | ratios | {f"dict_{name}": figure for name, figure in base.items()}, store.note)


def measure(store: Store, values: list[bytes], settings: Settings) -> Metrics:
    return (
        _singles(store, values, settings)
        | _batch_puts(store, values, settings)
        | _hot(store, values, settings)
    )


def _singles(store: Store, values: list[bytes], settings: Settings) -> Metrics:
    metrics = {}
    count = len(values)
    calls = min(count, store.single_calls or count)
    store.open(settings.shm)
    try:
        keys = data.shuffled_keys(count, 1, settings.work)
        metrics["put_ns"] = nanoseconds_each(calls, store.put, keys[:calls], values[:calls])
        if calls < count:
            store.put_many(keys[calls:], values[calls:])
        if store.value(keys[-1]) != values[-1]:
            raise AssertionError("the store does not hold what was put")
        keys = data.shuffled_keys(count, 2, settings.work)
        metrics["get_ns"] = nanoseconds_each(calls, store.get, keys[:calls])
        if isinstance(store, Views):
            keys = data.shuffled_keys(count, 3, settings.work)
            metrics["view_ns"] = nanoseconds_each(count, store.view, keys)
        keys = data.shuffled_keys(count, 4, settings.work)
        metrics["get_many_ns"] = nanoseconds_each(count, store.get_many, keys)
    finally:
        store.close()
    return metrics


def _batch_puts(store: Store, values: list[bytes], settings: Settings) -> Metrics:
    keys = data.shuffled_keys(len(values), 1, settings.work)
    store.open(settings.shm)
    try:
        return {"put_many_ns": nanoseconds_each(len(values), store.put_many, keys, values)}
    finally:
        store.close()


def _hot(store: Store, values: list[bytes], settings: Settings) -> Metrics:
    """A small store that stays in the cache, read with new key objects and with the same ones again."""
    rounds = 1 if store.single_calls else HOT_ROUNDS
    keys = [key for _ in range(rounds) for key in data.shuffled_keys(HOT_KEYS, 2, settings.work)]
    store.open(settings.shm)
    try:
        store.put(data.shuffled_keys(HOT_KEYS, 1, settings.work), values[:HOT_KEYS])
        store.get(data.shuffled_keys(HOT_KEYS, 3, settings.work))
        return {
            "hot_get_fresh_ns": nanoseconds_each(len(keys), store.get, keys),
            "hot_get_hashed_ns": nanoseconds_each(len(keys), store.get, keys),
        }
    finally:
        store.close()
