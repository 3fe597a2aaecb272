"""Collections with a schema: Records one by one, arrays of columns."""

from __future__ import annotations

import datetime
import math
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kv_storage import (
    ArgumentError,
    IntegerOverflowError,
    KindError,
    MissingKeyError,
    Record,
    RecordHash,
    Storage,
)

from .support import EVERY_COLUMN_TYPE

SCHEMA = EVERY_COLUMN_TYPE
ROW: dict[str, Any] = {
    "flag": True,
    "small": -5,
    "count": 2**32 - 1,
    "number": -(2**63),
    "ratio": 1.5,
    "exact": math.pi,
    "day": datetime.date(2018, 6, 6),
    "moment": datetime.datetime(2018, 6, 6, 1, 2, 3, 4),
    "tag": b"ab",
    "carrier": "UA",
}


@pytest.fixture
def flights(kv: Storage) -> RecordHash:
    return kv.hash("flights", schema=SCHEMA)


def test_a_record_comes_back(flights: RecordHash) -> None:
    flights["a"] = ROW
    record = flights["a"]
    assert isinstance(record, Record)
    assert isinstance(record, tuple)
    assert record.asdict() == ROW
    assert record == tuple(ROW.values())
    assert record.ratio == record["ratio"] == record[4] == 1.5
    assert getattr(record, "count") == 2**32 - 1  # noqa: B009 - tuple.count to a type checker
    assert record[-1:] == ("UA",)
    assert "carrier='UA'" in repr(record)
    match record:
        case Record(flag=True, carrier=carrier):
            assert carrier == "UA"
        case _:
            pytest.fail("no match")
    with pytest.raises(KeyError):
        record["absent"]
    with pytest.raises(AttributeError):
        record.absent  # noqa: B018


def test_forms_of_a_record(flights: RecordHash) -> None:
    flights.put("mapping", ROW)
    flights.put("tuple", tuple(ROW.values()))
    flights.put("record", flights["mapping"])
    assert flights["mapping"] == flights["tuple"] == flights["record"]
    assert len(flights) == 3


def test_none_is_missing_where_there_is_a_missing_value(flights: RecordHash) -> None:
    flights["a"] = ROW | {"ratio": None, "exact": None, "day": None, "moment": None, "carrier": None}
    record = flights["a"]
    assert math.isnan(record.ratio)
    assert math.isnan(record.exact)
    assert (record.day, record.moment, record.carrier) == (None, None, None)
    assert np.isnat(flights.column("day")[0])
    assert flights.column("carrier")[0] == ""


@pytest.mark.parametrize(
    ("column", "value", "error"),
    [
        ("flag", 1, KindError),
        ("flag", None, KindError),
        ("small", 128, IntegerOverflowError),
        ("small", 1.0, KindError),
        ("small", True, KindError),
        ("small", None, KindError),
        ("count", -1, IntegerOverflowError),
        ("count", 2**32, IntegerOverflowError),
        ("number", 2**63, IntegerOverflowError),
        ("ratio", "1.5", KindError),
        ("day", datetime.datetime(2018, 6, 6), KindError),
        ("day", "2018-06-06", KindError),
        ("moment", datetime.date(2018, 6, 6), KindError),
        ("moment", datetime.datetime(2018, 6, 6, tzinfo=datetime.UTC), KindError),
        ("tag", b"abcdef", ArgumentError),
        ("tag", "ab", KindError),
        ("carrier", b"UA", KindError),
        ("carrier", 5, KindError),
    ],
)
def test_values_that_do_not_fit_a_column(
    flights: RecordHash, column: str, value: object, error: type
) -> None:
    flights["a"] = ROW
    with pytest.raises(error, match=column):
        flights["a"] = ROW | {column: value}
    with pytest.raises(error, match=column):
        flights.set_fields("a", **{column: value})
    assert flights["a"].asdict() == ROW


@pytest.mark.parametrize(
    ("record", "error"),
    [
        ({k: v for k, v in ROW.items() if k != "tag"}, ArgumentError),
        (ROW | {"other": 1}, MissingKeyError),
        (tuple(ROW.values())[1:], ArgumentError),
        ((*ROW.values(), 1), ArgumentError),
        (5, KindError),
        (None, KindError),
        ("text", KindError),
        (list(ROW.values()), KindError),
    ],
)
def test_records_that_do_not_fit_the_schema(flights: RecordHash, record: Any, error: type) -> None:
    with pytest.raises(error):
        flights["a"] = record
    assert len(flights) == 0


def test_mapping_methods(flights: RecordHash) -> None:
    other = ROW | {"small": 7}
    assert flights.setdefault("a", ROW).small == -5
    assert flights.setdefault("a", other).small == -5
    flights.update({"b": other, "c": ROW})
    assert [record.small for record in flights.values()] == [-5, 7, -5]
    assert [record and record.small for record in flights.get_many(["b", "x"])] == [7, None]
    assert flights.pop("b").small == 7
    assert flights.pop("b", "default") == "default"
    with pytest.raises(MissingKeyError):
        flights.pop("b")
    assert flights.popitem()[0] == "c"
    assert flights.get("c") is None
    assert flights.delete("a")
    assert list(flights) == []
    with pytest.raises(KeyError):
        flights.popitem()


def test_set_fields(flights: RecordHash) -> None:
    flights["a"] = ROW
    flights.set_fields("a", ratio=5, carrier="B6")
    assert flights["a"].asdict() == ROW | {"ratio": 5.0, "carrier": "B6"}
    flights.set_fields("a")
    with pytest.raises(MissingKeyError):
        flights.set_fields("absent", ratio=5)
    with pytest.raises(MissingKeyError, match="nonsense"):
        flights.set_fields("a", nonsense=5)
    with pytest.raises(TypeError):
        flights.set_fields("a", 5)  # type: ignore[call-arg]


def test_what_is_only_for_plain_values_is_refused(flights: RecordHash) -> None:
    flights["a"] = ROW
    for call in (
        lambda: flights.view("a"),
        lambda: flights.incr("a"),
        lambda: flights.edit("a"),
        lambda: flights.compare_and_set("a", 1, 2),
    ):
        with pytest.raises(KindError, match="schema"):
            call()


def test_columns_come_in_key_order(flights: RecordHash) -> None:
    rows = {f"{i:03}": ROW | {"small": i % 100, "carrier": f"C{i % 7}"} for i in range(500)}
    flights.put_many(dict(reversed(rows.items())))
    for name in SCHEMA:
        column = flights.column(name)
        expected = [row[name] for row in rows.values()]
        assert column.tolist() == expected, name
        assert column.dtype.kind in "biufMSU"
    assert flights.column("ratio").dtype == np.float32
    assert flights.column("day").dtype == np.dtype("M8[D]")
    assert flights.column("moment").dtype == np.dtype("M8[us]")
    codes = flights.codes("carrier")
    texts = flights.categories("carrier")
    assert [texts[code] for code in codes.tolist()] == [row["carrier"] for row in rows.values()]
    matches = flights.find("1*")
    assert matches.column("small").tolist() == [i % 100 for i in range(100, 200)]
    assert matches[5:8].column("small").tolist() == [5, 6, 7]
    assert matches[::-1].column("carrier").tolist()[:2] == ["C3", "C2"]
    column = flights.column("small")
    column[0] = 1  # a copy, and ours


def test_to_numpy_is_a_structured_array(flights: RecordHash) -> None:
    flights.put_many({f"{i}": ROW | {"small": i} for i in range(9)})
    array = flights.to_numpy()
    assert array.dtype.names == tuple(SCHEMA)
    assert array["small"].tolist() == list(range(9))
    assert array["carrier"].tolist() == ["UA"] * 9
    assert flights.find("[34]").to_numpy()["small"].tolist() == [3, 4]


def test_an_empty_collection_has_empty_columns(flights: RecordHash) -> None:
    assert flights.column("carrier").shape == (0,)
    assert flights.column("ratio").dtype == np.float32
    assert flights.to_numpy().shape == (0,)
    assert flights.codes("carrier").shape == (0,)
    assert flights.categories("carrier") == []
    assert [records.shape for records, used in flights.slabs() if used.any()] == []


def test_unknown_columns_are_refused(flights: RecordHash) -> None:
    for call in (flights.column, flights.codes, flights.categories, flights.find("*").column):
        with pytest.raises(MissingKeyError, match="ratio"):
            call("nonsense")
        with pytest.raises(KeyError):
            call(5)  # type: ignore[arg-type]
    for call in (flights.codes, flights.categories):
        with pytest.raises(KindError, match="categor"):
            call("ratio")


def test_slabs_are_the_records_where_they_lie(flights: RecordHash) -> None:
    flights.put_many({f"{i:04}": ROW | {"small": i % 100, "number": i} for i in range(3000)})
    slabs = flights.slabs()
    numbers = np.concatenate([records["number"][used] for records, used in slabs])
    assert sorted(numbers.tolist()) == list(range(3000))
    flights.set_fields("0005", number=-1)
    assert any((records["number"][used] == -1).any() for records, used in slabs)
    assert not slabs[0][0].flags.writeable
    flights.find("1*").delete()
    flights.put_many({f"new-{i:04}": ROW | {"number": -2} for i in range(3000)})
    after = np.concatenate([records["number"][used] for records, used in slabs])
    assert not (after == -2).any()  # freed slots are not used again under our eyes
    left = {i for i in range(3000) if not 1000 <= i < 2000} - {5}
    assert left <= set(after.tolist())
    flights.clear()
    assert left <= set(np.concatenate([records["number"][used] for records, used in slabs]).tolist())


def test_schema_tells_the_types(flights: RecordHash) -> None:
    assert list(flights.schema) == list(SCHEMA)
    assert flights.schema["ratio"] == "float32"
    assert flights.schema["tag"] == "bytes[5]"


@pytest.mark.parametrize(
    ("given_schema", "expected"),
    [
        (
            {"a": int, "b": float, "c": str, "d": bool},
            {"a": "int64", "b": "float64", "c": "category", "d": "bool"},
        ),
        ({"a": datetime.date, "b": datetime.datetime}, {"a": "date", "b": "datetime"}),
        (
            {"a": np.float32, "b": np.dtype("S7"), "c": np.dtype("M8[D]")},
            {"a": "float32", "b": "bytes[7]", "c": "date"},
        ),
        (
            np.dtype([("a", "<u2"), ("b", "U5"), ("c", "M8[ns]"), ("d", "?")]),
            {"a": "uint16", "b": "category", "c": "datetime", "d": "bool"},
        ),
    ],
)
def test_spellings_of_schemas(kv: Storage, given_schema: Any, expected: Mapping[str, str]) -> None:
    assert kv.hash("h", schema=given_schema).schema == expected


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"": "f4"},
        {"a": "f5"},
        {"a": "text"},
        {"a": None},
        {5: "f4"},
        5,
        "f4",
        np.dtype("f4"),
        {"a": ">f4x"},
        {"a": np.dtype(">f4")},
        {"a": complex},
    ],
)
def test_bad_schemas_are_refused(kv: Storage, bad: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        kv.hash("h", schema=bad)
    assert kv.collections() == {}


def test_a_collection_with_a_schema_opens_with_it(kv: Storage) -> None:
    kv.hash("h", schema={"x": "f4"})["a"] = (1.5,)
    again = kv.hash("h")
    assert isinstance(again, RecordHash)
    assert again["a"].x == 1.5
    assert isinstance(kv.hash("h", schema={"x": "float32"}), RecordHash)


def test_names_that_are_no_identifiers(kv: Storage) -> None:
    h = kv.hash(
        "h", schema={"two words": "i4", "class": "i4", "asdict": "i4", "index": "i4", "__slots__": "i4"}
    )
    h["a"] = (1, 2, 3, 4, 5)
    record = h["a"]
    assert record["two words"] == 1
    assert getattr(record, "class") == 2
    assert getattr(record, "index") == 4  # noqa: B009
    assert record.asdict() == {"two words": 1, "class": 2, "asdict": 3, "index": 4, "__slots__": 5}


def test_records_pickle(flights: RecordHash) -> None:
    flights["a"] = ROW
    record = flights["a"]
    other = pickle.loads(pickle.dumps(record))
    assert other == record
    assert type(other) is type(record)
    assert other.carrier == "UA"


def test_a_structured_array_is_stored_by_columns(flights: RecordHash) -> None:
    flights.put_many({f"{i}": ROW | {"small": i, "carrier": None if i == 3 else f"C{i}"} for i in range(9)})
    array = flights.to_numpy()
    keys = list(flights)
    flights.clear()
    flights.put_many(keys, array)
    assert [record.small for record in flights.values()] == list(range(9))
    assert flights["3"].carrier is None
    assert flights["4"].asdict() == ROW | {"small": 4, "carrier": "C4"}
    with pytest.raises(ValueError, match="9 records"):
        flights.put_many(keys[1:], array)
    wide = np.zeros(9, [(name, "i8" if name == "small" else array.dtype[name]) for name in SCHEMA])
    for name in SCHEMA:
        wide[name] = array[name]
    flights.put_many(keys, wide)
    wide["small"][3] = 1000
    with pytest.raises(IntegerOverflowError, match="small"):
        flights.put_many(keys, wide)


# NumPy's texts have no NUL at their end.
categories = st.none() | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3
)


@settings(max_examples=30)
@given(
    st.dictionaries(st.text(max_size=5), st.tuples(st.integers(-(2**15), 2**15 - 1), categories), max_size=40)
)
def test_records_follow_a_dict(rows: dict[str, tuple[int, str | None]]) -> None:
    kv = Storage.memory(max_memory=64 * 1024 * 1024)
    h = kv.hash("h", schema={"n": "i2", "c": "category"})
    h.put_many(rows)
    assert dict(h) == rows
    assert h.column("n").tolist() == [rows[key][0] for key in h]
    assert h.column("c").tolist() == [rows[key][1] or "" for key in h]
    for key in list(rows)[::2]:
        del h[key]
    assert dict(h) == {key: rows[key] for i, key in enumerate(rows) if i % 2}
    assert kv.verify() == []
    kv.close()
