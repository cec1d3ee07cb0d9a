#!/bin/bash
# Submit a study as a chain: all seeds are pretrained, then every arm is trained for all seeds, then the report is written.
#
#   slurm/study.sh "dbn random_relu random_relu_dropout" 0-9 study=mine data=mnist trainer=gpu -- --gpus-per-node=1
#
# Arms, seeds (as for sbatch --array), arguments of dbn-finetune; after -- options of sbatch for all but the report. An arm
# starts when all seeds are pretrained; the report is written when all jobs are over, the failed ones included.
# Prints the numbers of the jobs.
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n 's/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
slurm=$(cd "$(dirname "$0")" && pwd)
arms=$1 seeds=$2
shift 2
arguments=() options=()
while [ $# -gt 0 ]; do
    if [ "$1" = -- ]; then
        shift
        options=("$@")
        break
    fi
    arguments+=("$1")
    shift
done
study=default
for argument in "${arguments[@]}"; do
    case "$argument" in study=*) study=${argument#study=} ;; esac
done
submit() { sbatch --parsable "${options[@]}" "$@"; }
pretraining=$(submit --array="$seeds" "$slurm/pretrain.sbatch" "${arguments[@]}")
echo "pretraining $pretraining"
all=$pretraining
for arm in $arms; do
    job=$(submit --array="$seeds" --dependency=afterok:"$pretraining" --kill-on-invalid-dep=yes \
        "$slurm/finetune.sbatch" "${arguments[@]}" arm="$arm")
    echo "$arm $job"
    all=$all:$job
done
echo "report $(sbatch --parsable --dependency=afterany:"$all" "$slurm/report.sbatch" "runs/$study")"
