# Sourced by batch files: puts a job that was told to stop back into the queue, by what is at hand.
export DBN_PUTS_BACK=1 # a command that has no scontrol, as in a container, ends with status 138 and leaves it to put_back

# Arguments: what sbatch would be given to start this job again, its batch file and that one's arguments. Ends the job.
put_back() {
    local job=$SLURM_JOB_ID again options=(--open-mode=append)
    if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then
        job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
        options+=("--array=$SLURM_ARRAY_TASK_ID")
    fi
    if command -v scontrol >/dev/null && scontrol requeue "$job"; then
        exit 138
    fi
    if command -v sbatch >/dev/null; then # with what this job was given, which may have stood on sbatch's command line
        local pair name
        for pair in job-name=JOB_NAME partition=JOB_PARTITION account=JOB_ACCOUNT qos=JOB_QOS nodes=JOB_NUM_NODES \
            ntasks-per-node=NTASKS_PER_NODE cpus-per-task=CPUS_PER_TASK gpus-per-node=GPUS_PER_NODE mem=MEM_PER_NODE; do
            name=SLURM_${pair#*=}
            if [ -n "${!name:-}" ]; then options+=("--${pair%%=*}=${!name}"); fi
        done
        if [ -n "${SLURM_JOB_END_TIME:-}" ] && [ -n "${SLURM_JOB_START_TIME:-}" ]; then
            options+=("--time=$(((SLURM_JOB_END_TIME - SLURM_JOB_START_TIME + 59) / 60))")
        fi
        if [ -n "${DBN_LOG:-}" ]; then options+=("--output=$DBN_LOG"); fi
        if again=$(sbatch --parsable --dependency="afterany:$job" "${options[@]}" "$@"); then
            again=${again%%;*}
            echo "There is no scontrol here: job $again, submitted behind job $job, goes on from the last checkpoint."
            if [ -n "${DBN_JOBS:-}" ]; then # where dbn-status looks for jobs of the study
                echo "$again${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}" >"$DBN_JOBS/behind_$job"
            fi
            exit 0
        fi
    fi
    echo "Neither scontrol nor sbatch puts job $job back into the queue. If SLURM preempts it, SLURM does; otherwise" >&2
    echo "  sbatch $(printf '%q ' "$@")" >&2
    echo "goes on from the last checkpoint." >&2
    sleep 150 # a job that ends by itself while it is preempted is not put back
    exit 138
}
