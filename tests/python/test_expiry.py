"""Keys that expire. No test waits for a span of time: those that need one to be over ask until it is."""

from __future__ import annotations

import multiprocessing
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from kv_storage import MISSING, ArgumentError, Hash, MissingKeyError, RecordHash, Storage

from .support import LONG, NO_TTLS, SHORT, until


def let_expire(store: Hash, key: str) -> None:
    assert store.expire(key, SHORT)
    until(lambda: key not in store)


def test_a_key_without_a_ttl_has_none(kv: Storage) -> None:
    kv["a"] = 1
    assert kv.ttl("a") is None
    assert kv.persist("a") is False


def test_a_ttl_counts_down_from_what_was_given(kv: Storage) -> None:
    kv.put("a", 1, ttl=LONG)
    first = kv.ttl("a")
    assert first is not None
    assert 0 < first <= LONG
    until(lambda: (kv.ttl("a") or 0) < first)
    assert kv.expire("a", 2 * LONG)
    assert (kv.ttl("a") or 0) > LONG
    assert kv.persist("a") is True
    assert kv.ttl("a") is None


def test_an_expired_key_is_absent_to_every_call(kv: Storage) -> None:
    kv.put("gone", 1, ttl=SHORT)
    kv["here"] = 2
    until(lambda: "gone" not in kv)
    assert kv.get("gone") is None
    assert kv.get_many(["gone", "here"]) == [None, 2]
    assert list(kv) == ["here"]
    assert list(reversed(kv)) == ["here"]
    assert dict(kv.items()) == {"here": 2}
    assert len(kv) == 1
    assert list(kv.find("g*")) == []
    assert len(kv.find("*")) == 1
    assert list(kv.prefix("g")) == []
    assert kv.find("*").delete() == 1
    for call in (kv.__getitem__, kv.view, kv.ttl, kv.__delitem__, kv.pop):
        with pytest.raises(MissingKeyError):
            call("gone")
    assert kv.delete("gone") is False
    assert kv.expire("gone", 1) is False
    assert kv.persist("gone") is False
    assert kv.compare_and_set("gone", 1, 2) is False
    with pytest.raises(MissingKeyError):
        kv.popitem()
    assert kv.setdefault("gone", "new") == "new"
    assert kv.ttl("gone") is None


def test_incr_and_compare_and_set_of_an_expired_key_begin_anew(kv: Storage) -> None:
    kv.put("n", 41, ttl=SHORT)
    until(lambda: "n" not in kv)
    assert kv.incr("n") == 1
    assert kv.ttl("n") is None
    let_expire(kv, "n")
    assert kv.compare_and_set("n", MISSING, "new") is True
    assert kv.ttl("n") is None


def test_put_clears_a_ttl_and_changing_a_value_keeps_it(kv: Storage) -> None:
    kv.put("n", 1, ttl=LONG)
    kv.incr("n")
    assert kv.compare_and_set("n", 2, 3)
    assert kv.ttl("n") is not None
    kv["n"] = 4
    assert kv.ttl("n") is None
    kv.put_many({"n": 5}, ttl=LONG)
    assert kv.ttl("n") is not None
    kv.update(n=6)
    assert kv.ttl("n") is None


def test_edit_keeps_the_ttl_and_does_not_bring_back_what_expired(kv: Storage) -> None:
    kv.put("a", np.arange(3), ttl=LONG)
    with kv.edit("a") as array:
        array += 1
    assert kv["a"].tolist() == [1, 2, 3]
    assert kv.ttl("a") is not None
    with kv.edit("a"):
        let_expire(kv, "a")
    assert "a" not in kv
    kv["a"] = np.arange(3)
    with kv.edit("a") as array:
        array[0] = 9
        del kv["a"]
    assert kv["a"].tolist() == [9, 1, 2]


def test_a_view_outlives_the_expiry_of_its_key(kv: Storage) -> None:
    kv.put("a", b"x" * 10_000, ttl=LONG)
    view = kv.view("a")
    let_expire(kv, "a")
    kv["b"] = 1  # reclaims
    assert kv.stats()["pinned_bytes"] >= 10_000
    assert bytes(view) == b"x" * 10_000
    view.release()
    assert kv.stats()["pinned_bytes"] == 0


def test_put_many_with_rows_and_pairs(many_parts: Storage) -> None:
    store = many_parts.hash("named")
    store.put_many([f"row-{i}" for i in range(100)], np.zeros((100, 4)), ttl=LONG)
    store.put_many([("pair", 1)], ttl=LONG)
    assert all(store.ttl(key) is not None for key in store)
    for key in list(store)[:-1]:
        store.expire(key, SHORT)
    until(lambda: len(store) == 1)
    assert many_parts.stats()["collections"]["named"]["keys"] == 1


def test_records_expire(kv: Storage) -> None:
    records: RecordHash = kv.hash("records", schema={"n": "i8"})
    records.put("a", {"n": 1}, ttl=LONG)
    records.put_many({"b": {"n": 2}, "c": {"n": 3}}, ttl=LONG)
    records.put_many(["d"], np.zeros(1, dtype=[("n", "i8")]), ttl=LONG)
    records.set_fields("a", n=5)
    assert all(records.ttl(key) is not None for key in records)
    let_expire(records, "a")
    let_expire(records, "d")
    assert list(records) == ["b", "c"]
    assert len(records) == 2
    assert records.column("n").tolist() == [2, 3]
    assert sum(int(used.sum()) for _, used in records.slabs()) == 2
    assert records.persist("b") is True
    assert records.ttl("b") is None
    records["c"] = {"n": 4}
    assert records.ttl("c") is None


@pytest.mark.parametrize("ttl", NO_TTLS)
def test_what_is_no_ttl_is_refused_and_changes_nothing(kv: Storage, ttl: Any) -> None:
    kv.put("a", 1, ttl=LONG)
    before = kv.ttl("a")
    records = kv.hash("records", schema={"n": "i8"})
    message = r"number of seconds greater than 0 and at most 1e11"
    for call in (
        lambda: kv.put("a", 2, ttl=ttl),
        lambda: kv.put("new", 2, ttl=ttl),
        lambda: kv.put_many({"a": 2}, ttl=ttl),
        lambda: kv.expire("a", ttl),
        lambda: records.put("a", {"n": 1}, ttl=ttl),
        lambda: records.put_many({"a": {"n": 1}}, ttl=ttl),
    ):
        with pytest.raises(ArgumentError, match=message):
            call()
    assert dict(kv.items()) == {"a": 1}
    assert len(records) == 0
    after = kv.ttl("a")
    assert before is not None
    assert after is not None
    assert after <= before


def test_what_python_counts_as_a_number_is_a_ttl(kv: Storage) -> None:
    ttls: list[Any] = [5, 5.0, np.float32(5), np.int64(5), Decimal(5)]
    for ttl in ttls:
        kv.put("a", 1, ttl)
        assert 0 < (kv.ttl("a") or 0) <= 5
    kv.put("a", 1, ttl=1e11)
    kv.put("a", 1, ttl=None)
    assert kv.ttl("a") is None
    with pytest.raises(ArgumentError):
        kv.expire("a", None)  # type: ignore[arg-type]


def expire_all(store: Storage, names: list[str]) -> None:
    for name in names:
        assert store.expire(name, SHORT)


def test_processes_share_due_times(many_parts: Storage) -> None:
    names = [f"key-{i}" for i in range(100)]
    many_parts.put_many(dict.fromkeys(names, 1), ttl=LONG)
    child = multiprocessing.get_context("fork").Process(target=expire_all, args=(many_parts, names[:50]))
    child.start()
    child.join()
    assert child.exitcode == 0
    until(lambda: len(many_parts) == 50)
    assert sorted(many_parts) == sorted(names[50:])


class ExpiryMachine(RuleBasedStateMachine):
    """Whether a key has a ttl, beside what a dict holds; time is made to pass by a short ttl that is waited for."""

    known = Bundle("known")

    @initialize(parts=st.sampled_from([1, 3]), name=st.sampled_from([None, "named"]))
    def open(self, parts: int, name: str | None) -> None:
        self.storage = Storage.memory(max_memory=64 * 1024 * 1024, parts=parts)
        self.store = self.storage if name is None else self.storage.hash(name)
        self.model: dict[str, tuple[Any, bool]] = {}

    def teardown(self) -> None:
        if hasattr(self, "storage"):
            assert self.storage.verify() == []
            self.storage.close()

    @rule(target=known, names=st.lists(st.text("ab-", max_size=6), min_size=1, max_size=5))
    def name_keys(self, names: list[str]) -> Any:
        return multiple(*names)

    @rule(key=known, size=st.integers(0, 5000), expires=st.booleans())
    def put(self, key: str, size: int, expires: bool) -> None:
        self.store.put(key, b"x" * size, ttl=LONG if expires else None)
        self.model[key] = (b"x" * size, expires)

    @rule(key=known)
    def expire(self, key: str) -> None:
        assert self.store.expire(key, LONG) == (key in self.model)
        if key in self.model:
            self.model[key] = (self.model[key][0], True)

    @rule(key=known)
    def persist(self, key: str) -> None:
        assert self.store.persist(key) == self.model.get(key, (None, False))[1]
        if key in self.model:
            self.model[key] = (self.model[key][0], False)

    @rule(key=known)
    def time_passes(self, key: str) -> None:
        if self.model.pop(key, None) is not None:
            let_expire(self.store, key)

    @rule(key=known)
    def compare_and_set(self, key: str) -> None:
        present = key in self.model
        assert self.store.compare_and_set(key, self.model[key][0] if present else MISSING, 7)
        self.model[key] = (7, present and self.model[key][1])

    @rule(key=known)
    def setdefault(self, key: str) -> None:
        assert self.store.setdefault(key, 1) == self.model.setdefault(key, (1, False))[0]

    @rule(key=known)
    def delete(self, key: str) -> None:
        assert self.store.delete(key) == (self.model.pop(key, None) is not None)

    @rule()
    def clear(self) -> None:
        self.store.clear()
        self.model.clear()

    @invariant()
    def contents_agree(self) -> None:
        if hasattr(self, "store"):
            assert len(self.store) == len(self.model)
            assert list(self.store) == sorted(self.model)
            for key, (value, expires) in self.model.items():
                assert self.store[key] == value
                assert (self.store.ttl(key) is not None) == expires


TestExpiry = ExpiryMachine.TestCase
TestExpiry.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
