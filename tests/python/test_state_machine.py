"""A Storage does what a dict does, whatever the order of calls."""

from __future__ import annotations

import fnmatch
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from kv_storage import MISSING, KindError, Storage

from .strategies import keys, patterns, same, values


def ordered(names: Any) -> list[str]:
    return sorted(names, key=lambda name: name.encode(errors="surrogateescape"))


class StorageMachine(RuleBasedStateMachine):
    """Every method of the mapping beside the same on a dict."""

    known = Bundle("known")

    @initialize(parts=st.sampled_from([1, 3]), name=st.sampled_from([None, "named"]))
    def open(self, parts: int, name: str | None) -> None:
        self.storage = Storage.memory(max_memory=64 * 1024 * 1024, parts=parts)
        self.store = self.storage if name is None else self.storage.hash(name)
        self.model: dict[str, Any] = {}

    def teardown(self) -> None:
        if hasattr(self, "storage"):
            assert self.storage.verify() == []
            self.storage.close()

    @rule(target=known, names=st.lists(keys, min_size=1, max_size=5))
    def name_keys(self, names: list[str]) -> Any:
        return multiple(*names)

    @rule(key=known, value=values)
    def put(self, key: str, value: Any) -> None:
        self.store[key] = value
        self.model[key] = value

    @rule(key=known, size=st.integers(0, 20_000))
    def put_large(self, key: str, size: int) -> None:
        self.put(key, b"x" * size)

    @rule(key=known)
    def get(self, key: str) -> None:
        assert same(self.store.get(key, MISSING), self.model.get(key, MISSING))
        assert (key in self.store) == (key in self.model)

    @rule(key=known)
    def delete(self, key: str) -> None:
        assert self.store.delete(key) == (self.model.pop(key, MISSING) is not MISSING)

    @rule(key=known)
    def pop(self, key: str) -> None:
        assert same(self.store.pop(key, MISSING), self.model.pop(key, MISSING))

    @rule()
    def popitem(self) -> None:
        if self.model:
            last = ordered(self.model)[-1]
            key, value = self.store.popitem()
            assert key == last
            assert same(value, self.model.pop(last))

    @rule(key=known, value=values)
    def setdefault(self, key: str, value: Any) -> None:
        assert same(self.store.setdefault(key, value), self.model.setdefault(key, value))

    @rule(key=known, by=st.integers(-(2**62), 2**62))
    def incr(self, key: str, by: int) -> None:
        before = self.model.get(key, 0)
        if type(before) is not int or abs(before) >= 2**63:
            try:
                self.store.incr(key, by)
            except KindError:
                return
            raise AssertionError("incr of another type")
        try:
            assert self.store.incr(key, by) == before + by
        except OverflowError:
            assert not -(2**63) <= before + by < 2**63
        else:
            self.model[key] = before + by

    @rule(key=known, right=st.booleans(), new=st.just(MISSING) | values)
    def compare_and_set(self, key: str, right: bool, new: Any) -> None:
        expected = self.model.get(key, MISSING) if right else "something else"
        assert self.store.compare_and_set(key, expected, new) == (right or self.model.get(key) == expected)
        if right:
            self.model[key] = new
            if new is MISSING:
                del self.model[key]

    @rule(items=st.dictionaries(keys, values, max_size=10))
    def update(self, items: dict[str, Any]) -> None:
        self.store.update(items)
        self.model.update(items)

    @rule(names=st.lists(known, max_size=10))
    def get_many(self, names: list[str]) -> None:
        assert same(self.store.get_many(names, MISSING), [self.model.get(name, MISSING) for name in names])

    @rule(pattern=patterns)
    def find(self, pattern: str) -> None:
        assert list(self.store.find(pattern)) == [
            k for k in ordered(self.model) if fnmatch.fnmatchcase(k, pattern)
        ]

    @rule(pattern=patterns)
    def delete_matches(self, pattern: str) -> None:
        gone = [key for key in self.model if fnmatch.fnmatchcase(key, pattern)]
        assert self.store.find(pattern).delete() == len(gone)
        for key in gone:
            del self.model[key]

    @rule(start=known, stop=known)
    def range(self, start: str, stop: str) -> None:
        expected = [key for key in ordered(self.model) if start.encode() <= key.encode() < stop.encode()]
        assert list(self.store.range(start, stop)) == expected
        assert list(reversed(self.store.range(start, stop))) == expected[::-1]

    @rule()
    def items(self) -> None:
        assert same(list(self.store.items()), [(key, self.model[key]) for key in ordered(self.model)])
        assert list(reversed(self.store)) == ordered(self.model)[::-1]

    @rule()
    def clear(self) -> None:
        self.store.clear()
        self.model.clear()

    @invariant()
    def sizes_agree(self) -> None:
        if hasattr(self, "store"):
            assert len(self.store) == len(self.model)


TestStorage = StorageMachine.TestCase
TestStorage.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
