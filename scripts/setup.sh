#!/usr/bin/env bash
# Make .venv and build the messages; `--dev` adds what tests and lint need. What is up to date is left as it is.
#
# Where a ROS 2 is sourced it is used, and the package is installed into install/; otherwise ROS 2 comes as wheels and the
# package is installed into .venv, which then needs no sourcing. PYTHON=/path/to/python chooses the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root="$PWD"
venv="$root/.venv"
log="$root/build/setup.log"

say() { printf '\033[1m%s\033[0m\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
digest() { { cat "$@"; echo "$key"; } | sha256sum | cut -d ' ' -f 1; }
fresh() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }
logged() { # its output goes into the log; every 20 s its last line is shown
  local ticker failed=0
  (while sleep 20 >/dev/null 2>&1; do echo "  $SECONDS s: $(tail -n 1 "$log" | cut -c 1-100)"; done) &
  ticker=$!
  "$@" >>"$log" 2>&1 || failed=1
  kill "$ticker"
  wait "$ticker" 2>/dev/null || true
  [ "$failed" = 0 ] || { tail -n 25 "$log" >&2; die "\`$1 ${2:-} ...\` failed; the whole output is in $log"; }
}

if [ -n "${ROS_DISTRO:-}" ] && [ -n "${AMENT_PREFIX_PATH:-}" ]; then mode="sourced ROS 2 $ROS_DISTRO"; else mode="wheels"; fi

# --- system packages -------------------------------------------------------------------------------------------------
library() { ldconfig -p 2>/dev/null | grep -qF "$1"; }

missing_packages() {
  command -v g++ >/dev/null || echo g++
  command -v cmake >/dev/null || echo cmake
  command -v ninja >/dev/null || echo ninja-build
  library libEGL.so.1 || echo libegl1
  library libOpenGL.so.0 || echo libopengl0
  compgen -G '/usr/lib/*/dri/*_dri.so' >/dev/null || echo libgl1-mesa-dri
  local python
  python="$(find_python)" || { command -v python3 >/dev/null || echo python3 python3-venv python3-dev; return 0; }
  "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  "$python" -c 'import os, sysconfig as s; os.stat(os.path.join(s.get_path("include"), "Python.h"))' 2>/dev/null ||
    echo python3-dev
}

install_system_packages() {
  local missing
  missing="$(missing_packages | xargs)"
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || die "install these first (Debian's names): $missing"
  [ "$(id -u)" = 0 ] || die "system packages are missing; run: sudo apt-get install -y $missing"
  say "installing system packages: $missing"
  logged apt-get update
  logged env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
}

# --- Python ----------------------------------------------------------------------------------------------------------
usable() {
  if [ "$mode" = wheels ]; then
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null
  else
    "$1" -c 'import sys, rclpy; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
  fi
}

find_python() {
  local python
  for python in ${PYTHON:-python3 python3.12 python3.11}; do
    if usable "$python"; then command -v "$python" && return; fi
  done
  return 1
}

no_python() {
  local found
  found="$(for p in ${PYTHON:-python3}; do "$p" --version 2>/dev/null || echo none; done)"
  [ "$mode" = wheels ] || die "no Python 3.11 or later that can import rclpy of the $mode; found $found (PYTHON=... chooses)"
  die "Python 3.11 or 3.12 is needed (the ROS 2 wheels are built for these); found $found: install one, or give PYTHON=..."
}

make_venv() {
  fresh "$venv/.setup/key" "$key" && [ -x "$venv/bin/python" ] && return
  say "making .venv with $("$python" --version), $mode"
  rm -rf "$venv" "$root/install" "$root/build/cmake"
  if [ "$mode" = wheels ]; then logged "$python" -m venv "$venv"
  else logged "$python" -m venv --system-site-packages "$venv"; fi
  mkdir -p "$venv/.setup"
  echo "$key" >"$venv/.setup/key"
}

install_python_packages() { # NAME FILE...
  local stamp="$venv/.setup/$1" now
  shift
  now="$(digest "$@")"
  fresh "$stamp" "$now" && return
  say "installing Python packages: $* (a few minutes, once)"
  logged "$venv/bin/python" -m pip install --disable-pip-version-check $(printf -- '-r %s ' "$@")
  echo "$now" >"$stamp"
}

install_module() { # pip first, cmake second: pip removes what cmake installed under the same name
  local now
  now="$(digest setup.py pyproject.toml)"
  fresh "$venv/.setup/module" "$now" && return
  logged "$venv/bin/python" -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
  rm -f "$venv/.setup/messages"
  echo "$now" >"$venv/.setup/module"
}

# --- messages --------------------------------------------------------------------------------------------------------
build_messages() {
  local now prefix="$venv"
  [ "$mode" = wheels ] || prefix="$root/install/robot_finetune"
  now="$({ find msg action srv scripts config launch models urdf -type f ! -name '*.pyc' | sort; cat CMakeLists.txt package.xml \
    cmake/* msg/* action/* srv/*; } | digest -)"
  fresh "$venv/.setup/messages" "$now" && [ -d build/cmake ] && return
  say "building the messages"
  export PATH="$venv/bin:$PATH"
  local packages="$venv:${AMENT_PREFIX_PATH:-}"
  logged cmake -S . -B build/cmake -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
    -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_PREFIX_PATH="${packages//:/;}" \
    -DPython3_EXECUTABLE="$venv/bin/python" -DAMENT_CMAKE_SYMLINK_INSTALL=ON -DPYTHON_FROM_SOURCE_TREE=ON
  logged cmake --build build/cmake --target install
  logged scripts/in_env.sh python -c 'import rclpy, robot_finetune.msg'
  echo "$now" >"$venv/.setup/messages"
}

mkdir -p build
: >"$log"
key=""
install_system_packages
python="$(find_python)" || no_python
key="$mode $("$python" -c 'import sys; print(sys.version, sys.executable)') $root"
make_venv
if [ "$mode" = wheels ]; then install_python_packages runtime requirements.txt requirements-ros.txt
else install_python_packages runtime requirements.txt; fi
if [ "${1:-}" = --dev ]; then install_python_packages dev requirements-{dev,web,export,remote,rerun,ray}.txt; fi
install_module
build_messages
