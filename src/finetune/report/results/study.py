"""All runs of a study, read from its directory."""

from dataclasses import dataclass
from pathlib import Path

from dbn.errors import DataError
from finetune.report.results.problems import Problem, damaged_result, find_problems, is_run_directory
from finetune.report.results.run_result import STAGES, RunResult, read_run_result


@dataclass(frozen=True)
class Study:
    """All runs of one study, sorted by stage, name and seed, and the runs without a result."""

    name: str
    directory: Path
    runs: tuple[RunResult, ...]
    problems: tuple[Problem, ...]

    def of_stage(self, *stages: str) -> list[RunResult]:
        """The runs of some stages."""
        return [run for run in self.runs if run.stage in stages]

    @property
    def compared(self) -> list[RunResult]:
        """Fine-tuned runs and baselines that are compared with each other: all but the trials of a search."""
        return [run for run in self.of_stage("finetune", "baseline") if run.trial is None]

    @property
    def trials(self) -> list[RunResult]:
        """Trials of a search."""
        return [run for run in self.runs if run.trial is not None]


def read_study(directory: Path) -> Study:
    """Read every ``<stage>/<name>_seed<k>/result.json`` below ``directory``.

    Raises:
        DataError: the directory is missing or holds no result; the message says what to run.
    """
    study = scan_study(directory)
    if not study.runs:
        raise DataError(_nothing_to_report(study))
    return study


def tuning_trials(study: Study) -> list[RunResult]:
    """Trials that chose the settings of a study's runs: its own, and those of the searches whose choices its runs took.

    A search whose directory is not found from here counts as none.
    """
    trials = study.trials
    chosen = {
        str(search["chosen"]) for run in study.compared if (search := run.config.get("search") or {}).get("chosen")
    }
    for file in sorted(chosen):
        directory = Path(file).parent
        if directory.is_dir() and directory.resolve() != study.directory.resolve():
            trials += scan_study(directory).trials
    return trials


def scan_study(directory: Path, known: dict[Path, tuple[int, RunResult]] | None = None) -> Study:
    """As :func:`read_study`, for a study that may have no result yet.

    Args:
        directory: of the study.
        known: results read before, by the run's directory, with the time their file was written (ns); those of files
            that are still the same are not read again. It is completed.

    Raises:
        DataError: the directory is missing.
    """
    name = directory.resolve().name
    if not directory.is_dir():
        raise DataError(
            f"{directory}: there is no such study. Run one first, for example dbn-finetune study={name}, "
            "or give the directory of another."
        )
    runs: list[RunResult] = []
    damaged: list[Problem] = []
    unfinished: list[tuple[str, Path]] = []
    for stage in STAGES:
        for run_directory in sorted(path for path in (directory / stage).glob("*") if path.is_dir()):
            if (run_directory / "result.json").is_file():
                try:
                    runs.append(_read_unless_known(run_directory, stage, directory, known))
                except (OSError, ValueError) as error:
                    damaged.append(damaged_result(stage, run_directory, error))
            elif is_run_directory(run_directory):
                unfinished.append((stage, run_directory))
    runs.sort(key=lambda run: (STAGES.index(run.stage), run.name, run.seed, run.path))
    return Study(name, directory, tuple(runs), tuple(find_problems(directory, runs, damaged, unfinished)))


def _read_unless_known(
    run_directory: Path, stage: str, study: Path, known: dict[Path, tuple[int, RunResult]] | None
) -> RunResult:
    if known is None:
        return read_run_result(run_directory, stage, study)
    written = (run_directory / "result.json").stat().st_mtime_ns
    if run_directory not in known or known[run_directory][0] != written:
        known[run_directory] = written, read_run_result(run_directory, stage, study)
    return known[run_directory][1]


def _nothing_to_report(study: Study) -> str:
    message = f"{study.directory}: no run has a result yet"
    if not study.problems:
        return f"{message}. Run the study first, for example dbn-finetune study={study.name}."
    first = study.problems[0]
    states = [problem.state for problem in study.problems]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    again = f" Run it again: {first.command}" if first.command else ""
    return f"{message} ({counts}). The first, {first.label}: {first.message}.{again}"


def find_studies(directory: Path) -> list[Path]:
    """Directories of the studies in a folder, by name; empty if the folder is a study itself or does not exist."""
    if not directory.is_dir() or any((directory / stage).is_dir() for stage in STAGES):
        return []
    return sorted(
        path for path in directory.iterdir() if path.is_dir() and any((path / stage).is_dir() for stage in STAGES)
    )
