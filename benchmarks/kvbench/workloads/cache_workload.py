"""Bounded caches under Zipf 0.99: a request is a get, and a put if that finds nothing.

Room for a tenth of the keys, values of 100 bytes, as many requests as five times the keys. Ratios are to a dict that
never evicts on the same requests in the same process. For kv_storage the capacity is what as many entries take.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kvbench import peers
from kvbench.data import key
from kvbench.measure import Result, nanoseconds_each
from kvbench.settings import Settings
from kvbench.third_party import third_party

PEERS = ("dict", peers.OURS, "lru_cache", "cachebox", "theine", "cachetools")

VALUE = b"v" * 100
EXPONENT = 0.99
Run = Callable[[Sequence[str]], int]


def run(peer: str, settings: Settings) -> Result:
    requests = _requests(settings.entries)
    sample = requests[: len(requests) // 5]
    dict_before = nanoseconds_each(len(sample), _dict(0), sample)
    cache = _MAKERS[peer](settings.entries // 10)
    missed: list[int] = []
    request = nanoseconds_each(len(requests), lambda: missed.append(cache(requests)))
    dict_after = nanoseconds_each(len(sample), _dict(0), sample)
    return Result(
        {
            "request_ns": request,
            "request_x_dict": (dict_before + dict_after) / 2 / request,
            "hit_ratio": 1 - missed[0] / len(requests),
        },
        _NOTES[peer],
    )


def _requests(keys: int) -> list[str]:
    random = np.random.default_rng(99)
    cumulative = np.cumsum(1.0 / np.arange(1, keys + 1) ** EXPONENT)
    ranks = np.searchsorted(cumulative / cumulative[-1], random.random(5 * keys))
    names = [key(number) for number in range(keys)]
    return [names[number] for number in random.permutation(keys)[ranks].tolist()]


def _loop(get: Callable[[str], Any], put: Callable[[str, bytes], object]) -> Run:
    def run_all(keys: Sequence[str]) -> int:
        missed = 0
        for one in keys:
            if get(one) is None:
                put(one, VALUE)
                missed += 1
        return missed

    return run_all


def _dict(_: int) -> Run:
    entries: dict[str, bytes] = {}
    return _loop(entries.get, entries.__setitem__)


def _ours(capacity: int) -> Run:
    from kv_storage import Storage

    kv = Storage.memory(max_memory=2**30)
    probe = kv.cache("probe")
    probe.put(key(0), VALUE)
    cache = kv.cache("bench", capacity=max(4096, probe.stats()["bytes"] * capacity))
    return _loop(cache.get, cache.put)


def _lru_cache(capacity: int) -> Run:
    def run_all(keys: Sequence[str]) -> int:
        load = functools.lru_cache(capacity)(lambda _: VALUE)
        for one in keys:
            load(one)
        return load.cache_info().misses

    return run_all


def _cachebox(capacity: int) -> Run:
    cache = third_party("cachebox").LRUCache(capacity)
    return _loop(cache.get, cache.__setitem__)


def _theine(capacity: int) -> Run:
    cache = third_party("theine").Cache(capacity)
    get = cache.get
    if isinstance(get("?"), tuple):
        return _loop(lambda one: get(one)[0], cache.set)
    return _loop(get, cache.set)


def _cachetools(capacity: int) -> Run:
    cache = third_party("cachetools").LRUCache(capacity)
    return _loop(cache.get, cache.__setitem__)


_MAKERS: dict[str, Callable[[int], Run]] = {
    "dict": _dict,
    peers.OURS: _ours,
    "lru_cache": _lru_cache,
    "cachebox": _cachebox,
    "theine": _theine,
    "cachetools": _cachetools,
}
_NOTES = {
    "dict": "The built-in, without a bound: it evicts nothing.",
    peers.OURS: "Shared between processes, copies values in and out.",
    "lru_cache": "functools.lru_cache around a function that returns the value.",
    "cachebox": "LRU in Rust, of one process.",
    "theine": "W-TinyLFU in Rust, of one process.",
    "cachetools": "LRU in pure Python, of one process.",
}
