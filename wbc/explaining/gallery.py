"""The gallery of explained images: one page that opens offline, cells in a grid to be filtered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from markupsafe import Markup

from wbc.heat.panels import Decision
from wbc.pages.html import Section, picture, table, write_page
from wbc.plain.answers import NOT_CALIBRATED
from wbc.utils.short_names import short_names, shortened


@dataclass(frozen=True)
class GalleryRow:
    """One explained image: its path as in the manifest, the panel's file, a remark if there is one, and the
    known cells that it is like, which are the panel's lowest part: titles, each with the cells below it.
    """

    path: str
    decision: Decision
    panel: Path
    note: str = ""
    like: Sequence[tuple[str, Sequence[str]]] = ()
    words_known: bool = False  # whether people named words of known cells, which take room below them


def write_gallery(
    path: Path | str,
    title: str,
    rows: Sequence[GalleryRow],
    summary: Sequence[str] = (),
    failures: Sequence[tuple[str, str]] = (),
    limit: int = 500,
) -> None:
    """Write the page with the first `limit` panels in it: wrong decisions first, then by doubt those whose
    true class is not known, then the right ones by class.

    A card shows the image and the first heat, cut out of the panel by the page's style; opened, the panel.
    summary: what stands above the images, paragraphs and tables, as the parts of a `Section`.  failures:
    path of each image without explanation, and why.  Panels are read and encoded one by one while the page
    is written, about 60 kB each.
    Raises DataError for a panel that cannot be read; an older page is kept then.
    """
    ordered = sorted(rows, key=_order)
    names = short_names([PurePath(row.path) for row in ordered])
    shown, left_out = ordered[:limit], ordered[limit:]
    decisions = [row.decision for row in shown]
    more = f"{len(left_out):,} more in the folder {left_out[0].panel.parent.name}/." if left_out else ""
    share = f"{len(failures):,} of {len(rows) + len(failures):,} images"
    filters = [
        ("true", "true class", sorted({decision.true for decision in decisions})),
        ("predicted", "predicted class", sorted({decision.predicted for decision in decisions})),
        ("outcome", "decision", sorted({decision.outcome for decision in decisions})),
        ("status", "status", sorted({decision.status for decision in decisions})),
    ]
    write_page(
        path,
        title,
        [Section("Summary", summary)] if summary else [],
        template="gallery.html",
        script="gallery.js",
        rows=_with_panels(shown, names),
        count=len(shown),
        order=_order_in_words(decisions),
        more=more,
        # A list with nothing to choose between is left out.
        filters=[(name, label, options) for name, label, options in filters if len(options) > 1],
        failed=len(failures),
        failures=table(["image", "why"], failures, share),
        some_known=any(decision.true for decision in decisions),
        not_calibrated=NOT_CALIBRATED,
    )


def _order(row: GalleryRow) -> tuple[int, float, str, str, str]:
    decision = row.decision
    place = ("wrong", "unknown", "right").index(decision.outcome)
    doubt = decision.probability if decision.outcome == "unknown" else 0.0
    return (place, doubt, decision.true, decision.predicted, row.path)


def _order_in_words(decisions: Sequence[Decision]) -> str:
    outcomes = {decision.outcome for decision in decisions}
    if outcomes == {"unknown"}:
        return "the least probable first"
    by_doubt = ", then those of unknown class, the least probable first" if "unknown" in outcomes else ""
    return f"wrong ones first{by_doubt}, then by class"


def _with_panels(
    rows: Sequence[GalleryRow], names: Sequence[str]
) -> Iterator[tuple[GalleryRow, str, Markup]]:
    for row, name in zip(rows, names, strict=False):  # of the rows beyond the limit there are names too
        explained = row.decision.target or row.decision.predicted
        shown = picture(row.panel, f"{name} with heat maps for {explained}", photograph=True)
        yield row, shortened(name), shown
