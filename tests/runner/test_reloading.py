"""Frameworks that reload modules and replace processes: IPython, Dask, Airflow. The data stay where they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from .support import Outcome, borrow_packages

Run = Callable[..., Outcome]

COUNTER = """
from kv_storage import Storage

VERSION = 1
kv = Storage()
calls = []

def count():
    calls.append(1)
    return VERSION, len(calls), kv.incr("calls")
"""


def seen(output: str) -> list[tuple[int, ...]]:
    return [
        tuple(map(int, numbers.split())) for numbers in re.findall(r"^.*seen ([\d ]+)$", output, re.MULTILINE)
    ]


RELOAD = """
import importlib, sys
import counter
print("seen", *counter.count(), flush=True)
print("seen", *counter.count())
importlib.reload(counter)
print("seen", *counter.count())
del sys.modules["counter"], sys.modules["kv_storage"]
import counter
print("seen", *counter.count())
sys.modules.pop("kv_storage")
importlib.reload(importlib.import_module("kv_storage"))
importlib.reload(counter)
print("seen", *counter.count())
"""


def test_reload_and_import_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "counter.py").write_text(COUNTER)
    done = run("-c", RELOAD)
    assert (done.code, done.err) == (0, "")
    assert seen(done.out) == [(1, 1, 1), (1, 2, 2), (1, 1, 3), (1, 1, 4), (1, 1, 5)]


# --- IPython

SESSION = """
%load_ext autoreload
%autoreload 2
import counter, os, pathlib, sys
print("seen", *counter.count())
def edit(old, new):
    file = pathlib.Path("counter.py")
    changed = file.stat().st_mtime + 10
    file.write_text(file.read_text().replace(old, new))
    os.utime(file, (changed, changed))

edit("VERSION = 1", "VERSION = 2")
print("seen", *counter.count())
del sys.modules["kv_storage"]
edit("VERSION = 2", "VERSION = 3")
print("seen", *counter.count())
from kv_storage import Storage
print("seen", 9, 9, Storage()["calls"])
"""


def test_autoreload_of_ipython(run: Run, runner: Path, tmp_path: Path) -> None:
    environment = borrow_packages(runner, "IPython") | {"IPYTHONDIR": str(tmp_path / "ipython")}
    (tmp_path / "counter.py").write_text(COUNTER)
    options = ["--simple-prompt", "--no-banner", "--colors=NoColor", "--HistoryManager.enabled=False"]
    done = run("-m", "IPython", *options, env=environment, stdin=SESSION)
    assert done.code == 0, done
    # How often it has run since its module was made anew is left out: IPython executes only what has changed.
    assert [(version, calls) for version, _, calls in seen(done.out)] == [(1, 1), (2, 2), (3, 3), (9, 3)], (
        done
    )


# --- Dask

DASK = """
import os, signal, subprocess, sys
from distributed import Client
from kv_storage import Storage

def look():
    from kv_storage import Storage
    kv = Storage()
    return os.getpid(), len(kv.hash("rows")), kv.incr("tasks")

def main():
    kv = Storage()
    kv.hash("rows").put_many({str(number): number for number in range(1000)})
    common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", "scheduler.json"]
    programs = [
        subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", *common]),
        subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", "--nanny", "--nworkers", "1", "--nthreads", "1", *common]
        ),
    ]
    try:
        with Client(scheduler_file="scheduler.json", timeout=100) as client:
            client.wait_for_workers(1, timeout=100)
            pids = []
            for how in ("started", "restarted", "killed"):
                if how == "restarted":
                    client.restart(timeout=100)
                elif how == "killed":
                    os.kill(pids[-1], signal.SIGKILL)
                pid, rows, tasks = client.submit(look, pure=False, retries=5).result(timeout=100)
                print("seen", rows, tasks, flush=True)
                pids.append(pid)
            assert len(set(pids)) == 3, pids
            assert kv["tasks"] == 3
    finally:
        for program in reversed(programs):
            program.terminate()
            program.wait()

main()
"""


def test_dask_worker_restarted_by_its_nanny(run: Run, runner: Path, tmp_path: Path) -> None:
    environment = borrow_packages(runner, "distributed")
    (tmp_path / "main.py").write_text(DASK)
    done = run("main.py", env=environment | {"HOME": str(tmp_path)})
    assert done.code == 0, done
    assert seen(done.out) == [(1000, 1), (1000, 2), (1000, 3)]


# --- Airflow

# As Airflow's executors do: a scheduler that lives long, and for each task a forked child that loads the file with the
# tasks anew, or a program of its own started through a shell in a session of its own. Results pass through the store.
TASKS = """
import os
from kv_storage import Storage

kv = Storage()

def extract():
    kv.hash("rows").put_many({str(number): number for number in range(100)})

def transform():
    rows = kv.hash("rows")
    for key in rows:
        rows[key] *= 2

def load():
    kv["total"] = sum(kv.hash("rows").values())

def run(name):
    globals()[name]()
    kv.hash("done")[name] = os.getpid()

if __name__ == "__main__":
    import sys
    run(sys.argv[1])
"""
SCHEDULER = """
import importlib, os, subprocess, sys
from kv_storage import Storage

def forked(name):
    pid = os.fork()
    if pid == 0:
        try:
            sys.modules.pop("kv_storage", None)
            importlib.import_module("tasks").run(name)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0

def executed(name):
    command = ["bash", "-c", '"$@"; exit $?', "task", sys.executable, "-m", "tasks", name]
    subprocess.run(command, check=True, start_new_session=True)

kv = Storage()
for start in (forked, executed):
    kv.clear()
    kv.drop("rows")
    for name in ("extract", "transform", "load"):
        start(name)
    print("seen", kv["total"], len(kv.hash("rows")), len(set(kv.hash("done").values()) - {os.getpid()}), flush=True)
assert kv.verify() == []
"""


def test_task_processes_of_a_scheduler(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "scheduler.py").write_text(SCHEDULER)
    done = run("scheduler.py")
    assert (done.code, done.err) == (0, "")
    assert seen(done.out) == [(9900, 100, 3), (9900, 100, 3)]


def test_task_processes_over_a_data_directory(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "scheduler.py").write_text(SCHEDULER)
    (tmp_path / "cfg.ini").write_text("[kv_storage]\npath = data\n")
    done = run("--native_configuration=cfg.ini", "scheduler.py")
    assert (done.code, done.err) == (0, "")
    assert seen(done.out) == [(9900, 100, 3), (9900, 100, 3)]
