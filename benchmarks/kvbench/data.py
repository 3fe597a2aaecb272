"""Keys and values of all workloads: `hash-DD-MM-YYYY-NNNNNNN` (23 bytes, 1,000 dates) to 100 random bytes."""

import array
import datetime
import os
import random
from collections.abc import Sequence
from pathlib import Path

DATE_COUNT = 1_000
KEY_BYTES = 23
VALUE_BYTES = 100
FIRST_DAY = datetime.date(2017, 1, 1)
DATES = [(FIRST_DAY + datetime.timedelta(days)).strftime("%d-%m-%Y") for days in range(DATE_COUNT)]


def key(number: int) -> str:
    return f"hash-{DATES[number % DATE_COUNT]}-{number:07d}"


def shuffled(count: int, seed: int, work: str) -> Sequence[int]:
    """The numbers below `count` in a random order, the same in every run; kept in a file: slow to make."""
    path = Path(work) / f"order-{count}-{seed}.bin"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        numbers = list(range(count))
        random.Random(seed).shuffle(numbers)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(array.array("I", numbers).tobytes())
        partial.rename(path)
    order = array.array("I")
    order.frombytes(path.read_bytes())
    return order


def shuffled_keys(count: int, seed: int, work: str) -> list[str]:
    """New `str` objects, not hashed by any dict yet: what a program that builds its keys has in hand."""
    return [key(number) for number in shuffled(count, seed, work)]


def values(count: int, seed: int = 7) -> list[bytes]:
    block = random.Random(seed).randbytes(VALUE_BYTES * count)
    return [block[i : i + VALUE_BYTES] for i in range(0, len(block), VALUE_BYTES)]
