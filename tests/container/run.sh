#!/usr/bin/env bash
# Builds the image, starts it, asks the service for a recommendation, stops it with SIGTERM, checks how it ended.
#
# usage: tests/container/run.sh      ENGINE=docker|podman|buildah (default: the first that is installed)
#        BUILD_ARGS="..."            more arguments for the engine's build and run commands, such as --volume
set -euo pipefail
cd "$(dirname "$0")/../.."

engine=${ENGINE:-}
for candidate in docker podman buildah; do
  if [[ -z $engine ]] && command -v "$candidate" >/dev/null; then engine=$candidate; fi
done
[[ -n $engine ]] || { echo 'container: none of docker, podman, buildah is installed' >&2; exit 69; }
read -r -a extra <<<"${BUILD_ARGS:-}"
image=localhost/flights-under-test
url=http://127.0.0.1:8000

ask() { python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())' "$url$1"; }

wait_until_healthy() {
  local attempt
  for attempt in $(seq 60); do
    if ask /health >/dev/null 2>&1; then return; fi
    sleep 1
  done
  echo "container: not healthy after $attempt s" >&2
  return 1
}

check_answers() {
  ask '/recommend?from=EWR&to=SFO&date=06-06-2013' | tee /dev/stderr | grep -q '"EWR"'
  ask /stats | grep -q 336
}

expect_status() {
  if [[ $1 -ne $2 ]]; then echo "container: exit status $1, expected $2" >&2; exit 1; fi
}

run_with_docker() {
  local status
  "$engine" build "${extra[@]}" -t "$image" .
  "$engine" run --rm "$image" --version
  [[ $("$engine" run --rm "$image" -c 'import os; print(os.getuid())') == 10001 ]]
  id=$("$engine" run --detach --publish 8000:8000 "$image")
  trap '"$engine" rm --force "$id" >/dev/null' EXIT  # id outlives the function
  wait_until_healthy
  check_answers
  "$engine" stop --time 10 "$id" >/dev/null
  status=$("$engine" wait "$id")
  "$engine" logs "$id"
  expect_status "$status" "$1"
}

# buildah has no detached containers: the default command runs in the background, in a process namespace of its own, so
# that the runner is PID 1 as it is in a container.
run_with_buildah() {
  local process status=0
  buildah bud --pull-never "${extra[@]}" -t "$image" .
  container=$(buildah from --pull-never "$image")
  trap 'buildah rm "$container" >/dev/null' EXIT  # container outlives the function
  buildah run "$container" -- runner --version
  [[ $(buildah run "$container" -- runner -c 'import os; print(os.getuid())') == 10001 ]]
  buildah run "$container" -- runner --native_configuration=configs/flights.ini scripts/main.py --host 0.0.0.0 &
  process=$!
  wait_until_healthy
  check_answers
  pkill -TERM -f '^[^ ]*runner --native_configuration=configs/flights.ini'  # buildah itself would kill it when told to end
  wait "$process" || status=$?
  expect_status "$status" "$1"
}

if [[ $engine == buildah ]]; then run_with_buildah 0; else run_with_docker 0; fi
echo 'container: passed'
