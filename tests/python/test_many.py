"""Many keys at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from kv_storage import MISSING, ArgumentError, CapacityError, KindError, Storage


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 4095, 4096, 4097, 20_000])
def test_put_many_and_get_many(many_parts: Storage, count: int) -> None:
    items = {f"key-{i}": [i, "é" * (i % 5)] if i % 7 else bytes(i) for i in range(count)}
    many_parts.put_many(items)
    assert len(many_parts) == count
    assert many_parts.get_many(items) == list(items.values())
    assert many_parts.get_many(list(items)[::-1]) == list(items.values())[::-1]
    many_parts.clear()
    many_parts.put_many(list(items), list(items.values()))
    assert dict(many_parts) == items


def test_get_many_fills_in_the_default(kv: Storage) -> None:
    kv.update(a=1, b=None)
    assert kv.get_many(["a", "x", b"b", "a"]) == [1, None, None, 1]
    assert kv.get_many(("a", "x"), MISSING) == [1, MISSING]
    assert kv.get_many(iter(["x"]), default=0) == [0]
    assert kv.get_many([]) == []


def test_keys_that_are_not_ascii(kv: Storage) -> None:
    names: list[str | bytes] = ["é", "\U0001f600", b"\xff", "\udcfe", "plain"]
    kv.put_many(names, range(5))
    assert kv.get_many(names) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "source",
    [
        {"a": 1, "b": 2},
        [("a", 1), ("b", 2)],
        [["a", 1], ("b", 2)],
        iter([("a", 1), ("b", 2)]),
        {"a": 1, "b": 2}.items(),
    ],
)
def test_update_takes_what_dict_update_takes(kv: Storage, source: object) -> None:
    kv.update(source, c=3)  # type: ignore[call-overload]
    assert dict(kv) == {"a": 1, "b": 2, "c": 3}


def test_update_from_another_collection(kv: Storage) -> None:
    kv.put_many({f"{i}": i for i in range(5000)})
    kv.hash("copy").update(kv)
    assert kv.hash("copy") == kv
    kv.hash("some").update(kv.find("12*"))
    assert kv.hash("some") == dict(kv.find("12*"))


@pytest.mark.parametrize("values", [[1], [1, 2, 3], [], iter([1])])
def test_lengths_must_agree(kv: Storage, values: Iterable[int]) -> None:
    with pytest.raises(ArgumentError, match="2 keys"):
        kv.put_many(["a", "b"], values)
    assert len(kv) == 0


def test_a_single_text_is_not_many_keys(kv: Storage) -> None:
    for call in (
        lambda: kv.get_many("abc"),
        lambda: kv.put_many("abc", [1, 2, 3]),
        lambda: kv.put_many(["a"], "x"),
    ):
        with pytest.raises(KindError, match="sequence"):
            call()


@pytest.mark.parametrize("bad", [("b", object()), (5, 1)])
def test_pairs_before_one_that_cannot_be_stored_are_stored(kv: Storage, bad: tuple[object, object]) -> None:
    with pytest.raises(KindError):
        kv.put_many([("a", 1), bad, ("c", 3)])  # type: ignore[list-item]
    assert dict(kv) == {"a": 1}


@pytest.mark.parametrize("pair", [("a",), ("a", 1, 2), "a"])
def test_pairs_of_another_length_are_refused(kv: Storage, pair: object) -> None:
    with pytest.raises(ValueError, match="pair number 0 has length"):
        kv.update([pair])  # type: ignore[list-item]


def test_errors_of_the_iterator_come_through(kv: Storage) -> None:
    def pairs() -> Iterator[tuple[str, int]]:
        for i in range(5000):
            yield f"{i}", i
        raise LookupError("stop")

    with pytest.raises(LookupError, match="stop"):
        kv.update(pairs())
    assert len(kv) == 4096  # whole batches


def test_a_store_that_gets_full_keeps_what_it_took() -> None:
    with Storage.memory(max_memory=8 * 1024 * 1024) as kv:
        with pytest.raises(CapacityError):
            kv.put_many({f"{i:06}": bytes(1000) for i in range(100_000)})
        assert len(kv) > 1000
        assert list(kv) == [f"{i:06}" for i in range(len(kv))]
        assert kv.verify() == []


def test_a_dict_that_changes_while_its_values_are_encoded(kv: Storage) -> None:
    class Growing:
        """Exports no buffer, so that storing it fails after the dict was listed."""

    source = {"a": 1, "b": Growing()}
    with pytest.raises(KindError):
        kv.put_many(source)
    assert dict(kv) == {"a": 1}
