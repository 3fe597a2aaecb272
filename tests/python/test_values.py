"""Every storable type comes back as it was; every other is refused with advice."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import math
import types
import uuid
import zoneinfo
from typing import Any

import pytest
from hypothesis import given
from kv_storage import CapacityError, Error, Key, KindError, Storage

from .strategies import same, values

KV = Storage.memory(max_memory=64 * 1024 * 1024)


@given(values)
def test_every_value_comes_back_as_it_was(value: object) -> None:
    KV["value"] = value
    assert same(KV["value"], value)
    assert KV.compare_and_set("value", value, None)


@given(values)
def test_every_value_survives_other_paths(value: object) -> None:
    KV.clear()
    KV.put_many(["many"], [value])
    assert same(KV.get_many(["many"])[0], value)
    assert same(next(iter(KV.values())), value)
    assert same(next(iter(KV.items()))[1], value)
    assert same(KV.setdefault("many"), value)
    assert same(KV.pop("many"), value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -1,
        2**63 - 1,
        -(2**63),
        2**63,
        2**64 - 1,
        2**64,
        -(2**63) - 1,
        10**1000,
        -(10**1000),
        0.0,
        -0.0,
        math.inf,
        -math.inf,
        5e-324,
        "",
        "text",
        "é\U0001f600",
        "\ud800 alone",
        "nul\0inside",
        b"",
        b"\x00\xff",
        (),
        [],
        {},
        ((), [()], {"": ()}),
        {"\ud800": "surrogate"},
        datetime.date.min,
        datetime.date.max,
        datetime.datetime.min,
        datetime.datetime.max,
        datetime.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
        datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(
            2024,
            1,
            1,
            tzinfo=datetime.timezone(datetime.timedelta(hours=-3, seconds=1, microseconds=2), "odd"),
        ),
        datetime.time(1, 2, 3, 4, fold=1),
        datetime.timedelta.min,
        datetime.timedelta.max,
        datetime.timedelta(microseconds=-1),
        decimal.Decimal("0E-10"),
        decimal.Decimal("-0"),
        decimal.Decimal("Infinity"),
        uuid.UUID(int=0),
        uuid.UUID(int=2**128 - 1),
        list(range(100_000)),
        {str(i): (i, float(i)) for i in range(1000)},
        "x" * 100_000,
        b"y" * 5_000_000,
    ],
    ids=lambda value: repr(value)[:40],
)
def test_limits_of_types(kv: Storage, value: object) -> None:
    kv["value"] = value
    assert same(kv["value"], value)
    kv["nested"] = [value, {"key": (value,)}]
    assert same(kv["nested"], [value, {"key": (value,)}])


def test_not_a_number_comes_back(kv: Storage) -> None:
    kv["nan"] = [math.nan, decimal.Decimal("NaN"), decimal.Decimal("sNaN")]
    number, quiet, signalling = kv["nan"]
    assert math.isnan(number)
    assert quiet.is_qnan()
    assert signalling.is_snan()


class Colour(enum.IntEnum):
    RED = 1


class Word(str):
    __slots__ = ()


class Moment(datetime.datetime):
    pass


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (Colour.RED, r"int\(value\)"),
        (Word("a"), r"str\(value\)"),
        (Key("a"), r"str\(value\)"),
        (type("B", (bytes,), {})(b"a"), r"bytes\(value\)"),
        (type("F", (float,), {})(1), r"float\(value\)"),
        (type("L", (list,), {})([1]), r"list\(value\)"),
        (Point(1, 2), r"tuple\(value\)"),
        (collections.OrderedDict(a=1), r"dict\(value\)"),
        (collections.defaultdict(int), r"dict\(value\)"),
        (Moment(2024, 1, 1), r"datetime\(value\)"),
        (type("A", (bytearray,), {})(b"a"), r"bytearray\(value\)"),
        (object(), "object are not stored"),
        ({1, 2}, "set are not stored"),
        (1j, "complex are not stored"),
        (fractions.Fraction(1, 2), "Fraction are not stored"),
        (types.SimpleNamespace(), "not stored"),
        (int, "type are not stored"),
        (lambda: None, "function are not stored"),
        (iter([]), "not stored"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_refused_with_advice(kv: Storage, value: object, advice: str) -> None:
    kv["value"] = "before"
    nested: list[Any] = [value, [value], (value,), {"a": value}]
    for refused in nested:
        with pytest.raises(TypeError, match=advice) as caught:
            kv["value"] = refused
        assert caught.type is KindError
    assert kv["value"] == "before"


def test_keys_of_stored_dicts_are_text(kv: Storage) -> None:
    with pytest.raises(TypeError, match="keys of a stored dict are str, not int") as caught:
        kv["value"] = {"a": {1: "b"}}
    assert isinstance(caught.value, Error)


def test_a_value_that_holds_itself_is_refused(kv: Storage) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="holds itself"):
        kv["value"] = endless


def test_deep_nesting_up_to_the_limit_is_stored(kv: Storage) -> None:
    value: Any = "core"
    for depth in range(200):
        value = [value] if depth % 2 else (value,)
    kv["value"] = value
    assert kv["value"] == value
    with pytest.raises(ValueError, match="200 levels"):
        kv["value"] = [value]


def test_a_time_zone_of_another_class_is_refused(kv: Storage) -> None:
    class Local(datetime.tzinfo):
        def utcoffset(self, _: datetime.datetime | None) -> datetime.timedelta:
            return datetime.timedelta(hours=1)

        def dst(self, _: datetime.datetime | None) -> None:
            return None

        def tzname(self, _: datetime.datetime | None) -> str:
            return "local"

    with pytest.raises(TypeError, match="time zone"):
        kv["value"] = datetime.datetime(2024, 1, 1, tzinfo=Local())


def test_a_container_that_changes_while_it_is_stored_is_refused(kv: Storage) -> None:
    class Unstable(uuid.UUID):
        @property
        def bytes(self) -> bytes:
            growing.append(1)
            return b"\0" * 16

    growing: list[Any] = []
    growing.append(Unstable(int=0))
    with pytest.raises(TypeError):  # a subclass, refused before anything could change
        kv["value"] = growing


def test_a_value_larger_than_the_store_is_refused() -> None:
    with Storage.memory(max_memory=8 * 1024 * 1024) as kv, pytest.raises(CapacityError):
        kv["value"] = bytes(100 * 1024 * 1024)
