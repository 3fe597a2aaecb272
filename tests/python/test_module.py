"""The module: imported again, reloaded; documented."""

from __future__ import annotations

import gc
import importlib
import inspect
import itertools
import subprocess
import sys
import types

import kv_storage
import pytest

PUBLIC = [name for name in dir(kv_storage) if not name.startswith("_")]


def run(program: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_importing_again_gives_the_same_module() -> None:
    old = sys.modules.pop("kv_storage")
    try:
        kv = old.Storage.memory(max_memory=1 << 26)
        kv["a"] = 1
        again = importlib.import_module("kv_storage")
        assert again is old
        assert again.Storage is type(kv)
        with pytest.raises(again.MissingKeyError):
            kv["absent"]
        kv["b"] = [1, (2,)]
        assert again.Storage.memory(max_memory=1 << 26) == {}
        assert kv.get_many(["a", "b"]) == [1, [1, (2,)]]
    finally:
        sys.modules["kv_storage"] = old


def test_reloading_changes_nothing() -> None:
    classes = {name: getattr(kv_storage, name) for name in PUBLIC}
    assert importlib.reload(kv_storage) is kv_storage
    assert {name: getattr(kv_storage, name) for name in PUBLIC} == classes
    gc.collect()
    assert kv_storage.Storage.memory(max_memory=1 << 26).setdefault("a", 1) == 1


def test_a_module_that_nobody_refers_to_can_be_imported_again() -> None:
    program = """
import gc, sys
for _ in range(5):
    import kv_storage
    kv = kv_storage.Storage()
    kv["n"] = kv.get("n", 0) + 1
    del kv, sys.modules["kv_storage"], kv_storage
    gc.collect()
import kv_storage
print(kv_storage.Storage()["n"])
"""
    assert run(program) == (0, "5\n", "")


def test_importing_imports_little() -> None:
    program = (
        "import sys; sys.modules.pop('kv_storage', None); before = set(sys.modules); "
        "import kv_storage; print(*sorted(set(sys.modules) - before))"
    )
    assert run(program) == (0, "kv_storage\n", "")


def test_numpy_is_imported_for_arrays_only() -> None:
    program = """
import sys
from kv_storage import Storage
kv = Storage.memory(max_memory=1 << 26)
kv.put_many({"a": [1, "x"], "b": bytearray(b"ab"), "c": bytearray(10_000)})
assert kv.view("b").tolist() == [97, 98]
assert "numpy" not in sys.modules
sys.modules["numpy"] = None
for read in (lambda: kv["b"], lambda: kv["c"], lambda: kv.get_many(["b"]), lambda: list(kv.values())):
    try:
        read()
    except ImportError as error:
        assert "view" in str(error), error
    else:
        raise AssertionError
assert kv["a"] == [1, "x"]
print("done")
"""
    assert run(program) == (0, "done\n", "")


@pytest.mark.parametrize("name", PUBLIC)
def test_everything_public_is_documented(name: str) -> None:
    item = getattr(kv_storage, name)
    if name == "MISSING":
        return
    assert item.__doc__, name
    if not isinstance(item, type) or issubclass(item, Exception):
        return
    for method, function in vars(item).items():
        if isinstance(function, types.MethodDescriptorType | classmethod | types.BuiltinFunctionType):
            assert function.__doc__, f"{name}.{method}"
            assert inspect.signature(getattr(item, method)), f"{name}.{method}"


def test_help_reads_well() -> None:
    program = "import kv_storage; help(kv_storage.Storage.put); help(kv_storage)"
    code, out, err = run(program)
    assert (code, err) == (0, "")
    assert "put(self, /, key, value, ttl=None)" in out
    assert "Store a copy of `value` under `key`" in out


def test_missing_is_a_name() -> None:
    import copy
    import pickle

    assert repr(kv_storage.MISSING) == "MISSING"
    assert pickle.loads(pickle.dumps(kv_storage.MISSING)) is kv_storage.MISSING
    assert copy.deepcopy(kv_storage.MISSING) is kv_storage.MISSING
    with pytest.raises(TypeError):
        type(kv_storage.MISSING)()


def test_objects_do_not_leak() -> None:
    kv = kv_storage.Storage.memory(max_memory=1 << 26)
    records = kv.hash("r", schema={"x": "f4", "c": "category"})

    def work() -> None:
        kv["a"] = {"a": [1, (2, "é")], "b": b"x" * 5000}
        kv.get("a"), kv.get("absent"), kv.get_many(["a", "b"]), list(kv.find("*").items()), kv.stats()
        records["k"] = {"x": 1, "c": "text"}
        records["k"].asdict(), kv.view("v") if "v" in kv else None
        kv["v"] = b"y" * 5000
        with pytest.raises(TypeError):
            kv["a"] = [object()]
        kv_storage.Key("a", 1)

    def blocks_after_rounds() -> int:
        for _ in range(300):
            work()
        gc.collect()
        return sys.getallocatedblocks()

    # An object left behind by each round would be 300 every time; what the interpreter keeps for itself, its caches and
    # free lists, comes to rest.
    counts = [blocks_after_rounds() for _ in range(6)]
    assert min(after - before for before, after in itertools.pairwise(counts)) < 100
