"""The small example scripts do what they say."""

from __future__ import annotations

import subprocess

from .support import ROOT, environment, runner_binary


def run_script(name: str) -> list[str]:
    command = [runner_binary(), str(ROOT / "scripts" / name)]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


def test_hello() -> None:
    assert run_script("hello.py") == [
        "{'number': 5, 'even': False}",
        "1000 keys of June, 34 of the sixth",
        "mean weight 0.500 over an array that was not copied",
        "visits 1",
    ]


def test_reload_demo_loses_the_dict_and_keeps_the_store() -> None:
    counts = [line.split()[-3::2] for line in run_script("reload_demo.py")]
    assert counts == [["1", "1"], ["2", "2"], ["1", "3"], ["1", "4"]]


def test_sessions_live_while_they_are_used() -> None:
    assert run_script("sessions.py") == [
        "Ada's session: {'user': 'Ada'} of 2",
        "Bob logs out: True leaves 1",
        "Eve was idle: None leaves 1",
    ]
