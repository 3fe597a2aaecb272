"""The errors: what they derive from, and what they say."""

from __future__ import annotations

import pathlib

import kv_storage
import pytest
from kv_storage import CsvError, Error, Storage, StorageIOError

BASES = {
    "ArgumentError": ValueError,
    "CsvError": ValueError,
    "KindError": TypeError,
    "MissingKeyError": KeyError,
    "ClosedError": ValueError,
    "CapacityError": MemoryError,
    "IntegerOverflowError": OverflowError,
    "ReentryError": RuntimeError,
    "StorageIOError": OSError,
    "StoreBusyError": OSError,
    "CorruptionError": Exception,
}


def test_every_error_is_listed_here() -> None:
    errors = {
        name
        for name, item in vars(kv_storage).items()
        if isinstance(item, type) and issubclass(item, Exception)
    }
    assert errors == {"Error", *BASES}


@pytest.mark.parametrize(("name", "builtin"), BASES.items())
def test_errors_derive_from_what_a_user_would_catch(name: str, builtin: type[Exception]) -> None:
    error = getattr(kv_storage, name)
    assert issubclass(error, Error)
    assert issubclass(error, builtin)
    assert error.__doc__
    assert error.__module__ == "kv_storage"


def test_every_error_is_documented() -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs/errors.md").read_text(encoding="utf-8")
    for name in ("Error", *BASES):
        assert f"`{name}`" in page, name


def test_a_file_that_is_not_there(kv: Storage, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "absent.csv"
    with pytest.raises(OSError, match=r"absent\.csv") as caught:
        kv.load_csv(path, "flights", key="{a}")
    assert isinstance(caught.value, StorageIOError)
    assert caught.value.errno == 2
    assert caught.value.filename == str(path)


def test_a_csv_error_has_a_place(kv: Storage, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("a,b\n1,2\n3,4,5\n")
    with pytest.raises(CsvError, match=r"bad\.csv:3") as caught:
        kv.load_csv(path, "flights", key="{a}")
    assert caught.value.path == str(path)
    assert caught.value.line == 3
    assert (CsvError("x").path, CsvError("x").line, CsvError("x").column) == (None, None, None)
