# Sourced by the batch files: finds the package's commands, says where and how often the job has started, runs steps.
# The commands are those on PATH (an active virtual environment), or of .venv beside the folder of the batch files.
if ! command -v dbn-finetune >/dev/null; then
    if [ ! -x "$slurm/../.venv/bin/dbn-finetune" ]; then
        echo "dbn-finetune is neither on PATH nor in $(dirname "$slurm")/.venv/bin. Run make compare there on the" >&2
        echo "login node, which installs it, or activate the environment that has it before you call sbatch." >&2
        exit 1
    fi
    PATH="$(cd "$slurm/../.venv/bin" && pwd):$PATH"
fi
export WANDB_MODE="${WANDB_MODE:-offline}" # compute nodes have no internet: slurm/sync.sh uploads from the login node
DBN_LOG=$(readlink "/proc/$$/fd/2") && export DBN_LOG # steps write into pipes: dbn-status names the file behind them
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}" SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"
if [ -n "${SLURM_JOB_GPUS:-}" ]; then
    export DBN_ACCELERATOR="${DBN_ACCELERATOR:-auto}" # a job that was given a GPU uses it
fi
put_back=$slurm/../src/dbn/fitting/put_back.sh
if [ ! -f "$put_back" ]; then # these files lie elsewhere than in a checkout
    python=$(dirname "$(command -v dbn-finetune)")/python
    put_back=$("$python" -c "import dbn; print(dbn.__path__[0])")/fitting/put_back.sh
fi
. "$put_back"
arguments=("$@")
seed=()
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    seed=("seed=$SLURM_ARRAY_TASK_ID") # an array's elements are seeds
fi
echo "$(date '+%F %T') job $SLURM_JOB_ID${seed:+, ${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID,} on $(hostname), start ${SLURM_RESTART_COUNT:-0}, in $PWD"

# A command in all tasks of the job. The signal waits until the command is ready for it; one that is even earlier ends
# the step (128 + 10), and the job starts over.
step() {
    local status=0
    srun --kill-on-bad-exit=1 env --block-signal=USR1 "$@" || status=$?
    if [ "$status" -eq 138 ]; then
        export DBN_SLURM="$slurm"
        put_back "$0" "${arguments[@]}" # SLURM's copy of the batch file
    fi
    return "$status"
}
