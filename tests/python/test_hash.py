"""One key at a time: what a dict would do, and what only a store between processes needs."""

from __future__ import annotations

from typing import Any

import pytest
from kv_storage import (
    MISSING,
    CapacityError,
    Error,
    Hash,
    IntegerOverflowError,
    KindError,
    MissingKeyError,
    Storage,
)

from .strategies import MAX_KEY_BYTES


@pytest.fixture(params=["root", "hash", "split"])
def store(request: pytest.FixtureRequest, kv: Storage, many_parts: Storage) -> Hash:
    collections: dict[str, Hash] = {"root": kv, "hash": kv.hash("h"), "split": many_parts}
    return collections[request.param]


def test_get_gives_what_put_stored(store: Hash) -> None:
    store.put("a", 1)
    assert store.get("a") == store["a"] == 1
    store["a"] = "other"
    assert store["a"] == "other"


def test_get_of_an_absent_key_gives_the_default(store: Hash) -> None:
    assert store.get("absent") is None
    assert store.get("absent", 5) == 5
    assert store.get(key="absent", default=MISSING) is MISSING
    store["none"] = None
    assert store.get("none", 5) is None


def test_subscript_of_an_absent_key_raises_key_error(store: Hash) -> None:
    with pytest.raises(KeyError) as caught:
        store["absent"]
    assert caught.type is MissingKeyError
    assert caught.value.args == ("absent",)
    with pytest.raises(MissingKeyError):
        del store["absent"]


def test_delete_says_whether_the_key_was_there(store: Hash) -> None:
    store["a"] = 1
    assert store.delete("a") is True
    assert store.delete("a") is False
    assert "a" not in store
    store["a"] = 2
    del store["a"]
    assert len(store) == 0


def test_bytes_and_text_are_one_key(store: Hash) -> None:
    store["é"] = 1
    assert store["é".encode()] == 1
    assert store.__contains__("é".encode())
    store[b"\xff\x00"] = 2
    assert list(store) == ["é", b"\xff\x00".decode(errors="surrogateescape")]
    assert store[list(store)[1]] == 2


@pytest.mark.parametrize("key", ["", b"", "\0", "a\0b", b"\xff", "k" * MAX_KEY_BYTES])
def test_unusual_keys_are_keys(store: Hash, key: str | bytes) -> None:
    store[key] = "value"
    assert store[key] == "value"
    assert store.pop(key) == "value"
    assert key not in store


@pytest.mark.parametrize("key", ["k" * (MAX_KEY_BYTES + 1), "é" * (MAX_KEY_BYTES // 2 + 1)])
def test_a_key_that_is_too_long_is_refused(store: Hash, key: str) -> None:
    with pytest.raises(ValueError, match=r"65,?535") as caught:
        store[key] = 1
    assert isinstance(caught.value, Error)
    assert key not in store
    assert store.get(key) is None
    assert len(store) == 0


@pytest.mark.parametrize("key", [None, 1, 1.5, ("a",), bytearray(b"a"), memoryview(b"a")])
def test_a_key_of_another_type_is_refused(store: Hash, key: Any) -> None:
    for call in (
        store.get,
        store.delete,
        store.view,
        store.__contains__,
        store.__getitem__,
        store.incr,
        store.pop,
    ):
        with pytest.raises(KindError, match="str or bytes"):
            call(key)
    with pytest.raises(TypeError, match=type(key).__name__):
        store[key] = 1


def test_a_surrogate_that_stands_for_no_byte_is_refused_as_key(store: Hash) -> None:
    with pytest.raises(ValueError, match="surrogate") as caught:
        store["\ud800"] = 1
    assert isinstance(caught.value, Error)


def test_pop(store: Hash) -> None:
    store["a"] = [1, 2]
    assert store.pop("a") == [1, 2]
    assert store.pop("a", "default") == "default"
    with pytest.raises(MissingKeyError):
        store.pop("a")


def test_popitem_takes_the_last_key(store: Hash) -> None:
    store.update(b=2, a=1)
    assert store.popitem() == ("b", 2)
    assert store.popitem() == ("a", 1)
    with pytest.raises(KeyError):
        store.popitem()


def test_setdefault(store: Hash) -> None:
    assert store.setdefault("a", "first") == "first"
    assert store.setdefault("a", "second") == "first"
    assert store.setdefault("none") is None
    assert store["none"] is None


def test_incr_counts(store: Hash) -> None:
    assert store.incr("n") == 1
    assert store.incr("n", 41) == 42
    assert store.incr("n", by=-2) == 40
    assert store["n"] == 40


@pytest.mark.parametrize("value", [1.0, "1", None, True, [1], 2**70])
def test_incr_of_another_type_is_refused(store: Hash, value: object) -> None:
    store["n"] = value
    with pytest.raises(TypeError) as caught:
        store.incr("n")
    assert isinstance(caught.value, Error)
    assert store["n"] == value


@pytest.mark.parametrize(
    ("start", "by"), [(2**63 - 1, 1), (-(2**63), -1), (0, 2**63), (0, -(2**63) - 1), (1, 2**200)]
)
def test_incr_beyond_64_bits_is_refused(store: Hash, start: int, by: int) -> None:
    store["n"] = start
    with pytest.raises(OverflowError) as caught:
        store.incr("n", by)
    assert caught.type is IntegerOverflowError
    assert store["n"] == start


def test_compare_and_set(store: Hash) -> None:
    assert store.compare_and_set("a", MISSING, 1) is True
    assert store.compare_and_set("a", MISSING, 2) is False
    assert store.compare_and_set("a", 1, 2) is True
    assert store["a"] == 2
    assert store.compare_and_set("a", 1, 3) is False
    assert store.compare_and_set("a", expected=2, new=MISSING) is True
    assert "a" not in store
    assert store.compare_and_set("a", MISSING, MISSING) is True


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (1, True),
        (1, 1.0),
        (0, False),
        (0.0, -0.0),
        ("a", b"a"),
        ([1], (1,)),
        (None, MISSING),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)
def test_compare_and_set_compares_type_and_content(store: Hash, stored: object, expected: object) -> None:
    store["a"] = stored
    assert store.compare_and_set("a", expected, "new") is False
    assert store.compare_and_set("a", stored, "new") is True


def test_compare_and_set_of_nested_values(store: Hash) -> None:
    store["a"] = {"list": [1, (2, 3)], "text": "é"}
    assert store.compare_and_set("a", {"list": [1, (2, 3)], "text": "é"}, "new") is True


def test_clear_deletes_all_keys(store: Hash) -> None:
    store.put_many({str(i): i for i in range(1000)})
    store.clear()
    assert len(store) == 0
    assert list(store) == []
    store["a"] = 1
    assert dict(store) == {"a": 1}


def test_storing_copies(store: Hash) -> None:
    numbers = [1, 2]
    store["a"] = numbers
    numbers.append(3)
    assert store["a"] == [1, 2]
    store["a"].append(3)
    assert store["a"] == [1, 2]


def test_a_full_store_raises_and_keeps_what_it_had() -> None:
    with Storage.memory(max_memory=8 * 1024 * 1024) as kv:
        stored = 0

        def fill() -> None:
            nonlocal stored
            while True:
                kv[f"key-{stored}"] = bytes(1000)
                stored += 1

        with pytest.raises(MemoryError) as caught:
            fill()
        assert caught.type is CapacityError
        assert len(kv) == stored > 1000
        with pytest.raises(CapacityError):
            kv["large"] = bytes(64 * 1024 * 1024)
        assert kv[f"key-{stored - 1}"] == bytes(1000)
        assert kv.verify() == []
        kv.clear()
        kv["fits"] = bytes(1000)
        assert len(kv) == 1


@pytest.mark.parametrize(
    "call",
    [
        "get()",
        "get('a', 1, 2)",
        "get('a', other=1)",
        "get('a', key='a')",
        "put('a')",
        "put('a', 1, 2, 3)",
        "put('a', 1, until=5)",
        "pop()",
        "pop('a', 1, 2)",
        "popitem(1)",
        "setdefault()",
        "incr()",
        "incr('a', '1')",
        "incr('a', 1.5)",
        "compare_and_set('a', 1)",
        "clear(1)",
        "keys(1)",
        "find()",
        "delete()",
        "update(1)",
        "update({}, {})",
        "__getitem__()",
        "hash('a', 1)",
        "hash()",
    ],
)
def test_calls_that_do_not_fit_are_type_errors(kv: Storage, call: str) -> None:
    with pytest.raises(TypeError):
        eval(f"kv.{call}", {"kv": kv})
    assert len(kv) == 0
    assert kv.collections() == {}


def test_a_second_argument_of_hash_asks_for_put(kv: Storage) -> None:
    with pytest.raises(TypeError, match=r"did you mean put\(\)"):
        kv.hash("key", "value")  # type: ignore[call-overload]
