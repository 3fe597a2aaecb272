"""The Arrow PyCapsule interface, with the libraries that read it: each against what the collection itself says."""

from __future__ import annotations

import datetime
import gc
import math
import random
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from kv_storage import ArgumentError, ClosedError, KindError, RecordHash, Storage

from .support import EVERY_COLUMN_TYPE

pa = pytest.importorskip("pyarrow")

SCHEMA = EVERY_COLUMN_TYPE
COLUMNS = ["key", *SCHEMA]


def row(random_: random.Random) -> dict[str, Any]:
    def sometimes(value: Any) -> Any:
        return None if random_.random() < 0.2 else value

    return {
        "flag": random_.random() < 0.5,
        "small": random_.randrange(-128, 128),
        "count": random_.randrange(2**32),
        "number": random_.randrange(-(2**63), 2**63),
        "ratio": sometimes(random_.randrange(1000) / 8),
        "exact": sometimes(random_.random()),
        "day": sometimes(datetime.date(1900, 1, 1) + datetime.timedelta(random_.randrange(100_000))),
        "moment": sometimes(
            datetime.datetime(1900, 1, 1) + datetime.timedelta(0, 0, random_.randrange(10**16))
        ),
        "tag": random_.randbytes(3).replace(b"\0", b"x"),
        "carrier": sometimes(random_.choice(["UA", "B6", "Ä", "AA"])),
    }


@pytest.fixture
def flights(kv: Storage) -> RecordHash:
    records = kv.hash("flights", schema=SCHEMA)
    random_ = random.Random(7)
    for i in range(500):
        records[f"route-{i % 10}-{i:03}"] = row(random_)
    return records


def plain(value: Any) -> Any:
    """NaN, which stands for a missing float in a Record, as Arrow has it."""
    return None if isinstance(value, float) and math.isnan(value) else value


def expected(entries: Iterable[tuple[str, Any]]) -> list[tuple[Any, ...]]:
    return [(key, *map(plain, record)) for key, record in entries]


def rows(table: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


# ---- pyarrow ----


def test_pyarrow_has_the_rows_in_key_order(flights: RecordHash) -> None:
    table = pa.table(flights)
    table.validate(full=True)
    assert table.column_names == COLUMNS
    assert rows(table) == expected(flights.items())
    assert table.schema.equals(pa.schema(flights))
    assert [str(field.type) for field in table.schema] == [
        "string",
        "bool",
        "int8",
        "uint32",
        "int64",
        "float",
        "double",
        "date32[day]",
        "timestamp[us]",
        "binary",
        "dictionary<values=string, indices=int32, ordered=0>",
    ]


def test_missing_values_are_nulls(flights: RecordHash) -> None:
    table = pa.table(flights)
    for name in ("ratio", "exact", "day", "moment", "carrier"):
        assert table[name].null_count == sum(plain(record[name]) is None for record in flights.values()) > 0
    for name in ("flag", "small", "tag"):
        assert table[name].null_count == 0
        assert table.schema.field(name).nullable is False


def test_a_batch_at_once(flights: RecordHash) -> None:
    batch = pa.record_batch(flights)
    batch.validate(full=True)
    assert isinstance(batch, pa.RecordBatch)
    assert rows(batch) == expected(flights.items())
    assert pa.array(flights).type.num_fields == len(COLUMNS)


@pytest.mark.parametrize(
    "select",
    [
        lambda flights: flights.find("route-3-*"),
        lambda flights: flights.find("*-3-1??"),
        lambda flights: flights.prefix("route-7"),
        lambda flights: flights.range("route-2", "route-4"),
        lambda flights: flights.find("*")[::-1],
        lambda flights: flights.find("*")[13:250],
        lambda flights: flights.find("*-*7")[::-1][5:20],
        lambda flights: flights.find("route-3-*")[1000:],
        lambda flights: flights.find("none"),
        lambda flights: flights.find("*")[:0],
    ],
)
def test_matches_are_tables_of_what_they_match(flights: RecordHash, select: Any) -> None:
    matches = select(flights)
    table = pa.table(matches)
    table.validate(full=True)
    assert rows(table) == expected(matches.items())
    assert rows(pa.record_batch(matches)) == expected(matches.items())


def test_batches_are_read_as_they_are_pulled(kv: Storage) -> None:
    records = kv.hash("r", schema={"n": "i4"})
    records.put_many((f"{i:06}", (i,)) for i in range(150_000))
    reader = pa.RecordBatchReader.from_stream(records)
    first = reader.read_next_batch()
    assert first.num_rows == 65_536
    records.find("1*").delete()
    records["099999"] = (-1,)
    rest = reader.read_all()
    assert first["n"].to_pylist() == list(range(65_536))
    assert rest["n"].to_pylist() == [*range(65_536, 99_999), -1]
    assert rest.num_rows == 100_000 - 65_536


def test_a_stream_may_be_abandoned(flights: RecordHash, kv: Storage) -> None:
    reader = pa.RecordBatchReader.from_stream(flights)
    reader.read_next_batch()
    del reader
    flights.__arrow_c_stream__()
    flights.__arrow_c_array__()
    flights.__arrow_c_schema__()
    gc.collect()
    assert kv.stats()["pins"] == 0


def test_a_batch_outlives_everything(kv: Storage) -> None:
    records = kv.hash("r", schema={"n": "i4", "c": "category"})
    records.put_many((f"{i:06}", (i, f"text {i % 9}")) for i in range(70_000))
    wanted = expected(records.items())
    reader = pa.RecordBatchReader.from_stream(records)
    batch = reader.read_next_batch()
    records.clear()
    kv.drop("r")
    kv.close()
    del records, kv
    gc.collect()
    assert rows(batch) == wanted[:65_536]
    with pytest.raises(pa.ArrowInvalid, match="closed"):
        reader.read_next_batch()


def test_a_stream_goes_on_without_its_collection(kv: Storage) -> None:
    records = kv.hash("r", schema={"n": "i4"})
    records.put_many((f"{i:06}", (i,)) for i in range(100_000))
    reader = pa.RecordBatchReader.from_stream(records.find("*"))
    del records
    gc.collect()
    assert reader.read_all()["n"].to_pylist() == list(range(100_000))


def test_a_dropped_collection_ends_a_stream_with_an_error(flights: RecordHash, kv: Storage) -> None:
    reader = pa.RecordBatchReader.from_stream(flights)
    kv.drop("flights")
    with pytest.raises(pa.ArrowInvalid, match="dropped"):
        reader.read_all()


def test_streams_are_pulled_by_threads(flights: RecordHash) -> None:
    """The threads of a consumer have no GIL, and meanwhile others write."""
    stop = threading.Event()

    def write() -> None:
        random_ = random.Random(1)
        while not stop.is_set():
            flights[f"route-{random_.randrange(10)}-{random_.randrange(500):03}"] = row(random_)

    tables: list[Any] = []
    writer = threading.Thread(target=write)
    readers = [
        threading.Thread(target=lambda: tables.extend(pa.table(flights) for _ in range(20))) for _ in range(3)
    ]
    writer.start()
    for thread in readers:
        thread.start()
    for thread in readers:
        thread.join()
    stop.set()
    writer.join()
    assert len(tables) == 60
    for table in tables:
        table.validate(full=True)
        keys = table["key"].to_pylist()
        assert keys == sorted(set(keys))
        assert len(keys) >= 500


# ---- What a consumer asks for ----


def test_other_types_on_request(flights: RecordHash) -> None:
    flights[b"\xff"] = row(random.Random(3))
    wanted = pa.schema(flights)
    for name, type_ in (
        ("key", pa.large_binary()),
        ("carrier", pa.large_string()),
        ("tag", pa.large_binary()),
    ):
        wanted = wanted.set(wanted.get_field_index(name), pa.field(name, type_))
    table = pa.table(flights, schema=wanted)
    table.validate(full=True)
    assert table.schema.field("carrier").type == pa.large_string()
    assert table["key"].to_pylist() == [key.encode("utf-8", "surrogateescape") for key in flights]
    assert table["carrier"].to_pylist() == [record.carrier for record in flights.values()]


def test_a_key_that_is_no_text_is_refused_and_named(flights: RecordHash) -> None:
    flights[b"a\xff"] = row(random.Random(3))
    with pytest.raises(pa.ArrowInvalid, match=r"column 'key' is text, but b'a\\xff' is no UTF-8"):
        pa.table(flights)
    with pytest.raises(ArgumentError, match="no UTF-8"):
        flights.__arrow_c_array__()


def test_other_columns_are_refused(flights: RecordHash) -> None:
    with pytest.raises(ArgumentError, match="there are 'key', 'flag'"):
        flights.__arrow_c_stream__(pa.schema([("key", pa.string())]).__arrow_c_schema__())
    with pytest.raises(ArgumentError, match="not that of a table"):
        flights.__arrow_c_stream__(pa.string().__arrow_c_schema__())
    with pytest.raises(TypeError, match="arrow_schema"):
        flights.__arrow_c_stream__(5)


def test_a_column_may_be_called_key(kv: Storage) -> None:
    records = kv.hash("r", schema={"key": "i4", "_key": "i4"})
    records["a"] = (1, 2)
    assert pa.table(records).to_pylist() == [{"__key": "a", "key": 1, "_key": 2}]


def test_what_has_no_columns_is_refused(kv: Storage) -> None:
    kv["a"] = 1
    with pytest.raises(KindError, match="no columns"):
        pa.table(kv.find("*"))
    assert not hasattr(kv, "__arrow_c_stream__")


def test_a_closed_store_has_no_tables(flights: RecordHash, kv: Storage) -> None:
    kv.close()
    for export in (flights.__arrow_c_stream__, flights.__arrow_c_array__, flights.__arrow_c_schema__):
        with pytest.raises(ClosedError):
            export()


# ---- Map and Set ----

TYPED = [
    [5, -(2**63), 2**63 - 1, 0],
    [0.5, -1.0, math.inf, 1e300],
    ["b", "", "ä", "€"],
    [b"b", b"", b"\xff\x00"],
    [datetime.date(2018, 6, 6), datetime.date(1, 1, 1), datetime.date(9999, 12, 31)],
    [datetime.datetime(2018, 6, 6, 1, 2, 3, 4), datetime.datetime(1, 1, 1)],
]
VALUES: list[list[Any]] = [
    [1, None, -(2**63), 5],
    [None, 0.5, -math.inf, 1.0],
    [None, "text", "x" * 100_000, ""],
    [b"", b"\xff" * 5000, None, b"\0"],
    [True, False, None, True],
    [None, None, None, None],
]


@pytest.mark.parametrize("keys", TYPED, ids=lambda keys: type(keys[0]).__name__)
@pytest.mark.parametrize("values", VALUES, ids=lambda values: type(values[0] or values[1]).__name__)
def test_maps_are_tables_of_key_and_value(kv: Storage, keys: list[Any], values: list[Any]) -> None:
    numbers = kv.map("m")
    oracle = dict(zip(keys, values, strict=False))
    numbers.update(oracle)
    for table in (pa.table(numbers), pa.record_batch(numbers)):
        table.validate(full=True)
        assert table.to_pylist() == [{"key": key, "value": oracle[key]} for key in sorted(oracle)]
    part = numbers.range(sorted(keys)[1], None)
    assert pa.table(part).to_pylist() == [{"key": key, "value": oracle[key]} for key in sorted(oracle)[1:]]


@pytest.mark.parametrize("members", TYPED, ids=lambda members: type(members[0]).__name__)
def test_sets_are_tables_of_members(kv: Storage, members: list[Any]) -> None:
    tags = kv.set("s")
    tags.update(members)
    assert pa.table(tags).to_pylist() == [{"member": member} for member in sorted(members)]
    assert pa.record_batch(tags)["member"].to_pylist() == sorted(members)


def test_empty_maps_and_sets(kv: Storage) -> None:
    assert pa.table(kv.map("m")).schema.types == [pa.null(), pa.null()]
    assert pa.table(kv.map("typed", key=int)).schema.types == [pa.int64(), pa.null()]
    assert pa.table(kv.set("s", key=str)).schema.types == [pa.string()]
    assert pa.table(kv.hash("r", schema={"c": "category"})).to_pylist() == []
    assert pa.record_batch(kv.hash("r")).to_pylist() == []


def test_values_of_several_types(kv: Storage) -> None:
    prices = kv.map("m")
    prices.update({1: 5, 2: 0.5})
    with pytest.raises(pa.ArrowInvalid, match="the value of key 2 is float"):
        pa.table(prices)
    wanted = pa.schema([("key", pa.int64()), ("value", pa.float64())])
    assert pa.table(prices, schema=wanted)["value"].to_pylist() == [5.0, 0.5]
    prices[0] = [1, 2]
    with pytest.raises(KindError, match="the value of key 0 is compound"):
        pa.table(prices)


# ---- List ----


@pytest.mark.parametrize(
    "values",
    [
        ["b", "a", None, "b", "ä" * 3000, ""],
        [5, None, 5, -(2**63)],
        [0.5, math.inf, 0.5],
        [b"x", b"", b"x"],
        [True, False],
    ],
    ids=lambda values: type(values[0]).__name__,
)
def test_lists_are_dictionaries_and_codes(kv: Storage, values: list[Any]) -> None:
    names = kv.list("l")
    names.extend(values)
    for table in (pa.table(names), pa.record_batch(names)):
        table.validate(full=True)
        assert table["value"].to_pylist() == values
        assert pa.types.is_dictionary(table.schema.field("value").type)
    plain = pa.schema([("value", pa.table(names).schema.field("value").type.value_type)])
    table = pa.table(names, schema=plain)
    table.validate(full=True)
    assert table.schema.types == plain.types
    assert table["value"].to_pylist() == values
    assert pa.table(kv.list("empty")).schema.types == [pa.null()]
    assert pa.record_batch(kv.list("empty")).num_rows == 0


def test_lists_come_in_batches(kv: Storage) -> None:
    pl = pytest.importorskip("polars")
    names = kv.list("l")
    values = [None if i % 100 == 7 else f"N{i // 7 % 5000}" for i in range(150_000)]
    names.extend(values)
    reader = pa.RecordBatchReader.from_stream(names)
    batch = reader.read_next_batch()
    assert batch.num_rows == 65_536
    names.clear()
    assert batch["value"].to_pylist() == values[:65_536]
    assert reader.read_all().num_rows == 0
    names.extend(values)
    assert pa.table(names)["value"].to_pylist() == values
    assert pl.DataFrame(pa.table(names))["value"].to_list() == values


def test_lists_of_several_types_are_refused(kv: Storage) -> None:
    names = kv.list("l")
    names.extend(["a", None, 5])
    with pytest.raises(KindError, match="of another than the first"):
        pa.table(names)
    names[2] = (1, 2)
    with pytest.raises(KindError, match="a value that the list has at 1 position is compound"):
        names.__arrow_c_array__()


# ---- polars, pandas, DuckDB ----


def test_polars(flights: RecordHash, kv: Storage) -> None:
    """Not by pl.DataFrame(...), to which every Mapping is a dict of columns."""
    pl = pytest.importorskip("polars")
    frame = pl.Series(flights).struct.unnest()
    assert frame.columns == COLUMNS
    assert frame.rows() == expected(flights.items())
    assert frame["carrier"].dtype == pl.Categorical
    assert pl.Series(flights.find("route-3-*")[5:9]).struct.unnest().rows() == expected(
        flights.find("route-3-*")[5:9].items()
    )
    assert pl.Series(flights.find("none")).struct.unnest().rows() == []
    assert frame.filter(pl.col("carrier") == "UA").height == [r.carrier for r in flights.values()].count("UA")
    assert pl.scan_arrow_c_stream(flights).select(pl.col("number").max()).collect().item() == max(
        record.number for record in flights.values()
    )
    tags = kv.set("s")
    tags.update(["b", "a"])
    assert pl.DataFrame(tags).rows() == [("a",), ("b",)]
    numbers = kv.map("m")
    numbers.update({2: "b", 1: None, 3: "c"})
    assert pl.Series(numbers).struct.unnest().rows() == [(1, None), (2, "b"), (3, "c")]


def test_polars_joins_the_dictionaries_of_batches(kv: Storage) -> None:
    pl = pytest.importorskip("polars")
    records = kv.hash("r", schema={"c": "category"})
    records.put_many((f"{i:06}", (f"text {i % 200}" if i < 70_000 else "late",)) for i in range(70_000))
    wanted = [record.c for record in records.values()]
    assert pl.Series(records).struct.unnest()["c"].to_list() == wanted
    assert pa.table(records)["c"].to_pylist() == wanted


def test_pandas(flights: RecordHash) -> None:
    pd = pytest.importorskip("pandas")
    frame = pa.table(flights).to_pandas()
    assert list(frame.columns) == COLUMNS
    assert frame["key"].tolist() == list(flights)
    assert frame["number"].tolist() == [record.number for record in flights.values()]
    assert [plain(value) for value in frame["exact"]] == [plain(record.exact) for record in flights.values()]
    carriers = [None if pd.isna(text) else text for text in frame["carrier"]]
    assert carriers == [record.carrier for record in flights.values()]
    assert isinstance(frame["carrier"].dtype, pd.CategoricalDtype)
    moments = [None if pd.isna(time) else time.to_pydatetime() for time in frame["moment"]]
    assert moments == [record.moment for record in flights.values()]
    if hasattr(pd.DataFrame, "from_arrow"):
        assert pd.DataFrame.from_arrow(flights).equals(frame)


def test_duckdb(flights: RecordHash, kv: Storage) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        connection.register("flights", flights)
        assert connection.sql("from flights").fetchall() == expected(flights.items())
        found = connection.sql(
            "select carrier, count(*) from flights where carrier is not null group by 1"
        ).fetchall()
    oracle: dict[str, int] = {}
    for record in flights.values():
        if record.carrier is not None:
            oracle[record.carrier] = oracle.get(record.carrier, 0) + 1
    assert dict(found) == oracle


def test_duckdb_finds_collections_by_the_names_of_variables(flights: RecordHash, kv: Storage) -> None:
    duckdb = pytest.importorskip("duckdb")
    third = flights.find("route-3-*")  # noqa: F841 - DuckDB looks for it by name
    scores = kv.map("scores")
    scores.update({"a": 1, "b": 2})
    with duckdb.connect() as connection:
        assert connection.sql("select count(*) from flights").fetchall() == [(500,)]
        assert connection.sql("select count(*) from third").fetchall() == [(50,)]
        assert connection.sql("select sum(value) from scores").fetchall() == [(3,)]


def test_nothing_leaks(flights: RecordHash) -> None:
    def work() -> None:
        pa.table(flights)
        flights.find("*").__arrow_c_stream__()
        flights.__arrow_c_array__()

    before = pa.total_allocated_bytes()
    for _ in range(50):
        work()
    gc.collect()
    assert pa.total_allocated_bytes() == before
