#!/usr/bin/env bash
# Reports C++ and Python that is not formatted as the tools format it; with --fix, formats it.
#
# usage: scripts/dev/check_format.sh [--fix]
set -euo pipefail
cd "$(dirname "$0")/../.."

if [[ ${1:-} == --fix ]]; then
  git ls-files -z '*.cpp' '*.hpp' | xargs -0 -r clang-format-16 -i
  .venv/bin/ruff format --quiet .
else
  git ls-files -z '*.cpp' '*.hpp' | xargs -0 -r clang-format-16 --dry-run --Werror
  .venv/bin/ruff format --check --quiet .
fi
