"""Directories that earlier versions wrote, kept in tests/data: every later version reads them.

A new format gets a directory of its own: ``runner tests/python/test_stored_files.py tests/data/store_format_N``.
"""

from __future__ import annotations

import shutil
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from kv_storage import Storage

DATA = Path(__file__).resolve().parents[1] / "data"
NEVER_DUE = 3e10  # seconds: some 950 years


def fill(kv: Storage) -> None:
    """Something of every kind, a part of it in the checkpoint and a part in the log."""
    kv.put_many({f"key{i}": i for i in range(20)})
    kv["value"] = [None, True, 2**70, 1.5, "text", b"bytes", {"a": (1, 2)}]
    kv["gone"] = 1
    kv.hash("named")["x"] = "before"
    kv.map("map")[2] = "two"
    kv.set("set").add("a")
    kv.list("list").extend(["a", "b", "a", None, 5])
    table = kv.hash("table", schema={"n": "i4", "carrier": "category"})
    table["a"] = {"n": 1, "carrier": "UA"}
    kv.checkpoint()
    del kv["gone"]
    kv.incr("key3", 100)
    kv.put("later", 1, ttl=NEVER_DUE)
    kv.rename("named", "renamed")
    kv.hash("renamed").clear()
    kv.hash("renamed")["y"] = date(2018, 6, 6)
    kv.hash("dropped")["x"] = 1
    kv.drop("dropped")
    kv.map("map")[-1] = "minus one"
    kv.set("set").add("b")
    kv.list("list").insert(1, 1.5)
    kv.list("list")[-1] = "b"
    del kv.list("list")[2:4]
    kv.list("cleared list").append("x")
    kv.list("cleared list").clear()
    table["b"] = {"n": 2, "carrier": "AA"}
    table.set_fields("a", carrier="AA")


ROOT = {f"key{i}": i for i in range(20)} | {
    "key3": 103,
    "value": [None, True, 2**70, 1.5, "text", b"bytes", {"a": (1, 2)}],
    "later": 1,
}


@pytest.mark.parametrize("directory", sorted(DATA.glob("store_format_*")), ids=lambda path: path.name)
def test_a_stored_directory_is_read(directory: Path, tmp_path: Path) -> None:
    path = tmp_path / "data"
    shutil.copytree(directory, path)
    path.chmod(0o700)
    for _ in range(2):  # the second time, what this version made of it
        with Storage(path) as kv:
            assert dict(kv.items()) == ROOT
            assert (kv.ttl("later") or 0) > NEVER_DUE / 2
            kinds: dict[str, Any] = {"renamed": "hash", "map": "map", "set": "set", "table": "records"}
            kinds |= {"list": "list", "cleared list": "list"}
            assert kv.collections() == kinds
            assert dict(kv.hash("renamed").items()) == {"y": date(2018, 6, 6)}
            assert list(kv.map("map").items()) == [(-1, "minus one"), (2, "two")]
            assert list(kv.set("set")) == ["a", "b"]
            assert kv.list("list") == ["a", 1.5, None, "b"]
            assert kv.list("cleared list") == []
            rows = {key: row.asdict() for key, row in kv.hash("table").items()}
            assert rows == {"a": {"n": 1, "carrier": "AA"}, "b": {"n": 2, "carrier": "AA"}}
            assert kv.verify() == []
            kv.checkpoint()


def test_there_is_one_of_this_version() -> None:
    assert (DATA / "store_format_1" / "MANIFEST").is_file()


if __name__ == "__main__":
    with Storage(sys.argv[1], sync="interval") as made:
        fill(made)
    (Path(sys.argv[1]) / "LOCK").unlink()
