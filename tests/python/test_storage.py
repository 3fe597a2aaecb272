"""Storage: collections by name, the process store, closing, pickling, figures."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading

import pytest
from kv_storage import ArgumentError, ClosedError, Error, Hash, KindError, MissingKeyError, Storage


def test_every_storage_of_a_process_is_the_same_data() -> None:
    Storage()["test_storage"] = 1
    assert Storage()["test_storage"] == 1
    with Storage() as kv:
        kv["test_storage"] = 2
    assert Storage().pop("test_storage") == 2


def test_children_see_the_store_of_their_parent() -> None:
    kv = Storage()
    kv["parent"] = "parent's"
    program = "from kv_storage import Storage; kv = Storage(); kv['child'] = kv['parent'] + ' child'"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert kv.pop("child") == "parent's child"
    kv.clear()


def test_private_stores_are_apart() -> None:
    with Storage.memory(max_memory=1 << 26) as left, Storage.memory(max_memory=1 << 26, parts=2) as right:
        left["a"] = 1
        assert "a" not in right
        assert len(right.stats()["parts"]) == 2


@pytest.mark.parametrize(
    "options", [{"parts": 65}, {"parts": -1}, {"parts": "2"}, {"max_memory": 1.5}, {"size": 1}]
)
def test_bad_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        Storage.memory(**options)  # type: ignore[arg-type]


def test_collections_are_made_on_first_use(kv: Storage) -> None:
    assert kv.collections() == {}
    first = kv.hash("first")
    first["a"] = 1
    kv.hash("schema", schema={"x": "f4"})
    assert kv.collections() == {"first": "hash", "schema": "records"}
    assert kv.hash("first")["a"] == 1
    assert first.name == "first"
    assert kv.name == ""
    assert type(first) is Hash


def test_names_and_keys_are_apart(kv: Storage) -> None:
    kv.hash("name")["key"] = 1
    assert "name" not in kv
    kv["name"] = "value"
    kv.clear()
    assert kv.hash("name")["key"] == 1


@pytest.mark.parametrize("name", ["", "x" * 256, "nul\0", None, 5, b"bytes"])
def test_bad_names_are_refused(kv: Storage, name: object) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        kv.hash(name)  # type: ignore[call-overload]
    assert isinstance(caught.value, Error)
    assert kv.collections() == {}


def test_a_collection_of_another_kind_is_refused(kv: Storage) -> None:
    kv.hash("plain")
    with pytest.raises(KindError, match="plain"):
        kv.hash("plain", schema={"x": "f4"})
    kv.hash("schema", schema={"x": "f4"})
    with pytest.raises(KindError, match="schema"):
        kv.hash("schema", schema={"x": "f8"})


def test_drop(kv: Storage) -> None:
    hash_ = kv.hash("h")
    hash_["a"] = 1
    assert kv.drop("h") is True
    assert kv.drop("h") is False
    with pytest.raises(ClosedError):
        hash_.get("a")
    assert kv.collections() == {}
    assert len(kv.hash("h")) == 0


def test_rename(kv: Storage) -> None:
    kv.hash("a")["x"] = 1
    kv.hash("b")["x"] = 2
    with pytest.raises(ArgumentError, match="b"):
        kv.rename("a", "b")
    assert kv.hash("a")["x"] == 1
    kv.rename("a", "b", replace=True)
    assert kv.collections() == {"b": "hash"}
    assert kv.hash("b")["x"] == 1
    with pytest.raises(MissingKeyError, match="absent"):
        kv.rename("absent", "c")


def test_closing_closes_the_handle_and_its_collections(kv: Storage) -> None:
    kv["a"] = 1
    hash_ = kv.hash("h")
    hash_["a"] = 1
    matches = kv.find("*")
    iterator = iter(kv)
    kv.close()
    kv.close()
    assert kv.closed
    for call in (
        lambda: kv.get("a"),
        lambda: kv.put("a", 1),
        lambda: kv["a"],
        lambda: len(kv),
        lambda: "a" in kv,
        lambda: list(kv),
        lambda: kv.find("*"),
        lambda: kv.hash("h"),
        lambda: kv.stats(),
        lambda: kv.put_many({"a": 1}),
        lambda: kv.get_many(["a"]),
        lambda: kv.collections(),
        lambda: kv.edit("a"),
        lambda: hash_["a"],
        lambda: hash_.incr("n"),
        lambda: list(matches),
        lambda: matches.delete(),
        lambda: next(iterator),
        lambda: pickle.dumps(kv),
        lambda: kv.__enter__(),
    ):
        with pytest.raises(ClosedError):
            call()
    assert "closed" in repr(kv)
    assert "closed" in repr(hash_)


def test_closing_a_handle_of_the_process_store_leaves_others_open() -> None:
    first, second = Storage(), Storage()
    first["handle"] = 1
    first.close()
    assert second.pop("handle") == 1


def test_closing_while_another_thread_works() -> None:
    for _ in range(20):
        kv = Storage.memory(max_memory=1 << 26)
        started = threading.Event()

        def work(kv: Storage = kv, started: threading.Event = started) -> None:
            try:
                for i in range(1_000_000):
                    kv[f"{i % 1000}"] = i
                    kv.get(f"{i % 7}")
                    started.set()
            except ClosedError:
                return

        thread = threading.Thread(target=work)
        thread.start()
        started.wait()
        kv.close()
        thread.join()


def test_handles_pickle_by_name(kv: Storage) -> None:
    kv["a"] = 1
    kv.hash("h")["a"] = 2
    kv.hash("r", schema={"x": "i4"})["a"] = (3,)
    for level in range(2, 6):
        assert pickle.loads(pickle.dumps(kv, level))["a"] == 1
        assert pickle.loads(pickle.dumps(kv.hash("h"), level))["a"] == 2
        assert pickle.loads(pickle.dumps(kv.hash("r"), level))["a"].x == 3
    other = copy.copy(kv.hash("h"))
    other["b"] = 5
    assert kv.hash("h")["b"] == 5
    Storage()["process"] = 1
    assert pickle.loads(pickle.dumps(Storage()))["process"] == 1
    Storage().clear()


def test_a_pickled_handle_works_in_another_process(kv: Storage) -> None:
    kv.hash("h")["a"] = "shared"
    program = "import pickle, sys; h = pickle.load(sys.stdin.buffer); assert h['a'] == 'shared'; h['b'] = 'from the child'"
    subprocess.run([sys.executable, "-c", program], input=pickle.dumps(kv.hash("h")), check=True)
    assert kv.hash("h")["b"] == "from the child"


def test_comparison_is_by_content(kv: Storage) -> None:
    kv.update(a=1, b=[2])
    assert kv == {"a": 1, "b": [2]}
    assert kv != {"a": 1}
    assert kv != {"a": 1, "b": [3]}
    assert kv != {"a": 1, "c": [2]}
    assert kv == kv
    kv.hash("h").update(kv)
    assert kv == kv.hash("h")
    assert kv != 5
    assert (kv == 5) is False


def test_stats_count(kv: Storage) -> None:
    empty = kv.stats()
    kv.put_many({f"{i}": bytes(1000) for i in range(1000)})
    kv.hash("h")["a"] = 1
    full = kv.stats()
    assert full["keys"] == 1000
    assert full["collections"] == {"h": {"kind": "hash", "keys": 1}}
    assert full["used_bytes"] - empty["used_bytes"] > 1_000_000
    assert full["committed_bytes"] >= full["used_bytes"]
    assert full["transactions"] > empty["transactions"]
    assert full["max_memory"] > 0
    assert full["recoveries"] == 0
    assert sum(part["used_bytes"] for part in full["parts"]) == full["used_bytes"]


def test_repr_says_what_it_is(kv: Storage) -> None:
    kv["a"] = 1
    assert repr(kv) == "<kv_storage.Storage '', 1 keys>"
    assert repr(kv.hash("h")) == "<kv_storage.Hash 'h', 0 keys>"
    assert "kv_storage.KeysView" in repr(kv.keys())
