"""``make soak``: studies whose processes are killed thirty times at random moments end in the same files.

On a SLURM cluster of its own: runs that are submitted one by one (``slurm``), and a sweep of ``submit=true`` that packs
runs into jobs (``submit``). On this machine: ``local`` (hydra/launcher=local), ``optuna``, ``climb`` (sweep=compute),
``up_down``, ``dbm`` and ``ptt``, see ``soak_local.py``. Prints every kill, and what differs from the study left alone:
nothing but the times that ``soak_files.py`` names. ``make soak ARGS="--ways local,optuna --kills 6"``: some of them.
"""

import argparse
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from cluster.slurm import missing_programs
from cluster.soak_files import differences
from cluster.soak_local import LOCAL_WAYS, LocalWay
from cluster.soak_slurm import SlurmWay, own_cluster

ON_SLURM = ("slurm", "submit")
WAYS = (*ON_SLURM, *(way.name for way in LOCAL_WAYS))


def main() -> None:
    """Soak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="how many, spread over the ways (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and kinds of kill")
    parser.add_argument("--ways", default=",".join(WAYS), help=f"which of {','.join(WAYS)} (default all)")
    options = parser.parse_args()
    names = options.ways.split(",")
    if unknown := [name for name in names if name not in WAYS]:
        parser.error(f"--ways {','.join(unknown)}: choose from {','.join(WAYS)}")
    if options.kills < len(names):
        parser.error(f"--kills {options.kills}: there are {len(names)} ways, and each is killed at least once")
    if set(names) & set(ON_SLURM) and (missing := missing_programs()):
        others = ",".join(way.name for way in LOCAL_WAYS)
        sys.exit(f"SLURM is not installed: {', '.join(missing)} are missing. --ways {others} needs none.")
    found: list[str] = []
    with ExitStack() as stack:
        cluster = stack.enter_context(own_cluster()) if set(names) & set(ON_SLURM) else None
        by_name: dict[str, LocalWay | SlurmWay] = {way.name: way for way in LOCAL_WAYS}
        if cluster is not None:
            by_name |= {name: SlurmWay(name, cluster) for name in ON_SLURM}
        for place, name in enumerate(names):
            kills = options.kills * (place + 1) // len(names) - options.kills * place // len(names)
            found += soak(by_name[name], kills, random.Random(f"{options.seed} {name}"))
    print(f"{options.kills} kills; files that differ: {', '.join(found) or 'none'}")
    sys.exit(1 if found else 0)


def soak(way: LocalWay | SlurmWay, n_kills: int, chance: random.Random) -> list[str]:
    """Kill a way so often, in as many studies as that takes; returns the files that differ, each with its way."""
    with tempfile.TemporaryDirectory() as temporary:
        alone = Path(temporary) / "alone"
        alone.mkdir()
        seconds = way.leave_alone(alone)
        print(f"    {way.name}: left alone, {seconds:.0f} s", flush=True)
        found: list[str] = []
        left, number = n_kills, 0
        while left:
            number += 1
            disturbed = Path(temporary) / f"disturbed{number}"
            disturbed.mkdir()
            left -= way.disturb(disturbed, left, seconds, chance)
            found += [f"{way.name}: {name}" for name in differences(alone / "runs", disturbed / "runs")]
        print(f"    {way.name}: {n_kills} kills; {', '.join(found) or 'no file differs'}", flush=True)
    return found


if __name__ == "__main__":
    main()
