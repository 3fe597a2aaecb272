"""CPython's own tests of lists, run on a List. Every exclusion has its reason."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from kv_storage import Storage

from .conftest import TEST_MEMORY

list_tests: Any = pytest.importorskip("test.list_tests", reason="needs CPython's test package")


class NewList:
    """Stands for the class: what is called makes a List of the items, under a name of its own."""

    kv: Storage
    names = itertools.count()

    def __new__(cls, items: Iterable[Any] = ()) -> Any:
        made = NewList.kv.list(f"list {next(NewList.names)}")
        made.extend(items)
        return made


class TestList(list_tests.CommonTest):  # type: ignore[misc]
    """The tests that list and UserList pass."""

    type2test = NewList

    def setUp(self) -> None:
        NewList.kv = Storage.memory(max_memory=TEST_MEMORY)

    def tearDown(self) -> None:
        assert NewList.kv.verify() == []
        NewList.kv.close()

    # A List is made by Storage.list(name), not by a class that is called.
    test_init = None
    test_free_after_iterating = None
    # Its repr() names it and does not show what it holds.
    test_repr = None
    # Lists do not hold each other: they are collections, no values.
    test_repr_deep = None
    # Put objects of classes of their own into the list, which cannot be stored. What remains is in test_list.py:
    # test_objects_of_other_classes_are_compared_in_order and the state machine.
    test_contains_fake = None
    test_contains_order = None
    test_count = None
    test_index = None
    test_remove = None
    # Goes on to change an object that the list holds: storing copies.
    test_copy = None
    # Goes on to append while it is sorted, which a built-in list notices: others may write to a List at any time.
    test_sort = None
