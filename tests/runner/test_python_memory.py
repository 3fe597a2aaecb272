"""Python's memory: [python] gc and allocator, jemalloc as the process's malloc and its figures in stats()."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .support import Outcome

Run = Callable[..., Outcome]

OPTION = "--native_configuration=cfg.ini"


@pytest.fixture
def configured(run: Run, tmp_path: Path) -> Callable[..., Outcome]:
    """Run with this [python] section."""

    def run_configured(setting: str, *arguments: str, **options: object) -> Outcome:
        (tmp_path / "cfg.ini").write_text(f"[python]\n{setting}\n")
        return run(OPTION, *arguments, **options)

    return run_configured


@pytest.fixture
def jemalloc(run: Run) -> None:
    if "malloc jemalloc" not in run("--version").out:
        pytest.skip("this runner was built without jemalloc (KV_JEMALLOC, sanitizers)")


# --- the collector


def test_gc_off(configured: Run) -> None:
    assert configured("gc = off", "-c", "import gc; print(gc.isenabled())") == Outcome(0, "False\n", "")


def test_gc_freeze(configured: Run) -> None:
    script = (
        "import gc, os, sys; print(gc.get_freeze_count()); sys.stdout.flush(); pid = os.fork();"
        "pid or (print(gc.get_freeze_count() > 1000), sys.stdout.flush(), os._exit(0));"
        "os.waitpid(pid, 0); print(gc.get_freeze_count(), gc.isenabled())"
    )
    assert configured("gc = freeze", "-c", script) == Outcome(0, "0\nTrue\n0 True\n", "")


# --- the allocator

# Blocks of pymalloc that are in use; none, if everything comes from malloc.
BLOCKS = "import sys; kept = [[i] for i in range(1000)]; print(sys.getallocatedblocks() > 1000)"


def test_pymalloc_is_the_default(run: Run, configured: Run) -> None:
    assert run("-c", BLOCKS).out == configured("allocator = pymalloc", "-c", BLOCKS).out == "True\n"


def test_malloc_takes_everything(configured: Run) -> None:
    script = BLOCKS + (
        "; import subprocess, json, threading, gc; from kv_storage import Storage; kv = Storage();"
        "kv.put_many({str(i): [i, {'a': str(i)}] for i in range(1000)});"
        "threads = [threading.Thread(target=lambda: [kv[str(i)] for i in range(1000)]) for _ in range(4)];"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]; gc.collect();"
        "print(json.loads(json.dumps(kv['7'])), sys.getallocatedblocks())"
    )
    assert configured("allocator = malloc", "-c", script) == Outcome(0, "False\n[7, {'a': '7'}] 0\n", "")


def test_children_have_the_same_allocator(configured: Run) -> None:
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BLOCKS!r}], check=True)"
    assert configured("allocator = malloc", "-c", script) == Outcome(0, "False\n", "")


def test_python_s_own_settings_win(configured: Run) -> None:
    setting = "allocator = malloc"
    assert configured(setting, "-c", BLOCKS, env={"PYTHONMALLOC": "pymalloc"}).out == "True\n"
    assert configured(setting, "-E", "-c", BLOCKS, env={"PYTHONMALLOC": "pymalloc"}).out == "False\n"
    assert configured(setting, "-X", "dev", "-c", BLOCKS).out == "True\n"
    assert configured("allocator = pymalloc", "-c", BLOCKS, env={"PYTHONMALLOC": "malloc"}).out == "False\n"


# --- jemalloc

FIGURES = """
import json, sys
from kv_storage import Storage
kv = Storage()
before = kv.stats()["jemalloc"]
objects = [bytes(1000) for _ in range(50_000)]  # above pymalloc's 512 bytes
after = kv.stats()["jemalloc"]
kv["a"] = bytes(50_000_000)  # the store's memory is not malloc's
stored = kv.stats()["jemalloc"]
del objects
print(json.dumps([before, after, stored, kv.stats()["jemalloc"]]))
"""


@pytest.mark.usefixtures("jemalloc")
def test_figures_follow_what_is_allocated(run: Run) -> None:
    before, after, stored, freed = json.loads(run("-c", FIGURES).out)
    megabytes = 1_000_000
    assert 50 * megabytes < after["allocated_bytes"] - before["allocated_bytes"] < 70 * megabytes
    assert stored["allocated_bytes"] - after["allocated_bytes"] < megabytes
    assert after["allocated_bytes"] - freed["allocated_bytes"] > 50 * megabytes
    for figures in (before, after, stored, freed):
        assert 0 < figures["allocated_bytes"] <= figures["active_bytes"] <= figures["resident_bytes"]
        assert figures["active_bytes"] <= figures["mapped_bytes"]
        assert figures.keys() == before.keys()


@pytest.mark.usefixtures("jemalloc")
def test_extension_modules_allocate_from_it(run: Run) -> None:
    """The loader finds the runner's malloc, not libc's, for whatever is loaded later."""
    script = (
        "import ctypes; from kv_storage import Storage; kv = Storage(); libc = ctypes.CDLL(None);"
        "used = lambda: kv.stats()['jemalloc']['allocated_bytes']; before = used();"
        "libc.strdup.restype = ctypes.c_void_p; text = b'x' * 30_000_000; held = used();"
        "copy = libc.strdup(text); print(used() - held >= 30_000_000);"
        "libc.free.argtypes = [ctypes.c_void_p]; libc.free(copy); print(used() - held < 1_000_000)"
    )
    assert run("-c", script) == Outcome(0, "True\nTrue\n", "")


@pytest.mark.usefixtures("jemalloc")
def test_it_survives_fork_with_threads_that_allocate(run: Run) -> None:
    script = (
        "import os, threading; stop = threading.Event()\n"
        "def allocate():\n"
        "    while not stop.is_set(): [bytearray(n) for n in range(600, 5000, 50)]\n"
        "threads = [threading.Thread(target=allocate) for _ in range(3)]\n"
        "for thread in threads: thread.start()\n"
        "for _ in range(50):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        [bytearray(n) for n in range(600, 50_000, 50)]\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
        "stop.set()\n"
        "for thread in threads: thread.join()\n"
        "print('done')"
    )
    assert run("-W", "ignore::DeprecationWarning", "-c", script) == Outcome(0, "done\n", "")


def test_without_jemalloc_there_are_no_figures(run: Run) -> None:
    has_figures = run(
        "-c", "from kv_storage import Storage; print(Storage().stats()['jemalloc'] is not None)"
    )
    assert has_figures.out == f"{'malloc jemalloc' in run('--version').out}\n"
