"""Key: composed keys that are text."""

from __future__ import annotations

import copy
import datetime
import pickle
import uuid
from datetime import date

import pytest
from kv_storage import ArgumentError, Key, KindError, Storage


def test_a_key_is_text_with_parts(kv: Storage) -> None:
    key = Key("hash", date(2018, 6, 6), 42)
    assert key == "hash-06-06-2018-42"
    assert isinstance(key, str)
    assert key.parts == ("hash", date(2018, 6, 6), 42)
    assert hash(key) == hash("hash-06-06-2018-42")
    kv[key] = 1
    assert kv["hash-06-06-2018-42"] == 1
    assert repr(key) == "Key('hash-06-06-2018-42')"
    assert key.upper() == "HASH-06-06-2018-42"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (Key("a"), "a"),
        (Key(""), ""),
        (Key("a", "", "b"), "a--b"),
        (Key(0, 10**30), "0-" + "1" + "0" * 30),
        (Key("é", date(33, 1, 2)), "é-02-01-0033"),
        (Key("a", date(2018, 6, 7), order="ymd"), "a-2018-06-07"),
        (Key("a", -5, date(2018, 6, 7), sep=":"), "a:-5:07:06:2018"),
        (Key("a", date(2018, 6, 7), sep="%"), "a%07%06%2018"),
        (Key("a", "b", sep=" / "), "a / b"),
        (Key(uuid.UUID(int=1), "x", sep="/"), "00000000-0000-0000-0000-000000000001/x"),
        (Key(Key("a", "b"), sep=":"), "a-b"),
    ],
)
def test_forms(key: Key, text: str) -> None:
    assert key == text


@pytest.mark.parametrize(
    "parts", [("a-b",), (-1,), (uuid.UUID(int=1),), (Key("a", "b"), "c"), ("ok", "not-ok"), ("-",)]
)
def test_a_part_that_holds_the_separator_is_refused(parts: tuple[object, ...]) -> None:
    with pytest.raises(ArgumentError, match="sep="):
        Key(*parts)


@pytest.mark.parametrize(
    "part", [1.5, None, True, b"bytes", datetime.datetime(2018, 6, 6), datetime.time(), ["a"], object()]
)
def test_other_types_are_refused(part: object) -> None:
    with pytest.raises(KindError, match="str, int, date or UUID"):
        Key("a", part)


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="at least one part"):
        Key()
    with pytest.raises(ArgumentError, match="sep"):
        Key("a", sep="")
    with pytest.raises(ArgumentError, match="ymd"):
        Key("a", order="mdy")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword"):
        Key("a", separator=":")  # type: ignore[call-arg]


@pytest.mark.parametrize("key", [Key("a", date(2018, 6, 7), 5), Key("a", -1, sep=":", order="ymd")])
def test_keys_copy_and_pickle(key: Key) -> None:
    for other in (
        copy.copy(key),
        copy.deepcopy(key),
        *(pickle.loads(pickle.dumps(key, level)) for level in range(2, 6)),
    ):
        assert type(other) is Key
        assert other == key
        assert other.parts == key.parts


def test_dates_year_first_sort_by_time(kv: Storage) -> None:
    days = [date(2018, 1, 31) + datetime.timedelta(days=i * 17) for i in range(30)]
    for day in days:
        kv[Key("d", day, order="ymd")] = day
    assert list(kv.values()) == days
    between = kv.range(Key("d", days[3], order="ymd"), Key("d", days[7], order="ymd"))
    assert list(between.values()) == days[3:7]
