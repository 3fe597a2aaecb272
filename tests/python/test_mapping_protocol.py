"""CPython's own tests of mappings, run on a Storage. Every exclusion has its reason."""

from __future__ import annotations

import collections.abc
from typing import Any

import pytest
from kv_storage import Hash, Matches, RecordHash, Storage

from .conftest import TEST_MEMORY

mapping_tests: Any = pytest.importorskip("test.mapping_tests", reason="needs CPython's test package")


class TestStorage(mapping_tests.TestMappingProtocol):  # type: ignore[misc]
    """The tests that dict, UserDict and os.environ pass."""

    type2test = Storage

    def _empty_mapping(self) -> Storage:
        return Storage.memory(max_memory=TEST_MEMORY)

    def _full_mapping(self, data: dict[Any, Any]) -> Storage:
        storage = self._empty_mapping()
        storage.update({str(key): value for key, value in data.items()})
        return storage

    # test_constructor also makes mappings from keyword arguments, which a Storage does not take.
    test_constructor = mapping_tests.BasicTestMappingProtocol.test_constructor
    # These go on with integer keys, fromkeys() or copy(): keys of a store are text or bytes, and it is no dict.
    test_keys = mapping_tests.BasicTestMappingProtocol.test_keys
    test_values = mapping_tests.BasicTestMappingProtocol.test_values
    test_items = mapping_tests.BasicTestMappingProtocol.test_items
    test_update = mapping_tests.BasicTestMappingProtocol.test_update
    test_clear = None
    test_fromkeys = None
    test_copy = None
    # Goes on to change a list that setdefault() returned: storing copies.
    test_setdefault = mapping_tests.BasicTestMappingProtocol.test_setdefault
    # Goes on with integer keys.
    test_popitem = mapping_tests.BasicTestMappingProtocol.test_popitem
    test_pop = mapping_tests.BasicTestMappingProtocol.test_pop
    test_get = mapping_tests.BasicTestMappingProtocol.test_get


def test_collections_are_registered_as_what_they_are(kv: Storage) -> None:
    assert isinstance(kv, collections.abc.MutableMapping)
    assert isinstance(kv.find("*"), collections.abc.Mapping)
    assert not isinstance(kv.find("*"), collections.abc.MutableMapping)
    assert isinstance(kv.keys(), collections.abc.KeysView)
    assert isinstance(kv.values(), collections.abc.ValuesView)
    assert isinstance(kv.items(), collections.abc.ItemsView)
    assert issubclass(RecordHash, Hash)
    assert issubclass(Storage, Hash)
    assert issubclass(Matches, collections.abc.Mapping)


def test_a_collection_matches_mapping_patterns(kv: Storage) -> None:
    kv["a"] = 1
    match kv:
        case {"a": value}:
            assert value == 1
        case _:
            pytest.fail("a Storage matches no mapping pattern")


def test_abstract_methods_all_exist(kv: Storage) -> None:
    for method in dir(collections.abc.MutableMapping):
        if not method.startswith("_") or method in {"__contains__", "__len__", "__iter__", "__eq__"}:
            assert callable(getattr(kv, method)), method


def test_a_collection_has_no_hash(kv: Storage) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(kv)
