#!/usr/bin/env python3
"""What a ttl costs, beside the same calls without one and beside Redis in pipelines of 1,000.

    usage: build/release/bin/runner benchmarks/expiry.py [--keys N] [--repeats N]

Figures are medians in nanoseconds a key. "reclaim" is len() once all keys have expired, which frees every one of them;
Redis frees in the background and offers no call to wait for.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from kvbench.peers.redis_server import Redis

VALUE = b"v" * 100
LONG_SECONDS = 3600.0
SOON_SECONDS = 2.0  # longer than it takes to give it to every key
PIPELINE = 1_000

Figures = dict[str, float]


def each(keys: list[str], call: Callable[[str], object]) -> float:
    start = time.perf_counter()
    for key in keys:
        call(key)
    return (time.perf_counter() - start) / len(keys) * 1e9


def used_bytes(kv: Any) -> int:
    return sum(part["used_bytes"] for part in kv.stats()["parts"])


def measure_store(keys: list[str]) -> Figures:
    from kv_storage import Storage

    figures: Figures = {}
    with Storage.memory() as kv:
        kv["warm"] = 1
        figures["put"] = each(keys, lambda key: kv.put(key, VALUE))
        figures["get"] = each(keys, kv.get)
        figures["first expire"] = each(keys, lambda key: kv.expire(key, LONG_SECONDS))
        figures["expire"] = each(keys, lambda key: kv.expire(key, LONG_SECONDS))
        figures["get, with ttl"] = each(keys, kv.get)
        figures["persist"] = each(keys, kv.persist)
    with Storage.memory() as kv:
        for key in keys:
            kv.put(key, VALUE)
        without = used_bytes(kv)
    with Storage.memory() as kv:
        figures["put with ttl"] = each(keys, lambda key: kv.put(key, VALUE, LONG_SECONDS))
        figures["bytes for a ttl"] = (used_bytes(kv) - without) / len(keys)
        for key in keys:
            kv.expire(key, SOON_SECONDS)
        while keys[-1] in kv:  # reading reclaims nothing
            pass
        start = time.perf_counter()
        assert len(kv) == 0
        figures["reclaim"] = (time.perf_counter() - start) / len(keys) * 1e9
        assert kv.verify() == []
    return figures


def measure_redis(keys: list[str]) -> Figures:
    server = Redis()
    server.open("/dev/shm")
    try:
        return {
            "put": pipelined(server, keys, lambda pipe, key: pipe.set(key, VALUE)),
            "get": pipelined(server, keys, lambda pipe, key: pipe.get(key)),
            "first expire": pipelined(server, keys, lambda pipe, key: pipe.expire(key, int(LONG_SECONDS))),
            "expire": pipelined(server, keys, lambda pipe, key: pipe.expire(key, int(LONG_SECONDS))),
            "get, with ttl": pipelined(server, keys, lambda pipe, key: pipe.get(key)),
            "persist": pipelined(server, keys, lambda pipe, key: pipe.persist(key)),
            "put with ttl": pipelined(
                server, keys, lambda pipe, key: pipe.set(key, VALUE, ex=int(LONG_SECONDS))
            ),
        }
    finally:
        server.close()


def pipelined(server: Any, keys: list[str], call: Callable[[Any, str], object]) -> float:
    start = time.perf_counter()
    for first in range(0, len(keys), PIPELINE):
        pipe = server._client.pipeline(transaction=False)
        for key in keys[first : first + PIPELINE]:
            call(pipe, key)
        pipe.execute()
    return (time.perf_counter() - start) / len(keys) * 1e9


PEERS: dict[str, Callable[[list[str]], Figures]] = {"kv_storage": measure_store, "Redis": measure_redis}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    keys = [f"session:{number:012}" for number in range(options.keys)]
    rows: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(options.repeats):
        for peer, measure in PEERS.items():
            for name, figure in measure(keys).items():
                rows[name][peer].append(figure)
    print(" " * 18 + "".join(f"{peer:>12}" for peer in PEERS))
    for name, peers in rows.items():
        cells = (f"{statistics.median(peers[peer]):,.0f}" if peer in peers else "-" for peer in PEERS)
        print(f"{name:18}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main()
