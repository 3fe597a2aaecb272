"""find(), prefix(), range() and iteration: live, ordered, safe under writes."""

from __future__ import annotations

import fnmatch
import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kv_storage import ArgumentError, Key, KindError, MissingKeyError, Storage, escape

from .strategies import keys, patterns, short_keys, texts

KV = Storage.memory(max_memory=128 * 1024 * 1024)


def ordered(names: set[str]) -> list[str]:
    return sorted(names, key=lambda name: name.encode(errors="surrogateescape"))


def fill(names: set[str]) -> Storage:
    KV.clear()
    KV.put_many({name: name.upper() for name in names})
    return KV


@given(st.sets(keys, max_size=50), patterns)
def test_find_is_fnmatch(names: set[str], pattern: str) -> None:
    matches = fill(names).find(pattern)
    expected = [name for name in ordered(names) if fnmatch.fnmatchcase(name, pattern)]
    assert list(matches) == expected
    assert len(matches) == len(expected)
    assert bool(matches) == bool(expected)
    assert list(reversed(matches)) == expected[::-1]
    assert list(matches.items()) == [(name, name.upper()) for name in expected]
    assert all(name in matches for name in expected)
    assert not any(name in matches for name in names.difference(expected))


@given(st.sets(short_keys, max_size=50), short_keys)
def test_prefix_is_startswith(names: set[str], prefix: str) -> None:
    assert list(fill(names).prefix(prefix)) == [name for name in ordered(names) if name.startswith(prefix)]


@given(st.sets(keys, max_size=50), st.none() | keys, st.none() | keys)
def test_range_is_a_slice_of_the_sorted_keys(names: set[str], start: str | None, stop: str | None) -> None:
    expected = [
        name
        for name in ordered(names)
        if (start is None or name.encode() >= start.encode())
        and (stop is None or name.encode() < stop.encode())
    ]
    matches = fill(names).range(start, stop)
    assert list(matches) == expected
    assert len(matches) == len(expected)
    assert matches.delete() == len(expected)
    assert set(KV) == names.difference(expected)


@given(
    st.sets(short_keys, max_size=30),
    patterns,
    st.integers(0, 10),
    st.none() | st.integers(0, 10),
    st.integers(0, 5),
)
def test_slices(names: set[str], pattern: str, start: int, stop: int | None, second: int) -> None:
    matches = fill(names).find(pattern)
    expected = list(matches)
    part = matches[start:stop]
    assert list(part) == expected[start:stop]
    assert len(part) == len(expected[start:stop])
    assert list(part.values()) == [name.upper() for name in expected[start:stop]]
    assert list(part[:second]) == expected[start:stop][:second]
    assert list(part[second:]) == expected[start:stop][second:]
    assert list(reversed(part)) == expected[start:stop][::-1]
    assert list(matches[::-1][start:stop]) == expected[::-1][start:stop]
    assert [name in part for name in expected] == [name in expected[start:stop] for name in expected]
    assert part.delete() == len(expected[start:stop])
    assert set(KV) == names.difference(expected[start:stop])


@given(texts.filter(lambda text: "\ud7ff" < max(text, default="") < "\ue000" or text.isprintable()))
def test_escape_matches_only_itself(text: str) -> None:
    try:
        text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return
    KV.clear()
    KV.put_many({text: 1, text + "x": 2, "x" + text: 3, text.swapcase() + "-": 4})
    assert list(KV.find(escape(text))) == [text]


def test_escape_is_that_of_glob() -> None:
    assert escape("a*b?c[d]") == "a[*]b[?]c[[]d]"
    assert escape(b"a*") == "a[*]"
    assert escape(Key("a", 1)) == "a-1"


def test_order_is_by_byte(kv: Storage) -> None:
    for name in ("b", "a", "", "aa", "Z", "é", b"\xff", "\U0001f600"):
        kv[name] = None
    assert list(kv) == ["", "Z", "a", "aa", "b", "é", "\U0001f600", "\udcff"]
    assert list(reversed(kv)) == list(kv)[::-1]


def test_matches_are_live(kv: Storage) -> None:
    matches = kv.find("a*")
    assert list(matches) == []
    kv.update(a1=1, a2=2, b=3)
    assert dict(matches) == {"a1": 1, "a2": 2}
    del kv["a1"]
    assert len(matches) == 1
    assert matches.get("a1") is None
    assert matches["a2"] == 2
    with pytest.raises(MissingKeyError):
        matches["b"]
    assert matches.get("b", 5) == 5
    assert "b" not in matches
    assert matches == {"a2": 2}
    assert matches != {"a2": 3}


def test_delete_deletes_what_matches(kv: Storage) -> None:
    kv.put_many({f"{letter}-{i}": i for letter in "ab" for i in range(1000)})
    assert kv.find("a-*").delete() == 1000
    assert kv.find("a-*").delete() == 0
    assert kv.find("*-1??").delete() == 100
    assert len(kv) == 900


def test_views_of_matches_are_sets_and_sequences(kv: Storage) -> None:
    kv.update(a=1, b=2, c=3)
    matches = kv.range("a", "c")
    assert matches.keys() & {"b", "x"} == {"b"}
    assert matches.keys() | {"x"} == {"a", "b", "x"}
    assert matches.keys() == {"a", "b"}
    assert matches.keys() <= {"a", "b", "c"}
    assert ("a", 1) in matches.items()
    assert ("a", 2) not in matches.items()
    assert "a" not in matches.items()  # type: ignore[operator]
    assert 2 in matches.values()
    assert list(matches[::-1].items()) == list(matches.items().__reversed__()) == [("b", 2), ("a", 1)]  # type: ignore[attr-defined]
    assert list(matches[::-1].values()) == list(matches.values().__reversed__()) == [2, 1]  # type: ignore[attr-defined]
    assert len(matches.keys()) == len(matches.values()) == len(matches.items()) == 2


def test_iteration_is_safe_while_others_write(kv: Storage) -> None:
    stay = {f"stay-{i:05}" for i in range(2000)}
    kv.put_many(dict.fromkeys(stay, 0))
    kv.put_many({f"go-{i:05}": 0 for i in range(2000)})
    seen = []
    for i, key in enumerate(kv):
        seen.append(key)
        kv.delete(f"go-{1999 - i:05}")
        kv[f"stay-{i % 2000:05}"] = bytes(i % 3000)
        kv[f"zz-{i:05}"] = 0
        if i == 5000:
            break
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen)
    assert stay <= set(seen)


def test_large_values_come_in_iteration(kv: Storage) -> None:
    expected = {f"{i:02}": bytes([i]) * (100_000 if i % 3 else 10) for i in range(20)}
    kv.put_many(expected)
    assert dict(kv.items()) == expected
    items = iter(kv.items())
    assert next(items)[0] == "00"
    kv.delete("02")
    assert [key for key, _ in items] == [key for key in sorted(expected) if key not in {"00", "02"}]


def test_an_iterator_used_by_two_at_once_says_so_or_works(kv: Storage) -> None:
    kv.put_many({f"{i:05}": i for i in range(1000)})
    iterator = iter(kv)
    first = list(itertools.islice(iterator, 500))
    assert first + list(iterator) == sorted(kv)
    assert next(iterator, None) is None


@pytest.mark.parametrize("bad", [slice(-3, None), slice(None, -1), slice(None, None, 2), slice(0, 5, -1)])
def test_slices_from_the_end_are_refused(kv: Storage, bad: slice) -> None:
    with pytest.raises(ArgumentError):
        kv.find("*")[bad]


def test_a_matches_of_values_has_no_columns(kv: Storage) -> None:
    kv["a"] = 1
    matches = kv.find("*")
    for call in (lambda: matches.column("x"), lambda: matches.codes("x"), matches.to_numpy):
        with pytest.raises(KindError, match="schema"):
            call()


def test_matches_cannot_be_made_or_pickled(kv: Storage) -> None:
    import pickle

    with pytest.raises(TypeError):
        type(kv.find("*"))()
    with pytest.raises(TypeError):
        pickle.dumps(kv.find("*"))
    assert repr(kv.find("a*")).startswith("<kv_storage.Matches find('a*')")


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1_000, 4_095, 4_096, 4_097, 9_000])
def test_a_list_is_what_its_length_said_however_many_there_are(kv: Storage, count: int) -> None:
    names = [
        f"key-{i:05}{'é' if i % 3 == 0 else ''}{'long' * 50 if i % 500 == 0 else ''}" for i in range(count)
    ]
    expected = ordered({*names, *(name[:8] for name in names)})
    kv.put_many({name: name.encode() for name in expected})
    kv.put_many({"before": 1, "key": 2, "key.": 3, "later": 4})
    for matches in (kv.find("key-*"), kv.prefix("key-"), kv.range("key-", "key.")):
        assert list(matches) == list(matches.keys()) == expected
        assert list(matches.values()) == [name.encode() for name in expected]
        assert tuple(matches.items()) == tuple((name, name.encode()) for name in expected)
        assert sorted(matches, key=lambda name: name.encode()) == expected
        assert list(matches[::-1]) == expected[::-1]
        assert list(matches[3:70]) == expected[3:70]
        assert dict(matches.items()) == dict.fromkeys(expected) | {name: name.encode() for name in expected}


def test_what_a_length_read_ahead_is_not_shown_after_a_write(kv: Storage) -> None:
    kv.put_many({f"a{i:03}": i for i in range(200)})
    matches = kv.find("a*")

    def add() -> None:
        kv["a0005"] = 7

    def remove() -> None:
        del kv["a199"]

    def change() -> None:
        kv["a000"] = "changed"

    for write in (add, remove, change, kv.clear):
        one, other = iter(matches.items()), iter(matches)
        assert len(matches) == len(matches) == len(list(matches))
        write()
        now = {key: kv[key] for key in sorted(kv)}
        assert list(other) == list(now)
        assert list(one) == list(now.items())
        assert len(matches) == len(now)


def test_a_length_in_the_middle_of_an_iteration_leaves_it_alone(kv: Storage) -> None:
    names = [f"a{i:03}" for i in range(200)]
    kv.put_many(dict.fromkeys(names, 1))
    matches = kv.find("a*")
    iterator = iter(matches)
    assert next(iterator) == "a000"
    assert len(matches) == 200
    assert list(iterator) == names[1:]
    assert len(matches) == 200
    assert list(iterator) == []
    unused = iter(matches)
    assert len(matches) == 200
    del unused
    assert len(matches) == 200


def test_lists_are_whole_while_another_thread_writes(kv: Storage) -> None:
    stable = [f"key-{i:04}" for i in range(0, 2_000, 2)]
    kv.put_many(dict.fromkeys(stable, b"x" * 100))
    done = threading.Event()

    def write() -> None:
        for i in itertools.cycle(range(1, 2_000, 2)):
            if done.is_set():
                return
            kv[f"key-{i:04}"] = i
            kv.pop(f"key-{i * 7 % 2_000 | 1:04}", None)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            found = list(kv.find("key-*"))
            assert found == sorted(set(found))
            assert set(stable) <= set(found)
            assert {key for key, value in list(kv.find("key-*").items()) if value == b"x" * 100} == set(
                stable
            )
    finally:
        done.set()
        writer.join()
