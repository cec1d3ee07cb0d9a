#!/bin/bash
# Upload what Weights & Biases has on disk and its service does not: offline runs, and online ones that it did not answer.
# On the login node, which has internet, as often as you like: what was sent is not sent again.
#
#   slurm/sync.sh runs/compare            # a study, a run, or all of runs/ without a folder
#   slurm/sync.sh runs/compare 8          # eight runs at once; 4 without a number
#
# Runs that went on after an interruption have several records under one id; they are uploaded in the order of their
# start. An offline run still at work is uploaded as far as it is; the rest of it the next time. After kill -9 a record
# may end in the middle of a point: what comes before it is uploaded. Needs wandb login, once.
set -euo pipefail
slurm=$(cd "$(dirname "$0")" && pwd)
folder=${1:-runs} at_once=${2:-4}
if ! command -v wandb >/dev/null; then
    PATH="$slurm/../.venv/bin:$PATH"
fi
is_sent() { # wandb puts the mark there; a record that is younger than it has gone on
    [ -e "$1.synced" ] && [ ! "$1" -nt "$1.synced" ]
}
is_at_work() {
    [ -e "${1%/wandb/*}/.lock" ] && ! flock --nonblock --shared "${1%/wandb/*}/.lock" true
}
mapfile -t found < <(find "$folder" -path '*/wandb/*run-*/run-*.wandb' -type f -size +7c |
    awk -F/ '{ start = $(NF-1); sub(/^offline-/, "", start); run = $0; sub(/\/[^/]*\/[^/]*$/, "", run); print run "\t" start "\t" $0 }' |
    sort | cut -f3-)
if [ ${#found[@]} -eq 0 ]; then
    echo "nothing to upload below $folder: no wandb/*run-* there. Was logger=wandb given?" >&2
    exit 1
fi
records=() online=0
for record in "${found[@]}"; do
    part=${record%/*}
    if is_sent "$record"; then
        continue
    elif [[ ${part##*/} == run-* ]] && is_at_work "$record"; then
        online=$((online + 1)) # it is uploading itself
    else
        records+=("$record")
    fi
done
echo "${#found[@]} records below $folder: ${#records[@]} to upload, $online uploading themselves, the others are there"
if [ ${#records[@]} -eq 0 ]; then
    exit 0
fi
for record in "${records[@]}"; do
    rm -f "$record.synced"
done
said=$(mktemp)
trap 'rm -f "$said"' EXIT
status=0
printf '%s\0' "${records[@]}" | xargs -0 -n 1000 wandb beta sync --no-skip-online -n "$at_once" 2>&1 | tee "$said" || status=$?
left=0
for record in "${records[@]}"; do
    part=${record%/*}
    if [ -e "$record.synced" ]; then
        continue
    elif ! grep -F "${part##*/}" "$said" | grep -qF 'ends with an incomplete record'; then
        left=$((left + 1))
    elif ! is_at_work "$record"; then
        touch "$record.synced"
    fi
done
if [ "$left" -gt 0 ] || [ "$status" -gt 0 ]; then
    echo "$left of ${#records[@]} records were not uploaded; call slurm/sync.sh $folder again" >&2
    exit 1
fi
