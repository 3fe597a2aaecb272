"""What the worker processes of test_cache_computing.py and test_cache_memoize.py do: apart, as the arguments say what they share."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from kv_storage import Cache


def compute_all(cache: Cache, ready: Any, keys: int) -> None:
    """Asks for all keys; each computation leaves a byte in the pipe `ready`."""
    for number in range(keys):

        def compute(number: int = number) -> int:
            os.write(ready, b"c")
            return number * 2

        if cache.get_or_compute(f"key-{number}", compute) != number * 2:
            sys.exit(1)


def die_computing(cache: Cache, ready: Any) -> None:
    """Killed while it computes the value of `key`."""

    def compute() -> int:
        ready.set()
        signal.pause()
        return 0

    cache.get_or_compute("key", compute)


def await_in_process(cache: Cache, calls: Any) -> None:
    """Several tasks ask for one value."""

    @cache.memoize
    async def slow(number: int) -> int:
        with calls.get_lock():
            calls.value += 1
        await asyncio.sleep(0)
        return number + 1

    async def main() -> None:
        for number in range(50):
            assert await asyncio.gather(*(slow(number) for _ in range(5))) == [number + 1] * 5

    asyncio.run(main())
