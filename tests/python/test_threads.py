"""Threads: atomic steps, the GIL given up while waiting, signals obeyed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import pytest
from kv_storage import MISSING, Storage

from .support import gives_up_the_gil

WORKERS = 4


def in_threads(work: Callable[[int], object]) -> list[object]:
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(work, range(WORKERS)))


@pytest.fixture(autouse=True)
def frequent_switches() -> object:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_increments_are_not_lost(many_parts: Storage) -> None:
    def work(_: int) -> None:
        for i in range(5000):
            many_parts.incr(f"n{i % 3}")

    in_threads(work)
    assert sum(many_parts.values()) == WORKERS * 5000


def test_compare_and_set_lets_one_win(kv: Storage) -> None:
    def work(worker: int) -> int:
        return sum(kv.compare_and_set(f"{i}", MISSING, worker) for i in range(2000))

    assert sum(in_threads(work)) == 2000  # type: ignore[arg-type]
    assert len(kv) == 2000


def test_setdefault_gives_all_the_same(kv: Storage) -> None:
    def work(worker: int) -> list[object]:
        return [kv.setdefault(f"{i}", worker) for i in range(2000)]

    results = in_threads(work)
    assert all(result == results[0] for result in results)


def test_readers_see_whole_values(kv: Storage) -> None:
    done = threading.Event()
    kv["a"] = [0] * 100

    def write(_: int) -> None:
        for i in range(3000):
            kv["a"] = [i] * (100 + i % 50)
            kv[f"other-{i % 100}"] = bytes(i % 5000)
        done.set()

    def read(_: int) -> None:
        while not done.is_set():
            assert len(set(kv["a"])) == 1
            for key, value in kv.items():
                assert key == "a" or set(value) <= {0}
            assert all(
                value is None or set(value) <= {0}
                for value in kv.get_many([f"other-{i}" for i in range(100)])
            )

    def work(worker: int) -> None:
        (write if worker == 0 else read)(worker)

    in_threads(work)


def test_everything_at_once(many_parts: Storage) -> None:
    def work(worker: int) -> None:
        h = many_parts.hash(f"h{worker % 2}")
        for i in range(300):
            h.put_many({f"{worker}-{j}": [i, j] for j in range(20)})
            assert all(value[0] == i for value in h.prefix(f"{worker}-").values())
            list(h.find("*-1?"))
            assert h.prefix(f"{worker}-").delete() == 20
            many_parts.stats()

    in_threads(work)
    assert len(many_parts.hash("h0")) == len(many_parts.hash("h1")) == 0


def test_one_iterator_for_several_threads_gives_each_key_once_or_refuses(kv: Storage) -> None:
    kv.put_many({f"{i:05}": i for i in range(20_000)})
    iterator = iter(kv)

    def work(_: int) -> list[str]:
        mine = []
        while True:
            try:
                mine.append(next(iterator))
            except StopIteration:
                return mine
            except ValueError as error:
                assert "another thread" in str(error)  # noqa: PT017

    taken = [key for keys in in_threads(work) for key in keys]  # type: ignore[attr-defined]
    assert sorted(taken) == sorted(kv)


def test_other_threads_run_during_long_calls_only(kv: Storage) -> None:
    items = {f"{i:04}": i for i in range(1000)}
    kv.put_many(items)
    assert gives_up_the_gil(lambda: kv.put_many(items))
    assert gives_up_the_gil(lambda: len(kv.find("*9*8")))
    assert gives_up_the_gil(lambda: list(kv.find("*9*8")))
    assert gives_up_the_gil(kv.find("*9*8").delete)
    assert gives_up_the_gil(kv.clear, attempts=100_000)  # short, once it is empty
    assert not gives_up_the_gil(lambda: kv.get("0001"))
    assert not gives_up_the_gil(lambda: kv.get_many(["0001", "0002"]))
    assert not gives_up_the_gil(lambda: kv.put("0001", 5))
    assert not gives_up_the_gil(lambda: next(iter(kv), None))


def ticks_during(call: Callable[[], object]) -> int:
    """How often another thread, which always wants to, runs meanwhile; some two times belong to what is around the call."""
    ticks = 0
    stop = False

    def tick() -> None:
        nonlocal ticks
        while not stop:
            ticks += 1
            time.sleep(0)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        before = ticks
        call()
        return ticks - before
    finally:
        stop = True
        thread.join()


def test_get_many_lets_others_run_between_slices(kv: Storage) -> None:
    """It gives way to who has asked for the GIL, so not with the long interval of the test above."""
    kv["a"] = 1
    keys = ["a"] * 400_000
    sliced = median(ticks_during(lambda: kv.get_many(keys)) for _ in range(15))
    whole = median(ticks_during(lambda: "".join(keys)) for _ in range(15))  # which keeps the GIL
    assert sliced > 20
    assert sliced > 2 * whole


STUCK = """
import os, signal, sys, threading
from kv_storage import Storage

kv = Storage()
kv["a"] = 1
class Interrupted(Exception): pass
def handler(*_):
    raise Interrupted
signal.signal(signal.SIGUSR1, handler)
try:
    print("ready", flush=True)
    while True:
        kv.put_many([(f"{i}", i) for i in range(100)])
        kv.find("*1").delete()
except Interrupted:
    pass
assert kv.verify() == []
print("interrupted", flush=True)
"""


def test_a_signal_handler_interrupts_a_loop_of_calls(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        os.kill(child.pid, signal.SIGUSR1)
        assert child.stdout.readline() == "interrupted\n"
    assert child.returncode == 0


DAEMONS = """
import threading
from kv_storage import Storage

kv = Storage.memory(max_memory=1 << 27)
started = threading.Barrier(5)
def work(n):
    started.wait()
    while True:
        kv.put_many({f"{n}-{i}": bytes(100) for i in range(500)})
        kv.incr("n")
        len(kv.find("*7*"))
        kv.prefix(f"{n}-").delete()
for n in range(4):
    threading.Thread(target=work, args=(n,), daemon=True).start()
started.wait()
for _ in range(20):
    kv.incr("n")
"""


@pytest.mark.parametrize("attempt", range(5))
def test_daemon_threads_at_exit_do_no_harm(attempt: int) -> None:
    done = subprocess.run([sys.executable, "-c", DAEMONS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_fork_shares_the_store(kv: Storage) -> None:
    kv["large"] = bytes(100_000)
    view = kv.view("large")
    program_result = 0
    pid = os.fork()
    if pid == 0:
        try:
            kv["child"] = bytes(view[:5])
            kv.delete("large")
            os._exit(0 if bytes(view) == bytes(100_000) else 3)
        finally:
            os._exit(4)
    _, program_result = os.waitpid(pid, 0)
    assert program_result == 0
    assert kv["child"] == bytes(5)
    assert "large" not in kv
    assert bytes(view) == bytes(100_000)
