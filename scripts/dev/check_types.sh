#!/usr/bin/env bash
# mypy --strict over all Python here and the stub; with a build directory also whether the stub has the names and
# signatures of the module that is built in there.
#
# usage: scripts/dev/check_types.sh [BUILD_DIR]
set -euo pipefail
cd "$(dirname "$0")/../.."

.venv/bin/python -m mypy kv_storage_module/python/kv_storage.pyi scripts tests benchmarks
if [[ $# -gt 0 ]]; then
  MYPYPATH=kv_storage_module/python VIRTUAL_ENV="$PWD/.venv" \
    "$1/bin/runner" -m mypy.stubtest kv_storage --mypy-config-file pyproject.toml
fi
