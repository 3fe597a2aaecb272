"""Finding keys by prefix (1,000 of a million) and by an inner wildcard, and walking all items in order.

Every query asks for another date, so that no answer is ready in a cache. The glob is asked of a store with
few keys that do not match, then of one with a hundred times as many: a store that descends by the pattern
does not notice.
"""

import fnmatch
import gc
from collections.abc import Sized

from kvbench import data, peers
from kvbench.measure import Metrics, Result, query_rate, seconds
from kvbench.peers.base import Globs, OrderedScan, PrefixQueries, Store
from kvbench.settings import Settings

PEERS = ("dict", peers.OURS, "lmdb", "redis", "oobtree", "sortedcontainers", "leveldb")

FIRST_DATE = data.DATES.index("06-06-2018")
DATE_STEP = 37  # coprime to the number of dates, so that all are visited
GLOB = "hash-*-06-2018-*"
GLOB_MATCHES = 1_000
GLOB_GROWTH = 100


def run(peer: str, settings: Settings) -> Result:
    gc.disable()
    store = peers.make(peer)
    metrics = _queries(store, settings)
    if isinstance(store, Globs):
        metrics |= _glob(store, settings)
    return Result(metrics, store.note)


def prefix(query: int) -> str:
    return f"hash-{data.DATES[(FIRST_DATE + query * DATE_STEP) % data.DATE_COUNT]}-"


def _queries(store: Store, settings: Settings) -> Metrics:
    assert isinstance(store, PrefixQueries)
    keys = data.shuffled_keys(settings.entries, 1, settings.work)
    values = data.values(settings.entries)
    store.open(settings.shm)
    try:
        store.put_many(keys, values)
        _check(store.prefix_keys(prefix(0)), [key for key in keys if key.startswith(prefix(0))])
        by_keys = query_rate(lambda query: store.prefix_keys(prefix(query)), settings.query_seconds)
        by_items = query_rate(lambda query: store.prefix_items(prefix(query)), settings.query_seconds)
        metrics = {
            "keys_queries_per_s": by_keys.queries_per_s,
            "keys_matches_per_s": by_keys.matches_per_s,
            "items_queries_per_s": by_items.queries_per_s,
            "items_matches_per_s": by_items.matches_per_s,
        }
        if isinstance(store, OrderedScan):
            metrics["scan_items_per_s"] = settings.entries / seconds(store.scan)
    finally:
        store.close()
    return metrics


def _glob(store: Store, settings: Settings) -> Metrics:
    few = _glob_seconds(store, settings.entries // GLOB_GROWTH, settings)
    many = _glob_seconds(store, settings.entries, settings)
    return {"glob_few_us": few * 1e6, "glob_many_us": many * 1e6, "glob_growth": many / few}


def _glob_seconds(store: Store, unmatched: int, settings: Settings) -> float:
    """Seconds of a query among `unmatched` keys of other months, spread over the same days as the matches."""
    assert isinstance(store, Globs)
    pick = fnmatch.filter(data.DATES, "*-06-2018")
    others = [date for date in data.DATES if date not in pick]
    matches = [f"hash-{pick[i % len(pick)]}-{i:07d}" for i in range(GLOB_MATCHES)]
    keys = [f"hash-{others[i % len(others)]}-{i:07d}" for i in data.shuffled(unmatched, 1, settings.work)]
    store.open(settings.shm)
    try:
        store.put_many(matches + keys, [b"x" * data.VALUE_BYTES] * (len(matches) + len(keys)))
        _check(store.glob_keys(GLOB), matches)

        def query(_: int) -> Sized:
            return store.glob_keys(GLOB)

        return 1 / query_rate(query, settings.query_seconds).queries_per_s
    finally:
        store.close()


def _check(found: list[str | bytes] | object, expected: list[str]) -> None:
    assert isinstance(found, list)
    texts = sorted(key.decode() if isinstance(key, bytes) else key for key in found)
    if texts != sorted(expected):
        raise AssertionError(f"{len(texts)} keys found instead of {len(expected)}")
