"""report.html: everything that was measured of a model, on one page that opens offline and prints."""

from __future__ import annotations

from pathlib import Path

from wbc.heat.cams import ClassActivationMap
from wbc.heat.methods import Method
from wbc.heat.thumbnails import explained_now
from wbc.pages.html import write_page
from wbc.report.cell_cards import CellCards
from wbc.report.decisions import image_names
from wbc.report.sections import Report, report_sections
from wbc.report.set_figures import write_reliability, write_risk_coverage, write_set_figures
from wbc.report.sheets import write_sheets
from wbc.settings.layout import FIGURES, REPORT


def write_report(report: Report, folder: Path) -> None:
    """Write report.html, and its figures as files in figures/."""
    figures = folder / FIGURES
    reported = report.record["reported"]
    network = report.predictor.network
    # Of one view each: a report has hundreds, and `wbc explain` shows any of them by eight.
    method = Method("gradcam", [], ClassActivationMap(network, "gradcam"))
    heat_of = explained_now(network, method)
    for result in report.results:
        title = result.name if len(result.plain) == 1 else f"{result.name}, {reported}"
        file = report.files[result.name]
        write_set_figures(figures, file, title, result.plain[reported], result.labels, result.classes)
        if result.is_calibrated:
            write_reliability(figures, file, result, result.plain[reported])
        write_sheets(figures, file, result, heat_of, method.name, network.prepare, report.seed)
    if report.predictor.rule is not None:
        write_risk_coverage(figures, report.results, report.predictor.rule.max_error)
    cards = CellCards(image_names(report.results), network.prepare, heat_of, method.name)
    write_page(folder / REPORT, report.title, report_sections(report, figures, cards), contents=True)
