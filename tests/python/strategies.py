"""Hypothesis strategies shared by the tests."""

from __future__ import annotations

import datetime
import zoneinfo

from hypothesis import strategies as st

MAX_KEY_BYTES = 65_535

# Few characters, so that keys share prefixes, are prefixes of each other, and patterns match now and then.
short_keys = st.text(alphabet="ab-é*?[\U0001f600", max_size=6)
texts = st.text(alphabet=st.characters(exclude_categories=()), max_size=30)
keys = st.one_of(short_keys, st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
byte_keys = st.binary(max_size=40)

patterns = st.lists(
    st.sampled_from(
        ["a", "b", "-", "é", "*", "?", "[ab]", "[!a]", "[a-b]", "[é]", "[", "]", "[[]", "[!", "[]a]", "[]-a]"]
    ),
    max_size=6,
).map("".join)

zones = st.one_of(
    st.none(),
    st.just(datetime.UTC),
    st.builds(
        datetime.timezone,
        st.timedeltas(min_value=datetime.timedelta(hours=-23), max_value=datetime.timedelta(hours=23)),
        st.text(max_size=5),
    ),
    st.sampled_from([zoneinfo.ZoneInfo("UTC"), zoneinfo.ZoneInfo("Europe/Berlin")]),
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.integers(min_value=-(2**63) - 2, max_value=-(2**63) + 2),
    st.integers(min_value=2**63 - 2, max_value=2**64 + 2),
    st.floats(allow_nan=False),
    texts,
    st.binary(max_size=300),
    st.dates(),
    st.times(timezones=zones),
    st.datetimes(timezones=zones, allow_imaginary=False),
    st.datetimes(timezones=zones).map(lambda moment: moment.replace(fold=1)),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
)

values = st.recursive(
    scalars,
    lambda children: st.one_of(
        st.lists(children, max_size=5),
        st.lists(children, max_size=5).map(tuple),
        st.dictionaries(texts, children, max_size=5),
    ),
    max_leaves=20,
)


def same(left: object, right: object) -> bool:
    """Equal, and of the same types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list | tuple):
        assert isinstance(right, list | tuple)
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        assert isinstance(right, dict)
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, datetime.datetime | datetime.time):
        assert isinstance(right, datetime.datetime | datetime.time)
        return repr(left) == repr(right)
    if isinstance(left, float):
        return repr(left) == repr(right)
    return left == right and str(left) == str(right)
