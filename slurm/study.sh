#!/bin/bash
# Submit a study as a chain: stacks are pretrained, then every arm is trained, for every seed; then the report is written.
#
#   slurm/study.sh "dbn random_relu random_relu_dropout" 0-9 study=mine data=mnist -- --gpus-per-node=1
#
# Arms, seeds (as for sbatch --array), arguments of dbn-finetune; after -- options of sbatch for all but the report. A
# seed's arms start when its stacks are pretrained, and not at all if that failed; the report is written when all jobs are
# over, failed ones included. Prints the numbers of the jobs.
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
study=default runs=runs logger=()
for argument in "${arguments[@]}"; do
    case "$argument" in
        study=*) study=${argument#study=} ;;
        paths.runs=*) runs=${argument#paths.runs=} ;;
        logger=* | logger.*=*) logger+=("$argument") ;; # the report is logged as its runs are
    esac
done
submit() { sbatch --parsable --array="$seeds" --kill-on-invalid-dep=yes "${options[@]}" "$@"; }
# One job a seed pretrains what any of the arms starts from; each seed's arms wait for that job only.
stacks=$(submit --job-name=dbn-pretrain "$slurm/finetune.sbatch" -m "${arguments[@]}" arm="${arms// /,}" pretrain_only=true)
echo "pretraining $stacks"
all=$stacks
for arm in $arms; do
    job=$(submit --dependency=aftercorr:"$stacks" "$slurm/finetune.sbatch" "${arguments[@]}" arm="$arm")
    echo "$arm $job"
    all=$all:$job
done
echo "report $(sbatch --parsable --dependency=afterany:"$all" "$slurm/report.sbatch" "$runs/$study" "${logger[@]}")"
