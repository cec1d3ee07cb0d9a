"""``docs/numbers.md`` names every number that is shown, and tests that are there."""

import ast
import re
from pathlib import Path

import pytest
import torch

from dbn.pretraining.rbm_metrics import rbm_metrics
from finetune.networks.targets import Targets
from finetune.report.pages.certainty_table import COLUMNS
from finetune.report.pages.results_csv import COLUMNS_AFTER_METRICS
from finetune.tasks.autoencoder import AutoencoderMetrics
from finetune.tasks.base import TaskMetrics
from finetune.tasks.classifier import ClassifierMetrics
from finetune.tasks.losses import LOSSES
from finetune.tasks.regression import RegressionMetrics
from helpers import make_rbm

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "numbers.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([^`]+)`", PAGE))
TESTS = sorted(name for name in NAMED if "::" in name)


def test_every_metric_is_on_the_page() -> None:
    tasks: list[TaskMetrics] = [ClassifierMetrics(3, loss) for loss in LOSSES]
    tasks += [AutoencoderMetrics(real) for real in (True, False)]
    names = {name for task in tasks for name in task.named}
    names |= RegressionMetrics(Targets(("a",), torch.zeros(1), torch.ones(1))).compute().keys()
    names |= rbm_metrics(make_rbm(), torch.rand(3, 5).double(), torch.rand(2, 5).double()).keys()
    assert len(names) > 8
    assert names <= NAMED


@pytest.mark.parametrize(
    "column", [*COLUMNS, *(name for name in COLUMNS_AFTER_METRICS if name not in ("path", "precision"))]
)
def test_every_column_is_on_the_page(column: str) -> None:
    assert column in NAMED


@pytest.mark.parametrize("name", TESTS)
def test_its_tests_are_there(name: str) -> None:
    file, _, test = name.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_row_has_its_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| Number")]
    assert len(rows) > 30
    for row in rows:
        assert "::" in row.rsplit("|", 2)[1], row
