"""Whatever is done to collections of every kind, in whatever order: files have what memory has."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from kv_storage import RecordHash, Storage

SCHEMA = {"n": "i4", "text": "category"}
LONG = 10_000.0  # seconds: a ttl that does not end while a test runs

KINDS = ("hash", "map", "records", "set", "list")
names = st.sampled_from([*KINDS, "other"])


def names_of(kind: str) -> st.SearchStrategy[str]:
    """That of the kind, and one which is of any kind over time."""
    return st.sampled_from([kind, kind, "other"])


keys = st.sampled_from([f"k{i}" for i in range(12)])
numbers = st.integers(-6, 6)
texts = st.sampled_from(["x", "y", "z", "a longer text", None])
values = st.one_of(st.integers(-5, 5), st.text(max_size=5), st.sampled_from([b"v" * 200, 1.5, None]))


class DurabilityMachine(RuleBasedStateMachine):
    """A model per collection: a dict, set or list; the files are read after a close, and as if all had been killed."""

    @initialize(sync=st.sampled_from(["off", "interval"]))
    def open(self, sync: Any) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.sync = sync
        self.kv = Storage(self.folder / "data", sync=sync)
        self.handles: dict[tuple[int, str, str], Any] = {}
        self.kinds: dict[str, str] = {}
        self.model: dict[str, Any] = {}
        self.with_ttl: set[tuple[str, Any]] = set()

    def teardown(self) -> None:
        if hasattr(self, "kv"):
            self.kv.close()
            shutil.rmtree(self.folder)

    # ---- Opening ----

    def collection(self, name: str, kind: str) -> Any:
        """The collection and its model, made if the name is free; None if it is of another kind."""
        if self.kinds.setdefault(name, kind) != kind:
            return None
        self.model.setdefault(name, {"set": set, "list": list}.get(kind, dict)())
        return self.handle(self.kv, name), self.model[name]

    def handle(self, kv: Storage, name: str) -> Any:
        """One handle for as long as the name is there: it follows it to what is renamed."""
        kind = self.kinds[name]
        if (id(kv), name, kind) not in self.handles:
            made = kv.hash(name, schema=SCHEMA) if kind == "records" else getattr(kv, kind)(name)
            self.handles[id(kv), name, kind] = made
        return self.handles[id(kv), name, kind]

    def close_handles(self, name: str, but: str = "") -> None:
        self.handles = {
            known: handle for known, handle in self.handles.items() if known[1] != name or known[2] == but
        }

    def forget(self, name: str) -> None:
        self.kinds.pop(name, None)
        self.model.pop(name, None)
        self.with_ttl = {known for known in self.with_ttl if known[0] != name}

    # ---- Changes ----

    @rule(name=names_of("hash"), key=keys, value=values, ttl=st.sampled_from([None, LONG]))
    def put(self, name: str, key: str, value: Any, ttl: float | None) -> None:
        if found := self.collection(name, "hash"):
            found[0].put(key, value, ttl=ttl)
            found[1][key] = value
            self.note_ttl(name, key, ttl)

    @rule(name=names_of("map"), key=numbers, value=values, ttl=st.sampled_from([None, LONG]))
    def put_in_map(self, name: str, key: int, value: Any, ttl: float | None) -> None:
        if found := self.collection(name, "map"):
            found[0].put(key, value, ttl=ttl)
            found[1][key] = value
            self.note_ttl(name, key, ttl)

    @rule(name=names_of("records"), key=keys, n=numbers, text=texts, ttl=st.sampled_from([None, LONG]))
    def put_record(self, name: str, key: str, n: int, text: str | None, ttl: float | None) -> None:
        if found := self.collection(name, "records"):
            found[0].put(key, (n, text), ttl=ttl)
            found[1][key] = (n, text)
            self.note_ttl(name, key, ttl)

    @rule(name=names_of("records"), key=keys, text=texts)
    def set_text(self, name: str, key: str, text: str | None) -> None:
        found = self.collection(name, "records")
        if found and key in found[1]:
            found[0].set_fields(key, text=text)
            found[1][key] = (found[1][key][0], text)

    @rule(name=names_of("set"), members=st.sets(numbers, max_size=4), ttl=st.sampled_from([None, LONG]))
    def add(self, name: str, members: set[int], ttl: float | None) -> None:
        if found := self.collection(name, "set"):
            found[0].update(members, ttl=ttl)
            found[1].update(members)
            for member in members:
                self.note_ttl(name, member, ttl)

    @rule(name=names_of("list"), at=st.integers(0, 20), many=st.lists(texts, max_size=6))
    def insert(self, name: str, at: int, many: list[str | None]) -> None:
        if found := self.collection(name, "list"):
            for values in found:
                values[at:at] = many

    @rule(name=names_of("list"), at=st.integers(0, 20), text=texts)
    def replace_item(self, name: str, at: int, text: str | None) -> None:
        found = self.collection(name, "list")
        if found and at < len(found[1]):
            for values in found:
                values[at] = text

    @rule(name=names_of("list"), first=st.integers(0, 20), last=st.integers(0, 20))
    def cut(self, name: str, first: int, last: int) -> None:
        if found := self.collection(name, "list"):
            for values in found:
                del values[first:last]

    @rule(name=names, place=st.integers(0, 20))
    def remove(self, name: str, place: int) -> None:
        kind = self.kinds.get(name)
        if kind in (None, "list") or not self.model[name]:
            return
        model = self.model[name]
        key = sorted(model)[place % len(model)]
        if kind == "set":
            self.handle(self.kv, name).remove(key)
            model.remove(key)
        else:
            del self.handle(self.kv, name)[key]
            del model[key]
        self.with_ttl.discard((name, key))

    @rule(name=names, place=st.integers(0, 20), expires=st.booleans())
    def change_ttl(self, name: str, place: int, expires: bool) -> None:
        if self.kinds.get(name) in (None, "list") or not self.model[name]:
            return
        key = sorted(self.model[name])[place % len(self.model[name])]
        handle = self.handle(self.kv, name)
        if expires:
            assert handle.expire(key, LONG)
        else:
            handle.persist(key)
        self.note_ttl(name, key, LONG if expires else None)

    @rule(name=names_of("records"))
    def clear(self, name: str) -> None:
        if name in self.kinds:
            self.handle(self.kv, name).clear()
            self.model[name].clear()
            self.with_ttl = {known for known in self.with_ttl if known[0] != name}

    @rule(name=names)
    def clear_any(self, name: str) -> None:
        self.clear(name)

    @rule(
        name=names_of("records"),
        rows=st.dictionaries(keys, st.tuples(numbers, texts.filter(bool)), min_size=1, max_size=6),
    )
    def load(self, name: str, rows: dict[str, tuple[int, str]]) -> None:
        if self.kinds.get(name) not in (None, "records"):
            return
        path = self.folder / "rows.csv"
        path.write_text("key,n,text\n" + "".join(f"{key},{n},{text}\n" for key, (n, text) in rows.items()))
        self.kv.load_csv(path, "loaded", key="{key}", types={"n": "i4", "text": "category"})
        # The file's categories are narrower than those of the schema: the rows are what is compared.
        target = self.collection(name, "records")
        target[0].put_many({key: tuple(row) for key, row in self.kv.hash("loaded").items()})
        target[1].update(rows)
        for key in rows:
            self.note_ttl(name, key, None)

    @rule(old=names, new=names)
    def rename(self, old: str, new: str) -> None:
        if old == new or old not in self.kinds:
            return
        self.kv.rename(old, new, replace=True)
        self.forget(new)
        self.close_handles(old)
        self.close_handles(new, but=self.kinds[old])  # which go on with what has the name now
        self.kinds[new] = self.kinds.pop(old)
        self.model[new] = self.model.pop(old)
        self.with_ttl = {(new if name == old else name, key) for name, key in self.with_ttl}

    @rule(name=names)
    def drop(self, name: str) -> None:
        assert self.kv.drop(name) == (name in self.kinds)
        self.close_handles(name)
        self.forget(name)

    def note_ttl(self, name: str, key: Any, ttl: float | None) -> None:
        if ttl is None:
            self.with_ttl.discard((name, key))
        else:
            self.with_ttl.add((name, key))

    # ---- Files ----

    @rule()
    def checkpoint(self) -> None:
        self.kv.checkpoint()

    @rule()
    def reopen(self) -> None:
        self.kv.close()
        self.handles.clear()
        self.kv = Storage(self.folder / "data", sync=self.sync)
        self.check(self.kv)

    @rule()
    @precondition(lambda self: self.kinds)
    def recover_as_after_a_kill(self) -> None:
        self.check(self.kv)
        self.kv.flush()
        copy = self.folder / "copy"
        shutil.copytree(self.folder / "data", copy, ignore=shutil.ignore_patterns("*.sock", "lock*"))
        with Storage(copy) as recovered:
            self.check(recovered)
            self.handles = {
                known: handle for known, handle in self.handles.items() if known[0] != id(recovered)
            }
        shutil.rmtree(copy)

    def check(self, kv: Storage) -> None:
        there = {name: kind for name, kind in kv.collections().items() if name != "loaded"}
        assert there == self.kinds
        for name, kind in self.kinds.items():
            handle = self.handle(kv, name)
            expected = self.model[name]
            if kind == "list":
                assert list(handle) == expected
            elif kind == "set":
                assert list(handle) == sorted(expected)
            else:
                assert list(handle.items()) == sorted(expected.items())
            if kind == "records":
                records = cast("RecordHash", handle)
                assert [text or None for text in records.column("text")] == [
                    expected[key][1] for key in sorted(expected)
                ]
            if kind != "list":
                assert {(name, key) for key in expected if handle.ttl(key) is not None} == {
                    known for known in self.with_ttl if known[0] == name
                }
        assert kv.verify() == []


TestDurability = DurabilityMachine.TestCase
TestDurability.settings = settings(
    max_examples=40, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
