"""Cache: bounded, shared, forgetful."""

from __future__ import annotations

import pickle
from collections.abc import Callable
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
    KindError,
    MissingKeyError,
    Storage,
)

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
