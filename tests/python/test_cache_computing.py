"""Cache: one computation per missing key, over all threads and processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kv_storage import (
    Cache,
    Error,
    ReentryError,
)

from . import cache_jobs

FORK = multiprocessing.get_context("fork")


def test_one_of_many_threads_computes(cache: Cache) -> None:
    calls: list[int] = []
    with ThreadPoolExecutor(8) as pool:
        for number in range(100):

            def compute(number: int = number) -> int:
                calls.append(number)
                return number

            asked = [pool.submit(cache.get_or_compute, f"k{number}", compute) for _ in range(8)]
            assert [one.result() for one in asked] == [number] * 8
    assert calls == list(range(100))


def test_an_exception_goes_to_its_caller_and_the_others_go_on(cache: Cache) -> None:
    started = threading.Event()
    fail = threading.Event()

    def broken() -> int:
        started.set()
        fail.wait()
        raise LookupError("not today")

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(cache.get_or_compute, "k", broken)
        started.wait()
        others = [pool.submit(cache.get_or_compute, "k", lambda: "computed") for _ in range(2)]
        fail.set()
        with pytest.raises(LookupError, match="not today"):
            first.result()
        assert [other.result() for other in others] == ["computed", "computed"]


def test_who_computes_a_key_may_not_ask_for_it(cache: Cache) -> None:
    with pytest.raises(ReentryError) as caught:
        cache.get_or_compute("k", lambda: cache.get_or_compute("k", lambda: 1))
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, Error)
    assert cache.get_or_compute("k", lambda: cache.get_or_compute("other", lambda: 2)) == 2


def test_waiting_obeys_signals(cache: Cache) -> None:
    started, release = threading.Event(), threading.Event()

    def slow() -> int:
        started.set()
        release.wait()
        return 1

    def interrupt(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, interrupt)
    thread = threading.Thread(target=cache.get_or_compute, args=("k", slow))
    thread.start()
    try:
        started.wait()
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(InterruptedError):
            cache.get_or_compute("k", lambda: 2)
    finally:
        signal.signal(signal.SIGALRM, before)
        release.set()
        thread.join()
    assert cache.get("k") == 1


def test_one_of_many_forked_processes_computes(cache: Cache) -> None:
    readable, writable = os.pipe()
    workers = [FORK.Process(target=cache_jobs.compute_all, args=(cache, writable, 200)) for _ in range(4)]
    for worker in workers:
        worker.start()
    os.close(writable)
    with open(readable, "rb") as computed:
        assert len(computed.read()) == 200
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0


SPAWNING = """
import multiprocessing

from kv_storage import Cache, Storage


def work(_):
    cache = Cache("shared", capacity="1MB")
    calls = Storage().hash("calls")
    return [cache.get_or_compute(f"key-{n}", lambda: calls.incr("n") and n * 2) for n in range(50)]


if __name__ == "__main__":
    Storage().hash("calls")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        answers = pool.map(work, range(2), chunksize=1)
    assert answers == [[n * 2 for n in range(50)]] * 2
    print(Storage().hash("calls")["n"], len(Cache("shared")))
"""


def test_one_of_many_spawned_processes_computes(tmp_path: Path) -> None:
    script = tmp_path / "spawning.py"
    script.write_text(SPAWNING)
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr, result.returncode) == ("50 50\n", "", 0)


def test_the_computation_of_a_killed_process_is_taken_over(cache: Cache) -> None:
    ready = FORK.Event()
    worker = FORK.Process(target=cache_jobs.die_computing, args=(cache, ready))
    worker.start()
    ready.wait()
    with ThreadPoolExecutor(2) as pool:
        calls: list[int] = []

        def compute() -> int:
            calls.append(1)
            return 5

        waiting = [pool.submit(cache.get_or_compute, "key", compute) for _ in range(2)]
        worker.kill()
        worker.join()
        assert [one.result() for one in waiting] == [5, 5]
    assert len(calls) == 1
