"""Virtual environments: made by the runner, or made by python3 with the runner installed into them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .support import Outcome, borrow_packages, find_python, find_runner, python_version, run_program

SHOW = """
import os, sys
print(sys.executable)
print(os.path.realpath(sys._base_executable))
print(sys.prefix)
print(sys.base_prefix)
print([p for p in sys.path if p.endswith("site-packages") and p.startswith(sys.prefix)])
"""


def expect_environment(program: Path, directory: Path, runner: Path, base_prefix: str) -> None:
    """`program` is the runner inside the environment at `directory`."""
    packages = directory / "lib" / f"python{python_version(program)}" / "site-packages"
    assert run_program(program, "-c", SHOW) == Outcome(
        0, f"{program}\n{runner}\n{directory}\n{base_prefix}\n['{packages}']\n", ""
    )


def base_prefix(runner: Path) -> str:
    return run_program(runner, "-I", "-S", "-c", "import sys; print(sys.base_prefix)").out.strip()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment made by `runner -m venv`, with pip where the Python can provide it."""
    directory = tmp_path_factory.mktemp("own") / "env"
    runner = find_runner()
    made = run_program(runner, "-m", "venv", directory)
    if made.code != 0 and "ensurepip" in made.out:
        pytest.skip("this Python comes without ensurepip")
    assert made == Outcome(0, "", "")
    return directory


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment made by python3, with the runner copied into its bin/ as pip does it."""
    directory = tmp_path_factory.mktemp("foreign") / "env"
    runner = find_runner()
    assert run_program(find_python(runner), "-m", "venv", "--without-pip", directory) == Outcome(0, "", "")
    shutil.copy2(runner, directory / "bin/runner")
    return directory


@pytest.mark.parametrize("name", ["python", "python3"])
def test_python_of_an_own_environment_is_the_runner(runner: Path, own: Path, name: str) -> None:
    expect_environment(own / "bin" / name, own, runner.resolve(), base_prefix(runner))


def test_own_environment_has_the_store(own: Path) -> None:
    done = run_program(own / "bin/python", "-c", "import kv_storage; print(kv_storage.__name__)")
    assert done == Outcome(0, "kv_storage\n", "")


def test_own_environment_found_by_path(own: Path) -> None:
    done = run_program(
        "/bin/sh", "-c", "python -c 'import sys; print(sys.prefix)'", env={"PATH": f"{own}/bin:/bin"}
    )
    assert done == Outcome(0, f"{own}\n", "")


def test_pip_installs_into_an_own_environment(own: Path, tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (package / "backend.py").write_text(BACKEND)
    flags = [
        "--no-input",
        "--disable-pip-version-check",
        "--no-index",
        "--no-build-isolation",
        "--no-cache-dir",
        "-q",
    ]
    environment = {"HOME": str(tmp_path)}
    done = run_program(own / "bin/python", "-m", "pip", "install", *flags, package, env=environment)
    assert (done.code, done.out) == (0, ""), done.err
    assert run_program(own / "bin/hello") == Outcome(0, f"hello from {own}\n", "")
    shebang = (own / "bin/hello").read_text().splitlines()[0]
    assert Path(shebang.removeprefix("#!")).resolve() == find_runner().resolve()


def test_runner_installed_into_an_environment(runner: Path, foreign: Path) -> None:
    expect_environment(foreign / "bin/runner", foreign, foreign / "bin/runner", base_prefix(runner))


def test_environment_made_by_an_installed_runner(runner: Path, foreign: Path, tmp_path: Path) -> None:
    directory = tmp_path / "env"
    assert run_program(foreign / "bin/runner", "-m", "venv", "--without-pip", directory) == Outcome(0, "", "")
    expect_environment(directory / "bin/python", directory, foreign / "bin/runner", base_prefix(runner))


def test_runner_through_a_link_is_no_environment(runner: Path, tmp_path: Path) -> None:
    (tmp_path / "anything").symlink_to(runner)
    done = run_program(
        "anything", "-c", "import sys; print(sys.executable, sys.prefix)", env={"PATH": str(tmp_path)}
    )
    assert done == Outcome(0, f"{tmp_path}/anything {base_prefix(runner)}\n", "")


def test_system_site_packages(runner: Path, tmp_path: Path) -> None:
    directory = tmp_path / "env"
    assert run_program(runner, "-m", "venv", "--without-pip", "--system-site-packages", directory).code == 0
    show = (
        "import site, sys; print([p for p in sys.path if p in site.getsitepackages([sys.base_prefix])] != [])"
    )
    assert run_program(directory / "bin/python", "-c", show) == Outcome(0, "True\n", "")


def test_pytest_runs_in_it(runner: Path, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert __import__('kv_storage')\n")
    environment = borrow_packages(runner, "pytest")
    done = run_program(
        runner, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path, env=environment, cwd=tmp_path
    )
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].startswith("1 passed")


def test_numpy_runs_in_it(runner: Path) -> None:
    """Its extension modules find the C API in the executable, and their own C++ runtime."""
    script = (
        "import numpy as n; print(n.linalg.inv(n.eye(2) * 2).sum(), n.random.default_rng(1).integers(9) >= 0)"
    )
    assert run_program(runner, "-c", script, env=borrow_packages(runner, "numpy")) == Outcome(
        0, "1.0 True\n", ""
    )


def sees(program: Path, directory: Path, *flags: str) -> str:
    """The sys.prefix of `program`, which has to keep its own sys.executable, with `directory` activated."""
    shown = run_program(
        program,
        *flags,
        "-c",
        "import sys; print(sys.executable); print(sys.prefix)",
        env={"VIRTUAL_ENV": str(directory)},
    )
    assert shown.code == 0, shown
    executable, prefix = shown.out.split("\n")[:2]
    assert executable == str(program)
    return prefix


def test_a_runner_outside_environments_serves_the_activated_one(runner: Path, foreign: Path) -> None:
    assert sees(runner, foreign) == str(foreign)


@pytest.mark.parametrize("flag", ["-I", "-E"])
def test_isolated_mode_ignores_the_activated_environment(runner: Path, foreign: Path, flag: str) -> None:
    assert sees(runner, foreign, flag) == base_prefix(runner)


def test_the_environment_a_runner_lies_in_wins(foreign: Path, own: Path) -> None:
    assert sees(foreign / "bin/runner", own) == str(foreign)


def test_the_environment_a_runner_is_the_python_of_wins(foreign: Path, own: Path) -> None:
    assert sees(own / "bin/python", foreign) == str(own)


def test_an_activated_environment_s_packages_are_found_by_children_too(runner: Path, foreign: Path) -> None:
    packages = foreign / f"lib/python{python_version(runner)}/site-packages"
    (packages / "only_here.py").write_text("print('found')")
    script = (
        "import subprocess, sys, only_here; subprocess.run([sys.executable, '-m', 'only_here'], check=True)"
    )
    done = run_program(runner, "-u", "-c", script, env={"VIRTUAL_ENV": str(foreign)})
    (packages / "only_here.py").unlink()
    assert done == Outcome(0, "found\nfound\n", "")


def test_messages_name_the_runner_in_an_activated_environment(
    runner: Path, foreign: Path, tmp_path: Path
) -> None:
    done = run_program(runner, "no.py", cwd=tmp_path, env={"VIRTUAL_ENV": str(foreign)})
    assert done == run_program(runner, "no.py", cwd=tmp_path)
    assert done.err.startswith(f"{runner}: ")


def test_an_environment_of_another_version_is_left_alone(runner: Path, foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").write_text((foreign / "pyvenv.cfg").read_text())
    (tmp_path / "lib/python2.7").mkdir(parents=True)
    assert sees(runner, tmp_path) == base_prefix(runner)


# A build backend of the standard library alone, so that nothing is downloaded.
BACKEND = """
import zipfile

INFO = "hello-1.0.dist-info"
FILES = {
    "hello.py": "import sys\\ndef main(): print('hello from', sys.prefix)\\n",
    INFO + "/METADATA": "Metadata-Version: 2.1\\nName: hello\\nVersion: 1.0\\n",
    INFO + "/WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    INFO + "/entry_points.txt": "[console_scripts]\\nhello = hello:main\\n",
}


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "hello-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel_directory + "/" + name, "w") as wheel:
        for path, text in FILES.items():
            wheel.writestr(path, text)
        wheel.writestr(INFO + "/RECORD", "".join(p + ",,\\n" for p in [*FILES, INFO + "/RECORD"]))
    return name
"""
