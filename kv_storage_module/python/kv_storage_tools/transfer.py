"""Dumping a store into a file of blocks, and loading one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime
from typing import Any, BinaryIO

from kv_storage import ArgumentError, MissingKeyError, Storage, _pack_all
from kv_storage_tools.blocks import BlockReader, BlockWriter, DumpError

_BLOCK_BYTES = 256 * 1024  # a block ends with the entry that fills it
_TEMPORARY = ".loading-"
_KEY_TYPES = {"int": int, "float": float, "str": str, "bytes": bytes, "date": date, "datetime": datetime}
_OBJECTS = {"hash": 3, "records": 3, "map": 3, "set": 2, "list": 1}  # of an entry
KINDS = tuple(_OBJECTS)


class LoadError(Exception):
    """A dump that is sound, but does not fit into this store."""


def now_ms() -> int:
    """Wall-clock milliseconds, in which due times are counted."""
    return time.time_ns() // 1_000_000


# ---- Dumping ----


def dump(kv: Storage, file: BinaryIO, names: Iterable[str] | None = None) -> tuple[int, int, list[str]]:
    """Write the root and the collections, or those of `names`; '' is the root.

    Returns:
        How many collections and entries there are in the file, and the names of what was left out (caches).
    """
    kinds = kv.collections()
    wanted = ["", *kinds] if names is None else list(names)
    writer = BlockWriter(file)
    writer.write_objects("store", {"created_ms": now_ms()})
    left_out = []
    collections = entries = 0
    for name in wanted:
        kind = kinds[name] if name else "hash"
        if kind not in KINDS:
            left_out.append(name)
        elif name or len(kv) or names is not None:
            entries += _dump_collection(kv, name, kind, writer)
            collections += 1
    writer.write_objects("end", {"collections": collections, "entries": entries})
    return collections, entries, left_out


def _dump_collection(kv: Storage, name: str, kind: str, writer: BlockWriter) -> int:
    collection = open_collection(kv, name, kind)
    header: dict[str, Any] = {"name": name, "kind": kind}
    if kind == "records":
        header["schema"] = collection.schema
    if kind in ("map", "set"):
        header["key"] = collection.key_type
    writer.write_objects("collection", header)
    start = _pack_all(("entries",))
    block, size, count = [start], len(start), 0
    for entry in _entries(collection, kind):
        packed = _pack_all(entry)
        block.append(packed)
        size += len(packed)
        count += 1
        if size >= _BLOCK_BYTES:
            writer.write(b"".join(block))
            block, size = [start], len(start)
    if len(block) > 1:
        writer.write(b"".join(block))
    return count


def _entries(collection: Any, kind: str) -> Iterator[tuple[Any, ...]]:
    """What is packed of each entry, in as many objects as _OBJECTS says; a due time is None if it stays."""
    if kind == "list":
        for element in collection:
            yield (element,)
    elif kind == "set":
        for member in collection:
            with suppress(MissingKeyError):  # it has just expired, or was removed
                yield member, _due(collection.ttl(member))
    else:
        for key, value, ttl in _with_ttl(collection):
            yield key, tuple(value) if kind == "records" else value, _due(ttl)


def _due(ttl: float | None) -> int | None:
    return None if ttl is None else now_ms() + round(ttl * 1000)


def _with_ttl(collection: Any) -> Iterator[tuple[Any, Any, float | None]]:
    for key, value in collection.items():
        with suppress(MissingKeyError):
            yield key, value, collection.ttl(key)


def open_collection(kv: Storage, name: str, kind: str) -> Any:
    """The collection of that name, which exists."""
    if not name:
        return kv
    if kind == "records":
        return kv.hash(name)
    return getattr(kv, kind)(name)


# ---- Loading ----


def load(kv: Storage, file: BinaryIO, file_name: str, *, replace: bool = False) -> tuple[int, int, int]:
    """Make the collections of a dump, or none of them.

    Everything goes into collections of other names first. Only when the file has been read to its end, they get their
    own names, each in one step; the keys of the root are put last.

    Args:
        kv: the store.
        file: the dump.
        file_name: what errors call it.
        replace: whether present collections give way, and the present keys of the root. Otherwise they are a LoadError.

    Returns:
        How many collections and entries were loaded, and how many had expired since the dump.

    Raises:
        DumpError: the file is damaged or ends early. The store is as it was.
        LoadError: a collection is there already. The store is as it was.
    """
    loading = _Loading(kv, BlockReader(file, file_name), replace)
    try:
        loading.read()
        loading.publish()
    finally:
        loading.drop_temporaries()
    return loading.collections, loading.entries, loading.expired


class _Loading:
    def __init__(self, kv: Storage, reader: BlockReader, replace: bool) -> None:
        self.collections = self.entries = self.expired = 0
        self._kv = kv
        self._reader = reader
        self._replace = replace
        self._temporaries: dict[str, str] = {}  # name -> the name it has meanwhile
        self._put: Callable[[list[Any]], None] | None = None
        self._drop_leftovers()

    def read(self) -> None:
        for kind, *objects in self._reader:
            if kind == "collection":
                self._begin(objects)
            elif kind == "entries":
                self._add(objects)
            elif kind == "end":
                self._check_end(objects)
            elif kind != "store":
                raise self._reader.fault(f"blocks of kind {kind!r:.100} are not known")

    def _begin(self, objects: list[Any]) -> None:
        match objects:
            case [{"name": str(name), "kind": str(kind)} as header] if kind in KINDS and hasattr(
                self._kv, _method(kind)
            ):
                pass
            case _:
                raise self._reader.fault("it describes no collection")
        if name in self._temporaries:
            raise self._reader.fault(f"the collection {name!r} comes twice")
        self._refuse_present(name)
        temporary = f"{_TEMPORARY}{os.getpid()}-{len(self._temporaries)}"
        try:
            if name:
                self._check_name(name)
            collection = _make(self._kv, temporary, kind, header)
        except (KeyError, TypeError, ValueError) as error:
            raise self._reader.fault(f"the collection {name!r} cannot be made: {error}") from error
        self._temporaries[name] = temporary
        self.collections += 1
        self._put = _putter(self, collection, kind)

    def _check_name(self, name: str) -> None:
        with suppress(MissingKeyError):  # names are looked at before the collection is looked for
            self._kv.rename(f"{_TEMPORARY}none", name)

    def _refuse_present(self, name: str) -> None:
        if self._replace:
            return
        if name and name in self._kv.collections():
            raise LoadError(
                f"there is a collection {name!r} already: --replace puts the one of the dump in its place"
            )
        if not name and len(self._kv):
            raise LoadError("the store has keys already: --replace puts those of the dump in their place")

    def _add(self, objects: list[Any]) -> None:
        if self._put is None:
            raise self._reader.fault("entries come before their collection")
        try:
            self._put(objects)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self._reader.fault(f"an entry cannot be stored: {error}") from error

    def _check_end(self, objects: list[Any]) -> None:
        count = self.entries + self.expired
        if objects != [{"collections": self.collections, "entries": count}]:
            raise self._reader.fault(f"it counts {objects}, but there were {self.collections} and {count}")

    def publish(self) -> None:
        """Give the collections their names."""
        published = []
        try:
            for name, temporary in self._temporaries.items():
                if name:
                    self._kv.rename(temporary, name, replace=self._replace)
                    published.append(name)
        except ArgumentError:  # somebody made one of that name meanwhile
            for name in published:
                self._kv.drop(name)
            raise
        if "" in self._temporaries:
            self._publish_root(self._temporaries[""])

    def _publish_root(self, temporary: str) -> None:
        source = self._kv.hash(temporary)
        if self._replace:
            self._kv.clear()
        for key, value, ttl in _with_ttl(source):
            self._kv.put(key, value, ttl=ttl)

    def drop_temporaries(self) -> None:
        for temporary in self._temporaries.values():
            self._kv.drop(temporary)

    def _drop_leftovers(self) -> None:
        """What a load left that was killed."""
        alive = self._kv.stats()["processes"]
        for name in self._kv.collections():
            if name.startswith(_TEMPORARY):
                pid = name.removeprefix(_TEMPORARY).partition("-")[0]
                if pid.isdecimal() and (int(pid) not in alive or int(pid) == os.getpid()):
                    self._kv.drop(name)


def _method(kind: str) -> str:
    return "hash" if kind == "records" else kind


def _make(kv: Storage, name: str, kind: str, header: dict[str, Any]) -> Any:
    if kind == "records":
        return kv.hash(name, schema=header["schema"])
    if kind in ("map", "set"):
        key = header.get("key")
        return getattr(kv, kind)(name, key=None if key is None else _KEY_TYPES[key])
    return getattr(kv, kind)(name)


def _putter(loading: _Loading, collection: Any, kind: str) -> Callable[[list[Any]], None]:
    """What stores the objects of a block."""
    each = _OBJECTS[kind]

    def put(objects: list[Any]) -> None:
        if len(objects) % each:
            raise ValueError("a key lacks its value or due time")
        if kind == "list":
            collection.extend(objects)
            loading.entries += len(objects)
            return
        lasting = []
        for at in range(0, len(objects), each):
            *entry, due = objects[at : at + each]
            left = None if due is None else due - now_ms()
            if left is None:
                lasting.append(entry)
            elif left > 0:
                (collection.add if kind == "set" else collection.put)(*entry, ttl=left / 1000)
                loading.entries += 1
            else:
                loading.expired += 1
        if kind == "set":
            collection.update([member for (member,) in lasting])
        else:
            collection.put_many([(key, value) for key, value in lasting])
        loading.entries += len(lasting)

    return put


__all__ = ["KINDS", "DumpError", "LoadError", "dump", "load", "open_collection"]
