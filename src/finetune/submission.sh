# Arguments: this file (SLURM runs a copy), the file of commands, its line for the first job of the array. A line is
# what one job runs: a word for each command, its arguments quoted for the shell once more.
if [ "${1:-}" != work ]; then
    DBN_LOG=$(readlink "/proc/$$/fd/2") && export DBN_LOG # steps write into pipes: dbn-status names the file behind them
    export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"
    echo "$(date '+%F %T') job $SLURM_JOB_ID on $(hostname), start ${SLURM_RESTART_COUNT:-0}, in $PWD"
    status=0
    srun --kill-on-bad-exit=1 bash "$1" work "$2" "$(($3 + SLURM_ARRAY_TASK_ID + 1))" || status=$?
    if [ "$status" -eq 138 ]; then # 128 + USR1, before a command was ready for it, or without scontrol
        DBN_JOBS=$(dirname "$1") put_back "$1" "$@"
    fi
    exit "$status"
fi
eval "commands=($(sed -n "$3p" "$2"))"
if [ ${#commands[@]} -eq 1 ]; then
    eval "exec env --block-signal=USR1 dbn-finetune ${commands[0]}" # the signal waits until it is ready for it
fi
# The signal that comes before the end is for this shell alone: it tells the command, which goes back into the queue.
told='' child='' worst=0
trap 'told=1; if [ -n "$child" ]; then kill -USR1 "$child" 2>/dev/null; fi' USR1
for command in "${commands[@]}"; do
    if [ -n "$told" ]; then
        break
    fi
    eval "env --block-signal=USR1 dbn-finetune $command </dev/null &"
    child=$!
    status=0
    wait "$child" || status=$?
    while kill -0 "$child" 2>/dev/null; do # the wait was ended by the signal
        status=0
        wait "$child" || status=$?
    done
    child=''
    if [ "$status" -eq 138 ]; then
        exit 138
    fi
    if [ "$status" -ne 0 ]; then
        worst=1 # the others are made all the same
    fi
done
if [ -n "$told" ]; then
    exit 138 # between two commands: this job goes back into the queue
fi
exit "$worst"
