"""Interpreters of one process, with a GIL each from Python 3.12 on: one store for all, and nothing that dangles.

Each test is a program of its own, so that what it leaves behind cannot hide in the next.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .interpreters import HAS_OWN_GIL

needs_own_gil = pytest.mark.skipif(
    not HAS_OWN_GIL, reason="interpreters with a GIL of their own need Python 3.12"
)

PRELUDE = """
import gc, os, sys, threading
from interpreters import Interpreter, in_parallel
"""


def run(program: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PRELUDE + program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])},
    )
    return done.returncode, done.stdout, done.stderr


DONE = (0, "done\n", "")

SHARE = """
import kv_storage
own_gil = sys.argv[1] == "True"
kv = kv_storage.Storage()
program = '''
import kv_storage
kv = kv_storage.Storage()
assert kv["from"] == "main"
kv.hash("h").put_many({str(i): [i, (1.5, None)] for i in range(1000)})
kv["from"] = "sub"
try:
    kv["absent"]
except KeyError as error:
    assert type(error) is kv_storage.MissingKeyError
import sys
del sys.modules["kv_storage"]
import kv_storage as again
assert again is kv_storage
view = kv.hash("h")
'''
for _ in range(3):
    kv["from"] = "main"
    interpreter = Interpreter(own_gil)
    interpreter.run(program)
    interpreter.close()
assert kv["from"] == "sub"
assert kv.hash("h")["7"] == [7, (1.5, None)]
assert kv.verify() == []
print("done")
"""


@pytest.mark.parametrize("own_gil", [False, pytest.param(True, marks=needs_own_gil)])
def test_interpreters_share_the_store(own_gil: bool) -> None:
    assert run(SHARE, str(own_gil)) == DONE


FIRST = """
interpreter = Interpreter()
interpreter.run("import kv_storage; kv = kv_storage.Storage(); kv['a'] = 1; kv.map('m')[1] = 'one'")
interpreter.close()
import kv_storage
kv = kv_storage.Storage()
assert kv["a"] == 1 and kv.map("m")[1] == "one"
assert kv_storage.Storage() == kv
print("done")
"""


def test_the_first_to_import_may_be_the_first_to_go() -> None:
    assert run(FIRST) == DONE


VIEWS = """
from kv_storage import Storage
kv = Storage()
large = bytes(range(256)) * 400
kv["a"] = large
mine = kv.view("a")
first, second = Interpreter(), Interpreter()
first.run("from kv_storage import Storage; kv = Storage(); theirs = kv.view('a'); kv['a'] = b'new'")
assert mine == large
assert kv.stats()["pins"] == 2
second.run("from kv_storage import Storage; kv = Storage(); kv.delete('a'); kv['b'] = bytes(1000); v = kv.view('b')")
first.run("assert bytes(theirs[:256]) == bytes(range(256))")
first.close()
assert mine == large and kv.stats()["pins"] == 2
second.close()
assert mine == large and kv.stats()["pins"] == 1 and kv.stats()["pinned_bytes"] >= len(large)
del mine
assert kv.stats()["pins"] == 0 and kv.stats()["pinned_bytes"] == 0
assert kv.verify() == []
print("done")
"""


def test_views_outlive_other_interpreters() -> None:
    assert run(VIEWS) == DONE


PASSED = """
import _interpreters
from kv_storage import Storage
kv = Storage()
large = bytes(range(256)) * 400
kv["a"] = large
interpreter = Interpreter()
interpreter.run("import _interpreters")
_interpreters.set___main___attrs(interpreter.id, {"view": kv.view("a")})
kv["a"] = "replaced"
gc.collect()
interpreter.run("assert bytes(view) == bytes(range(256)) * 400 and view.readonly")
assert kv.stats()["pins"] == 1
interpreter.run("view.release()")
interpreter.close()
gc.collect()
assert kv.stats()["pins"] == 0
print("done")
"""


@pytest.mark.skipif(sys.version_info < (3, 13), reason="memoryviews pass between interpreters from 3.13 on")
def test_a_view_can_be_passed_to_another_interpreter() -> None:
    assert run(PASSED) == DONE


PARALLEL = """
from kv_storage import Cache, Storage
kv = Storage()
kv.put_many({f"key-{i}": bytes([i % 251]) * (i % 3000) for i in range(1000)})
kv["computed"] = 0
program = '''
from kv_storage import Cache, Storage
kv, cache = Storage(), Cache()
records = kv.hash("records", schema={"n": "i8", "name": "category"})
def compute():
    kv.incr("computed")
    return "value"
for i in range(1500):
    kv.incr("n")
    value = kv[f"key-{i % 1000}"]
    assert not value or len(set(value)) == 1
    kv[f"key-{i * 7 % 1000}"] = bytes([i % 251]) * (i % 3000)
    records[f"{number}-{i}"] = {"n": i, "name": f"name {i % 5}"}
    assert cache.get_or_compute(f"shared {i // 15}", compute) == "value"
    if i % 100 == 0:
        assert len(kv.find("key-*")) == 1000 == len(list(kv.prefix("key-").items()))
        kv.put_many({f"mine-{number}-{j}": j for j in range(200)})
        assert kv.prefix("mine-{number}-").delete() == 200
'''
interpreters = [Interpreter() for _ in range(3)]
in_parallel(interpreters, program)
assert kv["n"] == 3 * 1500
assert kv["computed"] == 100  # each key once, whoever was first
assert len(kv.hash("records")) == 3 * 1500
for interpreter in interpreters:
    interpreter.close()
assert kv.verify() == [] and kv.stats()["pins"] == 0
print("done")
"""


def test_interpreters_at_once() -> None:
    assert run(PARALLEL) == DONE


ANY_ORDER = """
import importlib, random
import kv_storage
chance = random.Random(int(sys.argv[1]))
kv = kv_storage.Storage()
kv["large"] = bytes(100_000)
kv.hash("records", schema={"n": "i8"})["a"] = {"n": 1}
STEPS = '''
import kv_storage; kv = kv_storage.Storage(); kv.incr("n")
import sys; sys.modules.pop("kv_storage", None); import kv_storage; kv_storage.Storage().incr("n")
import importlib, kv_storage; importlib.reload(kv_storage); kv_storage.Storage().incr("n")
import kv_storage; keep = [kv_storage.Storage().view("large"), iter(kv_storage.Storage().find("*")), kv_storage.Cache()]; kv_storage.Storage().incr("n")
import kv_storage; held = kv_storage.Storage().hash("records"); row = held["a"]; key = kv_storage.Key("a", 1); kv_storage.Storage().incr("n")
import kv_storage; error = kv_storage.MissingKeyError("x"); keep = next(iter(kv_storage.Storage().items())); kv_storage.Storage().incr("n")
import kv_storage; cycle = [kv_storage.Storage().view("large")]; cycle.append(cycle); del cycle; kv_storage.Storage().incr("n")
import gc; globals().pop("keep", None); globals().pop("kv_storage", None); gc.collect(); import kv_storage; kv_storage.Storage().incr("n")
import threading, kv_storage; t = threading.Thread(target=lambda: kv_storage.Storage().incr("n")); t.start(); t.join()
import sys; import kv_storage; sys.modules["kv_storage"] = None; del kv_storage; del sys.modules["kv_storage"]; import kv_storage; kv_storage.Storage().incr("n")
'''.strip().splitlines()
alive, done = [], 0
for _ in range(int(sys.argv[2])):
    action = chance.random()
    if action < 0.15 or not alive:
        alive.append(Interpreter(chance.random() < 0.8 and sys.version_info >= (3, 12)))
    elif action < 0.3:
        alive.pop(chance.randrange(len(alive))).close()
    elif action < 0.35:
        sys.modules.pop("kv_storage", None)
        assert importlib.import_module("kv_storage") is kv_storage
    elif action < 0.4:
        importlib.reload(kv_storage)
    else:
        chance.choice(alive).run(chance.choice(STEPS))
        done += 1
    assert kv["n"] == done if done else "n" not in kv
chance.shuffle(alive)
while alive:
    alive.pop().close()
gc.collect()
assert kv.stats()["pins"] == 0, kv.stats()["pins"]
assert kv.verify() == []
print("done")
"""


@pytest.mark.parametrize("seed", range(4))
def test_imports_reloads_and_ends_in_any_order(seed: int) -> None:
    assert run(ANY_ORDER, str(seed), "150") == DONE


FORK = """
from kv_storage import Storage
kv = Storage()
kv["large"] = bytes(100_000)
interpreter = Interpreter()
interpreter.run("from kv_storage import Storage; kv = Storage(); view = kv.view('large'); kv['sub'] = 1")
interpreter.close()
mine = kv.view("large")
sys.stdout.flush()
pid = os.fork()
if pid == 0:
    assert kv.stats()["pins"] == 2
    interpreter = Interpreter()
    interpreter.run("from kv_storage import Storage; kv = Storage(); kv['child'] = kv['sub'] + 1")
    interpreter.close()
    assert kv.verify() == []
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert kv["child"] == 2 and kv.stats()["pins"] == 1
print("done")
"""


def test_fork_after_interpreters_have_ended() -> None:
    """While one lives, os.fork() ends in a fatal error of CPython (3.12, 3.13)."""
    assert run(FORK) == DONE


PICKLED = """
import pickle
from kv_storage import Storage
kv = Storage()
kv["handles"] = pickle.dumps([kv, kv.hash("h"), kv.map("m", key=int)])
interpreter = Interpreter()
interpreter.run('''
import pickle
from kv_storage import Storage
kv, h, m = pickle.loads(Storage()["handles"])
h["a"], m[1] = 1, "one"
''')
interpreter.close()
assert kv.hash("h")["a"] == 1 and kv.map("m")[1] == "one"
print("done")
"""


def test_handles_pass_between_interpreters_by_pickle() -> None:
    assert run(PICKLED) == DONE


ARRAYS = """
import array
from kv_storage import Storage
kv = Storage()
kv["a"] = array.array("d", range(1000))
interpreter = Interpreter()
interpreter.run('''
from kv_storage import Storage
kv = Storage()
view = kv.view("a")
assert (view.format, view.shape, view[7]) == ("d", (1000,), 7.0)
try:
    kv["a"]
except ImportError as error:
    assert "view" in str(error), error
else:
    raise AssertionError("NumPy loads in an interpreter with a GIL of its own: say so in the documentation")
''')
interpreter.close()
print("done")
"""


@needs_own_gil
def test_arrays_are_read_by_view_where_numpy_cannot_be() -> None:
    pytest.importorskip("numpy")
    assert run(ARRAYS) == DONE


@pytest.mark.skipif(sys.version_info < (3, 14), reason="concurrent.interpreters is new in Python 3.14")
def test_concurrent_interpreters_and_their_pool() -> None:
    program = """
from concurrent import interpreters
from concurrent.futures import InterpreterPoolExecutor
from kv_storage import Storage
kv = Storage()
one = interpreters.create()
one.exec("from kv_storage import Storage; Storage()['a'] = 1")
one.close()
assert kv["a"] == 1
with InterpreterPoolExecutor(2) as pool:
    list(pool.map(exec, ["from kv_storage import Storage; Storage().incr('n')"] * 20))
assert kv["n"] == 20
print("done")
"""
    assert run(program) == DONE
