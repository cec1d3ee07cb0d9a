"""What imports what: a room imports those to its left in ``ORDER``, never one to its right, and there is no circle."""

import ast
from pathlib import Path

import pytest

import dbn
import finetune

ORDER = {
    "dbn": [
        "lazy", "errors", "settings", "files", "random", "data", "machine", "models", "fitting", "runs", "commands",
        "samplers", "likelihood", "diagnostics", "pretraining", "use", "sklearn", "pretrain", "sample", "evaluate",
        "fetch_data",
    ],
    "finetune": [
        "networks", "tasks", "baselines", "runs", "sklearn", "report", "use", "export", "stack_quality", "rungs",
        "climb_steps", "seed_batches", "optuna_trials", "job_commands", "job_packs", "submission", "sweep", "halving",
        "optuna_search", "compute_climb", "until_settled", "pretraining_search", "describe", "train", "predict",
        "features",
    ],
}  # fmt: skip
"""Entry points come last."""
REPORT = ["results", "comparison", "figures", "pages", "status", "command"]
COMMANDS = (
    "dbn.pretrain", "dbn.sample", "dbn.evaluate", "dbn.fetch_data", "finetune.train", "finetune.describe",
    "finetune.predict", "finetune.features", "finetune.export.command", "finetune.report.command",
)  # fmt: skip


def modules(package: Path) -> dict[str, ast.Module]:
    """Every module of a package by its dotted name, parsed."""
    found = {}
    for file in package.rglob("*.py"):
        parts = [package.name, *file.relative_to(package).with_suffix("").parts]
        found[".".join(parts).removesuffix(".__init__")] = ast.parse(file.read_text(encoding="utf-8"))
    return found


ALL = {
    name: tree
    for package in (dbn, finetune)
    for name, tree in modules(Path(package.__path__[0])).items()
}  # fmt: skip


def imported(name: str) -> set[str]:
    """Modules of the two packages that a module imports, at its top or within a function."""
    found = set()
    for node in ast.walk(ALL[name]):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in ALL else node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {module for module in found if module in ALL}


def room(name: str, order: list[str], depth: int) -> int | None:
    """Place in the order; None for a package's own ``__init__``."""
    parts = name.split(".")
    return order.index(parts[depth]) if len(parts) > depth else None


@pytest.mark.parametrize("name", sorted(ALL))
def test_imports_run_one_way(name: str) -> None:
    for other in imported(name):
        package = name.split(".")[0]
        if package != other.split(".")[0]:
            assert package == "finetune", f"{name} imports {other}: the generative side knows nothing of the other"
            continue
        here, there = room(name, ORDER[package], 1), room(other, ORDER[package], 1)
        assert here is None or there is None or there <= here, f"{name} imports {other}"
        if name.startswith("finetune.report.") and other.startswith("finetune.report."):
            here, there = room(name, REPORT, 2), room(other, REPORT, 2)
            assert here is None or there is None or there <= here, f"{name} imports {other}"


def test_there_is_no_circle() -> None:
    """Between modules, lazy imports within functions included."""
    edges = {
        name: {other for other in imported(name) if other != name and not name.startswith(f"{other}.")} for name in ALL
    }
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in edges[name]:
                visit(other, [*way, name])
            done.add(name)

    for name in ALL:
        visit(name, [])


@pytest.mark.parametrize("command", COMMANDS)
def test_nobody_imports_a_command(command: str) -> None:
    assert not [name for name in ALL if command in imported(name)]
