"""The API as its users' type checkers see it: checked by mypy, and executed."""

from __future__ import annotations

import asyncio
from collections.abc import ItemsView, KeysView, ValuesView
from datetime import date
from typing import TYPE_CHECKING, Any, assert_type

import numpy as np
import numpy.typing as npt
from kv_storage import MISSING, Cache, Hash, Key, List, Map, Matches, Record, RecordHash, Set, Storage, escape


def values(kv: Storage) -> None:
    """One key at a time."""
    assert_type(kv.put("a", [1]), None)
    assert_type(kv.put(b"a", 1, ttl=1.5), None)
    assert_type(kv.expire("a", 60), bool)
    assert_type(kv.ttl("a"), float | None)
    assert_type(kv.persist("a"), bool)
    kv["a"] = 1
    assert_type(kv.get("a"), Any | None)
    assert_type(kv["a"], Any)
    assert_type(kv.delete("b"), bool)
    assert_type(kv.incr("n"), int)
    assert_type(kv.compare_and_set("c", MISSING, 1), bool)
    assert_type(kv.get_many(["a", b"b"]), list[Any])
    assert_type(kv.update(x=1), None)
    assert_type(len(kv), int)
    kv["bytes"] = b"bytes"
    assert_type(kv.view("bytes"), memoryview)
    kv["array"] = np.zeros(3)
    with kv.edit("array") as array:
        assert_type(array, npt.NDArray[Any])
    kv.put_many({"a": 1}, ttl=60)
    kv.put_many([("a", 1)])
    kv.put_many(["a", "b"], np.zeros((2, 3)))


def many(kv: Storage) -> None:
    """Entries in order."""
    matches = kv.find(f"{escape('a*')}-*")
    assert_type(matches, Matches)
    assert_type(matches[:10], Matches)
    assert_type(matches.keys(), KeysView[str])
    assert_type(kv.values(), ValuesView[Any])
    assert_type(kv.items(), ItemsView[str, Any])
    assert_type(list(kv.prefix("a")), list[str])
    assert_type(dict(kv.range("a", None)), dict[str, Any])
    assert_type(matches.delete(), int)
    assert_type(Key("a", date(2018, 6, 6), 5).parts, tuple[Any, ...])


def records(kv: Storage) -> None:
    """Collections with a schema."""
    flights = kv.hash("flights", schema={"dep_delay": "f4", "carrier": "category"})
    assert_type(flights, RecordHash)
    flights.put("a", {"dep_delay": 5, "carrier": "UA"})
    flights.put("b", (5, "UA"))
    assert_type(flights["a"], Record)
    assert_type(flights.get("a"), Record | None)
    assert_type(flights["a"].dep_delay, Any)
    assert_type(flights["a"].asdict(), dict[str, Any])
    assert_type(flights.categories("carrier"), list[str])
    assert flights.column("dep_delay").sum() == 10
    assert_type(flights.__arrow_c_stream__(), object)
    assert_type(flights.find("a*").__arrow_c_array__(), tuple[object, object])
    assert_type(kv.hash("plain"), Hash)
    assert_type(flights.schema, dict[str, str])


def ordered(kv: Storage) -> None:
    """Maps and Sets."""
    scores = kv.map("scores", key=int)
    assert_type(scores, Map)
    scores[3] = "c"
    scores.put_many([1, 2], ["a", "b"])
    assert_type(scores.rank(2), int)
    assert_type(scores.first(), tuple[Any, Any])
    assert_type(scores.floor(5), Any | None)
    assert_type(scores.items()[:2], list[tuple[Any, Any]])
    assert_type(len(scores.range(1, 3)[:1]), int)
    assert_type(scores.range(None, 2).delete(), int)
    assert_type(scores.keys_array(), npt.NDArray[Any])
    tails = kv.list("tails")
    assert_type(tails, List)
    tails.append("N14228")
    tails += ["N14228", "N24211"]
    tails[0] = None
    tails[1:] = (1, 2.0)
    assert_type(tails[1:], list[Any])
    assert_type(tails.index(1, 0, 5), int)
    assert_type(tails.copy(), list[Any])
    assert_type(tails + tails.copy(), list[Any])
    assert_type(tails.value_counts(), dict[Any, int])
    codes, dictionary = tails.encoded()
    dictionary[codes]
    tails.sort(key=str, reverse=True)
    del tails[0], tails[:]
    tags = kv.set("tags")
    assert_type(tags, Set)
    tags |= ["a", "b"]
    tags &= {"a", 5}
    assert_type(tags.intersection_count(["a"]), int)
    assert_type(tags.prefix("a")[:1], list[Any])
    assert_type(tags & {"a"}, set[Any])
    assert_type(tags.union(["b"], {"c"}), set[Any])
    assert_type(tags.add("d", ttl=5), None)
    assert_type(tags.update(["e"], ttl=5), None)
    assert_type(tags.expire("a", 60), bool)
    assert_type(tags.ttl("a"), float | None)
    assert_type(tags.persist("a"), bool)
    assert_type(scores.ttl(2), float | None)


def caches(kv: Storage) -> None:
    """A cache, and functions that are called once."""
    cache = kv.cache("pages", capacity="1MB", ttl=60)
    assert_type(cache, Cache)
    assert_type(cache.put("a", 1, ttl=5), bool)
    assert_type(cache.get("a"), Any | None)
    assert_type(cache.get_or_compute("b", lambda: 2), Any)
    assert_type(cache.stats()["hits"], int)

    @cache.memoize(ttl=5)
    def price(item: str, *, currency: str = "EUR") -> int:
        return len(item + currency)

    @cache.memoize
    async def later(number: int) -> str:
        return str(number)

    assert_type(price("a", currency="USD"), int)
    assert_type(asyncio.run(later(1)), str)
    price.cache_clear()
    assert price.__wrapped__("a") == 4


def store(kv: Storage) -> None:
    """The store as a whole."""
    assert_type(kv.stats()["keys"], int)
    assert_type(kv.stats()["parts"][0]["pins"], int)
    assert_type(kv.stats()["path"], str | None)
    assert_type(next(iter(kv.stats()["processes"].values()))["pinned_bytes"], int)
    assert_type(kv.drop("flights"), bool)
    assert_type(kv.verify(), list[str])
    with kv as same:
        assert_type(same, Storage)


if TYPE_CHECKING:
    Storage(5)  # type: ignore[arg-type]
    Storage().hash("name", "value")  # type: ignore[call-overload]
    Storage().put(5, 1)  # type: ignore[arg-type]
    Storage().get()  # type: ignore[call-overload]
    Storage().find("a").put("a", 1)  # type: ignore[attr-defined]
    Key("a", order="mdy")  # type: ignore[arg-type]


def main() -> None:
    """Run all examples on a private store."""
    kv = Storage.memory(max_memory=64 * 1024 * 1024)
    for example in (values, many, records, ordered, caches, store):
        example(kv)


if __name__ == "__main__":
    main()
