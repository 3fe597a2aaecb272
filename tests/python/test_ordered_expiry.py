"""Map entries and Set members that expire: absent to lookups, ranks, ranges and set algebra from that instant on."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from kv_storage import ArgumentError, Map, MissingKeyError, Set, Storage

from .support import LONG, NO_TTLS, SHORT, until


def let_expire(collection: Map | Set, *keys: Any) -> None:
    for key in keys:
        assert collection.expire(key, SHORT)
    until(lambda: not any(key in collection for key in keys))


def test_a_member_has_the_ttl_it_was_added_with_last(kv: Storage) -> None:
    s = kv.set("s")
    s.add("a")
    assert s.ttl("a") is None
    s.add("a", ttl=LONG)
    first = s.ttl("a")
    assert first is not None
    assert 0 < first <= LONG
    assert s.expire("a", 2 * LONG)
    assert (s.ttl("a") or 0) > LONG
    assert s.persist("a") is True
    assert s.persist("a") is False
    assert s.ttl("a") is None
    s.add("a", LONG)
    s.add("a")
    assert s.ttl("a") is None
    s.update(["a", "b"], {"c"}, ttl=LONG)
    assert all(s.ttl(member) is not None for member in "abc")
    s |= ["a"]
    s.update(["b"])
    assert s.ttl("a") is None
    assert s.ttl("b") is None
    assert s.ttl("c") is not None
    assert s == set("abc")


def test_set_algebra_keeps_the_ttl_of_what_stays_and_adds_for_good(kv: Storage) -> None:
    s, other = kv.set("s"), kv.set("other")
    s.update(range(4), ttl=LONG)
    other.update(range(2, 6), ttl=LONG)
    s &= [1, 2, 3]
    assert [s.ttl(member) is None for member in s] == [False] * 3
    s -= [1]
    s |= other
    assert [s.ttl(member) is None for member in s] == [True] * 4
    assert all(other.ttl(member) is not None for member in other)
    s.update(other, ttl=LONG)
    assert [s.ttl(member) is None for member in s] == [False] * 4
    s ^= kv.set("empty")
    assert s.ttl(5) is not None


def test_an_expired_entry_of_a_map_is_absent_to_every_call(kv: Storage) -> None:
    m = kv.map("m")
    m.put_many({10: "a", 20: "b"}, ttl=LONG)
    m.update({30: "c", 40: "d"})
    let_expire(m, 10, 30)
    assert m.get(30) is None
    assert m.get_many([10, 20, 30, 40]) == [None, "b", None, "d"]
    assert m.first() == (20, "b")
    assert m.last() == (40, "d")
    assert (m.rank(30), m.rank(40), m.rank(50)) == (1, 1, 2)
    assert [m.select(0), m.select(1), m.select(-1)] == [20, 40, 40]
    with pytest.raises(IndexError):
        m.select(2)
    assert m.floor(35) == 20
    assert m.floor(15) is None
    assert m.ceiling(5) == 20
    assert m.ceiling(30) == 40
    assert len(m) == 2
    assert len(m.range(10, 40)) == 1
    assert list(m.range(None, 31).items()) == [(20, "b")]
    assert list(m.range()[1:]) == [40]
    assert m.keys()[:] == [20, 40]
    assert m.items()[-1] == (40, "d")
    assert list(reversed(m)) == [40, 20]
    assert m.keys_array().tolist() == [20, 40]
    assert m == {20: "b", 40: "d"}
    assert m.range(10, 31).delete() == 1
    for call in (m.__getitem__, m.view, m.ttl, m.__delitem__, m.pop):
        with pytest.raises(MissingKeyError):
            call(30)
    assert m.delete(10) is False
    assert m.expire(10, 1) is False
    assert m.persist(10) is False
    m.put(5, "e", ttl=LONG)
    let_expire(m, 5)
    assert m.popfirst() == (40, "d")
    with pytest.raises(MissingKeyError):
        m.popfirst()
    assert m.setdefault(5, "new") == "new"
    assert m.ttl(5) is None
    assert m.incr(6) == 1


def expired_in_between(kv: Storage, name: str) -> Set:
    s = kv.set(name)
    s |= range(0, 60, 2)
    s.update(range(1, 60, 2), ttl=LONG)
    let_expire(s, *range(1, 60, 2))
    return s


def test_expired_members_are_in_no_result_of_set_algebra(kv: Storage) -> None:
    evens = set(range(0, 60, 2))
    for other in (list(range(60)), set(range(60)), kv.set("other")):
        if isinstance(other, Set):
            other.update(range(60))
        s = expired_in_between(kv, "s")
        assert s.intersection_count(other) == 30
        s = expired_in_between(kv, "s")
        assert s & other == evens
        assert s.issubset(other)
        assert not s.issuperset(other)
        s = expired_in_between(kv, "s")
        assert s == evens
        assert s <= set(range(60))
        s = expired_in_between(kv, "s")
        assert s - set() == evens
        assert set(other) - s == set(range(1, 60, 2))
        s ^= other
        assert s == set(range(1, 60, 2))
        s.clear()
    s, other = expired_in_between(kv, "s"), kv.set("fresh")
    other |= s
    assert other == evens
    other |= [1, 3]
    s = expired_in_between(kv, "s")
    other -= s
    assert other == {1, 3}
    other &= expired_in_between(kv, "s")
    assert other == set()


def test_expired_members_are_at_no_position(kv: Storage) -> None:
    evens = list(range(0, 60, 2))
    questions: list[tuple[Callable[[Set], Any], Any]] = [
        (len, 30),
        (list, evens),
        (lambda s: list(reversed(s)), evens[::-1]),
        (lambda s: s.rank(31), 16),
        (lambda s: s.select(7), 14),
        (lambda s: s.select(-1), 58),
        (Set.first, 0),
        (lambda s: s.floor(31), 30),
        (lambda s: s.ceiling(31), 32),
        (lambda s: len(s.range(1, 10)), 4),
        (lambda s: s.range(1, 10)[1:3], [4, 6]),
        (lambda s: s.range(1, 10)[::-1], [8, 6, 4, 2]),
        (lambda s: s.to_numpy().tolist(), evens),
        (Set.poplast, 58),
        (Set.pop, 0),
    ]
    for ask, answer in questions:
        s = expired_in_between(kv, "s")
        assert ask(s) == answer
        s.clear()
    names = kv.set("names")
    names.update(["green", "grey", "red"], ttl=LONG)
    let_expire(names, "grey")
    assert list(names.find("gr*")) == list(names.prefix("gr")) == ["green"]
    assert list(names.find("*e?")) == ["green", "red"]


def test_any_writer_of_the_part_gives_the_memory_back(kv: Storage) -> None:
    other = kv.hash("other")
    other["x"] = 1
    s, m = kv.set("s"), kv.map("m")
    used = kv.stats()["used_bytes"]
    s.update(range(1000), ttl=SHORT)
    m.put_many(range(1000), range(1000), ttl=SHORT)
    until(lambda: not any(True for _ in s) and not any(True for _ in m))
    before = kv.stats()["transactions"]
    while kv.stats()["used_bytes"] > used + 100_000:
        other["x"] = 1
        assert kv.stats()["transactions"] < before + 10_000
    assert len(s) == len(m) == 0


@pytest.mark.parametrize("ttl", NO_TTLS)
def test_what_is_no_ttl_is_refused_and_changes_nothing(kv: Storage, ttl: Any) -> None:
    s, m = kv.set("s"), kv.map("m")
    s.add("a", ttl=LONG)
    m.put("a", 1, ttl=LONG)
    for call in (
        lambda: s.add("a", ttl=ttl),
        lambda: s.add("b", ttl=ttl),
        lambda: s.update(["b"], ttl=ttl),
        lambda: s.expire("a", ttl),
        lambda: m.put("b", 1, ttl=ttl),
        lambda: m.put_many({"b": 1}, ttl=ttl),
        lambda: m.expire("a", ttl),
    ):
        with pytest.raises(ArgumentError, match=r"number of seconds greater than 0 and at most 1e11"):
            call()
    assert s == {"a"}
    assert m == {"a": 1}
    assert 0 < (s.ttl("a") or math.inf) <= LONG
    assert 0 < (m.ttl("a") or math.inf) <= LONG


def test_a_member_of_another_type_has_no_ttl(kv: Storage) -> None:
    s: Any = kv.set("s")
    s.add(1, ttl=LONG)
    assert s.expire("a", 5) is False
    with pytest.raises(MissingKeyError):
        s.ttl("a")
    with pytest.raises(TypeError):
        s.add(2, LONG, 3)
    with pytest.raises(TypeError):
        s.add()
    with pytest.raises(TypeError):
        s.update([2], time=5)
    with pytest.raises(TypeError):
        s.add("a", ttl=LONG)
    assert s == {1}


class OrderedExpiryMachine(RuleBasedStateMachine):
    """A Map and a Set of the same keys beside a dict of whether each expires; see ExpiryMachine in test_expiry.py."""

    keys = st.integers(-30, 30)

    @initialize(parts=st.sampled_from([1, 3]))
    def open(self, parts: int) -> None:
        self.storage = Storage.memory(max_memory=64 * 1024 * 1024, parts=parts)
        self.map, self.set = self.storage.map("m"), self.storage.set("s")
        self.model: dict[int, bool] = {}

    def teardown(self) -> None:
        if hasattr(self, "storage"):
            assert self.storage.verify() == []
            self.storage.close()

    @rule(key=keys, expires=st.booleans())
    def put(self, key: int, expires: bool) -> None:
        self.map.put(key, key, ttl=LONG if expires else None)
        self.set.add(key, ttl=LONG if expires else None)
        self.model[key] = expires

    @rule(start=keys, expires=st.booleans())
    def put_many(self, start: int, expires: bool) -> None:
        several = range(start, start + 5)
        self.map.put_many(several, several, ttl=LONG if expires else None)
        self.set.update(several, ttl=LONG if expires else None)
        self.model.update(dict.fromkeys(several, expires))

    @rule(key=keys)
    def expire(self, key: int) -> None:
        assert self.map.expire(key, LONG) == self.set.expire(key, LONG) == (key in self.model)
        if key in self.model:
            self.model[key] = True

    @rule(key=keys)
    def persist(self, key: int) -> None:
        assert self.map.persist(key) == self.set.persist(key) == self.model.get(key, False)
        if key in self.model:
            self.model[key] = False

    @rule(key=keys, count=st.integers(1, 5))
    def time_passes(self, key: int, count: int) -> None:
        gone = [each for each in range(key, key + count) if self.model.pop(each, None) is not None]
        let_expire(self.map, *gone)
        let_expire(self.set, *gone)

    @rule(last=st.booleans())
    def pop_an_end(self, last: bool) -> None:
        if self.model:
            key = max(self.model) if last else min(self.model)
            assert (self.map.poplast() if last else self.map.popfirst()) == (key, key)
            assert (self.set.poplast() if last else self.set.popfirst()) == key
            del self.model[key]

    @rule(lo=keys, hi=keys)
    def look_at_a_range(self, lo: int, hi: int) -> None:
        inside = sorted(key for key in self.model if lo <= key < hi)
        assert len(self.map.range(lo, hi)) == len(self.set.range(lo, hi)) == len(inside)
        assert self.set.range(lo, hi)[:3] == inside[:3]
        assert self.map.rank(lo) == self.set.rank(lo) == bisect.bisect_left(sorted(self.model), lo)

    @rule(other=st.sets(keys, max_size=9))
    def combine(self, other: set[int]) -> None:
        assert self.set & other == self.model.keys() & other
        assert self.set - other == self.model.keys() - other
        assert self.set.intersection_count(other) == len(self.model.keys() & other)

    @invariant()
    def contents_agree(self) -> None:
        if hasattr(self, "map"):
            assert list(self.map) == list(self.set) == sorted(self.model)
            assert len(self.map) == len(self.set) == len(self.model)
            for key, expires in self.model.items():
                assert (self.map.ttl(key) is not None) == (self.set.ttl(key) is not None) == expires


TestOrderedExpiry = OrderedExpiryMachine.TestCase
TestOrderedExpiry.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
