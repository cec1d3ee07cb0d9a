# Arguments: this file (SLURM runs a copy), the file of commands, its line for the first job of the array, how many
# commands of a job run at once. A line is what one job runs: a word for each command, its arguments quoted for the shell
# once more.
if [ "${1:-}" != work ]; then
    DBN_LOG=$(readlink "/proc/$$/fd/2") && export DBN_LOG # steps write into pipes: dbn-status names the file behind them
    export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"
    echo "$(date '+%F %T') job $SLURM_JOB_ID on $(hostname), start ${SLURM_RESTART_COUNT:-0}, in $PWD"
    status=0
    srun --kill-on-bad-exit=1 bash "$1" work "$2" "$(($3 + SLURM_ARRAY_TASK_ID + 1))" "$4" || status=$?
    if [ "$status" -eq 138 ]; then # 128 + USR1, before a command was ready for it, or without scontrol
        DBN_JOBS=$(dirname "$1") put_back "$1" "$@"
    fi
    exit "$status"
fi
eval "commands=($(sed -n "$3p" "$2"))"
at_once=$4
if [ ${#commands[@]} -eq 1 ]; then
    eval "exec env --block-signal=USR1 dbn-finetune ${commands[0]}" # the signal waits until it is ready for it
fi
if [ "$at_once" -gt 1 ]; then
    threads=$((${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}} / at_once))
    export OMP_NUM_THREADS=$((threads > 0 ? threads : 1))
fi

# Wait for a process of this shell, also where the signal ends the wait; sets status.
ended() {
    status=0
    wait "$1" || status=$?
    while kill -0 "$1" 2>/dev/null; do
        status=0
        wait "$1" || status=$?
    done
}

# Take one command after another that no other worker has taken. Status 138: the job goes back into the queue.
work() {
    # The signal that comes before the end is for shells alone: they tell the commands, which go back into the queue.
    told='' child='' worst=0
    trap 'told=1; if [ -n "$child" ]; then kill -USR1 "$child" 2>/dev/null; fi' USR1
    for k in "${!commands[@]}"; do
        if [ -n "$told" ]; then
            exit 138 # between two commands
        fi
        mkdir "$taken/$k" 2>/dev/null || continue
        eval "env --block-signal=USR1 dbn-finetune ${commands[k]} </dev/null &"
        child=$!
        ended "$child"
        child=''
        if [ "$status" -eq 138 ]; then
            exit 138
        elif [ "$status" -eq 75 ] && [ "$at_once" -gt 1 ]; then # there was no memory left for it on the GPU
            touch "$taken/$k/alone"
        elif [ "$status" -ne 0 ]; then
            worst=1 # the others are made all the same
        fi
    done
    if [ -n "$told" ]; then
        exit 138
    fi
    exit "$worst"
}

# So many workers, side by side; sets worst.
run() {
    at_once=$1 workers=()
    for ((k = 0; k < at_once; k++)); do
        work &
        workers+=("$!")
    done
    if [ -n "$told" ]; then # before there was anybody to tell
        kill -USR1 "${workers[@]}" 2>/dev/null
    fi
    back=''
    for worker in "${workers[@]}"; do
        ended "$worker"
        case $status in 0) ;; 138) back=1 ;; *) worst=1 ;; esac
    done
    if [ -n "$back" ]; then
        exit 138
    fi
}

taken=$(mktemp -d)
trap 'rm -rf "$taken"' EXIT
told='' workers=() worst=0
trap 'told=1; if [ ${#workers[@]} -gt 0 ]; then kill -USR1 "${workers[@]}" 2>/dev/null; fi' USR1
run "$at_once"
alone=("$taken"/*/alone)
if [ -e "${alone[0]}" ]; then
    echo "Made again, one by one, since the memory of the GPU did not hold them beside others: ${#alone[@]} of ${#commands[@]}."
    rm -r "${alone[@]%/alone}"
    run 1
fi
exit "$worst"
