#!/usr/bin/env bash
# Prepares this checkout: system packages, then a virtual environment in .venv. Running it again is quick and harmless.
#
# usage: scripts/setup.sh [--test | --ci]   each includes the ones before
#   (none)   what building and running need
#   --test   and what scripts/test.sh needs
#   --ci     and what .ci/run needs: Clang 16, linters
#
# PYTHON=/path/to/python3 chooses the interpreter (default: the system's /usr/bin/python3, else python3 on PATH);
# VENV=DIR puts the environment elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."

level='run'
case "${1:-}" in
  '') ;;
  --test) level='test' ;;
  --ci) level='ci' ;;
  *) sed -n '4,7s/^# //p' "$0" >&2; exit 64 ;;
esac

readonly build_packages=(
  ca-certificates cmake g++ ninja-build pkg-config python3 python3-dev python3-venv
  doctest-dev libcli11-dev libfast-float-dev libinih-dev libjemalloc-dev libxxhash-dev
)
readonly test_packages=(chromium)
readonly ci_packages=(ccache clang-16 clang-format-16 clang-tidy-16 libclang-rt-16-dev shellcheck)

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Debian and its relatives: only what is missing is installed, so a prepared machine needs neither network nor root.
install_debian_packages() {
  local missing=() package as_root=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  if [[ ${#missing[@]} -eq 0 ]]; then return; fi
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || fail "as root, run: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y "${missing[@]}" \
    </dev/null >/dev/null
}

# CPython's own tests, of which we run those of the protocols we implement.
testsuite_package() { /usr/bin/python3 -c 'import sys; print("libpython{}.{}-testsuite".format(*sys.version_info))'; }

# Elsewhere we do not guess package names: say what is missing and by which name Debian has it.
report_missing_tools() {
  local missing=() entry
  for entry in c++=g++ cmake=cmake ninja=ninja-build pkg-config=pkg-config; do
    command -v "${entry%%=*}" >/dev/null || missing+=("${entry%%=*} (Debian: ${entry#*=})")
  done
  if command -v c++ >/dev/null; then
    for entry in CLI/CLI.hpp=libcli11-dev ini.h=libinih-dev fast_float/fast_float.h=libfast-float-dev \
      jemalloc/jemalloc.h=libjemalloc-dev xxhash.h=libxxhash-dev doctest/doctest.h=doctest-dev; do
      echo "#include <${entry%%=*}>" | c++ -x c++ -E - >/dev/null 2>&1 || missing+=("${entry%%=*} (Debian: ${entry#*=})")
    done
  fi
  if [[ ${#missing[@]} -eq 0 ]]; then return; fi
  echo "setup: no apt-get here; please install:" >&2
  printf '  %s\n' "${missing[@]}" >&2
  exit 1
}

choose_python() {
  if [[ -n ${PYTHON:-} ]]; then
    command -v "$PYTHON" || fail "PYTHON=$PYTHON is not a command"
  elif [[ -x /usr/bin/python3 ]] && is_supported /usr/bin/python3; then
    echo /usr/bin/python3
  else
    command -v python3 || fail "no python3 on PATH; set PYTHON to a Python 3.11 or newer"
  fi
}

is_supported() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; }

base_of() { "$1" -c 'import os, sys; print(os.path.realpath(sys._base_executable))'; }

make_environment() {
  local venv=$1 python requirements stamps sum
  python=$(choose_python)
  is_supported "$python" || fail "$python is $("$python" --version); Python 3.11 or newer is needed"
  if [[ -x $venv/bin/python && -n ${PYTHON:-} && $(base_of "$venv/bin/python") != "$(base_of "$python")" ]]; then
    echo "setup: $venv belongs to another Python; making it again with $python"
    rm -rf "$venv"
  fi
  if [[ ! -x $venv/bin/python ]]; then
    "$python" -m venv "$venv" || fail "could not make $venv (Debian: apt-get install python3-venv)"
  fi
  case $level in
    run) requirements=(-r requirements/build.txt -r requirements/run.txt) stamps='run|test|ci' ;;
    test) requirements=(-r requirements/test.txt) stamps='test|ci' ;;
    ci) requirements=(-r requirements/dev.txt) stamps='ci' ;;
  esac
  sum=$(cat requirements/{arrow,build,run,test,dev}.txt | sha256sum | cut -d' ' -f1)
  if ! grep -qsxE "($stamps) $sum" "$venv/requirements.stamp"; then
    "$venv/bin/python" -m pip --disable-pip-version-check --quiet install "${requirements[@]}"
    echo "$level $sum" >"$venv/requirements.stamp"
  fi
}

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
  install_debian_packages "${build_packages[@]}"
  if [[ $level != run ]]; then install_debian_packages "${test_packages[@]}" "$(testsuite_package)"; fi
  if [[ $level == ci ]]; then install_debian_packages "${ci_packages[@]}"; fi
else
  report_missing_tools
fi
make_environment "${VENV:-.venv}"
