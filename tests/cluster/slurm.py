"""A SLURM cluster of two nodes on this machine that leaves nothing behind: everything lies in one folder.

Needs the programs of Debian's packages slurm-wlm, munge, slurmdbd and mariadb-server; no services, no users, no
settings outside of the folder.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "mariadbd", "mariadb-install-db", "srun", "sbatch", "sacct")
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
FREEZER = Path("/sys/fs/cgroup/freezer")

SLURM_CONF = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={port}
FirstJobId={first_job}
MaxArraySize={max_array_size}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmdParameters=config_overrides
ProctrackType=proctrack/{proctrack}
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={dbd_port}
AccountingStoragePass={folder}/munge.socket
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
ReturnToService=2
KillWait=5
TaskProlog={folder}/task_prolog.sh
NodeName=DEFAULT CPUs=4 RealMemory=8000 Gres=gpu:2 Feature=skylake,icelake
NodeName=n[1-2] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[{n1_port}-{n2_port}]
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=30 PreemptMode=REQUEUE
PartitionName=high Nodes=ALL Default=NO MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""
DBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdPort={dbd_port}
SlurmUser={user}
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""
GRES_CONF = """\
NodeName=n1 Name=gpu File=/dev/tty[1-2]
NodeName=n2 Name=gpu File=/dev/tty[3-4]
"""
CGROUP_CONF = """\
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainCores=no
"""
TASK_PROLOG = """\
#!/bin/sh
# Node names of this cluster are nobody's addresses.
echo export MASTER_ADDR=127.0.0.1
echo export GLOO_SOCKET_IFNAME=lo
"""
ACCOUNTS = (
    "create database slurm_acct_db;"
    "create user slurm@'127.0.0.1' identified by 'slurm'; grant all on slurm_acct_db.* to slurm@'127.0.0.1';"
    "create user slurm@'localhost' identified by 'slurm'; grant all on slurm_acct_db.* to slurm@'localhost';"
)


def missing_programs() -> list[str]:
    """What of SLURM is not installed here."""
    path = f"{os.environ['PATH']}:{SYSTEM_PATH}"
    return [program for program in PROGRAMS if shutil.which(program, path=path) is None]


def free_ports(n: int) -> int:
    """First of ``n`` consecutive free ports, below those that the system and Lightning hand out."""
    blocks = range(17000, 30000, n)
    for k in range(len(blocks)):
        first = blocks[(os.getpid() + k) % len(blocks)]  # clusters that start at the same time do not take the same
        sockets = []
        try:
            for port in range(first, first + n):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", port))
        except OSError:
            continue
        else:
            return first
        finally:
            for each in sockets:
                each.close()
    raise RuntimeError("there are no free ports")


class Cluster:
    """The cluster.

    Args:
        folder: for everything that belongs to it; empty.
        max_array_size: number of jobs that an array may have.
    """

    def __init__(self, folder: Path, max_array_size: int = 100) -> None:
        self.folder = folder
        self.max_array_size = max_array_size
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        conf = folder / "slurm.conf"
        self.environment = {**os.environ, "SLURM_CONF": str(conf), "PATH": f"{os.environ['PATH']}:{SYSTEM_PATH}"}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, *command: str, folder: Path | None = None, check: bool = True, seconds: float = 300) -> str:
        """A command with this cluster at hand, which has so long; returns what it printed."""
        done = subprocess.run(
            command, env=self.environment, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{command} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout.strip()

    def start(self) -> None:
        """Start it: a few seconds."""
        port = free_ports(8)
        cgroups = os.geteuid() == 0 and FREEZER.is_dir() and os.access(FREEZER, os.W_OK)
        values = {
            "folder": self.folder, "user": self.user, "port": port, "n1_port": port + 1, "n2_port": port + 2,
            "sql_port": port + 5, "dbd_port": port + 6, "max_array_size": self.max_array_size,
            "first_job": 1000 * (port // 8),  # of two clusters on a machine none ends the other's jobs, by their groups
            # proctrack/cgroup gives signals to the task only, as real clusters do; linuxproc to all its children
            "proctrack": "cgroup" if cgroups else "linuxproc",
        }  # fmt: skip
        for name in ("state", "spool.n1", "spool.n2"):
            (self.folder / name).mkdir(parents=True)
        self.write("munge.key", secrets.token_bytes(128), 0o400)
        self.write("slurm.conf", SLURM_CONF.format(**values).encode(), 0o644)
        self.write("slurmdbd.conf", DBD_CONF.format(**values).encode(), 0o600)
        self.write("gres.conf", GRES_CONF.encode(), 0o644)  # no GPUs, but SLURM hands them out
        self.write("cgroup.conf", CGROUP_CONF.encode(), 0o644)
        self.write("task_prolog.sh", TASK_PROLOG.encode(), 0o755)
        folder = self.folder
        self.daemon(
            "munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={folder}/munge.key",
            f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed",
        )  # fmt: skip
        self.start_database(values["sql_port"])
        self.daemon("slurmdbd", "-D")
        self.wait_until(lambda: listening(port + 6), "slurmdbd")
        self.run("sacctmgr", "--immediate", "add", "cluster", "test")
        self.daemon("slurmctld", "-D", "-c")
        for node in ("n1", "n2"):
            self.daemon("slurmd", "-D", "-N", node, name=node)
        nodes = ("sinfo", "--noheader", "--Node", "--partition=low", "--format=%t")
        self.wait_until(lambda: self.run(*nodes, check=False).split() == ["idle", "idle"], "nodes")

    def start_database(self, port: object) -> None:
        """The database of the accounting, which submitit asks about jobs."""
        folder = self.folder
        self.run(
            "mariadb-install-db", "--no-defaults", f"--datadir={folder}/mysql", f"--user={self.user}", "--skip-test-db",
            "--auth-root-authentication-method=normal",
        )  # fmt: skip
        self.daemon(
            "mariadbd", "--no-defaults", f"--datadir={folder}/mysql", f"--user={self.user}",
            f"--socket={folder}/mysql.sock", "--bind-address=127.0.0.1", f"--port={port}",
            f"--pid-file={folder}/mysql.pid", "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900",
            "--innodb-flush-log-at-trx-commit=0",
        )  # fmt: skip
        self.wait_until(lambda: listening(int(str(port))), "mariadbd")
        self.run("mariadb", "--no-defaults", f"--socket={folder}/mysql.sock", "-uroot", "-e", ACCOUNTS)

    def write(self, name: str, content: bytes, mode: int) -> None:
        """A file of the cluster's."""
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(mode)

    def daemon(self, program: str, *arguments: str, name: str = "") -> None:
        """Start a program that stays."""
        name = name or program
        with (self.folder / f"{name}.out").open("w") as out:
            self.daemons[name] = subprocess.Popen(
                [program, *arguments], env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def wait_until(self, ready: Callable[[], bool], what: str, seconds: float = 120) -> None:
        """Wait for a part to be ready; a daemon that ends on the way is an error."""
        end = time.monotonic() + seconds
        while not ready():
            dead = [name for name, process in self.daemons.items() if process.poll() is not None]
            if dead or time.monotonic() > end:
                logs = "\n".join(f"{name}:\n{(self.folder / name).with_suffix('.out').read_text()}" for name in dead)
                self.stop()
                raise RuntimeError(f"SLURM does not start: {what} is not ready; ended: {dead}\n{logs}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it, with whatever its jobs left running."""
        self.run("scancel", f"--user={self.user}", check=False)
        for name in ("n1", "n2", "slurmctld", "slurmdbd", "mariadbd", "munged"):
            process = self.daemons.pop(name, None)
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        mark = f"SLURM_CONF={self.folder}/slurm.conf".encode()
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in environ.read_bytes().split(b"\0") and int(environ.parent.name) != os.getpid():
                    os.kill(int(environ.parent.name), signal.SIGKILL)
        for node in ("n1", "n2"):
            for group in sorted((FREEZER / f"slurm_{node}").glob("**/"), key=lambda path: -len(path.parts)):
                with suppress(OSError):
                    group.rmdir()

    def state(self, job: str) -> str:
        """SLURM's word for a job or an array's element: PENDING, RUNNING, COMPLETED, ..."""
        shown = self.run("scontrol", "show", "job", job, "--oneliner", check=False)
        words = dict(word.split("=", 1) for word in shown.split() if "=" in word)
        return words.get("JobState", "GONE")

    def has_step(self, job: str) -> bool:
        """Whether a job has come to its ``srun``."""
        steps = self.run("squeue", "--noheader", "--steps", f"--job={job}", "--format=%i", check=False).split()
        return f"{job}.0" in steps

    def wait_for(self, job: str, state: str = "COMPLETED", seconds: float = 120) -> None:
        """Wait for a state of a job; any other end is an error."""
        end = time.monotonic() + seconds
        while (now := self.state(job)) != state:
            if now in ("FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "COMPLETED", "GONE") or time.monotonic() > end:
                raise AssertionError(f"job {job} is {now}, not {state}")
            time.sleep(0.2)


def listening(port: int) -> bool:
    """Whether anybody answers at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
