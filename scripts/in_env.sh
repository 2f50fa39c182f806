#!/usr/bin/env bash
# Run a command in the environment that scripts/setup.sh made: scripts/in_env.sh COMMAND [ARGUMENT...]
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export PATH="$root/.venv/bin:$PATH"
workspace="$root/install/robot_finetune/share/robot_finetune/local_setup.bash"
if [ -f "$workspace" ]; then # built against a sourced ROS 2; wheels need nothing
  set +u
  source "$workspace"
  set -u
fi
exec "$@"
