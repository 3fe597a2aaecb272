"""Workers over the store of a data directory: replaced, reloaded, upgraded, killed, with a guest beside them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGHUP, SIGUSR2

import pytest

from .service import DEADLINE, SERVER, Load, Service, is_alive, kill, wait_until
from .support import Outcome, clean_environment

Start = Callable[..., Service]
Run = Callable[..., Outcome]

OPTION = "--native_configuration=cfg.ini"
CONFIGURATION = """
[kv_storage]
path = data
csv = rows.csv
[csv]
key = {id}
[runner]
workers = 2
listen = 127.0.0.1:0
progress = on
"""
# Holds a view and says what it sees when it is asked.
GUEST = """
import sys
from kv_storage import Storage
kv = Storage("data")
kv["guest"] = b"before" * 1000
view = kv.view("guest")
kv["guest"] = "after"
print("ready", flush=True)
for _ in sys.stdin:
    print(kv["requests"], len(kv.hash("rows")), bytes(view) == b"before" * 1000, kv.verify(), flush=True)
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "cfg.ini").write_text(CONFIGURATION)
    (tmp_path / "rows.csv").write_text("id,n\na,1\nb,2\n")


class Guest:
    def __init__(self, runner: Path, directory: Path) -> None:
        self.process = subprocess.Popen(
            [runner, "-c", GUEST],
            cwd=directory,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def look(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._line()

    def end(self) -> int:
        self.process.communicate(timeout=DEADLINE)
        return self.process.returncode


@pytest.fixture
def guest(runner: Path, tmp_path: Path) -> Iterator[Callable[[], Guest]]:
    guests: list[Guest] = []

    def attach() -> Guest:
        guests.append(Guest(runner, tmp_path))
        return guests[-1]

    yield attach
    for each in guests:
        each.process.kill()
        each.process.communicate()


@pytest.mark.parametrize("number", [SIGHUP, SIGUSR2])
def test_replaced_or_upgraded_under_load_with_the_data_in_place(
    start: Start, run: Run, guest: Callable[[], Guest], tmp_path: Path, number: int
) -> None:
    service = start(OPTION, "main.py")
    service.wait_for("2 workers serve")
    beside = guest()
    (tmp_path / "rows.csv").write_text("broken")  # nobody loads it again
    before = set(service.pids())
    with Load(service.port) as load:
        for turn in (2, 3):
            service.process.send_signal(number)
            service.wait_for("2 workers serve", turn)
            wait_until(lambda: len(service.pids()) == 2, "only the new workers are left")
    assert load.failures == []
    assert before & set(service.pids()) == set()
    answered = sum(load.answers.values())
    assert beside.look() == f"{answered} 2 True []"
    newcomer = "from kv_storage import Storage; kv = Storage('data'); print(kv.incr('requests'), kv['guest'])"
    assert run("-c", newcomer) == Outcome(0, f"{answered + 1} after\n", "")
    assert int(service.ask().split()[0]) == answered + 2
    assert service.count(r"loaded rows\.csv: 2 rows") == 1
    assert service.end() == 0
    assert beside.look() == f"{answered + 2} 2 True []"  # the service is gone, the store is not
    assert beside.end() == 0


def test_reload_on_change_with_the_data_in_place(
    start: Start, guest: Callable[[], Guest], tmp_path: Path
) -> None:
    service = start("--reload", OPTION, "main.py")
    service.wait_for("2 workers serve")
    beside = guest()
    assert service.ask().split()[::3] == ["1", "1"]
    for version in (2, 3):
        (tmp_path / "main.py").write_text(SERVER.replace("VERSION = 1", f"VERSION = {version}"))
        service.wait_for("2 workers serve", version)
        wait_until(lambda: len(service.pids()) == 2, "only the new workers are left")
        assert service.ask().split()[::3] == [f"{version}", f"{version}"]
    assert beside.look() == "3 2 True []"
    assert service.end() == 0


def test_upgrade_without_a_worker_that_serves_is_refused(start: Start, run: Run, tmp_path: Path) -> None:
    """For the moment between two programs nobody would have the store."""
    (tmp_path / "cfg.ini").write_text(CONFIGURATION + "ready_timeout = 1h\n")
    (tmp_path / "main.py").write_text("import signal; signal.pause()")
    service = start(OPTION, "main.py")
    service.wait_for(": started", 2)
    service.send(SIGUSR2)
    service.wait_for("no upgrade: no worker serves, so nobody would keep the data meanwhile")
    assert run("-c", "from kv_storage import Storage; print(len(Storage('data').hash('rows')))").out == "2\n"
    assert service.count("becoming") == 0
    assert service.end() == 0


def test_supervisor_and_workers_killed_leave_the_store_to_a_guest(
    start: Start, run: Run, guest: Callable[[], Guest]
) -> None:
    service = start(OPTION, "main.py")
    service.wait_for("2 workers serve")
    beside = guest()
    assert service.ask().split()[0] == "1"
    pids = service.pids()
    kill(service.process.pid)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), "the workers are gone")
    assert beside.look() == "1 2 True []"
    second = start(OPTION, "main.py")  # joins what the guest has kept
    second.wait_for("2 workers serve")
    assert second.ask().split()[0] == "2"
    assert second.count("loaded") == 0
    assert second.end() == 0
    assert beside.end() == 0


def test_second_service_on_the_same_directory_joins(start: Start, tmp_path: Path) -> None:
    first = start(OPTION, "main.py")
    first.wait_for("2 workers serve")
    assert first.ask().split()[0] == "1"
    (tmp_path / "rows.csv").write_text("broken")
    second = start(OPTION, "main.py")  # port 0: one of its own
    second.wait_for("2 workers serve")
    assert second.ask().split()[0] == "2"
    assert second.count("loaded") == 0
    kill(first.process.pid)
    assert second.ask().split()[0] == "3"
    assert second.end() == 0


def test_second_service_on_the_same_port_is_refused(start: Start, run: Run, tmp_path: Path) -> None:
    first = start(OPTION, "main.py")
    first.wait_for("2 workers serve")
    done = run(OPTION, "--listen", f"127.0.0.1:{first.port}", "main.py")
    assert (done.code, done.out) == (71, "")
    assert f"cannot listen on 127.0.0.1:{first.port}: Address already in use" in done.err
    assert first.ask().split()[0] == "1"
    assert first.end() == 0
