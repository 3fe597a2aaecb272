"""Map: a mapping in the order of typed keys, beside a dict kept sorted."""

from __future__ import annotations

import bisect
import datetime
import math
import pickle
from collections.abc import MutableMapping
from typing import Any

import kv_storage
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from kv_storage import KindError, Map, MissingKeyError, Storage

from .conftest import TEST_MEMORY

mapping_tests: Any = pytest.importorskip("test.mapping_tests", reason="needs CPython's test package")

KEYS: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20),
    "float": st.floats(allow_nan=False),
    "str": st.text(max_size=4) | st.text("ab", max_size=6),
    "bytes": st.binary(max_size=3),
    "date": st.dates(),
    "datetime": st.datetimes(),
}


class TestMap(mapping_tests.BasicTestMappingProtocol):  # type: ignore[misc]
    """CPython's own tests of mappings."""

    type2test = Map

    def _reference(self) -> dict[Any, Any]:
        return {"1": "2", "key1": "value1", "key2": "value2"}

    def _empty_mapping(self) -> Map:
        return Storage.memory(max_memory=TEST_MEMORY).map("m")

    def _full_mapping(self, data: dict[Any, Any]) -> Map:
        made = self._empty_mapping()
        made.update(data)
        return made

    # Calls the type, which makes no Map: they come from Storage.map().
    test_constructor = None


@given(st.data(), st.sampled_from(sorted(KEYS)))
@settings(max_examples=60)
def test_order_statistics_agree_with_a_sorted_list(data: st.DataObject, kind: str) -> None:
    with Storage.memory(max_memory=TEST_MEMORY) as kv:
        m = kv.map("m")
        model = data.draw(st.dictionaries(KEYS[kind], st.integers(0, 9), max_size=30))
        m.update(model)
        keys = sorted(model)
        assert list(m) == keys
        assert list(reversed(m)) == keys[::-1]
        assert m == model
        assert [m.rank(key) for key in keys] == list(range(len(keys)))
        assert [m.select(i) for i in range(-len(keys), len(keys))] == keys + keys
        for probe in data.draw(st.lists(KEYS[kind], max_size=5)) + keys[:2]:
            at, after = bisect.bisect_left(keys, probe), bisect.bisect_right(keys, probe)
            assert m.rank(probe) == at
            assert m.floor(probe) == (keys[after - 1] if after else None)
            assert m.ceiling(probe) == (keys[at] if at < len(keys) else None)
            assert len(m.range(probe)) == len(keys) - at
            assert list(m.range(None, probe)) == keys[:at]
            start, stop = data.draw(st.integers(-9, 9)), data.draw(st.integers(-9, 9))
            assert list(m.range(probe)[start:stop]) == keys[at:][start:stop]
            assert list(m.range(probe)[::-1][start:stop]) == keys[at:][::-1][start:stop]
            assert m.keys()[start:stop] == keys[start:stop]
        assert kv.verify() == []


class MapMachine(RuleBasedStateMachine):
    """Random operations on a Map and a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.kv = Storage.memory(max_memory=TEST_MEMORY, parts=3)
        self.map = self.kv.map("m")
        self.model: dict[int, Any] = {}

    keys = st.integers(-300, 300)

    @initialize(count=st.integers(0, 300))
    def fill(self, count: int) -> None:
        self.model.update({i * 7 % 301: i for i in range(count)})
        self.map.put_many(self.model)

    @rule(key=keys, value=st.integers() | st.text(max_size=3))
    def put(self, key: int, value: Any) -> None:
        self.map[key] = self.model[key] = value

    @rule(key=keys)
    def delete(self, key: int) -> None:
        assert self.map.delete(key) == (self.model.pop(key, None) is not None)

    @rule(key=keys)
    def get(self, key: int) -> None:
        assert self.map.get(key, -1) == self.model.get(key, -1)
        assert (key in self.map) == (key in self.model)
        assert self.map.get_many([key, key + 1]) == [self.model.get(key), self.model.get(key + 1)]

    @rule(last=st.booleans())
    def pop_an_end(self, last: bool) -> None:
        if not self.model:
            with pytest.raises(MissingKeyError):
                self.map.poplast() if last else self.map.popfirst()
            return
        key = max(self.model) if last else min(self.model)
        expected = (key, self.model[key])
        assert (self.map.last() if last else self.map.first()) == expected
        assert (self.map.poplast() if last else self.map.popfirst()) == expected
        del self.model[key]

    @rule(lo=keys, hi=keys)
    def look_at_a_range(self, lo: int, hi: int) -> None:
        inside = sorted(key for key in self.model if lo <= key < hi)
        matches = self.map.range(lo, hi)
        assert len(matches) == len(inside)
        assert list(matches.items()) == [(key, self.model[key]) for key in inside]

    @rule(lo=keys, hi=keys)
    def delete_a_range(self, lo: int, hi: int) -> None:
        inside = [key for key in self.model if lo <= key < min(hi, lo + 20)]
        assert self.map.range(lo, min(hi, lo + 20)).delete() == len(inside)
        for key in inside:
            del self.model[key]

    @invariant()
    def same(self) -> None:
        assert len(self.map) == len(self.model)
        assert list(self.map) == sorted(self.model)

    def teardown(self) -> None:
        assert self.kv.verify() == []
        self.kv.close()


TestMapMachine = MapMachine.TestCase
TestMapMachine.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_a_map_has_what_a_hash_has(kv: Storage) -> None:
    m = kv.map("m")
    assert isinstance(m, MutableMapping)
    assert m.incr(5) == 1
    assert m.compare_and_set(5, 1, 2)
    assert m.setdefault(6, "x") == "x"
    assert m.pop(6) == "x"
    assert m.pop(6, None) is None
    m.put_many([1, 2], [[1], {"a": 2}])
    assert list(m.items()) == [(1, [1]), (2, {"a": 2}), (5, 2)]
    assert m.items()[1] == (2, {"a": 2})
    assert m.values()[-1] == 2
    assert kv.collections() == {"m": "map"}
    m.clear()
    assert len(m) == 0
    m[7] = 1
    kv.rename("m", "n")
    assert kv.map("n")[7] == 1
    assert kv.drop("n")


def test_keys_and_values_as_arrays(kv: Storage) -> None:
    m = kv.map("m")
    assert m.keys_array().tolist() == []
    m.update({3: 1.5, -1: 2.5})
    assert m.keys_array().dtype == np.int64
    assert m.keys_array().tolist() == [-1, 3]
    assert m.values_array().tolist() == [2.5, 1.5]
    days = kv.map("days")
    days[datetime.date(2018, 6, 6)] = 1
    assert days.keys_array() == np.array(["2018-06-06"], "M8[D]")
    moments = kv.map("moments")
    moments[datetime.datetime(1965, 1, 2, 3, 4, 5, 6)] = 1
    assert moments.keys_array() == np.array(["1965-01-02T03:04:05.000006"], "M8[us]")
    m[4] = "text"
    with pytest.raises(KindError):
        m.values_array()
    texts = kv.map("texts")
    texts["a"] = 1
    with pytest.raises(KindError):
        texts.keys_array()
    assert list(texts.find("[a-c]*")) == ["a"]


def test_bad_input_is_refused_and_changes_nothing(kv: Storage) -> None:
    m: Any = kv.map("m")
    m[1] = "one"
    for key in ("a", b"a", 1.5, datetime.date(2020, 1, 1), True, None, (1,)):
        with pytest.raises(KindError):
            m[key] = 1
        with pytest.raises(KindError):
            m.rank(key)
    with pytest.raises(OverflowError):
        m[2**63] = 1
    with pytest.raises(IndexError):
        m.select(1)
    with pytest.raises(IndexError):
        m.select(-2)
    with pytest.raises(IndexError):
        m.keys()[5]
    with pytest.raises(TypeError):
        m[2] = object()
    assert "a" not in m
    assert 2**70 not in m
    with pytest.raises(TypeError):
        [] in m  # noqa: B015
    assert dict(m) == {1: "one"}

    f = kv.map("f", key=float)
    with pytest.raises(ValueError, match="NaN"):
        f[math.nan] = 1
    f[-0.0] = 1
    assert math.copysign(1, next(iter(f))) == 1
    assert f[0.0] == 1
    with pytest.raises(KindError):
        f[1] = 1
    with pytest.raises(KindError):
        kv.map("d")[datetime.datetime.now(datetime.UTC)] = 1
    with pytest.raises(ValueError, match="at most"):
        kv.map("s")["x" * 2000] = 1
    with pytest.raises(KindError):
        kv.map("m", key=str)
    with pytest.raises(KindError):
        kv.map("x", key=list)  # type: ignore[arg-type]
    with pytest.raises(KindError):
        kv.hash("m")
    with pytest.raises(KindError):
        kv.set("m")
    kv.hash("h")
    with pytest.raises(KindError):
        kv.map("h")
    with pytest.raises(MissingKeyError):
        kv.map("empty").first()


def test_handles_pickle_by_name() -> None:
    m = Storage().map("test_map.pickle")
    m[1] = "x"
    again = pickle.loads(pickle.dumps(m))
    assert type(again) is kv_storage.Map
    assert again[1] == "x"
    assert again == m
    Storage().drop("test_map.pickle")
