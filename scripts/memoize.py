"""A cache that all processes share: `runner scripts/memoize.py`."""

import multiprocessing
import time

from kv_storage import Cache, Storage

cache = Cache("prices", capacity="16MB")
calls = Storage().hash("calls")


@cache.memoize(ttl=60)
def price(item: str, *, currency: str = "EUR") -> float:
    """Stands for something slow: a query, a model, a request."""
    calls.incr(item)
    time.sleep(0.05)
    return len(item) * (1.0 if currency == "EUR" else 1.1)


def worker(_: int) -> list[float]:
    """Asks for the same prices as every other process."""
    return [price("book"), price("pen", currency="USD"), price("book")]


def main() -> None:
    """Four processes ask for two prices at the same time."""
    with multiprocessing.get_context("fork").Pool(4) as pool:
        answers = pool.map(worker, range(4), chunksize=1)
    print("every process got", answers[0], all(answer == answers[0] for answer in answers))
    print("computed", dict(calls))
    print("hits and misses", cache.stats()["hits"] > 0, cache.stats()["misses"] > 0)
    cache.put("page", "<html>", ttl=3600)
    print(cache.get("page"), cache.get("nothing", "no such page"), len(cache), "entries")
    price.cache_clear()
    print("after cache_clear", price("book"), "computed", calls["book"], "times")


if __name__ == "__main__":
    main()
