#!/bin/bash
# Upload what Weights & Biases recorded offline: on the login node, which has internet, as often as you like.
#
#   slurm/sync.sh runs/compare            # a study
#   slurm/sync.sh                         # all of runs/
#
# Runs that went on after an interruption have several records under one id; they are uploaded in the order of their
# start. Needs wandb login, once.
set -euo pipefail
slurm=$(cd "$(dirname "$0")" && pwd)
if ! command -v wandb >/dev/null; then
    PATH="$slurm/../.venv/bin:$PATH"
fi
mapfile -t records < <(find "${1:-runs}" -type d -name 'offline-run-*' | sort)
if [ ${#records[@]} -eq 0 ]; then
    echo "nothing to upload below ${1:-runs}: no offline-run-* there. Was logger=wandb given?" >&2
    exit 1
fi
exec wandb beta sync "${records[@]}"
