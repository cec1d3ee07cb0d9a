"""Tables in LaTeX."""

import re
from pathlib import Path

from finetune.report import write_report
from finetune.report.pages.latex import latex_file_name, latex_table, latex_text
from finetune.report.results.formatting import MINUS


def test_special_characters_are_text():
    assert latex_text("a_b & 5 % #1 {x} ~^\\ $") == (
        r"a\_b \& 5 \% \#1 \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{} \$"
    )
    assert latex_text(f"{MINUS}2.1 ± 0.3 *") == r"$-$2.1 $\pm$ 0.3 $^*$"


def test_a_table_has_a_column_for_every_head():
    table = latex_table(["arm", "error (%)"], [["dbn_relu", "1.2"], ["he", "1.3"]])
    assert table.splitlines() == [
        r"\begin{tabular}{lr}", r"\toprule", r"arm & error (\%) \\", r"\midrule", r"dbn\_relu & 1.2 \\",
        r"he & 1.3 \\", r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip


def test_every_table_of_a_report_is_a_file_where_asked_for(study):
    study.arm("dbn", [0.030, 0.031, 0.032, 0.030, 0.033])
    study.arm("he_normal", [0.050, 0.052, 0.054, 0.051, 0.053])
    assert write_report(study.directory).latex == ()
    assert not list(study.directory.glob("*.tex"))
    files = write_report(study.directory, latex=True).latex
    assert {file.name for file in files} == {
        "digits_classifier_100_labels.tex", "digits_classifier_100_labels_certainty.tex"
    }  # fmt: skip
    text = Path(study.directory / "digits_classifier_100_labels.tex").read_text(encoding="utf-8")
    assert r"dbn & 5 & 3.12 $\pm$ 0.16" in text
    assert "$^*$" in text
    columns = len(re.search(r"\{(l r*|lr*)\}", text)[1])
    assert {line.count(" & ") + 1 for line in text.splitlines() if line.endswith(r"\\")} == {columns}
    assert text.isascii()
    assert latex_file_name("mnist, classifier: by number of labels") == "mnist_classifier_by_number_of_labels.tex"
