"""Map and Set beside sortedcontainers, and beside dict and set, which keep no order.

As many random 64-bit keys as entries, a value of 8 bytes; look-ups hit, in random order. Positions and neighbours of a
dict would need a sort first, so it has none. Sets are of half as many members each, a third of them in common.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kvbench import peers
from kvbench.measure import Metrics, Result, nanoseconds_each
from kvbench.settings import Settings
from kvbench.third_party import third_party

PEERS = ("dict", peers.OURS, "sortedcontainers")

POSITIONS_SHARE = 10  # a tenth of the keys is asked for its position: enough to measure
RANGE = 100

MakeMap = Callable[[], Any]
MakeSet = Callable[[Iterable[int]], Any]


def run(peer: str, settings: Settings) -> Result:
    draw = random.Random(5)
    keys = [draw.randrange(-(2**63), 2**63) for _ in range(settings.entries)]
    order = draw.sample(keys, len(keys))
    make_map, make_set, note = _MAKERS[peer]()
    return Result(_map(make_map, keys, order) | _sets(make_set, keys), note)


def _map(make: MakeMap, keys: Sequence[int], order: Sequence[int]) -> Metrics:
    made = make()
    count = len(keys)
    metrics = {
        "put_ns": nanoseconds_each(count, _put_each, made, keys),
        "get_ns": nanoseconds_each(count, _call_each, made.__getitem__, order),
        "scan_ns": nanoseconds_each(count, lambda: sum(1 for _ in made.items())),
    }
    if type(made) is not dict:  # a SortedDict is one, too
        some = order[: count // POSITIONS_SHARE]
        rank, select, between = _positions(made)
        _check(made, keys, rank, select)
        metrics["rank_ns"] = nanoseconds_each(len(some), _call_each, rank, some)
        metrics["select_ns"] = nanoseconds_each(len(some), _call_each, select, range(len(some)))
        starts = sorted(some)[:: len(some) // 500 or 1]
        ends = [select(min(rank(start) + RANGE, count - 1)) for start in starts]
        read = sum(len(between(*each)) for each in zip(starts, ends, strict=True))
        metrics["range_ns"] = nanoseconds_each(
            read, lambda: [between(*each) for each in zip(starts, ends, strict=True)]
        )
    metrics["delete_ns"] = nanoseconds_each(count, _call_each, made.__delitem__, order)
    assert len(made) == 0
    return metrics


def _put_each(made: Any, keys: Sequence[int]) -> None:
    for key in keys:
        made[key] = key


def _call_each(call: Callable[[int], Any], arguments: Iterable[int]) -> None:
    for argument in arguments:
        call(argument)


def _positions(
    made: Any,
) -> tuple[Callable[[int], int], Callable[[int], int], Callable[[int, int], list[Any]]]:
    """Of a Map and of a SortedDict: the rank of a key, the key of a rank, the items between two keys."""
    if hasattr(made, "bisect_left"):

        def between(lo: int, hi: int) -> list[Any]:
            return [(key, made[key]) for key in made.irange(lo, hi, (True, False))]

        return made.bisect_left, made.keys().__getitem__, between
    return made.rank, made.select, lambda lo, hi: list(made.range(lo, hi).items())


def _check(made: Any, keys: Sequence[int], rank: Callable[[int], int], select: Callable[[int], int]) -> None:
    middle = sorted(keys)[len(keys) // 2]
    if rank(middle) != len(keys) // 2 or select(len(keys) // 2) != middle:
        raise AssertionError("a position is wrong")


def _sets(make: MakeSet, keys: Sequence[int]) -> Metrics:
    """Nanoseconds a member of both sides."""
    half = len(keys) // 2
    left, right = make(keys[:half]), make(keys[half // 3 * 2 : half // 3 * 2 + half])
    both = len(left) + len(right)
    expected = len(set(keys[:half]) & set(keys[half // 3 * 2 : half // 3 * 2 + half]))
    count = getattr(left, "intersection_count", lambda other: len(left & other))
    assert count(right) == expected
    metrics = {
        "common_count_ns": nanoseconds_each(both, count, right),
        "common_ns": nanoseconds_each(both, lambda: left & right),
        "difference_ns": nanoseconds_each(both, lambda: left - right),
    }

    def unite() -> None:
        nonlocal left
        left |= right

    metrics["unite_in_place_ns"] = nanoseconds_each(both, unite)
    assert len(left) == both - expected
    return metrics


def _dict() -> tuple[MakeMap, MakeSet, str]:
    return dict, set, "dict and set: no order, no positions."


def _sortedcontainers() -> tuple[MakeMap, MakeSet, str]:
    module = third_party("sortedcontainers")
    return module.SortedDict, module.SortedSet, "SortedDict and SortedSet of sortedcontainers, pure Python."


def _ours() -> tuple[MakeMap, MakeSet, str]:
    from kv_storage import Storage

    kv = Storage.memory(max_memory=2**33)
    names = iter(("left", "right"))

    def make_set(members: Iterable[int]) -> Any:
        made = kv.set(next(names))
        made.update(members)
        return made

    return (
        lambda: kv.map("bench"),
        make_set,
        "Map and Set: shared between processes, crash-safe, copied in and out.",
    )


_MAKERS = {"dict": _dict, peers.OURS: _ours, "sortedcontainers": _sortedcontainers}
