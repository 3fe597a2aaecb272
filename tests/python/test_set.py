"""Set: ordered unique members, beside a built-in set."""

from __future__ import annotations

import datetime
import math
import operator
import pickle
from collections.abc import MutableSet
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from kv_storage import KindError, MissingKeyError, Set, Storage

from .conftest import TEST_MEMORY

MEMBERS = st.integers(-50, 50)
SETS = st.sets(MEMBERS, max_size=40)


class SetMachine(RuleBasedStateMachine):
    """Random operations on a Set and a built-in one; `other` is a second Set, in the same store or another."""

    def __init__(self) -> None:
        super().__init__()
        self.kv = Storage.memory(max_memory=TEST_MEMORY, parts=3)
        self.far = Storage.memory(max_memory=TEST_MEMORY)
        self.set = self.kv.set("s")
        self.model: set[int] = set()

    @rule(member=MEMBERS)
    def add(self, member: int) -> None:
        self.set.add(member)
        self.model.add(member)

    @rule(member=MEMBERS)
    def discard(self, member: int) -> None:
        self.set.discard(member)
        self.model.discard(member)
        assert member not in self.set

    @rule()
    def pop(self) -> None:
        if self.model:
            assert self.set.pop() == min(self.model)
            self.model.remove(min(self.model))
        else:
            with pytest.raises(KeyError):
                self.set.pop()

    @rule(
        other=SETS,
        name=st.sampled_from(["ior", "iand", "isub", "ixor"]),
        where=st.sampled_from(["set", "list", "here", "far"]),
    )
    def change_in_place(self, other: set[int], name: str, where: str) -> None:
        operand: Any = other if where == "set" else list(other)
        if where in {"here", "far"}:
            operand = (self.kv if where == "here" else self.far).set("other")
            operand.clear()
            operand |= other
            assert self.set.intersection_count(operand) == len(self.model & other)
        same = getattr(operator, name)(self.set, operand)
        assert same is self.set
        self.model = getattr(operator, name)(self.model, other)

    @rule(other=SETS, name=st.sampled_from(["or_", "and_", "sub", "xor", "le", "lt", "ge", "gt", "eq", "ne"]))
    def combine(self, other: set[int], name: str) -> None:
        operation = getattr(operator, name)
        result = operation(self.set, other)
        assert result == operation(self.model, other)
        assert type(result) in {set, bool}
        assert operation(other, self.set) == operation(other, self.model)
        assert self.set.isdisjoint(other) == self.model.isdisjoint(other)
        assert self.set.issubset(other) == self.model.issubset(other)
        assert self.set.issuperset(other) == self.model.issuperset(other)

    @invariant()
    def same(self) -> None:
        assert len(self.set) == len(self.model)
        assert list(self.set) == sorted(self.model)
        assert list(reversed(self.set)) == sorted(self.model, reverse=True)

    def teardown(self) -> None:
        assert self.kv.verify() == []
        assert self.far.verify() == []
        self.kv.close()
        self.far.close()


TestSetMachine = SetMachine.TestCase
TestSetMachine.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


@given(members=SETS, lo=MEMBERS, hi=MEMBERS, start=st.integers(-5, 5), stop=st.integers(-5, 5))
@settings(max_examples=50)
def test_order_statistics(members: set[int], lo: int, hi: int, start: int, stop: int) -> None:
    with Storage.memory(max_memory=TEST_MEMORY) as kv:
        s = kv.set("s")
        s |= members
        ordered = sorted(members)
        inside = [member for member in ordered if lo <= member < hi]
        assert list(s.range(lo, hi)) == inside
        assert len(s.range(lo, hi)) == len(inside)
        assert s.range(lo, hi)[start:stop] == inside[start:stop]
        assert s.rank(lo) == sum(member < lo for member in members)
        assert [s.select(i) for i in range(len(s))] == ordered
        assert s.to_numpy().tolist() == ordered
        if ordered:
            assert (s.first(), s.last()) == (ordered[0], ordered[-1])


def test_texts_are_found_by_pattern(kv: Storage) -> None:
    tags = kv.set("tags")
    tags |= ["red", "green", "grey", "blue", "größer"]
    assert list(tags.find("gr*")) == ["green", "grey", "größer"]
    assert list(tags.find("*e?")) == ["green", "grey", "größer", "red"]
    assert list(tags.prefix("gre")) == ["green", "grey"]
    assert "red" in tags.find("r*")
    assert tags.find("gr*") & {"grey", "x"} == {"grey"}
    assert kv.collections() == {"tags": "set"}


def test_protocol(kv: Storage) -> None:
    s: Any = kv.set("s")
    assert isinstance(kv.set("s"), MutableSet)
    with pytest.raises(TypeError, match="unhashable"):
        hash(s)
    s.update([3, 1])
    assert s == {1, 3}
    assert 1 in s
    assert 1.0 not in s
    assert object() not in s
    with pytest.raises(TypeError):
        [] in s  # noqa: B015
    s |= s
    s &= s
    assert s == {1, 3}
    s ^= s
    assert not s
    again = Storage().set("test_set.pickle")
    again.add("x")
    assert type(pickle.loads(pickle.dumps(again))) is Set
    assert pickle.loads(pickle.dumps(again)) == {"x"}
    Storage().drop("test_set.pickle")


def test_bad_input_is_refused_and_changes_nothing(kv: Storage) -> None:
    s: Any = kv.set("s")
    s.add("a")
    for member in (1, 1.5, b"a", datetime.date(2020, 1, 1), None, True, ("a",), 2**64):
        with pytest.raises((TypeError, OverflowError)):
            s.add(member)
    with pytest.raises(MissingKeyError):
        s.remove("b")
    with pytest.raises(KindError):
        s.to_numpy()
    with pytest.raises(TypeError):
        s |= 5
    with pytest.raises(IndexError):
        s.select(9)
    with pytest.raises(ValueError, match="NaN"):
        kv.set("f").add(math.nan)
    assert s == {"a"}
    s &= ["a", 1, None, math.nan]
    assert s == {"a"}
    with pytest.raises(KindError):
        kv.map("s")
    floats = kv.set("g", key=float)
    floats |= [1.5, -0.0]
    assert np.array_equal(floats.to_numpy(), [0.0, 1.5])
