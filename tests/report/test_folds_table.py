"""The table of a cross-validation by hand."""

from types import SimpleNamespace

from wbc.report.folds_table import folds_table, what_folds_are
from wbc.report.sections import Report, report_sections


def figures(accuracy, recalls, **more):
    return more | {
        "accuracy": accuracy,
        "macro_f1": accuracy / 2,
        "recall": dict(zip("xy", recalls, strict=True)),
    }


RECORD = {
    "folds": 2,
    "each": [figures(0.8, (0.7, None), fold=0, images=10), figures(0.6, (0.9, 0.5), fold=1, images=9)],
    "mean": figures(0.7, (0.8, None)),
    "spread": figures(0.1, (0.1, None)),
    "together": figures(0.7, (0.8, 0.5), images=19),
}


def test_a_row_a_fold_then_mean_and_spread_then_all_images():
    headers, rows = folds_table(RECORD)
    assert headers == ["", "images", "accuracy", "macro F1", "x recall", "y recall"]
    assert rows == [
        ["fold 0", "10", "80.0 %", "40.0 %", "70.0 %", "–"],
        ["fold 1", "9", "60.0 %", "30.0 %", "90.0 %", "50.0 %"],
        ["mean ± spread", "19", "70.0 ± 10.0 %", "35.0 ± 5.0 %", "80.0 ± 10.0 %", "–"],
        ["all together", "19", "70.0 %", "35.0 %", "80.0 %", "50.0 %"],
    ]
    assert what_folds_are(RECORD).startswith(
        "Each of 19 training and validation images was answered by one of 2"
    )


def test_it_stands_in_the_report_behind_the_results():
    sections = report_sections(_report(RECORD), None, None)
    at = [section.heading for section in sections].index("Cross-validation")
    assert sections[at - 1].heading == "Results"
    assert "fold 1" in " ".join(sections[at].parts)
    without = [section.heading for section in report_sections(_report(None), None, None)]
    assert "Cross-validation" not in without


def _report(cross_validation):
    record = {"sets": {}, "compared": {}, "reported": "", "means": {}}
    predictor = SimpleNamespace(rule=None)
    return Report("", record, [], predictor, None, {}, 0, {}, cross_validation=cross_validation)
