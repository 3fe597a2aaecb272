"""CPython's own tests of sets, run on a Set. Every exclusion has its reason."""

from __future__ import annotations

import collections.abc
import unittest
from collections.abc import Iterable
from typing import Any

import pytest
from kv_storage import Set, Storage

from .conftest import TEST_MEMORY

set_tests: Any = pytest.importorskip("test.test_set", reason="needs CPython's test package")


def make(members: Iterable[Any] = ()) -> Set:
    """A Set in a store of its own."""
    made = Storage.memory(max_memory=TEST_MEMORY).set("s")
    made.update(members)
    return made


class TestSet(set_tests.TestJointOps, unittest.TestCase):  # type: ignore[misc]
    """The tests that set passes. What makes new sets makes built-in ones: `basetype`."""

    basetype = set

    @staticmethod
    def thetype(members: Iterable[Any] = ()) -> Set:
        return make(members)

    test_remove_keyerror_set = None  # a set as member
    test_rich_compare = set_tests.TestSet.test_rich_compare
    test_hash = set_tests.TestSet.test_hash
    test_clear = set_tests.TestSet.test_clear
    test_copy = set_tests.TestSet.test_copy
    test_add = set_tests.TestSet.test_add
    test_pop = set_tests.TestSet.test_pop
    test_update = set_tests.TestSet.test_update
    test_ior = set_tests.TestSet.test_ior
    test_intersection_update = set_tests.TestSet.test_intersection_update
    test_iand = set_tests.TestSet.test_iand
    test_difference_update = set_tests.TestSet.test_difference_update
    test_isub = set_tests.TestSet.test_isub
    test_symmetric_difference_update = set_tests.TestSet.test_symmetric_difference_update
    test_ixor = set_tests.TestSet.test_ixor
    test_constructor_identity = set_tests.TestSet.test_constructor_identity

    # Sets come from Storage.set(): there is no constructor that could be called wrongly, and no class to derive from.
    test_new_or_init = None
    test_subclass_with_custom_hash = None
    # Members of any type, of several types, or of a class that counts or fails: members are of one storable type.
    test_contains = None
    test_setOfFrozensets = None
    test_deepcopy = None
    test_badcmp = None
    test_cyclical_repr = None
    test_do_not_rehash_dict_keys = None
    # Operators take any iterable, as those of collections.abc.Set do.
    test_or = None
    test_and = None
    test_sub = None
    test_xor = None
    # Of the built-in set only.
    test_gc = None
    test_container_iterator = None
    test_free_after_iterating = None
    # Handles have no attributes of their own, and pickle by name: test_set.py.
    test_pickling = None
    # Iterators do not pickle: their place is in the store of this process.
    test_iterator_pickling = None


class TestIdentities(set_tests.TestIdentities):  # type: ignore[misc]
    """Laws of set algebra."""

    def setUp(self) -> None:
        self.a = make("abracadabra")
        self.b = make("alacazam")


class Subsets(set_tests.TestSubsets):  # type: ignore[misc]
    """Comparison in all its spellings."""

    left: Any
    right: Any

    def setUp(self) -> None:
        self.left, self.right = make(self.left), make(self.right)


class TestSubsetEqualEmpty(Subsets, set_tests.TestSubsetEqualEmpty):  # type: ignore[misc]
    """Two empty sets."""


class TestSubsetEqualNonEmpty(Subsets, set_tests.TestSubsetEqualNonEmpty):  # type: ignore[misc]
    """Two equal sets."""


class TestSubsetEmptyNonEmpty(Subsets, set_tests.TestSubsetEmptyNonEmpty):  # type: ignore[misc]
    """An empty set and another."""


class TestSubsetPartial(Subsets, set_tests.TestSubsetPartial):  # type: ignore[misc]
    """A set and a part of it."""


class TestSubsetNonOverlap(Subsets, set_tests.TestSubsetNonOverlap):  # type: ignore[misc]
    """Two sets with nothing in common."""


class TestBinaryOps(set_tests.TestBinaryOps):  # type: ignore[misc]
    """Operators beside each other."""

    def setUp(self) -> None:
        self.set = make((2, 4, 6))


class TestUpdateOps(set_tests.TestUpdateOps):  # type: ignore[misc]
    """Operators in place."""

    def setUp(self) -> None:
        self.set = make((2, 4, 6))


class TestMutate(set_tests.TestMutate):  # type: ignore[misc]
    """Members come and go."""

    def setUp(self) -> None:
        self.values = ["a", "b", "c"]
        self.set = make(self.values)


def test_every_method_of_a_built_in_set_is_there(kv: Storage) -> None:
    s = kv.set("s")
    for name in dir(set):
        if not name.startswith("_"):
            assert callable(getattr(s, name)), name
    assert isinstance(s, collections.abc.MutableSet)
    assert not isinstance(s, collections.abc.Sequence)
