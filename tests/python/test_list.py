"""List: a sequence that keeps each distinct value once, beside a built-in list."""

from __future__ import annotations

import datetime
import decimal
import os
import pickle
import threading
from collections import Counter
from collections.abc import Callable, MutableSequence, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from kv_storage import CapacityError, ClosedError, KindError, List, Storage

from .conftest import TEST_MEMORY
from .strategies import same, values

# Equal ones of several types, and some that are not.
FEW: list[Any] = [0, 1, 2, True, False, 1.0, 0.0, -0.0, 2**70, 2.0**70, None, "", "a", b"a", "é", "x" * 5000]
ITEMS = st.one_of(st.sampled_from(FEW), st.integers(0, 400), values)
LISTS = st.one_of(st.lists(st.sampled_from(FEW), max_size=20), st.lists(ITEMS, max_size=8))
INDICES = st.integers(-30, 30)
SLICES = st.builds(
    slice,
    st.none() | INDICES,
    st.none() | INDICES,
    st.none() | st.sampled_from([-100, -3, -2, -1, 1, 2, 7]),
)


def outcome(call: Any) -> Any:
    """What a call returns, or the type of what it raises."""
    try:
        return call()
    except (IndexError, ValueError, TypeError) as error:
        return [kind for kind in (IndexError, ValueError, TypeError) if isinstance(error, kind)]


class ListMachine(RuleBasedStateMachine):
    """Random operations on a List and a list."""

    def __init__(self) -> None:
        super().__init__()
        self.kv = Storage.memory(max_memory=TEST_MEMORY, parts=3)
        self.list = self.kv.list("l")
        self.model: list[Any] = []

    def both(self, name: str, *args: Any) -> None:
        left = outcome(lambda: getattr(self.list, name)(*args))
        right = outcome(lambda: getattr(self.model, name)(*args))
        assert same(left, right), (name, args)

    @rule(item=ITEMS)
    def append(self, item: Any) -> None:
        self.both("append", item)

    @rule(items=LISTS, how=st.sampled_from(["list", "tuple", "generator", "iadd", "List"]))
    def extend(self, items: list[Any], how: str) -> None:
        if how == "List":
            other = self.kv.list("other")
            other[:] = items
            self.list.extend(other)
        elif how == "iadd":
            before = self.list
            self.list += items
            assert self.list is before
        else:
            self.list.extend(
                {"list": items, "tuple": tuple(items), "generator": (item for item in items)}[how]
            )
        self.model.extend(items)

    @rule(index=INDICES, item=ITEMS)
    def insert(self, index: int, item: Any) -> None:
        self.both("insert", index, item)

    @rule(index=st.none() | INDICES)
    def pop(self, index: int | None) -> None:
        self.both("pop", *([] if index is None else [index]))

    @rule(item=ITEMS)
    def remove(self, item: Any) -> None:
        self.both("remove", item)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove_present(self, data: st.DataObject) -> None:
        self.both("remove", data.draw(st.sampled_from(self.model)))

    @rule(item=ITEMS, start=INDICES, stop=INDICES)
    def find(self, item: Any, start: int, stop: int) -> None:
        self.both("index", item)
        self.both("index", item, start)
        self.both("index", item, start, stop)
        self.both("count", item)
        self.both("__contains__", item)

    @rule(index=INDICES | SLICES)
    def get(self, index: Any) -> None:
        self.both("__getitem__", index)

    @rule(index=INDICES, item=ITEMS)
    def set(self, index: int, item: Any) -> None:
        self.both("__setitem__", index, item)

    @rule(index=SLICES, items=LISTS)
    def set_slice(self, index: slice, items: list[Any]) -> None:
        self.both("__setitem__", index, items)

    @precondition(lambda self: self.model)
    @rule(index=SLICES, data=st.data())
    def set_fitting_slice(self, index: slice, data: st.DataObject) -> None:
        count = len(self.model[index])
        self.both("__setitem__", index, data.draw(st.lists(ITEMS, min_size=count, max_size=count)))

    @rule(index=INDICES | SLICES)
    def delete(self, index: Any) -> None:
        self.both("__delitem__", index)

    @rule(times=st.integers(-1, 3))
    def repeat(self, times: int) -> None:
        if len(self.model) * times < 300:
            self.list *= times
            self.model *= times

    @rule()
    def reverse(self) -> None:
        self.both("reverse")

    @rule()
    def clear(self) -> None:
        if len(self.model) > 30:
            self.both("clear")

    @rule()
    def codes(self) -> None:
        codes, dictionary = self.list.encoded()
        assert same(
            [dictionary[code] if dictionary.dtype == object else dictionary[code].item() for code in codes],
            self.model,
        )
        assert same(self.list.to_numpy().tolist(), self.model)

    @invariant()
    def equal(self) -> None:
        assert len(self.list) == len(self.model)
        assert bool(self.list) == bool(self.model)
        assert same(list(self.list), self.model)
        assert same(list(reversed(self.list)), self.model[::-1])
        assert self.list == self.model
        assert not self.list != self.model  # noqa: SIM202

    def teardown(self) -> None:
        assert self.kv.verify() == []
        while self.list:
            self.list.pop(0)
        assert self.kv.verify() == []
        self.kv.close()


TestListMachine = ListMachine.TestCase
TestListMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_protocol(kv: Storage) -> None:
    tail: Any = kv.list("tail")
    assert isinstance(tail, MutableSequence)
    assert isinstance(tail, Sequence)
    assert type(tail) is List
    assert tail.name == "tail"
    with pytest.raises(TypeError, match="unhashable"):
        hash(tail)
    tail.extend("ab")
    assert repr(tail) == "<kv_storage.List 'tail', 2 values>"
    match tail:
        case [first, second]:
            assert (first, second) == ("a", "b")
        case _:
            pytest.fail("a List matches no sequence pattern")
    assert kv.collections() == {"tail": "list"}
    assert kv.stats()["collections"]["tail"] == {"kind": "list", "keys": 2}
    with pytest.raises(TypeError):
        List()  # type: ignore[abstract,call-arg,unused-ignore]


def test_abstract_methods_all_exist(kv: Storage) -> None:
    for method in dir(MutableSequence):
        if not method.startswith("_") or method in {
            "__contains__",
            "__len__",
            "__iter__",
            "__reversed__",
            "__iadd__",
        }:
            assert callable(getattr(kv.list("l"), method)), method


def test_operators_make_built_in_lists(kv: Storage) -> None:
    here, there = kv.list("here"), kv.list("there")
    here += [1, 2]
    there += [2, 3]
    for made, wanted in [
        (here + there, [1, 2, 2, 3]),
        (here + [5], [1, 2, 5]),  # noqa: RUF005
        ([5] + here, [5, 1, 2]),  # noqa: RUF005
        (here * 2, [1, 2, 1, 2]),
        (2 * here, [1, 2, 1, 2]),
        (here[:1], [1]),
        (here.copy(), [1, 2]),
    ]:
        assert type(made) is list
        assert made == wanted
    assert here < there
    assert here <= [1, 2]
    assert here > [1]
    assert here == [1, 2]
    assert here != (1, 2)
    assert here != there
    assert here == kv.list("here")
    with pytest.raises(TypeError):
        here + (1,)  # type: ignore[operator,unused-ignore]  # noqa: RUF005
    with pytest.raises(TypeError):
        here < (1,)  # type: ignore[operator,unused-ignore]  # noqa: B015
    here *= 3
    assert here == [1, 2, 1, 2, 1, 2]
    here.sort(reverse=True)
    assert here == [2, 2, 2, 1, 1, 1]
    here.sort(key=lambda number: -number)
    assert here == [2, 2, 2, 1, 1, 1]
    here.sort()
    assert here == [1, 1, 1, 2, 2, 2]


def test_values_are_distinct_by_type_and_bytes_but_found_by_equality(kv: Storage) -> None:
    mixed = kv.list("mixed")
    mixed += [1, 1.0, True, 1, 0.0, -0.0, "1", b"1"]
    assert [type(item) for item in mixed] == [int, float, bool, int, float, float, str, bytes]
    codes, dictionary = mixed.encoded()
    assert codes.tolist() == [0, 1, 2, 0, 3, 4, 5, 6]
    assert dictionary.dtype == object
    assert mixed.count(1) == mixed.count(1.0) == mixed.count(True) == 4
    assert mixed.count(0) == mixed.count(False) == 2
    assert mixed.index(True) == 0
    assert mixed.index(1.0, 2) == 2
    assert 0 in mixed
    assert decimal.Decimal(1) in mixed
    assert mixed.count(decimal.Decimal(1)) == 4
    assert mixed.value_counts() == Counter(mixed) == {1: 4, 0.0: 2, "1": 1, b"1": 1}
    mixed.append(decimal.Decimal("1.00"))
    assert mixed.count(1) == 5
    mixed.remove(decimal.Decimal(1))
    assert mixed[0] == 1.0
    assert type(mixed[0]) is float
    assert 2**64 not in mixed
    mixed += [2**64, float(2**53 + 2)]
    assert float(2**64) in mixed
    assert 2**53 + 2 in mixed
    assert 2**53 + 3 not in mixed


def test_objects_of_other_classes_are_compared_in_order(kv: Storage) -> None:
    numbers = kv.list("numbers")
    numbers += [0, 1, 2, 1]
    asked = []

    class Asking:
        def __eq__(self, other: object) -> bool:
            asked.append(other)
            return other == 2

    assert numbers.index(Asking()) == 2
    assert asked == [0, 1, 2]  # type: ignore[comparison-overlap,unused-ignore]
    assert numbers.count(Asking()) == 1
    assert Asking() in numbers
    numbers.remove(Asking())
    assert numbers == [0, 1, 1]

    class Failing:
        def __eq__(self, other: object) -> bool:
            if other == 1:
                raise ZeroDivisionError
            return False

    for call in (numbers.index, numbers.count, numbers.remove, numbers.__contains__):
        with pytest.raises(ZeroDivisionError):
            call(Failing())

    class Text(str):
        pass

    numbers.append("a")
    assert Text("a") in numbers
    assert numbers.index(Text("a")) == 3


def test_nan_is_found_by_its_bytes(kv: Storage) -> None:
    numbers = kv.list("numbers")
    numbers += [1.0, float("nan")]
    assert float("nan") in numbers
    assert numbers.index(float("nan")) == 1
    assert numbers == kv.list("numbers")


def test_iteration_sees_what_is_there_when_its_turn_comes(kv: Storage) -> None:
    cases: list[tuple[Callable[[Any], Any], list[int] | None]] = [
        (lambda a: a.append(len(a)) if len(a) < 700 else None, list(range(700))),
        (lambda a: a.insert(0, -1) if len(a) < 12 else None, None),
        (lambda a: a.pop() if len(a) > 3 else None, None),
        (lambda a: a.__setitem__(len(a) - 1, "last"), None),
    ]
    for change, wanted in cases:
        here, model = kv.list("here"), [0, 1, 2, 3, 4, 5, 6, 7]
        here[:] = model
        if wanted is not None:
            model = wanted[:1]
            here[:] = model
        seen, expected = [], []
        for item in here:
            seen.append(item)
            change(here)
        for item in model:
            expected.append(item)
            change(model)
        assert seen == expected
        assert here == model
        seen, expected = [], []
        for item in reversed(here):
            seen.append(item)
            change(here)
        for item in reversed(model):
            expected.append(item)
            change(model)
        assert seen == expected
    here[:] = [1, 2, 3]
    exhausted, other = iter(here), iter(here)
    for _ in exhausted:
        next(other)
    here.append(4)
    assert list(exhausted) == []
    assert other.__length_hint__() == 1  # type: ignore[attr-defined,unused-ignore]
    assert list(other) == [4]


def test_mutable_values_are_not_shared(kv: Storage) -> None:
    here = kv.list("here")
    here += [[1], {"a": 1}, [1]]
    items = list(here)
    items[0].append(2)
    assert items[2] == [1]
    assert here == [[1], {"a": 1}, [1]]
    assert here.codes().tolist() == [0, 1, 0]
    assert here.to_numpy().tolist() == [[1], {"a": 1}, [1]]
    with pytest.raises(TypeError, match="unhashable"):
        here.value_counts()


def test_arrays_as_values(kv: Storage) -> None:
    here = kv.list("here")
    small, large = np.arange(3), np.arange(10_000.0)
    here += [small, large, small]
    assert np.array_equal(here[0], small)
    view = here[1]
    assert not view.flags.writeable
    del here[1]
    assert np.array_equal(view, large)
    assert here.codes().tolist() == [0, 0]
    assert np.array_equal(here.pop(), small)
    here.clear()
    assert np.array_equal(view, large)
    del view
    here.extend(np.arange(6).reshape(3, 2))
    assert [row.tolist() for row in here] == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(-5, 10_000),
        np.arange(100, dtype="u1"),
        np.arange(300, dtype=">i2")[::-3],
        np.array([2**64 - 1, 0], dtype="u8"),
        np.linspace(0, 1, 999, dtype="f4"),
        np.array([True, False, True]),
        np.array(["a", "bc", "é"]),
        np.array([b"a", b"bc"]),
        np.array(["2020-01-01", "1999-12-31"], dtype="M8[D]"),
        np.array([1, "a", None], dtype=object),
        np.array([], dtype="f8"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_numpy_arrays_extend_by_their_elements(kv: Storage, array: Any) -> None:
    here = kv.list("here")
    here.append("before")
    here.extend(array)
    assert same(list(here), ["before", *array.tolist()])
    here[:] = array
    assert same(list(here), array.tolist())
    here[:0] = array
    assert same(list(here), array.tolist() * 2)


def test_to_numpy(kv: Storage) -> None:
    here = kv.list("here")
    assert here.to_numpy().tolist() == []
    assert here.codes().tolist() == []
    assert here.dictionary().tolist() == []
    arrays: list[tuple[list[Any], str]] = [
        ([3, 1, 3], "int64"),
        ([0.5, -1.5], "float64"),
        ([True, False], "bool"),
        (["a", "b", "a"], "object"),
        ([1, 1.5], "object"),
        ([None, None], "object"),
        ([datetime.date(2020, 1, 1)] * 2, "object"),
        ([(1, 2), (3, 4)], "object"),
    ]
    for items, dtype in arrays:
        here[:] = items
        array = here.to_numpy()
        assert array.dtype == dtype
        assert same(array.tolist(), items)
        dictionary = here.dictionary()
        assert dictionary.dtype == dtype
        assert same([dictionary.tolist()[code] for code in here.codes()], items)
    here[:] = range(300)
    assert here.codes().dtype == np.uint16
    del here[10:]
    here.append(7)
    assert here.codes().dtype == np.uint8
    del here[3]
    dictionary = here.dictionary()
    assert dictionary[3] == 0  # not in use
    assert dictionary[here.codes()].tolist() == list(here)
    here.append("new")
    assert here.codes()[-1] == 3


def test_value_counts(kv: Storage) -> None:
    here = kv.list("here")
    here += ["b"] * 3 + ["a"] * 5 + [None]
    assert list(here.value_counts().items()) == [("a", 5), ("b", 3), (None, 1)]


def test_a_million_items(kv: Storage) -> None:
    here = kv.list("here")
    here.extend(str(number % 3000) for number in range(1_000_000))
    assert len(here) == 1_000_000
    assert here[999_999] == "999"
    assert here.count("17") == 334
    here.reverse()
    assert here[0] == "999"
    del here[10:-10]
    assert len(here) == 20
    here.extend(np.arange(500_000))
    assert here[-1] == 499_999
    here[:] = here[::100_000]
    assert len(here) == 6
    assert kv.verify() == []


def test_what_comes_before_a_bad_item_stays_as_in_a_list(kv: Storage) -> None:
    here = kv.list("here")
    with pytest.raises(KindError, match="object"):
        here.extend([1, 2, object()])
    assert here == [1, 2]

    def failing() -> Any:
        yield 3
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        here.extend(failing())
    assert here == [1, 2, 3]
    with pytest.raises(ZeroDivisionError):
        here[:] = failing()
    with pytest.raises(KindError):
        here[1:2] = [5, object()]
    assert here == [1, 2, 3]


def test_bad_input_changes_nothing(kv: Storage) -> None:
    here: Any = kv.list("here")
    here += ["a", "b"]
    wrong: list[tuple[Callable[[], Any], type[Exception]]] = [
        (lambda: here[2], IndexError),
        (lambda: here[-3], IndexError),
        (lambda: here[2**70], IndexError),
        (lambda: here["a"], TypeError),
        (lambda: here[1.0], TypeError),
        (lambda: here[::0], ValueError),
        (lambda: here.__setitem__(2, "x"), IndexError),
        (lambda: here.__setitem__("x", "x"), TypeError),
        (lambda: here.__setitem__(0, object()), TypeError),
        (lambda: here.__setitem__(slice(None), 5), TypeError),
        (lambda: here.__setitem__(slice(None, None, 2), ["x", "y"]), ValueError),
        (lambda: here.__delitem__(5), IndexError),
        (lambda: here.append(object()), TypeError),
        (lambda: here.append(), TypeError),
        (lambda: here.insert("0", "x"), TypeError),
        (lambda: here.insert(0), TypeError),
        (lambda: here.extend(5), TypeError),
        (lambda: here.pop(2), IndexError),
        (lambda: here.pop("a"), TypeError),
        (lambda: here.pop(1, 2), TypeError),
        (lambda: here.remove("c"), ValueError),
        (lambda: here.index("c"), ValueError),
        (lambda: here.index("a", 1), ValueError),
        (lambda: here.index("a", "b"), TypeError),
        (lambda: here.index(), TypeError),
        (lambda: here.sort(5), TypeError),
        (lambda: [*here, 1].index(here.sort(key=5)), TypeError),
        (lambda: here.reverse(1), TypeError),
        (lambda: here.__imul__("a"), TypeError),
        (lambda: kv.hash("here"), KindError),
        (lambda: kv.map("here"), KindError),
        (lambda: kv.set("here"), KindError),
        (lambda: kv.list(5), TypeError),  # type: ignore[arg-type]
        (lambda: kv.list(""), ValueError),
    ]
    for call, error in wrong:
        with pytest.raises(error):
            call()
        assert here == ["a", "b"]
    kv.hash("hash")
    with pytest.raises(KindError, match="is a Hash"):
        kv.list("hash")
    empty = kv.list("empty")
    with pytest.raises(IndexError, match="pop from empty list"):
        empty.pop()
    kv.drop("here")
    with pytest.raises(ClosedError):
        here.append("x")


def test_a_full_store_refuses_and_stays_as_it_is() -> None:
    with Storage.memory(max_memory=24 * 1024 * 1024, parts=1) as kv:
        here = kv.list("here")
        here += ["a", "b"]
        with pytest.raises(CapacityError):
            here[0] = "x" * 30_000_000
        with pytest.raises(CapacityError):
            here.insert(1, b"x" * 30_000_000)
        assert here == ["a", "b"]
        with pytest.raises(CapacityError):
            here.extend(str(number) * 10 for number in range(10_000_000))
        assert here[:2] == ["a", "b"]
        assert here[2] == "0" * 10
        assert kv.verify() == []
        here.clear()
        here.append("again")
        assert here == ["again"]
        assert kv.verify() == []


def test_pickle_and_close() -> None:
    with Storage.memory(max_memory=TEST_MEMORY) as kv:
        here = kv.list("here")
        here += [1, 2]
        again = pickle.loads(pickle.dumps(here))
        again.append(3)
        assert here == [1, 2, 3]
        iterator = iter(here)
    with pytest.raises(ClosedError):
        len(here)
    with pytest.raises(ClosedError):
        next(iterator)
    assert repr(here) == "<kv_storage.List 'here', closed>"


def test_threads(kv: Storage) -> None:
    here = kv.list("here")
    count, each = 4, 3000

    def write(name: str) -> None:
        for number in range(each):
            here.append(f"{name} {number % 100}")
            if number % 50 == 0:
                here.insert(0, "front")
                here.remove("front")

    threads = [threading.Thread(target=write, args=(str(i),)) for i in range(count)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert sum(here.value_counts().values()) >= 0
        codes, dictionary = here.encoded()
        assert all(value is not None for value in dictionary[codes])
        for _ in zip(here, range(100), strict=False):
            pass
    for thread in threads:
        thread.join()
    assert len(here) == count * each
    for i in range(count):
        own = [int(item.split()[1]) for item in here if item.startswith(f"{i} ")]
        assert own == [number % 100 for number in range(each)]


def test_forked_children_share_it(kv: Storage) -> None:
    here = kv.list("here")
    here.append("parent")
    children = []
    for child in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                for number in range(1000):
                    here.append(f"child {child} {number % 10}")
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert len(here) == 3001
    assert here.count("child 1 5") == 100


@given(items=st.lists(ITEMS, max_size=50))
@settings(max_examples=50)
def test_round_trip(items: list[Any]) -> None:
    with Storage.memory(max_memory=TEST_MEMORY) as kv:
        here = kv.list("here")
        here.extend(items)
        assert same(list(here), items)
        assert same([here[place] for place in range(-len(items), len(items))], items + items)
