"""Pages of the API reference, one a subject, from the docstrings of public names.

Public are the names in ``__all__`` of the packages below; of a module without one, the classes and functions that it
defines. ``tests/test_reference_pages.py`` sees to it that no package is missing.
"""

import inspect
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path


@dataclass(frozen=True)
class Page:
    """A page of the reference.

    Attributes:
        title: its heading.
        modules: packages and modules whose public names it describes.
    """

    title: str
    modules: tuple[str, ...]


PAGES = {
    "models": Page(
        "Models",
        (
            "dbn",
            "dbn.models.unit_pair",
            "dbn.models.layer",
            "dbn.models.class_rbm",
            "dbn.models.conditional_rbm",
            "dbn.models.mean_field",
        ),
    ),
    "units": Page("Units", ("dbn.models.units",)),
    "connections": Page(
        "Connections", ("dbn.models.connections", "dbn.models.linear", "dbn.models.activations", "dbn.models.gradients")
    ),
    "samplers": Page("Samplers", ("dbn.samplers", "dbn.samplers.clamped", "dbn.samplers.imputation")),
    "pretraining": Page("Pretraining", ("dbn.pretraining", "dbn.pretraining.gradients")),
    "likelihood": Page("Likelihoods", ("dbn.likelihood", "dbn.likelihood.trust")),
    "diagnostics": Page("Diagnostics", ("dbn.diagnostics",)),
    "data": Page("Data", ("dbn.data", "dbn.data.tensors")),
    "files": Page("Model files", ("dbn.models.model_file", "finetune.networks.network_file")),
    "random": Page("Random numbers", ("dbn.random.streams",)),
    "errors": Page("Errors", ("dbn.errors",)),
    "networks": Page("Networks", ("finetune", "finetune.networks.unrolling", "finetune.networks.normalisation")),
    "tasks": Page("Tasks of fine-tuning", ("finetune.tasks", "finetune.tasks.semi_supervised")),
    "report": Page("Reports and export", ("finetune.report", "finetune.export")),
    "sklearn": Page("scikit-learn estimators", ("dbn.sklearn", "finetune.sklearn")),
}
"""By the name of the file."""


def public_names(module: str) -> list[str]:
    """Names that a module offers: ``__all__``, or the classes and functions that it defines itself."""
    found = import_module(module)
    if hasattr(found, "__all__"):
        return list(found.__all__)
    return [
        name
        for name, value in vars(found).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module
    ]


def homes() -> dict[int, str]:
    """For each public object, by its ``id``, the module that it is described under: the nearest to its definition."""
    found: dict[int, str] = {}
    for module in (module for page in PAGES.values() for module in page.modules):
        for name in public_names(module):
            value = getattr(import_module(module), name)
            known = found.get(id(value))
            if known is None or shared_parts(module, value.__module__) > shared_parts(known, value.__module__):
                found[id(value)] = module
    return found


def shared_parts(first: str, second: str) -> int:
    """Number of leading parts that two dotted names share; 0 if the first is not a parent of the second."""
    parts = first.split(".")
    return len(parts) if second.split(".")[: len(parts)] == parts else 0


def write_reference(folder: Path) -> None:
    """Write a file for each page; files of pages that are no more are removed.

    Args:
        folder: where the pages go; it is made.
    """
    folder.mkdir(exist_ok=True)
    for file in folder.glob("*.rst"):
        file.unlink()
    places = homes()
    for name, page in PAGES.items():
        text = "\n\n".join([heading(page.title, "="), *(section(module, places) for module in page.modules)])
        (folder / f"{name}.rst").write_text(text + "\n", encoding="utf-8")


def section(module: str, places: dict[int, str]) -> str:
    """A module: what it says of itself, and its public names, described or with a link to where they are."""
    values = {name: getattr(import_module(module), name) for name in public_names(module)}
    here = {name: value for name, value in values.items() if places[id(value)] == module}
    elsewhere = [f":py:obj:`~{places[id(value)]}.{name}`" for name, value in values.items() if name not in here]
    parts = [heading(module, "-"), f".. automodule:: {module}\n   :no-members:"]
    if elsewhere:
        parts.append(f"Also importable from here: {', '.join(elsewhere)}.")
    for name, value in here.items():
        parts.append(f".. {'autoclass' if inspect.isclass(value) else 'autofunction'}:: {module}.{name}")
    return "\n\n".join(parts)


def heading(words: str, sign: str) -> str:
    """A heading in reStructuredText."""
    return f"{words}\n{sign * len(words)}"
