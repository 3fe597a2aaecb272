#!/usr/bin/env python3
"""Gets by one interpreter, by two threads of it, and by two interpreters with a GIL each, from one store (Python 3.12+).

    usage: runner benchmarks/two_interpreters.py [--entries N] [--seconds S] [--repeats N]

Keys of 23 bytes, values of 100, all found, in random order. Rates are the sum over the threads; medians. One interpreter
is measured before and after the others in each repeat. Where other programs want the processors, too, the rates for each
second of a thread's own processor time say more than those by the clock: waiting for each other would show in the clock's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import threading
from collections.abc import Callable

import kv_storage

if sys.version_info < (3, 12):
    sys.exit("interpreters with a GIL of their own need Python 3.12 or newer")
if sys.version_info >= (3, 13):
    import _interpreters
else:
    import _xxsubinterpreters as _interpreters  # type: ignore[import-not-found]

KEYS = 200_000  # that a thread makes before it starts, and then looks up in turn

# Says on one pipe that it is ready, starts at the end of the other, and leaves its rate in the store.
READ = """
import os, random, time
import kv_storage

def read(number, entries, seconds, ready, start):
    kv = kv_storage.Storage()
    draw = random.Random(number).randrange
    keys = [f"hash-06-06-2018-{draw(entries):07}" for _ in range(KEYS)]
    get = kv.get
    os.write(ready, b"r")
    os.read(start, 1)
    done, began, began_cpu = 0, time.perf_counter(), time.thread_time()
    while (elapsed := time.perf_counter() - began) < seconds:
        for key in keys[done % KEYS : done % KEYS + 1000]:
            get(key)
        done += 1000
    kv.hash("rates")[str(number)] = (done / elapsed, done / (time.thread_time() - began_cpu))
"""


def run_interpreter(program: str) -> None:
    if sys.version_info >= (3, 13):
        identity = _interpreters.create("isolated")
        error = _interpreters.exec(identity, program)
        if error is not None:
            sys.exit(error.errdisplay)
    else:
        identity = _interpreters.create(isolated=True)
        _interpreters.run_string(identity, program)
    _interpreters.destroy(identity)


def run_here(program: str) -> None:
    exec(program, {})


def rate(run: Callable[[str], None], count: int, entries: int, seconds: float) -> tuple[float, float]:
    """Gets a second of `count` threads, by the clock and by their own time; each lets `run` have the program."""
    kv = kv_storage.Storage()
    kv.hash("rates").clear()
    ready_read, ready = os.pipe()
    start, starter = os.pipe()
    threads = []
    for number in range(count):
        call = f"KEYS = {KEYS}\nread({number}, {entries}, {seconds}, {ready}, {start})"
        threads.append(threading.Thread(target=run, args=(READ + call,)))
        threads[-1].start()
    for _ in threads:
        os.read(ready_read, 1)
    os.close(starter)
    for thread in threads:
        thread.join()
    for descriptor in (ready_read, ready, start):
        os.close(descriptor)
    by_clock, by_cpu = zip(*kv.hash("rates").values(), strict=True)
    return sum(by_clock), sum(by_cpu)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    kv = kv_storage.Storage()
    for first in range(0, options.entries, 100_000):
        last = min(first + 100_000, options.entries)
        kv.put_many(
            [f"hash-06-06-2018-{number:07}" for number in range(first, last)], [b"v" * 100] * (last - first)
        )

    rates: dict[str, list[tuple[float, float]]] = {"one": [], "threads": [], "two": [], "scaling": []}
    for _ in range(options.repeats):
        before = rate(run_interpreter, 1, options.entries, options.seconds)
        rates["threads"].append(rate(run_here, 2, options.entries, options.seconds))
        two = rate(run_interpreter, 2, options.entries, options.seconds)
        after = rate(run_interpreter, 1, options.entries, options.seconds)
        one = ((before[0] + after[0]) / 2, (before[1] + after[1]) / 2)
        rates["one"].append(one)
        rates["two"].append(two)
        rates["scaling"].append((two[0] / one[0], two[1] / one[1]))
    medians = {
        name: [statistics.median(figures) for figures in zip(*pairs, strict=True)]
        for name, pairs in rates.items()
    }
    if options.json:
        print(json.dumps(medians))
        return
    print("gets a second                       by the clock  by processor time")
    print("one interpreter                {:17,.0f} {:18,.0f}".format(*medians["one"]))
    print("two threads of one interpreter {:17,.0f} {:18,.0f}".format(*medians["threads"]))
    print("two interpreters               {:17,.0f} {:18,.0f}".format(*medians["two"]))
    print("two interpreters / one         {:17.2f} {:18.2f}".format(*medians["scaling"]))


if __name__ == "__main__":
    main()
