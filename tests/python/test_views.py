"""Views never lie and never crash, whatever happens to what they look at."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from kv_storage import KindError, MissingKeyError, Storage

SIZE = 100_000


def overwrite(kv: Storage) -> None:
    kv["key"] = b"other" * 20_000


def delete(kv: Storage) -> None:
    del kv["key"]


def reuse(kv: Storage) -> None:
    del kv["key"]
    for i in range(50):
        kv[f"reuse-{i}"] = bytes([i]) * SIZE


def clear(kv: Storage) -> None:
    kv.clear()


def close(kv: Storage) -> None:
    kv.close()


CHANGES = [overwrite, delete, reuse, clear, close]


@pytest.mark.parametrize("change", CHANGES)
def test_a_view_shows_what_it_showed(kv: Storage, change: Callable[[Storage], None]) -> None:
    content = np.random.default_rng(1).bytes(SIZE)
    kv["key"] = content
    view = kv.view("key")
    change(kv)
    gc.collect()
    assert bytes(view) == content
    view.release()


@pytest.mark.parametrize("change", CHANGES)
def test_an_array_shows_what_it_showed(kv: Storage, change: Callable[[Storage], None]) -> None:
    content = np.random.default_rng(1).normal(size=10_000)
    kv["key"] = content
    array = kv["key"][100:200]
    change(kv)
    gc.collect()
    assert (array == content[100:200]).all()


def test_a_view_of_text_shows_its_utf8(kv: Storage) -> None:
    kv["key"] = "é"
    view = kv.view("key")
    assert bytes(view) == "é".encode()
    assert view.readonly
    assert view.format == "B"


def test_a_view_of_an_array_has_its_format_and_shape(kv: Storage) -> None:
    kv["key"] = np.arange(6, dtype="<i4").reshape(2, 3)
    view = kv.view("key")
    assert (view.format, view.shape, view.strides, view.itemsize) == ("i", (2, 3), (12, 4), 4)
    assert np.asarray(view).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_view_of_times_has_integers(kv: Storage) -> None:
    kv["key"] = np.array(["1970-01-02"], "M8[D]")
    assert kv.view("key").tolist() == [1]


@pytest.mark.parametrize("content", [b"", "", np.zeros((0, 3)), np.array(5.0), np.zeros(3, "i4,f8")])
def test_views_of_unusual_size(kv: Storage, content: object) -> None:
    kv["key"] = content
    view = kv.view("key")
    assert view.nbytes == memoryview(content.encode() if isinstance(content, str) else content).nbytes  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, 1, 1.5, [b"nested"], {}])
def test_values_without_bytes_have_no_view(kv: Storage, value: object) -> None:
    kv["key"] = value
    with pytest.raises(KindError, match=r"get\(\)"):
        kv.view("key")


def test_an_absent_key_has_no_view(kv: Storage) -> None:
    with pytest.raises(MissingKeyError):
        kv.view("absent")


def test_a_view_cannot_be_written_or_pickled(kv: Storage) -> None:
    kv["key"] = b"abc"
    view = kv.view("key")
    with pytest.raises(TypeError):
        view[0] = 1
    with pytest.raises(TypeError):
        pickle.dumps(view)
    with pytest.raises(TypeError):
        pickle.dumps(view.obj)
    with pytest.raises((BufferError, ValueError, TypeError)):
        np.frombuffer(view, np.uint8).flags.writeable = True


def test_pins_are_counted_and_given_back(kv: Storage) -> None:
    kv["key"] = bytes(SIZE)
    views = [kv.view("key") for _ in range(10)]
    assert kv.stats()["pins"] == 10
    assert kv.stats()["pinned_bytes"] == 0
    del kv["key"]
    assert kv.stats()["pinned_bytes"] >= SIZE
    slices = [view[10:20] for view in views]
    del views
    assert kv.stats()["pins"] == 10
    for part in slices:
        part.release()
    del slices, part
    gc.collect()
    assert kv.stats()["pins"] == 0
    assert kv.stats()["pinned_bytes"] == 0


def test_a_view_outlives_every_handle() -> None:
    kv = Storage.memory(max_memory=64 * 1024 * 1024)
    kv.hash("h")["key"] = b"x" * SIZE
    view = kv.hash("h").view("key")
    kv.drop("h")
    kv.close()
    del kv
    gc.collect()
    assert bytes(view) == b"x" * SIZE


def test_views_alive_at_exit_do_no_harm() -> None:
    program = """
import gc, os, sys
import numpy as np
from kv_storage import Storage
kv = Storage.memory(max_memory=64 << 20)
kv["a"] = np.arange(10_000.0)
kv["b"] = b"b" * 10_000
sys.kept = [kv["a"], kv.view("b"), memoryview(kv["a"])[1:], iter(kv), kv.find("*").items()]
class Late:
    def __del__(self, kv=kv, view=kv.view("b"), write=os.write):
        write(1, b"late" if bytes(view[:2]) == b"bb" and kv.get("b") is not None else b"wrong")
sys.late = Late()
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "late", "")
