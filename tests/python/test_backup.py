"""Storage.backup: a copy that opens as a store, made while others write."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from kv_storage import ArgumentError, ClosedError, KindError, Storage, StorageIOError


def test_the_copy_has_what_was_there_and_the_store_goes_on(tmp_path: Path) -> None:
    with Storage(tmp_path / "data") as kv:
        kv["value"] = [1, {"a": (2, None)}]
        kv.put("later", 1, ttl=1000)
        kv.map("map")[1.5] = "x"
        kv.set("set").add("a")
        kv.hash("rows", schema={"n": "i4", "carrier": "category"})["a"] = {"n": 1, "carrier": "UA"}
        kv.cache("cache").put("x", 1)
        kv.backup(tmp_path / "copy")
        kv["more"] = 1
        kv.backup(os.fsencode(tmp_path / "second"))
    with Storage(tmp_path / "copy") as copy:
        assert dict(copy.items()) == {"value": [1, {"a": (2, None)}], "later": 1}
        assert 900 < (copy.ttl("later") or 0) <= 1000
        assert list(copy.map("map").items()) == [(1.5, "x")]
        assert list(copy.set("set")) == ["a"]
        assert copy.hash("rows")["a"].asdict() == {"n": 1, "carrier": "UA"}
        assert "cache" not in copy.collections()
        assert copy.verify() == []
    with Storage(tmp_path / "second") as copy:
        assert copy["more"] == 1


def test_what_is_refused(tmp_path: Path) -> None:
    with Storage(tmp_path / "data") as kv:
        bad: Any = 1
        with pytest.raises(KindError, match=r"str, bytes or os\.PathLike, not int"):
            kv.backup(bad)
        for path in (tmp_path, tmp_path / "data"):
            with pytest.raises(ArgumentError, match="exists and is not an empty directory"):
                kv.backup(path)
        with pytest.raises(StorageIOError):
            kv.backup(tmp_path / "no" / "parent")
    with pytest.raises(ClosedError):
        kv.backup(tmp_path / "copy")
    with Storage.memory() as memory, pytest.raises(ArgumentError, match="in memory"):
        memory.backup(tmp_path / "copy")
    assert [file.name for file in tmp_path.iterdir()] == ["data"]


def test_threads_go_on_meanwhile_and_the_copy_is_a_beginning(tmp_path: Path) -> None:
    with Storage(tmp_path / "data") as kv:
        stop = threading.Event()
        written = 0

        def write() -> None:
            nonlocal written
            while not stop.is_set():
                kv[f"{written:08}"] = written
                written += 1

        writer = threading.Thread(target=write)
        writer.start()
        counts = []
        for i in range(5):
            before = written
            kv.backup(tmp_path / f"copy{i}")
            counts.append((before, written))
        stop.set()
        writer.join()
    for i, (before, after) in enumerate(counts):
        with Storage(tmp_path / f"copy{i}") as copy:
            assert before <= len(copy) <= after + 1
            assert list(copy.values()) == list(range(len(copy)))
