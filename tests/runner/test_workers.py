"""Workers under a supervisor: start, signals, replacement, crashes, upgrade, end; over HTTP where it serves."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .service import DEADLINE, SERVER, Load, Service, command_line, is_alive, kill, wait_until
from .support import Outcome, clean_environment, restore_signals

Start = Callable[..., Service]
Run = Callable[..., Outcome]

LISTEN = ("--listen", "127.0.0.1:0")
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|WARNING|ERROR) (supervisor|worker \d+)\[\d+\]: \S.*"
)


def serving(start: Start, workers: int = 2, *options: str) -> Service:
    service = start("--workers", str(workers), *LISTEN, *options, "main.py")
    service.wait_for(r"workers? serves?$")
    return service


# --- start and end


def test_workers_share_one_store_and_one_socket(start: Start) -> None:
    service = serving(start)
    answers = [service.ask().split() for _ in range(40)]
    assert [int(number) for number, *_ in answers] == list(range(1, 41))
    assert {int(pid) for _, pid, *_ in answers} <= set(service.pids())
    assert service.end() == 0


def test_configuration_names_workers_and_the_data_is_loaded_once(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("id,n\na,1\nb,2\n")
    (tmp_path / "cfg.ini").write_text(
        "[kv_storage]\ncsv = data.csv\n[csv]\nkey = {id}\n"
        "[runner]\nworkers = 2\nlisten = 127.0.0.1:0\nprogress = on\npid_file = run.pid\n"
    )
    text = SERVER.replace("kv = Storage()", "kv = Storage(); assert len(kv.hash('data')) == 2")
    (tmp_path / "main.py").write_text(text)
    service = start("--native_configuration=cfg.ini", "main.py")
    service.wait_for("2 workers serve")
    assert (tmp_path / "run.pid").read_text() == f"{service.process.pid}\n"
    service.send(signal.SIGHUP)
    service.wait_for("2 workers serve", 2)
    assert service.count(r"loaded data\.csv: 2 rows") == 1
    assert service.end() == 0
    assert not (tmp_path / "run.pid").exists()


def test_log_lines_have_one_form(start: Start) -> None:
    service = serving(start)
    service.send(signal.SIGUSR1)
    service.wait_for(r"worker \d\[\d+\]: serving for", 2)
    assert service.end() == 0
    assert [line for line in service.lines if not LINE.fullmatch(line)] == []


def test_process_titles(start: Start) -> None:
    service = serving(start)
    wait_until(
        lambda: command_line(service.process.pid) == "runner: supervisor, 2 workers (main.py)", "the title"
    )
    titles = sorted(command_line(pid) for pid in service.pids())
    assert titles == ["runner: worker 1", "runner: worker 2"]
    assert service.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signals_that_stop(start: Start, number: signal.Signals) -> None:
    service = serving(start)
    pids = service.pids()
    assert service.end(number) == 0
    assert not any(is_alive(pid) for pid in pids)
    how = "killed by SIGKILL" if number == signal.SIGQUIT else "exited with code 0"
    assert service.count(how) >= (0 if number == signal.SIGQUIT else 2)


def test_worker_that_does_not_stop_is_killed(start: Start, tmp_path: Path) -> None:
    (tmp_path / "cfg.ini").write_text("[runner]\nworkers = 1\nstop_timeout = 200ms\nready_timeout = 100ms\n")
    (tmp_path / "main.py").write_text(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('in it', flush=True)\n"
        "while True: signal.pause()\n"
    )
    service = start("--native_configuration=cfg.ini", "main.py")
    service.wait_for("1 worker serves")
    pid = service.pids()[0]
    wait_until(lambda: ignores(pid, signal.SIGTERM), "SIGTERM is ignored")
    assert service.end() == 0
    assert service.count("has not stopped in 0.2 s: killed") == 1
    assert not is_alive(pid)


def ignores(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigIgn:")[2].split()[0], 16) >> (number - 1) & 1)


def test_module_and_command_can_be_workers(start: Start, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "main.py", tmp_path / "served.py")
    for program in (["-m", "served"], ["-c", "import served"]):
        service = start("--workers", "1", *LISTEN, *program)
        service.wait_for("1 worker serves")
        assert service.ask().split()[2] == "1"
        assert service.end() == 0


def test_children_of_workers_are_no_workers(start: Start, tmp_path: Path) -> None:
    (tmp_path / "cfg.ini").write_text("[runner]\nworkers = 1\nlisten = 127.0.0.1:0\n")
    check = "from kv_storage import Storage; kv = Storage(); kv['child'] = kv['parent'] + 1"
    text = SERVER.replace(
        "    listener = socket",
        f"    kv['parent'] = 1; import subprocess, sys\n    subprocess.run([sys.executable, '-c', {check!r}])\n"
        "    assert kv['child'] == 2\n    listener = socket",
        1,
    )
    (tmp_path / "main.py").write_text(text)
    service = start("--native_configuration=cfg.ini", "main.py")
    service.wait_for("1 worker serves")
    assert service.count("started") == 1
    assert service.end() == 0


# --- replacement


def test_hangup_under_load_loses_no_request(start: Start) -> None:
    service = serving(start)
    before = set(service.pids())
    with Load(service.port) as load:
        for turn in range(1, 4):
            service.send(signal.SIGHUP)
            service.wait_for("2 workers serve", 1 + turn)
        wait_until(lambda: len(service.pids()) == 2, "only the new workers are left")
        after = set(service.pids())
        wait_until(lambda: any(str(pid) in load.answers for pid in after), "a new worker answers")
    assert load.failures == []
    assert before & after == set()
    assert len(load.answers) > 2
    total = sum(load.answers.values())
    assert int(service.ask().split()[0]) == total + 1  # the counter is in the store, which has stayed
    assert service.end() == 0


def test_old_workers_go_on_if_the_new_one_fails(start: Start, tmp_path: Path) -> None:
    service = serving(start)
    before = sorted(service.pids())
    (tmp_path / "main.py").write_text("raise SystemExit(3)")
    with Load(service.port) as load:
        service.send(signal.SIGHUP)
        service.wait_for("the replacement is abandoned: 2 workers go on")
    assert load.failures == []
    assert sorted(service.pids()) == before
    assert service.count("exited with code 3 after .*, before it served") == 1
    assert service.end() == 0


def test_hangup_reads_the_configuration_again(start: Start, tmp_path: Path) -> None:
    configuration = tmp_path / "cfg.ini"
    configuration.write_text("[runner]\nworkers = 1\nlisten = 127.0.0.1:0\n")
    service = start("--native_configuration=cfg.ini", "main.py")
    service.wait_for("1 worker serves")
    configuration.write_text("[runner]\nworkers = 3\nlisten = 127.0.0.1:0\n")
    service.send(signal.SIGHUP)
    service.wait_for("3 workers serve")
    configuration.write_text("[runner]\nworkers = few\n")
    service.send(signal.SIGHUP)
    service.wait_for("nothing is replaced: .*cfg.ini:2: .*'few' is not a whole number")
    wait_until(lambda: len(service.pids()) == 3, "the one before is gone, and no other")
    configuration.write_text("[runner]\nworkers = 1\nlisten = 127.0.0.1:0\n")
    service.send(signal.SIGHUP)
    service.wait_for("1 worker serves", 2)
    wait_until(lambda: len(service.pids()) == 1, "the others are gone")
    assert service.end() == 0


def test_worker_that_says_nothing_is_taken_as_serving(start: Start, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import signal\nsignal.pause()")
    (tmp_path / "cfg.ini").write_text("[runner]\nworkers = 1\nready_timeout = 300ms\n")
    service = start("--native_configuration=cfg.ini", "main.py")
    service.wait_for("is taken as serving")
    service.wait_for("1 worker serves")
    assert service.end() == 0


def test_reload_replaces_on_change(start: Start, tmp_path: Path) -> None:
    service = start("--reload", *LISTEN, "main.py")
    service.wait_for("1 worker serves")
    assert service.ask().split()[3] == "1"
    (tmp_path / "main.py").write_text(SERVER.replace("VERSION = 1", "VERSION = 2"))
    service.wait_for("1 worker serves", 2)
    assert service.ask().split()[::3] == ["2", "2"]  # the second request of the store, from the new program
    package = tmp_path / "package"
    package.mkdir()
    (package / "module.py").write_text("")
    service.wait_for("1 worker serves", 3)
    (tmp_path / "notes.txt").write_text("of no interest")
    (package / "module.py").write_text("changed = True")
    service.wait_for("1 worker serves", 4)
    assert service.count("notes.txt") == 0
    assert service.end() == 0


# --- crashes


def test_killed_worker_is_started_again(start: Start) -> None:
    service = serving(start)
    kill(service.pids()[0])
    service.wait_for(r"WARNING worker \d\[\d+\]: killed by SIGKILL after .*; again in 0\.1 s")
    service.wait_for(": serves", 3)
    assert service.ask().split()[0] == "1"
    assert service.end() == 0


def test_program_that_ends_at_once_is_given_up(run: Run, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("raise SystemExit(7)")
    done = run("--workers", "2", "main.py")
    assert done.code == 69
    assert "exited with code 7 after" in done.err
    assert "again in 0.1 s" in done.err
    assert "again in 0.8 s" in done.err
    assert "for the 5th time running; no worker serves" in done.err
    assert done.err.splitlines()[-1].endswith("ended: the workers keep failing")


WRITER = """
import os, threading
from kv_storage import Storage
import socket

kv = Storage()
with open("address", "w") as file:
    file.write(os.environ["KV_STORAGE_ATTACH"])
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
    sender.sendto(b"READY=1", "\\0" + os.environ["NOTIFY_SOCKET"][1:])
number = 0
while True:
    number += 1
    kv[f"key-{number % 97}"] = bytes([number % 251]) * (number * 37 % 5000)
    if number % 5 == 0:
        kv.delete(f"key-{number * 7 % 97}")
"""


def test_workers_killed_while_they_write_leave_a_sound_store(start: Start, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(WRITER)
    service = start("--workers", "2", "main.py")
    service.wait_for("2 workers serve")
    for times in range(1, 11):
        pid = service.pids()[0]
        kill(pid)
        service.wait_for("killed by SIGKILL", times)
        service.wait_for(": serves", 2 + times)
    check = "from kv_storage import Storage; kv = Storage(); print(kv.verify(), len(kv) > 0)"
    address = (tmp_path / "address").read_text()
    done = subprocess.run(
        [service.process.args[0], "-c", check],
        env=clean_environment({"KV_STORAGE_ATTACH": address}),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert done.stdout == "[] True\n"
    service.end(signal.SIGQUIT)


def test_workers_die_with_the_supervisor(start: Start) -> None:
    service = serving(start)
    pids = service.pids()
    service.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in pids), "the workers are gone")


# --- upgrade


def test_upgrade_keeps_data_socket_and_process(runner: Path, start: Start, tmp_path: Path) -> None:
    service = serving(start)
    assert service.ask().split()[0] == "1"
    before = set(service.pids())
    with Load(service.port) as load:
        for turn in (2, 3):
            service.send(signal.SIGUSR2)
            service.wait_for("2 workers serve", turn)
    assert load.failures == []
    assert set(service.pids()) & before == set()
    assert int(service.ask().split()[0]) == sum(load.answers.values()) + 2
    assert service.end() == 0


def test_upgrade_takes_the_new_file_and_refuses_one_that_cannot(
    runner: Path, tmp_path: Path, python: Path
) -> None:
    (tmp_path / "main.py").write_text(SERVER)
    link = tmp_path / "bin"
    link.mkdir()
    ours = link / "runner"
    ours.symlink_to(runner)
    service = Service(ours, "--workers", "1", *LISTEN, "main.py", cwd=tmp_path)
    try:
        service.wait_for("1 worker serves")
        copy = link / "runner.new"
        shutil.copy(runner, copy)
        ours.unlink()
        ours.symlink_to(python)
        service.send(signal.SIGUSR2)
        service.wait_for("cannot take over; all goes on as it was")
        assert service.ask().split()[0] == "1"
        ours.unlink()
        ours.symlink_to(copy)
        service.send(signal.SIGUSR2)
        service.wait_for("1 worker serves", 2)
        assert os.readlink(f"/proc/{service.process.pid}/exe") == str(copy)
        assert service.ask().split()[0] == "2"
        assert service.end() == 0
    finally:
        service.kill()


# --- a service manager


def test_service_manager_is_told(start: Start, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(DEADLINE)
        manager.bind(str(tmp_path / "notify"))
        service = start("--workers", "2", *LISTEN, "main.py", env={"NOTIFY_SOCKET": str(tmp_path / "notify")})

        def until(text: str) -> list[str]:
            said: list[str] = []
            while not said or text not in said[-1]:
                said.append(manager.recv(4096).decode())
            return said

        until("READY=1")
        service.send(signal.SIGHUP)
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", until("RELOADING=1")[-1])
        assert any("STATUS=2 workers" in text for text in until("READY=1"))
        service.send(signal.SIGTERM)
        until("STOPPING=1")
        assert service.end() == 0


def test_socket_activation(start: Start, runner: Path, tmp_path: Path) -> None:
    """The socket of a service manager is passed on under its name."""
    names = SERVER.replace("kv = Storage()", "kv = Storage(); assert os.environ['LISTEN_FDNAMES'] == 'web'")
    (tmp_path / "main.py").write_text(names)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        activate = (
            f"import os; os.dup2({listener.fileno()}, 3); "
            "os.environ.update(LISTEN_FDS='1', LISTEN_FDNAMES='web', LISTEN_PID=str(os.getpid())); "
            f"os.execv({str(runner)!r}, ['runner', '--workers', '1', 'main.py'])"
        )
        service = Service(Path(sys.executable), "-c", activate, cwd=tmp_path, pass_fds=(listener.fileno(), 3))
        try:
            service.wait_for("1 worker serves")
            assert service.port == listener.getsockname()[1]
            assert service.ask().split()[0] == "1"
            assert service.end() == 0
        finally:
            service.kill()


def test_unix_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    service = start("--workers", "1", "--listen", f"unix:{path}", "main.py")
    service.wait_for("1 worker serves")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.0 200")
    assert service.end() == 0
    assert not path.exists()


def test_as_first_process_it_reaps_and_stops(as_init: list[str], runner: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import os, signal\n"
        "if os.fork() == 0:\n    if os.fork() == 0:\n        os._exit(0)\n    os._exit(0)\n"
        "os.wait()\nassert os.getppid() == 1\n"
        "import time\n"
        "deadline = time.monotonic() + 60\n"
        "while any('Z' in open(f'/proc/{p}/stat').read().rpartition(')')[2].split()[0]"
        " for p in os.listdir('/proc') if p.isdigit()):\n"
        "    assert time.monotonic() < deadline\n    time.sleep(0.01)\n"
        "os.kill(1, signal.SIGTERM)\nsignal.pause()\n"
    )
    done = subprocess.run(
        [*as_init, str(runner), "--workers", "1", "main.py"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        preexec_fn=restore_signals,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "supervisor[1]: ended" in done.stderr


# --- bad input


@pytest.mark.parametrize("number", ["-1", "257", "two", "1.5", ""])
def test_number_of_workers_that_is_none(run: Run, tmp_path: Path, number: str) -> None:
    done = run(f"--workers={number}", "-c", "print('not run')")
    assert (done.code, done.out) == (2, "")
    assert "--workers" in done.err
    (tmp_path / "cfg.ini").write_text(f"[runner]\nworkers = {number}\n")
    done = run("--native_configuration=cfg.ini", "-c", "print('not run')")
    assert (done.code, done.out) == (78, "")
    assert f"cfg.ini:2: [runner] workers: '{number}' is not a whole number from 0 to 256" in done.err


@pytest.mark.parametrize(
    "address",
    [
        "8080",
        ":8080",
        "localhost:",
        "localhost:http",
        "localhost:65536",
        "::1:80",
        "unix:",
        "unix:" + "x" * 200,
    ],
)
def test_address_that_is_none(run: Run, tmp_path: Path, address: str) -> None:
    (tmp_path / "cfg.ini").write_text(f"[runner]\nworkers = 1\nlisten = {address}\n")
    done = run("--native_configuration=cfg.ini", "-c", "print('not run')")
    assert (done.code, done.out) == (78, "")
    assert re.search(r"cfg\.ini:3: \[runner\] listen: .* accepted: 127\.0\.0\.1:8080", done.err)
    assert run("--workers=1", f"--listen={address}", "-c", "pass").code == 2


def test_port_in_use(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--workers", "1", "--listen", f"127.0.0.1:{port}", "-c", "print('not run')")
    assert (done.code, done.out) == (71, "")
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in done.err


def test_unix_socket_in_use(run: Run, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(tmp_path / "app.sock"))
        taken.listen()
        done = run("--workers", "1", "--listen", "unix:app.sock", "-c", "print('not run')")
    assert (done.code, done.out) == (71, "")
    assert "cannot listen on unix:app.sock: Address already in use" in done.err


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_host_that_is_not_ours(run: Run, host: str) -> None:
    done = run("--workers", "1", "--listen", f"{host}:0", "-c", "print('not run')")
    assert (done.code, done.out) == (71, "")
    assert f"runner: cannot listen on {host}:0: " in done.err


def test_privileged_port(runner: Path, tmp_path: Path) -> None:
    drop = ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"]
    command = [*drop, str(runner), "--workers", "1", "--listen", "127.0.0.1:1", "-c", "pass"]
    if (
        shutil.which(drop[0]) is None
        or int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 1
    ):
        pytest.skip("every port is free for all here")
    done = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False
    )
    if "setpriv" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 71
    assert "cannot listen on 127.0.0.1:1: Permission denied (low ports are for root" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers=1"], "workers need a program"),
        (["--workers=1", "-"], "workers need a program"),
        (["--workers=1", "-i", "main.py"], "workers need a program"),
        (["--reload"], "workers need a program"),
        (["--reload", "-c", "pass"], "--reload needs a script"),
        (["--workers=1", "missing.py"], "can't open file 'missing.py': No such file or directory"),
    ],
)
def test_program_that_cannot_be_a_worker(
    run: Run, arguments: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text("print('not run')")
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_pid_file_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cfg.ini").write_text("[runner]\nworkers = 1\npid_file = missing/run.pid\n")
    done = run("--native_configuration=cfg.ini", "-c", "print('not run')")
    assert (done.code, done.out) == (71, "")
    assert "cannot write the pid file" in done.err
    assert "missing/run.pid': No such file or directory" in done.err


@pytest.mark.parametrize("text", ["10", "ten seconds", "-1s", "99999999999h", ""])
def test_duration_that_is_none(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "cfg.ini").write_text(f"[runner]\nready_timeout = {text}\n")
    done = run("--native_configuration=cfg.ini", "-c", "print('not run')")
    assert done.code == 78
    assert "is not a duration; accepted: 500ms, 10s, 2min, 1h" in done.err
