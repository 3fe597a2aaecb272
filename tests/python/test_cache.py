"""Cache: bounded, shared, one computation per missing key."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from kv_storage import (
    ArgumentError,
    Cache,
    ClosedError,
    Error,
    KindError,
    MissingKeyError,
    ReentryError,
    Storage,
)

from . import cache_jobs

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def cache(kv: Storage) -> Cache:
    return kv.cache("c", capacity="1MB")


# ---- Keys and values ----


def test_what_is_put_comes_back(cache: Cache) -> None:
    values: list[Any] = [
        None,
        True,
        5,
        2**80,
        1.5,
        "té",
        b"bytes",
        [1, {"a": (2,)}],
        np.arange(5),
        np.zeros(10_000),
    ]
    for number, value in enumerate(values):
        assert cache.put(f"k{number}", value) is True
        got = cache.get(f"k{number}", "absent")
        assert type(got) is type(value)
        assert np.array_equal(got, value) if isinstance(value, np.ndarray) else got == value
    assert len(cache) == len(values)
    assert "k0" in cache
    assert b"k0" in cache
    assert cache.get("x") is None
    assert cache.get("x", 7) == 7
    assert cache.delete("k1") is True
    assert cache.delete("k1") is False
    assert cache.pop("k2") == 5
    assert cache.pop("k2", 3) == 3
    with pytest.raises(MissingKeyError):
        cache.pop("k2")
    cache.clear()
    assert len(cache) == 0
    assert cache


def test_it_never_holds_more_than_its_capacity(kv: Storage) -> None:
    cache = kv.cache("c", capacity=100_000)
    for number in range(5_000):
        cache.put(f"key-{number}", b"x" * (number % 700))
        if number % 100 == 0:
            stats = cache.stats()
            assert stats["bytes"] <= stats["capacity"] == 100_000
    stats = cache.stats()
    assert stats["entries"] == len(cache)
    assert stats["evictions"] > 1_000
    cache.resize("20kB")
    assert cache.stats()["bytes"] <= 20_000
    cache.resize("1MiB")
    assert kv.cache("c").stats()["capacity"] == 2**20
    assert kv.cache("c", capacity="5kB").stats()["capacity"] == 5_000


def test_a_value_larger_than_the_cache_is_not_stored(kv: Storage) -> None:
    cache = kv.cache("c", capacity="10kB")
    cache.put("k", "small")
    assert cache.put("k", b"x" * 20_000) is False
    assert "k" not in cache
    assert cache.stats()["refused"] == 1
    assert cache.get_or_compute("k", lambda: b"x" * 20_000) == b"x" * 20_000
    assert "k" not in cache


def test_it_keeps_what_is_asked_for_while_a_scan_passes(kv: Storage) -> None:
    cache = kv.cache("c", capacity="100kB")
    hot = [f"hot-{i}" for i in range(100)]
    for key in hot * 3:
        cache.get_or_compute(key, lambda: b"x" * 100)
    for number in range(10_000):
        cache.put(f"scan-{number}", b"x" * 100)
    assert sum(key in cache for key in hot) >= 85  # a few share a counter with a key of the scan


def test_statistics_count_what_happened(cache: Cache) -> None:
    cache.put("a", 1)
    for _ in range(3):
        cache.get("a")
    cache.get("b")
    stats = cache.stats()
    assert (stats["hits"], stats["misses"], stats["entries"], stats["refused"]) == (3, 1, 1, 0)
    assert set(stats) == {
        *("hits", "misses", "evictions", "expirations"),
        *("refused", "entries", "bytes", "capacity"),
    }


def test_views_survive_eviction(kv: Storage) -> None:
    cache = kv.cache("c", capacity="200kB")
    array = np.arange(10_000, dtype="u4")
    cache.put("array", array)
    seen = cache.get("array")
    cache.resize("20kB")
    for number in range(2_000):
        cache.put(f"k{number}", b"x" * 200)
    assert "array" not in cache
    assert seen is not None
    assert np.array_equal(seen, array)


def test_entries_expire(kv: Storage) -> None:
    cache = kv.cache("c", capacity="1MB", ttl=0.001)
    assert cache.ttl == 0.001
    assert kv.cache("c").ttl is None
    cache.put("soon", 1)
    cache.put("later", 2, ttl=3600)
    kv.cache("c").put("never", 3)
    while "soon" in cache:
        pass
    assert cache.get("soon") is None
    assert len(cache) == 2
    assert cache.stats()["expirations"] == 1
    assert (cache.get("later"), cache.get("never")) == (2, 3)


# ---- Names ----


def test_caches_by_name(kv: Storage) -> None:
    one = kv.cache("one", capacity="1MB")
    two = kv.cache("two", capacity="1MB")
    one.put("k", 1)
    assert two.get("k") is None
    assert kv.cache("one").get("k") == 1
    assert kv.collections() == {"one": "cache", "two": "cache"}
    assert one.name == "one"
    assert repr(two) == "<kv_storage.Cache 'two', 0 of 1000000 bytes>"
    again = pickle.loads(pickle.dumps(kv.cache("one", ttl=5)))
    assert (again.get("k"), again.ttl) == (1, 5)
    assert kv.drop("one") is True
    with pytest.raises(ClosedError):
        one.get("k")
    kv.hash("h")
    with pytest.raises(KindError):
        kv.cache("h")
    with pytest.raises(KindError):
        kv.hash("two")
    with Storage.memory() as other:
        closed = other.cache()
        assert closed.stats()["capacity"] == 256_000_000
    with pytest.raises(ClosedError):
        closed.get("k")


def test_cache_is_that_of_the_process() -> None:
    try:
        Cache("mine", capacity="1MB").put("k", 1)
        assert Storage().cache("mine").get("k") == 1
    finally:
        Storage().drop("mine")


@pytest.mark.parametrize(
    "capacity",
    [0, -1, 10, "0", "10", "many", "", "-5MB", "1XB", "256MB MB", 2**64, "999999TB", 1e6, b"1MB", True],
)
def test_capacities_that_make_no_sense(kv: Storage, cache: Cache, capacity: Any) -> None:
    for call in (lambda: kv.cache("new", capacity=capacity), lambda: cache.resize(capacity)):
        with pytest.raises((ArgumentError, KindError)):
            call()
    assert "new" not in kv.collections()
    assert cache.stats()["capacity"] == 1_000_000


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e300, "5", True])
def test_ttls_that_make_no_sense(kv: Storage, cache: Cache, ttl: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: cache.put("k", 1, ttl=ttl),
        lambda: cache.get_or_compute("k", lambda: 1, ttl=ttl),
        lambda: cache.memoize(ttl=ttl),
        lambda: kv.cache("c", ttl=ttl),
    ]
    for call in calls:
        with pytest.raises(ArgumentError):
            call()
    assert len(cache) == 0


def test_wrong_types(cache: Cache) -> None:
    with pytest.raises(TypeError):
        cache.put(5, 1)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError):
        cache.put("k" * 70_000, 1)
    with pytest.raises(KindError):
        cache.put("k", object())
    with pytest.raises(KindError):
        cache.get_or_compute("k", 5)  # type: ignore[arg-type]
    with pytest.raises(KindError):
        cache.get_or_compute("k", object)
    assert cache.get_or_compute("k", lambda: 1) == 1


class AgainstADict(RuleBasedStateMachine):
    """Whatever the cache returns is what was put last."""

    keys = st.integers(0, 30).map(lambda number: f"key-{number}")

    def __init__(self) -> None:
        super().__init__()
        self.kv = Storage.memory(max_memory=64 * 1024 * 1024)
        self.cache = self.kv.cache("c", capacity=4_096)
        self.last: dict[str, bytes] = {}

    @rule(key=keys, size=st.integers(0, 900), byte=st.integers(0, 255))
    def put(self, key: str, size: int, byte: int) -> None:
        self.last[key] = bytes([byte]) * size
        assert self.cache.put(key, self.last[key])
        assert self.cache.get(key) == self.last[key]

    @rule(key=keys)
    def get(self, key: str) -> None:
        assert self.cache.get(key) in (None, self.last.get(key))

    @rule(key=keys)
    def pop(self, key: str) -> None:
        assert self.cache.pop(key, None) in (None, self.last.pop(key, None))
        assert key not in self.cache

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.cache.delete(key)
        self.last.pop(key, None)
        assert self.cache.get(key) is None

    @rule(key=keys, value=st.binary(max_size=50))
    def compute(self, key: str, value: bytes) -> None:
        self.last[key] = self.cache.get_or_compute(key, lambda: value)

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.last.clear()

    @rule(capacity=st.integers(4_096, 20_000))
    def resize(self, capacity: int) -> None:
        self.cache.resize(capacity)

    @invariant()
    def is_sound(self) -> None:
        stats = self.cache.stats()
        assert stats["bytes"] <= stats["capacity"]
        assert stats["entries"] == len(self.cache) <= len(self.last)

    def teardown(self) -> None:
        assert self.kv.verify() == []
        self.kv.close()


TestAgainstADict = AgainstADict.TestCase
TestAgainstADict.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)


# ---- One computation per missing key ----


def test_one_of_many_threads_computes(cache: Cache) -> None:
    calls: list[int] = []
    with ThreadPoolExecutor(8) as pool:
        for number in range(100):

            def compute(number: int = number) -> int:
                calls.append(number)
                return number

            asked = [pool.submit(cache.get_or_compute, f"k{number}", compute) for _ in range(8)]
            assert [one.result() for one in asked] == [number] * 8
    assert calls == list(range(100))


def test_an_exception_goes_to_its_caller_and_the_others_go_on(cache: Cache) -> None:
    started = threading.Event()
    fail = threading.Event()

    def broken() -> int:
        started.set()
        fail.wait()
        raise LookupError("not today")

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(cache.get_or_compute, "k", broken)
        started.wait()
        others = [pool.submit(cache.get_or_compute, "k", lambda: "computed") for _ in range(2)]
        fail.set()
        with pytest.raises(LookupError, match="not today"):
            first.result()
        assert [other.result() for other in others] == ["computed", "computed"]


def test_who_computes_a_key_may_not_ask_for_it(cache: Cache) -> None:
    with pytest.raises(ReentryError) as caught:
        cache.get_or_compute("k", lambda: cache.get_or_compute("k", lambda: 1))
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, Error)
    assert cache.get_or_compute("k", lambda: cache.get_or_compute("other", lambda: 2)) == 2


def test_waiting_obeys_signals(cache: Cache) -> None:
    started, release = threading.Event(), threading.Event()

    def slow() -> int:
        started.set()
        release.wait()
        return 1

    def interrupt(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, interrupt)
    thread = threading.Thread(target=cache.get_or_compute, args=("k", slow))
    thread.start()
    try:
        started.wait()
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(InterruptedError):
            cache.get_or_compute("k", lambda: 2)
    finally:
        signal.signal(signal.SIGALRM, before)
        release.set()
        thread.join()
    assert cache.get("k") == 1


def test_one_of_many_forked_processes_computes(cache: Cache) -> None:
    readable, writable = os.pipe()
    workers = [FORK.Process(target=cache_jobs.compute_all, args=(cache, writable, 200)) for _ in range(4)]
    for worker in workers:
        worker.start()
    os.close(writable)
    with open(readable, "rb") as computed:
        assert len(computed.read()) == 200
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0


SPAWNING = """
import multiprocessing

from kv_storage import Cache, Storage


def work(_):
    cache = Cache("shared", capacity="1MB")
    calls = Storage().hash("calls")
    return [cache.get_or_compute(f"key-{n}", lambda: calls.incr("n") and n * 2) for n in range(50)]


if __name__ == "__main__":
    Storage().hash("calls")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        answers = pool.map(work, range(2), chunksize=1)
    assert answers == [[n * 2 for n in range(50)]] * 2
    print(Storage().hash("calls")["n"], len(Cache("shared")))
"""


def test_one_of_many_spawned_processes_computes(tmp_path: Path) -> None:
    script = tmp_path / "spawning.py"
    script.write_text(SPAWNING)
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr, result.returncode) == ("50 50\n", "", 0)


def test_the_computation_of_a_killed_process_is_taken_over(cache: Cache) -> None:
    ready = FORK.Event()
    worker = FORK.Process(target=cache_jobs.die_computing, args=(cache, ready))
    worker.start()
    ready.wait()
    with ThreadPoolExecutor(2) as pool:
        calls: list[int] = []

        def compute() -> int:
            calls.append(1)
            return 5

        waiting = [pool.submit(cache.get_or_compute, "key", compute) for _ in range(2)]
        worker.kill()
        worker.join()
        assert [one.result() for one in waiting] == [5, 5]
    assert len(calls) == 1


# ---- memoize ----


def test_memoize_calls_once_for_the_same_arguments(cache: Cache) -> None:
    calls: list[tuple[object, ...]] = []

    @cache.memoize(ttl=3600)
    def price(item: object, *, currency: str = "EUR", rate: float = 1) -> list[object]:
        """What it costs."""
        calls.append((item, currency, rate))
        return [item, currency, rate]

    for _ in range(3):
        assert price("a") == ["a", "EUR", 1]
        assert price("a", currency="USD", rate=2) == ["a", "USD", 2]
        assert price("a", rate=2, currency="USD") == ["a", "USD", 2]
        assert price([1, {"x": (2,)}]) == [[1, {"x": (2,)}], "EUR", 1]
        assert [type(price(one)[0]) for one in (1, 1.0, True)] == [int, float, bool]
        assert price("x" * 5_000)[0] == "x" * 5_000
    assert len(calls) == 7
    assert price.__name__ == "price"
    assert price.__doc__ == "What it costs."
    assert price.cache is cache
    assert price.__wrapped__("b") == ["b", "EUR", 1]
    price.cache_clear()
    price("a")
    assert len(calls) == 9
    with pytest.raises(KindError):
        price(object())


def test_memoize_without_parentheses_and_of_none(cache: Cache) -> None:
    calls = []

    @cache.memoize
    def nothing() -> None:
        calls.append(1)

    @cache.memoize
    def other() -> int:
        return 1

    assert (nothing(), nothing(), other()) == (None, None, 1)
    assert len(calls) == 1
    other.cache_clear()
    nothing()
    assert len(calls) == 1
    with pytest.raises(KindError):
        cache.memoize(5)  # type: ignore[call-overload]


def test_memoize_of_a_recursive_function(cache: Cache) -> None:
    @cache.memoize
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(80) == 23416728348467685


def test_memoize_async(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize(ttl=3600)
    async def slow(number: int) -> int:
        calls.append(number)
        await asyncio.sleep(0)
        if number < 0:
            raise LookupError(number)
        return number * 2

    async def main() -> None:
        assert await asyncio.gather(*(slow(n % 3) for n in range(30))) == [n % 3 * 2 for n in range(30)]
        assert sorted(calls) == [0, 1, 2]
        failed = await asyncio.gather(slow(-1), slow(-1), return_exceptions=True)
        assert [type(one) for one in failed] == [LookupError, LookupError]
        task = asyncio.create_task(slow(7))
        await asyncio.sleep(0)
        waiter = asyncio.create_task(slow(7))
        task.cancel()
        assert await waiter == 14

    asyncio.run(main())
    assert asyncio.run(slow(1)) == 2
    assert asyncio.iscoroutinefunction(slow)
    slow.cache_clear()
    assert asyncio.run(slow(1)) == 2
    assert calls.count(1) == 2


def test_memoize_async_refuses_to_await_itself(cache: Cache) -> None:
    @cache.memoize
    async def circle(number: int) -> int:
        return await circle(number)

    with pytest.raises(ReentryError):
        asyncio.run(circle(1))


def test_memoize_async_computes_once_in_all_processes(cache: Cache) -> None:
    calls = FORK.Value("i", 0)
    workers = [FORK.Process(target=cache_jobs.await_in_process, args=(cache, calls)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert calls.value == 50
