#!/usr/bin/env bash
# Installs what the tests need, builds the release and runs all tests. The last line is pytest's summary.
set -euo pipefail
cd "$(dirname "$0")/.."

section() { printf '\n== %s\n' "$*"; }

section 'setup'
scripts/setup.sh --test

section 'build'
cmake --preset release
cmake --build --preset release

section 'C++ unit tests'
ctest --preset release

section 'types'
scripts/dev/check_types.sh

section 'Python tests under python3'
PYTHONPATH=build/release/python .venv/bin/python -m pytest tests/python tests/typing

section 'all Python tests inside runner'
KV_STORAGE_EXTENSION_DIR="$PWD/build/release/python" VIRTUAL_ENV="$PWD/.venv" build/release/bin/runner -m pytest tests
