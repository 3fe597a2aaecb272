#!/usr/bin/env bash
# mypy --strict over all Python here. Whether the stub agrees with the module is a test: tests/typing.
set -euo pipefail
cd "$(dirname "$0")/../.."

exec .venv/bin/python -m mypy kv_storage_module/python/kv_storage.pyi kv_storage_module/python/kv_storage_tools scripts tests benchmarks
