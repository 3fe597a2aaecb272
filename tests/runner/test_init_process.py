"""The runner as PID 1 of a container: it forwards signals, reaps, and returns the program's exit status."""

from __future__ import annotations

import os
import pty
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .support import Outcome, clean_environment, run_program

AsInit = Callable[[str], Outcome]

FORWARD = """
import os, signal, sys

def stop(number, frame):
    print("got", signal.Signals(number).name)
    sys.exit(5)

signal.signal(signal.{name}, stop)
os.kill(1, signal.{name})
while True:
    signal.pause()
"""

ORPHAN = """
import os, time

read, write = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.write(write, b"%d" % os.getpid())
    os._exit(0)
os.wait()
orphan = int(os.read(read, 20))
deadline = time.monotonic() + 60
while True:
    try:
        os.kill(orphan, 0)
    except ProcessLookupError:
        break
    assert time.monotonic() < deadline, "the orphan is still a zombie"
    time.sleep(0.01)
print("reaped")
"""

TERMINAL = """
import os, signal

interrupts = 0
def count(*_):
    global interrupts
    interrupts += 1
signal.signal(signal.SIGINT, count)
print("ready:", input(), flush=True)
while not interrupts:
    signal.pause()
# What PID 1 got before this signal it has forwarded before it.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.kill(1, signal.SIGUSR1)
signal.sigwait([signal.SIGUSR1])
print("interrupts:", interrupts, flush=True)
"""


@pytest.fixture
def run_as_init(runner: Path, as_init: list[str], tmp_path: Path) -> AsInit:
    """Run a program with the runner as PID 1 of a namespace."""

    def run_text(text: str) -> Outcome:
        (tmp_path / "main.py").write_text(text)
        return run_program(*as_init, str(runner), "main.py", cwd=tmp_path)

    return run_text


def test_program_is_a_child_of_pid_1(run_as_init: AsInit) -> None:
    assert run_as_init("import os; print(os.getpid() != 1, os.getppid())") == Outcome(0, "True 1\n", "")


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_exit_code(run_as_init: AsInit, code: int) -> None:
    assert run_as_init(f"raise SystemExit({code})") == Outcome(code, "", "")


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGSEGV"])
def test_death_by_signal_is_128_plus_its_number(run_as_init: AsInit, name: str) -> None:
    done = run_as_init(f"import os, signal; os.kill(os.getpid(), signal.{name})")
    assert done == Outcome(128 + signal.Signals[name], "", "")


@pytest.mark.parametrize(
    "name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGRTMIN"]
)
def test_signals_are_forwarded(run_as_init: AsInit, name: str) -> None:
    assert run_as_init(FORWARD.format(name=name)) == Outcome(5, f"got {name}\n", "")


def test_sigterm_stops_a_program_without_handler(run_as_init: AsInit) -> None:
    done = run_as_init("import os, signal\nos.kill(1, signal.SIGTERM)\nwhile True: signal.pause()")
    assert done == Outcome(128 + signal.SIGTERM, "", "")


def test_orphans_are_reaped(run_as_init: AsInit) -> None:
    assert run_as_init(ORPHAN) == Outcome(0, "reaped\n", "")


def test_nothing_outlives_the_program(run_as_init: AsInit) -> None:
    """A process left behind would keep the pipe of our standard output open, and this test waiting."""
    done = run_as_init(
        "import subprocess; subprocess.Popen(['sleep', '3600'], start_new_session=True); print('done')"
    )
    assert (done.code, done.out) == (0, "done\n")


def test_failure_before_the_program(as_init: list[str], runner: Path, tmp_path: Path) -> None:
    done = run_program(*as_init, str(runner), "--native_configuration=no.ini", "main.py", cwd=tmp_path)
    assert done == Outcome(
        66, "", "runner: cannot read the configuration 'no.ini': No such file or directory\n"
    )


def test_terminal_belongs_to_the_program(as_init: list[str], runner: Path, tmp_path: Path) -> None:
    """It may read, and one Ctrl-C is one SIGINT."""
    (tmp_path / "main.py").write_text(TERMINAL)
    command = [*as_init, str(runner), str(tmp_path / "main.py")]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, clean_environment())
    shown = b""

    def read_until(text: bytes) -> None:
        nonlocal shown
        while text not in shown:
            shown += os.read(terminal, 1024)

    os.write(terminal, b"a line\n")
    read_until(b"ready: a line")
    os.write(terminal, b"\x03")
    read_until(b"interrupts: ")
    read_until(b"\n")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert b"interrupts: 1" in shown
