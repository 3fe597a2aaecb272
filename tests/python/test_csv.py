"""load_csv as Python sees it; the parser has tests of its own."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kv_storage import ArgumentError, CsvError, Error, KindError, RecordHash, Storage

from .support import gives_up_the_gil

CSV = """\
origin,dest,day,flight,dep_delay,carrier
EWR,SFO,6,101,5,UA
EWR,SFO,7,102,NA,UA
JFK,LAX,6,103,-3,AA
JFK,LAX,6,104,12,B6
"""

Columns = dict[str, npt.NDArray[Any]]


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "flights.csv"
    path.write_text(CSV)
    return path


KEY = "{origin}-{dest}-{day:02}-{flight}"


def load(kv: Storage, path: pathlib.Path | str, **options: Any) -> RecordHash:
    kv.load_csv(path, "flights", **{"key": KEY} | options)
    flights = kv.hash("flights")
    assert isinstance(flights, RecordHash)
    return flights


def test_a_file_becomes_a_collection(kv: Storage, path: pathlib.Path) -> None:
    report = kv.load_csv(path, "flights", key=KEY)
    assert (report["rows"], report["filtered"], report["duplicates"]) == (4, 0, 0)
    assert report["bytes"] == len(CSV)
    assert list(report["schema"]) == ["origin", "dest", "day", "flight", "dep_delay", "carrier"]
    flights = kv.hash("flights")
    assert list(flights) == ["EWR-SFO-06-101", "EWR-SFO-07-102", "JFK-LAX-06-103", "JFK-LAX-06-104"]
    assert flights["JFK-LAX-06-103"].dep_delay == -3
    assert flights["JFK-LAX-06-103"].carrier == "AA"
    assert np.isnan(flights["EWR-SFO-07-102"].dep_delay)


def test_a_loaded_collection_opens_with_the_schema_that_it_has(kv: Storage, path: pathlib.Path) -> None:
    flights = load(kv, path, types={"carrier": "category"})
    assert flights.codes("carrier").dtype.itemsize == 1  # a category made by hand has 4-byte codes
    again = kv.hash("flights", schema=dict(flights.schema))
    assert isinstance(again, RecordHash)
    assert again["JFK-LAX-06-104"].carrier == "B6"
    again.set_fields("JFK-LAX-06-104", carrier="DL")
    assert flights["JFK-LAX-06-104"].asdict() == again["JFK-LAX-06-104"].asdict()
    assert flights["JFK-LAX-06-104"].carrier == "DL"
    assert flights["JFK-LAX-06-103"].carrier == "AA"
    with pytest.raises(KindError):
        kv.hash("flights", schema={**flights.schema, "carrier": "S2"})


def test_options(kv: Storage, path: pathlib.Path) -> None:
    flights = load(kv, str(path), types={"dep_delay": np.float32, "day": "u1"}, where="day == 6", threads=1)
    assert flights.schema["dep_delay"] == "float32"
    assert flights.schema["day"] == "uint8"
    assert len(flights) == 3


def test_duplicates(kv: Storage, path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="EWR") as caught:
        load(kv, path, key="{origin}")
    assert isinstance(caught.value, Error)
    assert kv.collections() == {}
    assert load(kv, path, key="{origin}", on_duplicate="first")["JFK"].flight == 103
    assert load(kv, path, key="{origin}", on_duplicate="last")["JFK"].flight == 104


def test_an_error_leaves_the_collection_as_it_was(kv: Storage, path: pathlib.Path) -> None:
    load(kv, path)
    path.write_text(CSV + '"open,1,2\n')
    with pytest.raises(CsvError) as caught:
        load(kv, path)
    assert caught.value.path == str(path)
    assert caught.value.line is not None
    assert len(kv.hash("flights")) == 4
    assert kv.collections() == {"flights": "records"}


def test_without_header(kv: Storage, path: pathlib.Path) -> None:
    path.write_text("a;1\nb;2\n")
    flights = load(kv, path, key="{name}", header=False, columns=["name", "number"], delimiter=";")
    assert {key: record.number for key, record in flights.items()} == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "options",
    [
        {"on_duplicate": "never"},
        {"delimiter": ",,"},
        {"quote": ""},
        {"threads": -1},
        {"threads": "many"},
        {"types": {"day": "f5"}},
        {"types": {"day": object()}},
        {"columns": "abc"},
        {"missing": "NA"},
        {"transform": 5},
        {"key": 5},
        {"key": "{absent}"},
        {"key": "{day"},
        {"where": "day =="},
        {"nonsense": 1},
    ],
)
def test_bad_options_are_refused(kv: Storage, path: pathlib.Path, options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        load(kv, path, **options)
    assert kv.collections() == {}


@pytest.mark.parametrize("path_argument", [5, None, "nul\0inside"])
def test_bad_paths_are_refused(kv: Storage, path_argument: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        kv.load_csv(path_argument, "flights", key=KEY)


def test_a_directory_is_refused(kv: Storage, tmp_path: pathlib.Path) -> None:
    with pytest.raises((OSError, ValueError), match=str(tmp_path)):
        kv.load_csv(tmp_path, "flights", key=KEY)


def big_file(tmp_path: pathlib.Path, rows: int) -> pathlib.Path:
    path = tmp_path / "big.csv"
    path.write_text("name,number\n" + "".join(f"name-{i},{i}\n" for i in range(rows)))
    return path


def test_progress_is_told_and_can_stop(kv: Storage, tmp_path: pathlib.Path) -> None:
    path = big_file(tmp_path, 400_000)
    seen: list[tuple[int, int, int]] = []
    kv.load_csv(path, "big", key="{name}", progress=lambda *state: seen.append(state))
    assert all(done <= total == path.stat().st_size for done, total, _ in seen)
    kv.drop("big")

    def failing(*_: int) -> bool:
        raise ZeroDivisionError

    if seen:
        with pytest.raises(ZeroDivisionError):
            kv.load_csv(path, "big", key="{name}", progress=failing)
        with pytest.raises(Error):
            kv.load_csv(path, "big", key="{name}", progress=lambda *_: False)
        assert kv.collections() == {}


def test_other_threads_run_while_loading(kv: Storage, path: pathlib.Path) -> None:
    assert gives_up_the_gil(lambda: kv.load_csv(path, "flights", key=KEY))


# ---- transform ----


def test_a_transform_changes_columns_and_rows(kv: Storage, path: pathlib.Path) -> None:
    def transform(batch: Columns) -> Columns:
        keep = batch["carrier"] != "AA"
        batch = {name: column[keep] for name, column in batch.items() if name != "day"}
        batch["late"] = batch["dep_delay"] > 0
        batch["carrier"] = np.char.add(batch["carrier"], "!")
        return batch

    report = kv.load_csv(path, "flights", key=KEY, transform=transform)
    flights = kv.hash("flights")
    assert report["rows"] == 3
    assert list(report["schema"]) == ["origin", "dest", "flight", "dep_delay", "carrier", "late"]
    assert list(flights) == ["EWR-SFO-06-101", "EWR-SFO-07-102", "JFK-LAX-06-104"]
    assert [record.carrier for record in flights.values()] == ["UA!", "UA!", "B6!"]
    assert [record.late for record in flights.values()] == [True, False, True]
    assert kv.collections() == {"flights": "records"}


def test_a_transform_may_make_keys(kv: Storage, path: pathlib.Path) -> None:
    def transform(batch: Columns) -> Columns:
        return {"__key__": batch["flight"].astype(str), "delay": batch["dep_delay"].astype("f4")}

    flights = load(kv, path, transform=transform)
    assert list(flights) == ["101", "102", "103", "104"]
    assert flights.schema == {"delay": "float32"}


def test_a_transform_gets_large_files_in_batches(kv: Storage, tmp_path: pathlib.Path) -> None:
    sizes: list[int] = []

    def transform(batch: Columns) -> Columns:
        sizes.append(len(batch["number"]))
        return batch | {"number": batch["number"] * 2}

    path = big_file(tmp_path, 150_000)
    report = kv.load_csv(path, "big", key="{name}", transform=transform)
    assert report["rows"] == sum(sizes) == 150_000
    assert len(sizes) > 1
    big = kv.hash("big")
    assert isinstance(big, RecordHash)
    assert big["name-149999"].number == 299_998
    assert big.column("number").sum() == 150_000 * 149_999


@pytest.mark.parametrize(
    ("transform", "error"),
    [
        (lambda batch: None, KindError),
        (lambda batch: {**batch, "day": batch["day"][:1]}, ArgumentError),
        (lambda batch: {"day": batch["day"][:1]}, ArgumentError),
        (lambda batch: 1 / 0, ZeroDivisionError),
        (lambda batch: {"__key__": batch["__key__"]}, ValueError),
        (lambda batch: batch | {"__key__": ["same"] * 4}, ArgumentError),
        (lambda batch: batch | {"carrier": np.array([object()] * 4)}, KindError),
    ],
)
def test_a_transform_that_fails_leaves_nothing(
    kv: Storage, path: pathlib.Path, transform: Any, error: type
) -> None:
    with pytest.raises(error):
        load(kv, path, transform=transform)
    assert kv.collections() == {}
