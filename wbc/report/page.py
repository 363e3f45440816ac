"""report.html: everything that was measured of a model, on one page that opens offline and prints."""

from __future__ import annotations

from pathlib import Path

from wbc.pages.html import write_page
from wbc.report.sections import Report, report_sections
from wbc.report.set_figures import write_reliability, write_risk_coverage, write_set_figures
from wbc.report.sheets import write_error_sheet, write_right_sheet

REPORT = "report.html"


def write_report(report: Report, folder: Path) -> None:
    """Write report.html, and its figures as files in figures/."""
    figures = folder / "figures"
    reported = report.record["reported"]
    for result in report.results:
        title = result.name if len(result.plain) == 1 else f"{result.name}, {reported}"
        file = report.files[result.name]
        write_set_figures(figures, file, title, result.plain[reported], result.labels, result.classes)
        if result.is_calibrated:
            write_reliability(figures, file, result, result.plain[reported])
        write_error_sheet(figures / f"errors_{file}.png", result, report.predictor.network)
        write_right_sheet(figures / f"explanations_{file}.png", result, report.predictor.network, report.seed)
    if report.predictor.rule is not None:
        write_risk_coverage(figures, report.results, report.predictor.rule.max_error)
    write_page(folder / REPORT, report.title, report_sections(report, figures))
