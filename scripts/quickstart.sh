#!/usr/bin/env bash
# From a fresh checkout to the running example: installs, builds, fetches the flights data, serves.
# Without a terminal on stdin it asks its own service once over HTTP, prints the answer and ends.
#
# usage: scripts/quickstart.sh [--host HOST] [--port PORT]
set -euo pipefail
cd "$(dirname "$0")/.."

section() { printf '\n== %s\n' "$*"; }

section 'setup'
scripts/setup.sh

section 'build'
cmake --preset release >/dev/null
cmake --build --preset release --target runner

section 'data'
.venv/bin/python scripts/fetch_flights.py

section 'serve'
arguments=("$@")
if [[ ! -t 0 ]]; then arguments+=(--once --port 0); fi
# Not by exec: the service says how long its process took to load the data, and this script's has built it.
VIRTUAL_ENV="$PWD/.venv" build/release/bin/runner --native_configuration=configs/flights.ini scripts/main.py \
  "${arguments[@]}"
