"""Storage(path): one live store for a directory, whoever opens it, and what happens when that cannot be."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kv_storage import ArgumentError, ClosedError, Error, KindError, Storage, StorageIOError, StoreBusyError

PATIENCE = 60.0  # seconds; a test that would hang fails instead
OPEN = "import sys; from kv_storage import Storage; kv = Storage(sys.argv[1]); "


class Forked:
    """A forked child that opens by itself what its parent has not opened. It says things, and ends when told to."""

    def __init__(self, body: Callable[[Forked], None]) -> None:
        self._from_child, self._say = os.pipe()
        self._wait, self._to_child = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            with contextlib.suppress(BaseException):
                body(self)
                code = 0
            os._exit(code)

    def say(self, text: str) -> None:
        os.write(self._say, text.encode() + b"\n")

    def hear(self) -> str:
        assert select.select([self._from_child], [], [], PATIENCE)[0], "the child says nothing"
        text = b""
        while not text.endswith(b"\n"):
            text += os.read(self._from_child, 1)
        return text.decode().rstrip("\n")

    def told_to_end(self, wait: bool = True) -> bool:
        return bool(select.select([self._wait], [], [], PATIENCE if wait else 0)[0])

    def end(self) -> int:
        os.write(self._to_child, b"x")
        return self.wait()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        for descriptor in (self._from_child, self._say, self._wait, self._to_child):
            os.close(descriptor)
        return code


def hold(path: Path) -> Callable[[Forked], None]:
    """Opens the directory, says so, and keeps it until told to end."""

    def body(child: Forked) -> None:
        kv = Storage(path)
        kv.incr("opened")
        child.say("open")
        assert child.told_to_end()

    return body


def tell_error(path: Path, prepare: Callable[[], None]) -> Callable[[Forked], None]:
    """Says what opening comes to after `prepare`."""

    def body(child: Forked) -> None:
        prepare()
        try:
            Storage(path)
            child.say("opened")
        except Exception as error:
            child.say(f"{type(error).__name__}: {error}")

    return body


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A directory that other users can get as far as; pytest's own cannot be entered by them."""
    parent = Path("/tmp") / f"kv-test-{os.getpid()}"
    parent.mkdir(mode=0o755)
    yield parent / "data"
    shutil.rmtree(parent)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def become_nobody() -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


# --- one store


def test_equal_directories_are_the_same_store(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kv = Storage(path)
    assert path.stat().st_mode & 0o7777 == 0o700
    kv["a"] = 1
    (tmp_path / "link").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    for other in (str(path), os.fsencode(path), "data", "./data/", tmp_path / "link"):
        assert Storage(other)["a"] == 1
    assert Storage(path) == kv
    assert "a" not in Storage()
    assert "a" not in Storage(tmp_path / "other")
    assert kv.verify() == []


def test_threads_see_one_store(path: Path) -> None:
    stores: list[Storage] = []
    threads = [threading.Thread(target=lambda: stores.append(Storage(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for kv in stores:
        kv.incr("n")
    assert [kv["n"] for kv in stores] == [8] * 8


def test_the_last_handle_gives_the_directory_back(path: Path) -> None:
    first, second = Storage(path), Storage(path)
    first["a"] = b"x" * 10_000
    view = first.view("a")
    collection = first.hash("h")
    first.close()
    with pytest.raises(ClosedError):
        collection["a"]
    assert second["a"] == b"x" * 10_000
    second.close()
    assert bytes(view) == b"x" * 10_000
    assert "pid=" not in (path / "LOCK").read_text()


def test_handles_pickle_by_path(path: Path) -> None:
    kv = Storage(path)
    kv.hash("h")["a"] = 1
    assert pickle.loads(pickle.dumps(kv)).hash("h")["a"] == 1
    assert pickle.loads(pickle.dumps(kv.hash("h")))["a"] == 1
    program = "import pickle, sys; h = pickle.load(sys.stdin.buffer); h['b'] = h['a'] + 1"
    subprocess.run([sys.executable, "-c", program], input=pickle.dumps(kv.hash("h")), check=True)
    assert kv.hash("h")["b"] == 2


@pytest.mark.parametrize("command", ["direct", "sh"])
def test_another_program_sees_it_and_is_seen(path: Path, command: str) -> None:
    kv = Storage(path)
    kv["here"] = "host"
    program = (
        OPEN
        + "kv['there'] = kv['here'] + ' and guest'; print(len(kv.stats()['processes']), kv.stats()['path'])"
    )
    line = [sys.executable, "-c", program, str(path)]
    if command == "sh":
        line = ["sh", "-c", '"$@"; exit $?', "sh", *line]
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    assert done.stdout == f"2 {path}\n"
    assert kv["there"] == "host and guest"
    assert list(kv.stats()["processes"]) == [os.getpid()]


POOL = """
import multiprocessing, os, sys
from kv_storage import Storage

def work(path, number):
    kv = Storage(path)
    kv[f"worker {number}"] = kv["from the parent"]
    return os.getpid() in kv.stats()["processes"]

if __name__ == "__main__":
    path, method = sys.argv[1:]
    kv = Storage(path)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.starmap(work, [(path, number) for number in range(4)]) == [True] * 4
    assert os.getpid() in kv.stats()["processes"]
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_sees_one_store(path: Path, tmp_path: Path, method: str) -> None:
    kv = Storage(path)
    kv["from the parent"] = method
    (tmp_path / "pool.py").write_text(POOL)
    line: list[str | Path] = [sys.executable, tmp_path / "pool.py", path, method]
    subprocess.run(line, check=True, timeout=PATIENCE)
    assert {key: kv[key] for key in kv.prefix("worker")} == {f"worker {n}": method for n in range(4)}


def test_plain_python_joins(path: Path) -> None:
    """The extension module of the same sources, where it is built or installed."""
    extension = os.environ.get("KV_STORAGE_EXTENSION_DIR")
    if extension is None:
        pytest.skip("KV_STORAGE_EXTENSION_DIR names no directory with the extension module")
    kv = Storage(path)
    kv["n"] = 1
    python = Path(sys.base_exec_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    environment = {**os.environ, "PYTHONPATH": extension}
    subprocess.run([python, "-c", OPEN + "kv.incr('n')", path], check=True, env=environment)
    assert kv["n"] == 2


def test_stats_tell_who_is_attached_and_what_they_pin(path: Path) -> None:
    host = Forked(hold(path))
    assert host.hear() == "open"
    kv = Storage(path)
    kv["a"] = bytes(100_000)
    with kv.view("a"):
        stats = kv.stats()
        assert stats["path"] == str(path)
        assert stats["processes"].keys() == {os.getpid(), host.pid}
        assert stats["processes"][os.getpid()]["pinned_bytes"] >= 100_000
        assert stats["processes"][host.pid]["pinned_bytes"] == 0
    assert kv.stats()["processes"][os.getpid()]["pinned_bytes"] == 0
    assert host.end() == 0
    assert kv.stats()["processes"].keys() == {os.getpid()}
    assert Storage().stats()["path"] is None
    assert os.getpid() in Storage().stats()["processes"]


# --- whoever dies


def work(path: Path) -> Callable[[Forked], None]:
    """Joins, then writes and reads at full speed until told to end."""

    def body(child: Forked) -> None:
        kv = Storage(path)
        birth = kv.setdefault("birth", os.urandom(8))
        own = f"count {os.getpid()}"
        child.say(birth.hex())
        done = 0
        while not child.told_to_end(wait=False):
            assert kv.incr(own) == done + 1
            done += 1
            kv[f"{own} {done % 100}"] = bytes(done % 5000)
            assert len(kv[f"{own} {done % 100}"]) == done % 5000
            assert kv["birth"] == birth
        child.say(str(done))

    return body


def test_killing_the_oldest_under_load_stops_nobody(path: Path) -> None:
    workers = [Forked(work(path)) for _ in range(2)]
    (birth,) = {worker.hear() for worker in workers}
    for _ in range(50):
        workers.append(Forked(work(path)))
        workers.pop(0).kill()
        assert workers[-1].hear() == birth
    kv = Storage(path)
    assert kv["birth"].hex() == birth
    for child in workers:
        pid = child.pid
        os.write(child._to_child, b"x")
        assert int(child.hear()) == kv[f"count {pid}"]
        assert child.wait() == 0
    assert kv.verify() == []
    assert kv.stats()["pins"] == 0


def test_a_store_nobody_holds_any_more_is_read_again(path: Path) -> None:
    host = Forked(hold(path))
    host.hear()
    host.kill()
    assert "opened" in Storage(path)


FULL = """
import fcntl, os, struct, subprocess, sys
from kv_storage import Storage

kv = Storage(sys.argv[1])
memory = next(f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd") if "memfd:" in os.readlink(f"/proc/self/fd/{fd}"))
others = os.open(memory, os.O_RDWR)
F_OFD_SETLK = 37
for slot in range(1024):
    try:
        fcntl.fcntl(others, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, slot, 1, 0))
    except OSError:
        pass  # ours
kv["a"] = bytes(10_000)
view = kv.view("a")
pid = os.fork()
if pid == 0:
    kv["child"] = bytes(view[:3])
    kv["a"] = "replaced"
    assert kv.verify() == []
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
os.close(others)
assert f"pid={os.getpid()} " in open(sys.argv[1] + "/LOCK").read()
look = "import sys; from kv_storage import Storage; kv = Storage(sys.argv[1]); print(kv['child'], kv.verify())"
subprocess.run([sys.executable, "-c", look, sys.argv[1]], check=True)
assert bytes(view) == bytes(10_000)
"""


def test_a_fork_without_a_free_slot_does_not_hide_the_parent(path: Path) -> None:
    line = [sys.executable, "-c", FULL, str(path)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "b'\\x00\\x00\\x00' []\n", "")


# --- what cannot be opened


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (5, KindError, "os.PathLike, not int"),
        ([], KindError, "not list"),
        ("", ArgumentError, "not empty"),
        (b"", ArgumentError, "not empty"),
        ("nul\0", ArgumentError, "NUL"),
    ],
)
def test_what_is_no_path_is_refused(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Storage(given)


def test_what_is_no_directory_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    for path, number in (
        (tmp_path / "file", errno.ENOTDIR),
        (tmp_path / "file" / "below", errno.ENOTDIR),
        (tmp_path / "no" / "parent", errno.ENOENT),
    ):
        with pytest.raises(StorageIOError) as caught:
            Storage(path)
        assert caught.value.errno == number
        assert caught.value.filename == str(path)
    assert not (tmp_path / "no").exists()


def test_a_directory_every_user_may_write_to_is_refused(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)
    with pytest.raises(StorageIOError) as caught:
        Storage(path)
    assert caught.value.filename == str(path)


def test_a_read_only_file_system_is_refused_by_name(tmp_path: Path) -> None:
    script = f'mount -t tmpfs -o ro,mode=0700 none {tmp_path} && exec "$@"'
    line = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", OPEN, str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no mount namespace: {done.stderr.strip()}")
    assert done.returncode == 1
    assert f"StorageIOError: [Errno {errno.EROFS}]" in done.stderr
    assert str(tmp_path) in done.stderr.splitlines()[-1]


@needs_root
def test_another_user_is_told_whose_it_is(public_path: Path) -> None:
    with Storage(public_path):
        guest = Forked(tell_error(public_path, become_nobody))
        assert guest.hear() == (
            f"StoreBusyError: the data directory '{public_path}' belongs to user 0, and this process runs as user 65534: "
            "a store is shared by the processes of one user"
        )
        assert guest.wait() == 0
    with Storage(public_path) as kv:
        assert kv.verify() == []


@needs_root
def test_a_holder_that_changed_its_user_is_named(public_path: Path) -> None:
    """The kernel forbids to look at it, even to the user it became."""
    public_path.mkdir(mode=0o700)
    os.chown(public_path, 65534, 65534)

    def body(child: Forked) -> None:
        become_nobody()
        hold(public_path)(child)

    host = Forked(body)
    assert host.hear() == "open"
    guest = Forked(tell_error(public_path, become_nobody))
    said = guest.hear()
    assert said.startswith("StoreBusyError: ")
    assert f"process {host.pid} forbids to be looked at" in said
    assert guest.wait() == 0
    assert host.end() == 0


def test_a_holder_in_another_pid_namespace_is_named(path: Path) -> None:
    kv = Storage(path)
    line = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", OPEN, str(path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr:
        pytest.skip(f"no PID namespace: {done.stderr.strip()}")
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert message.startswith("kv_storage.StoreBusyError: ")
    assert f"process {os.getpid()} is in another PID namespace" in message
    assert kv.verify() == []


def test_waiting_for_a_stopped_holder_is_not_needed(path: Path) -> None:
    host = Forked(hold(path))
    host.hear()
    os.kill(host.pid, signal.SIGSTOP)
    try:
        assert Storage(path)["opened"] == 1
    finally:
        os.kill(host.pid, signal.SIGCONT)
    assert host.end() == 0


def test_waiting_for_an_opener_can_be_interrupted(path: Path) -> None:
    """While another process has the turn, and nobody says for how long."""
    path.mkdir(mode=0o700)
    locker = (
        "import fcntl, struct, sys, time\n"
        "f = open(sys.argv[1], 'w+b')\n"
        "fcntl.fcntl(f, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 1 << 40, 1, 0))\n"  # F_OFD_SETLK
        "print('locked', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", locker, path / "LOCK"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        waiting = threading.Event()

        def interrupt() -> None:
            waiting.wait()
            os.kill(os.getpid(), signal.SIGUSR1)

        def handler(number: int, frame: object) -> None:
            raise InterruptedError(number)

        previous = signal.signal(signal.SIGUSR1, handler)
        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            with pytest.raises(InterruptedError):  # noqa: PT012
                waiting.set()
                Storage(path)
        finally:
            thread.join()
            signal.signal(signal.SIGUSR1, previous)
            assert process.stdin is not None
            process.stdin.close()
    assert Storage(path).verify() == []


def test_busy_errors_are_os_errors() -> None:
    assert issubclass(StoreBusyError, OSError)
    assert issubclass(StoreBusyError, Error)
