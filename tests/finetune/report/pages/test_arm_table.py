"""The main table: every cell against numpy, scipy or values worked out by hand."""

import csv
import io

import numpy as np
import pytest
from scipy import stats

from finetune.report import write_report
from finetune.report.pages.arm_table import build_arm_table
from finetune.report.pages.results_csv import results_csv
from finetune.report.results.formatting import MINUS
from finetune.report.results.problems import Problem
from finetune.report.results.study import read_study


@pytest.fixture
def compared(study):
    for seed, (error, nll) in enumerate([(0.030, 0.11), (0.031, 0.12), (0.032, 0.13)]):
        study.run("dbn", seed, metrics={"test/error": error, "test/nll": nll, "test/calibration_error": 0.004})
    study.arm("glorot", [0.050, 0.052, 0.054])
    study.arm("he", [0.052, 0.050, 0.075, 0.9])
    return study


def table_of(study, **options):
    section = study.section(**options)
    return build_arm_table(section, [Problem("missing", "dbn, seed 3", "never started", None, "dbn")])


def cells(table, name):
    (row,) = [row for row in table.rows if row.name == name]
    texts = [cell.replace(MINUS, "-") for cell in row.cells]
    return dict(zip([column.head for column in table.columns], texts, strict=True))


def test_numbers_of_the_table(compared):
    """By hand: 3.0, 3.1, 3.2 has s = 0.1, half width 4.30265 * 0.1 / sqrt(3) = 0.2484; difference -2.1 +- 0.2484."""
    table = table_of(compared)
    assert [row.name for row in table.rows] == ["dbn", "glorot", "he"]
    assert cells(table, "dbn") == {
        "seeds": "3 of 4",
        "test error (%)": "3.10 ± 0.25",
        "min to max": "3.00 to 3.20",
        "difference to glorot": "-2.10 [-2.35, -1.85]",
        "test NLL": "0.1200",
        "test calibration error (%)": "0.40",
        "fine-tuning (s)": "10.0",
        "pretraining (s)": "20.0",
        "parameters": "1,234",
    }
    assert cells(table, "glorot")["difference to glorot"] == "reference"
    assert cells(table, "glorot")["test NLL"] == ""
    assert [row.settled for row in table.rows] == [False, False, False]  # three seeds settle nothing
    assert [row.note for row in table.rows] == ["best pretrained", "best random", ""]


def test_differences_are_paired_over_common_seeds(compared):
    """He - glorot: +0.2, -0.2, +2.1 points over seeds 0 to 2; he's seed 3 (90 %) has no partner."""
    assert cells(table_of(compared), "he")["difference to glorot"].startswith("+0.70 [")


def test_reference_can_be_named(compared):
    table = table_of(compared, reference="dbn")
    assert cells(table, "dbn")["difference to dbn"] == "reference"
    assert cells(table, "glorot")["difference to dbn"] == "+2.10 [+1.85, +2.35]"


def test_markdown_is_a_table_and_names_stay_text(compared):
    compared.arm("a|b*<i>", [0.5, 0.6, 0.7])
    text = table_of(compared).markdown().replace(MINUS, "-")
    lines = text.splitlines()
    assert lines[0].startswith("| arm | seeds | test error (%) |")
    assert "| dbn | 3 of 4 | 3.10 ± 0.25 | 3.00 to 3.20 | -2.10 [-2.35, -1.85] |" in text
    assert r"a\|b\*\<i>" in text
    assert {line.replace(r"\|", "").count("|") for line in lines} == {11}


def test_plain_table_is_aligned_and_needs_no_special_minus(compared):
    lines = table_of(compared).text().splitlines()
    assert lines[1].split()[:2] == ["dbn", "3"]
    assert "-2.10 [-2.35, -1.85]" in lines[1]
    assert lines[0].index("test error") == lines[1].index("3.10 ±") == lines[3].index("26.92 [0.00, ")
    assert all(character.isascii() or character == "±" for character in "".join(lines))


def test_star_and_bold_are_for_what_is_settled_in_the_family(study):
    """Differences of -2.0 to -2.2 points in five seeds, among ten comparisons of which most are of equal arms."""
    study.arm("dbn", [0.0300, 0.0310, 0.0320, 0.0300, 0.0315])
    study.arm("glorot", [0.0500, 0.0512, 0.0540, 0.0510, 0.0520])
    study.arm("he", [0.0520, 0.0500, 0.0550, 0.0510, 0.0530])
    section = study.section()
    table = build_arm_table(section)
    assert [row.settled for row in table.rows] == [True, False, False]
    assert [row.name for row in table.rows if section.settles(study.arm_named(row.name), section.reference)] == ["dbn"]
    assert "] *" in table.text().splitlines()[1]
    assert "]** \\* |" in table.markdown()


def test_no_interval_of_an_error_goes_below_zero(study):
    """Errors of 0, 3 and 5 %: a t interval of 2.67 ± 6.25."""
    study.arm("dbn", [0.0, 0.03, 0.05])
    study.arm("he", [0.1, 0.1, 0.2])
    assert cells(table_of(study), "dbn")["test error (%)"] == "2.67 [0.00, 8.92]"


def test_csv_has_one_row_per_run_with_values_as_in_the_files(compared):
    compared.run("stack", 0, stage="pretrain", metrics={"layer1/reconstruction_error": 0.5})
    compared.run("all", 0, 0.25, n_labelled=None)
    rows = list(csv.DictReader(io.StringIO(results_csv(read_study(compared.directory).runs))))
    assert len(rows) == 3 + 3 + 4 + 2
    (row,) = [row for row in rows if (row["name"], row["seed"]) == ("dbn", "1")]
    assert (float(row["test/error"]), float(row["test/nll"])) == (0.031, 0.12)
    assert (row["kind"], row["n_labelled"], row["path"]) == ("pretrained", "100", "finetune/dbn_seed1")
    assert row["layer1/reconstruction_error"] == ""
    assert next(row for row in rows if row["name"] == "all")["n_labelled"] == ""


def test_a_single_mistake_among_many_images_is_seen_in_the_table(study):
    study.run("dbn", 0, metrics={"test/error": 0.01, "train/error": 1 / 60_000})
    study.run("glorot", 0, metrics={"test/error": 0.02, "train/error": 0.0})
    table = table_of(study)
    assert [cells(table, name)["train error (%)"] for name in ("dbn", "glorot")] == ["0.002", "0.00"]


def test_every_column_against_numpy(study):
    """Means, spread and costs of five seeds whose numbers are random; half widths by scipy."""
    rng = np.random.default_rng(2)
    runs = []
    for seed in range(5):
        metrics = {"test/error": rng.uniform(0.02, 0.4), "test/nll": rng.uniform(0.1, 2), "train/error": rng.uniform()}
        facts = {"seconds": rng.uniform(1, 900), "pretrain_seconds": rng.uniform(1, 900)}
        flops = {"pretraining": rng.uniform(1e11, 1e13), "fine_tuning": rng.uniform(1e11, 1e13)}
        study.run("dbn", seed, metrics=metrics, flops=flops, **facts)
        runs.append({**metrics, **facts, "operations": sum(flops.values())})
    mean = {key: np.mean([run[key] for run in runs]) for key in runs[0]}
    errors = 100 * np.array([run["test/error"] for run in runs])
    low, high = stats.t.interval(0.95, 4, errors.mean(), stats.sem(errors))
    assert cells(table_of(study), "dbn") == {
        "seeds": "5 of 6",
        "test error (%)": f"{errors.mean():.2f} ± {(high - low) / 2:.2f}",
        "min to max": f"{errors.min():.2f} to {errors.max():.2f}",
        "difference to dbn": "reference",
        "test NLL": f"{mean['test/nll']:.3f}",
        "train error (%)": f"{100 * mean['train/error']:.2f}",
        "fine-tuning (s)": f"{mean['seconds']:.1f}",
        "pretraining (s)": f"{mean['pretrain_seconds']:.1f}",
        "parameters": "1,234",
        "operations": f"{mean['operations'] / 1e12:.2f} TFLOP",
    }


def test_text_for_the_terminal_has_headline_table_and_problems(compared):
    text = write_report(compared.directory).text
    assert text.startswith("Not settled: 3 seeds, and at least 5 are needed.")
    assert "glorot" in text
    assert "missing: dbn, seed 3" in text


def test_seconds_of_runs_that_shared_the_machine_are_left_out(study):
    """Only the second run of ``dbn`` had the machine to itself; no run of ``glorot`` had, or nobody knows."""
    study.run("dbn", 0, 0.1, seconds=900.0, other_load=0.8)
    study.run("dbn", 1, 0.1, seconds=20.0, other_load=0.02)
    study.run("glorot", 0, 0.1, seconds=900.0, other_load=0.8)
    study.run("glorot", 1, 0.1, seconds=900.0, other_load=None)
    table = table_of(study)
    assert [cells(table, name)["fine-tuning (s)"] for name in ("dbn", "glorot")] == ["20.0", ""]
    page = write_report(study.directory).html.read_text(encoding="utf-8")
    assert "Times are left out of 3 of 4 runs: other processes kept more than 0.1 of a core busy" in page
