"""What the build's lists and the packaging must agree on."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")


def listed_sources(cmake_file: Path) -> set[Path]:
    text = re.sub(r"#.*", "", cmake_file.read_text(encoding="utf-8"))
    return {cmake_file.parent / name for name in re.findall(r"[\w./+-]+\.cpp\b", text)}


@pytest.mark.parametrize("folder", ["kv_storage_module", "runner", "tests"])
def test_every_cpp_file_is_built(folder: str) -> None:
    listed: set[Path] = set()
    for cmake_file in (ROOT / folder).rglob("CMakeLists.txt"):
        listed |= listed_sources(cmake_file)
    present = set((ROOT / folder).rglob("*.cpp"))
    assert present - listed == set(), "not in a CMakeLists.txt, so never compiled"


def test_no_source_list_is_a_glob() -> None:
    files = [ROOT / "CMakeLists.txt", *(ROOT / "cmake").glob("*.cmake")]
    for folder in ("kv_storage_module", "runner", "tests"):
        files += (ROOT / folder).rglob("CMakeLists.txt")
    assert [f.name for f in files if re.search(r"file\s*\(\s*GLOB", f.read_text(encoding="utf-8"))] == []


def test_the_package_has_the_version_of_the_build() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    rule = version["tool"]["scikit-build"]["metadata"]["version"]
    assert rule["input"] == "CMakeLists.txt"
    found = re.search(rule["regex"], CMAKE)
    built = re.search(r"^project\(runner VERSION (\S+) ", CMAKE, re.MULTILINE)
    assert found is not None
    assert built is not None
    assert found["value"] == built[1]


def test_every_preset_has_its_build_and_workflow() -> None:
    presets = json.loads((ROOT / "CMakePresets.json").read_text(encoding="utf-8"))
    configured = {p["name"] for p in presets["configurePresets"] if not p.get("hidden")}
    assert configured == {"release", "dev", "asan", "tsan", "tidy", "fuzz", "coverage"}
    for kind in ("buildPresets", "testPresets", "workflowPresets"):
        assert {p["name"] for p in presets[kind] if not p.get("hidden")} == configured, kind


@pytest.mark.parametrize("file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda f: f.name)
def test_requirements_are_pinned(file: Path) -> None:
    for line in file.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "-r ")):
            assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line), line


def test_the_packaged_pybind11_is_the_one_we_develop_with() -> None:
    packaging = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = (ROOT / "requirements" / "build.txt").read_text(encoding="utf-8").splitlines()
    wanted = [r for r in packaging["build-system"]["requires"] if r.startswith("pybind11")]
    assert wanted == [line for line in pinned if line.startswith("pybind11")]
