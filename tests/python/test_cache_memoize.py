"""Cache.memoize: functions, plain and async, that are called once for the same arguments."""

from __future__ import annotations

import asyncio
import multiprocessing

import pytest
from kv_storage import (
    Cache,
    KindError,
    ReentryError,
)

from . import cache_jobs

FORK = multiprocessing.get_context("fork")


def test_memoize_calls_once_for_the_same_arguments(cache: Cache) -> None:
    calls: list[tuple[object, ...]] = []

    @cache.memoize(ttl=3600)
    def price(item: object, *, currency: str = "EUR", rate: float = 1) -> list[object]:
        """What it costs."""
        calls.append((item, currency, rate))
        return [item, currency, rate]

    for _ in range(3):
        assert price("a") == ["a", "EUR", 1]
        assert price("a", currency="USD", rate=2) == ["a", "USD", 2]
        assert price("a", rate=2, currency="USD") == ["a", "USD", 2]
        assert price([1, {"x": (2,)}]) == [[1, {"x": (2,)}], "EUR", 1]
        assert [type(price(one)[0]) for one in (1, 1.0, True)] == [int, float, bool]
        assert price("x" * 5_000)[0] == "x" * 5_000
    assert len(calls) == 7
    assert price.__name__ == "price"
    assert price.__doc__ == "What it costs."
    assert price.cache is cache
    assert price.__wrapped__("b") == ["b", "EUR", 1]
    price.cache_clear()
    price("a")
    assert len(calls) == 9
    with pytest.raises(KindError):
        price(object())


def test_memoize_without_parentheses_and_of_none(cache: Cache) -> None:
    calls = []

    @cache.memoize
    def nothing() -> None:
        calls.append(1)

    @cache.memoize
    def other() -> int:
        return 1

    assert (nothing(), nothing(), other()) == (None, None, 1)
    assert len(calls) == 1
    other.cache_clear()
    nothing()
    assert len(calls) == 1
    with pytest.raises(KindError):
        cache.memoize(5)  # type: ignore[call-overload]


def test_memoize_of_a_recursive_function(cache: Cache) -> None:
    @cache.memoize
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(80) == 23416728348467685


def test_memoize_async(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize(ttl=3600)
    async def slow(number: int) -> int:
        calls.append(number)
        await asyncio.sleep(0)
        if number < 0:
            raise LookupError(number)
        return number * 2

    async def main() -> None:
        assert await asyncio.gather(*(slow(n % 3) for n in range(30))) == [n % 3 * 2 for n in range(30)]
        assert sorted(calls) == [0, 1, 2]
        failed = await asyncio.gather(slow(-1), slow(-1), return_exceptions=True)
        assert [type(one) for one in failed] == [LookupError, LookupError]
        task = asyncio.create_task(slow(7))
        await asyncio.sleep(0)
        waiter = asyncio.create_task(slow(7))
        task.cancel()
        assert await waiter == 14

    asyncio.run(main())
    assert asyncio.run(slow(1)) == 2
    assert asyncio.iscoroutinefunction(slow)
    slow.cache_clear()
    assert asyncio.run(slow(1)) == 2
    assert calls.count(1) == 2


def test_memoize_async_refuses_to_await_itself(cache: Cache) -> None:
    @cache.memoize
    async def circle(number: int) -> int:
        return await circle(number)

    with pytest.raises(ReentryError):
        asyncio.run(circle(1))


def test_memoize_async_computes_once_in_all_processes(cache: Cache) -> None:
    calls = FORK.Value("i", 0)
    workers = [FORK.Process(target=cache_jobs.await_in_process, args=(cache, calls)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert calls.value == 50
